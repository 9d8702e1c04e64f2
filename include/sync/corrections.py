"""A mistake in bulk is undone: one consent per opt-out that a run carried into the store.

The run judges, brakes and approves these consents like any others.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pandas as pd
from sqlalchemy import Connection, Engine, text

from include.audit import runs, writes
from include.domain.conflicts import Verdict
from include.store import acts
from include.store.database import transaction
from include.store.errors import database_errors
from include.sync import evidence

ACTOR: Final = "correct-run"
PER_TRANSACTION: Final = 5_000


@dataclass(frozen=True, slots=True)
class Correction:
    """What a correction does, or would do.

    Attributes:
        caused: opt-outs that the run recorded in the store.
        ended: those that stand no more.
        opted_out_otherwise: those whose person opted out otherwise, too: they stay.
        recorded: consents that are new; what would be recorded, if nothing was.
        repeated: consents that an earlier correction of this run had recorded.
    """

    caused: int
    ended: int
    opted_out_otherwise: int
    recorded: int
    repeated: int = 0


def plan(engine: Engine, run_id: int) -> Correction:
    """Count what correcting a run would record; writes nothing.

    Raises:
        UnknownRunError: there is no such run.
    """
    runs.find(engine, run_id)
    with transaction(engine) as conn:
        found = _caused(conn, run_id)
    return _counts(found, recorded=int(_correctable(found).sum()))


def correct(
    engine: Engine, run_id: int, *, reason: str, approver: str, now: datetime
) -> Correction:
    """Record one consent per opt-out that a run caused, where nobody opted out otherwise.

    Repeating it adds nothing; a correction that was killed goes on where it stopped.

    Raises:
        UnknownRunError: there is no such run.
    """
    runs.find(engine, run_id)
    with transaction(engine) as conn:
        found = _caused(conn, run_id)
    wanted = found[_correctable(found)]
    new = 0
    for start in range(0, len(wanted), PER_TRANSACTION):
        with transaction(engine) as conn:
            rows = wanted.iloc[start : start + PER_TRANSACTION]
            new += _record(conn, run_id, rows, reason=reason, approver=approver, now=now)
    return _counts(found, recorded=new, repeated=len(wanted) - new)


def _caused(conn: Connection, run_id: int) -> pd.DataFrame:
    """Return what became of the acts of a run: one row per act, as `acts_of`."""
    return acts.acts_of(conn, writes.acts_of_run(conn, run_id)["act_id"].tolist())


def _correctable(found: pd.DataFrame) -> pd.Series:
    return found["is_standing"] & ~found["has_other_opt_out"]


@database_errors()
def _record(
    conn: Connection,
    run_id: int,
    rows: pd.DataFrame,
    *,
    reason: str,
    approver: str,
    now: datetime,
) -> int:
    """Record one consent per row in one statement per attempt; return how many are new.

    As with a single consent, what was refused is never judged again: repeating the correction is
    then a new consent, with the next number in its key.
    """
    known = evidence.verdicts(conn, rows["person_id"].tolist())
    values = {
        "reason": reason,
        "actor": ACTOR,
        "approver": approver,
        "reference": f"correct-run:{run_id}",
        "now": now,
    }
    new, attempt = 0, 0
    while not rows.empty:
        asked = {"causes": rows["act_id"].tolist(), "people": rows["person_id"].tolist()}
        key = {"key": f"correct-run/{run_id}/", "attempt": f"/{attempt}"}
        recorded = conn.execute(text(RECORD), values | asked | key).all()
        new += sum(row.consent is not None and row.consent not in known for row in recorded)
        refused = {row.cause for row in recorded if known.get(row.consent) == Verdict.REFUSED.value}
        rows, attempt = rows[rows["act_id"].isin(refused)], attempt + 1
    return new


def _counts(found: pd.DataFrame, *, recorded: int, repeated: int = 0) -> Correction:
    stands = found["is_standing"]
    return Correction(
        caused=len(found),
        ended=int((~stands).sum()),
        opted_out_otherwise=int((stands & found["has_other_opt_out"]).sum()),
        recorded=recorded,
        repeated=repeated,
    )


RECORD = """
SELECT asked.cause,
       engagement.record_consent(
           asked.person_id, 'Manual', :reason, :actor, :approver, :reference, :now,
           :key || asked.cause || :attempt) AS consent
FROM unnest(CAST(:causes AS bigint[]), CAST(:people AS bigint[])) AS asked (cause, person_id)
"""
