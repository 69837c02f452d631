"""The user data of a conversion host: it brings its SSH host key, so that the key is known before the first connection."""

import base64
import json

from os_migrate.keys import SshKey


def user_data(host_key: SshKey) -> str:
    """Return base64 user data that makes `host_key` the server's only host key. It holds the private half.

    The document is JSON after cloud-init's first line: JSON is YAML, and leaves nothing to quote.
    Source: https://cloudinit.readthedocs.io/en/latest/reference/modules.html#ssh
    """
    wanted = {
        "ssh_deletekeys": True,
        "ssh_genkeytypes": ["ed25519"],
        "ssh_keys": {"ed25519_private": host_key.private, "ed25519_public": host_key.public},
    }
    return base64.b64encode(f"#cloud-config\n{json.dumps(wanted, indent=1)}\n".encode()).decode()
