from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep

import pytest

from include.audit import outbox
from include.store.database import transaction
from tests.database.world import add_people
from tests.sync.pushing import pushed
from tests.sync.world import World

PROOF = ["--reason", "asked by phone", "--actor", "support", "--reference", "CASE-1"]
AT_ONCE = ["--wait", "0"]


@pytest.fixture
def person(engine):
    with engine.begin() as conn:
        return add_people(conn, 1)[0]


@pytest.fixture
def acts(engine):
    """The acts of the store, oldest first."""

    def read():
        with engine.begin() as conn:
            query = "SELECT * FROM engagement.unsubscribe ORDER BY id"
            return conn.exec_driver_sql(query).all()

    return read


def test_a_consent_is_evidence_with_everything_that_was_said(say, person, acts):
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    options = ["--approver", "Bob", "--occurred-at", moment.isoformat()]
    answer = say("resubscribe", person, *PROOF, *options)
    assert answer.status == 0
    (act,) = acts()
    assert f"Recorded as act {act.id} of person {person}." in answer.out
    assert (act.kind, act.scope, act.origin) == ("resubscribe", "team", "Manual")
    assert (act.reason, act.actor, act.evidence_ref) == ("asked by phone", "support", "CASE-1")
    assert (act.approver, act.occurred_at) == ("Bob", moment)


def test_an_opt_in_of_the_persons_own_says_so(say, person, acts):
    say("resubscribe", person, *PROOF, "--by-person")
    assert [act.origin for act in acts()] == ["Clicked Link"]


@contextmanager
def one_push(world: World) -> Iterator[None]:
    """Beside the test, one push as soon as somebody is to be pushed, as the DAG does it."""

    def run() -> None:
        end = monotonic() + 60
        while monotonic() < end:
            with transaction(world.engine) as conn:
                due = outbox.due_in(conn)
            if due is not None:
                pushed(world)
                return
            sleep(0.05)

    pushed(world)  # whoever waits already
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(run)
        yield
        work.result()


def test_the_same_consent_is_recorded_once(say, person, acts):
    say("resubscribe", person, *PROOF)
    again = say("resubscribe", person, *PROOF)
    (act,) = acts()
    assert again.status == 0
    assert f"Nothing new: this consent is act {act.id}" in again.out


@pytest.mark.parametrize(
    "other",
    [["--approver", "Bob"], ["--by-person"], ["--occurred-at", "2026-01-01T00:00:00Z"]],
)
def test_another_consent_is_another_act(say, person, acts, other):
    say("resubscribe", person, *PROOF)
    say("resubscribe", person, *PROOF, *other)
    assert len(acts()) == 2


def test_a_key_names_a_consent_whatever_it_says(say, person, acts):
    say("resubscribe", person, *PROOF, "--key", "ticket-7")
    say("resubscribe", person, *PROOF, "--approver", "Bob", "--key", "ticket-7")
    assert [act.idempotency_key for act in acts()] == ["ticket-7"]


def test_a_key_of_another_person_is_refused(engine, say, person, acts):
    with engine.begin() as conn:
        (other,) = add_people(conn, 1)
    say("resubscribe", person, *PROOF, "--key", "ticket-7")
    answer = say("resubscribe", other, *PROOF, "--key", "ticket-7")
    assert (answer.status, len(acts())) == (1, 1)
    assert "this idempotency key already names another act" in answer.err


def test_a_person_who_does_not_exist_is_refused(say, acts):
    answer = say("resubscribe", 4711, *PROOF)
    assert (answer.status, answer.out, acts()) == (1, "", [])
    assert "person 4711 is not in the store" in answer.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--occurred-at", "2026-11-24T10:00:00"], "must be a time with its zone"),
        (["--occurred-at", "yesterday"], "must be a time with its zone"),
        (["--occurred-at", "0001-01-01T00:00:00+14:00"], "must be a time with its zone"),
        (["--occurred-at", "9999-01-01T00:00:00Z"], "is in the future"),
        (["--approver", " "], "--approver: must not be empty"),
        (["--approver", "B\0b"], "--approver: must be one line of plain text"),
        (["--key", "a\nb"], "--key: must be one line of plain text"),
    ],
)
def test_a_consent_that_makes_no_sense_is_not_recorded(say, person, acts, options, sentence):
    answer = say("resubscribe", person, *PROOF, *options)
    assert (answer.status, answer.out, acts()) == (2, "", [])
    assert sentence in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("name", ["--reason", "--actor", "--reference"])
@pytest.mark.parametrize("value", ["", " \t", "a\0b", "half \udce9"])
def test_the_proof_is_plain_text(say, person, acts, name, value):
    proof = dict(zip(PROOF[::2], PROOF[1::2], strict=True)) | {name: value}
    answer = say("resubscribe", person, *(word for pair in proof.items() for word in pair))
    assert (answer.status, acts()) == (2, [])
    assert f"{name}: must " in answer.err


@pytest.mark.parametrize("wrong", ["ada@example.com", "0", "-1", "1.5", "9223372036854775808", "²"])
def test_a_person_is_named_by_an_id(say, wrong):
    answer = say("resubscribe", *PROOF, "--", wrong)
    assert answer.status == 2
    assert "PERSON: must be an id" in answer.err
    assert wrong not in answer.err


def test_who_records_a_consent_is_told_why_nobody_judges_it(say, person, world):
    assert "A push judges it within seconds" in say("resubscribe", person, *PROOF, *AT_ONCE).out
    world.choose(paused=True)
    assert (
        "sync is paused; resume it within 7 days"
        in say("resubscribe", person, *PROOF, *AT_ONCE).out
    )
    world.choose(enabled=False)
    assert (
        "sync is disabled; enable it within 7 days"
        in say("resubscribe", person, *PROOF, *AT_ONCE).out
    )


def test_a_consent_is_followed_from_waiting_to_accepted(say, world):
    person, record = world.pair(True, True)
    world.night()
    told = say("resubscribe", person, *PROOF, *AT_ONCE).out
    assert "Until then the person stays opted out." in told
    assert " waiting " in say("resubscriptions", "--person", person).out
    world.night()
    assert world.agreed(person, record) is False
    listed = say("resubscriptions").out
    assert " accepted  RESUBSCRIBED " in listed
    assert "It was accepted already." in say("resubscribe", person, *PROOF, *AT_ONCE).out


def test_after_a_refusal_the_same_words_are_a_new_consent(say, world, acts):
    person, record = world.pair(True, True)
    world.night()
    say("resubscribe", person, *PROOF, *AT_ONCE)
    sleep(1.1)  # Salesforce dates by whole seconds
    world.org.edit(record, Phone="1")
    world.night()
    listed = say("resubscriptions", "--person", person).out
    assert " refused  EDITED_SINCE " in listed
    (verdict,) = world.judgements(person)
    assert f"{verdict.retry_after:%Y-%m-%d %H:%M:%S} UTC" in listed
    assert "Recorded as act" in say("resubscribe", person, *PROOF, *AT_ONCE).out
    assert "Nothing new" in say("resubscribe", person, *PROOF, *AT_ONCE).out
    assert sum(act.origin == "Manual" for act in acts()) == 2


def test_a_refused_consent_with_a_key_is_not_asked_again(say, world):
    person, record = world.pair(True, True)
    world.night()
    say("resubscribe", person, *PROOF, "--key", "k", *AT_ONCE)
    sleep(1.1)
    world.org.edit(record, Phone="1")
    world.night()
    assert "record a newer consent, without --key" in (
        say("resubscribe", person, *PROOF, "--key", "k", *AT_ONCE).out
    )


def test_only_the_newest_consents_are_listed(engine, say):
    with engine.begin() as conn:
        first, second, third = add_people(conn, 3)
    for person in (first, second, third):
        say("resubscribe", person, *PROOF, *AT_ONCE)
    lines = say("resubscriptions", "--most", 2).out.splitlines()
    assert [line.split()[1] for line in lines[1:3]] == [str(third), str(second)]
    assert lines[3] == "The newest 2 of 3 resubscribes: --most shows more."
    assert say("resubscriptions", "--most", 0).status == 2
    assert say("resubscriptions", "--person", 99).out == (
        "No resubscribe of person 99 is recorded.\n"
    )


def test_the_command_waits_for_the_push_and_prints_what_it_judged(say, world):
    person, record = world.pair(True, True)
    world.night()
    with one_push(world):
        told = say("resubscribe", person, *PROOF).out
    assert "A push judges it within seconds" in told
    assert "Judged accepted (RESUBSCRIBED): " in told
    assert world.agreed(person, record) is False


def test_the_command_prints_why_a_consent_was_refused_and_when_to_try_again(say, world):
    person, record = world.pair(True, True)
    world.night()
    with one_push(world):
        consent = datetime.now(UTC).replace(microsecond=0)
        sleep(1.1)  # Salesforce dates by whole seconds
        world.org.edit(record, HasOptedOutOfEmail=False)
        world.org.edit(record, HasOptedOutOfEmail=True)
        told = say("resubscribe", person, *PROOF, "--occurred-at", consent.isoformat()).out
    assert "Judged refused (" in told
    assert world.agreed(person, record) is True


def test_the_command_says_after_a_while_that_nothing_has_judged(say, world):
    person, _ = world.pair(True, True)
    world.night()
    told = say("resubscribe", person, *PROOF, "--wait", "1")
    assert told.status == 0
    assert "Nothing has judged it within 1 second: is DAG unsubscribe_push switched on?" in told.out


@pytest.mark.parametrize("chosen", [{"enabled": False}, {"paused": True}])
def test_the_command_does_not_wait_for_what_cannot_come(say, world, chosen):
    person, _ = world.pair(True, True)
    world.choose(**chosen)
    begin = monotonic()
    assert "Nothing has judged it" not in say("resubscribe", person, *PROOF).out
    assert monotonic() - begin < 10
