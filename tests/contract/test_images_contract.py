"""What `rest.Rest` and `rest.ImageData` promise of images, asked of the fake and of real clouds alike: the rules of Glance."""

import hashlib
from collections.abc import Iterator

import pytest

from os_migrate.errors import CloudError, NotFound
from os_migrate.resources.images import COLLECTION as IMAGES
from os_migrate.rest import UNFINISHED, Json
from tests.contract.conftest import TIMEOUT_S, Place

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:openstack.*")

NOBODY = "00000000-0000-4000-8000-000000000000"
DATA = b"what is in the image " * 5000


class Pieces:
    """Data to send, in pieces; it may break."""

    def __init__(self, data: bytes = DATA, *, breaks: bool = False) -> None:
        self._data, self._breaks = data, breaks

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        for begin in range(0, len(self._data), 10_000):
            if self._breaks and begin:
                raise CloudError("the link broke")
            yield self._data[begin : begin + 10_000]


class Darkroom:
    """Makes images, and deletes them afterwards."""

    def __init__(self, place: Place) -> None:
        self.cloud = place.cloud
        self.place = place

    def make(self, **body: object) -> Json:
        body = {"name": self.place.name("image"), "disk_format": "raw", "container_format": "bare", **body}
        image = self.cloud.create_in(IMAGES, body)
        self.place.cleanup.callback(self.cloud.delete_image, image["id"])
        return image

    def filled(self, data: bytes = DATA, **body: object) -> Json:
        return self.cloud.write_image(self.make(**body)["id"], Pieces(data), TIMEOUT_S)

    def one(self, image: Json, **query: str) -> Json:
        (found,) = self.cloud.list_of(IMAGES, {"id": image["id"], **query})
        return found


@pytest.fixture
def room(place: Place) -> Darkroom:
    return Darkroom(place)


def test_a_new_image_is_queued_and_the_projects_own(room):
    image = room.make(min_disk=1, hw_disk_bus="scsi", tags=["a"])
    for found in (image, room.one(image)):
        assert (found["status"], found["owner"]) == ("queued", room.cloud.project_id())
        assert (found["min_disk"], found["hw_disk_bus"], found["tags"]) == (1, "scsi", ["a"])
        assert (found["protected"], found["os_hidden"], found["visibility"]) == (False, False, "shared")


def test_data_that_is_sent_is_hashed_and_read_again_as_it_was(room):
    image = room.filled()
    assert (image["status"], image["size"]) == ("active", len(DATA))
    assert image["os_hash_value"] == hashlib.new(image["os_hash_algo"], DATA).hexdigest()
    assert image["checksum"] in {None, hashlib.md5(DATA).hexdigest()}
    with room.cloud.read_image(image["id"]) as pieces:
        assert b"".join(pieces) == DATA
    assert room.one(image)["os_hash_value"] == image["os_hash_value"]


def test_an_image_takes_data_once(room):
    image = room.filled()
    with pytest.raises(CloudError):
        room.cloud.write_image(image["id"], Pieces(), TIMEOUT_S)
    with room.cloud.read_image(image["id"]) as pieces:
        assert b"".join(pieces) == DATA


def test_an_image_whose_upload_broke_is_not_whole_and_can_be_deleted(room):
    image = room.make()
    with pytest.raises(CloudError):
        room.cloud.write_image(image["id"], Pieces(breaks=True), TIMEOUT_S)
    found = room.one(image)
    assert found["status"] != "active" or found["size"] != len(DATA)
    room.cloud.delete_image(image["id"])
    assert room.cloud.list_of(IMAGES, {"id": image["id"]}) == []


def test_data_that_is_not_there_cannot_be_read(room):
    with pytest.raises(NotFound), room.cloud.read_image(NOBODY):
        pass


def test_data_is_not_sent_to_what_is_not_there(room):
    with pytest.raises(NotFound):
        room.cloud.write_image(NOBODY, Pieces(), TIMEOUT_S)


def test_a_reader_may_stop_early(room):
    image = room.filled()
    with room.cloud.read_image(image["id"]) as pieces:
        next(pieces)
    assert room.one(image)["status"] == "active"


def test_an_update_changes_what_is_given_adds_what_is_new_and_takes_null_away(room):
    image = room.filled(hw_disk_bus="scsi", os_type="linux", tags=["a"])
    body = {
        "hw_disk_bus": "virtio",
        "a/b~c": "new",
        "tags": ["b"],
        "min_disk": 2,
        "os_type": None,
        "hw_rng_model": None,
    }
    answer = room.cloud.update_in(IMAGES, image["id"], body)
    for found in (answer, room.one(image)):
        assert (found["hw_disk_bus"], found["a/b~c"], found["min_disk"], found["tags"]) == ("virtio", "new", 2, ["b"])
        assert "os_type" not in found
        assert found["os_hash_value"] == image["os_hash_value"]


def test_an_update_of_what_is_not_there_is_not_found(room):
    with pytest.raises(NotFound):
        room.cloud.update_in(IMAGES, NOBODY, {"min_disk": 1})


def test_formats_are_fixed_when_there_is_data(room):
    image = room.filled()
    with pytest.raises(CloudError):
        room.cloud.update_in(IMAGES, image["id"], {"disk_format": "qcow2"})
    assert room.one(image)["disk_format"] == "raw"


@pytest.mark.parametrize("body", [{"os_hash_value": "0"}, {"checksum": "0"}, {"size": 1}, {"status": "active"}])
def test_what_glance_finds_out_by_itself_cannot_be_written(room, body):
    image = room.filled()
    with pytest.raises(CloudError):
        room.cloud.update_in(IMAGES, image["id"], body)


def test_a_tenant_may_make_an_image_private_but_not_public(room):
    image = room.filled()
    with pytest.raises(CloudError):
        room.cloud.update_in(IMAGES, image["id"], {"visibility": "public"})
    assert room.cloud.update_in(IMAGES, image["id"], {"visibility": "private"})["visibility"] == "private"


def test_a_protected_image_is_not_deleted_until_it_is_not_protected_any_more(room):
    image = room.filled()
    room.cloud.update_in(IMAGES, image["id"], {"protected": True})
    with pytest.raises(CloudError):
        room.cloud.delete_from(IMAGES, image["id"])
    assert room.one(image)["status"] == "active"
    room.cloud.update_in(IMAGES, image["id"], {"protected": False})
    room.cloud.delete_from(IMAGES, image["id"])
    assert room.cloud.list_of(IMAGES, {"id": image["id"]}) == []


def test_a_hidden_image_is_listed_only_where_it_is_asked_for(room):
    image = room.filled()
    room.cloud.update_in(IMAGES, image["id"], {"os_hidden": True})
    assert room.cloud.list_of(IMAGES, {"id": image["id"]}) == []
    assert room.one(image, os_hidden="true")["os_hidden"] is True


def test_an_unfinished_image_is_found_by_its_tag_and_no_server_can_mean_it(room):
    image, other = room.make(tags=[UNFINISHED]), room.make()
    found = {thing["id"] for thing in room.cloud.list_of(IMAGES, {"tag": UNFINISHED})}
    assert image["id"] in found
    assert other["id"] not in found
    known = {thing.id for thing in room.cloud.images()}
    assert image["id"] not in known
    assert other["id"] in known
    room.cloud.update_in(IMAGES, image["id"], {"tags": []})
    assert image["id"] in {thing.id for thing in room.cloud.images()}
