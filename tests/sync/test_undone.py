"""What is changed after it was written: read back, told with who did it, and given up at last."""

import time

import pytest

from include.domain.values import SalesforceObject
from include.sync.clock import utc_now
from include.sync.report import NightNeedsAttentionError
from tests.sync.world import FIELD

CONTACT, LEAD = SalesforceObject


def night(world, **before):
    """Run a night; `before` a task (its name with an underscore) something else happens."""
    days = before.pop("days", None)
    attempt, sync_run_id = world.open_night(days=days)
    for name, step in world.steps(sync_run_id).items():
        before.get(name.replace(".", "_"), bool)()
        step()
    return attempt, sync_run_id


def undone(world, sync_run_id):
    (row,) = world.sql(
        "SELECT outcome, failure_class, code, fix, changed_by, changed_at "
        "FROM opt_out_sync.write_attempt WHERE sync_run_id = :n ORDER BY id DESC LIMIT 1",
        n=sync_run_id,
    )
    return row


def human(world):
    return world.org.control("GET", "health")["human_user_id"]


def flip_back(world, obj=CONTACT, user=None):
    world.org.add_rule(
        kind="automation", object=obj, name="Flip", when=f"{FIELD} = true", set={FIELD: False},
        user=user,
    )  # fmt: skip


@pytest.mark.parametrize("obj", SalesforceObject)
def test_who_changed_a_value_after_it_was_written_is_told_by_name_and_id(world, obj):
    person, record = world.pair(True, False, obj)
    attempt, sync_run_id = night(world, verify=lambda: world.org.edit(record, **{FIELD: False}))
    row = undone(world, sync_run_id)
    assert (row.outcome, row.failure_class, row.code) == (
        "failed", "changed", "CHANGED_AFTER_WRITE",
    )  # fmt: skip
    assert row.changed_by == human(world)
    assert f"user Rosa Human ({human(world)}) edited the record last" in row.fix
    assert abs((utc_now() - row.changed_at).total_seconds()) < 60
    (listed,) = world.sql("SELECT * FROM opt_out_sync.v_undone")
    assert (listed.person_id, listed.record_id, listed.changed_by, listed.found_by) == (
        person, record, human(world), "read back",
    )  # fmt: skip
    sentence = rf"1 opt-outs were undone in Salesforce right after .* \(by user {human(world)}\)"
    with pytest.raises(NightNeedsAttentionError, match=sentence):
        world.report(attempt)


def test_the_history_of_the_field_names_who_changed_it_and_not_who_came_later(world):
    world.org.track_history(CONTACT, FIELD)
    _, record = world.pair(True, False)

    def two_edits():
        time.sleep(1.1)  # history counts in whole seconds, and a tie is opted out
        world.org.edit(record, **{FIELD: False})
        world.org.edit(record, user="integration", Title="Dr")

    _, sync_run_id = night(world, verify=two_edits)
    row = undone(world, sync_run_id)
    assert row.changed_by == human(world)
    assert "Rosa Human" in row.fix
    assert "changed it" in row.fix


def test_an_automation_that_undoes_every_save_is_told_as_such_and_given_up_after_three_nights(
    world,
):
    """Nobody edits anything: the automation runs within our own save."""
    person, record = world.pair(True, False)
    flip_back(world)
    for day in range(3):
        attempt, sync_run_id = night(world, days=day)
        assert "an automation that runs as the integration user" in undone(world, sync_run_id).fix
        with pytest.raises(NightNeedsAttentionError, match="undone in Salesforce right after"):
            world.report(attempt)
    world.org.reset_requests()
    attempt, sync_run_id = night(world, days=3)
    assert world.codes(sync_run_id) == {person: "TUG_OF_WAR"}
    assert world.outcomes(sync_run_id) == []
    assert not any(name.startswith("PATCH") for name in world.org.request_counts())
    assert world.in_store(person)
    with pytest.raises(NightNeedsAttentionError, match=r"every night .* \(by user 005\w{15}\)"):
        world.report(attempt)
    world.org.clear_rules()
    assert not world.in_salesforce(record)


def test_an_automation_with_a_user_of_its_own_is_named(world):
    world.pair(True, False)
    flip_back(world, user="automated")
    _, sync_run_id = night(world)
    row = undone(world, sync_run_id)
    assert row.changed_by != human(world)
    assert row.changed_by in row.fix
    assert "@" not in row.fix


def test_a_record_that_was_deleted_after_it_was_written_is_gone_and_nobody_undid_it(world):
    _, record = world.pair(True, False)
    attempt, sync_run_id = night(world, verify=lambda: world.org.delete(record))
    row = undone(world, sync_run_id)
    assert (row.outcome, row.failure_class, row.code) == ("failed", "gone", "NOT_FOUND")
    assert world.sql("SELECT * FROM opt_out_sync.v_undone") == []
    with pytest.raises(NightNeedsAttentionError, match="1 writes are still open"):
        world.report(attempt)


def test_a_person_who_opts_out_again_while_their_clear_is_carried_out_is_no_failure(world):
    person, record = world.pair(True, True)
    world.consent(person)
    attempt, _ = night(world, verify=lambda: world.unsubscribe(person, at=utc_now()))
    rows = world.sql(
        "SELECT DISTINCT ON (side) side, outcome FROM opt_out_sync.write_attempt "
        "WHERE person_id = :p ORDER BY side, id DESC",
        p=person,
    )
    assert {row.side: row.outcome for row in rows}["store"] == "superseded"
    world.report(attempt)
    world.night()
    assert world.agreed(person, record) is True
