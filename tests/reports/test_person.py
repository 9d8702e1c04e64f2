"""Looking somebody up, and their whole story."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text

from include.reports.people import Wanted, kind_of, look_up, look_ups
from include.reports.person import story
from include.store.database import transaction
from include.store.erasure import erase_person
from include.store.errors import StoreRefusedError, UnknownPersonError
from include.sync.push import by_hand
from tests.database.world import CANARY, add_resubscribe, record
from tests.reports import world
from tests.reports.world import (
    DAY,
    FAILED,
    HOUR,
    MINUTE,
    NOW,
    execute,
    night,
    push,
    read,
    unsubscribe,
)


def find(engine: Engine, typed: object, *, with_address: bool = True, by: str = "Ada"):
    return read(engine, look_up, str(typed), by=by, reason="CASE-7", with_address=with_address)


def ids(found) -> list[int]:
    return [each.person_id for each in found.candidates]


# -- what was typed


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("12", Wanted.ID),
        (" 12\n", Wanted.ID),
        ("9223372036854775807", Wanted.ID),
        ("9223372036854775808", None),
        ("0", None),
        ("-3", None),
        ("١٢", None),
        ("003000000000001", Wanted.SALESFORCE_ID),
        ("003000000000001AAA", Wanted.SALESFORCE_ID),
        ("00Q000000000001EAA", Wanted.SALESFORCE_ID),
        ("003000000000001AAB", None),  # a wrong checksum
        ("001000000000001AAA", None),  # an Account
        (
            "https://x.lightning.force.com/lightning/r/Contact/003000000000001AAA/view",
            Wanted.SALESFORCE_ID,
        ),
        ("https://x.my.salesforce.com/003000000000001", Wanted.SALESFORCE_ID),
        ("https://x.my.salesforce.com/001000000000001", None),
        ("ada@example.com", Wanted.ADDRESS),
        (" o'brien+x@example.com ", Wanted.ADDRESS),
        ("=1+1@evil.example", Wanted.ADDRESS),
        ("@", None),
        ("ada @example.com", None),
        ("ada", None),
        ("", None),
    ],
)
def test_what_was_typed_is_recognised(typed: str, wanted: Wanted | None) -> None:
    assert kind_of(typed) == wanted


# -- who is found


def test_a_person_is_found_by_all_that_names_them(engine: Engine) -> None:
    one, two = world.people(engine, 2)
    act_at = NOW - HOUR
    unsubscribe(engine, one, act_at)
    execute(engine, "UPDATE engagement.person SET email = 'Ada@Example.com' WHERE id = :id", id=one)
    for typed in (one, "ada@example.com ", record(one), record(one)[:15]):
        found = find(engine, typed)
        assert ids(found) == [one]
    (candidate,) = found.candidates
    assert (candidate.email, candidate.is_opted_out) == ("Ada@Example.com", True)
    assert (candidate.opted_out_at, candidate.origin) == (act_at, "Clicked Link")
    assert ids(find(engine, CANARY)) == [two]


def test_who_shares_an_address_or_a_record_is_found_too(engine: Engine) -> None:
    people = world.people(engine, 3)
    assert ids(find(engine, CANARY.upper())) == people
    execute(engine, "UPDATE engagement.person SET salesforce_id = :r", r=record(1)[:15])
    assert ids(find(engine, record(1))) == people


def test_somebody_is_found_by_a_record_that_was_theirs(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    night(engine, people=[person])
    execute(engine, "UPDATE engagement.person SET salesforce_id = :r", r=record(9))
    assert ids(find(engine, record(1))) == [person]


def test_an_address_is_shown_only_to_who_may_see_it(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    (candidate,) = find(engine, CANARY, with_address=False).candidates
    assert (candidate.person_id, candidate.email) == (person, None)


def test_nobody_is_found_and_nonsense_is_told_apart(engine: Engine) -> None:
    assert find(engine, "nobody@example.com").candidates == []
    assert find(engine, 4711).candidates == []
    assert find(engine, "what?") is None


# -- the log


def test_every_look_up_is_noted_and_never_what_was_typed(engine: Engine) -> None:
    one, two = world.people(engine, 2)
    find(engine, CANARY, by="Grace")
    find(engine, 4711)
    find(engine, record(two))
    find(engine, "what?")
    notes = read(engine, look_ups)
    assert [(each.by, each.wanted, each.person_id) for each in reversed(notes)] == [
        ("Grace", "address", one),
        ("Grace", "address", two),
        ("Ada", "id", None),
        ("Ada", "salesforce_id", two),
    ]
    assert {each.reason for each in notes} == {"CASE-7"}
    with transaction(engine) as conn:
        dump = str(conn.execute(text("SELECT * FROM opt_out_sync.look_up")).all())
    assert CANARY not in dump
    assert "4711" not in dump


def test_a_look_up_without_a_reason_finds_nobody(engine: Engine) -> None:
    world.people(engine, 1)
    with pytest.raises(StoreRefusedError):
        read(engine, look_up, "1", by="Ada", reason=" ", with_address=True)
    assert read(engine, look_ups) == []


def test_only_support_may_look_up(engine: Engine, login) -> None:
    world.people(engine, 1)
    assert ids(find(login("opt_out_support"), 1)) == [1]
    with pytest.raises(StoreRefusedError, match="42501"):
        find(login("opt_out_analyst"), 1)


# -- the story


def test_a_story_has_every_event_with_its_row_and_both_sides(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    unsubscribe(engine, person, NOW - HOUR)
    push(engine, NOW - HOUR + MINUTE, [person])
    found = story(engine, person, now=NOW, moment=NOW - 2 * HOUR)
    assert [(each.what, each.source) for each in found.events] == [
        ("act", "engagement.unsubscribe"),
        ("decision", "opt_out_sync.merge_audit"),
        ("write", "opt_out_sync.write_attempt"),
    ]
    assert all(each.source_id for each in found.events)
    assert [(each.side, each.is_opted_out) for each in found.now] == [
        ("store", True),
        ("salesforce", True),
    ]
    assert [(each.side, each.is_opted_out) for each in found.then] == [("store", False)]
    assert found.sentence.startswith(f"Person {person} is opted out since")
    assert (found.is_gone, found.erased_at, found.held_clears) == (False, None, 0)


def test_a_consent_that_waits_and_a_push_that_waits_are_told(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    unsubscribe(engine, person, NOW - HOUR)
    with transaction(engine) as conn:
        consent = add_resubscribe(conn, person, occurred_at=NOW, recorded_at=NOW)
    found = story(engine, person, now=NOW)
    assert [(each.act_id, each.verdict) for each in found.consents] == [(consent, "waiting")]
    assert (found.push.state, found.push.is_parked) == ("waiting", False)


def test_who_cannot_be_reached_is_told_why(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    execute(
        engine,
        "INSERT INTO opt_out_sync.unlinked_person (person_id, salesforce_id, code, since, "
        "sync_run_id) VALUES (:id, 'x', 'BAD_SALESFORCE_ID', :at, 1)",
        id=person,
        at=NOW,
    )
    assert story(engine, person, now=NOW).unreachable.code == "BAD_SALESFORCE_ID"


def test_who_was_erased_has_a_story_of_numbers(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    unsubscribe(engine, person, NOW - HOUR)
    night(engine, people=[person])
    with transaction(engine) as conn:
        erase_person(conn, person, by="Ada", note="asked", now=NOW)
    (candidate,) = find(engine, person).candidates
    assert (candidate.email, candidate.is_opted_out, candidate.erased_at) == (None, None, NOW)
    assert ids(find(engine, record(person))) == [person]
    assert find(engine, CANARY).candidates == []
    found = story(engine, person, now=NOW + HOUR)
    assert (found.is_gone, found.erased_at) == (True, NOW)
    assert found.sentence.startswith(f"Person {person} was erased 2026-11-25 18:00:00 UTC:")
    assert [each.what for each in found.events if each.at == NOW] == ["erasure"]
    assert all(each.side != "store" for each in found.now)
    assert CANARY not in str(found)


def test_who_never_was_has_no_story(engine: Engine) -> None:
    with pytest.raises(UnknownPersonError):
        story(engine, 4711, now=NOW)


# -- a push that waits


def park(engine: Engine, person: int) -> None:
    with transaction(engine) as conn:
        conn.execute(text("DELETE FROM opt_out_sync.push_signal"))
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.push_outbox (person_id, state, version, marked_at, "
                "next_attempt_at, attempts, failure_class, code, fix) "
                "VALUES (:id, 'parked', 1, :at, :at, 3, 'validation', :code, :fix)"
            ),
            {"id": person, "at": NOW - DAY, "code": FAILED["code"], "fix": FAILED["fix"]},
        )


def by(engine: Engine, do, person: int, note: str = "mended") -> bool:
    return read(engine, do, person, by="Ada", note=note, now=NOW)


def test_a_parked_push_can_be_tried_at_once(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    park(engine, person)
    assert story(engine, person, now=NOW).push.is_parked
    assert by(engine, by_hand.retry, person)
    found = story(engine, person, now=NOW)
    assert found.push.next_attempt_at == NOW
    assert found.events[-1].what == "push"
    assert "mended" not in str(found.events)  # a person typed it


def test_a_parked_push_can_be_given_up_until_the_person_changes(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    park(engine, person)
    assert by(engine, by_hand.give_up, person)
    assert story(engine, person, now=NOW).push is None
    assert not by(engine, by_hand.give_up, person)
    unsubscribe(engine, person, NOW)
    assert story(engine, person, now=NOW).push.state == "waiting"


def test_only_what_is_parked_can_be_given_up_and_only_who_waits_tried(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    assert not by(engine, by_hand.retry, person)
    unsubscribe(engine, person, NOW)
    assert not by(engine, by_hand.give_up, person)
    assert by(engine, by_hand.retry, person)
    park(engine, person)
    unsubscribe(engine, person, NOW)  # and then they changed again
    assert not by(engine, by_hand.give_up, person)


def test_who_intervenes_says_who_they_are_and_why(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    park(engine, person)
    for do in (by_hand.retry, by_hand.give_up):
        with pytest.raises(StoreRefusedError):
            by(engine, do, person, note=" ")
    assert story(engine, person, now=NOW).push.is_parked


def test_an_admin_may_intervene_and_an_analyst_may_not(engine: Engine, login) -> None:
    (person,) = world.people(engine, 1)
    park(engine, person)
    with pytest.raises(StoreRefusedError, match="42501"):
        by(login("opt_out_analyst"), by_hand.retry, person)
    assert by(login("opt_out_admin"), by_hand.retry, person)


def test_a_moment_is_told_as_of_then(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    unsubscribe(engine, person, datetime(2026, 1, 1, tzinfo=UTC))
    found = story(engine, person, now=NOW, moment=NOW)
    assert [each.is_opted_out for each in found.then] == [True]
