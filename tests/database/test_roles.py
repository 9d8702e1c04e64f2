"""The role of the sync: a whole night without owning anything."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Connection, Engine, text
from upath import UPath

from include.audit import attempts, decisions, links, runs, settings, summary, writes
from include.audit.jobs import DatabaseJobJournal
from include.audit.settings import Settings
from include.domain.values import Side
from include.migrations.upgrade import downgrade
from include.store import acts, people
from include.store.database import connect, transaction
from include.store.errors import StoreRefusedError, database_errors
from tests.database import world
from tests.database.test_people import asked
from tests.database.world import (
    CANARY,
    FIELD,
    NOW,
    ORG,
    add_act,
    add_people,
    add_resubscribe,
    open_run,
    record,
)

WRITER = "opt_out_sync_writer"
SECOND = timedelta(seconds=1)


@pytest.fixture
def writer(engine: Engine) -> Iterator[Engine]:
    """The database of `engine`, for a login that is a member of the sync's role."""
    name = f"opt_out_test_writer_{os.getpid()}"
    with transaction(engine) as conn:
        conn.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE {WRITER}"))
    as_writer = connect(engine.url.set(username=name, password="x"))
    yield as_writer
    as_writer.dispose()
    with transaction(engine) as conn:
        conn.execute(text(f"DROP ROLE {name}"))


def test_the_role_of_the_sync_can_do_a_whole_night(
    engine: Engine, writer: Engine, tmp_path: Path
) -> None:
    with transaction(engine) as conn:
        person, clicked = add_people(conn, 2)
        add_act(conn, clicked)
    with transaction(writer) as conn:
        settings.save(conn, Settings(enabled=True), saved_by="Ada", note="why", now=NOW)
    skipped = {"airflow_run_id": "zero", "interval": None, "reason": "paused", "now": NOW}
    runs.skip(writer, **skipped)

    run = open_run(writer)
    run = runs.enter(writer, run.id, "everything", now=NOW)
    with transaction(writer) as conn:
        runs.mark_extraction_started(conn, run, now=NOW)
    files = {
        name: UPath(tmp_path / f"{name}.parquet") for name in ("people", "opt_outs", "resubscribes")
    }
    counts = people.extract_people(writer, **files, scopes=("team",), with_bounces=False)
    assert (counts.people, counts.opted_out) == (2, 1)
    assert links.read_links(writer, ORG, FIELD).empty
    frame = world.decisions([person], target_store=True).assign(target_salesforce=None)
    unlinked = frame[["person_id", "code"]].assign(salesforce_id=None)
    visible = frame[["person_id", "record_id", "object", "field"]].assign(
        is_visible=True, is_deleted=False
    )
    with transaction(writer) as conn:
        decisions.record_decisions(conn, run, frame, now=NOW)
        decisions.record_unlinked(conn, run, unlinked, now=NOW)
        decisions.record_unlinked(conn, run, unlinked.iloc[:0], now=NOW)
        links.record_visibility(conn, run, visible, now=NOW)
    with transaction(writer) as conn:
        assert len(writes.pending_writes(conn, run, Side.STORE)) == 1
        written = acts.record_opt_outs(conn, asked(person), occurred_at=NOW)
        assert written.act_id.notna().all()
        assert people.read_states(conn, [person]).is_opted_out.all()
        for outcome, after in (("applied", 1), ("confirmed", 2)):
            rows = world.outcomes([person], outcome, side="store")
            writes.record_outcomes(conn, run, rows, now=NOW + after * SECOND)
    journal = DatabaseJobJournal(writer, run, clock=lambda: NOW)
    key = journal.planned("Contact", "update")
    journal.created(key, "750000000000001AAA")
    journal.finished(key, "JobComplete", 1, 0)
    with transaction(writer) as conn:
        assert writes.pending_writes(conn, run, Side.STORE).empty
        assert writes.applied(conn, run, Side.STORE).empty
        assert writes.open_failures(conn, ORG) == 0
        assert links.move_bases(conn, run, now=NOW) == 1
        assert "1 opt-outs to the store" in summary.night_sentence(conn, run.id)
        runs.close(conn, run, {}, now=NOW)
    runs.fail(writer, run.id, "too late", now=NOW)
    assert attempts.unfinished_steps(writer, run.id) == ["preflight"]
    assert runs.find(writer, run.id).state == "closed"


def test_the_role_of_the_sync_can_clear_and_relink(engine: Engine, writer: Engine) -> None:
    with transaction(engine) as conn:
        person, _other = add_people(conn, 2)
        add_act(conn, person, occurred_at=NOW - SECOND, recorded_at=NOW - SECOND)
        evidence = add_resubscribe(conn, person)
    persons, opt_outs, resubscribes = people.read_groups(writer, [person])
    assert (len(persons), len(opt_outs), len(resubscribes)) == (1, 1, 1)
    clears = asked(person).assign(caused_by=f"act:{evidence}", occurred_at=NOW)
    moves = pd.DataFrame(
        {"person_id": [person], "from_record_id": [record(1)], "to_record_id": [record(3)]}
    )
    with transaction(writer) as conn:
        done = acts.record_clears(conn, clears, known=opt_outs["act_id"])
        assert done["act_id"].notna().all()
        assert not people.read_states(conn, [person])["is_opted_out"].any()
        assert not acts.acts_of(conn, opt_outs["act_id"])["is_standing"].any()
        assert acts.relink_people(conn, moves)["is_relinked"].all()


def test_an_admin_can_record_consent_and_change_nothing_else(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
    with transaction(engine) as conn:
        conn.execute(text("SET LOCAL ROLE opt_out_admin"))
        assert acts.record_resubscribe(
            conn,
            person_id=person,
            reason="asked by phone",
            actor="Ada",
            reference="CASE-1",
            approver=None,
            by_person=False,
            occurred_at=NOW,
            idempotency_key="consent",
        )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT email FROM engagement.person",
        "SELECT reason FROM engagement.unsubscribe",
        "INSERT INTO engagement.unsubscribe SELECT * FROM engagement.unsubscribe",
        "UPDATE engagement.person SET salesforce_id = NULL",
        "SELECT engagement.relink_person(1, '003000000000001AAA', '003000000000002AAA')",
        "SELECT engagement.lock_people(ARRAY[1])",
    ],
)
def test_an_admin_is_refused_what_belongs_to_the_store(engine: Engine, statement: str) -> None:
    with transaction(engine) as conn:
        conn.execute(text("SET LOCAL ROLE opt_out_admin"))
        with pytest.raises(StoreRefusedError, match="42501"), database_errors():
            conn.execute(text(statement))
        conn.rollback()


def test_the_role_of_the_sync_opens_the_first_night_of_a_month(
    engine: Engine, writer: Engine
) -> None:
    open_run(writer, "one", NOW)
    open_run(writer, "two", NOW + timedelta(days=70))
    with transaction(engine) as conn:
        conn.execute(text("SELECT * FROM opt_out_sync.write_attempt_2027_02"))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT email FROM engagement.person",
        "UPDATE engagement.person SET salesforce_id = NULL",
        "DELETE FROM engagement.person",
        "INSERT INTO engagement.person (email) VALUES ('x')",
        "SELECT id FROM engagement.person FOR UPDATE",
        "DELETE FROM engagement.unsubscribe",
        "INSERT INTO engagement.unsubscribe SELECT * FROM engagement.unsubscribe",
        "UPDATE opt_out_sync.merge_audit SET code = 'x'",
        "DELETE FROM opt_out_sync.merge_audit",
        "UPDATE opt_out_sync.write_attempt SET code = 'x'",
        "DELETE FROM opt_out_sync.write_attempt",
        "UPDATE opt_out_sync.settings_version SET note = 'x'",
        "DELETE FROM opt_out_sync.settings_version",
        "DELETE FROM opt_out_sync.sync_run",
        "SELECT opt_out_sync.ensure_audit_partition('merge_audit', 'decided_at', '2031-01-01')",
        "CREATE TABLE opt_out_sync.extra (id int)",
    ],
)
def test_the_role_of_the_sync_is_refused_everything_else(writer: Engine, statement: str) -> None:
    with pytest.raises(StoreRefusedError, match="42501") as caught, transaction(writer) as conn:
        conn.execute(text(statement))
    assert CANARY not in str(caught.value)


def execute_as_stranger(conn: Connection, call: str) -> None:
    conn.execute(text("GRANT USAGE ON SCHEMA engagement, opt_out_sync TO opt_out_analyst"))
    conn.execute(text("SET LOCAL ROLE opt_out_analyst"))
    conn.execute(text(call))


@pytest.mark.parametrize(
    "call",
    [
        "SELECT engagement.record_act(1, 'unsubscribe', 'team', 'Manual', null, null, null, null, "
        "null, now(), 'k')",
        "SELECT engagement.relink_person(1, '003000000000001AAA', '003000000000002AAA')",
        "SELECT engagement.lock_people(ARRAY[1])",
        "SELECT opt_out_sync.ensure_audit_partitions('merge_audit', now())",
    ],
)
def test_who_may_only_read_cannot_use_the_owners_rights(engine: Engine, call: str) -> None:
    with pytest.raises(StoreRefusedError, match="42501"), transaction(engine) as conn:
        execute_as_stranger(conn, call)


def test_a_downgrade_leaves_the_roles_and_takes_their_rights(engine: Engine) -> None:
    granted = """
    SELECT count(*) FROM pg_shdepend
    WHERE refobjid IN ('opt_out_sync_writer'::regrole, 'opt_out_analyst'::regrole,
                       'opt_out_admin'::regrole)
      AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    with transaction(engine) as conn:
        assert conn.execute(text(granted)).scalar_one() > 0
    downgrade(engine, "0002")
    with transaction(engine) as conn:
        assert conn.execute(text(granted)).scalar_one() == 0
