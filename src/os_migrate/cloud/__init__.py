"""A project in an OpenStack cloud, through openstacksdk: the only package that imports it.

connection    clouds.yaml or the Ansible variables -> one SDK connection a thread
calls         one call: retried where that is safe, counted, its errors translated
waiting       look again and again until it is so
views         what the services answer -> the words of `model`
compute, block, image, network, hosting    the calls themselves, a module a service
rest          any collection, for the kinds of resources
attach        Nova and Cinder together
quotas        what each of them says that there may be
"""

from collections.abc import Callable
from os import PathLike

from os_migrate.cloud.calls import CALLS_AT_ONCE, Api
from os_migrate.cloud.connection import open_with, region_opener
from os_migrate.cloud.hosting import Hosting
from os_migrate.cloud.image import Images
from os_migrate.cloud.quotas import Quotas
from os_migrate.cloud.rest import Rest
from os_migrate.events import Note
from os_migrate.settings import CloudSettings
from os_migrate.world import Clock, SystemClock

__all__ = ["OpenStackCloud", "connect"]


class OpenStackCloud(Quotas, Images, Hosting, Rest):
    """One project in one cloud, as an ordinary tenant: `world.Cloud`, `rest.Rest` and `hosts.deploy.HostingCloud`."""

    @property
    def name(self) -> str:
        """Return how the operator calls this cloud."""
        return self._api.name

    @property
    def calls(self) -> int:
        """Return how many HTTP answers this cloud has given so far."""
        return self._api.calls

    def project_id(self) -> str:
        """Return the current project's id; the first call authenticates."""
        return self._api.project_id()


def connect(
    settings: CloudSettings,
    clouds_path: str | PathLike[str] | None,
    *,
    name: str,
    clock: Clock | None = None,
    tell: Callable[[Note], None] = lambda _: None,
    calls_at_once: int = CALLS_AT_ONCE,
) -> OpenStackCloud:
    """Return the cloud that the settings name; nothing is sent before its first use.

    `name` is for messages ("source", "dst"); `tell` hears what is worth a line in the log. Raise UserError where the settings are unusable; what only the cloud can
    tell (credentials, certificate, address) is a CloudError of the first call.
    """
    open_region = region_opener(settings, clouds_path, name=name)
    return OpenStackCloud(Api(name, open_with(open_region), clock or SystemClock(), tell, calls_at_once))
