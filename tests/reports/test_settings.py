"""Settings: what was chosen when, what a choice means, and whom it would change."""

import pytest
from sqlalchemy import Engine

from include.audit import settings
from include.audit.settings import FieldMode, Settings
from include.reports.meanings import meaning_of, meanings
from include.reports.preview import preview
from include.reports.versions import changes, differences
from include.store.database import transaction
from tests.reports.world import HOUR, NOW, choose, night, read
from tests.sync.world import FIELD, SALES_FIELD, World


def test_every_version_says_what_it_changed(engine: Engine) -> None:
    choose(engine, at=NOW - 2 * HOUR)
    choose(engine, at=NOW - HOUR, field_mode="both", max_open_failures=5)
    night(engine)
    found = read(engine, changes)
    assert [each.version for each in found] == [3, 2, 1]
    newest, second, first = found
    assert (newest.saved_by, newest.saved_at, newest.nights) == ("Ada", NOW - HOUR, 1)
    assert [(each.name, each.before, each.after) for each in newest.differences] == [
        ("field_mode", "email_opt_out", "both"),
        ("max_open_failures", "0", "5"),
    ]
    assert [(each.name, each.after) for each in second.differences] == [("enabled", "yes")]
    assert (first.differences, first.nights) == ([], 0)
    assert [each.version for each in read(engine, changes, most=2)] == [3, 2]


def test_a_choice_that_decides_says_what_it_means() -> None:
    before = Settings()
    for name, value in {
        "enabled": True,
        "paused": True,
        "field_mode": "both",
        "conflict_rule": "changed_side",
        "bounces_sync": True,
        "synced_scopes": ("sender", "team"),
    }.items():
        after = Settings.model_validate(before.model_dump() | {name: value})
        assert len(meanings(before, after)) == 1
        assert len(meanings(after, before)) == 1
        assert [each.name for each in differences(before, after)] == [name]
    assert meanings(before, Settings(max_open_failures=3)) == []
    assert "every email" in meaning_of(FieldMode.EMAIL_OPT_OUT)
    assert len({meaning_of(mode) for mode in FieldMode}) == 3


# -- whom it would change


def chosen(world: World, **choices) -> Settings:
    with transaction(world.engine) as conn:
        now = settings.current(conn).settings.model_dump()
    return Settings.model_validate(now | choices)


def test_another_rule_is_worked_out_from_the_last_night(world: World) -> None:
    person, record = world.pair(False, True)
    world.pair(True, True)
    world.night()
    world.org.edit(record, **{FIELD: False})
    run = world.night()
    found = preview(world.engine, world.staging, chosen(world, conflict_rule="changed_side"))
    assert (found.people, found.cleared, found.opted_out_in_salesforce) == (1, 1, 0)
    assert found.opted_out_in_store == 0
    assert [each.person_id for each in found.first] == [person]
    assert found.first[0].record_id == record
    assert "CLEARED_IN_SALESFORCE_ONLY" in found.first[0].after
    assert str(found.night) in found.basis
    assert len(found.meaning) == 1
    assert world.sql("SELECT max(id) AS id FROM opt_out_sync.sync_run")[0].id == run


def test_what_has_been_saved_since_is_where_a_preview_begins(world: World) -> None:
    person = world.pair(True, False)[0]
    world.unsubscribe(person, scope="sender")
    other = world.pair(False, False)[0]
    world.unsubscribe(other, scope="sender")
    world.night()
    world.choose(synced_scopes=("team", "sender"))
    found = preview(world.engine, world.staging, chosen(world, synced_scopes=("team",)))
    assert found.people == 1  # the one of the other scope would not be opted out any more


def test_another_field_that_no_night_has_read_is_counted_from_what_is_known(world: World) -> None:
    one, record_one = world.pair(True, False)
    world.pair(False, False)
    world.night()
    after = chosen(world, field_mode="sales_opt_out", sales_opt_out_field=SALES_FIELD)
    found = preview(world.engine, world.staging, after)
    assert (found.people, found.opted_out_in_store, found.night) == (None, None, None)
    assert found.opted_out_in_salesforce == 1
    assert [(each.person_id, each.record_id, each.field) for each in found.first] == [
        (one, record_one, SALES_FIELD)
    ]
    assert "No night has read this field" in found.basis


def test_salesforce_is_asked_how_many_boxes_are_ticked(world: World) -> None:
    world.pair(True, False)
    other = world.pair(False, False)[1]
    world.night()
    world.both_fields()
    world.choose(field_mode="email_opt_out")
    world.org.edit(other, **{SALES_FIELD: True})
    after = chosen(world, field_mode="both")
    found = preview(world.engine, world.staging, after, client=world.client())
    opted_out = sum(
        bool(record[field])
        for obj in ("Contact", "Lead")
        for record in world.org.records(obj)
        for field in (FIELD, SALES_FIELD)
        if not record["IsDeleted"]
    )
    assert found.opted_out_in_store == opted_out
    assert found.opted_out_in_salesforce == 1


def test_a_field_that_is_hidden_counts_nobody(world: World) -> None:
    world.pair(True, False)
    after = chosen(world, field_mode="sales_opt_out", sales_opt_out_field="Not_There__c")
    found = preview(world.engine, world.staging, after, client=world.client())
    assert (found.opted_out_in_store, found.opted_out_in_salesforce) == (0, 0)


@pytest.mark.parametrize("choices", [{"paused": True}, {"max_open_failures": 9}, {}])
def test_a_choice_that_decides_nothing_changes_nobody(
    engine: Engine, tmp_path, choices: dict[str, object]
) -> None:
    with transaction(engine) as conn:
        now = settings.current(conn).settings.model_dump()
    found = preview(engine, tmp_path, Settings.model_validate(now | choices))
    assert (found.people, found.first) == (0, ())
