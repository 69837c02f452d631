"""`os-migrate plan`, as its user sees it, and the page for the servers' owners."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from os_migrate import batch
from os_migrate.files.workloads import write_workloads
from os_migrate.model import ServerId, ServerStatus
from os_migrate.report import read_report, report_files
from os_migrate.workload import FloatingIpMode, Ref
from tests.fakes.scene import Scene
from tests.fakes.seam import Hook
from tests.fakes.workloads import USER_DATA, Boot, Shape
from tests.unit.test_cli import Commands
from tests.unit.test_planted import edit

HOSTILE = "<script>alert('1')</script> & co"
SHAPES = (
    Shape("one", boot=Boot.VOLUME, data_volumes=1, floating_ip=FloatingIpMode.EXISTING, holds_address=True),
    Shape("two", data_volumes=1, floating_ip=FloatingIpMode.NEW),
)


@pytest.fixture
def scene(tmp_path) -> Scene:
    return Scene(tmp_path, *SHAPES)


@pytest.fixture
def run(scene, tmp_path, monkeypatch) -> Commands:
    commands = Commands(scene, tmp_path, monkeypatch)
    write_workloads(commands.file, scene.workloads)
    return commands


def break_first(run: Commands) -> None:
    edit(run.scene, 0, flavor_ref=Ref("huge"), key_name="bob")
    write_workloads(run.file, run.scene.workloads)


class Page(HTMLParser):
    """The page's tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: dict[str, list[str]] = {}
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return "\n".join(word for word in self.words if word)


def page_of(run: Commands, *words: str) -> tuple[str, Page]:
    file = run.directory / "page.html"
    run("plan", "--html", str(file), *words)
    text = file.read_text(encoding="utf-8")
    return text, Page(text)


def test_plan_that_can_start_ends_with_0_and_touches_nothing(run, scene):
    before, scene.seam.hook = scene.picture(), Hook()
    done = run("plan")
    assert done.exit_code == 0, done.err
    assert done.out.splitlines()[-1] == "No problem was found: `os-migrate migrate` can start."
    assert [str(call) for call in scene.seam.hook.calls if call.mutates] == []
    assert scene.picture() == before
    assert scene.journal.attempts() == []


def test_plan_takes_no_lock_and_makes_no_log(run):
    run("plan")
    assert run.sessions == [(True, False)]
    assert not (run.directory / "workload_logs").exists()


def test_plan_shows_the_servers_in_their_order_with_what_is_made(run, scene):
    out = run("plan").out
    for words in (
        "-> m1.small",
        "203.0.113.77",
        "(kept)",
        "203.0.113.78",
        "(replaced)",
        "source: snapshot os-migrate-web 0, 2 GiB, type default, for a while",
        "source: image os-migrate-web 1, 1 GiB, for a while",
        "destination: server web 0, flavor m1.small",
        "destination: volume data 0, 1 GiB, type fast\n",
        "destination: port 10.0.0.77, network private",
        "destination: floating IP a new address, in place of 203.0.113.78",
        "2 servers, 4 at once, ",
        "link: UNKNOWN",
    ):
        assert words in out, words
    assert out.index("web 0") < out.index("web 1")
    assert "floating IP a new address, in place of 203.0.113.77" not in out


def test_plan_with_problems_shows_all_with_their_remedies_and_ends_as_migrate_does(run, scene):
    break_first(run)
    done = run("plan")
    assert done.exit_code == 2
    assert "It can't start, there are 2 problems; nothing was touched:" in done.out
    for what, remedy in (("no flavor 'huge'", "edit flavor_ref"), ("no key pair 'bob'", "edit key_name")):
        assert what in done.out
        assert remedy in done.out
    assert run("migrate", "web 0").exit_code == 2


def test_problem_of_many_servers_is_shown_once(run, scene):
    scene.destination_host.lacks = ("nbdcopy",)
    done = run("plan")
    assert done.out.count("it lacks nbdcopy") == 1
    assert "there is a problem" in done.out


def test_plan_is_json_with_every_figure(run, scene):
    break_first(run)
    result = run.json("plan").result
    assert result["can_start"] is False
    assert [p["what"] for p in result["problems"]] == [
        "there is no flavor 'huge' in the destination",
        "there is no key pair 'bob' in the destination",
    ]
    first, second = result["servers"]
    assert (first["order"], first["name"], first["source_flavor"]) == (1, "web 0", "m1.small")
    assert len(first["problems"]) == 2
    assert second["problems"] == []
    assert [(d["device"], d["size_gib"]) for d in second["disks"]] == [
        ("/dev/vda", 1),
        ("data 0", 1),
    ]
    assert second["bytes"] == second["bytes_if_full"] == 2 << 30
    assert second["likely"]["downtime_s"] == pytest.approx(
        second["likely"]["twin_s"] - second["likely"]["begin_s"], abs=0.2
    )
    assert {made["kind"] for made in second["made"]} == {"image", "volume", "server", "port", "floating IP"}
    assert result["seconds"] >= max(server["likely"]["end_s"] for server in result["servers"]) - 0.1
    assert set(result["api_calls"]) == {"source", "destination"}


def test_stated_link_is_what_times_are_reckoned_with(run):
    slow, quick = (run.json("plan", "--set", f"os_migrate_link_mbit={n}").result for n in (10, 10000))
    assert slow["seconds"] > 2 * quick["seconds"]
    assert "10 Mbit/s, as os_migrate_link_mbit says" in slow["basis"][0]


def test_servers_of_one_name_are_told_apart_by_their_ids(run, scene):
    edit(scene, 1, name="web 0")
    write_workloads(run.file, scene.workloads)
    out = run("plan").out
    assert [f"for web 0 ({w.id}):" in out for w in scene.workloads] == [True, True]


@pytest.mark.parametrize("words", [["web 1"], ["--filter", "~1$"]])
def test_servers_can_be_chosen(run, words):
    (server,) = run.json("plan", *words).result["servers"]
    assert server["name"] == "web 1"


def test_plan_shows_the_order_in_which_migrate_begins(run):
    smallest = run.json("plan", "--set", "os_migrate_workloads_order=smallest").result
    assert [server["name"] for server in smallest["servers"]] == ["web 1", "web 0"]


def test_what_is_migrated_already_is_shown_as_skipped_and_its_report_tells_of_the_next(run, scene):
    batch.migrate(scene.world, scene.journal, scene.workloads[:1], scene.settings)
    (file,) = report_files(scene.settings.data_dir)
    proof = read_report(file)
    share = sum(disk.data_bytes for disk in proof.disks) / sum(disk.size_bytes for disk in proof.disks)
    result = run.json("plan").result
    first, second = result["servers"]
    assert first["skip"].startswith("already migrated")
    assert (first["likely"], first["made"]) == (None, [])
    assert second["bytes"] == 2 * round((1 << 30) * share)
    assert any("1 earlier migrations" in line for line in result["basis"])


def test_data_of_a_disk_that_was_copied_before_is_known(run, scene):
    batch.migrate(scene.world, scene.journal, scene.workloads[:1], scene.settings)
    (file,) = report_files(scene.settings.data_dir)
    (twin,) = scene.twins(scene.workloads[0])
    scene.destination.delete_server(ServerId(twin))
    first = run.json("plan").result["servers"][0]
    assert first["skip"] == ""
    assert first["bytes"] == sum(disk.data_bytes for disk in read_report(file).disks)


def test_unfinished_attempt_is_a_problem(run, scene):
    scene.journal.begin(scene.workloads[0].id, "web 0", destination="project-destination")
    done = run("plan")
    assert done.exit_code == 2
    assert "is unfinished (running, not begun)" in done.out


def test_page_shows_what_the_owner_asks_for(run, scene):
    text, page = page_of(run)
    for words in ("web 0", scene.workloads[0].id, "m1.small → m1.small", "10.0.0.77", "203.0.113.77 (kept)"):
        assert words in page.text, words
    assert "No problem was found: it can start." in page.text
    assert "destination: server web 0, flavor m1.small" in page.text
    assert page.open == []
    assert page.tags.count("tr") == 3
    assert text.startswith("<!DOCTYPE html>")


def test_page_has_every_problem_with_its_remedy(run):
    break_first(run)
    _, page = page_of(run)
    assert "It can't start yet. Problems: 2." in page.text
    assert "there is no flavor 'huge' in the destination\ncreate it or edit flavor_ref" in page.text


def test_page_loads_and_runs_nothing(run):
    text, page = page_of(run)
    assert not set(page.tags) & {"script", "link", "img", "iframe", "object", "form", "a"}
    assert not {name for name in page.attributes if name.startswith("on") or name in {"src", "href"}}
    assert "url(" not in text
    assert "://" not in text
    assert "@import" not in text
    assert any("default-src 'none'" in value for value in page.attributes["content"])


def test_page_escapes_what_comes_from_a_cloud(run, scene):
    volumes = scene.workloads[0].params.volumes
    hostile = tuple(replace(v, params=replace(v.params, name=HOSTILE)) for v in volumes)
    edit(scene, 0, name=HOSTILE, flavor_ref=Ref(HOSTILE), volumes=hostile)
    write_workloads(run.file, scene.workloads)
    text, page = page_of(run)
    assert "<script" not in text
    assert page.text.count(HOSTILE) >= 3
    assert page.open == []


def test_page_and_plan_have_no_secrets(run, scene):
    edit(scene, 0, metadata={"token": "hunter2"})
    write_workloads(run.file, scene.workloads)
    text, _ = page_of(run)
    shown = text + run("plan").out + run.json("plan").out
    assert [word for word in (USER_DATA, "hunter2", "alice") if word in shown] == []


def test_page_that_cannot_be_written_is_told_of(run):
    done = run("plan", "--html", str(run.directory / "nowhere" / "page.html"))
    assert done.exit_code == 2
    assert "can't write" in done.err


def test_page_replaces_an_older_one_as_a_whole(run):
    file = run.directory / "page.html"
    file.write_text("old", encoding="utf-8")
    page_of(run)
    assert "old" not in Page(file.read_text(encoding="utf-8")).text.split()
    assert [f.name for f in run.directory.glob(".page*")] == []


def test_server_that_runs_is_off_longer_by_its_stop(run, scene):
    off = run.json("plan", "web 1").result["servers"][0]["likely"]["downtime_s"]
    machine = scene.source._machines[scene.workloads[1].id]
    scene.source._switched(machine, ServerStatus.ACTIVE)
    on = run.json("plan", "web 1", "--set", "os_migrate_workload_stop_before_migration=true").result
    assert on["can_start"] is True
    assert on["servers"][0]["likely"]["downtime_s"] == pytest.approx(off + 60, abs=0.3)
