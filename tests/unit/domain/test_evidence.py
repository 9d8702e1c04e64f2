"""Evidence: each verdict, each reason, each clock."""

from datetime import timedelta

import pytest

from tests.unit.domain.worlds import (
    BOTH_FIELDS,
    CHANGED,
    CONSENTED,
    EMAIL,
    IN,
    NOW,
    OUT,
    SAID,
    SALES,
    US,
    WINS,
    A,
    B,
    C,
    L,
    accepted,
    ago,
    claim,
    codes,
    converted,
    decide,
    deleted,
    evidence,
    history,
    in_question,
    link,
    merged,
    own_write,
    person,
    record,
    seen,
    told,
    unsubscribe,
    verdicts,
    writes,
)

ACCEPTED = ("accepted", "RESUBSCRIBED", None)
SKEW = timedelta(seconds=300)


def refused(code, way=None):
    return ("refused", code, way)


def retry_after(result):
    return result.judgements["retry_after"].item()


def reason(result):
    return result.judgements["reason"].item()


# Accepted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [WINS, CHANGED])
def test_a_consent_that_is_newer_than_every_opt_out_clears_both_sides(rule):
    world = person(1), unsubscribe(1), record(A, OUT), link(1, A, OUT), evidence(1)
    result = decide(*world, rule=rule)
    assert verdicts(result) == {15: ACCEPTED}
    assert told(result) == [(1, A, EMAIL, "RESUBSCRIBED", IN, IN, IN)]
    assert result.decisions["cause"].item() == "act:15"
    assert result.decisions["evidence_id"].item() == 15


@pytest.mark.parametrize(
    ("store", "salesforce", "base", "then"),
    [
        (OUT, IN, OUT, (IN, None, IN)),
        (IN, OUT, OUT, (None, IN, IN)),
        (IN, OUT, IN, (None, IN, IN)),
        (IN, IN, OUT, (None, None, IN)),
        (IN, IN, IN, None),
    ],
)
def test_only_what_still_says_opted_out_is_cleared(store, salesforce, base, then):
    rows = [person(1), record(A, salesforce), link(1, A, base), evidence(1)]
    result = decide(*rows, *([unsubscribe(1)] if store else []))
    assert verdicts(result) == {15: ACCEPTED}
    assert [row[4:] for row in told(result)] == ([then] if then else [])


def test_accepted_evidence_stands_for_ever_against_what_it_is_after():
    world = person(1), record(A, OUT), link(1, A, OUT), unsubscribe(1, at=ago(days=400))
    consent = accepted(1, at=ago(days=300))
    result = decide(*world, consent, own_write(A, 10, ago(days=400)))
    assert writes(result) == {1: IN, (A, EMAIL): IN}
    assert verdicts(result) == {}  # it was judged before


def test_the_strongest_consent_ends_the_opt_out_of_a_complaint():
    world = person(1), unsubscribe(1, origin="Complaint"), record(A, OUT), link(1, A, OUT)
    for origin in ("Clicked Link", "One-Click"):
        assert verdicts(decide(*world, evidence(1, origin=origin))) == {15: ACCEPTED}


@pytest.mark.parametrize("origin", ["Manual", "Import"])
def test_a_complaint_ends_only_by_the_person_themselves(origin):
    world = person(1), unsubscribe(1, origin="Complaint"), record(A, OUT), link(1, A, OUT)
    result = decide(*world, evidence(1, origin=origin))
    assert verdicts(result) == {15: refused("COMPLAINT", "act:10")}
    assert writes(result) == {}
    assert "--by-person" in reason(result)


def test_a_person_without_a_record_is_cleared_in_the_store():
    result = decide(person(1, None), unsubscribe(1), evidence(1))
    assert told(result) == [(1, None, None, "RESUBSCRIBED", IN, None, None)]
    assert verdicts(result) == {15: ACCEPTED}


def test_a_person_whose_record_was_deleted_is_cleared_in_the_store():
    world = person(1), unsubscribe(1), deleted(A, OUT), link(1, A, OUT, state="gone")
    assert writes(decide(*world, evidence(1))) == {1: IN}


def test_an_opt_out_out_of_scope_is_not_in_the_way():
    world = person(1), unsubscribe(1), record(A, OUT), link(1, A, OUT), evidence(1)
    later = unsubscribe(1, 99, at=ago(hours=1), scope="sender")
    assert verdicts(decide(*world, later)) == {15: ACCEPTED}
    assert verdicts(decide(*world, later, scopes=("team", "sender"))) == {
        15: refused("NEWER_OPT_OUT", "act:99")
    }


# The store's clock ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act_id", "later", "verdict"),
    [
        (99, 1, refused("NEWER_OPT_OUT", "act:99")),  # a microsecond later
        (99, 0, refused("NEWER_OPT_OUT", "act:99")),  # equal times go by id
        (10, 0, ACCEPTED),
        (99, -1, ACCEPTED),
    ],
)
def test_acts_of_the_store_are_compared_exactly(act_id, later, verdict):
    act = unsubscribe(1, act_id, at=CONSENTED + timedelta(microseconds=later))
    assert verdicts(decide(person(1), act, record(A), evidence(1))) == {15: verdict}


def test_a_consent_from_the_future_proves_nothing_before_it():
    world = person(1), record(A), evidence(1, at=NOW + timedelta(hours=1))
    assert verdicts(decide(*world, unsubscribe(1, 99, at=NOW))) == {
        15: refused("NEWER_OPT_OUT", "act:99")
    }
    assert verdicts(decide(*world, unsubscribe(1, 10, at=NOW + timedelta(hours=9)))) == {
        15: ACCEPTED
    }


def test_the_opt_out_in_the_way_is_the_newest():
    acts = unsubscribe(1, 98, at=ago(hours=1)), unsubscribe(1, 99, at=ago(minutes=1))
    result = decide(person(1), *acts, record(A), evidence(1))
    assert verdicts(result) == {15: refused("NEWER_OPT_OUT", "act:99")}


# Salesforce's clock --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "verdict"),
    [
        (SKEW + timedelta(microseconds=1), ACCEPTED),
        (SKEW, refused("OPTED_OUT_IN_SALESFORCE", seen(A))),
        (-SKEW, refused("OPTED_OUT_IN_SALESFORCE", seen(A))),
    ],
)
def test_between_two_clocks_more_than_the_skew_is_newer(before, verdict):
    world = person(1), record(A, OUT, last_modified_at=ago(minutes=1)), link(1, A, OUT)
    result = decide(*world, evidence(1), history(A, CONSENTED - before))
    assert verdicts(result) == {15: verdict}
    assert result.judgements["retry_after"].isna().all()  # history is exact: time does not help


@pytest.mark.parametrize(
    ("before", "verdict"),
    [
        (SKEW + timedelta(seconds=1), ACCEPTED),
        (SKEW, refused("EDITED_SINCE", seen(A))),
        (timedelta(0), refused("EDITED_SINCE", seen(A))),
    ],
)
def test_without_history_the_last_change_of_the_record_counts(before, verdict):
    edited = record(A, OUT, last_modified_at=CONSENTED - before)
    assert verdicts(decide(person(1), edited, link(1, A, OUT), evidence(1))) == {15: verdict}


def test_a_refusal_says_from_when_on_a_consent_counts():
    edited = record(A, OUT, last_modified_at=ago(minutes=1, seconds=30))
    result = decide(person(1), edited, link(1, A, OUT), evidence(1))
    assert retry_after(result) == ago(minutes=1, seconds=30) + SKEW
    assert reason(result).endswith(
        "Ask again and record the consent anew after 2026-11-20 18:04 UTC."
    )


def test_the_skew_is_a_setting():
    edited = record(A, OUT, last_modified_at=CONSENTED - timedelta(seconds=1))
    world = person(1), edited, link(1, A, OUT), evidence(1)
    assert verdicts(decide(*world, clock_skew=timedelta(0))) == {15: ACCEPTED}


def test_a_record_changed_in_the_future_was_changed_at_the_read():
    edited = record(A, OUT, last_modified_at=NOW + timedelta(hours=1))
    result = decide(person(1), edited, link(1, A, OUT), evidence(1))
    assert retry_after(result) == NOW + SKEW


def test_what_cannot_be_dated_is_never_older_than_anything():
    undated = record(A, OUT, last_modified_at=None)
    result = decide(person(1), undated, link(1, A, OUT), evidence(1))
    assert verdicts(result) == {15: refused("EDITED_SINCE", seen(A))}
    assert result.judgements["retry_after"].isna().all()
    assert "clear the box in Salesforce" in reason(result)


def test_a_box_that_is_not_ticked_is_not_in_the_way_however_lately_it_was_edited():
    edited = record(A, IN, last_modified_at=NOW)
    result = decide(person(1), unsubscribe(1), edited, link(1, A, OUT), evidence(1))
    assert verdicts(result) == {15: ACCEPTED}


def test_a_box_that_we_ticked_is_dated_by_the_act_that_it_carries():
    edited = record(A, OUT, last_modified_at=NOW, last_modified_by=US)
    world = person(1), unsubscribe(1), edited, link(1, A, OUT), own_write(A, 10, SAID)
    assert verdicts(decide(*world, evidence(1))) == {15: ACCEPTED}
    # one clock: no skew
    closely = evidence(1, at=SAID + timedelta(microseconds=1))
    assert verdicts(decide(*world, closely)) == {15: ACCEPTED}


def test_a_box_that_we_ticked_for_a_later_act_is_in_the_way():
    # the act itself is gone: a person who was erased
    world = person(1), record(A, OUT), link(1, A, OUT), own_write(A, 99, ago(hours=1))
    assert verdicts(decide(*world, evidence(1))) == {
        15: refused("OPTED_OUT_IN_SALESFORCE", seen(A))
    }


def test_the_time_of_a_field_is_not_the_time_of_another():
    world = person(1), record(A, IN, OUT, last_modified_at=NOW), history(A, SAID, EMAIL)
    result = decide(*world, evidence(1), fields=BOTH_FIELDS)
    assert verdicts(result) == {15: refused("EDITED_SINCE", seen(A, SALES))}


# Acts of the sync ----------------------------------------------------------------------------


def test_an_act_of_the_sync_is_compared_by_the_box_it_repeats():
    derived = unsubscribe(1, cause=seen(A, at=SAID), at=SAID)
    world = person(1), derived, record(A, OUT, last_modified_at=NOW), link(1, A, OUT)
    assert verdicts(decide(*world, evidence(1), history(A, ago(days=1)))) == {15: ACCEPTED}
    assert verdicts(decide(*world, evidence(1))) == {15: refused("EDITED_SINCE", seen(A))}


@pytest.mark.parametrize(
    ("before", "verdict"),
    [
        (SKEW + timedelta(seconds=1), ACCEPTED),
        (SKEW, refused("EDITED_SINCE", seen(C))),
    ],
)
def test_an_act_of_the_sync_whose_box_is_gone_is_dated_by_salesforces_clock(before, verdict):
    at = CONSENTED - before
    derived = unsubscribe(1, cause=seen(C, at=at), at=at)
    assert verdicts(decide(person(1), derived, record(A), evidence(1))) == {15: verdict}


def test_an_act_of_the_sync_for_another_person_ends_with_that_persons():
    derived = unsubscribe(2, 30, cause="act:10", at=ago(hours=1))
    world = person(1), person(2), unsubscribe(1), derived, record(A, OUT), own_write(A, 10, SAID)
    result = decide(*world, evidence(1), link(1, A, OUT), link(2, A, OUT))
    assert verdicts(result) == {15: ACCEPTED}
    assert writes(result) == {1: IN, 2: IN, (A, EMAIL): IN}
    assert result.decisions["cause"].tolist() == ["act:15", "act:15"]


def test_an_act_of_the_sync_whose_cause_is_elsewhere_is_compared_on_the_stores_clock():
    derived = unsubscribe(1, 30, cause="act:99", at=ago(hours=1))
    result = decide(person(1), derived, record(A), evidence(1))
    assert verdicts(result) == {15: refused("NEWER_OPT_OUT", "act:99")}
    assert verdicts(decide(person(1), derived, record(A), evidence(1, at=ago(minutes=30)))) == {
        15: ACCEPTED
    }


# Shared records ------------------------------------------------------------------------------


def shared(*more):
    return decide(
        person(1), person(2), record(A, OUT, last_modified_by=US), own_write(A, 10, SAID),
        link(1, A, OUT), link(2, A, OUT), *more,
    )  # fmt: skip


def test_everybody_who_opted_out_must_have_consented():
    result = shared(unsubscribe(1), unsubscribe(2), evidence(1))
    assert verdicts(result) == {15: refused("OTHER_PERSON", "act:20")}
    assert writes(result) == {}


def test_a_newer_opt_out_of_another_person_is_in_the_way():
    result = shared(unsubscribe(1), unsubscribe(2, at=ago(hours=1)), evidence(1))
    assert verdicts(result) == {15: refused("OTHER_PERSON", "act:20")}


def test_two_persons_who_both_consented_are_cleared_each_by_their_own():
    result = shared(unsubscribe(1), unsubscribe(2), evidence(1), evidence(2))
    assert verdicts(result) == {15: ACCEPTED, 25: ACCEPTED}
    assert result.decisions["cause"].tolist() == ["act:15", "act:25"]


def test_both_consents_must_be_newer_than_both_opt_outs():
    result = shared(unsubscribe(1), unsubscribe(2, at=ago(hours=1)), evidence(1),
                    evidence(2, at=ago(minutes=30)))  # fmt: skip
    assert verdicts(result)[15] == refused("OTHER_PERSON", "act:20")
    assert verdicts(result)[25][0] == "refused"
    assert writes(result) == {}


def test_the_consent_of_somebody_who_never_opted_out_does_not_speak_for_another():
    result = shared(unsubscribe(1), evidence(2))
    assert verdicts(result) == {25: refused("OTHER_PERSON", "act:10")}


def test_where_nobody_opted_out_themselves_one_consent_suffices():
    derived = unsubscribe(1, cause=seen(A, at=SAID), at=SAID)
    result = decide(
        person(1), person(2), derived, record(A, OUT), link(1, A, OUT), link(2, A, OUT),
        evidence(2),
    )  # fmt: skip
    assert verdicts(result) == {25: ACCEPTED}
    assert writes(result) == {1: IN, (A, EMAIL): IN}


def test_the_complaint_of_another_person_needs_that_persons_own_opt_in():
    result = shared(unsubscribe(1), unsubscribe(2, origin="Complaint"), evidence(1), evidence(2))
    assert verdicts(result)[25] == refused("COMPLAINT", "act:20")
    assert verdicts(result)[15][:2] == ("refused", "OTHER_PERSON")
    by_person = evidence(2, origin="Clicked Link")
    result = shared(unsubscribe(1), unsubscribe(2, origin="Complaint"), evidence(1), by_person)
    assert verdicts(result) == {15: ACCEPTED, 25: ACCEPTED}


# Accepted before, and not carried out yet ----------------------------------------------------


def test_a_failed_clear_is_done_again_whatever_else_was_edited():
    edited = record(A, OUT, last_modified_at=NOW)
    world = person(1), edited, link(1, A, OUT, evidence_id=15), accepted(1)
    result = decide(*world)
    assert told(result) == [(1, A, EMAIL, "RESUBSCRIBED", None, IN, IN)]


def test_a_second_consent_does_not_undo_what_the_first_has_covered():
    edited = record(A, OUT, last_modified_at=NOW)
    world = person(1), edited, link(1, A, OUT, evidence_id=15)
    result = decide(*world, accepted(1, 15, at=ago(hours=3)), evidence(1, 16))
    assert verdicts(result) == {16: ACCEPTED}
    assert told(result) == [(1, A, EMAIL, "RESUBSCRIBED", None, IN, IN)]


def test_a_box_ticked_after_the_clear_is_a_new_opt_out():
    ticked = record(A, OUT, last_modified_at=NOW)
    for base in (IN, OUT):  # the clear was read back, or it was not covered
        result = decide(person(1), ticked, link(1, A, base), accepted(1))
        assert writes(result) == {1: OUT}


def test_history_shows_a_new_opt_out_even_where_the_old_one_was_covered():
    world = person(1), record(A, OUT, last_modified_at=NOW), accepted(1)
    result = decide(*world, link(1, A, OUT, evidence_id=15), history(A, ago(minutes=10)))
    assert writes(result) == {1: OUT}


def test_what_one_consent_covered_is_covered_by_no_other():
    world = person(1), record(A, OUT, last_modified_at=NOW), evidence(1)
    result = decide(*world, link(1, A, OUT, evidence_id=3))
    assert verdicts(result) == {15: refused("EDITED_SINCE", seen(A))}


def test_a_clear_that_could_not_be_written_lasts_while_the_field_cannot_be_read():
    world = person(1), record(A, OUT), link(1, A, OUT, evidence_id=15), accepted(1)
    result = decide(*world, readable={EMAIL: ()})
    assert told(result) == [(1, A, EMAIL, "RESUBSCRIBE_WAITING", None, None, None)]


# Waiting -------------------------------------------------------------------------------------


def test_a_consent_waits_until_everything_can_be_read():
    world = person(1), unsubscribe(1), record(A, OUT, OUT), evidence(1)
    world += link(1, A, OUT), link(1, A, OUT, SALES)
    result = decide(*world, fields=BOTH_FIELDS, readable={EMAIL: ["Contact"], SALES: ()})
    assert verdicts(result) == {15: ("waiting", "NOT_READ", None)}
    assert writes(result) == {}


def test_a_consent_waits_for_a_record_that_was_not_returned():
    world = person(1), unsubscribe(1), link(1, A, OUT, is_visible=False), evidence(1)
    result = decide(*world)
    assert verdicts(result) == {15: ("waiting", "NOT_READ", None)}
    assert writes(result) == {}


def test_a_consent_that_is_refused_anyway_does_not_wait():
    world = person(1), unsubscribe(1, 99, at=ago(hours=1)), link(1, A, OUT), evidence(1)
    assert verdicts(decide(*world)) == {15: refused("NEWER_OPT_OUT", "act:99")}


# Too old, or replaced ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded_at", "verdict"),
    [
        (ago(days=7), ACCEPTED),
        (ago(days=7, microseconds=1), refused("EXPIRED")),
    ],
)
def test_a_consent_may_wait_for_a_week(recorded_at, verdict):
    late = evidence(1, at=recorded_at, recorded_at=recorded_at)
    world = person(1), unsubscribe(1, at=ago(days=30)), record(A), late
    assert verdicts(decide(*world)) == {15: verdict}


def test_the_week_begins_when_the_consent_is_recorded():
    late = evidence(1, at=ago(days=20), recorded_at=ago(days=1))
    assert verdicts(decide(person(1), unsubscribe(1, at=ago(days=30)), record(A), late)) == {
        15: ACCEPTED
    }


def test_a_consent_that_a_brake_held_does_not_expire():
    late = evidence(1, at=ago(days=20), recorded_at=ago(days=20), was_held=True)
    assert verdicts(decide(person(1), unsubscribe(1, at=ago(days=30)), record(A), late)) == {
        15: ACCEPTED
    }
    newer = unsubscribe(1, at=ago(days=10))
    assert verdicts(decide(person(1), newer, record(A), late)) == {
        15: refused("NEWER_OPT_OUT", "act:10")
    }


def test_a_newer_consent_takes_the_place_of_an_older_one():
    consents = evidence(1, 15, at=ago(hours=3)), evidence(1, 16, at=ago(hours=2))
    result = decide(person(1), unsubscribe(1), record(A), *consents)
    assert verdicts(result) == {15: refused("NEWER_EVIDENCE", "act:16"), 16: ACCEPTED}


def test_an_expired_consent_takes_nobodys_place():
    late = evidence(1, 16, at=ago(hours=2), recorded_at=ago(days=8))
    result = decide(person(1), unsubscribe(1), record(A), evidence(1, 15, at=ago(hours=3)), late)
    assert verdicts(result) == {15: ACCEPTED, 16: refused("EXPIRED")}


def test_a_consent_after_an_accepted_one_ends_a_later_opt_out():
    consents = accepted(1, 15, at=ago(days=3)), evidence(1, 16)
    result = decide(person(1), unsubscribe(1), record(A, OUT), link(1, A, OUT), *consents)
    assert verdicts(result) == {16: ACCEPTED}


def test_a_resubscribe_without_evidence_is_not_judged():
    assert verdicts(decide(person(1), unsubscribe(1), record(A), claim(1))) == {}


# Together with the life of records -----------------------------------------------------------


def test_a_consent_clears_what_a_converted_lead_would_carry_over():
    world = person(1, L), converted(L, A, OUT), record(A), link(1, L, OUT)
    result = decide(*world, evidence(1), unsubscribe(1, cause=seen(L, at=SAID)))
    assert verdicts(result) == {15: ACCEPTED}
    assert writes(result) == {1: IN}


def test_what_joins_later_than_the_consent_is_in_the_way():
    world = person(1, A), merged(A, B, OUT), record(B), link(1, A, IN), history(A, ago(hours=1))
    result = decide(*world, evidence(1))
    assert verdicts(result) == {15: refused("OPTED_OUT_IN_SALESFORCE", seen(A))}
    assert writes(result) == {1: OUT, (B, EMAIL): OUT}


def test_an_opt_in_ends_a_complaint_though_somebody_recorded_a_consent_since():
    complained = unsubscribe(1, origin="Complaint")
    own = evidence(1, 15, at=ago(hours=3), origin="Clicked Link")
    result = decide(person(1), record(A, IN), complained, own, evidence(1, 16, at=ago(hours=1)))
    assert verdicts(result) == {15: ACCEPTED, 16: refused("COMPLAINT", "act:10")}
    assert writes(result) == {1: IN}


def test_a_shared_box_that_evidence_answered_is_answered_for_whoever_joins_later():
    world = person(1, A), person(2, A), record(A, OUT, last_modified_at=ago(hours=1))
    world += accepted(1, at=ago(hours=2)), link(1, A, OUT, evidence_id=15)
    assert writes(decide(*world)) == {(A, EMAIL): IN}
    assert writes(decide(*reversed(world))) == {(A, EMAIL): IN}


def test_an_older_consent_is_not_accepted_because_a_newer_one_answered_the_box():
    world = person(1, A), person(2, A), record(A, OUT, last_modified_at=ago(hours=1))
    world += accepted(1, at=ago(hours=2)), link(1, A, OUT, evidence_id=15)
    result = decide(*world, evidence(2, at=ago(hours=3)))
    assert verdicts(result) == {25: refused("EDITED_SINCE", seen(A))}
    assert writes(result) == {(A, EMAIL): IN}


def test_what_joins_and_was_answered_stays_out_of_the_store_while_the_new_record_is_hidden():
    world = person(1, B), link(1, A, OUT, evidence_id=15), accepted(1)
    result = decide(*world)
    assert writes(result) == {}
    assert codes(result) == ["RELINKED", "NOT_VISIBLE"]


def test_what_joins_is_covered_where_it_was_covered_before():
    world = person(1, A), merged(A, B, OUT, last_modified_at=NOW), record(B)
    result = decide(*world, link(1, A, OUT, evidence_id=15), accepted(1))
    assert writes(result) == {}


# Whose history is asked for ------------------------------------------------------------------


def test_no_history_is_asked_for_without_evidence():
    assert in_question(person(1), unsubscribe(1), record(A, OUT), claim(1)) == []


def test_the_history_of_every_record_of_a_group_with_evidence_is_asked_for():
    world = (
        person(1, A), merged(A, B, OUT), record(B, OUT), link(1, A, IN),
        person(2, C), record(C, OUT), evidence(1),
    )  # fmt: skip
    assert in_question(*world) == [A, B]
