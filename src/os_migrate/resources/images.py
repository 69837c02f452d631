"""Images of the project. Those of others stay where they are: references to them are kept. Their data is in `image_data`."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from os_migrate.errors import CloudError, CloudUnavailable
from os_migrate.files.fileformat import Fault, described
from os_migrate.files.marked import Steps
from os_migrate.model import Tag
from os_migrate.resources.kind import Field, Kind, Write, identity
from os_migrate.resources.shapes import FLAG, NUMBER, SEE, TEXT, ListOf, Lookup, RefTo, Shape, Text
from os_migrate.rest import UNFINISHED, Collection, Json, Rest, Service

COLLECTION: Final = Collection(Service.IMAGE, "/images", "images", "", update="JSON-PATCH")

OF_GLANCE: Final = frozenset(
    {
        "id", "checksum", "created_at", "direct_url", "file", "locations", "owner", "schema", "self", "size", "status",
        "stores", "updated_at", "virtual_size", "deleted", "deleted_at", "location",
    }
)  # fmt: skip
"""What Glance says of an image by itself. Where its data is stored may hold a password, and is nobody's business."""

OF_NOVA: Final = frozenset(
    {
        "base_image_ref", "bdm_v2", "block_device_mapping", "boot_roles", "clean_attempts", "image_location", "image_state", "image_type",
        "instance_uuid", "mappings", "owner_id", "owner_project_name", "owner_user_name", "root_device_name", "user_id",
    }
)  # fmt: skip
"""What Nova writes on an image of a server: ids and names that mean nothing elsewhere."""

OF_KEYS: Final = frozenset(
    {
        "cinder_encryption_key_id", "cinder_encryption_key_deletion_policy", "img_signature", "img_signature_certificate_uuid",
        "img_signature_hash_method", "img_signature_key_type", "signature_verified",
    }
)  # fmt: skip
"""What means a key or a certificate in the key manager of its cloud: elsewhere an upload would be refused for want of it."""

PREFIXES: Final = ("owner_specified.", "os_glance", Tag.ATTEMPT_KEY.removesuffix("attempt"))
"""Begin what clients, Glance and we write down for ourselves."""

TRUTHS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def truth(text: str) -> bool:
    """Read a flag that is text. Raise ValueError for what is none."""
    if text.strip().lower() not in TRUTHS:
        raise ValueError(text)
    return TRUTHS[text.strip().lower()]


@dataclass(frozen=True)
class InText(Shape):
    """A number or flag that is one in the file and text in the API; text that isn't one is left as it is."""

    read: Callable[[str], Hashable]
    types: tuple[type, ...]
    what: str

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with the value."""
        if type(value) not in {*self.types, str}:
            yield Fault(path, f"must be {self.what}, is {described(value)}", SEE)

    def to_api(self, value: object, lookup: Lookup) -> object:  # noqa: ARG002 (Shape's)
        """Return the text."""
        return str(value).lower() if isinstance(value, bool) else str(value)

    def from_api(self, value: object, lookup: Lookup) -> object:  # noqa: ARG002
        """Return what the text says."""
        return self.canon(value)

    def canon(self, value: object) -> Hashable:
        """Return what the text says, whoever wrote it."""
        try:
            return self.read(value) if isinstance(value, str) else super().canon(value)
        except ValueError:
            return str(value)


class Properties(Shape):
    """The properties that have no field: those that a cloud wrote are no one's wish. What the file doesn't say stays."""

    def faults(self, value: object, path: Steps) -> Iterator[Fault]:
        """Yield what is wrong with each of them."""
        if not isinstance(value, dict):
            yield Fault(path, f"must be a mapping, is {described(value)}", SEE)
            return
        for key, item in value.items():
            if _is_custom(str(key)):
                yield from TEXT.faults(item, (*path, key))

    def to_api(self, value: object, lookup: Lookup) -> object:  # noqa: ARG002
        """Return those that can be written."""
        return custom(value)

    def from_api(self, value: object, lookup: Lookup) -> object:  # noqa: ARG002
        """Return them in the order of their keys."""
        return dict(sorted(custom(value).items()))

    def canon(self, value: object) -> Hashable:
        """Return them without an order."""
        return tuple(sorted(custom(value).items()))

    def agrees(self, want: object, have: object) -> bool:
        """Say whether all that is wanted is there."""
        there = custom(have)
        return all(there.get(key) == item for key, item in custom(want).items())


def _set(key: str) -> Callable[[Rest, Collection, str, object], None]:
    """Return what writes a field when the image is there and proven: until then it can be deleted, and is nobody else's."""

    def send(rest: Rest, images: Collection, image_id: str, value: object) -> None:
        rest.update_in(images, image_id, {key: value})

    return send


def set_visibility(rest: Rest, images: Collection, image_id: str, value: object) -> None:
    """Let others see an image, or not: who may do that is for the cloud to say."""
    try:
        rest.update_in(images, image_id, {"visibility": value})
    except CloudUnavailable:
        raise
    except CloudError as error:
        what = f"{error.what}; the image is there, but doesn't become {value}"
        remedy = "have an administrator change its visibility, or say another one in the file"
        raise CloudError(what, remedy=remedy) from None


WHOLE: Final = InText(int, (int,), "a whole number")
FRACTION: Final = InText(float, (int, float), "a number")
TRUTH: Final = InText(truth, (bool,), "true or false")
VISIBILITY: Final = Text(choices=("private", "shared", "community", "public"))

FIELDS: Final = (
    Field("name", TEXT, required=True, identifies=identity),
    Field("architecture", TEXT),
    Field("container_format", TEXT, required=True, write=Write.CREATE),
    Field("disk_format", TEXT, required=True, write=Write.CREATE),
    Field("has_auto_disk_config", TEXT, api="auto_disk_config"),
    Field("hash_algo", TEXT, api="os_hash_algo", write=Write.NEVER),
    Field("hash_value", TEXT, api="os_hash_value", write=Write.CREATE, compared=False),
    Field("hw_cpu_cores", WHOLE),
    Field("hw_cpu_policy", TEXT),
    Field("hw_cpu_sockets", WHOLE),
    Field("hw_cpu_thread_policy", TEXT),
    Field("hw_cpu_threads", WHOLE),
    Field("hw_disk_bus", TEXT),
    Field("hw_machine_type", TEXT),
    Field("hw_qemu_guest_agent", TEXT),
    Field("hw_rng_model", TEXT),
    Field("hw_scsi_model", TEXT),
    Field("hw_serial_port_count", WHOLE),
    Field("hw_video_model", TEXT),
    Field("hw_video_ram", WHOLE),
    Field("hw_vif_model", TEXT),
    Field("hw_watchdog_action", TEXT),
    Field("hypervisor_type", TEXT),
    Field("instance_type_rxtx_factor", FRACTION),
    Field("is_hw_boot_menu_enabled", TRUTH, api="hw_boot_menu"),
    Field("is_hw_vif_multiqueue_enabled", TRUTH, api="hw_vif_multiqueue_enabled"),
    Field("kernel_ref", RefTo("images"), api="kernel_id", after="images"),
    Field("min_disk", NUMBER, default=0),
    Field("min_ram", NUMBER, default=0),
    Field("needs_config_drive", TEXT, api="img_config_drive"),
    Field("needs_secure_boot", TEXT, api="os_secure_boot"),
    Field("os_admin_user", TEXT),
    Field("os_command_line", TEXT),
    Field("os_distro", TEXT),
    Field("os_require_quiesce", TRUTH),
    Field("os_shutdown_timeout", WHOLE),
    Field("os_type", TEXT),
    Field("os_version", TEXT),
    Field("properties", Properties(), default={}),
    Field("ramdisk_ref", RefTo("images"), api="ramdisk_id", after="images"),
    Field("tags", ListOf(TEXT), default=[]),
    Field("vm_mode", TEXT),
    Field("vmware_adaptertype", TEXT),
    Field("vmware_ostype", TEXT),
    Field("is_hidden", FLAG, api="os_hidden", default=False, send=_set("os_hidden")),
    Field("is_protected", FLAG, api="protected", default=False, send=_set("protected")),
    Field("visibility", VISIBILITY, default="shared", send=set_visibility),
)

OF_EVERY_IMAGE: Final = frozenset(
    {
        "name", "container_format", "disk_format", "os_hash_algo", "os_hash_value", "min_disk", "min_ram", "properties", "tags",
        "os_hidden", "protected", "visibility",
    }
)  # fmt: skip
"""The fields that Glance shows of every image, if it knows them; the others are properties, and those it doesn't show aren't there."""

_KEYS: Final = frozenset(entry.key for entry in FIELDS)


def _is_custom(key: str) -> bool:
    return key not in OF_GLANCE | OF_NOVA | OF_KEYS | _KEYS and not key.startswith(PREFIXES)


def custom(value: object) -> dict[str, str]:
    """Return those properties that have no field, and that no cloud wrote."""
    given: Mapping[str, object] = value if isinstance(value, dict) else {}
    return {str(key): item for key, item in given.items() if isinstance(item, str) and _is_custom(str(key))}


def with_properties(image: Json) -> Json:
    """Return an image with its other properties in a place of their own, as the table has them."""
    name = image.get("name") or ""  # Glance lets an image have none
    return {**dict.fromkeys(_KEYS - OF_EVERY_IMAGE), **image, "name": name, "properties": custom(image)}


def flat(body: Json) -> Json:
    """Return a body as Glance takes it: properties are keys like all others, and hashes are its own to find."""
    given = {key: value for key, value in body.items() if key not in {"properties", "os_hash_value"}}
    return {**given, **custom(body.get("properties"))}


def list_hidden_too(rest: Rest, images: Collection, query: Mapping[str, str]) -> Sequence[Json]:
    """List images with those that a list leaves out unless it is asked for them."""
    return [*rest.list_of(images, query), *rest.list_of(images, {**query, "os_hidden": "true"})]


def is_ours(image: Json) -> bool:
    """Say whether an image is a migration's, or a run died before it was made: it counts for nothing."""
    return Tag.ATTEMPT_KEY in image or UNFINISHED in (image.get("tags") or ())


def without_data(properties: Mapping[str, object], size_bytes: object) -> str:
    """Return why an image has no data that would mean something elsewhere; "" where it has."""
    if properties.get("cinder_encryption_key_id"):
        return "its data is encrypted, with a key that only its cloud has: migrate the volume, or upload what is in it"
    if not size_bytes and properties.get("block_device_mapping"):
        return "it only stands for snapshots of volumes: migrate the server, or make an image of the volume"
    return ""


def unfit(image: Json) -> str:
    """Return why an image can't leave its cloud; "" where it can."""
    if image.get("status") == "deactivated":
        return "it is deactivated, so nobody may download it: openstack image set --activate"
    if image.get("status") != "active":
        return f"it is {image.get('status')}, and has no data: wait for it, or delete it"
    return without_data(image, image.get("size"))


IMAGES: Final = Kind(
    name="images",
    type="openstack.image.Image",
    word="image",
    collection=COLLECTION,
    listed=list_hidden_too,
    hidden=is_ours,
    shown=with_properties,
    unfit=unfit,
    sent=flat,
    fields=FIELDS,
    info=(
        *((key, key) for key in ("id", "checksum", "created_at", "file", "instance_uuid", "kernel_id")),
        ("owner_id", "owner"),
        *((key, key) for key in ("ramdisk_id", "schema", "size", "status", "store", "updated_at", "virtual_size")),
    ),
)
