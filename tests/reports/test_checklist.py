"""Preflight as a checklist: each requirement green, and red with what mends it."""

import os

from airflow.providers.salesforce.hooks.salesforce import SalesforceHook
from sqlalchemy import Engine

from include.domain.values import SalesforceObject
from include.migrations.upgrade import head
from include.reports.checklist import Checklist, State, checklist
from include.salesforce.administration import FoundField, SalesforceAdministration
from include.salesforce.session import Backoff, SalesforceSession
from include.store.database import connect
from include.sync.clock import utc_now
from tests.reports.world import HOUR, NOW, choose, execute, night, people
from tests.sync.test_setup import admin_connection
from tests.sync.world import FIELD, SALES_FIELD, World


def of(found: Checklist) -> dict[str, State]:
    assert len({each.code for each in found.items}) == len(found.items)
    for each in found.items:
        assert each.detail.endswith(".")
        assert not (each.fix and each.state is State.OK)
    return {each.code: each.state for each in found.items}


def item(found: Checklist, code: str):
    return next(each for each in found.items if each.code == code)


def administration(world: World, monkeypatch) -> SalesforceAdministration:
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE_ADMIN", admin_connection(world.org))
    session = SalesforceSession(
        lambda http: SalesforceHook("salesforce_admin", session=http).get_conn(),
        backoff=Backoff(attempts=2, first=0.01, longest=0.02),
    )
    return SalesforceAdministration(session)


def check(world: World, admin=None) -> Checklist:
    return checklist(world.engine, world.client(), now=utc_now(), administration=admin)


# -- the store


def test_a_store_that_is_not_there_is_the_first_red_line(engine: Engine) -> None:
    gone = connect(engine.url.set(database="not_there"))
    found = checklist(gone, None, now=NOW)
    assert of(found) == {
        "STORE_REACHABLE": State.FAIL,
        "SALESFORCE_LOGIN": State.UNKNOWN,
    }
    assert found.worst is State.FAIL


def test_a_store_that_is_not_migrated_says_how(empty_engine: Engine) -> None:
    found = checklist(empty_engine, None, now=NOW)
    assert of(found)["STORE_MIGRATED"] is State.FAIL
    assert "include.cli migrate" in item(found, "STORE_MIGRATED").fix


def test_a_new_store_says_what_is_to_do(engine: Engine) -> None:
    found = checklist(engine, None, now=NOW)
    assert of(found) == {
        "STORE_REACHABLE": State.OK,
        "STORE_MIGRATED": State.OK,
        "SYNC_ON": State.WARN,
        "PEOPLE_LINKED": State.WARN,
        "NIGHT_CLOSED": State.UNKNOWN,
        "SALESFORCE_LOGIN": State.UNKNOWN,
    }
    assert head() in item(found, "STORE_MIGRATED").detail


def test_people_without_a_salesforce_id_are_counted(engine: Engine) -> None:
    people(engine, 3)
    execute(engine, "UPDATE engagement.person SET salesforce_id = NULL WHERE id = 1")
    execute(
        engine,
        "INSERT INTO opt_out_sync.unlinked_person (person_id, code, since, sync_run_id) "
        "VALUES (1, 'NO_SALESFORCE_ID', now(), 1)",
    )
    found = checklist(engine, None, now=NOW)
    assert item(found, "PEOPLE_LINKED").detail == "2 of 3 people have one."
    assert "1 NO_SALESFORCE_ID" in item(found, "PEOPLE_REACHABLE").detail


def test_an_old_night_is_red_while_the_sync_is_on(engine: Engine) -> None:
    choose(engine)
    night(engine)
    assert of(checklist(engine, None, now=NOW))["NIGHT_CLOSED"] is State.OK
    later = NOW + 48 * HOUR
    assert of(checklist(engine, None, now=later))["NIGHT_CLOSED"] is State.FAIL
    choose(engine, paused=True)
    assert of(checklist(engine, None, now=later))["NIGHT_CLOSED"] is State.WARN


# -- Salesforce


def test_an_org_that_is_ready_is_green(world: World, monkeypatch) -> None:
    world.pair(True, False)
    world.night()
    found = check(world, administration(world, monkeypatch))
    states = of(found)
    for code in ("SALESFORCE_LOGIN", "SALESFORCE_ORG", "API_VERSION", "API_BUDGET"):
        assert states[code] is State.OK, item(found, code)
    for obj in SalesforceObject:
        for what in ("FIELD_VISIBLE", "FIELD_WRITABLE"):
            assert states[f"{what}.{obj}.{FIELD}"] is State.OK
        for what in ("FIELD_HISTORY", "FIELD_LAYOUTS", "FIELD_CHANGES"):
            assert f"{what}.{obj}.{FIELD}" in states
    assert states["NIGHT_CLOSED"] is State.OK


def test_a_field_that_is_missing_is_red_on_each_object_with_the_way_to_it(world: World) -> None:
    world.choose(field_mode="sales_opt_out", sales_opt_out_field=SALES_FIELD)
    found = check(world)
    for obj in SalesforceObject:
        for what in ("FIELD_VISIBLE", "FIELD_WRITABLE"):
            red = item(found, f"{what}.{obj}.{SALES_FIELD}")
            assert red.state is State.FAIL
            assert "Setup > " in red.fix
    assert found.worst is State.FAIL


def test_an_org_that_nobody_has_confirmed_is_yellow(world: World) -> None:
    world.forget_confirmation()
    found = check(world)
    assert item(found, "SALESFORCE_ORG").state is State.WARN
    assert world.org_id() in item(found, "SALESFORCE_ORG").fix


def test_another_org_is_red(world: World) -> None:
    world.night()
    world.sql("UPDATE opt_out_sync.sync_run SET org_id = '00D000000000009AAA'")
    assert of(check(world))["SALESFORCE_ORG"] is State.FAIL


def test_who_else_changed_the_field_is_named(world: World) -> None:
    code = f"FIELD_CHANGES.Contact.{FIELD}"
    world.org.track_history("Contact", FIELD)
    _, record = world.pair(False, False)
    person, _ = world.pair(True, False)
    assert item(check(world), code).state is State.UNKNOWN  # no row proves nothing
    world.night()
    assert world.in_store(person)
    assert item(check(world), code).state is State.OK  # only we did
    world.org.edit(record, **{FIELD: True})
    found = item(check(world), code)
    assert found.state is State.WARN
    assert "(1)" in found.detail


def test_an_administrator_sees_what_is_tracked_and_shown(world: World, monkeypatch) -> None:
    admin = administration(world, monkeypatch)
    before = check(world, admin)
    assert item(before, f"FIELD_HISTORY.Contact.{FIELD}").state is State.WARN
    assert "Set History Tracking" in item(before, f"FIELD_HISTORY.Contact.{FIELD}").fix
    contact = SalesforceObject.CONTACT
    known = admin.objects()[contact].fields
    admin.track({contact: [known.get(FIELD.lower(), FoundField(FIELD))]})
    after = check(world, admin)
    assert item(after, f"FIELD_HISTORY.Contact.{FIELD}").state is State.OK
    shown = item(after, f"FIELD_LAYOUTS.Contact.{FIELD}")
    assert shown.state is State.OK or "Page Layouts" in shown.fix
    assert " page layouts" in shown.detail


def test_what_only_an_administrator_sees_is_not_guessed(world: World) -> None:
    found = check(world)
    assert item(found, "FIELD_DEFINITION").state is State.UNKNOWN
    assert "Setup > " in item(found, "FIELD_DEFINITION").fix


def test_a_login_that_is_refused_is_one_red_line(world: World, monkeypatch) -> None:
    connection = os.environ["AIRFLOW_CONN_SALESFORCE"].replace(world.org.client_secret, "wrong")
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", connection)
    found = check(world)
    assert item(found, "SALESFORCE_LOGIN").state is State.FAIL
    assert "Connection salesforce" in item(found, "SALESFORCE_LOGIN").fix
    assert not any(each.group == "Field" for each in found.items)


def test_too_few_requests_are_red(world: World) -> None:
    world.choose(api_reserve=1_000_000)
    assert of(check(world))["API_BUDGET"] is State.FAIL
