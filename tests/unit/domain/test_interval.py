"""Whom a past night is about: who did something in it, with everybody of their records."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.interval import Scope, of_scope, scope_of
from include.domain.merge import MergeResult

START = datetime(2026, 11, 21, 4, tzinfo=UTC)
END = START + timedelta(days=1)
MINUTE = timedelta(minutes=1)


def record(number):
    return f"003{number:012d}AAA"


def extract(links, modified=()):
    """People by id with the record that they name, and records with their last edit."""
    return SimpleNamespace(
        people=pd.DataFrame(
            {"person_id": [p for p, _ in links], "salesforce_id": [r for _, r in links]}
        ).astype({"person_id": "int64", "salesforce_id": "str"}),
        records=pd.DataFrame(
            {
                "record_id": pd.Series([r for r, _ in modified], dtype="str"),
                "last_modified_at": pd.Series(
                    [at for _, at in modified], dtype="datetime64[us, UTC]"
                ),
            }
        ),
    )


def merged(decisions=(), relinks=()):
    def rows(pairs, column):
        return pd.DataFrame(
            {"person_id": [p for p, _ in pairs], column: [r for _, r in pairs]}
        ).astype({"person_id": "int64", column: "str"})

    decided, relinked = rows(decisions, "record_id"), rows(relinks, "to_record_id")
    return MergeResult(
        decisions=decided,
        judgements=decided[["person_id"]],
        relinks=relinked,
        retired=decided[["person_id"]],
        visibility=decided,
        unlinked=decided,
        counts={"AGREED": 1},
        lost={"Contact": (1, 2)},
        opted_out={"Contact": (1, 2)},
        crowded=["x"],
    )


def kept(links, scope, decisions=None, relinks=()):
    result = of_scope(extract(links), merged(decisions or links, relinks), scope)
    return set(result.decisions["person_id"])


def test_the_interval_has_its_start_and_not_its_end():
    edits = [(record(n), at) for n, at in enumerate((START - MINUTE, START, END - MINUTE, END))]
    scope = scope_of(extract([], [*edits, (record(9), None)]), START, END, [7])
    assert scope == Scope(frozenset({7}), frozenset({record(1)[:15], record(2)[:15]}))


def test_an_id_of_15_characters_and_one_with_spaces_name_the_same_record():
    links = [(1, record(1)[:15]), (2, f"  {record(1)} "), (3, record(1)), (4, record(2)), (5, None)]
    scope = Scope(frozenset({1}), frozenset())
    assert kept(links, scope) == {1, 2, 3}


def test_a_chain_of_shared_records_is_one_group_to_its_end():
    chain = [(n, record(n)) for n in range(50)]
    moved = [(n, record(n + 1)) for n in range(49)]  # each record lives on as the next one
    assert kept(chain, Scope(frozenset({0}), frozenset()), relinks=moved) == set(range(50))
    assert kept(chain, Scope(frozenset(), frozenset({record(49)[:15]})), relinks=moved) == set(
        range(50)
    )


def test_people_without_a_record_are_kept_when_they_did_something():
    assert kept([(1, None), (2, None)], Scope(frozenset({2}), frozenset())) == {2}


def test_nothing_in_the_interval_keeps_nothing_and_no_observation():
    result = of_scope(
        extract([(1, record(1))]), merged([(1, record(1))]), Scope(frozenset(), frozenset())
    )
    frames = (result.decisions, result.judgements, result.relinks, result.retired)
    assert [len(frame) for frame in (*frames, result.visibility, result.unlinked)] == [0] * 6
    assert (result.lost, result.opted_out, result.crowded) == ({}, {}, [])


PAIRS = st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), max_size=16)


@given(
    links=PAIRS,
    relinks=PAIRS,
    people=st.sets(st.integers(1, 9)),
    records=st.sets(st.integers(1, 9)),
)
def test_it_is_what_walking_from_one_to_the_next_finds(links, relinks, people, records):
    named = [[(p, record(r)) for p, r in pairs] for pairs in (links, relinks)]
    found, reached = set(people), set(records)
    for _ in range(20):
        for person, number in [*links, *relinks]:
            if person in found or number in reached:
                found.add(person)
                reached.add(number)
    scope = Scope(frozenset(people), frozenset(record(r)[:15] for r in records))
    assert kept(named[0], scope, relinks=named[1]) == found & {p for p, _ in links}


@pytest.mark.timeout(120)
def test_a_million_links_take_seconds_not_minutes():
    count = 1_000_000
    people = range(1, count + 1)
    links = pd.DataFrame({"person_id": people, "salesforce_id": [record(n) for n in people]})
    whole = SimpleNamespace(people=links, records=None)
    result = merged([(1, record(1))])
    begun = time.process_time()
    of_scope(whole, result, Scope(frozenset(range(1, count, 50)), frozenset()))
    assert time.process_time() - begun < 20


def test_people_who_typed_the_same_nonsense_have_nothing_to_do_with_each_other():
    people = extract([(1, "nonsense"), (2, "nonsense"), (3, record(1)), (4, record(1))])
    result = merged([(1, None), (2, None), (3, record(1)), (4, record(1))])
    kept = of_scope(people, result, Scope(frozenset({1, 3}), frozenset()))
    assert kept.decisions["person_id"].tolist() == [1, 3, 4]
