"""The last task of a night: says what happened and decides the colour of the run.

A night can be closed and red: closed, because every planned write has an outcome; red, because
somebody has to look.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from include.audit import attempts, orgs, runs, summary, writes
from include.audit.runs import Run
from include.domain import brakes
from include.domain.conflicts import CROWDED_ABOVE, Code
from include.domain.errors import PermanentSyncError
from include.store.database import transaction
from include.sync import checks
from include.sync.clock import Clock
from include.sync.nightly.merge import limits_of
from include.sync.preflight import access_of

log = logging.getLogger(__name__)

_A_MINUTE = 60
_PLANNED = "Plan only, nothing was written. Planned: "


class NightFailedError(PermanentSyncError):
    """The night did not close: the message names the step."""


class NightNeedsAttentionError(PermanentSyncError):
    """The night closed, and something is left for a person to mend: the message lists it."""


def report(engine: Engine, attempt: int | None, *, clock: Clock) -> str:
    """Return one sentence about an attempt that ended well.

    An attempt that did not close is marked failed, so that its lease blocks nobody.

    Args:
        engine: the store.
        attempt: the run id that this execution of preflight opened; None if it opened none.
        clock: tells the time.

    Raises:
        NightFailedError: the attempt did not close, or there is none.
        NightNeedsAttentionError: closed, with unreadable or read-only fields, or with more open
            failures than the setting allows.
    """
    if attempt is None:
        raise NightFailedError("preflight could not open the night: its log says why")
    run = runs.find(engine, attempt)
    if run.state == "skipped":
        return f"Nothing was synced: {run.reason}"
    if run.state not in ("closed", "planned"):
        raise NightFailedError(_give_up(engine, run, clock))
    with transaction(engine) as conn:
        sentence = summary.night_sentence(conn, run.id)
        failures = _failure_problems(conn, run)
    merged = attempts.step_counts(engine, run.id, "merge") or {}
    sentence = (_PLANNED if run.plan_only else "") + sentence + _unreachable(merged)
    problems = [
        *_field_problems(engine, run),
        *_clock_problems(engine, run),
        *_unusual(engine, run, merged),
        *_waiting(engine, run, merged),
        *failures,
    ]
    log.info("%s", sentence)
    runs.note(engine, run.id, " ".join(problems) or None)
    if problems:
        raise NightNeedsAttentionError(" ".join(problems))
    return sentence


def _give_up(engine: Engine, run: Run, clock: Clock) -> str:
    if run.state == "failed" and run.reason:
        return run.reason
    steps = ", ".join(attempts.unfinished_steps(engine, run.id)) or "a step that was never started"
    reason = f"The night did not close: {steps} did not finish. The log of that task says why."
    runs.fail(engine, run.id, reason, now=clock())
    return reason


def _field_problems(engine: Engine, run: Run) -> list[str]:
    chosen = run.settings.settings
    access = access_of(engine, run.id)
    found = checks.problems(access.fields, chosen.opt_out_fields, chosen.labels)
    return [each.sentence for each in found]


def _clock_problems(engine: Engine, run: Run) -> list[str]:
    offset = access_of(engine, run.id).clock_offset
    if abs(offset).total_seconds() <= max(run.settings.settings.clock_skew_seconds, _A_MINUTE):
        return []
    where = "ahead of" if offset.total_seconds() > 0 else "behind"
    return [
        f"Salesforce's clock is {abs(offset).total_seconds():,.0f} seconds {where} the database's, "
        "so consent is compared with an opt-out in Salesforce by that much more care: let the "
        "database server keep its time (NTP)."
    ]


def _unreachable(merged: Mapping[str, Any]) -> str:
    count = merged.get("unlinked", 0)
    if not count:
        return ""
    return (
        f" {count:,} people have no Salesforce record that could be written to: "
        "opt_out_sync.unlinked_person."
    )


def _unusual(engine: Engine, run: Run, merged: Mapping[str, Any]) -> list[str]:
    """Tell of what no night should look like, although nothing waits for it."""
    alerts = brakes.alerts(
        opt_outs=merged.get("opt_outs", 0),
        links=merged.get("known_links", 0),
        opted_out=merged.get("opted_out", {}),
        opted_out_before=attempts.last_opted_out(engine, run.id),
        lost=merged.get("lost", {}),
        limits=limits_of(run.settings.settings),
    )
    crowded = merged.get("crowded_records", 0)
    if crowded:
        alerts.append(
            f"{crowded:,} Salesforce records have more than {CROWDED_ABOVE} persons each: one "
            "opt-out stops them all. The runbook has the query that lists them; give each person a "
            "record."
        )
    return alerts


def _waiting(engine: Engine, run: Run, merged: Mapping[str, Any]) -> list[str]:
    """Tell of what waits for a person."""
    problems = []
    if merged.get("held"):
        problems.append(
            f"{merged['held']:,} clears wait for a person: answer the question of DAG "
            "unsubscribe_held_clears (Browse, Required Actions)."
        )
    with transaction(engine) as conn:
        is_confirmed = orgs.is_confirmed(conn, run.org)
        undoers = writes.undoers(conn, run)
    if not is_confirmed and not run.plan_only:
        problems.append(
            f"Salesforce org {run.org} is not confirmed, so it was only planned: look at "
            "opt_out_sync.merge_audit, then run: python -m include.cli org confirm "
            f"{run.org} --by NAME --note WHY."
        )
    undone = attempts.step_counts(engine, run.id, "verify") or {}
    if undone.get("undone"):
        problems.append(
            f"{undone['undone']:,} opt-outs were undone in Salesforce right after they were "
            f"written{_named(undoers)}: opt_out_sync.v_undone lists each."
        )
    contested = merged.get("links", {}).get(Code.TUG_OF_WAR.value, 0)
    if contested:
        problems.append(
            f"{contested:,} records are opted in again every night by something in Salesforce"
            f"{_named(undoers)}: they are not written any more. Find the automation "
            "(opt_out_sync.v_undone), then release each person: "
            "python -m include.cli release PERSON --by NAME --note WHY."
        )
    return problems


def _named(users: Sequence[str]) -> str:
    return f" (by user {', '.join(users)})" if users else ""


def _failure_problems(conn: Connection, run: Run) -> list[str]:
    allowed = run.settings.settings.max_open_failures
    failures = writes.open_failures(conn, run.org)
    if failures <= allowed:
        return []
    return [
        f"{failures} writes are still open (the settings allow {allowed}): "
        "opt_out_sync.v_open_failures lists each with its fix."
    ]
