"""Find out what became of writes whose push was killed before it could say so.

Their plan is in the audit, without an outcome. The record itself tells: it shows the value, or it
does not. So the audit stays complete, and the next decision starts from a true base.
"""

from datetime import datetime, timedelta
from typing import Final

import pandas as pd
from sqlalchemy import Connection

from include.audit import links, writes
from include.audit.runs import Run
from include.domain.values import FailureClass, Outcome, SalesforceObject, Side
from include.salesforce.failures import REPLY_LOST, explain
from include.store.database import transaction
from include.sync.nightly.steps import columns_of
from include.sync.push.settling import PUSHED
from include.sync.push.work import Work

_LOOKED_BACK: Final = timedelta(days=2)


def settle_lost(work: Work, person_ids: list[int]) -> int:
    """Give every write of a dead push that is about these people its outcome; returns how many."""
    now = work.clock()
    with transaction(work.engine) as conn:
        planned = writes.unanswered(conn, work.run, person_ids, since=now - _LOOKED_BACK)
    if planned.empty:
        return 0
    seen = pd.concat([_seen(work, planned, obj) for obj in SalesforceObject], ignore_index=True)
    with transaction(work.engine) as conn:
        _record(conn, work.run, seen, work.clock())
    return len(seen)


def _seen(work: Work, planned: pd.DataFrame, obj: SalesforceObject) -> pd.DataFrame:
    """Compare what was to be written to an object with what its records show."""
    rows = planned[planned["object"] == obj.value]
    readable = [f for f in rows["field"].unique() if work.access.fields[f][obj].readable]
    if not readable:
        return rows.assign(is_there=False)
    flags = work.client.read_flags(obj, readable, rows["record_id"].unique().tolist())
    shown = flags.melt("record_id", var_name="field", value_name="shown")
    found = rows.merge(shown, on=["record_id", "field"], how="left", validate="m:1")
    is_there = (found["shown"].astype("boolean") == found["target"]).fillna(False)
    return found.drop(columns="shown").assign(is_there=is_there.astype(bool))


def _record(conn: Connection, run: Run, seen: pd.DataFrame, now: datetime) -> None:
    lost, is_there = explain(REPLY_LOST), seen["is_there"].astype(bool)
    nothing = pd.Series(None, index=seen.index, dtype="str")
    outcomes = seen.assign(
        side=Side.SALESFORCE.value,
        outcome=pd.Series(Outcome.FAILED.value, index=seen.index).mask(
            is_there, Outcome.CONFIRMED.value
        ),
        failure_class=nothing.mask(~is_there, FailureClass.RETRY.value),
        code=nothing.mask(~is_there, REPLY_LOST).mask(is_there, PUSHED),
        fix=nothing.mask(~is_there, lost.fix),
    )
    for run_id in outcomes["sync_run_id"].unique().tolist():
        of = outcomes[outcomes["sync_run_id"] == run_id]
        writes.record_late_outcomes(conn, run, run_id, columns_of(of), now=now)
        links.move_late_bases(conn, run, run_id, of["person_id"].unique(), now=now)
