"""What a tenant is told of the project's quotas.

Nova      GET /limits                                what is used counts what is being made
Cinder    GET /os-quota-sets/PROJECT?usage=True      by volume type too; where a policy forbids that, GET /limits
Neutron   GET /quotas/PROJECT/details                where it isn't offered, GET /quotas/PROJECT, and what the lists hold

A cloud that refuses to tell is no error: what isn't told isn't checked. Nova's and Cinder's limits are -1 where there is none.
"""

from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Final

from os_migrate.cloud.attach import Attachments
from os_migrate.cloud.calls import Json, Refused, Service
from os_migrate.cloud.compute import MICROVERSION
from os_migrate.cloud.network import Networking
from os_migrate.errors import NotFound
from os_migrate.model import ApiVersions, Quota, Quoted

NOVA: Final = (
    (Quoted.INSTANCES, "maxTotalInstances", "totalInstancesUsed"),
    (Quoted.CORES, "maxTotalCores", "totalCoresUsed"),
    (Quoted.RAM, "maxTotalRAMSize", "totalRAMUsed"),
)
"""Source: https://docs.openstack.org/api-ref/compute/#limits-limits"""

CINDER_LIMITS: Final = (
    (Quoted.VOLUMES, "maxTotalVolumes", "totalVolumesUsed"),
    (Quoted.SNAPSHOTS, "maxTotalSnapshots", "totalSnapshotsUsed"),
    (Quoted.GIGABYTES, "maxTotalVolumeGigabytes", "totalGigabytesUsed"),
)
"""Source: https://docs.openstack.org/api-ref/block-storage/v3/#limits-limits"""

CINDER: Final = {
    "volumes": Quoted.VOLUMES,
    "snapshots": Quoted.SNAPSHOTS,
    "gigabytes": Quoted.GIGABYTES,
    "per_volume_gigabytes": Quoted.VOLUME_SIZE,
}
"""Source: https://docs.openstack.org/api-ref/block-storage/v3/#show-quota-usage-for-a-project"""

NEUTRON: Final = {"port": Quoted.PORTS, "floatingip": Quoted.FLOATING_IPS}
"""Source: https://docs.openstack.org/api-ref/network/v2/#show-quota-details-for-a-tenant"""

UNTOLD: Final = (HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED)


class Quotas(Attachments, Networking):
    """The part of `world.Cloud` that says what there may be."""

    def api_versions(self) -> ApiVersions:
        """Return which services are missing, and Nova's microversion; nothing else works where one is missing."""
        if missing := self._api.missing_services():
            return ApiVersions(missing)
        return ApiVersions(compute=self._api.microversion(Service.COMPUTE, MICROVERSION))

    def quotas(self) -> Sequence[Quota]:
        """Return the project's quotas, with what is used and reserved, as far as the cloud tells a tenant."""
        project = self._api.project_id()
        nova = self._told(lambda: self._get("/limits", "read Nova's limits"))
        return [
            *_limits(nova, NOVA),
            *self._cinder_quotas(project),
            *self._neutron_quotas(project),
        ]

    def _cinder_quotas(self, project: str) -> Iterator[Quota]:
        path, usage = f"/os-quota-sets/{project}", {"usage": "True"}
        told = self._told(lambda: self._api.get(Service.BLOCK, path, "read Cinder's quotas", params=usage))
        if told is None:
            limits = self._told(lambda: self._api.get(Service.BLOCK, "/limits", "read Cinder's limits"))
            yield from _limits(limits, CINDER_LIMITS)
            return
        for key, entry in told["quota_set"].items():
            if not isinstance(entry, dict):
                continue  # the project's id
            for name, of in CINDER.items():
                if key == name or key.startswith(f"{name}_"):
                    used = int(entry.get("in_use", 0)) + int(entry.get("reserved", 0))
                    yield Quota(of, _limit(entry["limit"]), used, key[len(name) + 1 :])

    def _neutron_quotas(self, project: str) -> Iterator[Quota]:
        path = f"/quotas/{project}"
        told = self._told(lambda: self._api.get(Service.NETWORK, f"{path}/details", "read Neutron's quotas"))
        if told is not None:
            for key, of in NEUTRON.items():
                if entry := told["quota"].get(key):
                    used = int(entry.get("used", 0)) + int(entry.get("reserved", 0))
                    yield Quota(of, _limit(entry["limit"]), used)
            return
        told = self._told(lambda: self._api.get(Service.NETWORK, path, "read Neutron's quotas"))
        held = {"port": self.ports, "floatingip": self.floating_ips}
        for key, of in NEUTRON.items():
            if told is not None and key in told["quota"]:
                yield Quota(of, _limit(told["quota"][key]), len(held[key]()))

    def _told(self, ask: Callable[[], Json]) -> Json | None:
        """Return an answer; None where the cloud has none for a tenant."""
        try:
            return ask()
        except NotFound:
            return None
        except Refused as refused:
            if refused.status not in UNTOLD:
                raise
            return None


def _limits(told: Json | None, names: Sequence[tuple[Quoted, str, str]]) -> Iterator[Quota]:
    absolute: Json = told["limits"]["absolute"] if told is not None else {}
    for of, limit, used in names:
        if limit in absolute and used in absolute:  # Cinder may keep what is used to itself
            yield Quota(of, _limit(absolute[limit]), int(absolute[used]))


def _limit(said: object) -> int | None:
    limit = int(str(said))
    return None if limit < 0 else limit
