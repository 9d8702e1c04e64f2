"""The DAG that asks a person: its wiring, and its three ways in a running Airflow."""

import os
from pathlib import Path

import pytest
import unsubscribe_sync_held_clears as held_clears
from airflow.dag_processing.dagbag import DagBag
from sqlalchemy import make_url, text
from upath import UPath

from include.store.database import connect
from include.sync.report import NightNeedsAttentionError
from local.demo.airflow_env import airflow_environment
from local.demo.config import Config
from local.demo.credentials import Credentials
from local.salesforce_emulator.testing import Size, free_ports, running_emulator
from tests.conftest import new_database
from tests.dags.running_airflow import running_airflow
from tests.sync.world import World

ROOT = Path(__file__).parents[2]
DAG, NIGHT = "unsubscribe_held_clears", "unsubscribe_nightly_sync"
TASKS = {"open", "ask", "decide", "clear", "verify", "close", "reject", "time_out"}
APPROVAL = {"decide", "clear", "verify", "close"}
MANY = 6


# -- wiring


@pytest.fixture(scope="module")
def bag():
    return DagBag(ROOT / "dags")


@pytest.fixture(scope="module")
def dag(bag):
    return bag.dags[DAG]


def test_every_closed_night_wakes_it(bag, dag):
    assert [asset.name for asset in dag.timetable.asset_condition.objects] == ["opt_outs"]
    outlets = bag.dags[NIGHT].get_task("close").outlets
    assert [asset.name for asset in outlets] == ["opt_outs"]
    assert dag.max_active_runs == 1
    assert not dag.catchup


def test_the_question_has_three_ways(dag):
    assert {task.task_id for task in dag.tasks} == TASKS
    assert [task.task_id for task in dag.roots] == ["open"]
    assert dag.get_task("ask").upstream_task_ids == {"open"}
    assert dag.get_task("ask").downstream_task_ids == {"decide", "reject", "time_out"}
    assert {task.task_id for task in dag.leaves} == {"close", "reject", "time_out"}
    assert {task.trigger_rule.value for task in dag.tasks} == {"all_success"}


def test_a_question_waits_a_day_is_asked_once_and_silence_is_no_approval(dag):
    ask = dag.get_task("ask")
    assert ask.response_timeout == held_clears.ANSWER_WITHIN
    assert held_clears.ANSWER_WITHIN.total_seconds() == 24 * 3600
    assert ask.defaults == ["Reject"]
    assert ask.retries == 0
    assert not ask.fail_on_reject
    assert not ask.ignore_downstream_trigger_rules


def test_a_question_shows_counts_and_person_ids_in_markdown():
    found = {"clears": 1234, "people": 1200, "codes": {"RESUBSCRIBED": 1234}, "sample": [4, 7]}
    body = held_clears.question(found)
    assert body.startswith("1,234 opt-outs of 1,200 people are ready to be cleared")
    assert "| why | clears |\n|---|---|\n| `RESUBSCRIBED` | 1,234 |" in body
    assert "The first 2, by person id: 4, 7." in body
    assert "They, by person id: 4, 7." in held_clears.question(found | {"people": 2})


# -- in a running Airflow


@pytest.fixture(scope="module")
def places(server_url, tmp_path_factory):
    """Databases by URL, an org and the environment of Airflow's processes."""
    home = tmp_path_factory.mktemp("held-clears")
    config = Config(home, *free_ports(3))
    store = make_url(server_url).set(database=f"held_clears_store_{os.getpid()}")
    store_url = store.render_as_string(hide_password=False)
    with (
        new_database(server_url, f"held_clears_meta_{os.getpid()}") as metadata,
        running_emulator(home / "org", Size(contacts=20, leads=5)) as org,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AIRFLOW_HOME", str(home / "in-process"))
        patch.setenv("AIRFLOW_CONN_SALESFORCE", org.airflow_connection)
        patch.setenv("REQUESTS_CA_BUNDLE", str(org.ca_bundle))
        environment = airflow_environment(
            config, Credentials(), metadata_url=metadata, store_url=store_url
        ) | {
            "AIRFLOW_CONN_SALESFORCE": org.airflow_connection,
            "REQUESTS_CA_BUNDLE": str(org.ca_bundle),
            "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
        }
        config.staging.mkdir()
        yield config, org, metadata, store, environment


@pytest.fixture(scope="module")
def airflow(places):
    config, _, _, _, environment = places
    with running_airflow(config.state, config.airflow_url, environment, {DAG, NIGHT}) as running:
        yield running


@pytest.fixture
def world(places, airflow, server_url, database_url):
    """A store and an org of this test alone, which the running Airflow works on."""
    config, org, _, store, _ = places
    org.reset()
    with new_database(server_url, store.database, make_url(database_url).database) as url:
        engine = connect(url)
        world = World(engine, org, UPath(config.staging))
        world.choose(enabled=True, clock_skew_seconds=0)
        world.confirm_org()
        yield world
        engine.dispose()


@pytest.fixture
def pairs(world):
    """People whose consent the next night will hold."""
    pairs = [world.pair(True, True) for _ in range(MANY)]
    world.night()
    for person, _ in pairs:
        world.consent(person)
    return pairs


@pytest.fixture
def held(world, pairs):
    """The same, held by a night in this process."""
    attempt, _ = world.work()
    with pytest.raises(NightNeedsAttentionError):
        world.report(attempt)
    return pairs


def states(**tasks):
    """States of all tasks; skipped unless said otherwise."""
    return dict.fromkeys(TASKS, "skipped") | tasks


def asked(airflow):
    """Start a run and wait until it asks."""
    run_id = airflow.trigger(DAG)
    airflow.asks(DAG, run_id, "ask")
    return run_id


def all_agreed(world, pairs, value):
    return all(world.agreed(*pair) is value for pair in pairs)


def resolutions(world):
    rows = world.sql(
        "SELECT resolution, count(*) FROM opt_out_sync.v_held_clears GROUP BY resolution"
    )
    return dict(tuple(row) for row in rows)


@pytest.mark.timeout(600)
def test_a_run_with_nothing_held_is_green_and_asks_nothing(airflow, world):
    run_id = airflow.trigger(DAG)
    assert airflow.ended(DAG, run_id) == "success"
    assert airflow.states(DAG, run_id) == states(open="success")


@pytest.mark.timeout(600)
def test_a_night_that_holds_clears_leads_to_a_question_whose_approval_clears(
    airflow, world, pairs, places
):
    before = {run["dag_run_id"] for run in airflow.runs(DAG)}
    airflow.api.unpause(NIGHT)  # which starts the last complete night at once
    airflow.wait_for(lambda: len(airflow.runs(DAG)) > len(before))
    run = airflow.runs(DAG)[-1]
    run_id = run["dag_run_id"]
    assert run["run_type"] == "asset_triggered"
    airflow.asks(DAG, run_id, "ask")
    detail = airflow.detail(DAG, run_id, "ask")
    assert detail["subject"] == f"Clear {MANY} opt-outs?"
    assert f"| `RESUBSCRIBED` | {MANY} |" in detail["body"]
    assert ", ".join(str(person) for person, _ in pairs) in detail["body"]
    night = airflow.runs(NIGHT)[-1]["dag_run_id"]
    assert airflow.ended(NIGHT, night) == "failed"  # closed, and red: it says that clears wait
    # not before: of a DAG that is paused not even `report` begins any more
    airflow.call("PATCH", f"dags/{NIGHT}?update_mask=is_paused", {"is_paused": True})
    assert all_agreed(world, pairs, True)

    airflow.answer(DAG, run_id, "ask", "Approve")

    assert airflow.ended(DAG, run_id) == "success"
    assert airflow.states(DAG, run_id) == dict.fromkeys(TASKS, "success") | {
        "reject": "skipped",
        "time_out": "skipped",
    }
    assert all_agreed(world, pairs, False)
    assert resolutions(world) == {"cleared": MANY}
    tells_nothing_about_people(airflow, places, run_id, pairs)


def tells_nothing_about_people(airflow, places, run_id, pairs):
    """Only counts and ids rest in Airflow, beside its own record of the answer."""
    found = airflow.xcoms(DAG, run_id, "open")
    assert set(found["return_value"]) == {"asked_at", "clears", "people", "codes", "sample"}
    assert airflow.xcoms(DAG, run_id, "ask") == {"skipmixin_key": {"followed": ["decide"]}}
    with connect(places[2]).begin() as conn:
        for table in ("xcom", "rendered_task_instance_fields", "hitl_detail", "log"):
            rows = conn.execute(text(f"SELECT to_jsonb(t)::text FROM {table} AS t")).scalars().all()
            assert rows
            assert not any("canary@" in row for row in rows), table
            if table != "hitl_detail" and table != "log":  # Airflow's own record of who answered
                assert not any("responded_by" in row for row in rows), table


@pytest.mark.timeout(600)
def test_a_rejection_is_green_and_refuses_the_consents(airflow, world, held):
    run_id = asked(airflow)
    airflow.answer(DAG, run_id, "ask", "Reject")
    assert airflow.ended(DAG, run_id) == "success"
    assert airflow.states(DAG, run_id) == states(open="success", ask="success", reject="success")
    assert all_agreed(world, held, True)
    assert {world.judgements(person)[-1].code for person, _ in held} == {"REJECTED"}
    assert resolutions(world) == {"rejected": MANY}


@pytest.mark.timeout(600)
def test_silence_is_green_and_leaves_everything_held(airflow, world, held, places):
    run_id = asked(airflow)
    with connect(places[2]).begin() as conn:  # a day goes by
        conn.execute(
            text("UPDATE task_instance SET trigger_timeout = now() WHERE run_id = :r"),
            {"r": run_id},
        )
    assert airflow.ended(DAG, run_id) == "success"
    assert airflow.states(DAG, run_id) == states(open="success", ask="success", time_out="success")
    assert {world.judgements(person)[-1].code for person, _ in held} == {"HELD"}
    assert resolutions(world) == {"timed_out": MANY}


@pytest.mark.timeout(600)
def test_an_approval_that_cannot_be_carried_out_is_red_and_is_cleared(airflow, world, held):
    run_id = asked(airflow)
    world.choose(paused=True)
    airflow.answer(DAG, run_id, "ask", "Approve")
    assert airflow.ended(DAG, run_id) == "failed"
    assert airflow.states(DAG, run_id)["decide"] == "failed"
    assert resolutions(world) == {None: MANY}
    world.choose(paused=False)
    airflow.clear(DAG, run_id, "decide")
    airflow.wait_for(lambda: airflow.states(DAG, run_id)["close"] == "success")
    assert airflow.ended(DAG, run_id) == "success"
    assert all_agreed(world, held, False)


@pytest.mark.timeout(600)
def test_a_second_question_waits_until_the_first_is_answered(airflow, world, held):
    first, second = asked(airflow), airflow.trigger(DAG)
    airflow.answer(DAG, first, "ask", "Approve")
    assert airflow.ended(DAG, first) == "success"
    assert airflow.ended(DAG, second) == "success"
    assert airflow.states(DAG, second) == states(open="success")
    assert all_agreed(world, held, False)
