"""The fake's quotas, kept as the real clouds keep them: what would go beyond one is refused."""

from collections.abc import Sequence
from typing import Final

from os_migrate.model import ApiVersions, Quota, Quoted
from tests.fakes.state import State

OF_TYPES: Final = (Quoted.VOLUMES, Quoted.SNAPSHOTS, Quoted.GIGABYTES)


class FakeQuotas(State):
    """The part of `world.Cloud` that says what there may be."""

    def api_versions(self) -> ApiVersions:
        with self._reads("api_versions"):
            return self.offers

    def quotas(self) -> Sequence[Quota]:
        with self._reads("quotas"):
            return self._quotas()

    def _quotas(self) -> list[Quota]:
        types = ["", *(t.name for t in self._volume_types)]
        kinds = [(of, t) for of in Quoted for t in (types if of in OF_TYPES else [""])]
        untold = self.untold_quotas
        return [Quota(of, self.limits.get((of, t)), self._used(of, t), t) for of, t in kinds if of not in untold]

    def _used(self, of: Quoted, volume_type: str) -> int:
        flavors = {f.name: f for f in self._flavors}
        held = [flavors[m.view.flavor_name] for m in self._machines.values()]
        volumes = {v.view.id: v.view for v in self._volumes.values()}
        snapshots = [volumes[s.view.volume_id] for s in self._snapshots.values()]
        of_type = [v for v in volumes.values() if volume_type in {"", v.volume_type}]
        snapshots = [v for v in snapshots if volume_type in {"", v.volume_type}]
        match of:
            case Quoted.INSTANCES:
                return len(held)
            case Quoted.CORES:
                return sum(f.vcpus for f in held)
            case Quoted.RAM:
                return sum(f.ram_mib for f in held)
            case Quoted.VOLUMES:
                return len(of_type)
            case Quoted.SNAPSHOTS:
                return len(snapshots)
            case Quoted.GIGABYTES:
                return sum(v.size_gib for v in [*of_type, *snapshots])
            case Quoted.VOLUME_SIZE:
                return 0
            case Quoted.PORTS:
                return len(self._ports)
            case Quoted.FLOATING_IPS:
                return len(self._floating_ips)

    def _refuse_beyond(self, *wanted: tuple[Quoted, int], volume_type: str = "") -> None:
        """Refuse what goes beyond a quota of the project, or of the volume type."""
        for of, amount in wanted:
            for kind in {"", volume_type} if of in OF_TYPES else {""}:
                limit = self.limits.get((of, kind))
                if limit is not None and self._used(of, kind) + amount > limit:
                    raise self._refuse(f"quota exceeded for {of} {kind}".rstrip())
