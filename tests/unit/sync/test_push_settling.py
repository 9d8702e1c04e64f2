"""What becomes of people in the outbox, and how long the push is patient: told by values."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from include.domain.values import FailureClass, Outcome, Side
from include.sync.push import patience
from include.sync.push.settling import Failure, Looked, failures_of, groups_with, settle

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
LABELS = {1: "A", 2: "B"}
LOCKED = Failure(FailureClass.RETRY, "UNABLE_TO_LOCK_ROW", "Nothing to do.")
RULE = Failure(FailureClass.VALIDATION, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Exempt us.")


def settled(looked, attempts=0, not_before=None, spread=1.0, people=(1,)):
    claimed = pd.DataFrame(
        {"person_id": list(people), "version": 7, "attempts": attempts, "marked_at": NOW}
    )
    rows = settle(claimed, looked, now=NOW, not_before=not_before, spread=lambda: spread)
    return rows[0] if len(rows) == 1 else rows


def test_whoever_was_written_is_closed_as_pushed():
    row = settled(Looked(LABELS, codes={1: "UNSUBSCRIBED_IN_STORE"}, pushed=frozenset("A")))
    assert (row.state, row.code, row.version) == ("closed", "PUSHED", 7)


def test_whoever_needed_no_write_is_closed_with_the_code_of_the_decision():
    assert settled(Looked(LABELS, codes={1: "BOTH_OPTED_OUT"})).code == "BOTH_OPTED_OUT"
    assert settled(Looked(LABELS)).code == "AGREED"


def test_whoever_does_not_concern_salesforce_is_closed_as_such():
    assert settled(Looked(LABELS, not_synced=frozenset([1]))).code == "NOT_SYNCED"


def test_what_one_record_refused_does_not_touch_others():
    rows = settled(Looked(LABELS, failures={"A": RULE}, pushed=frozenset("B")), people=(1, 2))
    assert [(row.state, row.code) for row in rows] == [
        ("parked", "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        ("closed", "PUSHED"),
    ]


def test_a_failure_weighs_more_than_what_else_was_written_for_the_same_record():
    row = settled(Looked(LABELS, failures={"A": LOCKED}, pushed=frozenset("A")))
    assert (row.state, row.failure_class) == ("waiting", "retry")


def test_nothing_is_tried_before_a_pause_ends_but_what_is_parked_waits_longer_anyway():
    until = NOW + timedelta(minutes=3)
    assert (
        settled(Looked(LABELS, failures={"A": LOCKED}), not_before=until).next_attempt_at == until
    )
    parked = settled(Looked(LABELS, failures={"A": RULE}), not_before=until)
    assert parked.next_attempt_at == NOW + timedelta(hours=1)


def test_whom_another_push_is_looking_at_is_looked_at_again_in_a_moment():
    row = settled(Looked(LABELS, deferred=frozenset([1])))
    assert (row.state, row.failure_class) == ("waiting", None)
    assert NOW < row.next_attempt_at <= NOW + timedelta(seconds=1)


def test_a_plan_that_was_overtaken_is_made_again_in_a_moment():
    assert settled(Looked(LABELS, superseded=frozenset("A"))).state == "waiting"


def test_a_field_that_cannot_be_read_is_parked_for_a_person():
    row = settled(Looked(LABELS, unreadable=frozenset([1])))
    assert (row.state, row.failure_class, row.code) == ("parked", "permission", "UNREADABLE_FIELD")
    assert "field-level security" in row.fix


def test_a_consent_that_could_not_be_judged_waits():
    assert settled(Looked(LABELS, unjudged=frozenset([1]))).code == "NOT_READ"


@pytest.mark.parametrize(("attempts", "state"), [(0, "waiting"), (5, "waiting"), (6, "closed")])
def test_a_record_that_is_not_returned_is_looked_for_some_times(attempts, state):
    row = settled(Looked(LABELS, unlinked={1: "NOT_VISIBLE"}), attempts)
    assert (row.state, row.code) == (state, "NOT_VISIBLE")


@pytest.mark.parametrize("code", ["NO_SALESFORCE_ID", "BAD_SALESFORCE_ID", "DELETED_IN_SALESFORCE"])
def test_whoever_has_no_record_is_closed_at_once_with_the_reason(code):
    row = settled(Looked({1: "person 1"}, unlinked={1: code}))
    assert (row.state, row.code) == ("closed", code)


@pytest.mark.parametrize("attempts", [0, 5, 6])
def test_a_record_that_is_read_and_refused_as_gone_is_a_permission_in_the_end(attempts):
    gone = Failure(FailureClass.GONE, "ENTITY_IS_DELETED", "fix")
    row = settled(Looked(LABELS, failures={"A": gone}), attempts)
    assert row.state == ("parked" if attempts >= 6 else "waiting")


def test_held_clears_are_closed_as_held():
    row = settled(Looked(LABELS, codes={1: "RESUBSCRIBED"}, held={"A": "HELD"}))
    assert (row.state, row.code) == ("closed", "HELD")


# -- what was written


def outcomes(*rows):
    frame = pd.DataFrame(rows, columns=["person_id", "side", "outcome", "failure_class", "code"])
    return frame.assign(fix="fix")


def test_the_worst_failure_of_a_group_is_what_somebody_has_to_mend():
    frame = outcomes(
        (1, "salesforce", "failed", "retry", "LOCK"),
        (1, "salesforce", "failed", "permission", "ACCESS"),
        (2, "salesforce", "confirmed", None, "PUSHED"),
    )
    assert failures_of(frame, LABELS) == {"A": Failure(FailureClass.PERMISSION, "ACCESS", "fix")}
    assert groups_with(frame, LABELS, Outcome.CONFIRMED, Side.SALESFORCE) == {"B"}
    assert groups_with(frame, LABELS, Outcome.CONFIRMED, Side.STORE) == frozenset()


# -- patience


@pytest.mark.parametrize("kind", FailureClass)
def test_patience_doubles_up_to_a_limit_and_is_never_less_than_half_of_it(kind):
    whole = [patience.delay(kind, attempts, 1.0) for attempts in range(40)]
    half = [patience.delay(kind, attempts, 0.0) for attempts in range(40)]
    assert whole == sorted(whole)
    assert whole[1] == whole[0] * 2
    assert len(set(whole[-20:])) == 1
    assert all(h == w / 2 for h, w in zip(half, whole, strict=True))


def test_what_passes_by_itself_is_tried_within_seconds_and_never_later_than_a_quarter_hour():
    assert patience.delay(FailureClass.RETRY, 0, 1.0) == timedelta(seconds=2)
    assert patience.delay(FailureClass.RETRY, 99, 1.0) == timedelta(minutes=15)
    assert not patience.is_parked(FailureClass.RETRY)


@pytest.mark.parametrize("kind", [FailureClass.PERMISSION, FailureClass.VALIDATION])
def test_what_a_person_has_to_mend_is_looked_at_now_and_again(kind):
    assert patience.is_parked(kind)
    assert patience.delay(kind, 0, 1.0) == timedelta(hours=1)
    assert patience.delay(kind, 99, 1.0) == timedelta(hours=12)
