"""The fake's images as Glance's REST API has them, and their data: what it takes, what it finds out, what it refuses.

The images of the typed fakes are the same ones: what either side makes, both show.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy

from os_migrate.errors import CloudError, CloudUnavailable
from os_migrate.model import Image, ImageId
from os_migrate.rest import UNFINISHED, Bytes, Collection, Json
from tests.fakes.rest import FakeRest, _sent
from tests.fakes.state import Stored

READ_ONLY = {
    "id", "checksum", "created_at", "direct_url", "file", "os_hash_algo", "os_hash_value", "owner", "schema", "self", "size", "status",
    "stores", "updated_at", "virtual_size",
}  # fmt: skip
NUMBERS_AND_FLAGS = {"min_disk": int, "min_ram": int, "protected": bool, "os_hidden": bool, "tags": list}
PIECE = 64
"""Data comes in small pieces, so that a test can break a call in its middle."""


class FakeImages(FakeRest):
    """The part of `world.Cloud` that is `rest.ImageData`, and Glance's collection."""

    hash_algorithm = "sha512"
    tells_md5 = True

    def list_of(self, collection: Collection, query: Mapping[str, str] | None = None) -> Sequence[Json]:
        if collection.many != "images":
            return super().list_of(collection, query)
        asked = dict(query or {})
        hidden, tag = asked.pop("os_hidden", "false") == "true", asked.pop("tag", None)
        with self._reads("list images"):
            return [
                deepcopy(image)
                for image in self._raw_images().values()
                if image["os_hidden"] == hidden
                and (tag is None or tag in image["tags"])
                and all(image.get(key) == value for key, value in asked.items())
            ]

    def create_in(self, collection: Collection, body: Json) -> Json:
        if collection.many != "images":
            return super().create_in(collection, body)
        with self._does("create image"):
            body = _sent(body)
            self._refuse_image(body)
            new = ImageId(self._new_id("image"))
            self._images[new] = Stored(Image(new, body["name"], self._own, "queued"), b"", self.clock.now())
            self._raw_images()[new].update(body)
            self._show(new)
            return deepcopy(self._raw_images()[new])

    def update_in(self, collection: Collection, thing_id: str, body: Json) -> Json:
        if collection.many != "images":
            return super().update_in(collection, thing_id, body)
        with self._does("update image"):
            body = _sent(body)
            image = self._get(self._raw_images(), thing_id, "image")
            if image["status"] != "queued" and (fixed := {"disk_format", "container_format"} & set(body)):
                raise self._refuse(f"attribute {sorted(fixed)} can be only replaced for a queued image")
            self._refuse_image(body)
            image.update(body)
            for key in [key for key, value in body.items() if value is None]:
                del image[key]
            self._show(ImageId(thing_id))
            return deepcopy(image)

    def delete_from(self, collection: Collection, thing_id: str) -> None:
        if collection.many != "images":
            super().delete_from(collection, thing_id)
        else:
            self.delete_image(ImageId(thing_id))

    def delete_image(self, image_id: ImageId) -> None:
        if self._raw_images().get(image_id, {}).get("protected"):
            raise self._refuse(f"image {image_id} is protected and cannot be deleted")
        super().delete_image(image_id)

    @contextmanager
    def read_image(self, image_id: str) -> Iterator[Iterator[bytes]]:
        with self._reads("read image"):
            image = self._get(self._images, ImageId(image_id), "image")
            if image.view.status != "active":
                raise self._refuse(f"the image is {image.view.status}: download is forbidden")
        yield self._pieces(image.data)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        for begin in range(0, len(data), PIECE):
            with self._reads("read piece"):
                yield data[begin : begin + PIECE]

    def write_image(self, image_id: str, data: Bytes, timeout_s: float) -> Json:
        with self._does("write image"):
            stored = self._get(self._images, ImageId(image_id), "image")
            if stored.view.status != "queued":
                raise self._refuse(f"image status transition from {stored.view.status} to saving is not allowed")
            self._turn(ImageId(image_id), "saving")
        came = b""
        try:
            for piece in data:
                came += piece
                with self._reads("write piece"):
                    pass
        except (CloudError, CloudUnavailable):
            self._turn(ImageId(image_id), "queued")
            raise
        assert len(came) == len(data), "as many as were announced"
        with self._does("save image"):
            self._get(self._images, ImageId(image_id), "image").data = self._stored(came)
            self._turn(ImageId(image_id), "active")
            self._raw_images()[image_id] |= self._found_out(self._images[ImageId(image_id)].data)
            return deepcopy(self._raw_images()[image_id])

    def _stored(self, came: bytes) -> bytes:
        """Return what is stored of what came: a test may have it changed on the way."""
        return came

    def add_glance_image(self, name: str, data: bytes, **more: object) -> Json:
        """Add an active image of the project, with its data, as if it had always been there."""
        new = ImageId(self.add_image(name, data).id)
        self._images[new].data = data
        self._raw_images()[new] |= {**self._found_out(data), **more}
        self._show(new)
        return self._raw_images()[new]

    # Inside ----------------------------------------------------------------------------------------------------------
    def _raw_images(self) -> dict[str, Json]:
        shelf = self._shelves.setdefault("images", {})
        for image_id in [image_id for image_id in shelf if image_id not in self._images]:
            del shelf[image_id]
        for image_id, stored in self._images.items():
            if image_id not in shelf:
                shelf[image_id] = self._raw(stored)
            elif shelf[image_id]["status"] != stored.view.status:  # a server's image came
                shelf[image_id] |= {"status": stored.view.status, **self._found_out(stored.data)}
        return shelf

    def _raw(self, stored: Stored) -> Json:
        view = stored.view
        raw = {
            "id": view.id, "name": view.name, "owner": view.project_id, "status": view.status, "visibility": "shared", "tags": [],
            "min_disk": view.min_disk_gib, "min_ram": view.min_ram_mib, "protected": False, "os_hidden": False, "size": None,
            "checksum": None, "os_hash_algo": None, "os_hash_value": None, "virtual_size": None, "container_format": "bare",
            "disk_format": "raw", "created_at": f"{stored.born}", "updated_at": f"{stored.born}", "stores": "fast",
            "file": f"/v2/images/{view.id}/file", "self": f"/v2/images/{view.id}", "schema": "/v2/schemas/image", **view.properties,
        }  # fmt: skip
        return raw | (self._found_out(stored.data) if view.status == "active" else {})

    def _found_out(self, data: bytes) -> Json:
        return {
            "size": len(data),
            "virtual_size": len(data),
            "checksum": hashlib.md5(data).hexdigest() if self.tells_md5 else None,
            "os_hash_algo": self.hash_algorithm or None,
            "os_hash_value": hashlib.new(self.hash_algorithm, data).hexdigest() if self.hash_algorithm else None,
        }

    def _turn(self, image_id: ImageId, status: str) -> None:
        if image_id in self._images:
            self._raw_images()[image_id]["status"] = status
            self._show(image_id)

    def _show(self, image_id: ImageId) -> None:
        """Let the typed fake show what was said of an image."""
        raw = self._shelves["images"][image_id]
        known = set(self._raw(self._images[image_id])) - set(self._images[image_id].view.properties)
        properties = {key: value for key, value in raw.items() if key not in known and isinstance(value, str)}
        self._images[image_id].view = Image(
            id=image_id, name=raw["name"], project_id=raw["owner"], status=raw["status"], min_disk_gib=raw["min_disk"],
            min_ram_mib=raw["min_ram"], virtual_size_bytes=self._images[image_id].view.virtual_size_bytes,
            size_bytes=raw["size"] or 0, properties=properties,
        )  # fmt: skip

    def images(self) -> Sequence[Image]:
        unfinished = {image_id for image_id, raw in self._raw_images().items() if UNFINISHED in raw["tags"]}
        return [image for image in super().images() if image.id not in unfinished]

    def _refuse_image(self, body: Json) -> None:
        if fixed := READ_ONLY & set(body):
            raise self._refuse(f"attribute {min(fixed)!r} is read-only")
        if body.get("visibility") == "public":
            raise CloudError(f"{self._name}: you are not authorized to complete publicize_image action (HTTP 403)")
        for key, value in body.items():
            wanted = NUMBERS_AND_FLAGS.get(key, str)
            if value is not None and not isinstance(value, wanted):
                raise self._refuse(
                    f"provided object does not match schema 'image': {key} is not of type {wanted.__name__}"
                )
