"""Clears that wait for a person, and the first night of an org."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, text

from include.audit import decisions, held, orgs, runs
from include.audit.runs import Run, StaleAttemptError
from include.migrations.upgrade import downgrade, upgrade
from include.store.database import transaction
from include.store.errors import StoreRefusedError
from tests.database import world
from tests.database.world import FIELD, NOW, ORG, open_run, record

SECOND = timedelta(seconds=1)
OTHER_ORG = "00D000000000002AAA"


def clears(*persons: int, evidence_id: int | None = 7) -> pd.DataFrame:
    frame = world.decisions(persons, code="RESUBSCRIBED", target_salesforce=False)
    return frame.assign(evidence_id=pd.array([evidence_id] * len(persons), dtype="Int64"))


NOWHERE = clears(9).assign(record_id=None, object=None, field=None)


def hold(engine: Engine, run: Run, frame: pd.DataFrame, after: int = 0) -> int:
    with transaction(engine) as conn:
        return held.hold(conn, run, frame, now=NOW + after * SECOND)


def resolve(engine: Engine, run: Run, frame: pd.DataFrame, resolution: Any) -> int:
    with transaction(engine) as conn:
        return held.resolve(conn, run, frame, resolution, now=NOW + 5 * SECOND)


def waiting(engine: Engine) -> list[int]:
    with transaction(engine) as conn:
        frame = held.open_held(conn, ORG)
        assert held.count_open(conn, ORG) == len(frame)
        assert held.open_held(conn, OTHER_ORG).empty
    return frame["person_id"].tolist()


def test_a_clear_that_waits_keeps_its_age(engine: Engine) -> None:
    run = open_run(engine)
    with transaction(engine) as conn:
        decisions.record_decisions(conn, run, clears(1), now=NOW)
    assert hold(engine, run, clears(1)) == 1
    assert hold(engine, run, clears(1, 2), after=60) == 1
    with transaction(engine) as conn:
        frame = held.open_held(conn, ORG)
    first, second = frame.to_dict("records")
    assert first == {
        "person_id": 1,
        "record_id": record(1),
        "object": "Contact",
        "field": FIELD,
        "evidence_id": 7,
        "code": "RESUBSCRIBED",
        "held_at": NOW,
    }
    assert (second["person_id"], second["held_at"]) == (2, NOW + 60 * SECOND)
    assert pd.isna(second["code"])


def test_a_night_and_a_push_may_hold_the_same_clear_at_the_same_moment(engine: Engine) -> None:
    night = open_run(engine)
    push = runs.open_run(
        engine, airflow_run_id="push", interval=None, plan_only=False, now=NOW, kind="push"
    )
    push = runs.bind_org(engine, push, ORG, now=NOW)
    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as conn:
            assert held.hold(conn, night, clears(1), now=NOW) == 1
            other = pool.submit(hold, engine, push, clears(1))
            blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            deadline = time.monotonic() + 60
            while conn.execute(text(blocked)).scalar() == 0:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        assert other.result(timeout=60) == 0
    assert waiting(engine) == [1]


def test_a_clear_without_a_record_waits_once_too(engine: Engine) -> None:
    run = open_run(engine)
    assert hold(engine, run, NOWHERE) == 1
    assert hold(engine, run, NOWHERE) == 0
    assert waiting(engine) == [9]
    assert resolve(engine, run, NOWHERE, "rejected") == 1
    assert waiting(engine) == []


def test_the_database_itself_holds_a_clear_only_once(engine: Engine) -> None:
    hold(engine, open_run(engine), NOWHERE)
    copy = """
    INSERT INTO opt_out_sync.held_clear (org_id, person_id, held_run_id, held_at)
    SELECT org_id, person_id, held_run_id, held_at FROM opt_out_sync.held_clear
    """
    with pytest.raises(StoreRefusedError, match="held_clear_open"), transaction(engine) as conn:
        conn.execute(text(copy))


@pytest.mark.parametrize("resolution", ["cleared", "rejected", "timed_out", "superseded"])
def test_what_became_of_a_held_clear_is_kept(engine: Engine, resolution: str) -> None:
    run = open_run(engine)
    hold(engine, run, clears(1, 2))
    assert resolve(engine, run, clears(1, 3), resolution) == 1
    assert resolve(engine, run, clears(1, 3), "rejected") == 0
    assert waiting(engine) == [2]
    with transaction(engine) as conn:
        rows = conn.execute(text("SELECT * FROM opt_out_sync.v_held_clears")).all()
    assert [(row.person_id, row.resolution) for row in rows] == [(2, None), (1, resolution)]
    assert (rows[1].resolved_at, rows[1].resolved_run_id) == (NOW + 5 * SECOND, run.id)
    assert (rows[1].held_at, rows[1].held_run_id) == (NOW, run.id)


def test_a_clear_can_wait_again_after_an_answer(engine: Engine) -> None:
    run = open_run(engine)
    hold(engine, run, clears(1))
    resolve(engine, run, clears(1), "timed_out")
    assert hold(engine, run, clears(1), after=60) == 1
    assert waiting(engine) == [1]


def test_another_field_or_record_is_another_clear(engine: Engine) -> None:
    run = open_run(engine)
    hold(engine, run, clears(1))
    for other in ({"field": "Sales_Opt_Out__c"}, {"record_id": record(5)}):
        assert resolve(engine, run, clears(1).assign(**other), "cleared") == 0
        assert hold(engine, run, clears(1).assign(**other)) == 1
    assert waiting(engine) == [1, 1, 1]


def test_a_resolution_that_nobody_knows_is_refused(engine: Engine) -> None:
    run = open_run(engine)
    hold(engine, run, clears(1))
    with pytest.raises(StoreRefusedError, match="held_clear_resolution"):
        resolve(engine, run, clears(1), "forgotten")


def test_a_replaced_attempt_holds_and_resolves_nothing(engine: Engine) -> None:
    old = open_run(engine)
    hold(engine, old, clears(1))
    open_run(engine, now=NOW + SECOND)
    with pytest.raises(StaleAttemptError):
        hold(engine, old, clears(2))
    with pytest.raises(StaleAttemptError):
        resolve(engine, old, clears(1), "cleared")
    assert waiting(engine) == [1]


# The first night of an org


def confirm(engine: Engine, by: str = "Ada") -> bool:
    with transaction(engine) as conn:
        return orgs.confirm(conn, ORG, by=by, note="looked at the plan", now=NOW)


def confirmed_by(engine: Engine) -> list[tuple[str, str]]:
    with transaction(engine) as conn:
        rows = conn.execute(text("SELECT org_id, confirmed_by FROM opt_out_sync.org_confirmation"))
        return [tuple(row) for row in rows]


def test_an_org_is_confirmed_once_and_by_whom(engine: Engine) -> None:
    with transaction(engine) as conn:
        assert not orgs.is_confirmed(conn, ORG)
        assert orgs.known(conn) == []
    assert confirm(engine)
    assert not confirm(engine, by="Bob")
    assert confirmed_by(engine) == [(ORG, "Ada")]
    with transaction(engine) as conn:
        assert orgs.is_confirmed(conn, ORG)
        assert not orgs.is_confirmed(conn, OTHER_ORG)


def test_an_org_is_known_from_its_first_run(engine: Engine) -> None:
    open_run(engine)
    with transaction(engine) as conn:
        assert orgs.known(conn) == [ORG]
        assert not orgs.is_confirmed(conn, ORG)


@pytest.mark.parametrize("change", ["UPDATE {} SET note = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_a_confirmation_cannot_be_changed(engine: Engine, change: str) -> None:
    confirm(engine)
    statement = change.format("opt_out_sync.org_confirmation")
    with pytest.raises(StoreRefusedError, match="insert-only"), transaction(engine) as conn:
        conn.execute(text(statement))


@pytest.mark.parametrize("closed", [True, False])
def test_an_org_that_was_synced_before_the_upgrade_need_not_be_confirmed(
    engine: Engine, closed: bool
) -> None:
    run = open_run(engine, plan_only=not closed)
    with transaction(engine) as conn:
        runs.close(conn, run, {}, now=NOW)
    downgrade(engine, "0004")
    upgrade(engine)
    assert confirmed_by(engine) == ([(ORG, "migration")] if closed else [])
