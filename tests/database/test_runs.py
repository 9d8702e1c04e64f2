import threading
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from include.audit import decisions, runs, writes
from include.audit.runs import (
    LEASE,
    Kind,
    NightAlreadyOpenError,
    NightClosedError,
    Run,
    StaleAttemptError,
    UnknownRunError,
    WrongOrgError,
)
from include.store.database import transaction
from include.store.errors import StoreRefusedError
from tests.database import world
from tests.database.world import INTERVAL, NIGHT, NOW, ORG, open_run

LATER = NOW + timedelta(minutes=10)
MUCH_LATER = NOW + LEASE + timedelta(minutes=1)


def states(engine: Engine) -> list[str]:
    with transaction(engine) as conn:
        query = text("SELECT state FROM opt_out_sync.sync_run ORDER BY id")
        return list(conn.execute(query).scalars())


def count(conn: Connection, table: str) -> int:
    number: int = conn.execute(text(f"SELECT count(*) FROM opt_out_sync.{table}")).scalar_one()
    return number


def test_a_night_is_named_after_the_local_date_of_its_end(engine: Engine) -> None:
    run = open_run(engine)
    assert run.night == NIGHT
    assert (run.interval_start, run.interval_end) == INTERVAL
    assert (run.kind, run.state, run.attempt, run.step) == ("night", "open", 1, "preflight")
    assert run.settings.version == 1
    assert run.org_id == ORG


def test_a_night_without_an_interval_is_named_after_its_start(engine: Engine) -> None:
    run = runs.open_run(
        engine, airflow_run_id="manual", interval=None, plan_only=True, now=NOW, zone="Asia/Tokyo"
    )
    assert run.night == date(2026, 11, 23)
    assert run.plan_only


def test_a_second_night_waits_for_the_lease(engine: Engine) -> None:
    open_run(engine, "one")
    with pytest.raises(
        NightAlreadyOpenError, match="of one holds the lease until 2026-11-23 04:30"
    ):
        open_run(engine, "two", LATER)
    assert states(engine) == ["open"]


def test_an_expired_lease_is_taken_over(engine: Engine) -> None:
    old = open_run(engine, "one")
    open_run(engine, "two", MUCH_LATER)
    assert states(engine) == ["failed", "open"]
    assert "lease expired" in (runs.find(engine, old.id).reason or "")
    with transaction(engine) as conn, pytest.raises(StaleAttemptError):
        runs.guard(conn, old, now=MUCH_LATER)


def test_every_writing_transaction_renews_the_lease(engine: Engine) -> None:
    run = open_run(engine, "one")
    with transaction(engine) as conn:
        runs.guard(conn, run, now=LATER)
    with pytest.raises(NightAlreadyOpenError):
        open_run(engine, "two", NOW + LEASE)
    assert open_run(engine, "two", LATER + LEASE).attempt == 1


@pytest.mark.parametrize("failed_before", [False, True])
def test_the_same_airflow_run_opens_a_new_attempt(engine: Engine, failed_before: bool) -> None:
    old = open_run(engine)
    if failed_before:
        runs.fail(engine, old.id, "a task failed", now=NOW)
    new = open_run(engine, now=LATER)
    assert (new.attempt, states(engine)) == (2, ["superseded", "open"])
    with pytest.raises(StaleAttemptError):
        runs.enter(engine, old.id, "merge", now=LATER)


def test_a_superseded_attempt_writes_nothing(engine: Engine) -> None:
    old = open_run(engine)
    open_run(engine, now=LATER)
    with pytest.raises(StaleAttemptError), transaction(engine) as conn:
        decisions.record_decisions(conn, old, world.decisions([1]), now=LATER)
    with transaction(engine) as conn:
        assert count(conn, "merge_audit") == 0


def test_a_transaction_proves_itself_once_and_the_next_one_again(engine: Engine) -> None:
    run = open_run(engine)
    with transaction(engine) as conn:
        runs.guard(conn, run, now=NOW)
        locked = conn.execute(text("SELECT xmin FROM opt_out_sync.sync_run")).scalar_one()
        runs.guard(conn, run, now=LATER)
        assert conn.execute(text("SELECT xmin FROM opt_out_sync.sync_run")).scalar_one() == locked
    open_run(engine, now=LATER)
    with pytest.raises(StaleAttemptError), transaction(engine) as conn:
        runs.guard(conn, run, now=LATER)


def test_one_proof_does_not_speak_for_another_run_or_step(engine: Engine) -> None:
    old = open_run(engine)
    new = open_run(engine, now=LATER)
    with transaction(engine) as conn:
        runs.guard(conn, new, now=LATER)
        with pytest.raises(StaleAttemptError):
            runs.guard(conn, old, now=LATER)


def test_what_a_savepoint_proved_is_proved_again_after_it_was_rolled_back(engine: Engine) -> None:
    """Its lock is gone: somebody else may have replaced the attempt since."""
    run = open_run(engine)
    with transaction(engine) as conn:
        with conn.begin_nested() as savepoint:
            runs.guard(conn, run, now=NOW)
            savepoint.rollback()
        open_run(engine, now=LATER)
        with pytest.raises(StaleAttemptError):
            runs.guard(conn, run, now=LATER)


def test_an_attempt_that_is_replaced_while_it_waits_writes_nothing(engine: Engine) -> None:
    """The zombie's first statement is already under way when its successor commits."""
    run = open_run(engine)
    caught: list[BaseException] = []

    def zombie() -> None:
        try:
            with transaction(engine) as conn:
                decisions.record_decisions(conn, stale, world.decisions([1]), now=LATER)
        except StaleAttemptError as error:
            caught.append(error)

    stale = runs.enter(engine, run.id, "merge", now=NOW)
    with transaction(engine) as conn:
        conn.execute(text("SELECT FROM opt_out_sync.sync_run FOR UPDATE"))
        conn.execute(text("UPDATE opt_out_sync.sync_step SET fence = fence + 1"))
        thread = threading.Thread(target=zombie)
        thread.start()
        wait_until_somebody_waits_for_a_lock(engine)
    thread.join()
    assert len(caught) == 1
    with transaction(engine) as conn:
        assert count(conn, "merge_audit") == 0


def test_a_night_that_opens_a_month_waits_for_a_writing_step_and_both_go_on(
    engine: Engine,
) -> None:
    run = runs.enter(engine, open_run(engine).id, "merge", now=NOW)
    opened: list[Run] = []
    opener = threading.Thread(
        target=lambda: opened.append(open_run(engine, "two", NOW + timedelta(days=70)))
    )
    with transaction(engine) as conn:
        runs.guard(conn, run, now=NOW)
        opener.start()
        wait_until_somebody_waits_for_a_lock(engine)
        assert decisions.record_decisions(conn, run, world.decisions([1]), now=NOW) == 1
    opener.join()
    assert len(opened) == 1


def wait_until_somebody_waits_for_a_lock(engine: Engine) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(1000):
        with engine.connect() as conn:
            if conn.execute(waiting).scalar():
                return
    raise AssertionError("nobody waits")


def test_a_step_that_starts_again_replaces_its_earlier_start(engine: Engine) -> None:
    run = open_run(engine)
    first = runs.enter(engine, run.id, "merge", now=NOW)
    second = runs.enter(engine, run.id, "merge", now=LATER)
    assert (first.fence, second.fence) == (1, 2)
    with pytest.raises(StaleAttemptError), transaction(engine) as conn:
        runs.finish_step(conn, first, {}, now=LATER)
    with transaction(engine) as conn:
        runs.finish_step(conn, second, {"links": 3}, now=LATER)


def test_parallel_steps_do_not_replace_each_other(engine: Engine) -> None:
    run = open_run(engine)
    contact = runs.enter(engine, run.id, "extract_contacts", now=NOW)
    lead = runs.enter(engine, run.id, "extract_leads", now=NOW)
    with transaction(engine) as conn:
        runs.finish_step(conn, contact, {"records": 1}, now=NOW)
        runs.finish_step(conn, lead, {"records": 2}, now=NOW)


def test_a_finished_step_returns_its_counts(engine: Engine) -> None:
    run = open_run(engine)
    step = runs.enter(engine, run.id, "merge", now=NOW)
    assert step.finished is None
    with transaction(engine) as conn:
        runs.finish_step(conn, step, {"links": 3}, now=NOW)
    assert runs.enter(engine, run.id, "merge", now=LATER).finished == {"links": 3}


def test_a_step_killed_before_its_commit_leaves_nothing(engine: Engine) -> None:
    step = runs.enter(engine, open_run(engine).id, "merge", now=NOW)
    with engine.connect() as conn:
        decisions.record_decisions(conn, step, world.decisions([1, 2]), now=NOW)
        runs.finish_step(conn, step, {"links": 2}, now=NOW)
        conn.invalidate()
    again = runs.enter(engine, step.id, "merge", now=LATER)
    assert again.finished is None
    with transaction(engine) as conn:
        assert count(conn, "merge_audit") == 0


def test_a_failed_run_opens_again_at_its_failed_step(engine: Engine) -> None:
    run = open_run(engine)
    runs.fail(engine, run.id, "the load failed", now=NOW)
    assert runs.find(engine, run.id).reason == "the load failed"
    again = runs.enter(engine, run.id, "load", now=LATER)
    assert (again.state, again.reason) == ("open", None)


def test_a_failed_run_waits_while_another_one_is_open(engine: Engine) -> None:
    old = open_run(engine, "one")
    runs.fail(engine, old.id, "the load failed", now=NOW)
    open_run(engine, "two", LATER)
    with pytest.raises(NightAlreadyOpenError):
        runs.enter(engine, old.id, "load", now=LATER)


def test_a_failed_run_is_out_of_date_once_a_later_night_has_closed(engine: Engine) -> None:
    old = open_run(engine, "one")
    runs.fail(engine, old.id, "the load failed", now=NOW)
    new = open_run(engine, "two", LATER)
    with transaction(engine) as conn:
        runs.close(conn, new, {}, now=LATER)
    with pytest.raises(StaleAttemptError, match="out of date"):
        runs.enter(engine, old.id, "load", now=LATER)


def test_a_closed_night_keeps_its_counts_and_refuses_new_steps(engine: Engine) -> None:
    run = open_run(engine)
    step = runs.enter(engine, run.id, "close", now=NOW)
    with transaction(engine) as conn:
        runs.close(conn, step, {"links": 3}, now=LATER)
    closed = runs.find(engine, run.id)
    assert (closed.state, closed.counts) == ("closed", {"links": 3})
    assert runs.enter(engine, run.id, "close", now=LATER).finished == {"links": 3}
    with pytest.raises(NightClosedError):
        runs.enter(engine, run.id, "load", now=LATER)
    runs.fail(engine, run.id, "too late", now=LATER)
    assert runs.find(engine, run.id).state == "closed"
    assert open_run(engine, now=LATER).attempt == 2


def test_a_run_that_only_plans_ends_as_planned(engine: Engine) -> None:
    run = open_run(engine, plan_only=True)
    with transaction(engine) as conn:
        runs.close(conn, run, {}, now=NOW)
    assert states(engine) == ["planned"]


def test_a_skipped_night_is_a_row_with_a_reason(engine: Engine) -> None:
    for _ in range(2):
        runs.skip(
            engine, airflow_run_id="one", interval=INTERVAL, reason="the sync is paused", now=NOW
        )
    assert states(engine) == ["skipped", "skipped"]
    assert open_run(engine).attempt == 3


def skip(engine: Engine, airflow_run_id: str = "one", now: datetime = NOW) -> int:
    return runs.skip(
        engine, airflow_run_id=airflow_run_id, interval=INTERVAL, reason="paused", now=now
    )


def test_a_skipped_replay_is_no_night(engine: Engine) -> None:
    skipped = runs.skip(
        engine, kind="replay", airflow_run_id="one", interval=INTERVAL, reason="paused", now=NOW
    )
    assert runs.find(engine, skipped).kind == "replay"
    assert open_run(engine).attempt == 1


def test_a_night_that_airflow_starts_again_as_a_backfill_gives_up_its_lease(engine: Engine) -> None:
    killed = open_run(engine)
    replay = open_kind(engine, "replay")
    assert (replay.attempt, states(engine)) == (1, ["superseded", "open"])
    with pytest.raises(StaleAttemptError), transaction(engine) as conn:
        runs.guard(conn, killed, now=NOW)


def test_a_failed_night_stays_failed_when_it_is_only_replayed(engine: Engine) -> None:
    night = open_run(engine)
    runs.fail(engine, night.id, "the load failed", now=NOW)
    open_kind(engine, "replay")
    assert states(engine) == ["failed", "open"]


def test_a_skipped_night_ends_the_attempt_before_it(engine: Engine) -> None:
    old = open_run(engine)
    skipped = skip(engine, now=LATER)
    assert (runs.find(engine, skipped).state, states(engine)) == (
        "skipped",
        ["superseded", "skipped"],
    )
    with transaction(engine) as conn, pytest.raises(StaleAttemptError):
        runs.guard(conn, old, now=LATER)
    open_run(engine, "two", LATER)  # nobody holds the lease


def test_a_skipped_night_leaves_another_run_alone(engine: Engine) -> None:
    open_run(engine, "one")
    skip(engine, "two", LATER)
    assert states(engine) == ["open", "skipped"]


def test_why_an_attempt_failed_is_kept_when_it_is_replaced(engine: Engine) -> None:
    failed = open_run(engine)
    runs.fail(engine, failed.id, "the load failed", now=NOW)
    replaced = open_run(engine, now=LATER)
    skip(engine, now=LATER)
    assert runs.find(engine, failed.id).reason == "the load failed"
    assert "newer attempt" in (runs.find(engine, replaced.id).reason or "")
    with pytest.raises(StaleAttemptError, match="superseded by a newer attempt"):
        runs.enter(engine, failed.id, "load", now=LATER)


OTHER_ORG = "00D000000000002AAA"


def bind_other_org(engine: Engine) -> Run:
    run = runs.open_run(
        engine, airflow_run_id="other", interval=None, plan_only=False, now=MUCH_LATER
    )
    return runs.bind_org(engine, run, OTHER_ORG, now=MUCH_LATER)


def test_one_database_belongs_to_one_org(engine: Engine) -> None:
    run = open_run(engine)
    assert runs.bind_org(engine, run, ORG, now=NOW).org_id == ORG
    with transaction(engine) as conn:
        runs.close(conn, run, {}, now=NOW)
    with pytest.raises(WrongOrgError, match=ORG):
        bind_other_org(engine)


def test_an_org_that_was_written_to_is_the_only_one(engine: Engine) -> None:
    run = open_run(engine)
    with transaction(engine) as conn:
        writes.record_outcomes(conn, run, world.outcomes([1], "applied"), now=NOW)
    runs.fail(engine, run.id, "the load failed", now=NOW)
    with pytest.raises(WrongOrgError, match=ORG):
        bind_other_org(engine)


@pytest.mark.parametrize("plan_only", [True, False])
def test_a_first_try_with_a_sandbox_does_not_bind_the_database(
    engine: Engine, plan_only: bool
) -> None:
    run = open_run(engine, plan_only=plan_only)
    with transaction(engine) as conn:
        decisions.record_decisions(conn, run, world.decisions([1]), now=NOW)
        if plan_only:
            runs.close(conn, run, {}, now=NOW)
    runs.fail(engine, run.id, "merge failed", now=NOW)
    assert bind_other_org(engine).org_id == OTHER_ORG


def test_the_start_of_the_extraction_is_the_first_one(engine: Engine) -> None:
    run = open_run(engine)
    with transaction(engine) as conn:
        runs.mark_extraction_started(conn, run, now=NOW)
        runs.mark_extraction_started(conn, run, now=LATER)
    assert runs.find(engine, run.id).extraction_started_at == NOW


def test_a_run_that_was_only_looked_at_cannot_write(engine: Engine) -> None:
    seen = runs.find(engine, open_run(engine).id)
    with pytest.raises(StaleAttemptError), transaction(engine) as conn:
        runs.guard(conn, seen, now=NOW)


def test_an_unknown_run_is_named(engine: Engine) -> None:
    with pytest.raises(UnknownRunError, match="run 404"):
        runs.find(engine, 404)


def test_the_database_itself_refuses_two_open_nights(engine: Engine) -> None:
    run = open_run(engine)
    copy = """
    INSERT INTO opt_out_sync.sync_run
        (kind, state, airflow_run_id, attempt, settings_version, started_at, lease_expires_at)
    SELECT 'replay', 'open', 'other', 1, 1, started_at, lease_expires_at
    FROM opt_out_sync.sync_run WHERE id = :run_id
    """
    with (
        pytest.raises(StoreRefusedError, match="sync_run_one_open_night"),
        transaction(engine) as conn,
    ):
        conn.execute(text(copy), {"run_id": run.id})


def test_two_openers_at_the_same_moment_give_one_night(engine: Engine) -> None:
    opened: list[Run] = []
    refused: list[BaseException] = []

    def opener(name: str) -> None:
        try:
            opened.append(open_run(engine, name))
        except NightAlreadyOpenError as error:
            refused.append(error)

    threads = [threading.Thread(target=opener, args=(f"run {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(opened), len(refused)) == (1, 3)


EXCLUSIVE: list[Kind] = ["night", "replay", "held_clears", "correction"]


def open_kind(engine: Engine, kind: Kind, name: str = "one", now: datetime = NOW) -> Run:
    return runs.open_run(
        engine, airflow_run_id=name, interval=None, plan_only=False, now=now, kind=kind
    )


@pytest.mark.parametrize("kind", EXCLUSIVE)
def test_one_run_that_decides_is_open_at_a_time(engine: Engine, kind: Kind) -> None:
    assert open_kind(engine, kind).kind == kind
    for other in EXCLUSIVE:
        with pytest.raises(NightAlreadyOpenError):
            open_kind(engine, other, "two", LATER)
    assert states(engine) == ["open"]


@pytest.mark.parametrize("kind", EXCLUSIVE)
def test_a_push_neither_takes_nor_waits_for_the_lease(engine: Engine, kind: Kind) -> None:
    push = open_kind(engine, "push", "one")
    night = open_kind(engine, kind, "two")
    runs.fail(engine, push.id, "the load failed", now=NOW)
    assert runs.enter(engine, push.id, "load", now=MUCH_LATER).state == "open"
    open_kind(engine, "push", "three", MUCH_LATER)
    assert runs.find(engine, night.id).state == "open"
    with transaction(engine) as conn:
        runs.guard(conn, night, now=LATER)


def test_a_run_of_another_kind_is_no_attempt_of_the_same_airflow_run(engine: Engine) -> None:
    night = open_kind(engine, "night")
    runs.fail(engine, night.id, "the load failed", now=NOW)
    other = open_kind(engine, "held_clears")
    assert (other.attempt, states(engine)) == (1, ["failed", "open"])
    again = open_kind(engine, "held_clears", now=LATER)
    assert (again.attempt, states(engine)) == (2, ["failed", "superseded", "open"])


def test_the_nights_of_a_view_are_nights_only(engine: Engine) -> None:
    open_kind(engine, "held_clears")
    with transaction(engine) as conn:
        assert count(conn, "v_night") == 0
