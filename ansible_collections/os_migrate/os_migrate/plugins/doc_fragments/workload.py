"""What the modules for the stages of a server's migration share."""


class ModuleDocFragment:
    """Document the options in `module_utils/workload.py`."""

    DOCUMENTATION = r"""
options:
  data:
    description:
      - The server, as C(workloads.yml) describes it, with the names of the source.
    type: dict
  transfer_uuid:
    description:
      - The attempt that is gone on with, as an earlier stage returned it. By default the server's open one.
    type: str
  conversion_host:
    description:
      - The conversion host on the side that the module is for. Only its C(name) is read, and only where it differs from what the settings call it.
      - The engine finds both hosts itself, and asks for them only where data is copied.
    type: dict
  src_conversion_host_address:
    description:
      - The address of the source's conversion host, where it isn't the one that its cloud tells.
    type: str
  dst_conversion_host_address:
    description:
      - The address of the destination's conversion host, where it isn't the one that its cloud tells.
    type: str
  ssh_key_path:
    description:
      - The private key for the conversion hosts, in place of O(data_dir)/conversion/ssh.key or what the settings say.
    type: path
  ssh_user:
    description:
      - The user on the conversion hosts, in place of the settings'.
    type: str
  log_file:
    description:
      - The server's log, a line an event. By default the one that M(os_migrate.os_migrate.import_workload_prelim) returns.
    type: path
  state_file:
    description:
      - A JSON object with the percentage of each disk that is copied. It stands beside O(log_file).
    type: path
  timeout:
    description:
      - How many seconds a cloud may take for a volume, a snapshot or a server, in place of the settings'.
    type: int
"""
