"""Leads are converted, records merged, persons renumbered: the opt-out goes along."""

import pytest

from tests.unit.domain.worlds import (
    BOTH_FIELDS,
    CHANGED,
    EMAIL,
    IN,
    NEW,
    OUT,
    SALES,
    A,
    B,
    C,
    L,
    M,
    ago,
    codes,
    converted,
    decide,
    deleted,
    link,
    merged,
    person,
    record,
    seen,
    told,
    unsubscribe,
    writes,
)

CONVERSION, MERGE = "CARRIED_OVER_CONVERSION", "CARRIED_OVER_MERGE"


def relinks(result):
    return result.relinks.to_numpy().tolist()


def retired(result):
    return [tuple(row) for row in result.retired.to_numpy().tolist()]


# Conversion ----------------------------------------------------------------------------------


def test_an_opt_out_survives_conversion_into_a_new_contact():
    result = decide(person(1, L), converted(L, A, OUT), record(A, IN), link(1, L, IN))
    assert told(result) == [
        (1, A, EMAIL, "FIRST_SEEN_OPT_OUT", None, OUT, OUT),
        (1, L, EMAIL, CONVERSION, OUT, None, None),
    ]
    assert relinks(result) == [[1, L, A, CONVERSION]]
    assert retired(result) == [(1, L, "Lead", EMAIL)]
    assert result.decisions["cause"].tolist() == [seen(L, at=ago(days=3))] * 2


def test_an_opt_out_survives_conversion_into_a_contact_of_somebody_else():
    result = decide(
        person(1, L), person(2, A), converted(L, A, OUT), record(A), link(1, L, IN), link(2, A, IN)
    )
    assert writes(result) == {1: OUT, 2: OUT, (A, EMAIL): OUT}
    second = result.decisions.set_index("person_id").loc[2]
    assert (second["code"], second["shared_with"]) == ("SHARED_RECORD", 1)
    assert second["cause"] == seen(L, at=ago(days=3))


def test_an_opt_out_of_the_contact_reaches_the_person_of_the_lead():
    world = person(1, L), converted(L, A), record(A, OUT), link(1, L, IN)
    assert writes(decide(*world)) == {1: OUT}


def test_a_person_who_is_opted_out_already_is_not_opted_out_again():
    result = decide(
        person(1, L), unsubscribe(1), converted(L, A, OUT), record(A, OUT), link(1, L, OUT)
    )
    assert told(result) == [
        (1, A, EMAIL, "FIRST_SEEN_AGREED", None, None, OUT),
        (1, L, EMAIL, CONVERSION, None, None, None),
    ]


def test_a_box_that_is_not_ticked_on_the_contact_is_no_evidence():
    result = decide(person(1, L), unsubscribe(1), converted(L, A), record(A), link(1, L, OUT))
    assert writes(result) == {(A, EMAIL): OUT}


@pytest.mark.parametrize(("base", "joins"), [(OUT, True), (IN, False), (NEW, False)])
def test_a_lead_that_cannot_be_read_joins_with_its_base(base, joins):
    world = person(1, L), converted(L, A, OUT), record(A, IN), link(1, L, base)
    result = decide(*world, readable={EMAIL: ["Contact"]})
    assert writes(result) == ({1: OUT, (A, EMAIL): OUT} if joins else {})


def test_a_lead_that_was_cleared_joins_as_cleared():
    world = person(1, L), converted(L, A, IN), record(A, IN), link(1, L, OUT)
    assert writes(decide(*world)) == {}


def test_a_lead_that_the_last_run_did_not_know_joins_as_well():
    assert writes(decide(person(1, L), converted(L, A, OUT), record(A))) == {
        1: OUT, (A, EMAIL): OUT,
    }  # fmt: skip


def test_a_conversion_into_what_salesforce_does_not_say_writes_nothing_there():
    result = decide(person(1, L), converted(L, None, OUT), link(1, L, IN))
    assert codes(result) == ["NOT_VISIBLE"]
    assert relinks(result) == []


def test_both_fields_of_a_lead_join():
    world = person(1, L), converted(L, A, IN, sales=OUT), record(A)
    result = decide(*world, link(1, L, IN), link(1, L, IN, SALES), fields=BOTH_FIELDS)
    assert writes(result) == {1: OUT, (A, EMAIL): OUT, (A, SALES): OUT}
    assert len(retired(result)) == 2


def test_a_field_outside_the_mode_ends_with_its_link_and_joins_nothing():
    result = decide(person(1, B), record(A), record(B), link(1, A, OUT, SALES))
    assert told(result) == [
        (1, A, SALES, "RELINKED", None, None, None),
        (1, B, EMAIL, "FIRST_SEEN_AGREED", None, None, IN),
    ]


# Merges --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [(OUT, IN), (IN, OUT)])
def test_an_opt_out_survives_a_chain_of_merges(one, other):
    result = decide(person(1, A), merged(A, B, one), merged(B, C, other), record(C), link(1, A, IN))
    assert writes(result) == {1: OUT, (C, EMAIL): OUT}
    assert relinks(result) == [[1, A, C, MERGE]]
    assert {record_id for _, record_id, _, _ in retired(result)} == {A, B}


def test_a_lead_merged_into_a_converted_one_is_followed():
    result = decide(person(1, L), merged(L, M, OUT), converted(M, A), record(A), link(1, L, IN))
    assert relinks(result) == [[1, L, A, CONVERSION]]
    assert writes(result) == {1: OUT, (A, EMAIL): OUT}


@pytest.mark.parametrize("ring", [(A,), (A, B), (A, B, C)])
def test_a_circle_leads_nowhere_and_writes_nothing(ring):
    records = [merged(a, b, OUT) for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)]
    result = decide(person(1, A), unsubscribe(1), *records, link(1, A, OUT))
    assert writes(result) == {}
    assert relinks(result) == []
    assert result.unlinked["code"].tolist() == ["NOT_VISIBLE"]


def test_a_chain_that_is_no_circle_beside_one_is_followed():
    world = merged(A, B, OUT), merged(B, A, OUT), merged(C, M, OUT), record(M)
    result = decide(person(1, A), person(2, C), *world)
    assert relinks(result) == [[2, C, M, MERGE]]


def test_a_merged_record_that_hides_its_box_joins_with_its_base():
    result = decide(person(1, A), merged(A, B, None), record(B), link(1, A, OUT))
    assert writes(result) == {1: OUT, (B, EMAIL): OUT}


def test_a_survivor_that_was_not_returned_is_waited_for():
    result = decide(person(1, A), merged(A, B, OUT), link(1, A, IN))
    assert writes(result) == {1: OUT}
    assert set(codes(result)) == {MERGE, "NOT_VISIBLE"}
    assert result.visibility[["record_id", "is_visible"]].to_numpy().tolist() == [[B, False]]


def test_a_survivor_that_was_deleted_keeps_the_opt_out_in_the_store():
    result = decide(person(1, A), merged(A, B, OUT), deleted(B), link(1, A, IN))
    assert writes(result) == {1: OUT}
    assert set(codes(result)) == {MERGE, "DELETED_IN_SALESFORCE"}


def test_persons_whose_records_were_merged_become_one_group():
    result = decide(
        person(1, A), person(2, B), unsubscribe(1), merged(A, B), record(B),
        link(1, A, IN), link(2, B, IN),
    )  # fmt: skip
    assert writes(result) == {2: OUT, (B, EMAIL): OUT}


def test_what_was_carried_over_is_carried_over_once():
    world = merged(A, B, OUT), record(B, OUT), link(1, A, IN, state="retired"), link(1, B, OUT)
    assert told(decide(person(1, B), unsubscribe(1), *world)) == []
    # the store could not be relinked yet: the person still names the record that is gone
    again = decide(person(1, A), unsubscribe(1), *world)
    assert told(again) == []
    assert relinks(again) == [[1, A, B, MERGE]]


def test_an_opt_out_that_joins_stops_a_clear_under_changed_side():
    world = person(1, A), merged(A, B, OUT), record(B), link(1, A, OUT), link(1, B, OUT)
    assert writes(decide(*world, rule=CHANGED)) == {1: OUT, (B, EMAIL): OUT}


# Deleted, and back ---------------------------------------------------------------------------


def test_an_undeleted_record_is_revived_with_its_old_base():
    result = decide(
        person(1), unsubscribe(1), record(A), link(1, A, OUT, state="gone", is_visible=False)
    )
    assert told(result) == [(1, A, EMAIL, "CLEARED_IN_SALESFORCE_ONLY", None, OUT, OUT)]
    assert result.visibility["is_visible"].tolist() == [True]


# Persons -------------------------------------------------------------------------------------


def test_a_person_with_another_id_takes_the_opt_out_of_the_old_record_along():
    result = decide(person(1, B), record(A, OUT), record(B), link(1, A, IN))
    assert told(result) == [
        (1, A, EMAIL, "RELINKED", OUT, None, None),
        (1, B, EMAIL, "FIRST_SEEN_OPT_OUT", None, OUT, OUT),
    ]
    assert retired(result) == [(1, A, "Contact", EMAIL)]
    assert relinks(result) == []  # the store is right already


def test_the_record_that_a_person_left_is_not_written():
    result = decide(person(1, B), unsubscribe(1), record(A), record(B), link(1, A, IN))
    assert writes(result) == {(B, EMAIL): OUT}


def test_an_old_record_that_was_not_returned_joins_with_its_base():
    result = decide(person(1, B), record(B), link(1, A, OUT, is_visible=False))
    assert writes(result) == {1: OUT, (B, EMAIL): OUT}


def test_a_link_to_another_record_does_not_lend_its_base():
    result = decide(person(1, B), record(A), record(B, OUT), link(1, A, IN))
    assert "FIRST_SEEN_OPT_OUT" in codes(result)


def test_a_person_who_comes_back_to_a_record_is_linked_again():
    result = decide(person(1), unsubscribe(1), record(A), link(1, A, OUT, state="retired"))
    assert writes(result) == {(A, EMAIL): OUT}


@pytest.mark.parametrize("typed", ["nonsense", "0015e0000000001AAA", None, ""])
def test_an_id_that_names_nothing_ends_no_link(typed):
    result = decide(person(1, typed), unsubscribe(1), record(A, OUT), link(1, A, OUT))
    assert result.decisions.empty
    assert retired(result) == []
    code = "BAD_SALESFORCE_ID" if typed and len(typed) > 1 else "NO_SALESFORCE_ID"
    assert result.unlinked["code"].tolist() == [code]


def test_links_of_persons_who_were_erased_end_and_salesforce_stays_as_it_is():
    result = decide(person(2, B), record(A, OUT), record(B), link(1, A, OUT), link(2, B, IN))
    assert result.decisions.empty
    assert retired(result) == [(1, A, "Contact", EMAIL)]
