"""How the data of images goes over the wire: to and from a small Glance on a socket of this machine."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests_mock
import stamina

from os_migrate.cloud import OpenStackCloud, connect
from os_migrate.errors import CloudError, CloudUnavailable, NotFound
from os_migrate.files.blobs import Reading
from os_migrate.resources.images import COLLECTION as IMAGES
from os_migrate.rest import UNFINISHED
from os_migrate.settings import CloudSettings
from tests.fakes.seam import FakeClock
from tests.unit.test_cloud_http import AUTH, Wire, _service, _version

# The SDK warns of the end of its statistics, which nobody asked it for.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:openstack.*")

DATA = bytes(range(256)) * 10_000


@dataclass
class Glance:
    """What it has, what it is asked, and how it goes wrong."""

    image: dict[str, object] = field(default_factory=lambda: {"id": "i1", "name": "web", "status": "queued"})
    data: bytes = b""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    patches: list[object] = field(default_factory=list)
    refuses: int = 0
    loses_answer: bool = False
    cuts: int = 0
    expires: int = 0

    def put(self, handler: BaseHTTPRequestHandler) -> None:
        came = handler.rfile.read(int(handler.headers["Content-Length"]))
        if self.expires:
            self.expires -= 1
            handler.send_error(401)
        elif self.refuses:
            handler.send_error(self.refuses, "storage media is full")
        else:
            self.data = came
            self.image |= {"status": "active", "size": len(came)}
            if self.loses_answer:
                handler.close_connection = True
                return
            handler.send_response(204)
            handler.end_headers()

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        if self.refuses:
            handler.send_error(self.refuses, "not for you")
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(self.data)))
        handler.end_headers()
        handler.wfile.write(self.data[: len(self.data) - self.cuts])
        handler.close_connection = True


@pytest.fixture
def glance() -> Glance:
    return Glance()


@pytest.fixture
def cloud(glance) -> Iterator[OpenStackCloud]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _told(self) -> None:
            glance.asked.append((self.command, self.path, dict(self.headers)))

        def _answer(self, body: object) -> None:
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self._told()
            match self.path.rstrip("/"):
                case "":
                    self._answer({"versions": [_version("v2.9", f"http://127.0.0.1:{server.server_port}/v2")]})
                case "/v2/images":
                    self._answer({"images": [glance.image]})
                case "/v2/images/i1":
                    self._answer(glance.image)
                case "/v2/images/i1/file":
                    glance.get(self)
                case _:
                    self.send_error(404)

        def do_PUT(self) -> None:
            self._told()
            glance.put(self)

        def do_POST(self) -> None:
            self._told()
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(glance.refuses)

        def do_PATCH(self) -> None:
            self._told()
            glance.patches.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(glance.image)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with requests_mock.Mocker(real_http=True) as mocker, stamina.set_testing(True, attempts=2, cap=True):
            wire = Wire(mocker)
            wire.lose("image")
            wire.token["catalog"].append(_service("image", f"http://127.0.0.1:{server.server_port}"))
            yield connect(CloudSettings(auth=AUTH), None, name="there", clock=FakeClock())
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def reading(tmp_path) -> Reading:
    file = tmp_path / "blob"
    file.write_bytes(DATA)
    return Reading(file, "sha512", lambda _: None)


def puts(glance: Glance) -> list[dict[str, str]]:
    return [headers for method, _, headers in glance.asked if method == "PUT"]


def test_data_is_sent_with_its_length_once(cloud, glance, reading):
    assert cloud.write_image("i1", reading, 60)["status"] == "active"
    assert glance.data == DATA
    (headers,) = puts(glance)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Length"] == str(len(DATA))
    assert "Transfer-Encoding" not in headers


def test_data_whose_token_has_expired_is_sent_again_from_its_beginning(cloud, glance, reading):
    glance.expires = 1
    cloud.write_image("i1", reading, 60)
    assert glance.data == DATA
    assert len(puts(glance)) == 2


def test_data_that_arrived_though_the_answer_was_lost_has_arrived(cloud, glance, reading):
    glance.loses_answer = True
    assert cloud.write_image("i1", reading, 60)["size"] == len(DATA)
    assert len(puts(glance)) == 1


def test_data_that_did_not_arrive_is_not_sent_twice(cloud, glance, reading):
    glance.refuses = 503
    with pytest.raises(CloudUnavailable, match="upload the data of image i1"):
        cloud.write_image("i1", reading, 60)
    assert len(puts(glance)) == 1


def test_an_image_is_created_once_even_if_glance_is_busy(cloud, glance):
    glance.refuses = 503
    with pytest.raises(CloudUnavailable):
        cloud.create_in(IMAGES, {"name": "web"})
    assert [method for method, _, _ in glance.asked].count("POST") == 1


def test_refused_data_has_the_services_status_and_a_remedy(cloud, glance, reading):
    glance.refuses = 413
    with pytest.raises(CloudError, match="HTTP 413") as caught:
        cloud.write_image("i1", reading, 60)
    assert "quota" in caught.value.remedy


def test_what_breaks_while_it_is_read_is_raised_as_it_is(cloud, glance, tmp_path):
    file = tmp_path / "blob"
    file.write_bytes(DATA)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cloud.write_image("i1", Reading(file, "sha512", stop), 60)


def test_an_image_that_does_not_become_active_says_what_it_is(cloud, glance, reading, monkeypatch):
    monkeypatch.setattr(Glance, "put", lambda self, handler: (handler.send_response(204), handler.end_headers()))
    glance.image["status"] = "killed"
    with pytest.raises(CloudError, match="image i1 is killed after its data was sent"):
        cloud.write_image("i1", reading, 60)


def test_data_comes_in_pieces(cloud, glance):
    glance.data = DATA
    with cloud.read_image("i1") as pieces:
        came = list(pieces)
    assert b"".join(came) == DATA
    assert len(came) == 3


def test_data_that_ends_early_is_an_error(cloud, glance):
    glance.data, glance.cuts = DATA, 1000
    with cloud.read_image("i1") as pieces, pytest.raises(CloudUnavailable, match="download image i1"):
        list(pieces)


@pytest.mark.parametrize(("status", "error"), [(403, CloudError), (404, NotFound), (503, CloudUnavailable)])
def test_data_that_is_refused_is_not_read(cloud, glance, status, error):
    glance.refuses = status
    with pytest.raises(error, match="download image i1"), cloud.read_image("i1"):
        pass


def test_a_patch_replaces_what_is_there_adds_what_is_not_and_removes_what_is_null(cloud, glance):
    glance.image |= {"hw_disk_bus": "scsi", "os_type": "linux"}
    cloud.update_in(IMAGES, "i1", {"hw_disk_bus": "ide", "a/b~c": "x", "os_type": None, "os_distro": None})
    assert glance.patches == [
        [
            {"op": "replace", "path": "/hw_disk_bus", "value": "ide"},
            {"op": "add", "path": "/a~1b~0c", "value": "x"},
            {"op": "remove", "path": "/os_type"},
        ]
    ]
    (headers,) = [headers for method, _, headers in glance.asked if method == "PATCH"]
    assert headers["Content-Type"] == "application/openstack-images-v2.1-json-patch"


def test_a_patch_of_nothing_is_not_sent(cloud, glance):
    assert cloud.update_in(IMAGES, "i1", {"os_type": None})["name"] == "web"
    assert glance.patches == []


def test_an_unfinished_image_is_no_image_for_servers(cloud, glance):
    assert [image.name for image in cloud.images()] == ["web"]
    glance.image["tags"] = [UNFINISHED]
    assert cloud.images() == []
