"""Every DAG file parses fast, says what it is for, and keeps the house rules."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

from include.audit.runs import LEASE

ROOT = Path(__file__).parents[2]
TAGS = {"opt-out-sync", "nightly", "held-clears", "push", "repair", "setup"}
QUESTIONS = {"unsubscribe_held_clears": {"ask"}}  # a retry would ask again


@pytest.fixture(scope="session")
def bag():
    return DagBag(ROOT / "dags")


@pytest.fixture(scope="session")
def nightly(bag):
    return bag.dags["unsubscribe_nightly_sync"]


def test_every_dag_file_is_imported_and_named_after_its_dag(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) == {path.stem for path in (ROOT / "dags").glob("*.py")}


def test_every_dag_says_what_it_is_for(bag):
    for dag in bag.dags.values():
        first_line = dag.doc_md.strip().splitlines()[0]
        assert first_line.endswith("."), f"{dag.dag_id}: the first line is a plain sentence"
        assert dag.description
        assert set(dag.tags) <= TAGS
        assert all(task.doc_md for task in dag.tasks), "every task shows its docs in the UI"


def test_every_parameter_is_typed_and_described(bag):
    for dag in bag.dags.values():
        for name, param in dag.params.items():
            schema = dag.params.get_param(name).schema
            assert schema.get("type"), f"{dag.dag_id}.{name}"
            assert schema.get("description") or dag.params.get_param(name).description, name
            assert param is not None


def test_every_dag_can_be_serialised(bag):
    for dag in bag.dags.values():
        assert json.dumps(DagSerialization.to_dict(dag))


def test_every_task_is_retried_unless_the_error_is_permanent(bag):
    for dag in bag.dags.values():
        questions = QUESTIONS.get(dag.dag_id, set())
        for task in dag.tasks:
            assert task.retries >= 3 or task.task_id in questions
            assert task.retry_exponential_backoff == 2.0
            assert task.retry_policy.rules[0].exception_path == (
                "include.domain.errors.PermanentSyncError"
            )


def test_a_night_is_a_data_interval_at_eight_in_the_evening_in_california(nightly):
    timetable = DagSerialization.to_dict(nightly)["dag"]["timetable"]
    assert timetable["__type"].endswith(".CronDataIntervalTimetable")
    assert timetable["__var"]["expression"] == "0 20 * * *"
    assert timetable["__var"]["timezone"] == "America/Los_Angeles"
    assert not nightly.catchup
    assert nightly.max_active_runs == 1


@pytest.mark.parametrize(
    ("dag_id", "task_id"),
    [
        ("unsubscribe_nightly_sync", "preflight"),
        ("unsubscribe_held_clears", "decide"),
        ("unsubscribe_held_clears", "reject"),
        ("unsubscribe_held_clears", "time_out"),
    ],
)
def test_what_takes_the_lease_outlasts_that_of_a_run_that_died_without_a_word(bag, dag_id, task_id):
    task = bag.dags[dag_id].get_task(task_id)
    delays = [task.retry_delay * 2**attempt for attempt in range(task.retries)]
    assert sum((min(delay, task.max_retry_delay) for delay in delays), timedelta()) > LEASE


def test_the_report_decides_the_colour_of_the_night(nightly):
    assert [task.task_id for task in nightly.leaves] == ["report"]
    assert nightly.get_task("report").trigger_rule == "all_done"
    extracts = {task.task_id for task in nightly.tasks if task.task_id.startswith("extract.")}
    assert nightly.get_task("report").upstream_task_ids == {"close", *extracts}  # waits for both
    others = [task for task in nightly.tasks if task.task_id != "report"]
    assert {task.trigger_rule.value for task in others} == {"all_success"}


def test_the_night_has_the_steps_of_its_drawing(nightly):
    assert [task.task_id for task in nightly.topological_sort()] == [
        "preflight",
        "extract.store",
        "extract.contact",
        "extract.lead",
        "merge",
        "load.store",
        "load.salesforce",
        "load.clears",
        "verify",
        "close",
        "report",
    ]


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "dags").glob("*.py")))
def test_parsing_imports_neither_pandas_nor_sqlalchemy_of_ours(module):
    """Measured in a fresh interpreter, because other tests have imported everything."""
    code = (
        "import sys, airflow.sdk, airflow.providers.standard.decorators.python\n"
        "before = set(sys.modules)\n"
        f"import {module}\n"
        "new = set(sys.modules) - before\n"
        "print(sorted(new & {'pandas', 'sqlalchemy', 'pyarrow', 'simple_salesforce', 'numpy'}))\n"
    )
    path = f"{ROOT}:{ROOT / 'dags'}:{ROOT / 'plugins'}"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip().splitlines()[-1] == "[]"
