"""Find what the settings of the conversion hosts name, before anything is made: every problem at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from os_migrate.errors import PlanError, Problem, UserError
from os_migrate.hosts.hosting import Clouds, HostingCloud, only, prefix
from os_migrate.model import FlavorId, ImageId, Named, NetworkId, Side
from os_migrate.settings import HostSettings, Settings


@dataclass(frozen=True)
class Found:
    """What a host is made of. The external network is None where none is needed."""

    flavor: FlavorId
    image: ImageId
    external_network: NetworkId | None


def look(clouds: Clouds, settings: Settings, sides: Sequence[Side]) -> dict[Side, Found]:
    """Return what each side's host is made of. Raise PlanError with every problem of all sides."""
    looks = {side: _Look(clouds[side], settings.host(side), side) for side in sides}
    found = {side: look.all() for side, look in looks.items()}
    problems = [problem for look in looks.values() for problem in look.problems]
    if problems:
        raise PlanError(problems)
    return found


class _Look:
    """The references of one side's settings."""

    def __init__(self, cloud: HostingCloud, host: HostSettings, side: Side) -> None:
        self.problems: list[Problem] = []
        self._cloud = cloud
        self._host = host
        self._side = side

    def all(self) -> Found:
        """Resolve every reference; what isn't found is in `problems`."""
        cloud, host = self._cloud, self._host
        flavor = self._find("flavor", host.flavor_name, cloud.flavors, "host_flavor_name")
        image = self._find("image", host.image_name, cloud.images, "host_image_name")
        external = ""
        if host.manage_network or host.manage_fip:
            networks = [network for network in cloud.networks() if network.is_external]
            external = self._find(
                "external network", host.external_network_name, lambda: networks, "external_network_name"
            )
        if not host.manage_network:
            self._find("network", host.net_name, cloud.networks, "net_name")
            self._find("security group", host.secgroup_name, cloud.security_groups, "secgroup_name")
        return Found(FlavorId(flavor), ImageId(image), NetworkId(external) if external else None)

    def _find(self, what: str, name: str | None, candidates: Callable[[], Sequence[Named]], variable: str) -> str:
        where = f"{self._side} conversion host"
        variable = f"{prefix(self._side)}_{variable}"
        if not name:
            self.problems.append(Problem(where, f"no {what} is named", f"set {variable}"))
            return ""
        try:
            found = only(what, name, candidates())
        except UserError as error:
            self.problems.append(Problem(where, error.what, error.remedy))
            return ""
        if found is None:
            self.problems.append(Problem(where, f"the {what} {name!r} isn't there", f"create it, or set {variable}"))
            return ""
        return found.id
