"""What goes over the wire to a cloud, and what comes of the answers: on canned HTTP, without a socket."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import requests_mock
import stamina

from os_migrate.cloud import connect
from os_migrate.cloud.calls import Api
from os_migrate.errors import CloudError, CloudUnavailable, NotFound, UserError
from os_migrate.model import (
    AddressPair,
    ApiVersions,
    BlockDevice,
    DhcpOption,
    FlavorId,
    FloatingIpExtras,
    FloatingIpId,
    ImageId,
    NetworkId,
    Nic,
    PortId,
    PortSpec,
    QosPolicyId,
    Quota,
    Quoted,
    SecurityGroupId,
    ServerId,
    ServerSpec,
    ServerStatus,
    VolumeId,
    VolumeSpec,
)
from os_migrate.resources.neutron import neutron
from os_migrate.rest import Collection, Scope, Service
from os_migrate.settings import CloudSettings
from tests.fakes.seam import FakeClock

# The SDK warns of the end of its statistics, which nobody asked it for.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:openstack.*")

PASSWORD = "correct horse"
ROOT = "http://cloud.test"
NOVA, CINDER, GLANCE, NEUTRON = (f"{ROOT}/{part}" for part in ("compute/v2.1", "volume/v3", "image", "network"))
AUTH = {
    "auth_url": f"{ROOT}/identity/v3",
    "username": "operator",
    "password": PASSWORD,
    "project_name": "shop",
    "user_domain_id": "default",
    "project_domain_id": "default",
}


class Wire:
    """Canned answers, and what was asked."""

    def __init__(self, mocker: requests_mock.Mocker, nova_version: str = "2.93"):
        self.mocker = mocker
        mocker.get(f"{ROOT}/identity/v3", json={"version": _version("v3.14", f"{ROOT}/identity/v3")})
        self.token = token = {
            "expires_at": "2999-01-01T00:00:00Z",
            "issued_at": "2020-01-01T00:00:00Z",
            "methods": ["password"],
            "user": {"id": "u", "name": "operator", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "shop-id", "name": "shop", "domain": {"id": "default", "name": "Default"}},
            "roles": [],
            "catalog": [
                _service("identity", f"{ROOT}/identity/v3"),
                _service("compute", NOVA),
                _service("block-storage", CINDER),
                _service("image", GLANCE),
                _service("network", NEUTRON),
            ],
        }
        mocker.post(f"{ROOT}/identity/v3/auth/tokens", headers={"X-Subject-Token": "token"}, json={"token": token})
        mocker.get(NOVA, json={"version": _version("v2.1", NOVA, nova_version, "2.1")})
        for url in (CINDER, f"{CINDER}/"):
            mocker.get(url, json={"versions": [_version("v3.0", CINDER, "3.70", "3.0")]})
        mocker.get(GLANCE, json={"versions": [_version("v2.9", f"{GLANCE}/v2")]})
        mocker.get(NEUTRON, json={"versions": [_version("v2.0", f"{NEUTRON}/v2.0")]})

    def lose(self, kind: str) -> None:
        """Take a service out of the catalog."""
        self.token["catalog"] = [service for service in self.token["catalog"] if service["type"] != kind]

    def asked(self, method: str, path: str) -> list[requests.Request]:
        return [r for r in self.mocker.request_history if r.method == method and r.path == path.removeprefix(ROOT)]

    def body(self, method: str, path: str):
        (request,) = self.asked(method, path)
        return request.json()


def _version(number, url, version="", min_version=""):
    links = [{"rel": "self", "href": f"{url}/"}]
    return {"id": number, "status": "CURRENT", "version": version, "min_version": min_version, "links": links}


def _service(kind, url):
    endpoint = {"interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": url, "id": kind}
    return {"type": kind, "name": kind, "id": kind, "endpoints": [endpoint]}


@pytest.fixture
def wire():
    with requests_mock.Mocker() as mocker, stamina.set_testing(True, attempts=5, cap=True):
        yield Wire(mocker)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def cloud(wire, clock, told):
    return connect(CloudSettings(auth=AUTH), None, name="source", clock=clock, tell=told.append)


def server(**more):
    return {"id": "s1", "name": "web", "status": "ACTIVE", "flavor": {"original_name": "small"}, "image": ""} | more


def volume(**more):
    return {"id": "v1", "name": "disk", "status": "available", "size": 1, "attachments": []} | more


# Connecting --------------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_the_first_call(wire, cloud):
    assert wire.mocker.call_count == 0
    assert cloud.project_id() == "shop-id"
    assert cloud.calls == wire.mocker.call_count


def test_unknown_cloud_is_a_user_error_that_names_it(tmp_path):
    (tmp_path / "clouds.yaml").write_text("clouds: {}")
    with pytest.raises(UserError, match=r"source: .*nowhere"):
        connect(CloudSettings(cloud="nowhere"), tmp_path / "clouds.yaml", name="source")


def test_missing_clouds_yaml_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"clouds\.yaml"):
        connect(CloudSettings(cloud="src"), tmp_path / "clouds.yaml", name="source")


def test_broken_clouds_yaml_is_a_user_error_without_its_secrets(tmp_path):
    (tmp_path / "clouds.yaml").write_text(f"clouds:\n  src:\n    auth: {{password: {PASSWORD}\n  dst: [")
    with pytest.raises(UserError) as raised:
        connect(CloudSettings(cloud="src"), tmp_path / "clouds.yaml", name="source")
    assert PASSWORD not in str(raised.value)


def test_clouds_yaml_is_found_and_overridden_by_the_variables(wire, tmp_path):
    auth = "\n".join(f"      {key}: {value}" for key, value in AUTH.items())
    (tmp_path / "clouds.yaml").write_text(f"clouds:\n  src:\n    auth:\n{auth}\n")
    settings = CloudSettings(cloud="src", region_name="RegionOne")
    wire.mocker.get(f"{NOVA}/flavors/detail", json={"flavors": []})
    assert connect(settings, tmp_path / "clouds.yaml", name="source").flavors() == []


def test_wrong_password_is_told_without_it(wire, cloud):
    wire.mocker.post(
        f"{ROOT}/identity/v3/auth/tokens", status_code=401, json={"error": {"message": "denied", "code": 401}}
    )
    with pytest.raises(CloudError, match=r"source: authenticate: .*check user, password") as raised:
        cloud.project_id()
    assert PASSWORD not in str(raised.value)
    assert len(wire.asked("POST", "/identity/v3/auth/tokens")) == 1


def test_bad_certificate_names_the_setting(wire, cloud):
    for url in (f"{ROOT}/identity/v3", f"{ROOT}/identity/v3/auth/tokens"):
        wire.mocker.register_uri(
            "GET" if url.endswith("v3") else "POST", url, exc=requests.exceptions.SSLError("self-signed")
        )
    with pytest.raises(CloudError, match="ca_cert"):
        cloud.project_id()


def test_unreachable_cloud_is_unavailable(wire, cloud):
    wire.mocker.get(f"{ROOT}/identity/v3", exc=requests.exceptions.ConnectionError("refused"))
    wire.mocker.post(f"{ROOT}/identity/v3/auth/tokens", exc=requests.exceptions.ConnectionError("refused"))
    with pytest.raises(CloudUnavailable, match="auth_url"):
        cloud.project_id()


def test_each_thread_has_its_own_connection(wire, cloud):
    cloud.project_id()
    thread = threading.Thread(target=cloud.project_id)
    thread.start()
    thread.join()
    assert len(wire.asked("POST", "/identity/v3/auth/tokens")) == 2
    assert cloud.calls == wire.mocker.call_count


# Errors and retries ------------------------------------------------------------------------------------------------------


def test_reading_is_tried_again_when_the_cloud_is_busy_and_each_try_is_told(wire, cloud, told):
    answers = [
        {"status_code": 500},
        {"status_code": 503},
        {"status_code": 429, "headers": {"Retry-After": "7"}},
        {"exc": requests.exceptions.ReadTimeout("slow")},
        {"json": {"volume": volume()}},
    ]
    wire.mocker.get(f"{CINDER}/volumes/v1", answers)
    assert cloud.volume(VolumeId("v1")).name == "disk"
    assert [note.text.split(": ")[:2] for note in told] == [["source", "read volume v1"]] * 4
    assert "HTTP 500" in told[0].text
    assert told[3].text.endswith("timed out; trying again")


def test_outage_that_a_wait_outlasts_is_told(wire, cloud, told):
    gone = [{"status_code": 503}] * 6
    wire.mocker.get(f"{CINDER}/volumes/v1", [*gone, {"json": {"volume": volume()}}])
    cloud.await_volume(VolumeId("v1"), "available", 60)
    assert len(told) == 5  # four tries within one look at it, and one within the next


def test_retry_after_is_honoured(wire, cloud, monkeypatch):
    pauses = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    answers = [{"status_code": 429, "headers": {"Retry-After": "7"}}, {"json": {"volume": volume()}}]
    wire.mocker.get(f"{CINDER}/volumes/v1", answers)
    with stamina.set_testing(False):
        cloud.volume(VolumeId("v1"))
    assert pauses == [7.0]


def test_reading_gives_up_after_some_tries(wire, cloud):
    wire.mocker.get(f"{CINDER}/volumes/v1", status_code=503)
    with pytest.raises(CloudUnavailable, match=r"source: read volume v1: .*HTTP 503"):
        cloud.volume(VolumeId("v1"))
    assert len(wire.asked("GET", "/volume/v3/volumes/v1")) == 5


@pytest.mark.parametrize(
    "answer", [{"status_code": 500}, {"status_code": 503}, {"exc": requests.exceptions.ReadTimeout("slow")}]
)
def test_creating_is_never_sent_twice(wire, cloud, answer):
    wire.mocker.post(f"{CINDER}/volumes", **answer)
    with pytest.raises(CloudUnavailable):
        cloud.create_volume(VolumeSpec(name="disk", size_gib=1))
    assert len(wire.asked("POST", "/volume/v3/volumes")) == 1


def test_refusal_has_the_services_words_its_request_and_a_remedy(wire, cloud):
    wire.mocker.post(
        f"{CINDER}/volumes",
        status_code=413,
        headers={"x-openstack-request-id": "req-1"},
        json={"overLimit": {"message": "VolumeLimitExceeded: quota", "code": 413}},
    )
    with pytest.raises(CloudError) as raised:
        cloud.create_volume(VolumeSpec(name="disk", size_gib=1))
    said = str(raised.value)
    assert said.startswith("source: create volume 'disk': VolumeLimitExceeded: quota (HTTP 413, request req-1)")
    assert "have it raised" in said


@pytest.mark.parametrize(
    "body",
    [
        {"NeutronError": {"type": "X", "message": "no such thing", "detail": ""}},
        {"itemNotFound": {"code": 404, "message": "no such thing"}},
        {"message": "no such thing"},
    ],
)
def test_message_of_each_service_is_found(wire, cloud, body):
    wire.mocker.get(f"{CINDER}/volumes/v1", status_code=404, json=body)
    with pytest.raises(NotFound, match="no such thing"):
        cloud.volume(VolumeId("v1"))


def test_answer_that_is_not_json_is_unavailable(wire, cloud):
    wire.mocker.get(f"{CINDER}/volumes/v1", text="<html>a proxy</html>")
    with pytest.raises(CloudUnavailable):
        cloud.volume(VolumeId("v1"))


def test_user_data_gets_into_no_error_and_no_log(wire, cloud, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "c2VjcmV0" * 10
    message = f"Invalid input for user_data. Value: {secret}. is too long"
    wire.mocker.post(f"{NOVA}/servers", status_code=400, json={"badRequest": {"message": message, "code": 400}})
    spec = ServerSpec("web", FlavorId("f"), (), (), ImageId("i"), user_data=secret)
    with pytest.raises(CloudError, match="is too long") as raised:
        cloud.create_server(spec)
    assert secret not in str(raised.value)
    assert secret not in caplog.text
    assert secret not in repr(spec)


def test_lists_are_read_to_their_last_page(wire, cloud):
    wire.mocker.get(
        f"{NOVA}/servers/detail",
        json={"servers": [server(id="s1")], "servers_links": [{"rel": "next", "href": "ignored"}]},
    )
    wire.mocker.get(f"{NOVA}/servers/detail?marker=s1", json={"servers": [server(id="s2")]})
    assert [s.id for s in cloud.servers()] == ["s1", "s2"]
    wire.mocker.get(f"{GLANCE}/v2/images", json={"images": [{"id": "i1", "status": "active"}], "next": "/v2/images?x"})
    wire.mocker.get(f"{GLANCE}/v2/images?marker=i1", json={"images": []})
    assert [i.id for i in cloud.images()] == ["i1"]


class SlowService:
    """A connection, and all its services: it notes how many calls it has at a time."""

    def __init__(self):
        self.now = self.most = 0
        self.session = self
        self.hooks = {"response": []}
        self.block_storage = self
        self._lock = threading.Lock()

    def request(self, *_args, **_kwargs):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self._lock:
            self.now -= 1
        answer = requests.Response()
        answer.status_code = 200
        answer._content = b"{}"
        return answer


def test_no_more_calls_than_allowed_are_made_at_a_time(clock):
    service = SlowService()
    api = Api("source", lambda: service, clock, lambda _: None, 2)
    with ThreadPoolExecutor(6) as threads:
        for read in [threads.submit(api.get, Service.BLOCK, "/volumes/v1", "read") for _ in range(12)]:
            assert read.result() == {}
    assert service.most == 2


def test_pause_before_the_next_try_is_in_nobodys_way(wire, clock, monkeypatch):
    cloud = connect(CloudSettings(auth=AUTH), None, name="source", clock=clock, calls_at_once=1)
    wire.mocker.get(f"{CINDER}/volumes/v2", json={"volume": volume(id="v2")})
    seen = []
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: seen.append(cloud.volume(VolumeId("v2")).id))
    busy = {"status_code": 503, "headers": {"Retry-After": "7"}}
    wire.mocker.get(f"{CINDER}/volumes/v1", [busy, {"json": {"volume": volume()}}])
    cloud.volume(VolumeId("v1"))
    assert seen == ["v2"]


def test_flavor_of_an_old_cloud_is_read_once_for_all_servers(wire, clock):
    wire.mocker.get(NOVA, json={"version": _version("v2.1", NOVA, "2.38", "2.1")})
    cloud = connect(CloudSettings(auth=AUTH), None, name="source", clock=clock)
    servers = [server(id=f"s{n}", flavor={"id": "f1"}) for n in range(3)]
    wire.mocker.get(f"{NOVA}/servers/detail", json={"servers": servers})
    wire.mocker.get(f"{NOVA}/flavors/f1", json={"flavor": {"id": "f1", "name": "small"}})
    for _ in range(2):
        assert [s.flavor_name for s in cloud.servers()] == ["small"] * 3
    assert len(wire.asked("GET", "/compute/v2.1/flavors/f1")) == 1


# Waiting -----------------------------------------------------------------------------------------------------------------


def test_waiting_polls_ever_more_seldom_and_outlasts_an_outage(wire, cloud, clock):
    start = clock.now()
    creating = {"json": {"volume": volume(status="creating")}}
    wire.mocker.get(
        f"{CINDER}/volumes/v1", [creating] * 3 + [{"status_code": 503}] * 6 + [{"json": {"volume": volume()}}]
    )
    assert cloud.await_volume(VolumeId("v1"), "available", 60).status == "available"
    assert clock.now() - start == pytest.approx(0.5 + 0.75 + 1.125 + 1.6875)


def test_waiting_tells_what_for_and_how_long(wire, cloud):
    wire.mocker.get(f"{CINDER}/volumes/v1", json={"volume": volume(status="creating")})
    with pytest.raises(CloudError, match="source: volume v1 becomes available: not within 60 s"):
        cloud.await_volume(VolumeId("v1"), "available", 60)


def test_volume_error_has_cinders_reason(wire, cloud):
    wire.mocker.get(f"{CINDER}/volumes/v1", json={"volume": volume(status="error")})
    wire.mocker.get(f"{CINDER}/messages", json={"messages": [{"user_message": "no backend has room"}]})
    with pytest.raises(CloudError, match="went to error: no backend has room"):
        cloud.await_volume(VolumeId("v1"), "available", 60)
    (request,) = wire.asked("GET", "/volume/v3/messages")
    assert request.headers["OpenStack-API-Version"] == "volume 3.5"


def test_server_error_has_novas_fault(wire, cloud):
    wire.mocker.get(f"{NOVA}/servers/s1", json={"server": server(status="ERROR", fault={"message": "No valid host"})})
    with pytest.raises(CloudError, match="went to ERROR: No valid host"):
        cloud.await_server(ServerId("s1"), ServerStatus.ACTIVE, 60)


# Requests ----------------------------------------------------------------------------------------------------------------


def test_server_request_says_only_what_the_spec_says(wire, cloud):
    wire.mocker.post(f"{NOVA}/servers", status_code=202, json={"server": {"id": "s1", "adminPass": "x"}})
    spec = ServerSpec(
        name="web",
        flavor_id=FlavorId("f"),
        nics=(Nic(port_id=PortId("p")), Nic(network_id=NetworkId("n"), fixed_ip="10.0.0.5")),
        block_devices=(
            BlockDevice(0, VolumeId("boot"), delete_on_termination=True),
            BlockDevice(-1, VolumeId("data"), device="/dev/vdc"),
        ),
        security_group_names=("web",),
        metadata={"a": "b"},
        tags=("red",),
        description="shop",
        scheduler_hints={"group": "g"},
    )
    assert cloud.create_server(spec) == "s1"
    (request,) = wire.asked("POST", "/compute/v2.1/servers")
    assert request.headers["OpenStack-API-Version"] == "compute 2.90"
    volume_type = {"source_type": "volume", "destination_type": "volume"}
    assert request.json() == {
        "server": {
            "name": "web",
            "flavorRef": "f",
            "block_device_mapping_v2": [
                volume_type | {"uuid": "boot", "boot_index": 0, "delete_on_termination": True},
                volume_type
                | {"uuid": "data", "boot_index": -1, "delete_on_termination": False, "device_name": "/dev/vdc"},
            ],
            "networks": [{"port": "p"}, {"uuid": "n", "fixed_ip": "10.0.0.5"}],
            "security_groups": [{"name": "web"}],
            "metadata": {"a": "b"},
            "tags": ["red"],
            "description": "shop",
        },
        "os:scheduler_hints": {"group": "g"},
    }


def test_server_on_an_image_has_a_local_disk_and_groups_only_for_new_ports(wire, cloud):
    wire.mocker.post(f"{NOVA}/servers", status_code=202, json={"server": {"id": "s1"}})
    devices = (BlockDevice(0, image_id=ImageId("i")), BlockDevice(-1, VolumeId("data")))
    cloud.create_server(ServerSpec("web", FlavorId("f"), (Nic(PortId("p")),), devices, security_group_names=("web",)))
    body = wire.body("POST", "/compute/v2.1/servers")["server"]
    assert body["imageRef"] == "i"
    local = {"source_type": "image", "destination_type": "local", "uuid": "i", "boot_index": 0}
    assert body["block_device_mapping_v2"][0] == local | {"delete_on_termination": True}
    assert "security_groups" not in body


def test_server_without_nics_gets_no_network_by_itself(wire, cloud):
    wire.mocker.post(f"{NOVA}/servers", status_code=202, json={"server": {"id": "s1"}})
    cloud.create_server(ServerSpec("web", FlavorId("f"), (), (), ImageId("i")))
    assert wire.body("POST", "/compute/v2.1/servers")["server"]["networks"] == "none"


def attach_answers(wire):
    """Let the volume be free, then on the server."""
    listed = {"json": {"volumeAttachments": [{"volumeId": "v1", "device": "/dev/vdb"}]}}
    path = f"{NOVA}/servers/s1/os-volume_attachments"
    wire.mocker.get(path, [{"json": {"volumeAttachments": []}}, listed])
    wire.mocker.post(path, json={"volumeAttachment": {}})
    on = volume(status="in-use", attachments=[{"server_id": "s1", "device": "/dev/vdb"}])
    answers = [{"json": {"volume": raw}} for raw in (volume(), volume(status="reserved"), on)]
    wire.mocker.get(f"{CINDER}/volumes/v1", answers)


def test_attaching_keeps_delete_on_termination(wire, cloud):
    attach_answers(wire)
    cloud.attach_volume(ServerId("s1"), VolumeId("v1"), device=None, delete_on_termination=True)
    wanted = {"volumeId": "v1", "delete_on_termination": True}
    assert wire.body("POST", "/compute/v2.1/servers/s1/os-volume_attachments") == {"volumeAttachment": wanted}


@pytest.mark.parametrize("delete_on_termination", [False, True])
def test_old_cloud_attaches_what_will_not_be_deleted_with_the_server_and_says_so(
    wire, clock, told, delete_on_termination
):
    wire.mocker.get(NOVA, json={"version": _version("v2.1", NOVA, "2.60", "2.1")})
    cloud = connect(CloudSettings(auth=AUTH), None, name="source", clock=clock, tell=told.append)
    attach_answers(wire)
    cloud.attach_volume(ServerId("s1"), VolumeId("v1"), device="/dev/vdb", delete_on_termination=delete_on_termination)
    wanted = {"volumeId": "v1", "device": "/dev/vdb"}
    assert wire.body("POST", "/compute/v2.1/servers/s1/os-volume_attachments") == {"volumeAttachment": wanted}
    assert [note.warning for note in told] == [True] * delete_on_termination


def test_attachment_that_nova_gives_up_is_an_error(wire, cloud):
    path = f"{NOVA}/servers/s1/os-volume_attachments"
    wire.mocker.get(path, json={"volumeAttachments": []})
    wire.mocker.post(path, json={"volumeAttachment": {}})
    statuses = ("available", "reserved", "available")
    wire.mocker.get(f"{CINDER}/volumes/v1", [{"json": {"volume": volume(status=status)}} for status in statuses])
    with pytest.raises(CloudError, match="Nova gave up"):
        cloud.attach_volume(ServerId("s1"), VolumeId("v1"), device=None, delete_on_termination=False)


def test_guest_that_does_not_let_go_is_an_error(wire, cloud):
    path = f"{NOVA}/servers/s1/os-volume_attachments"
    wire.mocker.delete(f"{path}/v1", status_code=202)
    wire.mocker.get(path, json={"volumeAttachments": [{"volumeId": "v1"}]})
    on = {"attachments": [{"server_id": "s1"}]}
    answers = [{"json": {"volume": volume(status=status, **on)}} for status in ("in-use", "detaching", "in-use")]
    wire.mocker.get(f"{CINDER}/volumes/v1", answers)
    with pytest.raises(CloudError, match="does not let go"):
        cloud.detach_volume(ServerId("s1"), VolumeId("v1"))


def test_detachment_that_a_dead_process_asked_for_is_waited_out_before_attaching_again(wire, cloud):
    path = f"{NOVA}/servers/s1/os-volume_attachments"
    there = {"json": {"volumeAttachments": [{"volumeId": "v1", "device": "/dev/vdb"}]}}
    wire.mocker.get(path, [{"json": {"volumeAttachments": []}}, there])
    wire.mocker.post(path, json={"volumeAttachment": {}})
    on = {"attachments": [{"server_id": "s1"}]}
    raws = [volume(status="detaching", **on), volume(), volume(status="in-use", **on)]
    wire.mocker.get(f"{CINDER}/volumes/v1", [{"json": {"volume": raw}} for raw in raws])
    cloud.attach_volume(ServerId("s1"), VolumeId("v1"), device=None, delete_on_termination=False)
    assert len(wire.asked("POST", "/compute/v2.1/servers/s1/os-volume_attachments")) == 1


def test_volume_that_is_busy_for_a_moment_is_deleted(wire, cloud):
    busy = {"status_code": 400, "json": {"badRequest": {"message": "Volume status must be available"}}}
    wire.mocker.delete(f"{CINDER}/volumes/v1", [busy, busy, {"status_code": 202}])
    deleting = {"json": {"volume": volume(status="deleting")}}
    wire.mocker.get(f"{CINDER}/volumes/v1", [deleting, {"status_code": 404}])
    cloud.delete_volume(VolumeId("v1"))


def test_volume_that_stays_busy_is_refused_with_cinders_words(wire, cloud):
    busy = {"badRequest": {"message": "Volume has dependent snapshots"}}
    wire.mocker.delete(f"{CINDER}/volumes/v1", status_code=400, json=busy)
    with pytest.raises(CloudError, match="dependent snapshots"):
        cloud.delete_volume(VolumeId("v1"))


def test_old_cloud_tells_a_server_image_by_its_address(wire, clock):
    wire.mocker.get(NOVA, json={"version": _version("v2.1", NOVA, "2.38", "2.1")})
    cloud = connect(CloudSettings(auth=AUTH), None, name="source", clock=clock)
    wire.mocker.post(f"{NOVA}/servers/s1/action", status_code=202, headers={"Location": f"{GLANCE}/images/i1"})
    assert cloud.create_server_image(ServerId("s1"), "image", {"a": "b"}) == "i1"


def test_projects_own_ports_are_asked_for(wire, cloud):
    wire.mocker.get(f"{NEUTRON}/v2.0/ports", json={"ports": []})
    cloud.ports()
    (request,) = wire.asked("GET", "/network/v2.0/ports")
    assert request.qs == {"project_id": ["shop-id"]}


DRESSED = PortSpec(
    NetworkId("n"),
    (),
    security_group_ids=(SecurityGroupId("g"),),
    name="front",
    tags=("red",),
    is_up=False,
    has_port_security=True,
    allowed_address_pairs=(AddressPair("10.0.0.9"), AddressPair("10.0.1.0/24", "fa:16:3e:00:00:02")),
    extra_dhcp_opts=(DhcpOption("mtu", "1400"),),
    dns_name="web",
    dns_domain="example.org.",
    qos_policy_id=QosPolicyId("q"),
)
FEATURES = {
    "admin_state_up": False,
    "port_security_enabled": True,
    "allowed_address_pairs": [
        {"ip_address": "10.0.0.9"},
        {"ip_address": "10.0.1.0/24", "mac_address": "fa:16:3e:00:00:02"},
    ],
    "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}],
    "qos_policy_id": "q",
}


def test_port_is_made_with_all_but_what_nova_would_refuse_or_neutron_take_later(wire, cloud):
    wire.mocker.post(f"{NEUTRON}/v2.0/ports", status_code=201, json={"port": {"id": "p1"}})
    cloud.create_port(DRESSED, "tag")
    words = {"network_id": "n", "name": "front", "description": "tag", "security_groups": ["g"]}
    assert wire.body("POST", "/network/v2.0/ports") == {"port": words | FEATURES}


def test_plain_port_says_nothing_that_a_plain_cloud_does_not_know(wire, cloud):
    wire.mocker.post(f"{NEUTRON}/v2.0/ports", status_code=201, json={"port": {"id": "p1"}})
    cloud.create_port(PortSpec(NetworkId("n"), ()), "")
    wanted = {"network_id": "n", "name": "", "description": "", "security_groups": []}
    assert wire.body("POST", "/network/v2.0/ports") == {"port": wanted}


def test_port_is_dressed_with_its_dns_name_and_tags_too(wire, cloud):
    wire.mocker.put(f"{NEUTRON}/v2.0/ports/p1", json={"port": {}})
    wire.mocker.put(f"{NEUTRON}/v2.0/ports/p1/tags", json={"tags": []})
    cloud.dress_port(PortId("p1"), DRESSED)
    names = {"name": "front", "security_groups": ["g"], "dns_name": "web", "dns_domain": "example.org."}
    assert wire.body("PUT", "/network/v2.0/ports/p1") == {"port": names | FEATURES}
    assert wire.body("PUT", "/network/v2.0/ports/p1/tags") == {"tags": ["red"]}


def test_cloud_without_qos_has_no_policies(wire, cloud):
    wire.mocker.get(f"{NEUTRON}/v2.0/qos/policies", status_code=404)
    assert cloud.qos_policies() == []


def test_floating_ip_is_made_with_its_dns_name_and_qos(wire, cloud):
    wire.mocker.post(f"{NEUTRON}/v2.0/floatingips", status_code=201, json={"floatingip": {"id": "f"}})
    extras = FloatingIpExtras(("red",), "example.org.", "web", QosPolicyId("q"))
    cloud.create_floating_ip(NetworkId("n"), PortId("p"), None, None, "tag", extras)
    body = wire.body("POST", "/network/v2.0/floatingips")["floatingip"]
    assert (body["dns_domain"], body["dns_name"], body["qos_policy_id"]) == ("example.org.", "web", "q")
    assert "tags" not in body


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("2.93", {"name": "apart", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}),
        ("2.38", {"name": "apart", "policies": ["anti-affinity"]}),
    ],
)
def test_server_group_is_asked_for_as_nova_wants_it(wire, clock, version, wanted):
    wire.mocker.get(NOVA, json={"version": _version("v2.1", NOVA, version, "2.1")})
    cloud = connect(CloudSettings(auth=AUTH), None, name="destination", clock=clock)
    wire.mocker.post(f"{NOVA}/os-server-groups", json={"server_group": {"id": "g"}})
    assert cloud.create_server_group("apart", "anti-affinity", 2) == "g"
    assert wire.body("POST", "/compute/v2.1/os-server-groups") == {"server_group": wanted}


@pytest.mark.parametrize(("version", "takes"), [("2.93", True), ("2.90", True), ("2.89", False)])
def test_hostnames_are_taken_from_2_90_on(wire, clock, version, takes):
    wire.mocker.get(NOVA, json={"version": _version("v2.1", NOVA, version, "2.1")})
    assert connect(CloudSettings(auth=AUTH), None, name="source", clock=clock).takes_hostnames() is takes


def test_hostname_is_asked_for_where_there_is_one(wire, cloud):
    wire.mocker.post(f"{NOVA}/servers", status_code=202, json={"server": {"id": "s1"}})
    cloud.create_server(ServerSpec("web", FlavorId("f"), (), (), ImageId("i"), hostname="shop"))
    assert wire.body("POST", "/compute/v2.1/servers")["server"]["hostname"] == "shop"


@pytest.mark.parametrize("action", ["lock", "unlock"])
def test_lock_is_an_action_of_nova(wire, cloud, action):
    wire.mocker.post(f"{NOVA}/servers/s1/action", status_code=202)
    getattr(cloud, f"{action}_server")(ServerId("s1"))
    assert wire.body("POST", "/compute/v2.1/servers/s1/action") == {action: None}


def test_no_answer_is_written_anywhere(wire, cloud, capfd):
    wire.mocker.get(f"{CINDER}/volumes/v1", status_code=503)
    with pytest.raises(CloudUnavailable):
        cloud.volume(VolumeId("v1"))
    assert capfd.readouterr() == ("", "")


# Quotas ------------------------------------------------------------------------------------------------------------------

NOVA_LIMITS = {"maxTotalInstances": 10, "totalInstancesUsed": 4, "maxTotalCores": -1, "totalCoresUsed": 9}
CINDER_LIMITS = {"maxTotalVolumes": 10, "totalVolumesUsed": 2, "maxTotalVolumeGigabytes": 100, "totalGigabytesUsed": 30}


def quota_set():
    def entry(limit, in_use=0, reserved=0):
        return {"limit": limit, "in_use": in_use, "reserved": reserved}

    return {
        "id": "shop-id",
        "volumes": entry(10, 2, 1),
        "volumes_fast": entry(-1, 1),
        "per_volume_gigabytes": entry(50),
        "backup_gigabytes": entry(1),
    }


def test_quotas_count_what_is_reserved_and_tell_volume_types_apart(wire, cloud):
    wire.mocker.get(f"{NOVA}/limits", json={"limits": {"rate": [], "absolute": NOVA_LIMITS}})
    asked = wire.mocker.get(f"{CINDER}/os-quota-sets/shop-id", json={"quota_set": quota_set()})
    details = {"port": {"limit": 5, "used": 3, "reserved": 1}, "floatingip": {"limit": -1, "used": 0, "reserved": 0}}
    wire.mocker.get(f"{NEUTRON}/v2.0/quotas/shop-id/details", json={"quota": details})
    assert list(cloud.quotas()) == [
        Quota(Quoted.INSTANCES, 10, 4),
        Quota(Quoted.CORES, None, 9),
        Quota(Quoted.VOLUMES, 10, 3),
        Quota(Quoted.VOLUMES, None, 1, "fast"),
        Quota(Quoted.VOLUME_SIZE, 50, 0),
        Quota(Quoted.PORTS, 5, 4),
        Quota(Quoted.FLOATING_IPS, None, 0),
    ]
    assert asked.last_request.qs == {"usage": ["true"]}


def test_quotas_that_a_policy_hides_are_taken_from_limits_and_lists(wire, cloud):
    wire.mocker.get(f"{NOVA}/limits", status_code=403)
    wire.mocker.get(f"{CINDER}/os-quota-sets/shop-id", status_code=403)
    wire.mocker.get(f"{CINDER}/limits", json={"limits": {"absolute": CINDER_LIMITS}})
    wire.mocker.get(f"{NEUTRON}/v2.0/quotas/shop-id/details", status_code=404)
    wire.mocker.get(f"{NEUTRON}/v2.0/quotas/shop-id", json={"quota": {"port": 5}})
    ports = [{"id": "p1", "network_id": "n1"}, {"id": "p2", "network_id": "n1"}]
    wire.mocker.get(f"{NEUTRON}/v2.0/ports", json={"ports": ports})
    assert list(cloud.quotas()) == [
        Quota(Quoted.VOLUMES, 10, 2),
        Quota(Quoted.GIGABYTES, 100, 30),
        Quota(Quoted.PORTS, 5, 2),
    ]


def test_quotas_that_no_cloud_tells_are_no_error(wire, cloud):
    wire.mocker.get(requests_mock.ANY, status_code=403)
    Wire(wire.mocker)
    assert list(cloud.quotas()) == []


def test_nova_is_asked_for_what_it_offers_up_to_what_is_used(wire, cloud):
    assert cloud.api_versions() == ApiVersions(compute="2.90")


def test_service_that_the_catalog_lacks_is_named(wire, cloud):
    wire.lose("block-storage")
    assert cloud.api_versions() == ApiVersions(("block-storage",))


@pytest.mark.parametrize("kind", ["volumev3", "volume", "block-store", "block-storage"])
def test_service_by_one_of_its_other_names_is_not_missing(wire, cloud, kind):
    wire.lose("block-storage")
    wire.token["catalog"].append(_service(kind, CINDER))
    assert cloud.api_versions().missing == ()


# Collections ------------------------------------------------------------------------------------------------------------

ROUTERS = neutron("routers")
USERS = Collection(Service.IDENTITY, "/users", "users", "user", update="PATCH")


def test_the_scope_is_read_from_the_token(wire, cloud):
    assert cloud.scope() == Scope("shop-id", "shop", "Default", "default", "u")


def test_a_collection_is_listed_page_by_page_with_its_query(wire, cloud):
    more = [{"rel": "next", "href": "..."}]
    pages = [{"routers": [{"id": "r1"}], "routers_links": more}, {"routers": [{"id": "r2"}]}]
    wire.mocker.get(f"{NEUTRON}/v2.0/routers", [{"json": page} for page in pages])
    assert [r["id"] for r in cloud.list_of(ROUTERS, {"name": "x"})] == ["r1", "r2"]
    assert [r.qs for r in wire.asked("GET", f"{NEUTRON}/v2.0/routers")] == [
        {"name": ["x"]},
        {"name": ["x"], "marker": ["r1"]},
    ]


def test_a_collection_that_is_not_there_is_empty(wire, cloud):
    wire.mocker.get(f"{NEUTRON}/v2.0/routers", status_code=404)
    assert cloud.list_of(ROUTERS) == []


def test_a_thing_is_wrapped_and_unwrapped(wire, cloud):
    wire.mocker.post(f"{NEUTRON}/v2.0/routers", json={"router": {"id": "r1"}}, status_code=201)
    wire.mocker.put(f"{NEUTRON}/v2.0/routers/r1", json={"router": {"id": "r1", "name": "b"}})
    wire.mocker.put(f"{NEUTRON}/v2.0/routers/r1/tags", json={"tags": ["t"]})
    assert cloud.create_in(ROUTERS, {"name": "a"}) == {"id": "r1"}
    assert wire.body("POST", f"{NEUTRON}/v2.0/routers") == {"router": {"name": "a"}}
    assert cloud.update_in(ROUTERS, "r1", {"name": "b"})["name"] == "b"
    assert wire.body("PUT", f"{NEUTRON}/v2.0/routers/r1") == {"router": {"name": "b"}}
    assert cloud.act_on(ROUTERS, "r1", "tags", {"tags": ["t"]}) == {"tags": ["t"]}


def test_what_keystone_has_is_changed_by_patch(wire, cloud):
    wire.mocker.patch(f"{ROOT}/identity/v3/users/u1", json={"user": {"id": "u1"}})
    assert cloud.update_in(USERS, "u1", {"name": "b"}) == {"id": "u1"}


KEYPAIRS = Collection(Service.COMPUTE, "/os-keypairs", "keypairs", "keypair")
FLAVORS = Collection(Service.COMPUTE, "/flavors", "flavors", "flavor")


def test_things_that_a_list_wraps_are_unwrapped_page_by_page(wire, cloud):
    first = {"keypairs": [{"keypair": {"name": "a"}}, {"keypair": {"name": "b"}}]}
    pages = [{**first, "keypairs_links": [{"rel": "next"}]}, {"keypairs": [{"keypair": {"name": "c"}}]}]
    wire.mocker.get(f"{NOVA}/os-keypairs", [{"json": page} for page in pages])
    assert [pair["name"] for pair in cloud.list_of(KEYPAIRS, {"user_id": "u2"})] == ["a", "b", "c"]
    asked = [r.qs for r in wire.asked("GET", f"{NOVA}/os-keypairs")]
    assert asked == [{"user_id": ["u2"]}, {"user_id": ["u2"], "marker": ["b"]}]


def test_keystones_pages_are_read_and_a_list_that_it_cuts_is_refused(wire, cloud):
    users = f"{ROOT}/identity/v3/users"
    pages = [{"users": [{"id": "a"}], "links": {"next": "..."}}, {"users": [{"id": "b"}], "links": {"next": None}}]
    wire.mocker.get(users, [{"json": page} for page in pages])
    assert [user["id"] for user in cloud.list_of(USERS)] == ["a", "b"]
    wire.mocker.get(users, json={"users": [{"id": "a"}], "links": {"next": None}, "truncated": True})
    with pytest.raises(CloudError, match="tells the first 1 only"):
        cloud.list_of(USERS)


def test_nova_is_asked_for_the_version_that_shows_and_takes_what_kinds_have(wire, cloud):
    wire.mocker.get(f"{NOVA}/flavors", json={"flavors": []})
    wire.mocker.post(f"{NOVA}/flavors", json={"flavor": {"id": "f"}})
    wire.mocker.put(f"{NOVA}/flavors/f", json={"flavor": {"id": "f"}})
    wire.mocker.get(f"{NOVA}/flavors/f", json={"flavor": {"id": "f"}})
    wire.mocker.delete(f"{NOVA}/flavors/f", status_code=202)
    cloud.list_of(FLAVORS)
    cloud.create_in(FLAVORS, {"name": "a"})
    cloud.update_in(FLAVORS, "f", {"description": "a"})
    assert cloud.read_from(FLAVORS, "f") == {"id": "f"}
    cloud.delete_from(FLAVORS, "f")
    asked = [r for r in wire.mocker.request_history if "/flavors" in r.path]
    assert [r.headers["OpenStack-API-Version"] for r in asked] == ["compute 2.90"] * 5


def test_what_has_no_wrapper_is_sent_as_it_is(wire, cloud):
    wire.mocker.post(f"{NOVA}/flavors/f/action", json={"flavor_access": []})
    action = Collection(Service.COMPUTE, "/flavors/f/action", "flavor_access", "")
    assert cloud.create_in(action, {"addTenantAccess": {"tenant": "p"}}) == {"flavor_access": []}
    assert wire.body("POST", f"{NOVA}/flavors/f/action") == {"addTenantAccess": {"tenant": "p"}}


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("You are not authorized to perform the requested action: identity:list_users.", "identity:list_users"),
        (
            "Policy doesn't allow os_compute_api:os-flavor-manage:create to be performed.",
            "os_compute_api:os-flavor-manage:create",
        ),
    ],
)
def test_a_right_that_is_missing_is_named(wire, cloud, said, right):
    wire.mocker.get(f"{ROOT}/identity/v3/users", status_code=403, json={"error": {"message": said}})
    with pytest.raises(CloudError) as caught:
        cloud.list_of(USERS)
    assert caught.value.remedy.startswith(f"the user lacks the right {right}, ")


def test_a_thing_is_created_once_even_if_the_answer_is_lost(wire, cloud):
    wire.mocker.post(f"{NEUTRON}/v2.0/routers", status_code=503)
    with pytest.raises(CloudUnavailable):
        cloud.create_in(ROUTERS, {"name": "a"})
    assert len(wire.asked("POST", f"{NEUTRON}/v2.0/routers")) == 1


def test_what_is_deleted_already_is_fine(wire, cloud):
    wire.mocker.delete(f"{NEUTRON}/v2.0/routers/r1", status_code=404)
    cloud.delete_from(ROUTERS, "r1")


def floating_ip_of_a_port_with_two_addresses(wire, *answers):
    url = f"{NEUTRON}/v2.0/floatingips/f"
    several = {"NeutronError": {"message": "Port p has multiple fixed IPv4 addresses. Must provide a specific one"}}
    wire.mocker.put(url, [{"status_code": 400, "json": several}, *answers])
    ip = {"id": "f", "port_id": "p", "fixed_ip_address": "10.0.0.7", "revision_number": 4}
    wire.mocker.get(url, json={"floatingip": ip})
    return url


def test_floating_ip_of_a_port_with_several_addresses_is_described_as_long_as_it_leads_there(wire, cloud):
    url = floating_ip_of_a_port_with_two_addresses(wire, {"json": {"floatingip": {}}})
    cloud.describe_floating_ip(FloatingIpId("f"), "door")
    _, again = wire.asked("PUT", url)
    assert again.json() == {"floatingip": {"description": "door", "port_id": "p", "fixed_ip_address": "10.0.0.7"}}
    assert again.headers["If-Match"] == "revision_number=4"


def test_floating_ip_that_was_led_elsewhere_meanwhile_is_left_where_it_is(wire, cloud):
    url = floating_ip_of_a_port_with_two_addresses(wire, {"status_code": 412, "json": {}})
    with pytest.raises(CloudError, match="HTTP 412"):
        cloud.describe_floating_ip(FloatingIpId("f"), "door")
    assert len(wire.asked("PUT", url)) == 2


def test_floating_ip_that_leads_nowhere_and_cannot_be_described_says_why(wire, cloud):
    url = floating_ip_of_a_port_with_two_addresses(wire)
    wire.mocker.get(url, json={"floatingip": {"id": "f", "port_id": None, "fixed_ip_address": None}})
    with pytest.raises(CloudError, match="HTTP 400"):
        cloud.describe_floating_ip(FloatingIpId("f"), "door")
