"""Glance: images."""

from collections.abc import Sequence
from http import HTTPStatus

from os_migrate.cloud import views
from os_migrate.cloud.calls import Api, Service
from os_migrate.cloud.waiting import delete_when_idle, wait_for
from os_migrate.errors import CloudError
from os_migrate.model import Image, ImageId

BUSY_S = 60.0
"""Where volumes share blocks with their image, the image is busy until the volume is really gone."""


class Images:
    """The part of `world.Cloud` that Glance answers."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def images(self) -> Sequence[Image]:
        """Return the images that the project can use."""
        return [views.image(raw) for raw in self._api.pages(Service.IMAGE, "/images", "images", "list the images")]

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
