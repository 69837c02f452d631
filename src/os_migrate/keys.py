"""SSH keys in OpenSSH's format, made and kept without a process; a private key is only ever in a file of mode 0600."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from os_migrate.errors import UserError
from os_migrate.files.durable import write_atomically

KINDS = ("ed25519", "rsa", "ecdsa")
RSA_BITS = 3072


@dataclass(frozen=True)
class SshKey:
    """A key pair: `public` is one line, as authorized_keys has it."""

    public: str
    private: str = field(repr=False)

    def is_same(self, public: str) -> bool:
        """Say whether a public key is this one; comments don't count."""
        return self.public.split()[:2] == public.split()[:2]


def generate(kind: str, comment: str) -> SshKey:
    """Return a new key pair of one of `KINDS`."""
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    elif kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    elif kind == "ecdsa":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        raise UserError(f"no SSH key of type {kind!r} can be made", remedy=f"choose one of {', '.join(KINDS)}")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return SshKey(public=f"{public} {comment}", private=private)


def load(path: Path) -> SshKey:
    """Return the key pair whose private half is in a file. Raise UserError if it can't be used without asking."""
    try:
        private = path.read_bytes()
        key = load_ssh_private_key(private, password=None)
    except OSError as error:
        raise UserError(f"can't read the SSH key {path}: {error.strerror}", remedy="check the path") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UserError(
            f"{path} is not an SSH private key in OpenSSH's format, or has a passphrase",
            remedy="convert it with ssh-keygen -p -N '' -f FILE, or choose another file",
        ) from None
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return SshKey(public=public, private=private.decode())


def ensure(path: Path, kind: str, comment: str) -> SshKey:
    """Return the key pair kept in `path`; make it where there is none (beside it `path`.pub)."""
    if path.exists():
        return load(path)
    key = generate(kind, comment)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, key.private)  # 0600
    write_atomically(public_path(path), key.public + "\n")
    return key


def remove(path: Path) -> None:
    """Delete both halves of a key pair; none there is fine."""
    path.unlink(missing_ok=True)
    public_path(path).unlink(missing_ok=True)


def public_path(path: Path) -> Path:
    """Return where the public half is kept."""
    return path.with_name(path.name + ".pub")
