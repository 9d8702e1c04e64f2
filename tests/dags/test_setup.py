"""The DAG that sets an org up: its wiring, and a plan and a setup in a real Airflow."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from airflow.dag_processing.dagbag import DagBag

from include.domain.values import STANDARD_FIELD, SalesforceObject
from local.demo.airflow_env import airflow_environment
from local.demo.config import Config
from local.demo.credentials import Credentials
from local.salesforce_emulator.testing import Size, free_ports, running_emulator
from tests.conftest import new_database
from tests.dags.running_airflow import running_airflow
from tests.sync.test_setup import SETUP_PERMISSIONS, admin_connection

ROOT = Path(__file__).parents[2]
DAG = "salesforce_opt_out_setup"
STEPS = ["install_field", "grant_access", "add_to_layouts", "track_history", "verify"]
BOX = "Sales_Opt_Out__c"
WISH = {
    "plan_only": False,
    "field_mode": "both",
    "layouts": ["Contact-Contact Layout"],
    "track_history": True,
    "admin_connection": "salesforce_admin",
}


@pytest.fixture(scope="module")
def dag():
    return DagBag(ROOT / "dags").dags[DAG]


def test_it_runs_by_hand_alone_and_plans_unless_told_otherwise(dag):
    assert dag.timetable.summary == "None"
    assert dag.max_active_runs == 1
    assert dag.params["plan_only"] is True
    assert [task.task_id for task in dag.topological_sort()] == ["plan", "unless_plan_only", *STEPS]
    assert {task.trigger_rule.value for task in dag.tasks} == {"all_success"}


@pytest.fixture(scope="module")
def org(tmp_path_factory):
    with running_emulator(tmp_path_factory.mktemp("org"), Size(contacts=10, leads=5)) as org:
        yield org


@pytest.fixture(scope="module")
def airflow(server_url, database_url, org, tmp_path_factory):
    home = tmp_path_factory.mktemp("setup")
    config = Config(home, *free_ports(3))
    with (
        new_database(server_url, f"setup_meta_{os.getpid()}") as metadata,
        new_database(
            server_url, f"setup_store_{os.getpid()}", database_url.rpartition("/")[2].split("?")[0]
        ) as store,
    ):
        environment = airflow_environment(
            config, Credentials(), metadata_url=metadata, store_url=store
        ) | {
            "AIRFLOW_CONN_SALESFORCE": org.airflow_connection,
            "AIRFLOW_CONN_SALESFORCE_ADMIN": admin_connection(org),
            "REQUESTS_CA_BUNDLE": str(org.ca_bundle),
        }
        with running_airflow(config.state, config.airflow_url, environment, {DAG}) as running:
            running.call("PATCH", f"dags/{DAG}?update_mask=is_paused", {"is_paused": False})
            yield running


@pytest.fixture
def fresh(org):
    org.reset()
    for permission in SETUP_PERMISSIONS:
        org.set_user_permission(permission, granted=False)
    for obj in SalesforceObject:
        org.set_field_access(obj, STANDARD_FIELD, readable=False, updateable=False)
        org.set_object_access(obj, readable=False)
    return org


def run(airflow, **conf):
    """Run the DAG to its end; returns the states of its tasks and what they said."""
    body = {"logical_date": None, "conf": conf}
    run_id = airflow.call("POST", f"dags/{DAG}/dagRuns", body)["dag_run_id"]
    airflow.ended(DAG, run_id)
    said = {task: airflow.xcoms(DAG, run_id, task).get("return_value") for task in ("plan", *STEPS)}
    return airflow.states(DAG, run_id), said


@pytest.mark.timeout(900)
def test_a_plan_shows_in_airflow_and_changes_nothing(airflow, fresh):
    states, said = run(airflow, field_mode="both", admin_connection="salesforce_admin")
    assert states.pop("plan") == states.pop("unless_plan_only") == "success"
    assert set(states.values()) == {"skipped"}
    assert any("create the checkbox Sales_Opt_Out__c" in line for line in said["plan"])
    assert BOX not in fresh.records("Contact")[0]


@pytest.mark.timeout(900)
def test_a_setup_installs_everything_and_a_second_one_finds_nothing_to_do(airflow, fresh):
    states, said = run(airflow, **WISH)
    assert set(states.values()) == {"success"}, said
    assert fresh.records("Contact")[0][BOX] is False
    assert said["verify"][0].startswith("The integration user can read and write")
    states, said = run(airflow, **WISH)
    assert set(states.values()) == {"success"}
    assert all(said[step][0].startswith("Nothing to do") for step in STEPS[:-1])


@pytest.mark.timeout(900)
def test_a_missing_permission_fails_the_plan_at_once_and_the_log_says_which(airflow, fresh):
    fresh.set_user_permission("CustomizeApplication", granted=False, user="human")
    states, _ = run(airflow, **WISH)
    assert states["plan"] == "failed"
    assert set(states.values()) == {"failed", "upstream_failed"}
    run_id = airflow.runs(DAG)[-1]["dag_run_id"]
    path = f"dags/{DAG}/dagRuns/{quote(run_id)}/taskInstances/plan"
    assert airflow.call("GET", path)["try_number"] == 1  # permanent: not tried again
    log = str(airflow.call("GET", f"{path}/logs/1"))
    assert "lacks Customize Application" in log
    assert BOX not in fresh.records("Contact")[0]


@pytest.mark.timeout(900)
def test_a_step_whose_connection_breaks_half_way_is_tried_again_and_goes_on(airflow, fresh):
    fresh.add_fault(
        method="POST", path_contains="sobjects/FieldPermissions", action="reset_after", times=1
    )
    states, said = run(airflow, **WISH)
    assert set(states.values()) == {"success"}
    run_id = airflow.runs(DAG)[-1]["dag_run_id"]
    path = f"dags/{DAG}/dagRuns/{quote(run_id)}/taskInstances/grant_access"
    assert airflow.call("GET", path)["try_number"] == 2
    assert not any("create the permission set" in line for line in said["grant_access"])
    assert len([s for s in fresh.records("PermissionSet") if s["Name"] == "Opt_Out_Sync"]) == 1
