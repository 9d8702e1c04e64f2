"""The DAG of the push: its wiring, and in a running Airflow with a triggerer."""

import os
import time
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from sqlalchemy import make_url, text
from upath import UPath

from include.store.database import connect
from include.sync.clock import utc_now
from local.demo.airflow_env import airflow_environment
from local.demo.config import Config
from local.demo.credentials import Credentials
from local.salesforce_emulator.testing import Size, free_ports, running_emulator
from tests.conftest import new_database
from tests.dags.metrics_sink import metrics_sink
from tests.dags.running_airflow import running_airflow
from tests.sync.world import World

ROOT = Path(__file__).parents[2]
DAG, SENSOR, PUSH = "unsubscribe_push", "wait_for_unsubscribes", "push"
TRIGGERER = {"triggerer": ["airflow", "triggerer", "--skip-serve-logs"]}


# -- wiring


@pytest.fixture(scope="module")
def dag():
    return DagBag(ROOT / "dags").dags[DAG]


def test_there_is_always_one_run_and_it_waits_without_a_worker(dag):
    assert type(dag.timetable).__name__ == "ContinuousTimetable"
    assert dag.max_active_runs == 1
    sensor = dag.get_task(SENSOR)
    assert sensor.start_from_trigger
    assert sensor.start_trigger_args.trigger_cls == "unsubscribe_sync_push_trigger.OutboxTrigger"
    assert sensor.start_trigger_args.trigger_kwargs == {"seconds": 900.0}
    assert sensor.start_trigger_args.timeout is None
    assert sensor.execution_timeout is None
    assert dag.dagrun_timeout is None


def test_a_failed_push_is_tried_again_within_seconds(dag):
    push = dag.get_task(PUSH)
    assert push.upstream_task_ids == {SENSOR}
    assert (push.retries, push.retry_delay.total_seconds()) == (5, 2.0)


# -- in a running Airflow


@pytest.fixture(scope="module")
def sink():
    with metrics_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def places(server_url, tmp_path_factory, sink):
    home = tmp_path_factory.mktemp("push")
    config = Config(home, *free_ports(3))
    store = make_url(server_url).set(database=f"push_store_{os.getpid()}")
    with (
        new_database(server_url, f"push_meta_{os.getpid()}") as metadata,
        running_emulator(home / "org", Size(contacts=40, leads=5)) as org,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AIRFLOW_HOME", str(home / "in-process"))
        patch.setenv("AIRFLOW_CONN_SALESFORCE", org.airflow_connection)
        patch.setenv("REQUESTS_CA_BUNDLE", str(org.ca_bundle))
        environment = airflow_environment(
            config,
            Credentials(),
            metadata_url=metadata,
            store_url=store.render_as_string(hide_password=False),
        ) | {
            "AIRFLOW_CONN_SALESFORCE": org.airflow_connection,
            "REQUESTS_CA_BUNDLE": str(org.ca_bundle),
            "OPT_OUT_SYNC_PUSH_LINGER_SECONDS": "3",
            "OPT_OUT_SYNC_SWEEP_SECONDS": "15",
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
        }
        config.staging.mkdir()
        yield config, org, metadata, store, environment


@pytest.fixture(scope="module")
def airflow(places):
    config, _, _, _, environment = places
    with running_airflow(
        config.state, config.airflow_url, environment, {DAG}, TRIGGERER
    ) as running:
        yield running


@pytest.fixture
def world(places, airflow, server_url, database_url):
    config, org, _, store, _ = places
    org.reset()
    with new_database(server_url, store.database, make_url(database_url).database) as url:
        engine = connect(url)
        world = World(engine, org, UPath(config.staging))
        world.choose(enabled=True, clock_skew_seconds=0)
        world.confirm_org()
        airflow.api.unpause(DAG)
        yield world
        airflow.call("PATCH", f"dags/{DAG}?update_mask=is_paused", {"is_paused": True})
        engine.dispose()


def waits(airflow):
    """Whether the sensor of the newest run waits in the triggerer."""
    runs = airflow.runs(DAG)
    return bool(runs) and airflow.states(DAG, runs[-1]["dag_run_id"]).get(SENSOR) == "deferred"


def seconds_until(condition, longest=60):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < longest, "it did not come true"
        time.sleep(0.02)
    return time.monotonic() - begun


@pytest.mark.timeout(600)
def test_an_unsubscribe_reaches_salesforce_within_seconds(airflow, world):
    person, record = world.pair(False, False)
    airflow.wait_for(lambda: waits(airflow))
    world.unsubscribe(person, at=utc_now())
    seconds_until(lambda: world.in_salesforce(record))  # benchmarks/push.py measures
    run_id = airflow.runs(DAG)[-1]["dag_run_id"]
    assert airflow.ended(DAG, run_id) == "success"
    assert airflow.states(DAG, run_id) == {SENSOR: "success", PUSH: "success"}
    assert airflow.xcoms(DAG, run_id, PUSH) == {
        "return_value": {"batches": 1, "people": 1, "pushed": 1, "cleared": 0, "failed": {}}
    }
    airflow.wait_for(lambda: waits(airflow))  # the next one waits already


@pytest.mark.timeout(600)
def test_an_act_while_a_push_lingers_takes_no_new_task(airflow, world):
    (one, first), (two, second) = world.pair(False, False), world.pair(False, False)
    airflow.wait_for(lambda: waits(airflow))
    world.unsubscribe(one, at=utc_now())
    seconds_until(lambda: world.in_salesforce(first))
    world.unsubscribe(two, at=utc_now())
    seconds_until(lambda: world.in_salesforce(second))
    airflow.wait_for(lambda: waits(airflow))
    rows = world.sql("SELECT counts ->> 'batches' AS n FROM opt_out_sync.sync_run")
    assert [row.n for row in rows] == ["2"]


@pytest.mark.timeout(600)
def test_an_idle_push_sweeps_stays_green_and_opens_no_run(airflow, world):
    airflow.wait_for(lambda: waits(airflow))
    before = len(airflow.runs(DAG))
    airflow.wait_for(lambda: len(airflow.runs(DAG)) >= before + 2)
    # those of earlier tests ended with their database
    ended = [run["state"] for run in airflow.runs(DAG)[before - 1 :] if run["state"] != "running"]
    assert set(ended) == {"success"}
    assert world.sql("SELECT * FROM opt_out_sync.sync_run") == []


@pytest.mark.timeout(600)
def test_who_watches_airflow_sees_what_was_pushed_and_what_failed(airflow, world, sink):
    (one, record), (two, locked) = world.pair(False, False), world.pair(False, False)
    sink.values.clear()
    world.org.add_fault(action="row_error", ids=[locked], code="UNABLE_TO_LOCK_ROW", times=1)
    airflow.wait_for(lambda: waits(airflow))
    world.unsubscribe(one, at=utc_now())
    world.unsubscribe(two, at=utc_now())
    seconds_until(lambda: world.in_salesforce(record) and world.in_salesforce(locked))
    airflow.wait_for(lambda: sink.total("opt_out_sync.push.pushed") == 2)
    assert sink.total("opt_out_sync.push.failed.retry") == 1
    assert sink.total("opt_out_sync.push.failed.gone") == 0
    assert sink.values["airflow.opt_out_sync.push.waiting"][-1] == 0
    assert sink.values["airflow.opt_out_sync.push.oldest_seconds"][-1] == 0


@pytest.mark.timeout(600)
def test_what_happens_while_the_triggerer_is_dead_is_pushed_when_it_is_back(airflow, world):
    person, record = world.pair(False, False)
    airflow.wait_for(lambda: waits(airflow))
    airflow.kill("triggerer")
    world.unsubscribe(person, at=utc_now())
    time.sleep(3)
    assert not world.in_salesforce(record)
    airflow.start_again("triggerer")
    seconds_until(lambda: world.in_salesforce(record), longest=180)


@pytest.mark.timeout(600)
def test_nothing_about_people_rests_in_airflow(airflow, world, places):
    person, record = world.pair(False, False)
    airflow.wait_for(lambda: waits(airflow))
    world.unsubscribe(person, at=utc_now())
    seconds_until(lambda: world.in_salesforce(record))
    with connect(places[2]).begin() as conn:
        for table in ("xcom", "rendered_task_instance_fields", "trigger", "log"):
            rows = conn.execute(text(f"SELECT to_jsonb(t)::text FROM {table} AS t")).scalars().all()
            assert not any("canary@" in row or record in row for row in rows), table
