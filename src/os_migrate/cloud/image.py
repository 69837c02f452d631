"""Glance: images, and their data."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from http import HTTPStatus

from os_migrate.cloud import views
from os_migrate.cloud.calls import Api, Service
from os_migrate.cloud.waiting import delete_when_idle, wait_for
from os_migrate.errors import CloudError, CloudUnavailable
from os_migrate.model import Image, ImageId
from os_migrate.rest import UNFINISHED, Bytes, Json

BUSY_S = 60.0
"""Where volumes share blocks with their image, the image is busy until the volume is really gone."""

ARRIVING = ("saving", "uploading", "importing")
"""An image's status while its data comes."""


class Images:
    """The part of `world.Cloud` that Glance answers, and `rest.ImageData`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def images(self) -> Sequence[Image]:
        """Return the images that the project can use; not those whose data is still to come, or to be proven."""
        found = self._api.pages(Service.IMAGE, "/images", "images", "list the images")
        return [views.image(raw) for raw in found if UNFINISHED not in (raw.get("tags") or ())]

    def image(self, image_id: ImageId) -> Image:
        """Return an image."""
        return views.image(self._api.get(Service.IMAGE, f"/images/{image_id}", f"read image {image_id}"))

    def await_image(self, image_id: ImageId, timeout_s: float) -> Image:
        """Return the image when it is active."""

        def look() -> Image | None:
            image = self.image(image_id)
            if image.status in ("killed", "deleted", "pending_delete", "deactivated"):
                raise CloudError(
                    f"{self._api.name}: image {image_id} went to {image.status}",
                    remedy="see the events of the server that it is taken of: openstack server event list",
                )
            return image if image.status == "active" else None

        what = f"{self._api.name}: image {image_id} becomes active"
        return wait_for(look, what=what, timeout_s=timeout_s, clock=self._api.clock)

    def delete_image(self, image_id: ImageId) -> None:
        """Delete an image."""
        delete_when_idle(
            lambda: self._api.delete(Service.IMAGE, f"/images/{image_id}", f"delete image {image_id}"),
            busy=(HTTPStatus.CONFLICT,),
            what=f"{self._api.name}: delete image {image_id}",
            timeout_s=BUSY_S,
            clock=self._api.clock,
        )

    def read_image(self, image_id: str) -> AbstractContextManager[Iterator[bytes]]:
        """Read an image's data piece by piece."""
        return self._api.download(Service.IMAGE, f"/images/{image_id}/file", f"download image {image_id}")

    def write_image(self, image_id: str, data: Bytes, timeout_s: float) -> Json:
        """Give a new image its data, once; return it when it is active.

        The answer may be lost, or come too late for what is between: then the image tells whether its data arrived.
        """
        lost: CloudUnavailable | None = None
        try:
            self._api.upload(Service.IMAGE, f"/images/{image_id}/file", f"upload the data of image {image_id}", data)
        except CloudUnavailable as error:
            lost = error

        def look() -> Json | None:
            image = self._api.get(Service.IMAGE, f"/images/{image_id}", f"read image {image_id}")
            if image["status"] in ARRIVING:
                return None
            if image["status"] == "active":
                return image
            raise lost or CloudError(f"{self._api.name}: image {image_id} is {image['status']} after its data was sent")

        what = f"{self._api.name}: image {image_id} becomes active"
        return wait_for(look, what=what, timeout_s=timeout_s, clock=self._api.clock)
