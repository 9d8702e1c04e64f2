"""The last task of a night: says what happened and decides the colour of the run.

A night can be closed and red: closed, because every planned write has an outcome; red, because
somebody has to look.
"""

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine

from include.audit import attempts, runs, summary, writes
from include.audit.runs import Run
from include.domain.errors import PermanentSyncError
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.preflight import access_of

log = logging.getLogger(__name__)

# Records lost in one night beyond both of these make it red.
LOST_RECORDS = 5
LOST_FRACTION = 0.02

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
    problems = [*_field_problems(engine, run), *_visibility_problems(merged), *failures]
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
    field = run.settings.settings.opt_out_field
    problems = []
    for obj, access in access_of(engine, run.id).items():
        if not access.readable:
            problems.append(
                f"{field} of {obj} cannot be read, so no {obj} was synced: install the field, or "
                "give the integration user read and edit access to it (field-level security)."
            )
        elif not access.updateable:
            problems.append(
                f"{field} of {obj} cannot be written: give the integration user edit access to it "
                "(field-level security)."
            )
    return problems


def _unreachable(merged: Mapping[str, Any]) -> str:
    count = merged.get("unlinked", 0)
    if not count:
        return ""
    return (
        f" {count:,} people have no Salesforce record that could be written to: "
        "opt_out_sync.unlinked_person."
    )


def _visibility_problems(merged: Mapping[str, Any]) -> list[str]:
    """Salesforce says nothing when it hides records: many lost at once are a lost permission."""
    return [
        f"{lost:,} of {known:,} linked {obj} records were not returned any more: if nobody deleted "
        "them, give the integration user View All on this object again."
        for obj, (lost, known) in merged.get("lost", {}).items()
        if lost > max(LOST_RECORDS, LOST_FRACTION * known)
    ]


def _failure_problems(conn: Connection, run: Run) -> list[str]:
    allowed = run.settings.settings.max_open_failures
    failures = writes.open_failures(conn, run.org)
    if failures <= allowed:
        return []
    return [
        f"{failures} writes are still open (the settings allow {allowed}): "
        "opt_out_sync.v_open_failures lists each with its fix."
    ]
