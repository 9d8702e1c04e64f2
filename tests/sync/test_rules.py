"""The conflict rules through whole nights, between a real PostgreSQL and the emulated org."""

from datetime import timedelta
from time import sleep

import pytest
from sqlalchemy import text

from include.audit import links, orgs
from include.domain.values import SalesforceObject
from include.store.database import transaction
from include.sync.clock import utc_now
from include.sync.report import NightNeedsAttentionError
from tests.sync.world import FIELD, SALES_FIELD

CONTACT, LEAD = SalesforceObject


IMPORT = """
INSERT INTO engagement.unsubscribe (person_id, kind, scope, origin, occurred_at, idempotency_key)
VALUES (:person, 'unsubscribe', 'team', 'Import', now() - interval '1 year', 'the import')
"""


def agreed_and_opted_out(world, person, record):
    return world.agreed(person, record) is True


# -- evidence


def test_accepted_evidence_clears_both_sides_and_stands(world):
    person, record = world.pair(True, True)
    world.night()
    act = world.consent(person)
    night = world.night()
    assert world.codes(night) == {person: "RESUBSCRIBED"}
    assert world.agreed(person, record) is False
    assert world.base(person) is False
    assert world.judgement(act) == ("accepted", "RESUBSCRIBED")
    assert world.codes(world.night()) == {}
    assert world.agreed(person, record) is False


def test_an_unsubscribe_after_accepted_evidence_wins(world):
    person, record = world.pair(True, True)
    world.night()
    world.consent(person)
    world.night()
    world.unsubscribe(person, at=utc_now())
    world.night()
    assert agreed_and_opted_out(world, person, record)


def test_evidence_is_refused_when_the_record_was_edited_after_it(world):
    person, record = world.pair(True, True)
    world.night()
    world.consent(person, at=utc_now() - timedelta(hours=1))
    world.org.edit(record, Phone="1")
    world.night()
    assert agreed_and_opted_out(world, person, record)
    verdict = world.judgements(person)[-1]
    assert (verdict.verdict, verdict.code) == ("refused", "EDITED_SINCE")
    assert verdict.retry_after > utc_now() - timedelta(seconds=5)
    assert "again" in verdict.reason


def test_history_tells_an_old_opt_out_from_a_late_edit_of_another_field(world):
    world.org.track_history(CONTACT, FIELD)
    person, record = world.pair(True, False)
    world.org.edit(record, **{FIELD: True})
    sleep(1.1)  # Salesforce dates by whole seconds
    world.consent(person)
    sleep(1.1)
    world.org.edit(record, Phone="1")
    world.night()
    assert world.agreed(person, record) is False


def test_history_dates_the_opt_out_of_a_person_account_too(world):
    world.org.enable_person_accounts()
    person, record = world.pair(True, False)
    world.org.make_person_account(record)
    world.org.track_history("Account", f"Person{FIELD}")
    world.org.edit(record, **{FIELD: True})
    sleep(1.1)  # Salesforce dates by whole seconds
    world.consent(person)
    sleep(1.1)
    world.org.edit(record, Title="Dr")
    world.night()
    assert world.agreed(person, record) is False


def test_what_we_wrote_ourselves_is_as_old_as_the_act_it_carried(world):
    person, record = world.pair(True, False)
    world.night()  # sets the box now, a day after the act
    act = world.consent(person, at=utc_now() - timedelta(hours=1))
    world.night()
    assert world.judgement(act) == ("accepted", "RESUBSCRIBED")
    assert world.agreed(person, record) is False


def test_history_tells_what_we_wrote_ourselves_from_a_late_edit_of_another_field(world):
    world.org.track_history(CONTACT, FIELD)
    person, record = world.pair(True, False)
    world.night()  # sets the box now, a day after the act
    act = world.consent(person, at=utc_now() - timedelta(hours=1))
    world.org.edit(record, Phone="1")
    world.night()
    assert world.judgement(act) == ("accepted", "RESUBSCRIBED")
    assert world.agreed(person, record) is False


def test_history_tells_a_colleagues_tick_from_what_we_wrote_into_the_box_before(world):
    world.both_fields()
    world.org.track_history(CONTACT, FIELD)
    person, record = world.pair(True, False)
    world.night()  # ticks both boxes
    said = utc_now()
    sleep(1.1)  # Salesforce dates by whole seconds
    world.org.edit(record, **{FIELD: False, SALES_FIELD: False})
    sleep(1.1)
    world.org.edit(record, **{FIELD: True})
    world.night()  # ticks the other box again: the record was last modified by us
    act = world.consent(person, at=said)
    world.night()
    assert world.judgement(act) == ("refused", "OPTED_OUT_IN_SALESFORCE")
    assert agreed_and_opted_out(world, person, record)


def test_a_complaint_ends_only_by_the_persons_own_opt_in(world):
    person, record = world.pair(False, True)
    world.unsubscribe(person, origin="Complaint")
    world.night()
    world.consent(person)
    world.night()
    assert world.judgements(person)[-1].code == "COMPLAINT"
    assert agreed_and_opted_out(world, person, record)
    world.consent(person, by_person=True)
    world.night()
    assert world.agreed(person, record) is False


def test_evidence_of_a_person_without_a_record_clears_the_store(world):
    person = world.person(None, opted_out=True)
    world.consent(person)
    world.night()
    assert world.in_store(person) is False


def test_evidence_waits_while_the_field_cannot_be_read(world):
    person, record = world.pair(True, True)
    world.night()
    world.org.set_field_access(CONTACT, FIELD, readable=False, updateable=False)
    act = world.consent(person)
    world.work()
    assert world.judgement(act) == ("waiting", "NOT_READ")
    world.org.set_field_access(CONTACT, FIELD, readable=True, updateable=True)
    world.night()
    assert world.agreed(person, record) is False


# -- clears that lose a race


def test_a_clear_stops_when_the_record_was_edited_since_it_was_read(world):
    person, record = world.pair(True, True)
    world.night()
    world.consent(person)
    attempt, sync_run_id = world.open_night()
    steps = world.steps(sync_run_id)
    for name, step in steps.items():
        if name == "load.clears":
            world.org.edit(record, Phone="1")
        step()
    assert world.in_salesforce(record)
    failed = [row for row in world.outcomes(sync_run_id) if row.outcome == "failed"]
    assert {(row.failure_class, row.code) for row in failed} == {("changed", "CHANGED_SINCE_READ")}
    with pytest.raises(NightNeedsAttentionError, match="still open"):
        world.report(attempt)
    world.night()  # accepted evidence is not aged by a later edit
    assert world.agreed(person, record) is False


def test_an_unsubscribe_between_plan_and_clear_supersedes_the_clear(world):
    person, record = world.pair(True, True)
    world.night()
    world.consent(person)
    _, sync_run_id = world.open_night()
    for name, step in world.steps(sync_run_id).items():
        if name == "load.clears":
            world.unsubscribe(person, at=utc_now())
        step()
    assert {row.outcome for row in world.outcomes(sync_run_id)} == {"superseded"}
    assert agreed_and_opted_out(world, person, record)


def test_an_unsubscribe_while_salesforce_is_cleared_opts_it_out_again(world, monkeypatch):
    person, record = world.pair(True, True)
    world.night()
    world.consent(person)
    _, sync_run_id = world.open_night()
    clear = world.client_class.clear_record

    def clear_and_meanwhile(self, *args, **kwargs):
        outcome = clear(self, *args, **kwargs)
        world.unsubscribe(person, at=utc_now())
        return outcome

    monkeypatch.setattr(world.client_class, "clear_record", clear_and_meanwhile)
    for step in world.steps(sync_run_id).values():
        step()
    assert agreed_and_opted_out(world, person, record)
    assert world.base(person) is True


# -- groups


def test_two_people_of_one_record_are_one_group_in_one_night(world):
    person, record = world.pair(True, False)
    other = world.person(record[:15])
    night = world.night()
    assert world.agreed(person, record)
    assert world.in_store(other)
    row = world.decisions(night).set_index("person_id").loc[other]
    assert (row["code"], row["shared_with"]) == ("SHARED_RECORD", person)
    assert world.codes(world.night()) == {}


def test_the_consent_of_one_does_not_clear_the_opt_out_of_the_other(world):
    person, record = world.pair(True, True)
    other = world.person(record, opted_out=True)
    world.night()
    world.consent(person)
    world.night()
    assert world.judgements(person)[-1].code == "OTHER_PERSON"
    assert world.in_store(person)
    assert world.in_salesforce(record)
    world.consent(other)
    world.consent(person)
    world.night()
    assert (world.in_store(person), world.in_store(other), world.in_salesforce(record)) == (
        False,
        False,
        False,
    )


def test_both_fields_follow_each_other(world):
    world.both_fields()
    in_store, in_email, in_sales = (world.pair(False, False) for _ in range(3))
    world.night()
    world.unsubscribe(in_store[0])
    world.org.edit(in_email[1], **{FIELD: True})
    world.org.edit(in_sales[1], **{SALES_FIELD: True})
    world.night()
    for person, record in (in_store, in_email, in_sales):
        assert world.in_store(person)
        assert world.org.record(record)[FIELD]
        assert world.org.record(record)[SALES_FIELD]
    assert world.codes(world.night()) == {}


# -- life cycle


def test_the_opt_out_of_a_converted_lead_reaches_the_contact_in_the_same_night(world):
    person, lead = world.pair(False, False, LEAD)
    world.night()
    world.org.edit(lead, **{FIELD: True})
    contact = world.record(False)
    world.org.convert_lead(lead, contact)
    night = world.night()
    assert world.agreed(person, contact)
    assert world.salesforce_id(person) == contact
    assert set(world.decisions(night)["code"]) == {
        "CARRIED_OVER_CONVERSION",
        "FIRST_SEEN_OPT_OUT",
    }
    assert world.codes(world.night()) == {}


def test_a_chain_of_merges_is_followed_to_its_end(world):
    person, first = world.pair(True, True)
    second, third = world.record(False), world.record(False)
    world.night()
    world.org.merge(second, [first])
    world.org.merge(third, [second])
    world.night()
    assert world.salesforce_id(person) == third
    assert world.agreed(person, third)
    assert world.codes(world.night()) == {}


def test_a_deleted_record_ends_the_link_and_an_undeleted_one_revives_it(world):
    person, record = world.pair(True, True)
    world.night()
    world.org.delete(record)
    assert world.codes(world.night()) == {person: "DELETED_IN_SALESFORCE"}
    assert world.in_store(person)
    world.org.undelete(record)
    world.night()
    assert agreed_and_opted_out(world, person, record)
    assert world.base(person) is True


def test_a_person_who_gets_another_id_takes_the_opt_out_along(world):
    person, record = world.pair(False, False)
    world.night()
    world.org.edit(record, **{FIELD: True})
    other = world.record(False)
    world.sql("UPDATE engagement.person SET salesforce_id = :s WHERE id = :p", s=other, p=person)
    night = world.night()
    assert "RELINKED" in set(world.decisions(night)["code"])
    assert agreed_and_opted_out(world, person, other)
    states = world.sql(
        "SELECT record_id, state FROM opt_out_sync.link WHERE person_id = :p", p=person
    )
    assert dict(states) == {record: "retired", other: "active"}


def test_a_person_account_is_written_on_its_account(world):
    world.org.enable_person_accounts()
    person, record = world.pair(True, False)
    world.org.make_person_account(record)
    world.night()
    assert agreed_and_opted_out(world, person, record)


# -- brakes


def test_many_clears_wait_for_a_person_and_nothing_is_cleared(world):
    pairs = [world.pair(True, True) for _ in range(6)]
    world.night()
    acts = [world.consent(person) for person, _ in pairs]
    attempt, sync_run_id = world.work()
    with pytest.raises(NightNeedsAttentionError, match="6 clears wait for a person"):
        world.report(attempt)
    assert all(agreed_and_opted_out(world, *pair) for pair in pairs)
    assert {world.judgement(act) for act in acts} == {("held", "HELD")}
    assert len(world.sql("SELECT * FROM opt_out_sync.v_held_clears")) == 6
    assert world.sql("SELECT state FROM opt_out_sync.sync_run WHERE id = :n", n=sync_run_id) == [
        ("closed",)
    ]


def test_the_first_night_of_an_org_only_plans_salesforce(world):
    world.forget_confirmation()
    in_store, in_salesforce = world.pair(True, False), world.pair(False, True)
    attempt, _ = world.work()
    with pytest.raises(NightNeedsAttentionError, match="not confirmed"):
        world.report(attempt)
    assert not world.in_salesforce(in_store[1])
    assert world.in_store(in_salesforce[0])
    with transaction(world.engine) as conn:
        orgs.confirm(conn, world.org_id(), by="admin", note="looked at the plan", now=utc_now())
    world.night()
    assert agreed_and_opted_out(world, *in_store)


def test_a_record_that_is_undone_every_night_is_left_alone_until_released(world):
    person, record = world.pair(True, True)
    world.night()
    for day in range(1, 4):
        world.org.edit(record, **{FIELD: False})
        world.night(days=day)
    world.org.edit(record, **{FIELD: False})
    attempt, sync_run_id = world.work(days=4)
    assert world.codes(sync_run_id) == {person: "TUG_OF_WAR"}
    assert not world.in_salesforce(record)
    assert world.in_store(person)
    with pytest.raises(NightNeedsAttentionError, match="opted in again every night"):
        world.report(attempt)
    with transaction(world.engine) as conn:
        links.release(conn, person, by="admin", note="flow mended", now=utc_now())
    world.night(days=5)
    assert agreed_and_opted_out(world, person, record)


# -- the other rule


def test_changed_side_lets_a_cleared_box_clear_the_store(world):
    world.choose(conflict_rule="changed_side")
    person, record = world.pair(False, False)
    clicked, other = world.pair(False, False)
    world.unsubscribe(person, origin="Manual")
    world.unsubscribe(clicked, origin="Clicked Link")
    world.night()
    world.org.edit(record, **{FIELD: False})
    world.org.edit(other, **{FIELD: False})
    world.night()
    assert world.agreed(person, record) is False
    assert agreed_and_opted_out(world, clicked, other)
    assert world.codes(world.night()) == {}


def test_changed_side_lets_a_resubscribe_without_evidence_clear_salesforce(world):
    world.choose(conflict_rule="changed_side")
    person, record = world.pair(False, False)
    world.unsubscribe(person, origin="Manual")
    world.night()
    world.unsubscribe(person, kind="resubscribe", origin="Manual", at=utc_now())
    world.night()
    assert world.agreed(person, record) is False


def test_changed_side_ends_nothing_of_an_import_that_was_under_way(world):
    """It began before the extraction, which did not see it, and ended before the clears."""
    world.choose(conflict_rule="changed_side")
    person, record = world.pair(False, False)
    world.unsubscribe(person, origin="Manual")
    world.night()
    world.org.edit(record, **{FIELD: False})
    with world.engine.connect() as importing:
        importing.execute(text("SELECT now()"))  # the moment at which its acts are recorded
        _, sync_run_id = world.open_night()
        for name, step in world.steps(sync_run_id).items():
            if name == "merge":
                importing.execute(text(IMPORT), {"person": person})
                importing.commit()
            step()
    assert {row.outcome for row in world.outcomes(sync_run_id)} == {"superseded"}
    assert world.in_store(person)


# -- other scopes later


def counts_after_widening(world, record):
    """Whether the box is ticked once senders count, too."""
    world.choose(synced_scopes=["team", "sender"])
    world.night()
    return world.in_salesforce(record)


@pytest.fixture
def of_both_scopes(world):
    """Somebody who is opted out, and whom a sender was told not to mail before that."""
    world.choose(conflict_rule="changed_side")
    person, record = world.pair(False, False)
    world.unsubscribe(person, origin="Manual", scope="sender", at=utc_now() - timedelta(days=2))
    world.unsubscribe(person, origin="Manual")
    world.night()
    assert agreed_and_opted_out(world, person, record)
    return person, record


def test_evidence_stands_against_older_opt_outs_of_a_scope_that_counts_later(world, of_both_scopes):
    world.consent(of_both_scopes[0])
    world.night()
    assert world.agreed(*of_both_scopes) is False
    assert not counts_after_widening(world, of_both_scopes[1])


def test_a_cleared_box_ends_nothing_of_a_scope_that_did_not_count(world, of_both_scopes):
    world.org.edit(of_both_scopes[1], **{FIELD: False})
    world.night()
    assert world.agreed(*of_both_scopes) is False
    assert counts_after_widening(world, of_both_scopes[1])


def test_a_resubscribe_without_evidence_ends_nothing_of_a_scope_that_did_not_count(
    world, of_both_scopes
):
    world.unsubscribe(of_both_scopes[0], kind="resubscribe", origin="Manual", at=utc_now())
    world.night()
    assert world.agreed(*of_both_scopes) is False
    assert counts_after_widening(world, of_both_scopes[1])


# -- plans


def test_a_plan_decides_the_same_and_writes_nothing(world):
    pairs = [world.pair(True, False), world.pair(True, True)]
    world.night()
    world.consent(pairs[1][0])
    world.unsubscribe(world.pair(False, False)[0])
    before = world.everything()
    plan = world.night(plan_only=True)
    assert world.everything() == before
    assert world.codes(plan) == world.codes(world.night())


def test_a_killed_clear_is_taken_up_again(world, monkeypatch):
    person, record = world.pair(True, True)
    world.night()
    world.consent(person)
    _, sync_run_id = world.open_night()
    steps = world.steps(sync_run_id)
    clear = world.client_class.clear_record

    def killed(self, *args, **kwargs):
        raise KeyboardInterrupt

    for name, step in steps.items():
        if name == "load.clears":
            monkeypatch.setattr(world.client_class, "clear_record", killed)
            with pytest.raises(KeyboardInterrupt):
                step()
            monkeypatch.setattr(world.client_class, "clear_record", clear)
        step()
    assert world.agreed(person, record) is False
