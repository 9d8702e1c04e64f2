import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from include.domain import ids
from include.domain.brakes import Limits, must_hold
from local.sample_data import (
    CONTACTS,
    FIELD,
    LEADS,
    PEOPLE,
    STORIES,
    Place,
    SampleData,
    Story,
    expected_codes,
    expected_verdicts,
    sample,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def records(prefix: str, count: int) -> list[dict[str, object]]:
    rng = random.Random(prefix)
    short = pd.Series([f"{prefix}5g0000{number:06d}" for number in range(count)], dtype="str")
    return [
        {"Id": record_id, "Email": f"{record_id}@example.com", FIELD: rng.random() < 0.06}
        for record_id in ids.classify(short)["record_id"]
    ]


@pytest.fixture(scope="module")
def contacts() -> list[dict[str, object]]:
    return records("003", CONTACTS)


@pytest.fixture(scope="module")
def leads() -> list[dict[str, object]]:
    return records("00Q", LEADS)


@pytest.fixture(scope="module")
def company(contacts, leads) -> SampleData:
    return sample(contacts, leads, seed=7, now=NOW)


def ids_at(company: SampleData, place: Place) -> pd.Series:
    people = [p.salesforce_id for p in company.people if p.story.place is place]
    return pd.Series(people, dtype="str")


def test_the_same_seed_gives_the_same_company(company, contacts, leads):
    assert company == sample(contacts, leads, seed=7, now=NOW)


def test_another_seed_gives_another_company(company, contacts, leads):
    assert company.people != sample(contacts, leads, seed=8, now=NOW).people


def test_there_are_five_thousand_people_with_ids_from_one(company):
    assert [person.id for person in company.people] == list(range(1, PEOPLE + 1))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.title)
def test_each_story_has_its_people(company, story: Story):
    people = sum(person.story == story for person in company.people)
    assert people == story.people if story.people is not None else people > 100


def test_no_record_belongs_to_two_people_but_where_the_story_says_so(company):
    named = Counter(p.salesforce_id[:15] for p in company.people if p.salesforce_id)
    shared = {record_id for record_id, people in named.items() if people > 1}
    places = {
        p.story.place for p in company.people if p.salesforce_id and p.salesforce_id[:15] in shared
    }
    assert len(shared) == 4
    assert {named[record_id] for record_id in shared} == {2}
    assert places == {Place.SHARED, Place.SHARING}


def test_of_two_people_who_share_a_contact_one_unsubscribed(company):
    shared = [p for p in company.people if p.story.place in (Place.SHARED, Place.SHARING)]
    pairs: dict[str, list[bool]] = {}
    for person in shared:
        pairs.setdefault(person.salesforce_id[:15], []).append(person.story.store)
    assert [sorted(said) for said in pairs.values()] == [[False, True]] * 4


def test_whose_id_was_replaced_met_the_former_contact_and_names_another_one(company):
    met = {memory.person_id: memory for memory in company.memories}
    replaced = [p for p in company.people if p.story.place is Place.REPLACED]
    for person in replaced:
        former = met[person.id].record_id
        assert person.salesforce_id[:15] != former[:15]
        assert company.edits[former] is True
    assert len(replaced) == 2


def test_every_usable_id_names_a_record_and_fifteen_characters_do(company, contacts, leads):
    usable = ids.classify(ids_at(company, Place.RECORD))
    assert usable["problem"].isna().all()
    assert set(usable["record_id"]) <= {record["Id"] for record in [*contacts, *leads]}
    short = ids_at(company, Place.RECORD).str.len() == 15
    assert 200 < short.sum() < 320


@pytest.mark.parametrize("place", [Place.BAD_CHECKSUM, Place.ACCOUNT, Place.TRUNCATED])
def test_malformed_ids_are_malformed(company, place):
    assert set(ids.classify(ids_at(company, place))["problem"]) == {"BAD_SALESFORCE_ID"}


def test_an_id_with_a_typing_error_is_right_but_for_its_checksum(company):
    assert ids.classify(ids_at(company, Place.BAD_CHECKSUM).str[:15])["problem"].isna().all()


def test_the_id_of_an_account_is_well_formed(company):
    accounts = ids_at(company, Place.ACCOUNT)
    as_contacts = "003" + accounts.str[3:15]
    assert accounts.str.startswith("001").all()
    assert ids.classify(as_contacts)["problem"].isna().all()


def test_an_unknown_record_has_a_valid_id_that_the_org_does_not_have(company, contacts, leads):
    unknown = ids.classify(ids_at(company, Place.UNKNOWN))
    assert unknown["problem"].isna().all()
    assert not set(unknown["record_id"]) & {record["Id"] for record in [*contacts, *leads]}


def test_after_the_edits_every_record_says_what_its_story_says(company, contacts, leads):
    flags = {str(record["Id"]): bool(record[FIELD]) for record in [*contacts, *leads]}
    flags.update(company.edits)
    by_short_id = {record_id[:15]: flag for record_id, flag in flags.items()}
    for person in company.people:
        if person.story.place in (Place.SHARING, Place.REPLACED):
            continue  # the record has the story of another person, or of nobody
        if person.salesforce_id and person.salesforce_id[:15] in by_short_id:
            assert by_short_id[person.salesforce_id[:15]] is person.story.salesforce


def test_humans_edit_only_what_their_stories_say(company):
    edited = Counter(person.story.edited for person in company.people)
    assert len(company.edits) == edited[True] == 31


def test_a_record_lives_on_in_a_contact_of_nobody(company):
    survivors = [contact for _, contact in company.conversions]
    survivors += [winner for winner, _ in company.merges]
    taken = {person.salesforce_id[:15] for person in company.people if person.salesforce_id}
    assert len(set(survivors)) == len(survivors) == 7
    assert all(survivor.startswith("003") for survivor in survivors)
    assert not {survivor[:15] for survivor in survivors} & taken


def test_acts_say_what_the_store_says_and_lie_in_the_past(company):
    in_scope = {
        a.person_id
        for a in company.acts
        if a.kind == "unsubscribe" and a.scope == "team" and a.origin != "Bounce"
    }
    assert in_scope == {person.id for person in company.people if person.story.store}
    assert max(act.occurred_at for act in company.acts) < NOW
    assert len({act.idempotency_key for act in company.acts}) == len(company.acts)


def test_only_acts_of_the_sync_name_a_cause(company):
    for act in company.acts:
        assert (act.origin == "Salesforce Sync") is (act.caused_by is not None)


def test_acts_out_of_scope_are_few_and_belong_to_people_who_are_not_opted_out(company):
    ignored = [a for a in company.acts if a.scope == "sender" or a.origin == "Bounce"]
    assert Counter(act.scope for act in ignored) == {"sender": 18, "team": 27}


def test_consents_are_documented_and_newer_than_the_opt_out_but_for_the_outdated_one(company):
    told = {p.id: p.story.consent for p in company.people if p.story.consent}
    consents = {act.person_id: act for act in company.acts if act.kind == "resubscribe"}
    assert set(consents) == set(told)
    for person_id, consent in consents.items():
        opt_outs = [
            act.occurred_at
            for act in company.acts
            if act.person_id == person_id and act.kind == "unsubscribe"
        ]
        assert consent.reason
        assert consent.actor
        assert consent.evidence_ref
        assert (consent.occurred_at < max(opt_outs)) is told[person_id].is_outdated


def test_clears_are_few_enough_to_pass_the_brake_and_to_leave_some_to_a_visitor(company):
    clears = sum("RESUBSCRIBED" in person.story.codes for person in company.people)
    links = sum(person.story.base is not None for person in company.people)
    assert not must_hold(planned=clears, recent=3, links=links, limits=Limits())


def test_the_expected_verdicts_are_those_of_the_people(company):
    told = [p.story.consent for p in company.people if p.story.consent]
    assert (
        Counter((consent.verdict, consent.code) for consent in told)
        == expected_verdicts()
        == {
            ("accepted", "RESUBSCRIBED"): 2,
            ("refused", "COMPLAINT"): 1,
            ("refused", "NEWER_OPT_OUT"): 1,
        }
    )


def test_what_happened_since_the_last_agreement_happened_after_it(company):
    since = {memory.person_id: memory.since for memory in company.memories}
    base = {memory.person_id: memory.base for memory in company.memories}
    for act in company.acts:
        if base.get(act.person_id) is False:
            assert act.occurred_at > since[act.person_id]
    assert max(since.values()) <= NOW - timedelta(days=3)


def test_the_expected_codes_are_those_of_the_people(company):
    codes = Counter(code for person in company.people for code in person.story.codes)
    assert (
        codes
        == expected_codes()
        == {
            "UNSUBSCRIBED_IN_STORE": 45,
            "OPTED_OUT_IN_SALESFORCE": 23,
            "BOTH_OPTED_OUT": 9,
            "CLEARED_IN_SALESFORCE_ONLY": 6,
            "SHARED_RECORD": 4,
            "RESUBSCRIBED": 2,
            "FIRST_SEEN_OPT_OUT": 66,
            "FIRST_SEEN_AGREED": 407,
            "CARRIED_OVER_CONVERSION": 4,
            "CARRIED_OVER_MERGE": 3,
            "RELINKED": 2,
            "NOT_VISIBLE": 15,
            "DELETED_IN_SALESFORCE": 3,
            "NO_SALESFORCE_ID": 31,
            "BAD_SALESFORCE_ID": 45,
        }
    )
