"""Clears that wait for a person: approved, rejected, unanswered; and decided again."""

import json
from datetime import timedelta
from time import sleep

import pytest

from include.audit.runs import NightAlreadyOpenError, StaleAttemptError
from include.domain.values import SalesforceObject
from include.salesforce.errors import LoginError
from include.sync import held_clears
from include.sync.clock import utc_now
from include.sync.held_clears import ClearsFailedError, SwitchedOffError
from include.sync.report import NightNeedsAttentionError
from tests.sync.world import FIELD

CONTACT, LEAD = SalesforceObject
MANY = 6  # one more than the settings let through


class Question:
    """One run of the DAG, its steps as the tasks call them."""

    def __init__(self, world, name="asset_triggered__1"):
        self.world, self.name = world, name
        self.found = held_clears.waiting(world.engine, clock=world.clock)
        self.asked_at = world.clock()

    def decide(self):
        return held_clears.decide(
            self.world.engine,
            self.world.client(),
            self.world.staging,
            self.name,
            asked_at=self.asked_at,
            clock=self.world.clock,
        )

    def steps(self, sync_run_id):
        engine, client, staging = self.world.engine, self.world.client, self.world.staging
        return {
            "clear": lambda: held_clears.clear(
                engine, client(), staging, sync_run_id, clock=self.world.clock
            ),
            "verify": lambda: held_clears.verify(
                engine, client(), sync_run_id, clock=self.world.clock
            ),
            "close": lambda: held_clears.close(
                engine, staging, sync_run_id, asked_at=self.asked_at, clock=self.world.clock
            ),
        }

    def approve(self):
        sync_run_id = self.decide()
        for step in self.steps(sync_run_id).values():
            step()
        return sync_run_id

    def reject(self):
        return held_clears.reject(
            self.world.engine, self.name, asked_at=self.asked_at, clock=self.world.clock
        )

    def time_out(self):
        return held_clears.time_out(
            self.world.engine, self.name, asked_at=self.asked_at, clock=self.world.clock
        )


def hold(world, pairs=None):
    """A night that holds the clears of these pairs; returns the pairs and their consents."""
    pairs = pairs or [world.pair(True, True) for _ in range(MANY)]
    world.night()
    consents = [world.consent(person) for person, _ in pairs]
    red_night(world)
    return pairs, consents


def red_night(world):
    attempt, sync_run_id = world.work()
    with pytest.raises(NightNeedsAttentionError, match="clears wait for a person"):
        world.report(attempt)
    return sync_run_id


def resolutions(world):
    """How many held clears have each resolution; None: they wait."""
    rows = world.sql(
        "SELECT resolution, count(*) FROM opt_out_sync.v_held_clears GROUP BY resolution"
    )
    return dict(tuple(row) for row in rows)


def runs_of(world, kind="held_clears"):
    rows = world.sql("SELECT state FROM opt_out_sync.sync_run WHERE kind = :k ORDER BY id", k=kind)
    return [row.state for row in rows]


def all_agreed(world, pairs, value):
    return all(world.agreed(*pair) is value for pair in pairs)


# -- the question


def test_nobody_is_asked_when_nothing_waits(world):
    world.pair(True, False)
    world.night()
    assert Question(world).found is None


def test_the_question_counts_by_code_and_names_people_by_id_only(world):
    pairs, _ = hold(world)
    found = Question(world).found
    assert found.pop("asked_at")
    assert found == {
        "clears": MANY,
        "people": MANY,
        "codes": {"RESUBSCRIBED": MANY},
        "sample": [person for person, _ in pairs],
    }
    assert json.loads(json.dumps(found)) == found  # what Airflow stores


def test_the_sample_of_a_question_is_short(world):
    hold(world, [world.pair(True, True) for _ in range(23)])
    found = Question(world).found
    assert (found["people"], len(found["sample"])) == (23, 20)


@pytest.mark.parametrize("off", [{"enabled": False}, {"paused": True}])
def test_nobody_is_asked_while_the_sync_is_off(world, off):
    hold(world)
    world.choose(**off)
    assert Question(world).found is None


def test_nobody_is_asked_about_an_org_that_is_not_confirmed(world):
    hold(world)
    world.forget_confirmation()
    assert Question(world).found is None


# -- approved


def test_approved_clears_are_carried_out_and_stand(world):
    pairs, consents = hold(world)
    sync_run_id = Question(world).approve()
    assert all_agreed(world, pairs, False)
    assert {world.base(person) for person, _ in pairs} == {False}
    assert {world.judgement(act) for act in consents} == {("accepted", "RESUBSCRIBED")}
    assert set(world.codes(sync_run_id).values()) == {"RESUBSCRIBED"}
    assert resolutions(world) == {"cleared": MANY}
    assert runs_of(world) == ["closed"]
    assert world.codes(world.night()) == {}
    assert Question(world).found is None


def test_every_step_of_an_approval_can_be_repeated(world):
    pairs, _ = hold(world)
    question = Question(world)
    sync_run_id = question.decide()
    for step in question.steps(sync_run_id).values():
        first = step()
        assert step() == first
    assert all_agreed(world, pairs, False)
    outcomes = [(o.side, o.outcome) for o in world.outcomes(sync_run_id)]
    assert sorted(set(outcomes)) == [
        ("salesforce", "applied"),
        ("salesforce", "confirmed"),
        ("store", "applied"),
        ("store", "confirmed"),
    ]
    assert len(outcomes) == 4 * MANY


def test_an_opt_out_after_the_question_wins(world):
    pairs, consents = hold(world)
    question = Question(world)
    again, _ = pairs[0]
    world.unsubscribe(again, at=utc_now())
    question.approve()
    assert world.agreed(*pairs[0]) is True
    assert all_agreed(world, pairs[1:], False)
    assert world.judgement(consents[0]) == ("refused", "NEWER_OPT_OUT")
    assert resolutions(world) == {"cleared": MANY - 1, "superseded": 1}


def test_a_box_ticked_after_the_question_wins(world):
    pairs, consents = hold(world)
    question = Question(world)
    _, record = pairs[0]
    sleep(1.1)  # Salesforce dates by whole seconds
    world.org.edit(record, **{FIELD: False})
    world.org.edit(record, **{FIELD: True})
    question.approve()
    assert world.agreed(*pairs[0]) is True
    assert all_agreed(world, pairs[1:], False)
    assert world.judgement(consents[0])[0] == "refused"


def test_an_unsubscribe_between_decision_and_clear_supersedes_the_clear(world):
    pairs, _ = hold(world)
    question = Question(world)
    sync_run_id = question.decide()
    world.unsubscribe(pairs[0][0], at=utc_now())
    for step in question.steps(sync_run_id).values():
        step()
    assert world.agreed(*pairs[0]) is True
    assert all_agreed(world, pairs[1:], False)
    assert resolutions(world) == {"cleared": MANY - 1, "superseded": 1}


def test_an_opt_out_of_somebody_who_joined_the_record_since_wins_too(world):
    pairs, _ = hold(world)
    question = Question(world)
    other = world.person(pairs[0][1][:15])
    world.unsubscribe(other, at=utc_now())
    question.approve()
    assert world.agreed(*pairs[0]) is True
    assert world.in_store(other)
    assert all_agreed(world, pairs[1:], False)


def test_a_record_converted_since_is_left_to_the_night(world):
    pairs = [world.pair(True, True, LEAD) for _ in range(MANY)]
    hold(world, pairs)
    question = Question(world)
    person, lead = pairs[0]
    contact = world.org.convert_lead(lead)
    question.approve()
    assert world.in_store(person)
    assert all_agreed(world, pairs[1:], False)
    assert resolutions(world) == {"cleared": MANY - 1, "superseded": 1}
    world.work()  # decides it, and clears one as on any other night
    assert world.salesforce_id(person) == contact


def test_an_opt_out_that_joined_the_record_by_a_merge_since_wins_too(world):
    """Whoever is linked to the record that was merged into it belongs to its group."""
    pairs, _ = hold(world)
    other, loser = world.pair(False, False)
    question = Question(world)
    world.unsubscribe(other, at=utc_now())
    world.org.merge(pairs[0][1], [loser])
    world.consent(pairs[0][0])  # newer than the merge: only the other person is in the way
    question.approve()
    assert world.agreed(*pairs[0]) is True
    assert all_agreed(world, pairs[1:], False)
    assert resolutions(world) == {"cleared": MANY - 1, "superseded": 1}


def test_a_person_who_is_gone_is_superseded(world):
    pairs, _ = hold(world)
    question = Question(world)
    world.sql("DELETE FROM engagement.person WHERE id = :p", p=pairs[0][0])
    question.approve()
    assert world.in_salesforce(pairs[0][1])
    assert all_agreed(world, pairs[1:], False)
    assert resolutions(world) == {"cleared": MANY - 1, "superseded": 1}


def test_an_approval_of_people_who_are_all_gone_clears_nothing(world):
    pairs, _ = hold(world)
    question = Question(world)
    world.sql("DELETE FROM engagement.person")
    question.approve()
    assert all(world.in_salesforce(record) for _, record in pairs)
    assert resolutions(world) == {"superseded": MANY}


def test_what_is_not_cleared_now_is_decided_by_the_next_night(world):
    pairs, consents = hold(world)
    question = Question(world)
    world.org.set_field_access(CONTACT, FIELD, readable=False, updateable=False)
    question.approve()
    assert {world.judgement(act) for act in consents} == {("waiting", "NOT_READ")}
    assert resolutions(world) == {"superseded": MANY}
    world.org.set_field_access(CONTACT, FIELD, readable=True, updateable=True)
    red_night(world)
    Question(world, "2").approve()
    assert all_agreed(world, pairs, False)


def test_an_answer_is_about_what_was_held_when_it_was_asked(world):
    pairs, _ = hold(world)
    question = Question(world)
    later, _ = hold_more(world)
    question.approve()
    assert all_agreed(world, pairs, False)
    assert all_agreed(world, later, True)
    second = Question(world, "2")
    assert second.found["people"] == MANY
    second.approve()
    assert all_agreed(world, later, False)


def hold_more(world):
    """Another night, while the question is open, that holds more."""
    pairs = [world.pair(True, True) for _ in range(MANY)]
    red_night(world)  # the store has them opted out already: this sets their base
    consents = [world.consent(person) for person, _ in pairs]
    red_night(world)
    return pairs, consents


def test_two_questions_about_the_same_clears_clear_once(world):
    pairs, _ = hold(world)
    first = Question(world)
    red_night(world)
    second = Question(world, "2")
    first.approve()
    assert Question(world, "2").found is None  # what the queued run finds
    sync_run_id = second.approve()
    assert world.codes(sync_run_id) == {}
    assert all_agreed(world, pairs, False)
    assert resolutions(world) == {"cleared": MANY}


def test_changed_side_asks_about_cleared_boxes(world):
    world.choose(conflict_rule="changed_side")
    pairs = [world.pair(False, False) for _ in range(MANY)]
    for person, _ in pairs:
        world.unsubscribe(person, origin="Manual")
    world.night()
    for _, record in pairs:
        world.org.edit(record, **{FIELD: False})
    red_night(world)
    question = Question(world)
    assert question.found["codes"] == {"CLEARED_IN_SALESFORCE_ONLY": MANY}
    question.approve()
    assert all_agreed(world, pairs, False)
    assert resolutions(world) == {"cleared": MANY}


def test_people_of_one_record_are_cleared_together(world):
    pairs = [world.pair(True, True) for _ in range(3)]
    family = [*pairs, *((world.person(record, True), record) for _, record in pairs)]
    hold(world, family)
    Question(world).approve()
    assert all_agreed(world, family, False)
    assert resolutions(world) == {"cleared": MANY}


# -- trouble


def test_an_approval_while_the_sync_is_off_is_carried_out_once_it_is_on_again(world):
    pairs, _ = hold(world)
    question = Question(world)
    world.choose(paused=True)
    with pytest.raises(SwitchedOffError, match="the sync is paused: nothing is cleared"):
        question.decide()
    assert all_agreed(world, pairs, True)
    assert resolutions(world) == {None: MANY}
    world.choose(paused=False)
    question.approve()
    assert all_agreed(world, pairs, False)


def test_an_approval_waits_for_a_night_that_runs(world):
    hold(world)
    question = Question(world)
    world.open_night()
    with pytest.raises(NightAlreadyOpenError):
        question.decide()
    with pytest.raises(NightAlreadyOpenError):
        question.reject()
    assert resolutions(world) == {None: MANY}


def test_a_failed_step_frees_the_lease_and_can_be_cleared(world, monkeypatch):
    pairs, _ = hold(world)
    question = Question(world)
    sync_run_id = question.decide()
    steps = question.steps(sync_run_id)
    monkeypatch.setenv(
        "AIRFLOW_CONN_SALESFORCE",
        world.org.airflow_connection.replace(world.org.client_secret, "wrong"),
    )
    with pytest.raises(LoginError):
        steps["clear"]()
    assert runs_of(world) == ["failed"]
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", world.org.airflow_connection)
    for step in steps.values():
        step()
    assert all_agreed(world, pairs, False)
    assert runs_of(world) == ["closed"]


def test_clearing_decide_begins_the_approved_clears_again(world):
    pairs, _ = hold(world)
    question = Question(world)
    first = question.decide()
    second = question.decide()
    with pytest.raises(StaleAttemptError, match="superseded"):
        question.steps(first)["clear"]()
    for step in question.steps(second).values():
        step()
    assert all_agreed(world, pairs, False)
    assert runs_of(world) == ["superseded", "closed"]


def test_a_clear_that_salesforce_refuses_is_red_and_tried_again_by_the_night(world):
    pairs, _ = hold(world)
    question = Question(world)
    sync_run_id = question.decide()
    world.org.edit(pairs[0][1], Phone="1")
    steps = question.steps(sync_run_id)
    steps["clear"]()
    steps["verify"]()
    with pytest.raises(ClearsFailedError, match="1 of 12 approved writes failed"):
        steps["close"]()
    assert runs_of(world) == ["closed"]
    assert world.in_salesforce(pairs[0][1])
    world.work()
    assert all_agreed(world, pairs, False)


# -- rejected


def test_rejected_clears_stay_opted_out_and_their_consent_is_refused(world):
    pairs, consents = hold(world)
    assert Question(world).reject() == {"rejected": MANY, "refused": MANY}
    assert all_agreed(world, pairs, True)
    assert {world.judgement(act) for act in consents} == {("refused", "REJECTED")}
    assert "record a new consent" in world.judgements(pairs[0][0])[-1].reason
    assert resolutions(world) == {"rejected": MANY}
    assert runs_of(world) == ["closed"]
    assert world.codes(world.night()) == {}  # not asked again
    assert Question(world).found is None


def test_a_new_consent_after_a_rejection_is_judged_anew(world):
    pairs, _ = hold(world)
    Question(world).reject()
    world.consent(pairs[0][0])
    world.night()
    assert world.agreed(*pairs[0]) is False
    assert all_agreed(world, pairs[1:], True)


def test_rejecting_twice_refuses_once(world):
    pairs, _ = hold(world)
    question = Question(world)
    question.reject()
    assert question.reject() == {"rejected": 0}
    assert len(world.judgements(pairs[0][0])) == 2  # held, refused


def test_a_rejection_is_about_what_was_held_when_it_was_asked(world):
    _, consents = hold(world)
    question = Question(world)
    _, later = hold_more(world)
    question.reject()
    assert {world.judgement(act) for act in consents} == {("refused", "REJECTED")}
    assert {world.judgement(act) for act in later} == {("held", "HELD")}
    assert resolutions(world) == {"rejected": MANY, None: MANY}


# -- unanswered


def test_consent_that_is_held_does_not_expire(world):
    pairs, consents = hold(world)
    Question(world).time_out()
    month = timedelta(days=30)
    world.clock = lambda: utc_now() + month
    world.org.set_clock(month.total_seconds())
    red_night(world)
    assert {world.judgement(act) for act in consents} == {("held", "HELD")}
    Question(world).approve()
    assert all_agreed(world, pairs, False)


def test_silence_leaves_everything_held_and_the_next_night_asks_again(world):
    pairs, consents = hold(world)
    assert Question(world).time_out() == {"timed_out": MANY, "held_again": 0}
    assert all_agreed(world, pairs, True)
    assert {world.judgement(act) for act in consents} == {("held", "HELD")}
    assert resolutions(world) == {"timed_out": MANY}
    assert runs_of(world) == ["closed"]
    assert Question(world).found is None
    red_night(world)
    assert resolutions(world) == {"timed_out": MANY, None: MANY}
    Question(world, "2").approve()
    assert all_agreed(world, pairs, False)


def test_what_a_night_held_again_meanwhile_is_asked_about_next(world):
    pairs, _ = hold(world, [world.pair(True, True) for _ in range(MANY + 1)])
    question = Question(world)
    world.unsubscribe(pairs[0][0], at=utc_now())
    night = red_night(world)
    assert question.time_out() == {"timed_out": MANY + 1, "held_again": MANY}
    queued = Question(world, "2")
    assert queued.found["sample"] == [person for person, _ in pairs[1:]]
    assert queued.found["codes"] == {"RESUBSCRIBED": MANY}
    open_rows = world.sql(
        "SELECT held_run_id FROM opt_out_sync.v_held_clears WHERE resolution IS NULL"
    )
    assert {row.held_run_id for row in open_rows} == {night}
