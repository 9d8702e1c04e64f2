"""Every DAG file parses fast, says what it is for, and keeps the house rules."""

import json
import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import RetryAction
from airflow.serialization.serialized_objects import DagSerialization
from airflow.task.priority_strategy import validate_and_load_priority_weight_strategy
from unsubscribe_sync_defaults import from_environment

from include.audit.runs import LEASE, NightAlreadyOpenError, StaleAttemptError, night_of
from include.store.errors import StoreBusyError

ROOT = Path(__file__).parents[2]
PACIFIC = ZoneInfo("America/Los_Angeles")
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


def test_each_local_date_is_one_night_and_nights_touch_when_the_clocks_change(nightly):
    """Two years, as Airflow's scheduler and a backfill enumerate them."""
    dag = DagSerialization.from_dict(DagSerialization.to_dict(nightly))
    begin, end = (datetime(year, 1, 1, 20, tzinfo=PACIFIC) for year in (2026, 2028))
    intervals = [info.data_interval for info in dag.iter_dagrun_infos_between(begin, end)]
    nights = [night_of(interval.end) for interval in intervals]
    assert nights == [date(2026, 1, 2) + timedelta(days) for days in range(len(nights))]
    assert nights[-1] == date(2028, 1, 2)
    assert all(one.end == next_one.start for one, next_one in pairwise(intervals))
    lengths = {night: i.end - i.start for night, i in zip(nights, intervals, strict=True)}
    odd = {night: length for night, length in lengths.items() if length != timedelta(hours=24)}
    assert odd == {
        date(2026, 3, 8): timedelta(hours=23),
        date(2026, 11, 1): timedelta(hours=25),
        date(2027, 3, 14): timedelta(hours=23),
        date(2027, 11, 7): timedelta(hours=25),
    }
    assert {i.end.astimezone(PACIFIC).hour for i in intervals} == {20}


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
    delays = [task.retry_delay * 2**attempt for attempt in range(min(task.retries, 20))]
    assert sum((min(delay, task.max_retry_delay) for delay in delays), timedelta()) > LEASE


def test_a_night_that_has_begun_goes_on_before_another_one_begins(nightly):
    rules = {task.weight_rule for task in nightly.tasks}
    (rule,) = map(validate_and_load_priority_weight_strategy, rules)
    dag = DagSerialization.from_dict(DagSerialization.to_dict(nightly))
    weights = {task.task_id: rule.get_weight(SimpleNamespace(task=task)) for task in dag.tasks}
    assert min(weights, key=weights.get) == "preflight"
    assert max(weights, key=weights.get) == "report"


def test_waiting_for_the_lease_is_patient_and_nothing_else_is(nightly):
    preflight = nightly.get_task("preflight")

    def decides(error, number):
        return preflight.retry_policy.evaluate(error, number, preflight.retries)

    waiting = decides(NightAlreadyOpenError("run 7 holds the lease"), preflight.retries)
    assert waiting.action is RetryAction.RETRY
    assert waiting.retry_delay * preflight.retries >= timedelta(hours=2)
    assert decides(StoreBusyError("40001"), 7).action is RetryAction.DEFAULT
    assert decides(StoreBusyError("40001"), 8).action is RetryAction.FAIL
    assert decides(StaleAttemptError("replaced"), 1).action is RetryAction.FAIL


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
        "split",
        "decide",
        "merge",
        "load.store",
        "load.salesforce",
        "load.clears",
        "verify",
        "close",
        "report",
    ]


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "dags").glob("*.py")))
def test_parsing_imports_neither_pandas_nor_an_engine(module):
    """Measured in a fresh interpreter, because other tests have imported everything."""
    code = (
        "import sys, airflow.sdk, airflow.providers.standard.decorators.python\n"
        "before = set(sys.modules)\n"
        f"import {module}\n"
        "new = set(sys.modules) - before\n"
        "print(sorted(new & {'sqlalchemy', 'psycopg2', 'simple_salesforce', 'requests'}))\n"
        "heavy = {'pandas', 'pandera', 'pyarrow', 'numpy', 'adbc_driver_manager'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    path = f"{ROOT}:{ROOT / 'dags'}:{ROOT / 'plugins'}"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip().splitlines()[-2:] == ["[]", "[]"]


def test_so_many_shards_are_decided_at_a_time(nightly):
    assert nightly.get_task("decide").max_active_tis_per_dagrun == 4


@pytest.mark.parametrize("given", ["often", "0", "-1", "nan", "inf"])
@pytest.mark.parametrize(
    "name",
    ["RETRY_SECONDS", "SWEEP_SECONDS", "SLOW_SECONDS", "SHARDS_AT_ONCE"],
)
def test_a_number_that_is_none_is_named_where_a_dag_is_not_imported(monkeypatch, name, given):
    monkeypatch.setenv(f"OPT_OUT_SYNC_{name}", given)
    with pytest.raises(ValueError, match=f"OPT_OUT_SYNC_{name} must be a number above 0"):
        from_environment(f"OPT_OUT_SYNC_{name}", 1)


def test_an_empty_number_is_the_usual_one(monkeypatch):
    """Compose hands on a variable that nobody has set as an empty text."""
    monkeypatch.setenv("OPT_OUT_SYNC_SWEEP_SECONDS", "")
    assert from_environment("OPT_OUT_SYNC_SWEEP_SECONDS", 900) == 900
