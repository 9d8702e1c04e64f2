from time import sleep

import pytest

WHY = ["--reason", "a data loader ticked the box", "--approver", "Bob"]


@pytest.fixture
def mistake(world):
    """Five people whose box was ticked by mistake, and the run that carried that into the store."""
    pairs = [world.pair(False, True) for _ in range(5)]
    return world.night(), pairs


def consents(world, run):
    return world.sql(
        "SELECT * FROM engagement.unsubscribe WHERE evidence_ref = :r ORDER BY person_id",
        r=f"correct-run:{run}",
    )


def test_without_yes_it_is_only_counted(say, world, mistake):
    run, _ = mistake
    before = world.everything()
    answer = say("correct-run", run, *WHY)
    assert answer.status == 0
    assert f"Run {run} recorded 5 opt-outs in the store: 0 ended since, 0 of people" in answer.out
    assert "Nothing was recorded. With --yes: 5 consents" in answer.out
    assert world.everything() == before


def test_a_corrected_mistake_is_cleared_on_both_sides(say, world, mistake):
    run, pairs = mistake
    answer = say("correct-run", run, *WHY, "--yes")
    assert "Recorded 5 consents." in answer.out
    found = consents(world, run)
    assert [act.person_id for act in found] == sorted(person for person, _ in pairs)
    assert {(a.kind, a.origin, a.reason, a.actor, a.approver) for a in found} == {
        ("resubscribe", "Manual", WHY[1], "correct-run", "Bob")
    }
    world.night()
    assert [world.agreed(*pair) for pair in pairs] == [False] * 5


def test_an_admin_who_owns_nothing_may_correct_a_run(say_as, login, world, mistake):
    run, pairs = mistake
    say = say_as(login("opt_out_admin"))
    planned, done = say("correct-run", run, *WHY), say("correct-run", run, *WHY, "--yes")
    assert planned.err + done.err == ""
    assert "With --yes: 5 consents" in planned.out
    assert "Recorded 5 consents." in done.out
    world.night()
    assert [world.agreed(*pair) for pair in pairs] == [False] * 5


def test_correcting_twice_records_nothing_new(say, world, mistake):
    run, _ = mistake
    say("correct-run", run, *WHY, "--yes")
    again = say("correct-run", run, *WHY, "--yes")
    assert again.status == 0
    assert "Recorded 0 consents (5 were recorded before)." in again.out
    assert len(consents(world, run)) == 5
    world.night()
    after = say("correct-run", run, *WHY, "--yes")
    assert "5 ended since" in after.out
    assert len(consents(world, run)) == 5


def test_after_a_refusal_a_correction_is_a_new_consent(say, world, mistake):
    run, [(person, record), *_] = mistake
    say("correct-run", run, *WHY, "--yes")
    sleep(1.1)  # Salesforce dates by whole seconds
    world.org.edit(record, Phone="1")
    world.night()
    again = say("correct-run", run, *WHY, "--yes")
    assert "Recorded 1 consent." in again.out
    assert [act.person_id for act in consents(world, run)].count(person) == 2
    assert "Recorded 0 consents (1 were recorded before)." in (
        say("correct-run", run, *WHY, "--yes").out
    )


def test_who_opted_out_otherwise_stays_opted_out(say, world, mistake):
    run, [(clicked, record), (sender, _), *others] = mistake
    world.unsubscribe(clicked)
    world.unsubscribe(sender, scope="sender")  # they said no to somebody: nobody undoes that
    answer = say("correct-run", run, *WHY, "--yes")
    assert "2 of people who opted out otherwise, too." in answer.out
    assert [act.person_id for act in consents(world, run)] == sorted(p for p, _ in others)
    world.night()
    assert world.agreed(clicked, record) is True


def test_only_what_the_run_itself_caused_is_corrected(say, world, mistake):
    run, _ = mistake
    later, _ = world.pair(False, True)
    second = world.night()
    say("correct-run", second, *WHY, "--yes")
    assert [act.person_id for act in consents(world, second)] == [later]
    assert consents(world, run) == []


def test_many_corrections_wait_for_approval_like_any_clears(say, world):
    pairs = [world.pair(False, True) for _ in range(6)]
    run = world.night()
    say("correct-run", run, *WHY, "--yes")
    world.work()
    assert [world.agreed(*pair) for pair in pairs] == [True] * 6
    assert "RESUBSCRIBED" in say("held").out


def test_a_run_that_caused_nothing_is_no_error(say, world):
    run = world.night()
    answer = say("correct-run", run, *WHY, "--yes")
    assert (answer.status, "Recorded 0 consents." in answer.out) == (0, True)


def test_a_run_that_does_not_exist_is_refused(say):
    answer = say("correct-run", 4711, *WHY)
    assert (answer.status, answer.out) == (1, "")
    assert "run 4711 does not exist" in answer.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([7, "--reason", "why"], "required: --approver"),
        ([7, "--approver", "Bob"], "required: --reason"),
        ([7, "--reason", "a\0b", "--approver", "Bob"], "--reason: must be one line of plain text"),
        (["last", *WHY], "RUN: must be an id"),
    ],
)
def test_wrong_input_is_one_sentence(say, arguments, sentence):
    answer = say("correct-run", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert sentence in answer.err
