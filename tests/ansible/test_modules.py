"""Modules check their arguments, call one function of the engine, and return its answer."""

import json
import re
from importlib import import_module

import pytest
from ansible.module_utils import basic

from os_migrate.door.call import Call
from os_migrate.errors import PlanError, Problem
from os_migrate.model import Side
from tests.ansible.conftest import COLLECTION, PLUGINS, constant, documented

engine = import_module(f"{PLUGINS}.module_utils.engine")
NAMES = sorted(file.stem for file in (COLLECTION / "plugins/modules").glob("*.py"))


class Specified(Exception):
    """What a module would make of its arguments."""


def spec_of(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    def stop(_self: object, argument_spec: dict[str, object], **others: object) -> None:
        raise Specified({**others, "argument_spec": argument_spec})

    monkeypatch.setattr(basic.AnsibleModule, "__init__", stop)
    with pytest.raises(Specified) as stopped:
        import_module(f"{PLUGINS}.modules.{name}").main()
    return stopped.value.args[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_module_documents_what_it_takes(name, monkeypatch):
    specified = spec_of(name, monkeypatch)
    spec = specified["argument_spec"]
    options = documented(name)
    assert set(options) == set(spec)
    for option, said in options.items():
        for key in ("type", "required", "default", "choices", "elements"):
            fallback = "str" if key == "type" else None
            assert (said.get(key) or fallback) == (spec[option].get(key) or fallback), f"{option}: {key}"
    assert specified["supports_check_mode"]


@pytest.mark.parametrize("name", NAMES)
def test_a_module_shows_how_it_is_used_and_what_it_returns(name):
    examples = constant(f"modules/{name}", "EXAMPLES")
    assert any(f"os_migrate.os_migrate.{name}" in task for task in examples)
    for task in examples:
        for module in task:
            if module == f"os_migrate.os_migrate.{name}":
                assert set(task[module]) <= set(documented(name))
    assert constant(f"modules/{name}", "RETURN")


@pytest.mark.parametrize("name", NAMES)
def test_credentials_are_never_logged_and_paths_are(name, monkeypatch):
    spec = spec_of(name, monkeypatch)["argument_spec"]
    assert spec["auth"]["no_log"] is True
    secret = {option for option, said in spec.items() if said.get("no_log")}
    assert secret <= {"auth", "secrets"} | {option for option in spec if "password" in option}


@pytest.mark.parametrize(
    "options",
    [
        {"cloud": {"auth": {"username": "me", "password": "s3cret"}}},
        {"cloud": {"auth": {"application_credential_secret": "s3cret"}, "region_name": "one"}},
        {"data": {"params": {"name": "web", "user_data": "s3cret"}}},
    ],
)
def test_what_may_be_secret_in_another_option_is_in_no_result_and_no_log(options, module, monkeypatch):
    asked(monkeypatch, {"seen": "s3cret, as it is"})
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda _self, msg, **_: logged.append(str(msg)))
    result = module("import_workload_dst_check" if "data" in options else "auth_info", **options)
    assert "as it is" in result["seen"]
    assert "s3cret" not in json.dumps(result)
    assert logged
    assert "s3cret" not in "".join(logged)


def test_what_is_no_secret_is_masked_nowhere(module, monkeypatch):
    asked(monkeypatch, {"transfer_uuid": "8a1", "size": 1})
    server = {"params": {"name": "web", "metadata": {"secret_version": "1", "token": "8a"}}}
    result = module("import_workload_dst_check", data=server)
    assert (result["transfer_uuid"], result["size"]) == ("8a1", 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_module_calls_one_function_of_the_engine(name):
    text = (COLLECTION / f"plugins/modules/{name}.py").read_text()
    ((file, function),) = re.findall(r'\brun\(\s*"(\w+)\.(\w+)"', text)
    assert callable(getattr(import_module(f"os_migrate.door.{file}"), function))


def asked(monkeypatch: pytest.MonkeyPatch, answer: dict[str, object]) -> list[tuple[str, Call, dict[str, object]]]:
    calls: list[tuple[str, Call, dict[str, object]]] = []

    def stub(function: str, call: Call, **fixed: object) -> dict[str, object]:
        calls.append((function, call, fixed))
        return answer

    monkeypatch.setattr(engine, "answer", stub)
    return calls


def test_the_engine_hears_what_was_given_and_the_task_what_it_answers(module, monkeypatch):
    calls = asked(monkeypatch, {"changed": True, "resources": []})
    result = module(
        "import_network", path="/data/networks.yml", filter=["shop", {"regex": "^x"}], _ansible_check_mode=True
    )
    ((function, call, fixed),) = calls
    assert (function, fixed) == ("resources.import_kind", {"kind": "networks"})
    assert (call.side, call.check, call.diff) == (Side.DESTINATION, True, False)
    assert call.options == {"path": "/data/networks.yml", "filter": ["shop", {"regex": "^x"}]}
    assert result["changed"] is True
    assert result["resources"] == []


def test_a_task_may_say_for_which_side_it_asks(module, monkeypatch):
    calls = asked(monkeypatch, {})
    module("auth_info", side="destination")
    assert calls[0][1].side is Side.DESTINATION


def test_an_answer_that_failed_fails_the_task_and_is_returned(module, monkeypatch):
    asked(monkeypatch, {"failed": True, "msg": "no", "resources": [1]})
    result = module("import_network", path="x")
    assert (result["failed"], result["msg"], result["resources"]) == (True, "no", [1])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("import_network", {}),
        ("import_network", {"path": "x", "data": {}}),
        ("export_network", {"path": "x", "name": "a", "filter": ["b"]}),
        ("export_network", {}),
        ("export_network", {"path": "x", "colour": "red"}),
    ],
)
def test_arguments_that_make_no_sense_never_reach_the_engine(name, options, module, monkeypatch):
    calls = asked(monkeypatch, {})
    assert module(name, **options)["failed"] is True
    assert not calls


def test_what_the_engine_warns_of_is_a_warning_of_the_task(module, monkeypatch):
    def stub(_function: str, call: Call, **_fixed: object) -> dict[str, object]:
        call.warn("look out")
        return {}

    monkeypatch.setattr(engine, "answer", stub)
    assert "look out" in json.dumps(module("auth_info")["warnings"])


def test_all_problems_are_in_the_message_and_each_by_itself(module, monkeypatch, tmp_path):
    def broken(_call: Call) -> dict[str, object]:
        raise PlanError([Problem("a.yml:1", "one", "mend it"), Problem("b.yml:2", "two")])

    monkeypatch.setattr("os_migrate.door.resources.auth_info", broken)
    result = module("auth_info")
    assert result["failed"] is True
    assert "2 problems" in result["msg"]
    assert "a.yml:1: one" in result["msg"]
    assert result["error"]["exit_code"] == 2
    assert [problem["what"] for problem in result["error"]["problems"]] == ["one", "two"]


def test_a_fault_of_ours_fails_the_task_with_a_trace(module, monkeypatch):
    def broken(_call: Call) -> dict[str, object]:
        raise KeyError("oops")

    monkeypatch.setattr("os_migrate.door.resources.auth_info", broken)
    result = module("auth_info")
    assert "KeyError" in result["msg"]
    assert "broken" in result["exception"]


def test_without_the_engine_a_module_says_what_to_install(module, monkeypatch):
    monkeypatch.setattr(engine, "MISSING", "ImportError: no")
    assert "os-migrate" in module("auth_info")["msg"]
