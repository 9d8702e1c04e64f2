"""The two systems and the sync between them, in the words of the tests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import pandas as pd
from airflow.providers.salesforce.hooks.salesforce import SalesforceHook
from sqlalchemy import Engine, text
from upath import UPath

from include.audit import orgs, settings
from include.audit.runs import find
from include.domain.values import SalesforceObject
from include.salesforce.bulk_jobs import Polling
from include.salesforce.client import SalesforceClient
from include.salesforce.session import Backoff, SalesforceSession
from include.store import acts
from include.sync import nightly
from include.sync.clock import Clock, utc_now
from include.sync.nightly.inputs import shards_of
from include.sync.nightly.steps import Again, stage_of
from include.sync.preflight import Trigger, preflight
from include.sync.report import report
from local.salesforce_emulator.testing import RunningEmulator

FIELD = "HasOptedOutOfEmail"
SALES_FIELD = "Sales_Opt_Out__c"
QUICK = Again(pauses=(0.01, 0.01))


def salesforce_session() -> SalesforceSession:
    """A session as a task has it, that does not wait long before it repeats."""
    return SalesforceSession(
        lambda http: SalesforceHook("salesforce", session=http).get_conn(),
        backoff=Backoff(attempts=3, first=0.01, longest=0.02),
    )


@dataclass
class World:
    engine: Engine
    org: RunningEmulator
    staging: UPath
    runs: count = field(default_factory=count)
    clock: Clock = utc_now
    again: Again = QUICK
    shard_rows: int = 1_000_000
    client_of: Callable[["World"], SalesforceClient] | None = None

    def __post_init__(self):
        self._unused = {
            obj: [r["Id"] for r in self.org.records(obj) if self._is_plain(r)]
            for obj in SalesforceObject
        }

    @staticmethod
    def _is_plain(record):
        return not record["IsDeleted"] and not record.get("IsConverted")

    client_class = SalesforceClient

    def client(self) -> SalesforceClient:
        if self.client_of is not None:
            return self.client_of(self)
        polling = Polling(first=0.02, longest=0.1, deadline=30)
        return SalesforceClient(salesforce_session(), polling=polling)

    # -- the admin

    def choose(self, **choices):
        with self.engine.begin() as conn:
            now = settings.current(conn).settings.model_dump()
            chosen = settings.Settings.model_validate(now | choices)
            settings.save(conn, chosen, saved_by="admin", note="test", now=utc_now())

    def org_id(self):
        return self.client().organization_id()

    def confirm_org(self):
        with self.engine.begin() as conn:
            orgs.confirm(conn, self.org_id(), by="admin", note="test", now=utc_now())

    def forget_confirmation(self):
        self.confirmed = False
        self.sql("ALTER TABLE opt_out_sync.org_confirmation DISABLE TRIGGER USER")
        self.sql("DELETE FROM opt_out_sync.org_confirmation")
        self.sql("ALTER TABLE opt_out_sync.org_confirmation ENABLE TRIGGER USER")

    def both_fields(self):
        for obj in SalesforceObject:
            self.org.install_checkbox(obj, SALES_FIELD, "Sales Opt Out")
        self.choose(field_mode="both", sales_opt_out_field=SALES_FIELD)

    # -- people and records

    def record(self, opted_out, obj=SalesforceObject.CONTACT):
        record_id = self._unused[obj].pop()
        self.org.edit(record_id, **{FIELD: opted_out})
        return record_id

    def person(self, salesforce_id, opted_out=False):
        insert = "INSERT INTO engagement.person (email, salesforce_id) VALUES (:e, :s) RETURNING id"
        with self.engine.begin() as conn:
            values = {"e": "canary@example.com", "s": salesforce_id}
            person_id = conn.execute(text(insert), values).scalar_one()
        if opted_out:
            self.unsubscribe(person_id)
        return person_id

    def pair(self, store, salesforce, obj=SalesforceObject.CONTACT):
        """One person linked to one record, with the given flags."""
        record_id = self.record(salesforce, obj)
        return self.person(record_id, store), record_id

    def consent(self, person_id, *, at=None, by_person=False):
        """Record evidence; returns the act's id."""
        with self.engine.begin() as conn:
            return acts.record_resubscribe(
                conn,
                person_id=person_id,
                reason="asked by phone",
                actor="support",
                reference="CASE-1",
                approver=None,
                by_person=by_person,
                occurred_at=at or utc_now(),
                idempotency_key=f"consent/{person_id}/{next(self.runs)}",
            )

    def salesforce_id(self, person_id):
        rows = self.sql("SELECT salesforce_id FROM engagement.person WHERE id = :p", p=person_id)
        return rows[0].salesforce_id

    def unsubscribe(self, person_id, **act):
        act = {
            "person": person_id,
            "kind": "unsubscribe",
            "scope": "team",
            "origin": "Clicked Link",
            "at": utc_now() - timedelta(days=1),
        } | act
        self.sql(
            "SELECT engagement.record_act(:person, :kind, :scope, :origin, null, null, null, null, "
            "null, :at, gen_random_uuid()::text)",
            **act,
        )

    def in_store(self, person_id):
        return self.sql(
            "SELECT is_opted_out FROM engagement.person_opt_out WHERE person_id = :p", p=person_id
        )[0].is_opted_out

    def in_salesforce(self, record_id):
        return self.org.record(record_id)[FIELD]

    def agreed(self, person_id, record_id):
        """Both values, or None where they differ."""
        values = {self.in_store(person_id), self.in_salesforce(record_id)}
        return values.pop() if len(values) == 1 else None

    # -- nights

    def open_night(self, run_id=None, plan_only=False, days=None):
        """Run preflight; returns the attempt that it announced and what it returned.

        The night is named by its start, or else is so many days from now.
        """
        end = None if days is None else self.clock() + timedelta(days=days)
        attempts = [None]
        sync_run_id = preflight(
            self.engine,
            self.client(),
            Trigger(
                run_id or f"manual__{next(self.runs)}",
                None if end is None else (end - timedelta(days=1), end),
                plan_only,
            ),
            clock=self.clock,
            announce=attempts.append,
        )
        return attempts[-1], sync_run_id

    def steps(self, sync_run_id):
        """The steps after preflight, as the DAG orders them."""
        e, s, n, now = self.engine, self.staging, sync_run_id, self.clock
        return {
            "extract.store": lambda: nightly.extract_store(e, s, n, clock=now),
            **{
                f"extract.{obj.lower()}": lambda obj=obj: nightly.extract_records(
                    e, self.client(), s, n, obj, clock=now
                )
                for obj in SalesforceObject
            },
            "split": lambda: nightly.split(e, s, n, shard_rows=self.shard_rows, clock=now),
            "decide": lambda: [
                nightly.decide(e, self.client(), s, n, shard, clock=now)
                for shard in range(shards_of(e, find(e, n)))
            ],
            "merge": lambda: nightly.merge(e, s, n, clock=now),
            "load.store": lambda: nightly.load_store(e, s, n, clock=now),
            "load.salesforce": lambda: nightly.load_salesforce(
                e, self.client(), n, clock=now, again=self.again
            ),
            "load.clears": lambda: nightly.load_clears(
                e, self.client(), s, n, clock=now, again=self.again
            ),
            "verify": lambda: nightly.verify(e, self.client(), n, clock=now),
            "close": lambda: nightly.close(e, s, n, clock=now),
        }

    def lose(self, sync_run_id, record_ids, obj=SalesforceObject.CONTACT):
        """Let Salesforce's answer of this night lack some records, as it does without a word."""
        stage = stage_of(self.staging, find(self.engine, sync_run_id))
        seen = stage.read(obj)
        stage.write(obj, seen[~seen["record_id"].isin(record_ids)], utc_now())

    def work(self, plan_only=False, days=None):
        """Run a night up to `close`; returns its attempt, and its run id unless it was off."""
        attempt, sync_run_id = self.open_night(plan_only=plan_only, days=days)
        for step in self.steps(sync_run_id).values() if sync_run_id else ():
            step()
        return attempt, sync_run_id

    def night(self, plan_only=False, days=None):
        """Run a whole night that ends green; returns its sync run id."""
        attempt, sync_run_id = self.work(plan_only, days)
        self.report(attempt)
        return sync_run_id

    def report(self, attempt):
        return report(self.engine, attempt, clock=self.clock)

    # -- the audit

    def sql(self, statement, **values):
        with self.engine.begin() as conn:
            result = conn.execute(text(statement), values)
            return result.all() if result.returns_rows else []

    def decisions(self, sync_run_id):
        query = "SELECT * FROM opt_out_sync.merge_audit WHERE sync_run_id = :n ORDER BY person_id"
        return pd.DataFrame(self.sql(query, n=sync_run_id))

    def codes(self, sync_run_id):
        """Code by person."""
        rows = self.decisions(sync_run_id)
        return {} if rows.empty else dict(zip(rows["person_id"], rows["code"], strict=True))

    def outcomes(self, sync_run_id):
        query = (
            "SELECT person_id, side, outcome, failure_class, code, fix "
            "FROM opt_out_sync.write_attempt WHERE sync_run_id = :n "
            "ORDER BY person_id, attempted_at, id"
        )
        return self.sql(query, n=sync_run_id)

    def judgements(self, person_id):
        query = "SELECT * FROM opt_out_sync.resubscribe_judgement WHERE person_id = :p ORDER BY id"
        return self.sql(query, p=person_id)

    def judgement(self, act_id):
        """Newest verdict and code of one resubscribe."""
        rows = self.sql(
            "SELECT verdict, code FROM opt_out_sync.resubscribe_judgement WHERE act_id = :a "
            "ORDER BY id DESC LIMIT 1",
            a=act_id,
        )
        return tuple(rows[0]) if rows else None

    def everything(self):
        """What a plan must not change, on both sides and in the sync's own memory."""
        tables = [
            "engagement.person",
            "engagement.unsubscribe",
            "opt_out_sync.link",
            "opt_out_sync.write_attempt",
            "opt_out_sync.resubscribe_judgement",
            "opt_out_sync.held_clear",
            "opt_out_sync.unlinked_person",
        ]
        rows = {table: sorted(map(str, self.sql(f"SELECT * FROM {table}"))) for table in tables}
        return rows | {obj: self.org.records(obj) for obj in SalesforceObject}

    def base(self, person_id):
        rows = self.sql(
            "SELECT base FROM opt_out_sync.link WHERE person_id = :p AND state = 'active'",
            p=person_id,
        )
        return rows[0].base if rows else None
