"""Take the data of images out of one cloud, and into another; at both ends it is compared with what Glance says of it.

export   Glance ──► .part, digested as it comes ──► equal to Glance's hash? ──► the blob
import   record, tagged as unfinished ◄── the blob, digested as it goes ──► equal to the source's hash, and to Glance's? ──► untagged
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from os_migrate.errors import CloudError, DigestMismatch, OSMigrateError, Problem, UserError
from os_migrate.events import Events, Note, Progress
from os_migrate.files.blobs import Blobs, Fingerprint, Reading, Seen, can_digest
from os_migrate.model import ImageId
from os_migrate.pool import Work, at_once
from os_migrate.resources.compare import Action, Verb
from os_migrate.resources.images import COLLECTION, without_data
from os_migrate.resources.kind import Resource, own
from os_migrate.rest import UNFINISHED, ImageData, Json
from os_migrate.world import Clock, Cloud

AT_ONCE: Final = 2
"""Two fill a link that one leaves idle while its hash is compared; more would only share it."""

ROOM_BYTES: Final = 64 << 20
"""What is left free beside the data: the files and the journal are on the same disk."""

PAUSE_S: Final = 1.0
FIXED: Final = frozenset({"container_format", "disk_format"})
"""What Glance takes only before there is data."""


@dataclass(frozen=True)
class Fetched:
    """What became of an image's data at an export; `error` says why it isn't there."""

    resource: Resource
    file: Path
    is_new: bool = False
    error: OSMigrateError | None = None


def hashes_of(resource: Resource) -> dict[str, str]:
    """Return the hashes that a file says of an image's data, the better first."""
    return _hashes(resource.params.get("hash_algo"), resource.params.get("hash_value"), resource.info.get("checksum"))


def fingerprint_of(resource: Resource) -> Fingerprint:
    """Return what a file says of an image's data."""
    told = resource.info.get("size")
    size = told if type(told) is int else None
    known = [(algorithm, value) for algorithm, value in hashes_of(resource).items() if can_digest(algorithm)]
    return Fingerprint(size, *known[0]) if known else Fingerprint(size)


def following(events: Events, clock: Clock, image: Resource, activity: str, total_bytes: int | None) -> Seen:
    """Return what tells how far an image is, once a second; a run that is to stop stops there."""
    told = 0.0

    def seen(done: int) -> None:
        nonlocal told
        clock.sleep(0.0)
        if clock.now() - told >= PAUSE_S or done == total_bytes:
            told = clock.now()
            events.tell(
                Progress(disk=f"image {image.name}", activity=activity, done_bytes=done, total_bytes=total_bytes or 0)
            )

    return seen


def fetch(cloud: ImageData, images: Sequence[Resource], blobs: Blobs, events: Events, clock: Clock) -> list[Fetched]:
    """Download the data of images, as far as it isn't there. One that fails stops no other; without room for all nothing is begun."""
    lanes = [0]
    looks = [Work(partial(_is_there, image, blobs, events, clock)) for image in images]
    there = at_once(looks, threads=AT_ONCE, lanes=lanes, stop=clock.stop)
    missing = [image for image, file in zip(images, there, strict=True) if file is None]
    done = {id(i): Fetched(i, file) for i, file in zip(images, there, strict=True) if file is not None}
    if missing:
        try:
            _need_room(missing, blobs)
        except UserError as error:
            new = [Fetched(image, blobs.path(image.id, image.name), error=error) for image in missing]
        else:
            works = [Work(partial(_fetch, cloud, image, blobs, events, clock)) for image in missing]
            new = at_once(works, threads=AT_ONCE, lanes=lanes, stop=clock.stop)
        done |= {id(fetched.resource): fetched for fetched in new}
    return [done[id(image)] for image in images]


def _is_there(image: Resource, blobs: Blobs, events: Events, clock: Clock, _lane: int) -> Path | None:
    wanted = fingerprint_of(image)
    seen = following(events, clock, image, "check", wanted.size_bytes)
    try:
        file = blobs.find(image.id, image.name)
        return file if file is not None and blobs.is_right(file, wanted, seen) else None
    except UserError:  # it can't be read: then it comes anew
        return None


def _need_room(images: Sequence[Resource], blobs: Blobs) -> None:
    need = sum(fingerprint_of(image).size_bytes or 0 for image in images)
    free = blobs.free_bytes()
    if need + ROOM_BYTES > free:
        what = (
            f"the data of {len(images)} images takes {need >> 20} MiB, and {blobs.directory} has {free >> 20} MiB left"
        )
        remedy = "make room, choose fewer by a filter, or set os_migrate_image_blobs_dir to a larger disk"
        raise UserError(what, remedy=remedy)


def _fetch(cloud: ImageData, image: Resource, blobs: Blobs, events: Events, clock: Clock, _lane: int) -> Fetched:
    file = blobs.path(image.id, image.name)
    wanted = fingerprint_of(image)
    if not wanted.algorithm:
        events.tell(Note(text=f"{image}: its cloud tells no hash of its data: only its size is compared", warning=True))
    try:
        with cloud.read_image(image.id) as pieces:
            blobs.write(file, pieces, wanted, following(events, clock, image, "download", wanted.size_bytes))
    except OSMigrateError as error:
        events.tell(Note(text=f"{image}: {error}", warning=True))
        return Fetched(image, file, error=error)
    return Fetched(image, file, is_new=True)


class Images:
    """What images hold, where they are imported: `importing.Contents`."""

    def __init__(self, cloud: Cloud, blobs: Blobs, events: Events, clock: Clock, timeout_s: float) -> None:
        self._cloud = cloud
        self._blobs = blobs
        self._events = events
        self._clock = clock
        self._timeout_s = timeout_s
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def problems(self, action: Action) -> list[Problem]:
        """Return why an image can't be made, or isn't the one that is there."""
        image, thing = action.resource, action.thing
        if action.verb is Verb.CREATE or thing is None:
            why = self._cant_be_made(image)
        elif thing.get("status") != "active":
            what = f"{image} is there already ({thing['id']}), and is {thing.get('status')}"
            why = (what, "reactivate it, or delete it in the destination")
        else:
            why = self._is_another(image, thing)
        return [Problem(image.where, *why)] if why else []

    def _cant_be_made(self, image: Resource) -> tuple[str, str] | None:
        properties = image.params.get("properties")
        if reason := without_data(properties if isinstance(properties, dict) else {}, image.info.get("size")):
            return f"{image} can't be made: {reason}", "take it out of the file, or leave it out by a filter"
        file = self._blob(image)
        again = "export the images again, with os_migrate_export_images_blobs: true"
        if file is None:
            expected = self._blobs.path(image.id, image.name)
            return f"the data of {image} isn't there: {expected}", f"{again}, or put it there"
        size, wanted = self._blobs.size_bytes(file), fingerprint_of(image).size_bytes
        if wanted is not None and size != wanted:
            return f"the data of {image} has {size} bytes, and should have {wanted}: {file}", again
        return None

    def _is_another(self, image: Resource, thing: Json) -> tuple[str, str] | None:
        """Return why an image of that name holds something else, or can't be compared."""
        there = f"{image} is there already ({thing['id']}), and"
        remedy = "rename or delete the image in the destination, map it to another name, or leave it out by a filter"
        said, its = hashes_of(image), _glances(thing)
        file = self._blob(image)
        if not said and file is None:
            return None  # the file says nothing of its data
        algorithm = _common(said, its)
        if not algorithm and file is not None:
            algorithm = next(filter(can_digest, its), "")
            if algorithm:
                seen = following(self._events, self._clock, image, "check", self._blobs.size_bytes(file))
                said = {algorithm: self._blobs.digest(file, algorithm, seen)}
        if not algorithm:
            return (
                f"{there} the two have no hash in common",
                f"export its data, so that it can be compared, or {remedy}",
            )
        if said[algorithm] != its[algorithm]:
            return f"{there} holds something else: its {algorithm} is {its[algorithm]}, not {said[algorithm]}", remedy
        return None

    def make(self, action: Action, body: Json) -> Json:
        """Create an image with its data; one that a run which died has left is finished if it has its data, else made anew."""
        image = action.resource
        tags = body.get("tags", [])
        with self._turns:
            self._clock.sleep(0.0)  # who waited for a turn may have to stop
            for left in self._left(str(body["name"])):
                if self._is_whole(image, body, left):
                    changeable = {key: value for key, value in body.items() if key not in FIXED}
                    return self._cloud.update_in(COLLECTION, left["id"], {**changeable, "tags": tags})
                self._cloud.delete_image(ImageId(left["id"]))
            file = self._blob(image)
            if file is None:
                raise UserError(f"the data of {image} is gone since it was looked for", remedy="export it again")
            made = self._cloud.create_in(COLLECTION, {**body, "tags": [UNFINISHED]})
            try:
                self._fill(image, made["id"], file)
            except OSMigrateError as error:
                self._take_away(image, made["id"], error)
                raise
            return self._cloud.update_in(COLLECTION, made["id"], {"tags": tags})

    def _left(self, name: str) -> list[Json]:
        """Return what runs that died have left of an image."""
        project_id = self._cloud.project_id()
        found = self._cloud.list_of(COLLECTION, {"tag": UNFINISHED})
        return [thing for thing in found if own(thing, project_id) and thing.get("name") == name]

    def _is_whole(self, image: Resource, body: Json, left: Json) -> bool:
        """Say whether what was left has all its data: Glance's hash is the source's."""
        said, its = hashes_of(image), _glances(left)
        algorithm = _common(said, its)
        proven = algorithm != "" and said[algorithm] == its[algorithm]
        return left.get("status") == "active" and proven and all(left.get(key) == body.get(key) for key in FIXED)

    def _fill(self, image: Resource, image_id: str, file: Path) -> None:
        """Upload the data, and see that it is the source's, and that Glance has it.

        Raises:
            DigestMismatch: it isn't.
        """
        wanted = fingerprint_of(image)
        size = self._blobs.size_bytes(file)
        seen = following(self._events, self._clock, image, "upload", size)
        reading = Reading(file, wanted.algorithm or "sha512", seen)
        thing = self._cloud.write_image(image_id, reading, self._timeout_s)
        if wanted.algorithm and reading.digest != wanted.digest:
            what = f"{file} isn't what was exported: {reading.algorithm} {reading.digest}, not {wanted.digest}"
            raise DigestMismatch(what, remedy="delete it, and export the images again")
        its = _glances(thing)
        algorithm = reading.algorithm if reading.algorithm in its else next(filter(can_digest, its), "")
        if not algorithm:
            what = f"nothing proves image {image_id}: its cloud tells no hash of it"
            raise DigestMismatch(what, remedy="Glance must compute one: os_hash_value, or checksum")
        ours = reading.digest
        if algorithm != reading.algorithm:
            ours = self._blobs.digest(file, algorithm, following(self._events, self._clock, image, "check", size))
        if its[algorithm] != ours:
            what = f"what arrived isn't what was sent: {algorithm} {its[algorithm]}, not {ours}"
            raise DigestMismatch(what, remedy="try again; if it stays so, something between changes the data")

    def _take_away(self, image: Resource, image_id: str, error: OSMigrateError) -> None:
        try:
            self._cloud.delete_image(ImageId(image_id))
        except CloudError as left:
            text = f"{image}: {image_id} stays until the next import of it, after {error.what}: {left}"
            self._events.tell(Note(text=text, warning=True))

    def _blob(self, image: Resource) -> Path | None:
        return self._blobs.find(image.id, image.name)


def _glances(thing: Json) -> dict[str, str]:
    """Return the hashes that Glance tells of an image, the better first."""
    return _hashes(thing.get("os_hash_algo"), thing.get("os_hash_value"), thing.get("checksum"))


def _hashes(algorithm: object, value: object, md5: object) -> dict[str, str]:
    said = [(algorithm, value), ("md5", md5)]
    return {algo: text for algo, text in said if isinstance(algo, str) and isinstance(text, str) and text}


def _common(some: Mapping[str, str], others: Mapping[str, str]) -> str:
    """Return the best algorithm that both have a hash of, "" if there is none."""
    return next((algorithm for algorithm in some if algorithm in others), "")
