"""A mistake in bulk is undone: one consent per opt-out that a run carried into the store.

The run judges, brakes and approves these consents like any others.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pandas as pd
from sqlalchemy import Connection, Engine

from include.audit import runs, writes
from include.store import acts
from include.store.database import transaction
from include.sync import evidence
from include.sync.evidence import Consent

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


def _record(
    conn: Connection,
    run_id: int,
    rows: pd.DataFrame,
    *,
    reason: str,
    approver: str,
    now: datetime,
) -> int:
    known = evidence.verdicts(conn, rows["person_id"].tolist())
    new = 0
    for act_id, person_id in zip(rows["act_id"], rows["person_id"], strict=True):
        consent = Consent(int(person_id), reason, ACTOR, f"correct-run:{run_id}", approver)
        key = f"correct-run/{run_id}/{act_id}"
        new += evidence.record_once(conn, consent, key, known, now=now) not in known
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
