"""Read back what was written: only what is seen counts as confirmed."""

import pandas as pd
from sqlalchemy import Engine

from include.audit import runs, writes
from include.domain.values import FailureClass, Outcome, SalesforceObject, Side
from include.salesforce.client import SalesforceClient
from include.store import people
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.nightly.steps import Counts, columns_of, count_outcomes, mark, require_same_org


def verify(engine: Engine, client: SalesforceClient, sync_run_id: int, *, clock: Clock) -> Counts:
    """Read back everything this night wrote: only what is seen counts as confirmed."""
    run = runs.enter(engine, sync_run_id, "verify", now=clock())
    if run.finished is not None:
        return run.finished
    require_same_org(client, run)
    chosen = run.settings.settings
    with transaction(engine) as conn:
        in_store = writes.applied(conn, run, Side.STORE)
        states = people.read_states(
            conn,
            in_store["person_id"].tolist(),
            scopes=chosen.synced_scopes,
            with_bounces=chosen.bounces_sync,
        )
        in_salesforce = writes.applied(conn, run, Side.SALESFORCE)
    seen = [
        _seen(in_store, states.drop_duplicates("person_id"), "person_id", Side.STORE),
        *_seen_in_salesforce(client, in_salesforce),
    ]
    outcomes = pd.concat(seen, ignore_index=True)
    with transaction(engine) as conn:
        now = clock()
        runs.guard(conn, run, now=now)
        writes.record_outcomes(conn, run, columns_of(outcomes), now=now)
        counts = count_outcomes(outcomes)
        runs.finish_step(conn, run, counts, now=now)
    return counts


def _seen_in_salesforce(client: SalesforceClient, written: pd.DataFrame) -> list[pd.DataFrame]:
    seen = []
    for obj in SalesforceObject:
        of_object = written[written["object"] == obj.value]
        for field, rows in of_object.groupby("field"):
            flags = client.read_flags(
                obj, [str(field)], rows["record_id"].drop_duplicates().tolist()
            )
            flags = flags.rename(columns={str(field): "is_opted_out"})
            seen.append(_seen(rows, flags, "record_id", Side.SALESFORCE))
    return seen


def _seen(written: pd.DataFrame, values: pd.DataFrame, key: str, side: Side) -> pd.DataFrame:
    """Compare each written value with the one read back."""
    found = written.merge(values[[key, "is_opted_out"]], on=key, how="left", validate="m:1")
    confirmed = (found["is_opted_out"].astype("boolean") == found["target"]).fillna(False)
    outcomes = mark(
        found.assign(side=side.value),
        ~confirmed.astype(bool),
        FailureClass.CHANGED,
        "CHANGED_AFTER_WRITE",
        "The value was accepted and read back different, or the record is gone: somebody or some "
        "automation changed it. The next night decides it again.",
    )
    return outcomes.replace({"outcome": {Outcome.APPLIED.value: Outcome.CONFIRMED.value}})
