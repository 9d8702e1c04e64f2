"""Carry out clears: last, one record at a time, only while the plan is still true.

For each record: in one transaction the persons are locked, the store is asked again, the clear and
the judgement are recorded; then one conditional request clears Salesforce; then the persons are
read again, and whoever has opted out meanwhile is opted out in Salesforce at once. A clear in the
store is dated by the consent that it carries, so an opt-out that happened later always wins.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection, Engine
from upath import UPath

from include.audit import attempts, held, judgements, links, orgs, runs, writes
from include.audit.jobs import DatabaseJobJournal
from include.audit.runs import Run
from include.domain.values import FailureClass, Outcome, SalesforceObject, Side
from include.salesforce.clears import ClearOutcome
from include.salesforce.client import SalesforceClient
from include.store import acts as store_acts
from include.store import people
from include.store.database import transaction
from include.sync.choices import require_unchanged
from include.sync.clock import Clock
from include.sync.nightly.inputs import OPT_OUTS, UNJUDGED, read_at
from include.sync.nightly.load import Target, opt_out_records, salesforce_outcomes, unconfirmed
from include.sync.nightly.results import ACCEPTED
from include.sync.nightly.steps import (
    PATIENT,
    Again,
    Counts,
    columns_of,
    count_outcomes,
    finish,
    record_outcomes,
    require_same_org,
    stage_of,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clear:
    """What belongs to one record, or to one person without a record.

    Attributes:
        rows: planned writes of both sides, one row per person, field and side.
        acts: one row per person whose store is cleared: `person_id`, `caused_by`, `occurred_at`,
            `idempotency_key`.
        judged: judgements that become true with it.
        known: the unsubscribes of these persons that the plan was made from, by act id.
    """

    rows: pd.DataFrame
    acts: pd.DataFrame
    judged: pd.DataFrame
    known: list[int]

    @property
    def in_salesforce(self) -> pd.DataFrame:
        """The writes to Salesforce."""
        return self.rows[self.rows["side"] == Side.SALESFORCE.value]


def load_clears(
    engine: Engine,
    client: SalesforceClient,
    staging: UPath,
    sync_run_id: int,
    *,
    clock: Clock,
    again: Again = PATIENT,
) -> Counts:
    """Clear what evidence, or the rule `changed_side`, ended; a killed load resumes.

    Whatever is not true any more is superseded: the next night decides it again. Records that
    somebody held are tried again after all others.
    """
    run = runs.enter(engine, sync_run_id, "load_clears", now=clock())
    if run.finished is not None:
        return run.finished
    stage = stage_of(staging, run)
    accepted, consents = stage.read(ACCEPTED), stage.read(UNJUDGED)
    with transaction(engine) as conn:
        planned = _planned(conn, run)
        is_confirmed = orgs.is_confirmed(conn, run.org)
    if not planned.empty:  # else no request is made, not even a login
        require_same_org(client, run)
    if run.plan_only or is_held(engine, run):
        return finish(engine, run, {}, clock)
    if not is_confirmed:
        record_outcomes(engine, run, _unconfirmed(planned), clock)
        return finish(engine, run, {}, clock)
    worker = Worker(engine, client, run, clock)
    key, stands = f"opt-out-sync/{run.id}", stage.read(OPT_OUTS)
    _carry_out(worker, clears_of(run, planned, accepted, consents, stands, key=key), again)
    with transaction(engine) as conn:
        both = [writes.rows_with_outcome(conn, run, side) for side in Side]
    done = pd.concat(both, ignore_index=True)
    return finish(engine, run, count_outcomes(done[~done["target"]]), clock)


def _carry_out(worker: "Worker", clears: Iterable[Clear], again: Again) -> None:
    for pause in again.pauses:
        clears = [left for clear in clears if (left := worker.try_out(clear)) is not None]
        if not clears:
            return
        log.info("%d records were locked: tried again in %g seconds", len(clears), pause)
        again.sleep(pause)
    for clear in clears:
        worker.carry_out(clear)


def is_held(engine: Engine, run: Run) -> bool:
    """Tell whether the clears of a run wait for a person."""
    return bool((attempts.step_counts(engine, run.id, "merge") or {}).get("held"))


def _planned(conn: Connection, run: Run) -> pd.DataFrame:
    """Return the clears without an outcome, one row per person, field and side."""
    sides = [
        writes.pending_writes(conn, run, side, value=False).assign(side=side.value) for side in Side
    ]
    return pd.concat(sides, ignore_index=True)


def _unconfirmed(planned: pd.DataFrame) -> pd.DataFrame:
    return unconfirmed(planned).assign(side=planned["side"])


def clears_of(
    run: Run,
    planned: pd.DataFrame,
    accepted: pd.DataFrame,
    consents: pd.DataFrame,
    opt_outs: pd.DataFrame,
    *,
    key: str,
) -> Iterator[Clear]:
    """Group what belongs together: a record with its persons, or a person without one.

    Args:
        run: that decided.
        planned: one row per person, field and side to be cleared.
        accepted: judgements that become true with the clears.
        consents: what they accept, with its time.
        opt_outs: what the plan knew to stand.
        key: names what is recorded in the store, so that doing it again adds nothing.
    """
    dated = consents.set_index("act_id")["at"]
    concerned = {*planned["person_id"], *accepted["person_id"]}
    stands = opt_outs[opt_outs["person_id"].isin(concerned)]
    by_person = stands.groupby("person_id")["act_id"]
    known = {int(str(person)): rows.tolist() for person, rows in by_person}

    def clear(rows: pd.DataFrame, judged: pd.DataFrame) -> Clear:
        acts = _acts(run, rows, judged, dated, key)
        theirs = [act for person in acts["person_id"] for act in known.get(int(person), [])]
        return Clear(rows, acts, judged, theirs)

    unit = planned["record_id"].where(
        planned["record_id"].notna(), "person " + planned["person_id"].astype("str")
    )
    told: set[int] = set()
    for _, rows in planned.groupby(unit, sort=True):
        evidence = rows["evidence_id"].dropna().unique()
        judged = accepted[
            accepted["act_id"].isin(evidence) | accepted["person_id"].isin(rows["person_id"])
        ]
        told.update(int(each) for each in judged["act_id"])
        yield clear(rows, judged)
    # consent of people who are opted out nowhere: nothing to clear, and it stands from now on
    alone = accepted[~accepted["act_id"].isin(list(told))]
    for _, judged in alone.groupby("act_id"):
        yield clear(planned.iloc[:0], judged)


def _acts(
    run: Run, rows: pd.DataFrame, judged: pd.DataFrame, dated: pd.Series, key: str
) -> pd.DataFrame:
    """Describe one clear per person: dated by the consent, or else by what was seen."""
    in_store = rows[rows["side"] == Side.STORE.value]
    causes = pd.concat(
        [
            in_store[["person_id", "cause"]],
            pd.DataFrame(
                {
                    "person_id": judged["person_id"].astype("int64"),
                    "cause": "act:" + judged["act_id"].astype("str"),
                }
            ),
        ],
        ignore_index=True,
    ).drop_duplicates("person_id")
    act_id = pd.to_numeric(causes["cause"].str.extract(r"^act:(\d+)$", expand=False))
    occurred_at = (
        pd.to_datetime(act_id.map(dated), utc=True)
        .dt.as_unit("us")
        .fillna(pd.Timestamp(read_at(run)))
    )
    return pd.DataFrame(
        {
            "person_id": causes["person_id"].astype("int64"),
            "caused_by": causes["cause"],
            "occurred_at": occurred_at,
            "idempotency_key": f"{key}/clear/" + causes["person_id"].astype("str"),
        }
    ).reset_index(drop=True)


@dataclass(frozen=True, slots=True)
class Worker:
    """Carries out one clear after the other.

    Attributes:
        engine: the store.
        client: Salesforce.
        run: that decided.
        clock: tells the time.
        done: the outcome of a clear that was accepted: a night reads it back, a push does not.
        code: of that outcome.
    """

    engine: Engine
    client: SalesforceClient
    run: Run
    clock: Clock
    done: Outcome = Outcome.APPLIED
    code: str | None = None

    def carry_out(self, clear: Clear) -> None:
        """Clear the store, then Salesforce, then look again."""
        outcome = self._clear_both(clear)
        if outcome is not None:
            self._conclude(clear, outcome)

    def try_out(self, clear: Clear) -> Clear | None:
        """Carry out a clear; returns what to do later if the record cannot be had now.

        Nothing is told of Salesforce then, and whether the clear is still true is asked again.
        """
        outcome = self._clear_both(clear)
        if outcome is None:
            return None
        if (outcome["failure_class"] == FailureClass.RETRY.value).any():
            return replace(clear, rows=clear.in_salesforce)
        self._conclude(clear, outcome)
        return None

    def _clear_both(self, clear: Clear) -> pd.DataFrame | None:
        """Clear the store, then Salesforce; returns what Salesforce said, None if not asked."""
        if not self._clear_store(clear) or clear.in_salesforce.empty:
            return None
        return self._clear_salesforce(clear)

    def _conclude(self, clear: Clear, outcome: pd.DataFrame) -> None:
        record_outcomes(self.engine, self.run, outcome, self.clock)
        self._look_again(clear)

    def _clear_store(self, clear: Clear) -> bool:
        """Record the clear if the plan is still true; returns whether it was."""
        with transaction(self.engine) as conn:
            now = self.clock()
            runs.guard(conn, self.run, now=now)
            require_unchanged(conn, self.run)
            with conn.begin_nested() as savepoint:
                done = self._record_clears(conn, clear)
                # a start that was killed may have recorded the clear: an opt-out since then counts
                is_superseded = bool(done["is_superseded"].any()) or self._is_undone(conn, clear)
                if is_superseded:
                    savepoint.rollback()
            if is_superseded:
                self._record_superseded(conn, clear.rows, now)
                return False
            self._record_cleared(conn, clear, done, now)
        return True

    def _record_clears(self, conn: Connection, clear: Clear) -> pd.DataFrame:
        chosen = self.run.settings.settings
        return store_acts.record_clears(
            conn,
            clear.acts,
            known=clear.known,
            scopes=chosen.synced_scopes,
            with_bounces=chosen.bounces_sync,
        )

    def _record_cleared(
        self, conn: Connection, clear: Clear, done: pd.DataFrame, now: datetime
    ) -> None:
        judgements.record_judgements(conn, self.run, clear.judged, now=now)
        in_salesforce = clear.in_salesforce
        covered = in_salesforce[in_salesforce["evidence_id"].notna()]
        columns = ["person_id", "record_id", "object", "field", "evidence_id"]
        links.cover_links(conn, self.run, covered[columns], now=now)
        rows = clear.rows[clear.rows["side"] == Side.STORE.value]
        outcomes = rows.merge(done[["person_id", "act_id"]], on="person_id", validate="m:1")
        outcomes = outcomes.assign(outcome=self.done.value)
        writes.record_outcomes(conn, self.run, columns_of(outcomes), now=now)
        held.resolve(conn, self.run, clear.rows, "cleared", now=now)

    def _record_superseded(self, conn: Connection, rows: pd.DataFrame, now: datetime) -> None:
        outcomes = rows.assign(
            outcome=Outcome.SUPERSEDED.value,
            code="CHANGED_SINCE_READ",
            fix="The person opted out again since the plan was made; the next night decides.",
        )
        writes.record_outcomes(conn, self.run, columns_of(outcomes), now=now)

    def _clear_salesforce(self, clear: Clear) -> pd.DataFrame:
        """Send the one request; every person and field of the record shares its outcome."""
        rows = clear.in_salesforce
        first = rows.iloc[0]
        fields, account_id = sorted(rows["field"].unique()), first["account_id"]
        if self._was_cleared(first, fields):
            outcome = ClearOutcome(succeeded=True)
        else:
            outcome = self.client.clear_record(
                SalesforceObject(first["object"]),
                first["record_id"],
                fields,
                unmodified_since=first["salesforce_modified_at"],
                account_id=None if pd.isna(account_id) else account_id,
            )
        done = self.done if outcome.succeeded else Outcome.FAILED
        return rows.assign(
            outcome=done.value,
            failure_class=outcome.failure_class,
            code=self.code if outcome.succeeded else outcome.code,
            fix=outcome.fix,
        )

    def _was_cleared(self, row: pd.Series, fields: list[str]) -> bool:
        """Tell whether a start of this step that was killed had cleared a record already.

        Asking again would be refused: the record was modified since it was read, by ourselves.
        """
        if self.run.fence == 1:
            return False
        obj = SalesforceObject(row["object"])
        flags = self.client.read_flags(obj, fields, [row["record_id"]])
        return bool((flags[fields] == False).fillna(False).to_numpy().all())  # noqa: E712

    def _look_again(self, clear: Clear) -> None:
        """Opt the record out again if anybody of it opted out while it was cleared."""
        with transaction(self.engine) as conn:
            if not self._is_undone(conn, clear):
                return
        rows, chosen = clear.in_salesforce, self.run.settings.settings
        log.warning("Somebody opted out while a record was cleared: it is opted out again")
        for field, of in rows.groupby("field"):
            target = Target(SalesforceObject(of["object"].iloc[0]), str(field))
            jobs = DatabaseJobJournal(self.engine, self.run, self.clock)
            for result in opt_out_records(
                self.client, target, of, jobs, bulk_threshold=chosen.bulk_threshold
            ):
                outcomes = salesforce_outcomes(of.assign(target=True), result)
                record_outcomes(self.engine, self.run, outcomes, self.clock)

    def _is_undone(self, conn: Connection, clear: Clear) -> bool:
        """Tell whether anybody of the record is opted out."""
        chosen = self.run.settings.settings
        states = people.read_states(
            conn,
            self._persons_of(clear),
            scopes=chosen.synced_scopes,
            with_bounces=chosen.bounces_sync,
        )
        return bool(states["is_opted_out"].fillna(False).any())

    def _persons_of(self, clear: Clear) -> Sequence[int]:
        return sorted({*clear.rows["person_id"].tolist(), *clear.acts["person_id"].tolist()})
