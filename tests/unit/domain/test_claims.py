"""Rule changed_side: a resubscribe without evidence counts, if nothing stands against it."""

from datetime import timedelta

import pytest

from tests.unit.domain.worlds import (
    BOTH_FIELDS,
    CHANGED,
    CONSENTED,
    EMAIL,
    IN,
    NEW,
    OUT,
    SALES,
    A,
    B,
    ago,
    claim,
    decide,
    evidence,
    link,
    merged,
    person,
    record,
    seen,
    told,
    unsubscribe,
    verdicts,
    writes,
)


def claimed(base, salesforce, *more, by=None, act=None):
    rows = [person(1), record(A, salesforce), by or claim(1), act or unsubscribe(1)]
    rows += [] if base is NEW else [link(1, A, base)]
    return decide(*rows, *more, rule=CHANGED)


@pytest.mark.parametrize(
    ("base", "salesforce", "row"),
    [
        (OUT, OUT, ("CLEARED_IN_STORE_ONLY", IN, IN, IN)),
        (OUT, IN, ("BOTH_CLEARED", IN, None, IN)),
        (IN, IN, ("AGREED", IN, None, None)),
        (NEW, IN, ("FIRST_SEEN_AGREED", IN, None, IN)),
        (IN, OUT, ("OPTED_OUT_IN_SALESFORCE", None, None, OUT)),
        (NEW, OUT, ("FIRST_SEEN_OPT_OUT", None, None, OUT)),
    ],
)
def test_a_claim_counts_as_not_opted_out(base, salesforce, row):
    result = claimed(base, salesforce)
    assert told(result) == [(1, A, EMAIL, *row)]
    assert verdicts(result) == {}
    if IN in row:
        assert result.decisions["cause"].item() == "act:15"


def test_a_claim_waits_while_a_field_of_the_group_cannot_be_read():
    world = person(1), record(A, None, IN), claim(1), unsubscribe(1)
    readable = {EMAIL: (), SALES: ["Contact"]}
    result = decide(*world, fields=BOTH_FIELDS, readable=readable, rule=CHANGED)
    assert result.decisions.empty


@pytest.mark.parametrize("origin", ["Clicked Link", "One-Click", "Complaint"])
def test_what_a_person_said_themselves_ends_only_by_evidence(origin):
    act = unsubscribe(1, origin=origin)
    assert writes(claimed(OUT, OUT, act=act)) == {}
    assert writes(claimed(IN, IN, act=act)) == {(A, EMAIL): OUT}
    by_person = evidence(1, origin="Clicked Link")
    assert writes(claimed(OUT, OUT, act=act, by=by_person)) == {1: IN, (A, EMAIL): IN}


@pytest.mark.parametrize(
    ("act_id", "later", "counts"), [(99, 1, False), (99, 0, False), (10, 0, True), (99, -1, True)]
)
def test_a_claim_is_compared_exactly_with_the_acts_of_the_store(act_id, later, counts):
    act = unsubscribe(1, act_id, at=CONSENTED + timedelta(microseconds=later))
    assert writes(claimed(OUT, OUT, act=act)) == ({1: IN, (A, EMAIL): IN} if counts else {})


@pytest.mark.parametrize(("seconds", "counts"), [(301, True), (300, False), (-1, False)])
def test_a_claim_is_after_an_act_of_the_sync_by_more_than_the_skew(seconds, counts):
    at = CONSENTED - timedelta(seconds=seconds)
    act = unsubscribe(1, cause=seen(A, at=at), at=at)
    assert writes(claimed(OUT, OUT, act=act)) == ({1: IN, (A, EMAIL): IN} if counts else {})


@pytest.mark.parametrize(
    ("base_since", "counts"), [(CONSENTED - timedelta(seconds=1), True), (CONSENTED, False)]
)
def test_a_claim_from_before_both_sides_agreed_is_no_change_since(base_since, counts):
    world = person(1), record(A, OUT), claim(1), unsubscribe(1, at=ago(days=9))
    result = decide(*world, link(1, A, OUT, base_since=base_since), rule=CHANGED)
    assert writes(result) == ({1: IN, (A, EMAIL): IN} if counts else {})


def test_a_claim_does_not_speak_for_somebody_else():
    result = claimed(OUT, OUT, person(2), unsubscribe(2), link(2, A, OUT))
    assert writes(result) == {}


def test_an_opt_out_that_joins_is_not_ended_by_a_claim():
    world = person(1, A), merged(A, B, OUT), record(B), link(1, A, OUT), link(1, B, OUT)
    result = decide(*world, unsubscribe(1), claim(1), rule=CHANGED)
    assert writes(result) == {(B, EMAIL): OUT}


def test_nothing_is_cleared_where_the_field_cannot_be_read():
    world = person(1), record(A, OUT), claim(1), unsubscribe(1), link(1, A, OUT)
    assert writes(decide(*world, rule=CHANGED, readable={EMAIL: ()})) == {}
    assert writes(decide(*world[:1], *world[2:], rule=CHANGED)) == {}
