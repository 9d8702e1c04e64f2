"""The last task of a night: says what happened and decides the colour of the run.

A night can be closed and red: closed, because every planned write has an outcome; red, because
somebody has to look.
"""

import logging

from sqlalchemy import Connection, Engine

from include.audit import attempts, runs, summary, writes
from include.audit.runs import Run
from include.domain.errors import PermanentSyncError
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.preflight import access_of

log = logging.getLogger(__name__)


class NightFailedError(PermanentSyncError):
    """The night did not close: the message names the step."""


class NightNeedsAttentionError(PermanentSyncError):
    """The night closed, and something is left for a person to mend: the message lists it."""


def report(engine: Engine, airflow_run_id: str, *, clock: Clock) -> str:
    """Return one sentence about the newest attempt of an Airflow run that ended well.

    An attempt that did not close is marked failed, so that its lease blocks nobody.

    Raises:
        NightFailedError: no attempt closed.
        NightNeedsAttentionError: closed, with unreadable or read-only fields, or with more open
            failures than the setting allows.
    """
    run = attempts.latest(engine, airflow_run_id)
    if run is None:
        raise NightFailedError("preflight could not open the night: its log says why")
    if run.state == "skipped":
        return f"Nothing was synced: {run.reason}"
    if run.state not in ("closed", "planned"):
        raise NightFailedError(_give_up(engine, run, clock))
    with transaction(engine) as conn:
        sentence = summary.night_sentence(conn, run.id)
        problems = [*_field_problems(engine, run), *_failure_problems(conn, run)]
    log.info("%s", sentence)
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


def _failure_problems(conn: Connection, run: Run) -> list[str]:
    allowed = run.settings.settings.max_open_failures
    failures = writes.open_failures(conn, run.org)
    if failures <= allowed:
        return []
    return [
        f"{failures} writes are still open (the settings allow {allowed}): "
        "opt_out_sync.v_open_failures lists each with its fix."
    ]
