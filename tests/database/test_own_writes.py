"""Which opt-outs in Salesforce are ours, and which act of the store they carry."""

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine

from include.audit import decisions, writes
from include.audit.runs import Run
from include.store import acts as store_acts
from include.store.database import transaction
from tests.database import world
from tests.database.world import FIELD, NOW, ORG, add_act, add_people, open_run, record

SECOND = timedelta(seconds=1)
SALES = "Sales_Opt_Out__c"


@pytest.fixture
def acts(engine: Engine) -> list[int]:
    """Ids of own unsubscribes, a minute apart: one of each of persons 1 to 3."""
    with transaction(engine) as conn:
        return [
            add_act(conn, person, occurred_at=NOW - timedelta(minutes=10 - person))
            for person in add_people(conn, 3)
        ]


def push(
    engine: Engine,
    run: Run,
    cause: str,
    *results: str,
    person: int = 1,
    after: int = 1,
    target: bool = True,
    of: int = 1,
    field: str = FIELD,
) -> None:
    """Decide and write the record of number `of` for a person."""
    place = {"record_id": record(of), "field": field}
    frame = world.decisions([person], cause=cause, target_salesforce=target, **place)
    with transaction(engine) as conn:
        decisions.record_decisions(conn, run, frame, now=NOW + after * SECOND)
        for step, result in enumerate(results):
            rows = world.outcomes([person], result, target=target, **place)
            writes.record_outcomes(conn, run, rows, now=NOW + (after + step) * SECOND)


def own(engine: Engine, *records: int, fields: Any = (FIELD,)) -> list[tuple[str, str, int]]:
    asked_for = [record(number) for number in records or (1,)]
    frame = writes.own_writes(engine, ORG, asked_for, fields)
    assert list(frame.columns) == ["record_id", "field", "act_id", "act_at"]
    return list(zip(frame["record_id"], frame["field"], frame["act_id"], strict=True))


def test_a_confirmed_opt_out_has_the_time_of_the_act_that_it_carried(
    engine: Engine, acts: list[int]
) -> None:
    push(engine, open_run(engine), f"act:{acts[0]}", "applied", "confirmed")
    frame = writes.own_writes(engine, ORG, [record(1), record(2)], [FIELD])
    assert frame.to_dict("records") == [
        {
            "record_id": record(1),
            "field": FIELD,
            "act_id": acts[0],
            "act_at": NOW - timedelta(minutes=9),
        }
    ]
    assert own(engine, fields=[SALES]) == []
    assert writes.own_writes(engine, "00D000000000002AAA", [record(1)], [FIELD]).empty


@pytest.mark.parametrize("results", [[], ["applied"], ["held"], ["superseded"]])
def test_what_was_not_read_back_is_not_ours(
    engine: Engine, acts: list[int], results: list[str]
) -> None:
    push(engine, open_run(engine), f"act:{acts[0]}", *results)
    assert own(engine) == []


def test_the_newest_write_counts(engine: Engine, acts: list[int]) -> None:
    first = open_run(engine, "one")
    push(engine, first, f"act:{acts[0]}", "applied", "confirmed")
    second = open_run(engine, "one", NOW + SECOND)
    push(engine, second, f"act:{acts[1]}", "applied", "confirmed", person=2)
    assert own(engine) == [(record(1), FIELD, acts[1])]


def test_a_value_that_was_written_again_and_not_read_back_is_not_known(
    engine: Engine, acts: list[int]
) -> None:
    first = open_run(engine, "one")
    push(engine, first, f"act:{acts[0]}", "applied", "confirmed")
    second = open_run(engine, "one", NOW + SECOND)
    push(engine, second, f"act:{acts[1]}", "applied")
    assert own(engine) == []


def test_what_we_cleared_is_no_opt_out_of_ours(engine: Engine, acts: list[int]) -> None:
    run = open_run(engine)
    push(engine, run, f"act:{acts[0]}", "applied", "confirmed")
    push(engine, run, f"act:{acts[0]}", "applied", "confirmed", after=9, target=False)
    assert own(engine) == []


def test_an_opt_out_that_followed_a_clear_at_once_has_no_known_act(
    engine: Engine, acts: list[int]
) -> None:
    """The decision carried the evidence; the value that stands carries another opt-out."""
    run = open_run(engine)
    with transaction(engine) as conn:
        evidence = add_act(conn, 1, kind="resubscribe", origin="Manual")
    push(engine, run, f"act:{evidence}", "applied", target=False)
    with transaction(engine) as conn:
        for step, result in enumerate(("applied", "confirmed")):
            rows = world.outcomes([1], result)
            writes.record_outcomes(conn, run, rows, now=NOW + (20 + step) * SECOND)
    assert own(engine) == []


def test_people_of_one_record_are_written_together_and_the_newest_act_dates_it(
    engine: Engine, acts: list[int]
) -> None:
    run = open_run(engine)
    for person in (2, 3, 1):  # the one written last has the oldest act
        push(engine, run, f"act:{acts[person - 1]}", "applied", "confirmed", person=person)
    assert own(engine) == [(record(1), FIELD, acts[2])]


@pytest.mark.parametrize("cause", [f"salesforce:{record(4)}:{FIELD}", "act:404", "act 1"])
def test_a_value_that_carries_anything_else_has_no_exact_time(
    engine: Engine, acts: list[int], cause: str
) -> None:
    run = open_run(engine)
    push(engine, run, cause, "applied", "confirmed", person=1)
    push(engine, run, f"act:{acts[1]}", "applied", "confirmed", person=2)
    assert own(engine) == []


def test_each_field_has_its_own_newest_write(engine: Engine, acts: list[int]) -> None:
    run = open_run(engine)
    push(engine, run, f"act:{acts[0]}", "applied", "confirmed")
    push(engine, run, f"act:{acts[1]}", "applied", "confirmed", field=SALES)
    push(engine, run, f"act:{acts[2]}", "applied", "confirmed", person=3, of=3)
    assert own(engine, 1, 3, fields=[FIELD, SALES]) == [
        (record(1), FIELD, acts[0]),
        (record(1), SALES, acts[1]),
        (record(3), FIELD, acts[2]),
    ]
    assert own(engine, 2) == []


# Acts that a run wrote


def acts_of(engine: Engine, run: Run) -> list[tuple[int, int]]:
    with transaction(engine) as conn:
        frame = writes.acts_of_run(conn, run.id)
    return list(zip(frame["act_id"], frame["person_id"], strict=True))


def test_the_acts_of_a_run_are_those_it_wrote_itself(engine: Engine) -> None:
    run = open_run(engine)
    with transaction(engine) as conn:
        first, already = add_people(conn, 2)
        own_act = add_act(conn, already)
        rows = pd.DataFrame({"person_id": [first, already]})
        rows["caused_by"] = f"salesforce:{record(1)}:{FIELD}"
        rows["idempotency_key"] = f"opt-out-sync/{run.id}/" + rows["person_id"].astype("str")
        done = store_acts.record_opt_outs(
            conn, rows, occurred_at=NOW, scopes=("team",), with_bounces=False
        )
        for person, act in zip(done["person_id"], done["act_id"], strict=True):
            columns = {"side": "store", "act_id": act}
            for step, result in enumerate(("applied", "confirmed")):
                frame = world.outcomes([person], result, **columns)
                writes.record_outcomes(conn, run, frame, now=NOW + step * SECOND)
    written = dict(zip(done["person_id"], done["act_id"], strict=True))
    assert written[already] == own_act  # opted out before: nothing of this run
    assert acts_of(engine, run) == [(written[first], first)]
    assert acts_of(engine, open_run(engine, now=NOW + SECOND)) == []
