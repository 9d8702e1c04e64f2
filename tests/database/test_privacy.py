"""No address leaves the database: not in an error, not in what analysts read."""

import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Connection, Engine, Row, text

from include.audit import decisions, held, judgements, writes
from include.audit.runs import Run
from include.domain.errors import OptOutSyncError, TransientSyncError
from include.store import acts, people
from include.store.bulk import snapshot
from include.store.database import connect, transaction
from include.store.errors import (
    NotPostgresError,
    StoreBusyError,
    StoreRefusedError,
    StoreUnavailableError,
)
from tests.database import world
from tests.database.world import CANARY, NOW, add_act, add_people, add_resubscribe, open_run

VIEWS = [
    "v_night",
    "v_person_timeline",
    "v_open_failures",
    "v_resubscribe",
    "v_held_clears",
    "v_conflicts",
]
FORBIDDEN = [
    "engagement.person",
    "engagement.unsubscribe",
    "engagement.person_opt_out",
    "engagement.own_resubscribe",
    "engagement.clear",
    "engagement.standing_opt_out",
    "engagement.open_resubscribe",
    "opt_out_sync.merge_audit",
    "opt_out_sync.write_attempt",
    "opt_out_sync.settings_version",
    "opt_out_sync.sync_run",
    "opt_out_sync.link",
    "opt_out_sync.resubscribe_judgement",
    "opt_out_sync.held_clear",
    "opt_out_sync.org_confirmation",
    "opt_out_sync.link_release",
]


def duplicate_key(conn: Connection) -> None:
    conn.execute(text("CREATE UNIQUE INDEX one_email ON engagement.person (email)"))
    add_people(conn, 2)


def wrong_type(conn: Connection) -> None:
    conn.execute(text("SELECT CAST(:email AS bigint)"), {"email": CANARY})


def failed_check(conn: Connection) -> None:
    add_act(conn, add_people(conn, 1)[0], origin=CANARY)


def bad_copy(conn: Connection) -> None:
    rows = {"person_id": [1], "caused_by": [CANARY], "idempotency_key": ["a\x00b"]}
    acts.record_opt_outs(conn, pd.DataFrame(rows), occurred_at=NOW)


@pytest.mark.parametrize("mistake", [duplicate_key, wrong_type, failed_check, bad_copy])
def test_no_error_quotes_an_address(engine: Engine, mistake: Callable[[Connection], None]) -> None:
    with pytest.raises(OptOutSyncError) as caught, transaction(engine) as conn:
        mistake(conn)
    printed = "".join(traceback.format_exception(caught.value))
    assert CANARY not in printed
    assert "canary" not in printed


def test_the_constraint_is_named(engine: Engine) -> None:
    named = pytest.raises(StoreRefusedError, match="SQLSTATE 23505, constraint one_email")
    with named, transaction(engine) as conn:
        duplicate_key(conn)


def test_an_arrow_error_quotes_no_address(engine: Engine) -> None:
    with transaction(engine) as conn:
        add_act(conn, add_people(conn, 1)[0], origin="Bounce")  # so that bounces are asked about
    with (
        pytest.raises(StoreUnavailableError) as caught,
        snapshot(engine, {"scopes": "team", "with_bounces": CANARY}) as database,
    ):
        database.read(Path(people.__file__).parent, "opted_out").table()
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def lose_connection(engine: Engine, conn: Connection) -> None:
    pid = conn.execute(text("SELECT pg_backend_pid()")).scalar()
    with engine.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    conn.execute(text("SELECT 1"))


def test_a_lost_connection_is_worth_a_retry(engine: Engine) -> None:
    with pytest.raises(StoreUnavailableError) as caught, transaction(engine) as conn:
        lose_connection(engine, conn)
    assert isinstance(caught.value, TransientSyncError)


def test_a_server_that_is_not_there_is_worth_a_retry() -> None:
    engine = connect("postgresql://somebody:secret@127.0.0.1:1/nowhere")
    with pytest.raises(StoreUnavailableError) as caught, transaction(engine):
        pass
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(NotPostgresError):
        connect("sqlite://")


def test_a_deadlock_is_worth_a_retry(engine: Engine) -> None:
    raise_it = "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$"
    with pytest.raises(StoreBusyError), transaction(engine) as conn:
        conn.exec_driver_sql(raise_it)


def read_as_analyst(conn: Connection, table: str) -> Sequence[Row[tuple[object, ...]]]:
    conn.execute(text("SET LOCAL ROLE opt_out_analyst"))
    return conn.execute(text(f"SELECT * FROM {table}")).all()


def fill(engine: Engine) -> Run:
    run = open_run(engine)
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, reason=CANARY, actor=CANARY)
        decisions.record_decisions(conn, run, world.decisions([person]), now=NOW)
        world_outcomes = world.outcomes([person], "failed", failure_class="gone", code="X")
        writes.record_outcomes(conn, run, world_outcomes, now=NOW + timedelta(seconds=1))
    return run


def consent(engine: Engine, run: Run) -> None:
    """A resubscribe whose every typed text is the address; it is refused, a clear waits."""
    with transaction(engine) as conn:
        typed = {"reason": CANARY, "actor": CANARY, "approver": CANARY, "evidence_ref": CANARY}
        act = add_resubscribe(conn, 1, **typed, occurred_at=NOW - timedelta(hours=1))
        clear = world.decisions([1]).assign(evidence_id=act)
        held.hold(conn, run, clear, now=NOW)
        judged = {
            "act_id": [act],
            "person_id": [1],
            "verdict": ["refused"],
            "code": ["NEWER_OPT_OUT"],
            "reason": ["The person opted out again."],
        }
        judgements.record_judgements(conn, run, pd.DataFrame(judged), now=NOW)


@pytest.mark.parametrize("view", VIEWS)
def test_an_analyst_reads_the_views_and_meets_no_address(engine: Engine, view: str) -> None:
    consent(engine, fill(engine))
    with transaction(engine) as conn:
        rows = read_as_analyst(conn, f"opt_out_sync.{view}")
    assert rows
    assert "canary" not in str(rows)
    assert "example.com" not in str(rows)


@pytest.mark.parametrize("table", FORBIDDEN)
def test_an_analyst_is_refused_the_tables(engine: Engine, table: str) -> None:
    with pytest.raises(StoreRefusedError, match="42501"), transaction(engine) as conn:
        read_as_analyst(conn, table)


def test_a_timeline_tells_act_decision_and_write_in_order(engine: Engine) -> None:
    fill(engine)
    with transaction(engine) as conn:
        query = (
            "SELECT what, side, code, detail FROM opt_out_sync.v_person_timeline ORDER BY at, what"
        )
        rows = [tuple(row) for row in conn.execute(text(query))]
    assert [row[:3] for row in rows] == [
        ("act", "store", "unsubscribe"),
        ("decision", None, "UNSUBSCRIBED_IN_STORE"),
        ("write", "salesforce", "X"),
    ]
    assert rows[0][3] == "Unsubscribe (team) by Clicked Link, recorded 2026-11-23 04:00:00 UTC"
    assert rows[2][3] == (
        "Salesforce Contact 003000000000001AAA HasOptedOutOfEmail := opted out: failed."
    )
