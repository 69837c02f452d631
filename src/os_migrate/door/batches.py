"""Whole batches of servers, for Ansible: the engine migrates several at once, as `os-migrate migrate` does."""

import json

from os_migrate import batch
from os_migrate.batch import Outcome, Result
from os_migrate.door.call import Answer, Call, failure
from os_migrate.door.resources import filter_of
from os_migrate.errors import PlanError
from os_migrate.failure import error_fields, error_text
from os_migrate.files.workloads import log_names_of
from os_migrate.journal import AttemptState
from os_migrate.planning import fields, make_plan
from os_migrate.resources.choosing import SERVERS, Choice, choose
from os_migrate.session import Session, open_session

TAKEN_UP = {AttemptState.RUNNING, AttemptState.COMMITTED, AttemptState.ROLLING_BACK}
"""What a batch that was interrupted leaves; an attempt that failed and was not undone is one that somebody wants to look at."""


def migrate(call: Call) -> Answer:
    """Migrate the servers of the file that are chosen: first what was left open is brought to its end. In check mode return the plan."""
    settings = call.settings()
    choice = choose(settings, SERVERS, (), filter_of(call.options))
    names = log_names_of([(w.id, w.name, False) for w in choice.everything])
    with call.events(settings, {} if call.check else names) as events:
        choice.tell_of_idle(events)
        with open_session(settings, events, hosts=True, lock=not call.check, checks_hosts=True) as session:
            if call.check:
                return _planned(session, choice)
            return _told(_outcomes(session, choice))


def _planned(session: Session, choice: Choice) -> Answer:
    plan = make_plan(session.world, session.journal, choice.chosen, session.settings)
    found: Answer = {"changed": bool(plan.to_migrate), "plan": _plain(fields(plan)), "outcomes": []}
    return found | failure(plan.error) if plan.error else found


def _outcomes(session: Session, choice: Choice) -> list[Outcome]:
    """Bring to an end what is open of the chosen ones, then migrate the others, and anew what was being undone."""
    ours = {workload.id for workload in choice.chosen}
    world, journal, settings = session.world, session.journal, session.settings
    attempts = [a for a in journal.unfinished() if a.server_id in ours and a.state in TAKEN_UP]
    ended = batch.resume(world, journal, attempts, choice.everything, settings) if attempts else []
    done = [o for o in ended if o.error is not None or o.result is not Result.ROLLED_BACK]
    others = [w for w in choice.chosen if w.id not in {o.server_id for o in done}]
    return [*done, *(batch.migrate(world, journal, others, settings) if others else [])]


def _told(outcomes: list[Outcome]) -> Answer:
    found: Answer = {"changed": any(map(_changed, outcomes)), "outcomes": _plain([o.fields for o in outcomes])}
    failed = [outcome for outcome in outcomes if outcome.errors]
    if not failed:
        return found
    lines = [f"{len(failed)} of {len(outcomes)} servers failed:"]
    for outcome in failed:
        lines.append(f"{outcome.name or '(no name)'} ({outcome.server_id}): {outcome.result}")
        lines += [error_text(error) for error in outcome.errors]
    return found | {"failed": True, "msg": "\n".join(lines), "error": error_fields(failed[0].errors[0])}


def _changed(outcome: Outcome) -> bool:
    return outcome.result is not Result.SKIPPED and not isinstance(outcome.error, PlanError)


def _plain(value: object) -> object:
    """Return a value without the types that only we know: Ansible takes plain ones."""
    return json.loads(json.dumps(value))
