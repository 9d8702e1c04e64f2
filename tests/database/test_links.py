"""Links: which base moves when, what evidence covers, and who undoes whom."""

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, text

from include.audit import decisions, links, runs, writes
from include.audit.runs import Run
from include.store.database import transaction
from tests.database import world
from tests.database.world import FIELD, NOW, ORG, open_run, record

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
SALES = "Sales_Opt_Out__c"
NOWHERE = {"record_id": None, "object": None, "field": None}
TO_STORE = {"target_store": True, "target_salesforce": None}
SEEN = {"target_salesforce": None}


def decide(engine: Engine, run: Run, person: int, **columns: Any) -> None:
    with transaction(engine) as conn:
        frame = world.decisions([person], **columns)
        decisions.record_decisions(conn, run, frame, now=NOW)


def write(
    engine: Engine, run: Run, person: int, *results: str, after: int = 1, **columns: Any
) -> None:
    for step, result in enumerate(results):
        failed = {"failure_class": "retry", "code": "X"} if result == "failed" else {}
        frame = world.outcomes([person], result, **columns, **failed)
        with transaction(engine) as conn:
            writes.record_outcomes(conn, run, frame, now=NOW + (after + step) * SECOND)


def move(engine: Engine, run: Run) -> int:
    with transaction(engine) as conn:
        return links.move_bases(conn, run, now=NOW)


def close(engine: Engine, run: Run) -> None:
    with transaction(engine) as conn:
        links.count_flips(conn, run, now=NOW)
        links.move_bases(conn, run, now=NOW)
        runs.close(conn, run, {}, now=NOW)


def rows(engine: Engine) -> pd.DataFrame:
    return links.read_links(engine, ORG).sort_values(["person_id", "field"])


def bases(engine: Engine) -> list[tuple[int, str, bool | None]]:
    return [
        (row.person_id, row.field, None if row.base is pd.NA else row.base)
        for row in rows(engine).itertuples()
    ]


def link_frame(*persons: int, **columns: Any) -> pd.DataFrame:
    frame = world.decisions(persons)[["person_id", "record_id", "object", "field"]]
    return frame.assign(**columns)


def cover(engine: Engine, run: Run, person: int, evidence_id: int | None) -> int:
    with transaction(engine) as conn:
        frame = link_frame(person, evidence_id=pd.Series([evidence_id], dtype="Int64"))
        return links.cover_links(conn, run, frame, now=NOW)


def covered_by(engine: Engine, person: int = 1) -> int | None:
    frame = rows(engine)
    found = frame.loc[frame["person_id"] == person, "evidence_id"].iloc[0]
    return None if found is pd.NA else int(found)


def flips(engine: Engine) -> dict[int, int]:
    frame = rows(engine)
    return dict(zip(frame["person_id"], frame["flips"], strict=True))


# Which base moves


@pytest.mark.parametrize(
    ("results", "moves"),
    [
        (["applied", "confirmed"], True),
        (["applied"], False),
        (["failed"], False),
        (["held"], False),
        (["superseded"], False),
        (["confirmed", "failed"], False),
        ([], False),
    ],
)
def test_one_write_to_the_store_speaks_for_all_links_of_the_person(
    engine: Engine, results: list[str], moves: bool
) -> None:
    """The other field of the person only saw Salesforce agree with what is still to be written."""
    run = open_run(engine)
    decide(engine, run, 1, **TO_STORE)
    decide(engine, run, 1, field=SALES, **SEEN)
    decide(engine, run, 2, **SEEN)
    write(engine, run, 1, *results, side="store")
    assert move(engine, run) == (3 if moves else 1)
    base = True if moves else None
    assert bases(engine) == [(1, FIELD, base), (1, SALES, base), (2, FIELD, True)]


def test_a_store_write_of_a_record_that_was_left_behind_counts_too(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, 1, record_id=record(9), new_base=None, **TO_STORE)
    decide(engine, run, 1)
    write(engine, run, 1, "confirmed")
    assert move(engine, run) == 0
    write(engine, run, 1, "confirmed", record_id=record(9), side="store")
    assert move(engine, run) == 1


def test_a_store_write_without_a_record_holds_the_base_back_too(engine: Engine) -> None:
    run = open_run(engine)
    clear = {"target_store": False, "target_salesforce": None, "new_base": None}
    decide(engine, run, 1, **NOWHERE, **clear)
    decide(engine, run, 1, new_base=False, **SEEN)
    assert move(engine, run) == 0
    write(engine, run, 1, "confirmed", **NOWHERE, side="store", target=False)
    assert move(engine, run) == 1


def test_a_base_waits_for_everybody_of_the_record(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, 1, record_id=record(7))
    decide(engine, run, 2, record_id=record(7), **SEEN)
    assert move(engine, run) == 0
    write(engine, run, 1, "confirmed", record_id=record(7))
    assert move(engine, run) == 2


def test_the_opposite_value_that_was_read_back_confirms_nothing(engine: Engine) -> None:
    """Cleared, and opted out again at once, because somebody unsubscribed meanwhile."""
    run = open_run(engine)
    decide(engine, run, 1, target_salesforce=False, new_base=False)
    write(engine, run, 1, "applied", target=False)
    write(engine, run, 1, "applied", "confirmed", after=5, target=True)
    assert move(engine, run) == 0


def test_another_runs_confirmation_moves_nothing(engine: Engine) -> None:
    first = open_run(engine)
    decide(engine, first, 1, **TO_STORE)
    write(engine, first, 1, "confirmed", side="store")
    second = open_run(engine, now=NOW + SECOND)
    decide(engine, second, 1, **TO_STORE)
    assert move(engine, second) == 0


# Reading


def test_links_say_everything_that_a_merge_needs(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, 1, **SEEN)
    move(engine, run)
    (row,) = rows(engine).to_dict("records")
    assert row == {
        "person_id": 1,
        "record_id": record(1),
        "object": "Contact",
        "field": FIELD,
        "base": True,
        "base_since": NOW,
        "state": "active",
        "is_visible": True,
        "evidence_id": None,
        "flips": 0,
    }
    types = {name: str(dtype.pyarrow_dtype) for name, dtype in rows(engine).dtypes.items()}
    assert types == {
        "person_id": "int64",
        "record_id": "string",
        "object": "string",
        "field": "string",
        "base": "bool",
        "base_since": "timestamp[us, tz=UTC]",
        "state": "string",
        "is_visible": "bool",
        "evidence_id": "int64",
        "flips": "int64",
    }


def test_links_are_read_by_field_and_by_person(engine: Engine) -> None:
    run = open_run(engine)
    for person in (1, 2, 3):
        decide(engine, run, person, **SEEN)
    decide(engine, run, 2, field=SALES, **SEEN)
    move(engine, run)

    def read(fields: Any = None, **people: Any) -> list[tuple[int, str]]:
        frame = links.read_links(engine, ORG, fields, **people)
        return sorted(zip(frame["person_id"], frame["field"], strict=True))

    assert read() == [(1, FIELD), (2, FIELD), (2, SALES), (3, FIELD)]
    assert read([SALES]) == read(SALES) == [(2, SALES)]
    assert read([FIELD, SALES]) == read()
    assert read([]) == []
    assert read(person_ids=[2, 3]) == [(2, FIELD), (2, SALES), (3, FIELD)]
    assert read([FIELD], person_ids=[2]) == [(2, FIELD)]
    assert read([], person_ids=[2]) == []
    assert read(person_ids=[]) == []


EVERY_KIND_OF_LINK = """
INSERT INTO opt_out_sync.link
    (org_id, person_id, record_id, object, field, base, base_since, state, not_visible_since,
     evidence_id, flips, first_seen_at)
SELECT :org, row_number() OVER (), prefix || '000000000001AAA',
       CASE prefix WHEN '003' THEN 'Contact' ELSE 'Lead' END, field, base,
       CASE WHEN base IS NOT NULL THEN CAST(:now AS timestamptz) END, state, unseen, evidence,
       flips, :now
FROM unnest(ARRAY['003', '00Q']) AS prefix,
     unnest(ARRAY['HasOptedOutOfEmail', 'Sales_Opt_Out__c']) AS field,
     unnest(ARRAY[NULL, false, true]) AS base,
     unnest(ARRAY['active', 'gone', 'retired']) AS state,
     unnest(ARRAY[NULL, CAST(:now AS timestamptz)]) AS unseen,
     unnest(ARRAY[NULL, 8]) AS evidence, unnest(ARRAY[0, 3, 1000]) AS flips
"""
AS_STORED = """
SELECT person_id, record_id, object, field, base, base_since, state,
       not_visible_since IS NULL AS is_visible, evidence_id, flips
FROM opt_out_sync.link ORDER BY person_id
"""


def test_every_kind_of_link_is_read_as_it_is_stored(engine: Engine) -> None:
    with transaction(engine) as conn:
        conn.execute(text(EVERY_KIND_OF_LINK), {"org": ORG, "now": NOW})
        stored = [tuple(row) for row in conn.execute(text(AS_STORED))]
    frame = links.read_links(engine, ORG).sort_values("person_id")
    assert len(stored) == 2 * 2 * 3 * 3 * 2 * 2 * 3
    assert [
        tuple(row) for row in frame.astype(object).where(frame.notna(), None).to_numpy()
    ] == stored


def test_a_link_of_an_unknown_object_is_not_guessed(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, 1, **SEEN)
    move(engine, run)
    with transaction(engine) as conn:
        conn.execute(text("UPDATE opt_out_sync.link SET object = 'Account'"))
    row = links.read_links(engine, ORG).iloc[0]
    assert row[["object", "base", "state", "is_visible", "flips"]].isna().all()


def test_retired_links_are_not_in_use(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, 1, **SEEN)
    decide(engine, run, 2, **SEEN)
    move(engine, run)
    with transaction(engine) as conn:
        assert links.retire_links(conn, run, link_frame(2, 3), now=NOW) == 2
        assert links.retire_links(conn, run, link_frame(2, 3), now=NOW) == 0
        assert links.count_links(conn, ORG) == 1
        assert links.count_links(conn, "00D000000000002AAA") == 0
    assert rows(engine)["state"].tolist() == ["active", "retired", "retired"]
    assert bases(engine)[1:] == [(2, FIELD, True), (3, FIELD, None)]


# What evidence covers


def test_evidence_covers_an_opt_out_until_salesforce_was_written(engine: Engine) -> None:
    run = open_run(engine)
    assert cover(engine, run, 1, 7) == 1
    assert cover(engine, run, 1, 7) == 0
    decide(engine, run, 1, target_salesforce=False, new_base=False)
    write(engine, run, 1, "failed", target=False)
    move(engine, run)
    assert covered_by(engine) == 7
    write(engine, run, 1, "applied", "confirmed", after=5, target=False)
    move(engine, run)
    assert covered_by(engine) is None


def test_a_box_that_somebody_emptied_takes_the_cover_with_it(engine: Engine) -> None:
    """Else the next tick, a new opt-out, would be taken for the one that evidence ended."""
    first = open_run(engine, "one")
    decide(engine, first, 1, new_base=False, **SEEN)
    close(engine, first)
    second = open_run(engine, "two", NOW + DAY)
    cover(engine, second, 1, 7)
    assert bases(engine) == [(1, FIELD, True)]  # so an empty box is a change
    decide(engine, second, 1, new_base=False, **SEEN)
    move(engine, second)
    assert (bases(engine), covered_by(engine)) == ([(1, FIELD, False)], None)


def test_a_new_opt_out_in_salesforce_is_not_covered(engine: Engine) -> None:
    run = open_run(engine)
    cover(engine, run, 1, 7)
    write(engine, run, 1, "applied", "confirmed")
    move(engine, run)
    assert covered_by(engine) is None


def test_a_cover_can_be_taken_back_or_replaced(engine: Engine) -> None:
    run = open_run(engine)
    cover(engine, run, 1, 7)
    assert cover(engine, run, 1, 8) == 1
    assert covered_by(engine) == 8
    assert cover(engine, run, 1, None) == 1
    assert (covered_by(engine), bases(engine)) == (None, [(1, FIELD, True)])


def test_a_retired_link_is_covered_no_more(engine: Engine) -> None:
    run = open_run(engine)
    cover(engine, run, 1, 7)
    with transaction(engine) as conn:
        links.retire_links(conn, run, link_frame(1), now=NOW)
    assert covered_by(engine) is None


def test_a_plan_changes_no_link(engine: Engine) -> None:
    run = open_run(engine, plan_only=True)
    decide(engine, run, 1, code="CLEARED_IN_SALESFORCE_ONLY")
    with transaction(engine) as conn:
        assert links.retire_links(conn, run, link_frame(1), now=NOW) == 0
        assert links.count_flips(conn, run, now=NOW) == 0
    assert cover(engine, run, 1, 7) == 0
    assert move(engine, run) == 0
    assert rows(engine).empty


# A tug of war


def night(engine: Engine, day: int, *undone: int, attempt: int = 0, kind: Any = "night") -> Run:
    """A night, or another run, that decides to undo cleared boxes of these people, and closes."""
    at = NOW + day * DAY
    run = runs.open_run(
        engine,
        airflow_run_id=f"{kind} {day} {attempt}",
        interval=(at - DAY, at),
        plan_only=False,
        now=at,
        kind=kind,
    )
    run = runs.bind_org(engine, run, ORG, now=at)
    for person in undone:
        decide(engine, run, person, code="CLEARED_IN_SALESFORCE_ONLY")
        write(engine, run, person, "confirmed")
    close(engine, run)
    return run


@pytest.fixture
def linked(engine: Engine) -> Engine:
    """People 1 and 2 have links."""
    run = open_run(engine, "before", NOW - DAY)
    decide(engine, run, 1, **SEEN)
    decide(engine, run, 2, **SEEN)
    close(engine, run)
    return engine


def test_nights_running_are_counted_and_a_quiet_one_starts_again(linked: Engine) -> None:
    night(linked, 1, 1, 2)
    assert flips(linked) == {1: 1, 2: 1}
    night(linked, 2, 1)
    assert flips(linked) == {1: 2, 2: 0}
    night(linked, 3, 1, 2)
    assert flips(linked) == {1: 3, 2: 1}


def test_three_stay_three_until_somebody_releases_the_link(linked: Engine) -> None:
    for day in range(1, 4):
        night(linked, day, 1)
    night(linked, 4)
    assert flips(linked)[1] == 3

    def release(person: int) -> int:
        with transaction(linked) as conn:
            return links.release(conn, person, by="Ada", note="the flow is off", now=NOW)

    assert (release(1), release(1), release(2)) == (1, 0, 0)
    assert flips(linked)[1] == 0
    with transaction(linked) as conn:
        (kept,) = conn.execute(text("SELECT * FROM opt_out_sync.link_release")).mappings()
    assert (kept["person_id"], kept["released_by"], kept["note"], kept["links"]) == (
        1,
        "Ada",
        "the flow is off",
        1,
    )
    assert kept["released_at"] == NOW


def test_a_night_that_is_run_again_is_still_one_night(linked: Engine) -> None:
    night(linked, 1, 1)
    night(linked, 1, 1, attempt=2)
    assert flips(linked)[1] == 1
    night(linked, 1, attempt=3)  # nothing left to undo
    assert flips(linked)[1] == 1
    night(linked, 2, 1)
    assert flips(linked)[1] == 2


@pytest.mark.parametrize("kind", ["replay", "held_clears", "correction"])
def test_runs_that_look_at_some_links_only_count_nothing(linked: Engine, kind: str) -> None:
    night(linked, 1, 1)
    night(linked, 2, 2, kind=kind)
    assert flips(linked) == {1: 1, 2: 0}


def test_a_box_that_was_only_seen_to_be_cleared_is_no_tug(linked: Engine) -> None:
    run = open_run(linked, "one", NOW)
    decide(linked, run, 1, code="CLEARED_IN_SALESFORCE_ONLY", **SEEN)
    decide(linked, run, 2)
    close(linked, run)
    assert flips(linked) == {1: 0, 2: 0}


def test_agreeing_on_not_opted_out_ends_the_count(linked: Engine) -> None:
    for day in range(1, 4):
        night(linked, day, 1)
    run = open_run(linked, "clear", NOW + 5 * DAY)
    decide(linked, run, 1, new_base=False, **SEEN)
    move(linked, run)
    assert flips(linked)[1] == 0
