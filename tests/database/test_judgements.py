"""What became of each resubscribe: insert-only, and only news."""

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, text

from include.audit import judgements
from include.audit.runs import Run, StaleAttemptError
from include.store.database import transaction
from include.store.errors import StoreRefusedError
from tests.database.world import NOW, add_act, add_people, open_run

SECOND = timedelta(seconds=1)
REFUSED = {"verdict": "refused", "code": "NEWER_OPT_OUT", "reason": "A newer opt-out stands."}
WAITING = {"verdict": "waiting", "code": "NOT_READ", "reason": "A field cannot be read."}
ACCEPTED = {"verdict": "accepted", "code": "RESUBSCRIBED", "reason": "It is newer than all."}


def judged(*acts: int, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"act_id": acts, "person_id": 1}).assign(**columns)


def judge(engine: Engine, run: Run, frame: pd.DataFrame, now: datetime = NOW) -> int:
    with transaction(engine) as conn:
        return judgements.record_judgements(conn, run, frame, now=now)


def judged_before(engine: Engine, *acts: int) -> pd.DataFrame:
    with transaction(engine) as conn:
        return judgements.judged_before(conn, acts or None)


def recorded(engine: Engine) -> list[tuple[int, str]]:
    query = "SELECT act_id, verdict FROM opt_out_sync.resubscribe_judgement ORDER BY id"
    with transaction(engine) as conn:
        return [tuple(row) for row in conn.execute(text(query))]


def test_only_news_of_an_act_is_recorded(engine: Engine) -> None:
    run = open_run(engine)
    retry = pd.Timestamp(NOW + timedelta(minutes=6))
    columns = {**REFUSED, "in_the_way": "act:7", "retry_after": retry}
    assert judge(engine, run, judged(1, 2, **columns)) == 2
    assert judge(engine, run, judged(1, 2, **columns), NOW + SECOND) == 0
    assert judge(engine, run, judged(1, **columns | {"in_the_way": "act:8"})) == 1
    assert judge(engine, run, judged(1, **columns | {"retry_after": pd.NaT})) == 1
    assert judge(engine, run, judged(1, **WAITING)) == 1
    assert judge(engine, run, judged(1, **columns)) == 1  # back to what it was is news, too
    with transaction(engine) as conn:
        query = text("SELECT * FROM opt_out_sync.resubscribe_judgement ORDER BY id LIMIT 1")
        row = conn.execute(query).mappings().one()
    assert {name: row[name] for name in columns} == columns
    assert (row["judged_at"], row["sync_run_id"], row["person_id"]) == (NOW, run.id, 1)


def test_what_was_refused_last_is_final(engine: Engine) -> None:
    run = open_run(engine)
    assert judged_before(engine).empty
    judge(engine, run, judged(1, 2, 3, **WAITING))
    judge(engine, run, judged(1, 2, **REFUSED))
    judge(engine, run, judged(2, **ACCEPTED))
    before = judged_before(engine)
    assert before.to_dict("records") == [{"act_id": 1, "is_refused": True, "was_held": False}]


def test_what_was_held_is_remembered_whatever_was_said_since(engine: Engine) -> None:
    run = open_run(engine)
    judge(engine, run, judged(1, 2, 3, **ACCEPTED | {"verdict": "held", "code": "HELD"}))
    judge(engine, run, judged(2, **WAITING))
    judge(engine, run, judged(3, **REFUSED))
    before = judged_before(engine).set_index("act_id")
    assert before["was_held"].to_dict() == {1: True, 2: True, 3: True}
    assert before["is_refused"].to_dict() == {1: False, 2: False, 3: True}
    assert judged_before(engine, 3, 4)["act_id"].tolist() == [3]
    with transaction(engine) as conn:
        assert judgements.judged_before(conn, []).empty


def test_a_verdict_that_nobody_knows_is_refused(engine: Engine) -> None:
    with pytest.raises(StoreRefusedError, match="resubscribe_judgement_verdict"):
        judge(engine, open_run(engine), judged(1, **ACCEPTED | {"verdict": "maybe"}))


def test_a_replaced_attempt_judges_nothing(engine: Engine) -> None:
    old = open_run(engine)
    open_run(engine, now=NOW + SECOND)
    with pytest.raises(StaleAttemptError):
        judge(engine, old, judged(1, **ACCEPTED))
    assert recorded(engine) == []


@pytest.mark.parametrize("change", ["UPDATE {} SET code = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_a_judgement_cannot_be_changed(engine: Engine, change: str) -> None:
    judge(engine, open_run(engine), judged(1, **ACCEPTED))
    statement = change.format("opt_out_sync.resubscribe_judgement")
    with pytest.raises(StoreRefusedError, match="insert-only"), transaction(engine) as conn:
        conn.execute(text(statement))


EVIDENCE = {"reason": "He called.", "actor": "Ada", "evidence_ref": "case 4711"}
RESUBSCRIBE = {"kind": "resubscribe", "origin": "Manual"}


def shown(engine: Engine) -> dict[int, Any]:
    with transaction(engine) as conn:
        rows = conn.execute(text("SELECT * FROM opt_out_sync.v_resubscribe")).all()
    return {row.act_id: row for row in rows}


def test_every_resubscribe_of_a_person_is_listed_with_what_became_of_it(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person)
        bare = add_act(conn, person, **RESUBSCRIBE)
        unjudged = add_act(conn, person, **RESUBSCRIBE, **EVIDENCE)
        refused = add_act(conn, person, **RESUBSCRIBE, **EVIDENCE)
        clear = {**RESUBSCRIBE, "origin": "Salesforce Sync", "caused_by": f"act:{refused}"}
        add_act(conn, person, **clear)
    run = open_run(engine)
    judge(engine, run, judged(refused, **WAITING))
    judge(engine, run, judged(refused, **REFUSED, in_the_way="act:1"), NOW + SECOND)
    rows = shown(engine)
    assert sorted(rows) == [bare, unjudged, refused]
    assert (rows[bare].is_evidence, rows[bare].verdict, rows[bare].code) == (False, "waiting", None)
    assert "reference" in rows[bare].reason
    assert (rows[unjudged].is_evidence, rows[unjudged].verdict) == (True, "waiting")
    assert rows[unjudged].reason == "No run has judged it yet."
    row = rows[refused]
    assert (row.verdict, row.code, row.in_the_way) == ("refused", "NEWER_OPT_OUT", "act:1")
    assert (row.person_id, row.at, row.recorded_at) == (person, NOW, NOW)
    assert (row.judged_at, row.sync_run_id) == (NOW + SECOND, run.id)


@pytest.mark.parametrize("missing", list(EVIDENCE))
def test_a_blank_part_makes_no_evidence(engine: Engine, missing: str) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        act = add_act(conn, person, **RESUBSCRIBE, **EVIDENCE | {missing: ""})
    assert not shown(engine)[act].is_evidence


def test_a_judgement_is_part_of_the_persons_story(engine: Engine) -> None:
    judge(engine, open_run(engine), judged(5, **REFUSED))
    with transaction(engine) as conn:
        row = conn.execute(text("SELECT * FROM opt_out_sync.v_person_timeline")).one()
    assert (row.person_id, row.at, row.what, row.side) == (1, NOW, "judgement", None)
    assert row.code == "NEWER_OPT_OUT"
    assert row.detail == "Resubscribe 5 is refused. A newer opt-out stands."
