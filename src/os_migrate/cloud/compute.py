"""Nova: servers, flavors, key pairs, zones."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from urllib.parse import quote

from os_migrate.cloud import views
from os_migrate.cloud.calls import Api, Json, Refused, Service
from os_migrate.cloud.waiting import Sights, wait_to_see
from os_migrate.errors import CloudError, NotFound
from os_migrate.model import (
    BlockDevice,
    Flavor,
    ImageId,
    Named,
    Nic,
    Server,
    ServerAction,
    ServerGroup,
    ServerGroupId,
    ServerId,
    ServerSpec,
    ServerStatus,
    at_least,
)

MICROVERSION = "2.90"
"""The newest that is used (a hostname that isn't the name's); what is missing in an older cloud is done without, or refused.

Source: https://docs.openstack.org/nova/latest/reference/api-microversion-history.html
"""

DELETE_TIMEOUT_S = 300.0


class Compute:
    """The part of `world.Cloud` that Nova answers."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def servers(self) -> Sequence[Server]:
        """Return the project's servers. Devices of their volumes are told by `server` only."""
        raws = self._raw_servers()
        return [views.server(raw, views.unlocated_volumes(raw), self._flavor_of(raw)) for raw in raws]

    def server(self, server_id: ServerId) -> Server:
        """Return a server with its volumes in Nova's order."""
        raw = self._raw_server(server_id)
        return views.server(raw, views.server_volumes(raw, self._raw_attachments(server_id)), self._flavor_of(raw))

    def server_actions(self, server_id: ServerId) -> Sequence[ServerAction]:
        """Return what was done to a server, by anybody; nothing where the cloud doesn't tell a tenant.

        Source: https://docs.openstack.org/api-ref/compute/#servers-actions-servers-os-instance-actions
        """
        try:
            body = self._get(f"/servers/{server_id}/os-instance-actions", f"read what was done to server {server_id}")
        except Refused as refused:
            if refused.status != HTTPStatus.FORBIDDEN:
                raise
            return []
        return [ServerAction(raw["request_id"], raw["action"]) for raw in body["instanceActions"]]

    def server_security_groups(self, server_id: ServerId) -> Sequence[Named]:
        """Return the security groups of a server, as Nova lists them."""
        body = self._get(f"/servers/{server_id}/os-security-groups", f"read the security groups of server {server_id}")
        return [views.named(raw) for raw in body["security_groups"]]

    def flavors(self) -> Sequence[Flavor]:
        """Return the flavors that the project can use."""
        pages = self._api.pages(
            Service.COMPUTE, "/flavors/detail", "flavors", "list the flavors", microversion=self._version()
        )
        return [views.flavor(raw) for raw in pages]

    def keypairs(self) -> Sequence[Named]:
        """Return the user's key pairs (id and name are equal)."""
        body = self._get("/os-keypairs", "list the key pairs")
        names = [entry["keypair"]["name"] for entry in body["keypairs"]]
        return [Named(id=name, name=name) for name in names]

    def availability_zones(self) -> Sequence[Named]:
        """Return Nova's available zones."""
        body = self._get("/os-availability-zone", "list Nova's availability zones")
        zones = [zone for zone in body["availabilityZoneInfo"] if zone["zoneState"]["available"]]
        return [Named(id=zone["zoneName"], name=zone["zoneName"]) for zone in zones]

    def server_groups(self) -> Sequence[ServerGroup]:
        """Return the project's server groups."""
        return [
            views.server_group(raw) for raw in self._get("/os-server-groups", "list the server groups")["server_groups"]
        ]

    def create_server_group(self, name: str, policy: str, max_server_per_host: int | None) -> ServerGroupId:
        """Create a server group."""
        wanted: Json = {"name": name}
        if at_least(self._version(), "2.64"):
            wanted["policy"] = policy
            if max_server_per_host is not None:
                wanted["rules"] = {"max_server_per_host": max_server_per_host}
        else:
            wanted["policies"] = [policy]
        doing, version = f"create server group {name!r}", self._version()
        answer = self._api.post(
            Service.COMPUTE, "/os-server-groups", doing, {"server_group": wanted}, microversion=version
        )
        return ServerGroupId(answer.body["server_group"]["id"])

    def delete_server_group(self, group_id: ServerGroupId) -> None:
        """Delete a server group; the servers in it stay."""
        with suppress(NotFound):
            self._api.delete(
                Service.COMPUTE,
                f"/os-server-groups/{group_id}",
                f"delete server group {group_id}",
                microversion=self._version(),
            )

    def takes_hostnames(self) -> bool:
        """Say whether a server can be given a hostname, and shows it."""
        return at_least(self._version(), "2.90")

    def create_server(self, spec: ServerSpec) -> ServerId:
        """Ask for a server; don't wait."""
        doing = f"create server {spec.name!r}"
        version = self._version()
        if spec.tags and not at_least(version, "2.52"):
            raise CloudError(f"{self._api.name}: {doing}: this cloud is too old for tags", remedy="remove its tags")
        body = server_request(spec, has_description=at_least(version, "2.19"), must_say_none=at_least(version, "2.37"))
        answer = self._api.post(Service.COMPUTE, "/servers", doing, body, microversion=version, secret=spec.user_data)
        return ServerId(answer.body["server"]["id"])

    def await_server(self, server_id: ServerId, status: ServerStatus, timeout_s: float) -> Server:
        """Return the server when it has `status`; raise CloudError if it goes to ERROR or time runs out."""

        def judge(see: Callable[[], Json]) -> bool | None:
            raw = see()
            if raw["status"] == "ERROR" and status is not ServerStatus.ERROR:
                fault = (raw.get("fault") or {}).get("message") or "Nova gives no reason"
                raise CloudError(
                    f"{self._api.name}: server {raw.get('name')!r} ({server_id}) went to ERROR: {fault}",
                    remedy=f"see openstack server show {server_id}",
                )
            return True if views.server_status(raw)[0] is status else None

        what = f"{self._api.name}: server {server_id} becomes {status}"
        self._await_server(server_id, judge, what, timeout_s)
        return self.server(server_id)

    def stop_server(self, server_id: ServerId) -> None:
        """Ask Nova to shut the guest down; a server that is off already is fine."""
        self._switch(server_id, "os-stop", ServerStatus.SHUTOFF, "powering-off")

    def start_server(self, server_id: ServerId) -> None:
        """Ask Nova to start a server; one that runs already is fine."""
        self._switch(server_id, "os-start", ServerStatus.ACTIVE, "powering-on")

    def lock_server(self, server_id: ServerId) -> None:
        """Lock a server; one that is locked already is fine."""
        self._order(server_id, "lock")

    def unlock_server(self, server_id: ServerId) -> None:
        """Unlock a server; one that isn't locked is fine. Nova refuses it to a tenant where an administrator has locked it."""
        self._order(server_id, "unlock")

    def delete_server(self, server_id: ServerId) -> None:
        """Delete a server and wait until it is gone."""
        try:
            self._api.delete(
                Service.COMPUTE,
                f"/servers/{server_id}",
                f"delete server {server_id}",
                microversion=self._version(),
            )
        except NotFound:
            return

        def judge(see: Callable[[], Json]) -> bool | None:
            try:
                raw = see()
            except NotFound:
                return True
            if raw["status"] == "ERROR" and raw.get("OS-EXT-STS:task_state") != "deleting":
                fault = (raw.get("fault") or {}).get("message") or "Nova gives no reason"
                raise CloudError(
                    f"{self._api.name}: server {server_id} could not be deleted: {fault}",
                    remedy=f"try openstack server delete {server_id}, or ask the cloud's operator",
                )
            # A cloud may keep deleted servers for a while; for a tenant they are gone.
            return True if raw["status"] in ("DELETED", "SOFT_DELETED") else None

        what = f"{self._api.name}: server {server_id} is gone"
        self._await_server(server_id, judge, what, DELETE_TIMEOUT_S)

    def set_server_metadata(self, server_id: ServerId, metadata: Mapping[str, str | None]) -> None:
        """Set the given keys, remove those that are None."""
        doing = f"set metadata of server {server_id}"
        path = f"/servers/{server_id}/metadata"
        there = self._get(path, doing)["metadata"]
        wanted = {key: value for key, value in metadata.items() if value is not None and there.get(key) != value}
        if wanted:
            self._api.post(Service.COMPUTE, path, doing, {"metadata": wanted}, microversion=self._version())
        for key in [key for key, value in metadata.items() if value is None and key in there]:
            try:
                self._api.delete(Service.COMPUTE, f"{path}/{quote(key)}", doing, microversion=self._version())
            except NotFound:
                continue

    def create_server_image(self, server_id: ServerId, name: str, metadata: Mapping[str, str]) -> ImageId:
        """Ask Nova for an image of a server's local boot disk; don't wait."""
        answer = self._api.post(
            Service.COMPUTE,
            f"/servers/{server_id}/action",
            f"create image {name!r} of server {server_id}",
            {"createImage": {"name": name, "metadata": dict(metadata)}},
            microversion=self._version(),
        )
        if at_least(self._version(), "2.45"):
            return ImageId(answer.body["image_id"])
        return ImageId((answer.location or "").rstrip("/").rpartition("/")[2])

    def _version(self) -> str | None:
        return self._api.microversion(Service.COMPUTE, MICROVERSION)

    def _get(self, path: str, doing: str) -> Json:
        return self._api.get(Service.COMPUTE, path, doing, microversion=self._version())

    def _raw_server(self, server_id: ServerId) -> Json:
        raw: Json = self._get(f"/servers/{server_id}", f"read server {server_id}")["server"]
        return raw

    def _raw_servers(self) -> list[Json]:
        doing, version = "list the servers", self._version()
        return list(self._api.pages(Service.COMPUTE, "/servers/detail", "servers", doing, microversion=version))

    @cached_property
    def _servers_seen(self) -> Sights[Json]:
        return Sights(
            lambda key: self._raw_server(ServerId(key)), lambda: {raw["id"]: raw for raw in self._raw_servers()}
        )

    def _await_server(
        self, server_id: ServerId, judge: Callable[[Callable[[], Json]], bool | None], what: str, timeout_s: float
    ) -> None:
        seen, clock = self._servers_seen, self._api.clock
        wait_to_see(seen, server_id, judge, what=what, timeout_s=timeout_s, clock=clock)

    def _raw_attachments(self, server_id: ServerId) -> list[Json]:
        body = self._get(f"/servers/{server_id}/os-volume_attachments", f"read the volumes of server {server_id}")
        raws: list[Json] = body["volumeAttachments"]
        return raws

    def _flavor_of(self, raw: Json) -> Flavor:
        flavor: Json = raw.get("flavor") or {}
        if "original_name" in flavor:  # since 2.47
            return views.embedded_flavor(flavor)
        if "id" not in flavor:
            return Flavor("", "")
        if flavor["id"] not in self._flavors_read:
            self._flavors_read[flavor["id"]] = self._read_flavor(flavor["id"])
        return self._flavors_read[flavor["id"]]

    @cached_property
    def _flavors_read(self) -> dict[str, Flavor]:
        """By id, as they were read: a flavor never changes, and a list of servers names few again and again."""
        return {}

    def _read_flavor(self, flavor_id: str) -> Flavor:
        try:
            return views.flavor(self._get(f"/flavors/{flavor_id}", f"read flavor {flavor_id}")["flavor"])
        except NotFound:  # deleted since
            return Flavor(flavor_id, "")

    def _order(self, server_id: ServerId, action: str) -> None:
        self._api.post(
            Service.COMPUTE,
            f"/servers/{server_id}/action",
            f"{action} server {server_id}",
            {action: None},
            microversion=self._version(),
        )

    def _switch(self, server_id: ServerId, action: str, wanted: ServerStatus, on_the_way: str) -> None:
        try:
            self._api.post(
                Service.COMPUTE,
                f"/servers/{server_id}/action",
                f"{action.removeprefix('os-')} server {server_id}",
                {action: None},
                microversion=self._version(),
            )
        except Refused as refused:
            if refused.status != HTTPStatus.CONFLICT:
                raise
            raw = self._raw_server(server_id)
            if views.server_status(raw)[0] is not wanted and raw.get("OS-EXT-STS:task_state") != on_the_way:
                raise


def server_request(spec: ServerSpec, *, has_description: bool, must_say_none: bool) -> Json:
    """Return the body that asks for a server; what the spec leaves open is left to Nova.

    Source: https://docs.openstack.org/api-ref/compute/#create-server
    """
    local = next(
        (device.image_id for device in spec.block_devices if device.image_id and not device.volume_size_gib),
        None,
    )
    wanted = {
        "name": spec.name,
        "flavorRef": spec.flavor_id,
        "imageRef": spec.image_id or local,
        "block_device_mapping_v2": [_block_device(device) for device in spec.block_devices] or None,
        "networks": [_nic(nic) for nic in spec.nics] or ("none" if must_say_none else None),
        "key_name": spec.key_name,
        "availability_zone": spec.availability_zone,
        "config_drive": spec.config_drive,
        "OS-DCF:diskConfig": spec.disk_config,
        "description": spec.description if has_description else None,
        "metadata": dict(spec.metadata) or None,
        "tags": list(spec.tags) or None,
        "user_data": spec.user_data,
        "hostname": spec.hostname,
    }
    if any(nic.port_id is None for nic in spec.nics) and spec.security_group_names:  # a port that exists has its own
        wanted["security_groups"] = [{"name": name} for name in spec.security_group_names]
    body: Json = {"server": {key: value for key, value in wanted.items() if value is not None}}
    if spec.scheduler_hints:
        body["os:scheduler_hints"] = dict(spec.scheduler_hints)
    return body


def _block_device(device: BlockDevice) -> Json:
    entry: Json = {"boot_index": device.boot_index, "delete_on_termination": device.delete_on_termination}
    if device.volume_id:
        entry |= {"source_type": "volume", "destination_type": "volume", "uuid": device.volume_id}
    elif device.volume_size_gib:
        entry |= {"source_type": "image", "destination_type": "volume", "uuid": device.image_id}
        entry["volume_size"] = device.volume_size_gib
    else:
        # A local disk always goes with its server; Nova refuses another wish.
        entry |= {"source_type": "image", "destination_type": "local", "uuid": device.image_id}
        entry["delete_on_termination"] = True
    if device.device:
        entry["device_name"] = device.device
    return entry


def _nic(nic: Nic) -> Json:
    if nic.port_id:
        return {"port": nic.port_id}
    return {"uuid": nic.network_id} | ({"fixed_ip": nic.fixed_ip} if nic.fixed_ip else {})
