"""A record with its persons and its fields is decided as one."""

import pytest

from tests.unit.domain.worlds import (
    BOTH_FIELDS,
    CHANGED,
    EMAIL,
    IN,
    NEW,
    OUT,
    SALES,
    WINS,
    A,
    B,
    ago,
    decide,
    deleted,
    link,
    person,
    record,
    seen,
    told,
    unsubscribe,
    writes,
)


def links(person_id, record_id, email, sales):
    return link(person_id, record_id, email), link(person_id, record_id, sales, SALES)


# Both fields ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [WINS, CHANGED])
def test_an_opt_out_in_one_field_reaches_the_store_and_the_other_field(rule):
    world = person(1), record(A, OUT, IN), *links(1, A, IN, IN)
    result = decide(*world, fields=BOTH_FIELDS, rule=rule)
    assert told(result) == [
        (1, A, EMAIL, "OPTED_OUT_IN_SALESFORCE", OUT, None, OUT),
        (1, A, SALES, "FOLLOWS_GROUP", None, OUT, OUT),
    ]
    assert result.decisions["cause"].tolist() == [seen(A, at=ago(days=3))] * 2
    assert result.decisions["shared_with"].isna().all()


def test_the_store_is_written_once_per_person_by_the_row_that_shows_why():
    world = person(1), record(A, OUT, OUT), *links(1, A, IN, IN)
    assert told(decide(*world, fields=BOTH_FIELDS)) == [
        (1, A, EMAIL, "OPTED_OUT_IN_SALESFORCE", OUT, None, OUT),
        (1, A, SALES, "OPTED_OUT_IN_SALESFORCE", None, None, OUT),
    ]
    world = person(1), record(A, IN, OUT), *links(1, A, IN, IN)
    assert told(decide(*world, fields=BOTH_FIELDS)) == [
        (1, A, EMAIL, "FOLLOWS_GROUP", None, OUT, OUT),
        (1, A, SALES, "OPTED_OUT_IN_SALESFORCE", OUT, None, OUT),
    ]


def test_a_lost_opt_out_of_the_store_is_written_once_for_both_fields():
    world = person(1), record(A, OUT, OUT), *links(1, A, OUT, OUT)
    assert told(decide(*world, fields=BOTH_FIELDS)) == [
        (1, A, EMAIL, "CLEARED_IN_STORE_ONLY", OUT, None, OUT),
        (1, A, SALES, "CLEARED_IN_STORE_ONLY", None, None, OUT),
    ]


def test_an_act_of_the_store_reaches_both_fields():
    world = person(1), unsubscribe(1), record(A), *links(1, A, IN, NEW)
    assert told(decide(*world, fields=BOTH_FIELDS)) == [
        (1, A, EMAIL, "UNSUBSCRIBED_IN_STORE", None, OUT, OUT),
        (1, A, SALES, "FIRST_SEEN_OPT_OUT", None, OUT, OUT),
    ]


def test_a_field_that_cannot_be_read_counts_with_its_base():
    world = person(1), record(A, OUT, IN), *links(1, A, OUT, IN)
    readable = {EMAIL: (), SALES: ["Contact"]}
    assert told(decide(*world, fields=BOTH_FIELDS, readable=readable)) == [
        (1, A, EMAIL, "CLEARED_IN_STORE_ONLY", OUT, None, None),
        (1, A, SALES, "FOLLOWS_GROUP", None, OUT, OUT),
    ]


def test_a_field_that_cannot_be_read_is_not_written_and_hinders_nobody():
    world = person(1), unsubscribe(1), record(A, IN, IN), *links(1, A, IN, IN)
    readable = {EMAIL: (), SALES: ["Contact"]}
    assert writes(decide(*world, fields=BOTH_FIELDS, readable=readable)) == {(A, SALES): OUT}


# Shared records ------------------------------------------------------------------------------


def test_an_opt_out_reaches_whoever_shares_the_record():
    result = decide(person(1), person(2), unsubscribe(1), record(A), link(1, A, IN), link(2, A, IN))
    assert told(result) == [
        (1, A, EMAIL, "UNSUBSCRIBED_IN_STORE", None, OUT, OUT),
        (2, A, EMAIL, "SHARED_RECORD", OUT, OUT, OUT),
    ]
    shared = result.decisions.iloc[1]
    assert shared["shared_with"] == 1
    assert shared["cause"] == "act:10"
    assert shared["reason"].startswith("Person 1 is linked to the same Contact and is opted out")


def test_an_opt_out_reaches_a_new_person_of_an_opted_out_record():
    result = decide(person(1), person(2), unsubscribe(1), record(A, OUT), link(1, A, OUT))
    assert told(result) == [(2, A, EMAIL, "FIRST_SEEN_OPT_OUT", OUT, None, OUT)]


def test_the_box_is_its_own_reason_for_everybody_who_shares_the_record():
    result = decide(person(1), person(2), record(A, OUT), link(1, A, IN), link(2, A, IN))
    assert told(result) == [
        (n, A, EMAIL, "OPTED_OUT_IN_SALESFORCE", OUT, None, OUT) for n in (1, 2)
    ]


@pytest.mark.parametrize(("first", "second", "reason"), [(2, 1, 2), (1, 2, 1)])
def test_the_newest_opt_out_is_the_reason_of_the_others(first, second, reason):
    result = decide(
        person(1), person(2), person(3), record(A),
        unsubscribe(1, at=ago(hours=first)), unsubscribe(2, at=ago(hours=second)),
        *(link(n, A, IN) for n in (1, 2, 3)),
    )  # fmt: skip
    third = result.decisions.iloc[2]
    assert (third["code"], third["shared_with"]) == ("SHARED_RECORD", reason)
    assert third["cause"] == f"act:{reason}0"


def test_an_own_act_is_a_better_reason_than_an_act_of_the_sync():
    result = decide(
        person(1), person(2), person(3), record(A),
        unsubscribe(1, cause=seen(B, at=ago(hours=1)), at=ago(hours=1)), unsubscribe(2),
        *(link(n, A, IN) for n in (1, 2, 3)),
    )  # fmt: skip
    assert result.decisions["shared_with"].tolist()[2] == 2


def test_two_persons_and_two_fields_are_one_group():
    result = decide(
        person(1), person(2), unsubscribe(2), record(A, IN, IN),
        *links(1, A, IN, IN), *links(2, A, IN, IN), fields=BOTH_FIELDS,
    )  # fmt: skip
    assert told(result) == [
        (1, A, EMAIL, "SHARED_RECORD", OUT, OUT, OUT),
        (1, A, SALES, "SHARED_RECORD", None, OUT, OUT),
        (2, A, EMAIL, "UNSUBSCRIBED_IN_STORE", None, OUT, OUT),
        (2, A, SALES, "UNSUBSCRIBED_IN_STORE", None, OUT, OUT),
    ]


def test_persons_of_other_records_are_left_alone():
    result = decide(
        person(1), person(2, B), unsubscribe(1), record(A), record(B),
        link(1, A, IN), link(2, B, IN),
    )  # fmt: skip
    assert writes(result) == {(A, EMAIL): OUT}


def test_a_deleted_record_links_nobody():
    result = decide(person(1), person(2), unsubscribe(1), deleted(A, OUT))
    assert writes(result) == {}


def test_a_record_that_was_not_returned_still_links_its_persons():
    world = person(1), person(2), unsubscribe(1), link(1, A, IN, is_visible=False)
    assert writes(decide(*world, link(2, A, IN, is_visible=False))) == {2: OUT}


@pytest.mark.parametrize(("persons", "listed"), [(10, []), (11, [A])])
def test_a_record_with_more_than_ten_persons_is_told(persons, listed):
    world = [record(A), record(B), person(99, B), *(person(n) for n in range(1, persons + 1))]
    assert decide(*world, fields=BOTH_FIELDS).crowded == listed


# Rule changed_side ---------------------------------------------------------------------------


def test_a_cleared_box_clears_everybody_whose_base_it_leaves():
    result = decide(
        person(1), person(2), unsubscribe(1), unsubscribe(2), record(A),
        link(1, A, OUT), link(2, A, OUT), rule=CHANGED,
    )  # fmt: skip
    assert told(result) == [
        (n, A, EMAIL, "CLEARED_IN_SALESFORCE_ONLY", IN, None, IN) for n in (1, 2)
    ]
    assert result.decisions["cause"].tolist() == [seen(A, at=ago(days=3))] * 2


@pytest.mark.parametrize("origin", ["Clicked Link", "One-Click", "Complaint"])
def test_a_cleared_box_does_not_end_what_a_person_said_themselves(origin):
    result = decide(
        person(1), person(2), unsubscribe(1, origin=origin), unsubscribe(2), record(A),
        link(1, A, OUT), link(2, A, OUT), rule=CHANGED,
    )  # fmt: skip
    assert writes(result) == {(A, EMAIL): OUT}


def test_a_box_cleared_in_one_of_two_fields_clears_nothing():
    world = person(1), unsubscribe(1), record(A, IN, OUT), *links(1, A, OUT, OUT)
    assert writes(decide(*world, fields=BOTH_FIELDS, rule=CHANGED)) == {(A, EMAIL): OUT}


def test_boxes_cleared_in_both_fields_clear_the_store_once():
    world = person(1), unsubscribe(1), record(A, IN, IN), *links(1, A, OUT, OUT)
    assert told(decide(*world, fields=BOTH_FIELDS, rule=CHANGED)) == [
        (1, A, EMAIL, "CLEARED_IN_SALESFORCE_ONLY", IN, None, IN),
        (1, A, SALES, "CLEARED_IN_SALESFORCE_ONLY", None, None, IN),
    ]


@pytest.mark.parametrize(
    "newly",
    [
        (unsubscribe(2), link(2, A, IN)),  # opted out since
        (unsubscribe(2),),  # first seen opted out
    ],
)
def test_an_opt_out_of_somebody_else_stops_a_clear(newly):
    result = decide(
        person(1), person(2), unsubscribe(1), record(A), link(1, A, OUT), *newly, rule=CHANGED
    )
    assert writes(result) == {(A, EMAIL): OUT}


def test_what_cannot_be_read_stops_a_clear():
    world = person(1), unsubscribe(1), record(A, IN, IN), *links(1, A, OUT, OUT)
    readable = {EMAIL: ["Contact"], SALES: ()}
    result = decide(*world, fields=BOTH_FIELDS, rule=CHANGED, readable=readable)
    assert writes(result) == {(A, EMAIL): OUT}
