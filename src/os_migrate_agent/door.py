"""The door: what the agent can be asked."""

import json
import os
import sys
from typing import Callable, Dict, List

from os_migrate_agent.attempts import verb_attempts, verb_hold
from os_migrate_agent.copying import task_copy
from os_migrate_agent.devices import verb_device
from os_migrate_agent.facts import verb_facts
from os_migrate_agent.files import Json, Progress, verb_write, write_json
from os_migrate_agent.passwords import verb_password
from os_migrate_agent.process import AgentError
from os_migrate_agent.scan import task_scan
from os_migrate_agent.sending import task_send
from os_migrate_agent.sockets import task_serve
from os_migrate_agent.throttle import task_throttle
from os_migrate_agent.units import verb_start, verb_state, verb_stop

VERBS = {
    "facts": verb_facts,
    "device": verb_device,
    "start": verb_start,
    "state": verb_state,
    "stop": verb_stop,
    "write": verb_write,
    "password": verb_password,
    "hold": verb_hold,
    "attempts": verb_attempts,
}

SERVERS: Dict[str, Callable[..., None]] = {"serve": task_serve, "send": task_send, "throttle": task_throttle}

TASKS: Dict[str, Callable[..., Json]] = {"scan": task_scan, "copy": task_copy}


def talk(*attempts: str) -> None:
    """Hold attempts, and answer each request on stdin with a line on stdout: what its verb returns, or why it failed."""
    for attempt in attempts:
        verb_hold({"attempt": attempt})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer: Json = {"answer": VERBS[request["verb"]](request)}
        except (AgentError, OSError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


def main(argv: List[str]) -> int:
    """Do what the first word says."""
    os.umask(0o077)
    try:
        if argv[0] == "talk":
            talk(*argv[1:])
        elif argv[0] in SERVERS:
            SERVERS[argv[0]](*argv[1:])
        else:
            _carry_out(TASKS[argv[0]], argv[1:])
    except (AgentError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _carry_out(task: Callable[..., Json], argv: List[str]) -> None:
    """Run a task; its outcome stays in its state file when its unit is gone."""
    try:
        Progress(argv[0], 0).tell()  # a poll that finds it spares systemd the question
        result = task(*argv)
        write_json(argv[0], {"trouble": result.pop("trouble", ""), "result": result})
    except (AgentError, OSError) as error:
        write_json(argv[0], {"error": str(error)})
        raise
