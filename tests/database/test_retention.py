"""Retention: old months get smaller, and nothing that proves or decides something goes."""

import threading
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import Connection, Engine, text

from include.audit import decisions, past, retention, runs, settings, writes
from include.audit.retention import Month, Thinned
from include.audit.runs import Run
from include.audit.settings import Settings
from include.reports.compliance import Period, summary
from include.store.database import transaction
from include.store.errors import StoreBusyError, StoreRefusedError
from tests.conftest import Login
from tests.database import world
from tests.database.world import FIELD, NOW, ORG, add_act, add_people, record

OLD = datetime(2024, 3, 10, 4, 0, tzinfo=UTC)
MARCH = date(2024, 3, 1)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FAILED = {"failure_class": "validation", "code": "RULE", "fix": "Mend it."}
NOBODY = {
    "store_is_opted_out": False,
    "target_salesforce": None,
    "new_base": False,
    "code": "FIRST_SEEN_AGREED",
}
NEVER_OPTED_OUT = 2


def keep(engine: Engine, months: int) -> None:
    with transaction(engine) as conn:
        chosen = Settings(enabled=True, audit_keep_months=months)
        settings.save(conn, chosen, saved_by="Ada", note="why", now=NOW)


def open_night(engine: Engine, at: datetime) -> Run:
    interval = (at - DAY, at)
    run = runs.open_run(engine, airflow_run_id=f"{at}", interval=interval, plan_only=False, now=at)
    return runs.bind_org(engine, run, ORG, now=at)


def close(engine: Engine, run: Run, at: datetime) -> None:
    with transaction(engine) as conn:
        runs.close(conn, run, {}, now=at)


def decide(engine: Engine, run: Run, people: list[int], at: datetime, **columns: object) -> None:
    with transaction(engine) as conn:
        decisions.record_decisions(conn, run, world.decisions(people, **columns), now=at)


def write(
    engine: Engine, run: Run, people: list[int], at: datetime, *results: str, **columns: object
) -> None:
    for step, result in enumerate(results):
        rows = world.outcomes(people, result, **columns)
        with transaction(engine) as conn:
            writes.record_outcomes(conn, run, rows, now=at + step * MINUTE)


@pytest.fixture
def years(engine: Engine) -> list[int]:
    """Eight nights of March 2024, each with a failure, and last night.

    Persons: 1 opted out and was carried; 2 never did; 3 opted out and cannot be written; 4 opted
    out, was carried by the second night, and cleared by a third.
    """
    with transaction(engine) as conn:
        people = add_people(conn, 4)
        acts = {person: add_act(conn, person, **_at(OLD - MINUTE)) for person in (1, 3, 4)}
    for night in range(8):
        at = OLD + night * DAY
        run = open_night(engine, at)
        if night == 0:
            decide(engine, run, [1], at, cause=f"act:{acts[1]}", store_act_id=acts[1])
            write(engine, run, [1], at, "failed", "applied", "confirmed", **_only_failed())
            decide(engine, run, [2], at, **NOBODY)
        if night == 1:
            decide(engine, run, [4], at, cause=f"act:{acts[4]}")
            write(engine, run, [4], at, "applied", "confirmed")
        if night == 2:
            said = {"target_salesforce": False, "new_base": False, "code": "RESUBSCRIBED"}
            seen = {"salesforce_is_opted_out": True, "base": True}
            decide(engine, run, [4], at, **said, **seen)
            write(engine, run, [4], at, "applied", "confirmed", target=False)
        decide(engine, run, [3], at, cause=f"act:{acts[3]}", store_act_id=acts[3])
        write(engine, run, [3], at, "failed", **FAILED)
        close(engine, run, at + 9 * MINUTE)
    last = open_night(engine, NOW)
    write(engine, last, [3], NOW, "failed", **FAILED)
    close(engine, last, NOW + 9 * MINUTE)
    return people


def _at(moment: datetime) -> dict[str, datetime]:
    return {"occurred_at": moment, "recorded_at": moment}


def _only_failed() -> dict[str, object]:
    """Of outcomes in a row, those that did not fail are not explained: nor need they be."""
    return {"failure_class": "retry", "code": "LOCKED", "fix": "Nothing: it is tried again."}


def months_due(engine: Engine) -> list[Month]:
    with transaction(engine) as conn:
        return retention.due(conn, now=NOW)


def thin_all(engine: Engine) -> dict[str, Thinned]:
    done = [retention.thin(engine, month, by="Ada", now=NOW) for month in months_due(engine)]
    return {each.audit_table: each for each in done if each is not None and each.month == MARCH}


def answers(engine: Engine, people: list[int]) -> list[object]:
    """Everything that a decision, a page or an auditor asks the audit for."""
    with transaction(engine) as conn:
        moments = [OLD + hours * timedelta(hours=6) for hours in range(-2, 90, 3)] + [NOW]
        told = [
            [(f.side, f.is_opted_out, f.record_id) for f in past.opt_out_at(conn, each, moment)]
            for each in people
            if each != NEVER_OPTED_OUT
            for moment in moments
        ]
        compliance = conn.execute(
            text("SELECT * FROM opt_out_sync.v_compliance ORDER BY act_id, record_id")
        ).all()
        failures = conn.execute(
            text(
                "SELECT person_id, first_failed_at, since FROM (SELECT *, opted_out_at AS since "
                "FROM opt_out_sync.v_open_failures) AS f ORDER BY 1"
            )
        ).all()
        period = summary(conn, Period(OLD - DAY, NOW), now=NOW)
        wrote = [writes.acts_of_run(conn, run).to_dict("records") for run in range(1, 10)]
    own = writes.own_writes(engine, ORG, [record(each) for each in people], [FIELD])
    return [told, compliance, failures, period, own.to_dict("records"), wrote]


def count(engine: Engine, table: str, where: str = "true") -> int:
    with transaction(engine) as conn:
        query = f"SELECT count(*) FROM opt_out_sync.{table} WHERE {where}"
        return int(conn.execute(text(query)).scalar_one())


def test_everything_is_kept_until_somebody_chooses_otherwise(
    engine: Engine, years: list[int]
) -> None:
    assert months_due(engine) == []
    assert retention.thin_tonight(engine, by="night 1", now=NOW) == []
    march = Month("merge_audit", MARCH)
    assert retention.thin(engine, march, by="Ada", now=NOW) is None


def test_a_thinned_month_answers_every_question_as_before(engine: Engine, years: list[int]) -> None:
    before = answers(engine, years)
    keep(engine, 24)
    done = thin_all(engine)
    assert (done["merge_audit"].rows_before, done["merge_audit"].rows_kept) == (12, 5)
    assert (done["write_attempt"].rows_before, done["write_attempt"].rows_kept) == (15, 9)
    assert answers(engine, years) == before


def test_what_goes_says_of_nobody_that_they_are_opted_out_or_says_the_same_again(
    engine: Engine, years: list[int]
) -> None:
    keep(engine, 24)
    thin_all(engine)
    assert count(engine, "merge_audit", "person_id = 2") == 0
    assert count(engine, "merge_audit", "person_id = 3") == 2
    assert count(engine, "write_attempt", "person_id = 3 AND attempted_at < '2025-01-01'") == 2
    kept = "person_id IN (1, 4)"
    assert (count(engine, "merge_audit", kept), count(engine, "write_attempt", kept)) == (3, 7)


def test_of_whom_nobody_ever_opted_out_it_is_no_longer_known_what_salesforce_said_then(
    engine: Engine, years: list[int]
) -> None:
    keep(engine, 24)
    thin_all(engine)
    with transaction(engine) as conn:
        (fact,) = past.opt_out_at(conn, NEVER_OPTED_OUT, OLD + DAY)
    assert (fact.side, fact.is_opted_out) == ("store", False)


def test_that_an_opt_out_reached_nobody_in_salesforce_stays_known(
    engine: Engine, years: list[int]
) -> None:
    """Such a decision has no values: the person has no record that could say anything."""
    run = open_night(engine, at := OLD + 9 * DAY)
    unlinked = pd.DataFrame(
        {"person_id": [3], "rule": "opt_out_wins", "code": "NO_SALESFORCE_ID", "reason": "No Id."}
    )
    with transaction(engine) as conn:
        decisions.record_decisions(conn, run, unlinked, now=at)
    close(engine, run, at + MINUTE)
    keep(engine, 24)
    thin_all(engine)
    with transaction(engine) as conn:
        codes = conn.execute(
            text("SELECT code FROM opt_out_sync.merge_audit WHERE record_id IS NULL")
        )
        assert codes.scalars().all() == ["NO_SALESFORCE_ID"]


def test_an_act_between_two_decisions_that_look_alike_keeps_the_next_one(
    engine: Engine, years: list[int]
) -> None:
    """The first decision after an unsubscribe proves when it was seen."""
    with transaction(engine) as conn:
        add_act(conn, 3, **_at(OLD + 4 * DAY + MINUTE))
    keep(engine, 24)
    thin_all(engine)
    after = f"person_id = 3 AND decided_at = '{OLD + 5 * DAY}'"
    assert count(engine, "merge_audit", after) == 1


def test_a_failure_after_a_success_still_says_since_when(engine: Engine, years: list[int]) -> None:
    at = OLD + 9 * DAY
    late = open_night(engine, at)
    write(engine, late, [3], at, "confirmed")
    for minutes in range(1, 4):
        write(engine, late, [3], at + minutes * MINUTE, "failed", **FAILED)
    close(engine, late, at + 9 * MINUTE)
    before = answers(engine, years)
    keep(engine, 24)
    assert thin_all(engine)["write_attempt"].rows_kept == 12
    assert answers(engine, years) == before


def test_who_thinned_what_is_written_down_and_cannot_be_changed(
    engine: Engine, years: list[int]
) -> None:
    keep(engine, 24)
    thin_all(engine)
    with transaction(engine) as conn:
        latest = retention.history(conn)[0]
        shape = [(each.name, each.rows) for each in retention.partitions(conn)]
    assert (latest.thinned_by, latest.keep_months, latest.settings_version) == ("Ada", 24, 2)
    assert ("merge_audit_2024_03", 5) in shape
    for change in ("DELETE FROM {}", "UPDATE {} SET month = '2020-01-01'", "TRUNCATE {}"):
        for table in ("audit_thinning", "merge_audit_2024_03"):
            statement = change.replace("month", "reason") if "merge" in table else change
            with pytest.raises(StoreRefusedError, match="insert-only"), transaction(engine) as conn:
                conn.execute(text(statement.format(f"opt_out_sync.{table}")))


def test_thinning_again_changes_nothing(engine: Engine, years: list[int]) -> None:
    keep(engine, 24)
    thin_all(engine)
    assert months_due(engine) == []
    assert retention.thin(engine, Month("merge_audit", MARCH), by="Ada", now=NOW) is None
    assert count(engine, "merge_audit") == 5


def test_a_month_in_which_nothing_has_to_stay_is_dropped(engine: Engine, years: list[int]) -> None:
    keep(engine, 24)
    thin_all(engine)  # April of 2024 was made ahead, and holds nothing
    assert count(engine, "audit_thinning", "month = '2024-04-01' AND rows_kept = 0") == 2
    with transaction(engine) as conn:
        names = {each.name for each in retention.partitions(conn)}
    assert "merge_audit_2024_03" in names
    assert "merge_audit_2024_04" not in names


def test_each_night_thins_one_month(engine: Engine, years: list[int]) -> None:
    keep(engine, 24)
    first = retention.thin_tonight(engine, by="night 9", now=NOW)
    assert {(each.audit_table, each.month) for each in first} == {
        ("merge_audit", MARCH),
        ("write_attempt", MARCH),
    }
    second = retention.thin_tonight(engine, by="night 10", now=NOW)
    assert {each.month for each in second} == {date(2024, 4, 1)}
    assert retention.thin_tonight(engine, by="night 11", now=NOW) == []


def test_a_call_that_is_killed_has_changed_nothing(engine: Engine, years: list[int]) -> None:
    keep(engine, 24)
    with engine.connect() as conn:
        values = {"audited": "merge_audit", "month": MARCH, "by": "Ada", "now": NOW}
        assert conn.execute(text(retention.THIN), values).one() == (12, 5)
        conn.rollback()
    assert count(engine, "merge_audit") == 12
    assert thin_all(engine)["merge_audit"].rows_kept == 5


def test_a_reader_is_not_waited_for_long_and_the_next_night_tries_again(
    engine: Engine, years: list[int]
) -> None:
    keep(engine, 24)
    with engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM opt_out_sync.merge_audit"))
        with pytest.raises(StoreBusyError, match="55P03"):
            retention.thin(engine, Month("merge_audit", MARCH), by="Ada", now=NOW)
        (done,) = retention.thin_tonight(engine, by="night 9", now=NOW)
        assert done.audit_table == "write_attempt"
    (done,) = retention.thin_tonight(engine, by="night 10", now=NOW)
    assert done.audit_table == "merge_audit"


def test_two_that_thin_do_not_meet(engine: Engine, years: list[int]) -> None:
    keep(engine, 24)
    with engine.connect() as other:
        lock = "SELECT pg_advisory_xact_lock(hashtext('opt_out_sync.thin_audit_month'))"
        other.execute(text(lock))
        with pytest.raises(StoreBusyError):
            retention.thin(engine, Month("merge_audit", MARCH), by="Ada", now=NOW)


def test_a_push_goes_on_while_a_month_is_copied(engine: Engine, years: list[int]) -> None:
    """Everything but the last milliseconds happens beside whoever writes."""
    keep(engine, 24)
    run = open_night(engine, NOW + DAY)
    with engine.connect() as thinning:
        copy = "CREATE TABLE opt_out_sync.copy (LIKE opt_out_sync.merge_audit INCLUDING INDEXES)"
        lock = "LOCK TABLE opt_out_sync.merge_audit_2024_03 IN SHARE MODE"
        for statement in (lock, copy):
            thinning.execute(text(statement))
        thinning.execute(
            text("SELECT opt_out_sync.keep_decisions('merge_audit_2024_03', 'copy', :at)"),
            {"at": OLD},
        )
        pushed = threading.Thread(target=decide, args=(engine, run, [1], NOW + DAY))
        pushed.start()
        pushed.join(timeout=60)
        assert not pushed.is_alive()
        thinning.rollback()


@pytest.mark.parametrize("months", ["23", "1", "0", "null"])
def test_the_database_itself_refuses_to_thin_what_is_young(
    engine: Engine, years: list[int], months: str
) -> None:
    with transaction(engine) as conn:
        document = f'{{"audit_keep_months": {months}}}'
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.settings_version (saved_at, saved_by, note, document) "
                "VALUES (now(), 'x', 'x', CAST(:document AS jsonb))"
            ),
            {"document": document},
        )
    assert months_due(engine) == []


def test_a_clock_that_runs_ahead_thins_nothing_more(engine: Engine, years: list[int]) -> None:
    keep(engine, 24)
    with transaction(engine) as conn:
        ahead = retention.due(conn, now=datetime.now(UTC) + timedelta(days=20_000))
    assert ahead == months_due(engine)


@pytest.mark.parametrize("what", ["held", "push", "run", "no night"])
def test_what_is_still_open_keeps_its_months(engine: Engine, years: list[int], what: str) -> None:
    keep(engine, 24)
    with transaction(engine) as conn:
        OPEN[what](conn)
    assert months_due(engine) == []


def _hold(conn: Connection) -> None:
    conn.execute(
        text(
            "INSERT INTO opt_out_sync.held_clear (org_id, person_id, held_run_id, held_at) "
            "VALUES (:org, 1, 1, :at)"
        ),
        {"org": ORG, "at": OLD},
    )


def _wait(conn: Connection) -> None:
    conn.execute(
        text(
            "INSERT INTO opt_out_sync.push_outbox "
            "(person_id, state, version, marked_at, next_attempt_at) "
            "VALUES (1, 'parked', 1, :at, :at) ON CONFLICT (person_id) DO UPDATE "
            "SET state = 'parked', marked_at = :at, closed_at = NULL"
        ),
        {"at": OLD},
    )


def _reopen(conn: Connection) -> None:
    conn.execute(text("UPDATE opt_out_sync.sync_run SET state = 'open' WHERE id = 1"))


def _never_closed(conn: Connection) -> None:
    conn.execute(text("UPDATE opt_out_sync.sync_run SET state = 'failed'"))


OPEN = {"held": _hold, "push": _wait, "run": _reopen, "no night": _never_closed}


def test_a_thinned_night_keeps_its_numbers_when_it_is_run_again(
    engine: Engine, years: list[int]
) -> None:
    tally = f"SELECT * FROM opt_out_sync.night_tally WHERE night = '{runs.night_of(OLD)}'"
    with transaction(engine) as conn:
        before = conn.execute(text(tally)).one()
    assert before.decisions == 3
    keep(engine, 24)
    thin_all(engine)
    again = runs.open_run(
        engine,
        airflow_run_id="backfill",
        interval=(OLD - DAY, OLD),
        plan_only=False,
        now=NOW + DAY,
        kind="replay",
    )
    again = runs.bind_org(engine, again, ORG, now=NOW + DAY)
    close(engine, again, NOW + DAY)
    with transaction(engine) as conn:
        assert conn.execute(text(tally)).one() == before


def test_the_role_of_the_sync_may_thin_what_is_due_and_nothing_else(
    engine: Engine, years: list[int], login: Login
) -> None:
    keep(engine, 24)
    writer = login("opt_out_sync_writer")
    done = retention.thin_tonight(writer, by="night 9", now=NOW)
    assert [each.rows_kept for each in done] == [5, 9]
    for statement in (
        "DROP TABLE opt_out_sync.merge_audit_2024_03",
        "SELECT opt_out_sync.keep_writes('write_attempt_2024_03', 'x')",
        "INSERT INTO opt_out_sync.audit_thinning (month) VALUES ('2024-01-01')",
    ):
        with pytest.raises(StoreRefusedError, match="42501"), transaction(writer) as conn:
            conn.execute(text(statement))


def test_a_thinned_month_is_still_written_to_and_found(engine: Engine, years: list[int]) -> None:
    """A worker whose clock is years behind writes into it; and whatever is asked finds it."""
    keep(engine, 24)
    thin_all(engine)
    late = open_night(engine, NOW + DAY)
    decide(engine, late, [1], OLD + 12 * DAY)
    assert count(engine, "merge_audit_2024_03") == 6
    assert count(engine, "merge_audit_default") == 0
