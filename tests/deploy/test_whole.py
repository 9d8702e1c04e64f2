"""The compose file's services as processes, two workers without a common disk, and two nights."""

import signal
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import text

from include.domain.values import SalesforceObject
from local.supervisor import STOPPING_SIGNALS
from tests.dags.places import new_places, new_world
from tests.deploy.machine import SERVICES, STARTED, WORKERS, running_machine, service_of
from tests.object_store import running_object_store

DAG = "unsubscribe_nightly_sync"
CHOICES = {
    # one at a time: two tasks that run are on two workers
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "1",
    # a third of the compose file's: still four signs of life
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "OPT_OUT_SYNC_RETRY_SECONDS": "1",
    # the org has fifty records and a few more
    "OPT_OUT_SYNC_SHARD_ROWS": "20",
}

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with running_object_store(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(scope="module")
def places(server_url, tmp_path_factory):
    with new_places(server_url, tmp_path_factory.mktemp("places"), "compose") as places:
        yield places


@pytest.fixture(scope="module")
def world(places, server_url, database_url):
    with new_world(places, server_url, database_url) as world:
        world.choose(enabled=True)
        yield world


@pytest.fixture(scope="module")
def machine(places, world, store, tmp_path_factory):
    handlers = {number: signal.getsignal(number) for number in STOPPING_SIGNALS}
    try:
        with running_machine(tmp_path_factory.mktemp("machine"), places, store, CHOICES) as machine:
            machine.airflow.wait_for(lambda: machine.airflow.api.has_dag(DAG))
            yield machine
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.fixture
def airflow(machine):
    return machine.airflow


def tasks(airflow, run_id):
    reply = airflow.call("GET", f"dags/{DAG}/dagRuns/{quote(run_id)}/taskInstances")
    return {name_of(each): each for each in reply["task_instances"]}


def name_of(task):
    return task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"


def workers_at_once(airflow, run_id, *names):
    """Wait until some tasks run; on which worker each does."""

    def running():
        found = tasks(airflow, run_id)
        if not all(found.get(name, {}).get("state") == "running" for name in names):
            return None
        return {name: found[name]["hostname"] for name in names}

    return airflow.wait_for(running)


def parquet_below(place):
    return [path for path in Path(place).rglob("*.parquet*") if path.is_file()]


def test_every_service_of_the_file_runs_and_is_healthy(machine):
    """But the database and the emulator, which the tests have already."""
    started = {service_of(name) for name in STARTED}
    assert SERVICES.keys() - started == {"postgres", "init", "salesforce-emulator"}
    assert [name for name in STARTED if not machine.is_healthy(name)] == []


def test_a_night_runs_on_both_workers_with_nothing_in_common_but_the_bucket(
    machine, airflow, world, store
):
    pairs = [world.pair(True, False), world.pair(False, True, SalesforceObject.LEAD)]
    world.org.hold_jobs(True)
    airflow.api.unpause(DAG)  # which starts the last complete night at once
    airflow.wait_for(lambda: airflow.runs(DAG))
    run_id = airflow.runs(DAG)[0]["dag_run_id"]
    at_once = workers_at_once(airflow, run_id, "extract.contact", "extract.lead")
    assert set(at_once.values()) == set(WORKERS)
    world.org.hold_jobs(False)
    assert airflow.ended(DAG, run_id) == "success"
    assert {each["try_number"] for each in tasks(airflow, run_id).values()} == {1}
    assert [world.agreed(*pair) for pair in pairs] == [True, True]

    files = {key.rpartition("/")[2] for key in store.keys("nights/night=")}
    assert {"Contact.parquet", "Contact.manifest.json"} <= files
    assert [parquet_below(machine.place(worker)) for worker in WORKERS] == [[], []]


def test_a_worker_that_is_killed_in_a_night_costs_one_try_of_its_shard(machine, airflow, world):
    pair = world.pair(True, False)
    world.org.hold_jobs(True)
    run_id = airflow.trigger(DAG)
    workers_at_once(airflow, run_id, "extract.contact", "extract.lead")
    with no_shard_decided(world):
        world.org.hold_jobs(False)
        at_once = airflow.wait_for(lambda: two_that_run(airflow, run_id, "decide"))
        (lost, dead), (_, alive) = at_once.items()
        assert dead != alive
        airflow.kill(dead)
    assert not machine.is_healthy(dead)
    assert airflow.ended(DAG, run_id) == "success"
    ended = tasks(airflow, run_id)
    again = {name: each["hostname"] for name, each in ended.items() if each["try_number"] != 1}
    assert again == {lost: alive}
    assert ended[lost]["try_number"] == 2
    assert len([name for name in ended if name.startswith("decide[")]) > len(WORKERS)
    assert world.agreed(*pair) is True
    states = world.sql("SELECT state FROM opt_out_sync.sync_run ORDER BY id")
    assert [row.state for row in states] == ["closed", "closed"]


@contextmanager
def no_shard_decided(world):
    """Let whoever begins to decide a shard of the newest run wait until the block ends."""
    with world.engine.connect() as conn, conn.begin() as transaction:
        conn.execute(text("SET LOCAL session_replication_role = replica"))  # lock the rows only
        conn.execute(text(BEGUN))
        yield
        transaction.rollback()


def two_that_run(airflow, run_id, task):
    """Name two mapped tasks that run, each with its worker, if there are two."""
    running = {
        name: each["hostname"]
        for name, each in tasks(airflow, run_id).items()
        if each["task_id"] == task and each["state"] == "running"
    }
    return running if len(running) == len(WORKERS) else None


BEGUN = """
INSERT INTO opt_out_sync.sync_step (sync_run_id, step, fence, started_at)
SELECT max(id), 'decide_' || shard, 1, now()
FROM opt_out_sync.sync_run, generate_series(0, 9) AS shard
GROUP BY shard
"""
