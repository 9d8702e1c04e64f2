"""The push: what changes in the store reaches Salesforce, by the rules of the night."""

from datetime import timedelta
from functools import partial

import pytest

from include.audit import outbox as boxes
from include.audit import runs
from include.domain.values import SalesforceObject
from include.store.database import transaction
from include.sync.clock import utc_now
from include.sync.push import Metrics, push
from tests.sync import pushing
from tests.sync.pushing import audit, due_now, outbox, requests, settled, writes
from tests.sync.world import FIELD, SALES_FIELD

CONTACT, LEAD = SalesforceObject


@pytest.fixture
def pushed(world):
    """Run one push to its end, as the task does; returns its counts."""
    return partial(pushing.pushed, world)


# -- an unsubscribe


@pytest.mark.parametrize("obj", [CONTACT, LEAD])
def test_an_unsubscribe_reaches_salesforce_and_moves_the_base(world, pushed, obj):
    person, record = world.pair(False, False, obj)
    world.night()
    world.unsubscribe(person, at=utc_now())
    assert pushed() == {"batches": 1, "people": 1, "pushed": 1, "cleared": 0, "failed": {}}
    assert world.agreed(person, record) is True
    assert world.base(person) is True
    assert settled(world, person) == ("closed", "PUSHED")
    assert audit(world, person)[-1] == "UNSUBSCRIBED_IN_STORE"
    assert writes(world, person) == [("salesforce", True, "confirmed", "PUSHED")]
    assert world.codes(world.night()) == {}


def test_a_consent_that_is_newer_is_judged_and_cleared_on_both_sides_within_one_push(world, pushed):
    person, record = world.pair(True, True)
    world.night()
    act = world.consent(person)
    assert pushed()["cleared"] == 1
    assert world.agreed(person, record) is False
    assert world.base(person) is False
    assert world.judgement(act) == ("accepted", "RESUBSCRIBED")
    assert settled(world, person) == ("closed", "PUSHED")
    assert writes(world, person)[-2:] == [
        ("store", False, "confirmed", None),
        ("salesforce", False, "confirmed", "PUSHED"),
    ]
    assert world.codes(world.night()) == {}


def test_a_consent_after_an_unsubscribe_that_was_pushed_is_newer_than_our_own_write(world, pushed):
    """Our tick is dated by the act that it carries, not by the second in which we made it."""
    world.choose(clock_skew_seconds=300)
    person, record = world.pair(False, False)
    world.night()
    world.unsubscribe(person, at=utc_now() - timedelta(minutes=10))
    pushed()
    act = world.consent(person)
    pushed("second")
    assert world.judgement(act) == ("accepted", "RESUBSCRIBED")
    assert world.agreed(person, record) is False


def test_a_consent_older_than_the_opt_out_is_refused_within_one_push(world, pushed):
    person, record = world.pair(True, True)
    world.night()
    act = world.consent(person, at=utc_now() - timedelta(days=2))
    pushed()
    assert world.judgement(act) == ("refused", "NEWER_OPT_OUT")
    assert world.agreed(person, record) is True
    assert settled(world, person)[0] == "closed"


def test_a_consent_that_cannot_be_judged_waits_and_is_tried_again(world, pushed):
    person, _ = world.pair(True, True)
    world.night()
    world.org.set_field_access(CONTACT, FIELD, readable=False, updateable=False)
    act = world.consent(person)
    pushed()
    assert world.judgement(act) == ("waiting", "NOT_READ")
    row = outbox(world, person)
    assert (row.state, row.failure_class, row.code) == (
        "parked", "permission", "UNREADABLE_FIELD",
    )  # fmt: skip
    world.org.set_field_access(CONTACT, FIELD, readable=True, updateable=True)
    due_now(world)
    pushed("second")
    assert world.judgement(act) == ("accepted", "RESUBSCRIBED")


def test_more_clears_than_are_normal_wait_for_a_person(world, pushed):
    pairs = [world.pair(True, True) for _ in range(6)]
    world.night()
    consents = [world.consent(person) for person, _ in pairs]
    pushed()
    assert {world.judgement(act) for act in consents} == {("held", "HELD")}
    assert all(world.agreed(*pair) is True for pair in pairs)
    assert {settled(world, person) for person, _ in pairs} == {("closed", "HELD")}
    rows = world.sql("SELECT count(*) FROM opt_out_sync.v_held_clears WHERE resolution IS NULL")
    assert rows[0].count == 6


def test_clears_of_a_day_count_together_whoever_made_them(world, pushed):
    pairs = [world.pair(True, True) for _ in range(6)]
    world.night()
    for number, (person, _) in enumerate(pairs):
        world.consent(person)
        pushed(f"push {number}")
    assert [world.agreed(*pair) for pair in pairs] == [False] * 5 + [True]


def test_an_org_that_nobody_confirmed_is_opted_out_and_never_cleared(world, pushed):
    gone, stays = world.pair(False, False), world.pair(True, True)
    world.forget_confirmation()
    world.unsubscribe(gone[0], at=utc_now())
    act = world.consent(stays[0])
    pushed()
    assert world.agreed(*gone) is True
    assert world.agreed(*stays) is True
    assert world.judgement(act) is None
    assert settled(world, stays[0]) == ("closed", "ORG_NOT_CONFIRMED")


# -- which field


def test_both_fields_are_ticked_in_one_request(world, pushed):
    world.both_fields()
    person, record = world.pair(False, False)
    world.night()
    world.unsubscribe(person, at=utc_now())
    world.org.reset_requests()
    assert pushed()["pushed"] == 2
    fields = world.org.record(record)
    assert (fields[FIELD], fields[SALES_FIELD]) == (True, True)
    assert requests(world, "PATCH", "composite/sobjects") == 1


def test_a_disabled_sync_still_opts_out_in_the_standard_field_whatever_the_mode(world, pushed):
    world.both_fields()
    world.choose(field_mode="sales_opt_out", enabled=False)
    person, record = world.pair(False, False)
    world.unsubscribe(person, at=utc_now())
    assert pushed()["pushed"] == 1
    fields = world.org.record(record)
    assert (fields[FIELD], fields[SALES_FIELD]) == (True, False)
    assert audit(world, person) == ["PUSHED_WHILE_DISABLED"]
    assert world.base(person) is True  # a field that we set is a link
    world.choose(enabled=True)
    world.night()
    assert world.org.record(record)[SALES_FIELD]


def test_a_disabled_sync_clears_nothing_and_writes_nothing_to_the_store(world, pushed):
    person, record = world.pair(True, True)
    sharer = world.person(record)
    world.night()
    world.choose(enabled=False)
    other, _ = world.pair(False, True)  # a colleague ticked the box
    world.unsubscribe(other, scope="team", at=utc_now())
    before = world.everything()
    act = world.consent(person)
    pushed()
    assert world.agreed(person, record) is True
    assert world.judgement(act) is None
    assert world.in_store(sharer)
    after = world.everything()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"engagement.unsubscribe"}  # the consent itself


def test_a_consent_clears_every_field_that_was_set_also_outside_the_mode(world, pushed):
    world.both_fields()
    world.choose(field_mode="sales_opt_out", enabled=False)
    person, record = world.pair(False, False)
    world.unsubscribe(person, at=utc_now() - timedelta(hours=1))
    pushed()
    world.choose(enabled=True)
    world.night()
    world.consent(person)
    pushed("second")
    fields = world.org.record(record)
    assert (fields[FIELD], fields[SALES_FIELD]) == (False, False)


def test_a_paused_sync_pushes_nothing_and_the_outbox_fills(world, pushed):
    world.choose(paused=True)
    person, record = world.pair(False, False)
    world.unsubscribe(person, at=utc_now())
    world.org.reset_requests()
    assert pushed()["people"] == 0
    assert not world.in_salesforce(record)
    assert world.org.request_counts() == {}
    world.choose(paused=False)
    pushed("second")
    assert world.in_salesforce(record)


def test_acts_out_of_scope_are_closed_without_a_request(world, pushed):
    bounced, _ = world.pair(False, False)
    one_sender, _ = world.pair(False, False)
    world.night()
    world.unsubscribe(bounced, origin="Bounce", at=utc_now())
    world.unsubscribe(one_sender, scope="sender", at=utc_now())
    world.org.reset_requests()
    pushed()
    for person in (bounced, one_sender):
        assert settled(world, person) == ("closed", "NOT_SYNCED")
        assert audit(world, person)[-1] == "FIRST_SEEN_AGREED"
    assert requests(world, "GET", "queryAll") == 0


def test_a_bounce_that_counts_is_pushed(world, pushed):
    world.choose(bounces_sync=True)
    person, record = world.pair(False, False)
    world.unsubscribe(person, origin="Bounce", at=utc_now())
    pushed()
    assert world.in_salesforce(record)


# -- records


def test_whoever_shares_the_record_is_opted_out_too(world, pushed):
    person, record = world.pair(False, False)
    sharer = world.person(record[:15])
    world.night()
    world.unsubscribe(person, at=utc_now())
    pushed()
    assert world.in_store(sharer)
    assert audit(world, sharer)[-1] == "SHARED_RECORD"
    assert {world.base(person), world.base(sharer)} == {True}
    assert world.codes(world.night()) == {}


def test_people_of_one_record_who_change_together_are_written_once(world, pushed):
    person, record = world.pair(False, False)
    sharer = world.person(record)
    world.night()
    world.unsubscribe(person, at=utc_now())
    world.unsubscribe(sharer, at=utc_now())
    assert pushed()["pushed"] == 1


def test_a_record_that_is_opted_out_already_is_not_written_again(world, pushed):
    person, record = world.pair(False, True)
    before = world.org.record(record)["SystemModstamp"]
    world.unsubscribe(person, at=utc_now())
    assert pushed()["pushed"] == 0
    assert world.org.record(record)["SystemModstamp"] == before
    assert settled(world, person) == ("closed", "FIRST_SEEN_AGREED")


def test_a_converted_lead_is_followed_to_its_contact(world, pushed):
    person, lead = world.pair(False, False, LEAD)
    world.night()
    contact = world.org.convert_lead(lead)
    world.unsubscribe(person, at=utc_now())
    assert pushed()["pushed"] == 1
    assert world.in_salesforce(contact)
    assert world.salesforce_id(person) == contact
    assert settled(world, person) == ("closed", "PUSHED")
    assert world.codes(world.night()) == {}


def test_a_chain_of_merges_is_followed_and_whoever_is_linked_to_its_end(world, pushed):
    person, first = world.pair(False, False)
    second = world.record(False)
    other, third = world.pair(False, False)
    world.night()
    world.org.merge(second, [first])
    world.org.merge(third, [second])
    world.unsubscribe(person, at=utc_now())
    pushed()
    assert world.in_salesforce(third)
    assert world.salesforce_id(person) == third
    assert world.in_store(other)
    assert world.codes(world.night()) == {}


def test_a_clear_asks_whoever_is_linked_to_a_record_that_was_merged_into_this_one(world, pushed):
    person, winner = world.pair(True, True)
    other, loser = world.pair(False, False)
    world.night()
    world.choose(paused=True)
    world.unsubscribe(other, at=utc_now())
    world.sql("DELETE FROM opt_out_sync.push_signal")  # lost: only the merge leads there
    world.org.merge(winner, [loser])
    world.choose(paused=False)
    act = world.consent(person)
    pushed()
    assert world.judgement(act) == ("refused", "OTHER_PERSON")
    assert world.in_salesforce(winner)


def test_a_deleted_record_is_closed_with_its_reason(world, pushed):
    person, record = world.pair(False, False)
    world.night()
    world.org.delete(record)
    world.unsubscribe(person, at=utc_now())
    pushed()
    assert settled(world, person) == ("closed", "DELETED_IN_SALESFORCE")
    assert unlinked(world, person) == "DELETED_IN_SALESFORCE"
    assert audit(world, person)[-1] == "DELETED_IN_SALESFORCE"


def unlinked(world, person):
    rows = world.sql("SELECT code FROM opt_out_sync.unlinked_person WHERE person_id = :p", p=person)
    return rows[0].code if rows else None


@pytest.mark.parametrize(
    ("salesforce_id", "code"),
    [(None, "NO_SALESFORCE_ID"), ("003nonsense", "BAD_SALESFORCE_ID")],
)
def test_a_person_without_a_record_is_reported_and_pushed_once_they_get_one(
    world, pushed, salesforce_id, code
):
    person = world.person(salesforce_id)
    world.unsubscribe(person, at=utc_now())
    pushed()
    assert settled(world, person) == ("closed", code)
    assert unlinked(world, person) == code
    assert audit(world, person) == [code]
    record = world.record(False)
    world.sql("UPDATE engagement.person SET salesforce_id = :r WHERE id = :p", r=record, p=person)
    pushed("second")
    assert world.in_salesforce(record)
    assert unlinked(world, person) is None
    assert settled(world, person) == ("closed", "PUSHED")


def test_a_record_that_is_not_returned_is_looked_for_again_and_then_reported(world, pushed):
    person = world.person("003000000000042AAA")
    world.unsubscribe(person, at=utc_now())
    for number in range(7):
        pushed(f"push {number}")
        if number < 6:
            assert outbox(world, person).failure_class == "gone"
        due_now(world)
    assert settled(world, person) == ("closed", "NOT_VISIBLE")
    assert unlinked(world, person) == "NOT_VISIBLE"


def test_a_person_who_is_erased_leaves_the_outbox(world, pushed):
    person, record = world.pair(False, False)
    world.unsubscribe(person, at=utc_now())
    world.sql("DELETE FROM engagement.person WHERE id = :p", p=person)
    pushed()
    assert outbox(world, person) is None
    assert not world.in_salesforce(record)


def test_person_accounts_are_opted_out_on_their_account(world, pushed):
    world.org.enable_person_accounts()
    person, record = world.pair(False, False)
    world.org.make_person_account(record)
    world.night()
    world.unsubscribe(person, at=utc_now())
    assert pushed()["pushed"] == 1
    assert world.in_salesforce(record)
    assert world.codes(world.night()) == {}


# -- what Salesforce refuses


@pytest.mark.parametrize(
    ("code", "state", "failure_class"),
    [
        ("UNABLE_TO_LOCK_ROW", "waiting", "retry"),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "parked", "validation"),
        ("DUPLICATES_DETECTED", "parked", "validation"),
        ("INSUFFICIENT_ACCESS_OR_READONLY", "parked", "permission"),
        ("ENTITY_IS_DELETED", "waiting", "gone"),
        ("SOMETHING_NEW", "parked", "validation"),
    ],
)
def test_a_refused_row_waits_or_is_parked_with_its_fix_and_stops_nobody_else(
    world, pushed, code, state, failure_class
):
    (bad, refused), (good, record) = world.pair(False, False), world.pair(False, False)
    world.night()
    world.org.add_fault(action="row_error", ids=[refused], code=code, times=1)
    world.unsubscribe(bad, at=utc_now())
    world.unsubscribe(good, at=utc_now())
    assert pushed() == {
        "batches": 1, "people": 2, "pushed": 1, "cleared": 0, "failed": {failure_class: 1},
    }  # fmt: skip
    row = outbox(world, bad)
    assert (row.state, row.failure_class, row.code) == (state, failure_class, code)
    assert row.fix
    assert world.agreed(good, record) is True
    assert world.base(bad) is False
    failures = world.sql("SELECT * FROM opt_out_sync.v_open_failures")
    assert [(f.person_id, f.code, f.attempts) for f in failures] == [(bad, code, 1)]
    due_now(world)
    pushed("second")
    assert world.agreed(bad, refused) is True
    assert settled(world, bad) == ("closed", "PUSHED")
    assert world.sql("SELECT * FROM opt_out_sync.v_open_failures") == []


def test_a_field_that_may_not_be_written_is_parked_and_never_sent(world, pushed):
    person, record = world.pair(False, False)
    world.night()
    world.org.set_field_access(CONTACT, FIELD, readable=True, updateable=False)
    world.sql("DELETE FROM opt_out_sync.sync_step")  # no run knows the access that was
    world.unsubscribe(person, at=utc_now())
    pushed()
    row = outbox(world, person)
    assert (row.state, row.code) == ("parked", "READ_ONLY_FIELD")
    assert not world.in_salesforce(record)


def test_a_field_that_was_hidden_since_the_last_night_is_found_out(world, pushed):
    person, _ = world.pair(False, False)
    lead_person, lead = world.pair(False, False, LEAD)
    world.night()
    world.org.set_field_access(CONTACT, FIELD, readable=False, updateable=False)
    world.unsubscribe(person, at=utc_now())
    world.unsubscribe(lead_person, at=utc_now())
    pushed()
    assert outbox(world, person).code == "UNREADABLE_FIELD"
    assert world.in_salesforce(lead)
    world.org.set_field_access(CONTACT, FIELD, readable=True, updateable=True)
    due_now(world)
    pushed("second")
    assert settled(world, person) == ("closed", "PUSHED")


# -- a push beside others


def test_an_unsubscribe_during_a_clear_wins(world, pushed):
    """The person clicks while the one request that clears is on its way."""
    person, record = world.pair(True, True)
    world.night()
    world.consent(person)
    client = world.client()
    clear_record = client.clear_record

    def cleared(*arguments, **options):
        outcome = clear_record(*arguments, **options)
        world.unsubscribe(person, at=utc_now())
        return outcome

    client.clear_record = cleared
    pushed(client=client)
    assert world.agreed(person, record) is True
    assert settled(world, person)[0] == "closed"
    assert world.base(person) is True


def test_the_newest_act_wins_whatever_is_tried_late(world, pushed):
    person, record = world.pair(False, False)
    world.night()
    world.org.add_fault(action="row_error", ids=[record], code="UNABLE_TO_LOCK_ROW", times=1)
    world.unsubscribe(person, at=utc_now() - timedelta(minutes=1))
    pushed()
    assert outbox(world, person).failure_class == "retry"
    world.consent(person)
    due_now(world)
    pushed("second")  # the retry of the unsubscribe sends what is true now
    assert world.agreed(person, record) is False
    assert world.codes(world.night()) == {}


def test_two_people_of_one_record_are_never_looked_at_by_two_pushes(world, pushed):
    person, record = world.pair(False, False)
    sharer = world.person(record)
    world.unsubscribe(person, at=utc_now())
    world.unsubscribe(sharer, at=utc_now())
    other = runs.open_run(
        world.engine, kind="push", airflow_run_id="other", interval=None, plan_only=False,
        now=utc_now(),
    )  # fmt: skip
    with transaction(world.engine) as conn:
        claimed = boxes.claim(conn, other, most=1, now=utc_now())
    assert len(claimed) == 1
    pushed()
    assert not world.in_salesforce(record)
    runs.fail(world.engine, other.id, "killed", now=utc_now())
    due_now(world)
    assert pushed("second")["pushed"] == 1
    assert {settled(world, each) for each in (person, sharer)} == {("closed", "PUSHED")}


def test_a_base_that_a_push_moved_during_a_night_is_not_moved_back(world, pushed):
    person, record = world.pair(False, False)
    attempt, night = world.open_night()
    steps = world.steps(night)
    for name in list(steps)[: list(steps).index("load.store")]:
        steps.pop(name)()
    world.unsubscribe(person, at=utc_now())
    pushed()
    for step in steps.values():
        step()
    world.report(attempt)
    assert world.base(person) is True
    assert world.agreed(person, record) is True


def test_settings_that_are_saved_meanwhile_end_a_push_and_the_next_one_obeys_them(world, pushed):
    person, record = world.pair(False, False)
    world.unsubscribe(person, at=utc_now())
    client = world.client()
    read_records = client.read_records

    def read(*arguments, **options):
        world.choose(paused=True)
        return read_records(*arguments, **options)

    client.read_records = read
    pushed(client=client)
    assert not world.in_salesforce(record)
    assert outbox(world, person).state == "waiting"
    world.choose(paused=False)
    pushed("second")
    assert world.in_salesforce(record)


@pytest.mark.parametrize("is_consent", [False, True])
def test_a_push_needs_no_more_than_the_role_of_the_sync(world, login, is_consent):
    person, record = world.pair(is_consent, is_consent)
    world.night()
    if is_consent:
        world.consent(person)
    else:
        world.unsubscribe(person, at=utc_now())
    writer = login("opt_out_sync_writer")
    push(writer, world.client(), "push", clock=utc_now, patience=pushing.AT_ONCE)
    assert world.agreed(person, record) is not is_consent
    assert settled(world, person) == ("closed", "PUSHED")


# -- who watches


def test_what_was_done_and_who_waits_is_told_once(world, pushed):
    (one, _), (two, locked) = world.pair(False, False), world.pair(False, False)
    world.org.add_fault(action="row_error", ids=[locked], code="UNABLE_TO_LOCK_ROW", times=1)
    world.unsubscribe(one, at=utc_now())
    world.unsubscribe(two, at=utc_now())
    gauges, counted = {}, []
    metrics = Metrics(gauge=gauges.__setitem__, count=lambda name, by: counted.append((name, by)))
    pushed(metrics=metrics)
    assert [each for each in counted if each[1]] == [
        ("opt_out_sync.push.pushed", 1),
        ("opt_out_sync.push.failed.retry", 1),
    ]
    assert gauges["opt_out_sync.push.waiting"] == 1
    assert 0 < gauges["opt_out_sync.push.oldest_seconds"] < 60


def test_a_paused_push_still_tells_who_waits(world, pushed):
    person, _ = world.pair(False, False)
    world.choose(paused=True)
    world.unsubscribe(person, at=utc_now())
    gauges = {}
    pushed(metrics=Metrics(gauge=gauges.__setitem__, count=lambda _name, _by: None))
    assert gauges["opt_out_sync.push.waiting"] == 1
