"""Whether what a run makes fits the quotas of both projects, at the worst.

What lasts adds up over all servers. What is temporary (in the source: a snapshot and a volume for each boot disk) is there for as many
servers at once as are migrated at once, so the largest of them count. A snapshot counts as large as its volume: a cloud can be
told not to count it (no_snapshot_gb_quota), but doesn't tell a tenant; then os_migrate_check_quotas is to be false.

Source: https://docs.openstack.org/cinder/latest/configuration/block-storage/samples/cinder.conf.html
"""

from collections.abc import Iterable, Iterator, Sequence

from os_migrate.errors import Problem
from os_migrate.model import Quota, Quoted, Side
from os_migrate.plan.made import Kind, Made

NAMES = {Quoted.GIGABYTES: "gigabytes of volumes and snapshots"}


def shortages(side: Side, quotas: Iterable[Quota], by_server: Sequence[Sequence[Made]], parallel: int) -> list[Problem]:
    """Return each quota of a side's project that is too small for what is made there for each server."""
    here = [[made for made in of_server if made.side is side] for of_server in by_server]
    found: list[Problem] = []
    for quota in quotas:
        if quota.limit is None:
            continue
        if quota.of is Quoted.VOLUME_SIZE:
            found += _too_large(side, quota.limit, here)
            continue
        lasting = sum(_amount(quota, made) for of_server in here for made in of_server if not made.temporary)
        brief = [sum(_amount(quota, made) for made in of_server if made.temporary) for of_server in here]
        at_once = sorted((amount for amount in brief if amount), reverse=True)[:parallel]
        needed = lasting + sum(at_once)
        missing = quota.used + needed - quota.limit
        if needed and missing > 0:
            found.append(_shortage(side, quota, quota.limit, needed, at_once))
    return found


def untold(quotas: Iterable[Quota], by_server: Iterable[Iterable[Made]], side: Side) -> list[Quoted]:
    """Return what is needed and the cloud tells no quota of, so that nobody can say whether it is enough."""
    told = {quota.of for quota in quotas if not quota.volume_type}
    needed = {of for made_of in by_server for made in made_of if made.side is side for of, _ in _counts(made)}
    return [of for of in Quoted if of in needed - told and of is not Quoted.VOLUME_SIZE]


def _shortage(side: Side, quota: Quota, limit: int, needed: int, at_once: Sequence[int]) -> Problem:
    name = NAMES.get(quota.of, quota.of.value) + (f" of type {quota.volume_type!r}" if quota.volume_type else "")
    enough = quota.used + needed
    of_brief = f", {sum(at_once)} of them for a while, for {len(at_once)} servers at once" if at_once else ""
    what = f"its quota of {name} is {limit}, {quota.used} are used, {needed} more are needed{of_brief}"
    remedy = f"have it raised by {enough - limit}, to {enough}; free that many; or migrate fewer (--filter)"
    if len(at_once) > 1:
        remedy += ", or fewer at once (os_migrate_workloads_parallel)"
    return Problem(f"{side} project", f"{what}: {enough - limit} too many", remedy)


def _too_large(side: Side, limit: int, by_server: Iterable[Iterable[Made]]) -> Iterator[Problem]:
    for made in (made for of_server in by_server for made in of_server):
        if made.kind is Kind.VOLUME and made.size_gib > limit:
            what = f"a volume may have {limit} GiB there, and {made.name!r} is to have {made.size_gib}"
            yield Problem(f"{side} project", what, f"have its quota per_volume_gigabytes raised to {made.size_gib}")


def _amount(quota: Quota, made: Made) -> int:
    if quota.volume_type and quota.volume_type != made.volume_type:
        return 0
    return sum(amount for of, amount in _counts(made) if of is quota.of)


def _counts(made: Made) -> tuple[tuple[Quoted, int], ...]:
    """Return what something counts for."""
    match made.kind:
        case Kind.SERVER:
            cores, ram = (made.flavor.vcpus, made.flavor.ram_mib) if made.flavor else (0, 0)
            return (Quoted.INSTANCES, 1), (Quoted.CORES, cores), (Quoted.RAM, ram)
        case Kind.VOLUME:
            return (Quoted.VOLUMES, 1), (Quoted.GIGABYTES, made.size_gib)
        case Kind.SNAPSHOT:
            return (Quoted.SNAPSHOTS, 1), (Quoted.GIGABYTES, made.size_gib)
        case Kind.PORT:
            return ((Quoted.PORTS, 1),)
        case Kind.FLOATING_IP:
            return ((Quoted.FLOATING_IPS, 1),)
        case Kind.IMAGE:  # Glance tells a tenant no quota
            return ()
