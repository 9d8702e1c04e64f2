import csv

import pytest

from include.audit import runs
from include.domain.values import SalesforceObject
from include.sync.clock import utc_now
from tests.database.world import open_run
from tests.sync.world import FIELD, SALES_FIELD


@pytest.fixture
def simulate(say, world, monkeypatch):
    """Simulate a run of this world, whose extracts are where the deployment says."""
    monkeypatch.setenv("OPT_OUT_SYNC_STAGING", world.staging.as_uri())
    return lambda run, *options: say("simulate", run, *options)


@pytest.fixture
def cleared(world):
    """A night in which a box that both sides had agreed on was cleared in Salesforce."""
    person, record = world.pair(False, True)
    other, _ = world.pair(True, True)
    world.night()
    world.org.edit(record, **{FIELD: False})
    return world.night(), person, other


def counts(answer, title="links by code"):
    """Both counts of each code of a table."""
    lines = iter(answer.out.splitlines())
    next(line for line in lines if line.startswith(title))
    table = {}
    for line in lines:
        if not line:
            break
        *code, before, after = [word for word in line.split() if not word.startswith(("+", "-"))]
        table[" ".join(code)] = (int(before), int(after))
    return table


def test_another_rule_is_told_beside_the_one_that_decided(simulate, cleared):
    run, person, _ = cleared
    answer = simulate(run, "--rule", "changed_side")
    assert answer.status == 0
    assert "conflict_rule changed_side (was opt_out_wins). Nothing is written." in answer.out
    assert counts(answer) == {"AGREED": (1, 1), "CLEARED_IN_SALESFORCE_ONLY": (1, 1)}
    assert answer.out.endswith(f"1 person would be decided otherwise: {person}\n")


def test_an_admin_who_owns_nothing_may_simulate(say_as, login, world, cleared, monkeypatch):
    monkeypatch.setenv("OPT_OUT_SYNC_STAGING", world.staging.as_uri())
    run, person, _ = cleared
    answer = say_as(login("opt_out_admin"))("simulate", run, "--rule", "changed_side")
    assert answer.err == ""
    assert answer.out.endswith(f"1 person would be decided otherwise: {person}\n")


def test_every_difference_goes_to_a_file(simulate, cleared, tmp_path):
    run, person, _ = cleared
    path = tmp_path / "differences.csv"
    answer = simulate(run, "--rule", "changed_side", "--csv", path)
    assert answer.out.endswith(f"{path} has all 1 difference.\n")
    with path.open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["person_id"], row["object"], row["field"]) == (str(person), "Contact", FIELD)
    code = "CLEARED_IN_SALESFORCE_ONLY"
    assert row["before"] == f"{code}, Salesforce := opted out, base := opted out"
    assert row["after"] == f"{code}, store := not opted out, base := not opted out"


def test_a_simulation_writes_nothing_on_either_side(simulate, world, cleared):
    before = world.everything()
    decided = world.sql("SELECT count(*) FROM opt_out_sync.merge_audit")
    files = sorted(path.name for path in world.staging.rglob("*"))
    simulate(cleared[0], "--rule", "changed_side")
    assert world.everything() == before
    assert world.sql("SELECT count(*) FROM opt_out_sync.merge_audit") == decided
    assert sorted(path.name for path in world.staging.rglob("*")) == files


def test_the_extract_counts_and_not_what_is_true_by_now(simulate, world, cleared):
    run, _, other = cleared
    first = simulate(run, "--rule", "changed_side")
    world.consent(other)
    world.pair(True, False)
    world.night()
    assert simulate(run, "--rule", "changed_side") == first


def test_a_plan_can_be_simulated_too(simulate, world):
    world.pair(True, False)
    run = world.night(plan_only=True)
    assert simulate(run, "--sync-bounces").status == 0


def test_other_scopes_and_bounces_change_who_is_opted_out(simulate, world):
    (sender, _), (bounced, _) = world.pair(False, False), world.pair(False, False)
    world.unsubscribe(sender, scope="sender")
    world.unsubscribe(bounced, origin="Bounce")
    run = world.night()
    answer = simulate(run, "--scopes", "team", "sender")
    assert answer.out.endswith(f"1 person would be decided otherwise: {sender}\n")
    assert counts(answer) == {"FIRST_SEEN_AGREED": (2, 1), "FIRST_SEEN_OPT_OUT": (0, 1)}
    answer = simulate(run, "--sync-bounces", "--scopes", "team", "sender")
    assert f"2 people would be decided otherwise: {sender}, {bounced}\n" in answer.out


def test_bounces_can_be_left_out_again(simulate, world):
    world.choose(bounces_sync=True)
    bounced, _ = world.pair(False, False)
    world.unsubscribe(bounced, origin="Bounce")
    run = world.night()
    assert f"otherwise: {bounced}\n" in simulate(run, "--no-sync-bounces").out


def test_another_clock_skew_changes_which_consent_is_late(simulate, world):
    person, _ = world.pair(True, True)
    act = world.consent(person, at=utc_now())
    run = world.night()
    assert world.judgement(act) == ("accepted", "RESUBSCRIBED")
    answer = simulate(run, "--clock-skew", 3600)
    verdicts = counts(answer, "resubscribes by verdict")
    assert verdicts["accepted RESUBSCRIBED"] == (1, 0)
    assert sum(after for before, after in verdicts.values() if not before) == 1
    assert answer.out.endswith(f"1 person would be decided otherwise: {person}\n")


def test_a_field_mode_whose_field_was_read_is_simulated(simulate, world):
    world.both_fields()
    person, record = world.pair(False, False)
    world.org.edit(record, **{SALES_FIELD: True})
    run = world.night()
    answer = simulate(run, "--field-mode", "email_opt_out")
    assert "field_mode email_opt_out (was both)" in answer.out
    assert f"1 person would be decided otherwise: {person}\n" in answer.out
    assert counts(answer)["FIRST_SEEN_AGREED"] == (0, 1)


@pytest.mark.parametrize("mode", ["both", "sales_opt_out"])
def test_a_field_mode_whose_field_was_not_read_is_refused(simulate, world, mode):
    world.pair(True, True)
    run = world.night()
    answer = simulate(run, "--field-mode", mode)
    assert (answer.status, answer.out) == (1, "")
    assert f"run {run} did not extract {SALES_FIELD}, so nobody can tell" in answer.err


def test_settings_that_change_no_decision_say_so(simulate, world):
    world.pair(True, True)
    run = world.night()
    assert "Nobody would be decided otherwise." in simulate(run, "--clock-skew", 5).out


def test_only_the_first_fifty_people_are_named(simulate, world):
    record = world.record(False, SalesforceObject.LEAD)
    people = [world.person(record) for _ in range(51)]
    world.unsubscribe(people[0], scope="sender")
    _, run = world.work()  # red: fifty people of one record are a mistake
    told = simulate(run, "--scopes", "team", "sender").out
    named = told.split("otherwise: ")[1].splitlines()
    assert told.count("51 people would be decided otherwise") == 1
    assert named[0].split(", ") == [str(person) for person in people[:50]]
    assert named[1] == "These are the first 50: --csv FILE writes them all."


def test_the_same_settings_are_no_question(simulate, world):
    run = world.night()
    for options in ([], ["--rule", "opt_out_wins"]):
        answer = simulate(run, *options)
        assert (answer.status, answer.out) == (2, "")
        assert f"that is what run {run} was decided by" in answer.err


def test_a_setting_that_cannot_be_is_wrong_input(simulate, world):
    run = world.night()
    assert simulate(run, "--clock-skew", "-5").status == 2
    assert simulate(run, "--scopes", "sender").status == 2


def test_an_extract_that_is_gone_is_told(simulate, world):
    run = world.night()
    for file in world.staging.rglob("people.parquet"):
        file.unlink()
    answer = simulate(run, "--sync-bounces")
    assert (answer.status, answer.out) == (1, "")
    assert f"the extract of run {run} is not there: it is kept for 14 days" in answer.err


def test_a_night_that_never_read_anything_is_told(simulate, engine):
    run = open_run(engine)
    answer = simulate(run.id, "--sync-bounces")
    assert (answer.status, "is not there" in answer.err) == (1, True)
    skipped = runs.skip(engine, airflow_run_id="two", interval=None, reason="paused", now=utc_now())
    assert f"run {skipped} did nothing: only a night" in simulate(skipped, "--sync-bounces").err
    assert "run 4711 does not exist" in simulate(4711, "--sync-bounces").err


def test_a_run_that_is_no_night_has_no_extract(simulate, engine):
    run = runs.open_run(
        engine, kind="push", airflow_run_id="p", interval=None, plan_only=False, now=utc_now()
    )
    assert f"run {run.id} is a push: only a night" in simulate(run.id, "--sync-bounces").err


def test_a_file_that_cannot_be_written_is_told(simulate, world, tmp_path):
    world.pair(True, True)
    run = world.night()
    answer = simulate(run, "--sync-bounces", "--csv", tmp_path / "nowhere" / "x.csv")
    assert answer.status == 1
    assert "--csv: the file cannot be written (" in answer.err
    assert simulate(run, "--sync-bounces", "--csv", "a\0b").status == 2


def test_without_staging_there_is_nothing_to_simulate(say, world, monkeypatch):
    run = world.night()
    monkeypatch.delenv("OPT_OUT_SYNC_STAGING", raising=False)
    answer = say("simulate", run, "--sync-bounces")
    assert (answer.status, "OPT_OUT_SYNC_STAGING" in answer.err) == (1, True)
    monkeypatch.setenv("OPT_OUT_SYNC_STAGING", "nonsense://x/y")
    assert say("simulate", run, "--sync-bounces").status == 1
    monkeypatch.setenv("OPT_OUT_SYNC_STAGING", "s3://aws@bucket/prefix")
    assert "the same place without connection@" in say("simulate", run, "--sync-bounces").err
