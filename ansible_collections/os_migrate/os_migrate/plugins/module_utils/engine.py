"""From a module to one function of the engine, and back.

A module says its own options and calls `run`; what the engine raises or returns becomes the module's result here, and nowhere else.
"""

import signal
import traceback

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from os_migrate.door.call import Call, answer
    from os_migrate.model import Side
except ImportError:
    MISSING = traceback.format_exc()
else:
    MISSING = ""

OPTIONS = dict(
    data_dir=dict(type="path"),
    cloud=dict(type="raw"),
    auth=dict(type="dict", no_log=True),
    auth_type=dict(type="str"),
    region_name=dict(type="str"),
    validate_certs=dict(type="bool"),
    ca_cert=dict(type="path"),
    client_cert=dict(type="path"),
    client_key=dict(type="path", no_log=False),
)

EXPORT = dict(
    path=dict(type="path", required=True),
    name=dict(type="str"),
    filter=dict(type="list", elements="raw"),
    overwrite_migration_params=dict(type="bool", default=False),
)
"""What exports have in common."""

NAME_OR_FILTER = dict(mutually_exclusive=[("name", "filter")])

IMPORT = dict(
    data=dict(type="dict"),
    path=dict(type="path"),
    filter=dict(type="list", elements="raw"),
    filters=dict(type="dict"),
)
"""What imports have in common."""

DATA_OR_PATH = dict(mutually_exclusive=[("data", "path"), ("data", "filter")], required_one_of=[("data", "path")])

SIDE = dict(side=dict(type="str", choices=["source", "destination"], default="source"))

INFO = dict(SIDE, filters=dict(type="dict"))
"""What modules that list something have in common."""


SECRET = ("password", "passcode", "secret", "token")
"""What is in the names of credentials, within C(auth) of C(cloud)."""


class Module(AnsibleModule):
    """A module that masks what may be secret within its options: no result and no log shows it."""

    def _log_invocation(self):
        cloud, data = self.params.get("cloud"), self.params.get("data")
        self.no_log_values.update(texts_in(cloud, lambda name: any(word in name for word in SECRET)))
        self.no_log_values.update(texts_in(data, lambda name: name == "user_data"))
        super()._log_invocation()


def texts_in(value, is_wanted):
    """Yield the texts in a mapping whose names are wanted, however deep. Ansible masks each wherever it stands, so they are to be few."""
    if isinstance(value, list):
        for item in value:
            yield from texts_in(item, is_wanted)
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, (dict, list)):
                yield from texts_in(item, is_wanted)
            elif item and isinstance(item, str) and is_wanted(str(name)):
                yield item


def run(function, options, side="source", constraints=None, **fixed):
    """Be a module that calls `FILE.FUNCTION` of os_migrate.door.

    `side` is the cloud that the module's options are for, unless it has an option of that name; `constraints` are what AnsibleModule is
    told besides, `fixed` what the function is told besides.
    """
    module = Module(argument_spec=dict(OPTIONS, **options), supports_check_mode=True, **(constraints or {}))
    if MISSING:
        module.fail_json(msg=missing_required_lib("os-migrate"), exception=MISSING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ansible-playbook's end stops the engine as Ctrl-C does
    given = {name: value for name, value in module.params.items() if value is not None}
    diff = module._diff  # noqa: SLF001 (modules have no other way to it)
    call = Call(given, Side(given.get("side", side)), check=module.check_mode, diff=diff, warn=module.warn)
    result = answer(function, call, **fixed)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)
