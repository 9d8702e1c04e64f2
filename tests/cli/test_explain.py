import re
from datetime import UTC, datetime, timedelta

import pytest

from include.domain.values import SalesforceObject
from include.sync.clock import utc_now
from include.sync.explain import Link, OptOut, Situation, summarise
from tests.sync.world import FIELD

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RECORD = "003000000000001AAA"


def opt_out(origin="Clicked Link", **columns):
    values = {
        "act_id": 12,
        "at": NOON,
        "scope": "team",
        "origin": origin,
        "caused_by": None,
        "other_person": None,
    }
    return OptOut(**values | columns)


def link(base=True, flips=0, field=FIELD):
    since = None if base is None else NOON + timedelta(hours=8)
    return Link("Contact", RECORD, field, base, since, flips)


def said(*opt_outs, links=(), excluded=0, pending=None, rule="opt_out_wins"):
    sentence = summarise(Situation(7, opt_outs, excluded, links, pending, rule))
    assert sentence.endswith(".")
    assert ". " not in sentence  # one sentence
    return sentence


def test_an_opt_out_of_both_sides_is_told_whole():
    assert said(opt_out(), links=[link()]) == (
        "Person 7 is opted out since 2026-11-20 12:00:00 UTC, because of act 12 (unsubscribe by "
        "Clicked Link, scope team); it stands in the store and in Salesforce (HasOptedOutOfEmail "
        "of Contact 003000000000001AAA, agreed 2026-11-20 20:00:00 UTC); a documented consent "
        "given after 2026-11-20 12:00:00 UTC ends it (python -m include.cli resubscribe 7)."
    )


def test_the_oldest_opt_out_says_since_when_and_the_newest_what_ends_it():
    later = opt_out(act_id=13, at=NOON + timedelta(days=1))
    told = said(opt_out(), later)
    assert "since 2026-11-20 12:00:00 UTC, because of act 12" in told
    assert "and 1 more" in told
    assert "given after 2026-11-21 12:00:00 UTC" in told


def test_a_complaint_ends_only_by_the_persons_own_opt_in():
    told = said(opt_out(), opt_out("Complaint", act_id=13))
    assert "only the person's own opt-in after" in told
    assert "resubscribe 7 --by-person" in told


def test_an_opt_out_of_salesforce_names_the_field_and_no_exact_time():
    cause = f"salesforce:{RECORD}:{FIELD}@2026-11-20T12:00:00Z"
    told = said(opt_out("Salesforce Sync", caused_by=cause), links=[link()])
    assert f"(salesforce:{RECORD}:{FIELD}, that time or before)" in told


def test_a_shared_record_names_who_has_to_consent():
    shared = opt_out("Salesforce Sync", caused_by="act:3", other_person=4)
    told = said(shared)
    assert "because of person 4, who opted out and shares the Salesforce record" in told
    assert "the documented consent of person 4" in told
    assert "resubscribe 7" in said(shared, opt_out())  # their own opt-out is in the way as well


def test_a_record_that_does_not_agree_yet_is_told():
    assert "no Salesforce record is linked" in said(opt_out())
    assert "in Salesforce not yet" in said(opt_out(), links=[link(None)])
    both = said(opt_out(), links=[link(), link(False, field="No_Sales__c")])
    assert "not yet in No_Sales__c of Contact" in both
    assert "before a release" in said(opt_out(), links=[link(flips=3)])
    assert "before a release" not in said(opt_out(), links=[link(flips=2)])


def test_clearing_one_side_ends_it_only_where_the_changed_side_wins():
    clears = "so does clearing it on one side"
    assert clears not in said(opt_out("Manual"))
    assert clears in said(opt_out("Manual"), rule="changed_side")
    assert clears not in said(opt_out("One-Click"), rule="changed_side")


def test_who_is_not_opted_out_is_told_so_of_both_sides():
    assert said(links=[link(False)]) == (
        "Person 7 is not opted out: no unsubscribe that counts stands in the store (none at all), "
        "and Salesforce agreed (HasOptedOutOfEmail of Contact 003000000000001AAA, agreed "
        "2026-11-20 20:00:00 UTC)."
    )
    assert "(2 that the settings leave out)" in said(excluded=2)
    assert "nothing is known of Salesforce yet" in said(links=[link(None)])


def test_an_opt_out_that_only_salesforce_shows_is_told():
    assert "not opted out in the store, and was when both sides last agreed" in (
        said(links=[link()])
    )


def test_a_consent_that_waits_is_told():
    assert said(opt_out(), pending=(15, "held")).endswith("resubscribe 15 is held for approval.")
    assert said(pending=(15, "waiting")).endswith("resubscribe 15 is waiting.")


def test_everything_that_happened_is_told_in_order(say, world):
    person, record = world.pair(True, False)
    world.night()
    world.consent(person)
    world.night()
    answer = say("explain", person)
    assert answer.status == 0
    table, sentence = answer.out.split("\n\n")
    _, *rows = table.splitlines()
    times = [row[:23] for row in rows]
    assert times == sorted(times)
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  ", row) for row in rows)
    codes = [row.split()[3:] for row in rows]
    kinds = {words[1] for words in codes}
    assert kinds == {"act", "decision", "write", "judgement"}
    told = [code for code in table.split() if code in ("FIRST_SEEN_OPT_OUT", "RESUBSCRIBED")]
    assert told[0] == "FIRST_SEEN_OPT_OUT"
    assert told[-1] == "RESUBSCRIBED"
    assert sentence.startswith(f"Person {person} is not opted out: ")
    assert record in sentence


def test_the_sentence_follows_the_sync(say, world):
    person, record = world.pair(False, True)
    assert f"Person {person} is not opted out" in say("explain", person).out
    world.night()
    told = say("explain", person).out.splitlines()[-1]
    assert f"Person {person} is opted out since " in told
    assert f"an opt-out in Salesforce (salesforce:{record}:{FIELD}," in told
    assert f"in the store and in Salesforce ({FIELD} of Contact {record}, agreed " in told


def test_a_shared_opt_out_names_the_other_person(say, world):
    record = world.record(False, SalesforceObject.LEAD)
    first, second = world.person(record, True), world.person(record)
    world.night()
    assert f"because of person {first}, who opted out" in say("explain", second).out


def test_what_the_settings_leave_out_is_told_and_counts_once_they_do_not(say, world):
    person = world.person(None)
    world.unsubscribe(person, scope="sender")
    world.unsubscribe(person, origin="Bounce")
    assert "is not opted out: no unsubscribe that counts stands in the store (2 that" in (
        say("explain", person).out
    )
    world.choose(synced_scopes=("team", "sender"))
    assert "(unsubscribe by Clicked Link, scope sender)" in say("explain", person).out


def test_a_consent_on_its_way_is_told(say, world):
    person = world.person(None, opted_out=True)
    act = world.consent(person)
    assert f"resubscribe {act} is waiting." in say("explain", person).out


def test_somebody_who_never_existed_is_refused_and_somebody_erased_is_not(say, world):
    answer = say("explain", 4711)
    assert (answer.status, answer.out) == (1, "")
    assert "person 4711 is not in the store" in answer.err
    person, _ = world.pair(True, False)
    world.night()
    world.sql("DELETE FROM engagement.person WHERE id = :p", p=person)
    gone = say("explain", person)
    assert gone.status == 0
    assert f"Person {person} is gone from the store" in gone.out
    assert "FIRST_SEEN_OPT_OUT" in gone.out


@pytest.mark.parametrize("wrong", ["ada@example.com", "0", "seven"])
def test_a_person_is_named_by_an_id(say, wrong):
    answer = say("explain", wrong)
    assert (answer.status, answer.out) == (2, "")
    assert "PERSON: must be an id" in answer.err


def test_explaining_changes_nothing(say, world):
    person, _ = world.pair(True, True)
    world.unsubscribe(person, at=utc_now())
    world.night()
    before = world.everything()
    say("explain", person)
    assert world.everything() == before
