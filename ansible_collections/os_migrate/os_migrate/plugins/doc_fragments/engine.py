"""What all modules share."""


class ModuleDocFragment:
    """Document the options that `module_utils/engine.py` adds to a module's own."""

    DOCUMENTATION = r"""
options:
  data_dir:
    description:
      - The data directory of the source project, with its settings, journal and files.
      - Where it is not given, it is the directory of the resource file, or the one that holds the directory of the log file, for
        modules that have such an option.
      - Set it once for all modules, in C(module_defaults) of C(group/os_migrate.os_migrate.os_migrate).
    type: path
  cloud:
    description:
      - The name of the cloud in C(clouds.yaml), or a mapping as such a file has it for a name.
      - By default the cloud that the settings in O(data_dir) name for the side that the module is for.
    type: raw
  auth:
    description:
      - The credentials, as C(auth) of C(clouds.yaml) has them. They win over those of O(cloud).
      - Ansible masks each of its values wherever it stands in a result, names among them. Prefer O(cloud) where names matter.
    type: dict
  auth_type:
    description: The kind of O(auth), for instance V(v3applicationcredential).
    type: str
  region_name:
    description: The region.
    type: str
  validate_certs:
    description: Whether TLS certificates are verified.
    type: bool
  ca_cert:
    description: A file with the certificates to trust.
    type: path
  client_cert:
    description: A file with a client certificate.
    type: path
  client_key:
    description: The file with its key.
    type: path
requirements:
  - "python >= 3.11"
  - os-migrate
"""
