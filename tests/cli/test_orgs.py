import pytest

BY = ["--by", "Ada", "--note", "read the plan"]


@pytest.fixture
def planned(world):
    """A first night that is not confirmed: one opt-out each way."""
    world.forget_confirmation()
    world.pair(True, False)
    world.pair(False, True)
    world.work()
    return world


def test_an_org_that_is_not_confirmed_shows_its_plan_and_the_command(say, planned):
    answer = say("org", "show")
    assert answer.status == 0
    org = planned.org_id()
    assert f"\n{org}  -" in answer.out
    assert "1 opt-outs to the store, 1 to Salesforce" in answer.out
    assert f"Confirm: python -m include.cli org confirm {org} --by NAME --note WHY" in answer.out


@pytest.mark.parametrize("length", [15, 18])
def test_an_org_is_confirmed_once_and_then_written(say, planned, length):
    org = planned.org_id()
    assert "is confirmed" in say("org", "confirm", org[:length], *BY).out
    shown = say("org", "show").out
    assert "UTC  Ada" in shown
    assert "only planned" not in shown
    again = say("org", "confirm", org, "--by", "Bob", "--note", "me too")
    assert (again.status, "was confirmed before" in again.out) == (0, True)
    assert "Bob" not in say("org", "show").out


def test_an_org_that_no_run_has_seen_is_refused(say, planned):
    answer = say("org", "confirm", "00D000000000999AAA", *BY)
    assert (answer.status, answer.out) == (1, "")
    assert f"no run has seen that org (seen: {planned.org_id()})" in answer.err


def test_a_new_installation_knows_no_org(say):
    assert say("org", "show").out == "No run has seen an org yet.\n"
    assert "(seen: none so far)" in say("org", "confirm", "00D000000000999AAA", *BY).err
    assert say("org", "confirm", "00D\0", *BY).status == 2
