"""The page for the Salesforce admin against the definitions, the menu and the DAG."""

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from include.audit.settings import Settings
from include.domain.values import STANDARD_LABEL, SalesforceObject
from include.salesforce import menu
from include.salesforce.administration import PERMISSIONS
from include.salesforce.definitions import ADOPTED_LABELS, PERMISSION_SET, grants
from tests.docs.pages import ROOT, code_spans, page, rows, section

PAGE = page("docs/salesforce-admin.md")
LABEL = Settings().sales_opt_out_label
FLAT = " ".join(PAGE.split())


@pytest.mark.parametrize(
    "path",
    [
        menu.new_field("Contact", LABEL),
        menu.permission_set(),
        menu.system_permissions(),
        menu.object_access("Contact"),
        menu.field_access("Contact", STANDARD_LABEL),
        menu.assignment(),
        menu.layout("Contact", "Contact Layout"),
        menu.history("Contact"),
        menu.history("Account"),
    ],
)
def test_every_path_in_setup_is_the_one_that_messages_carry(path):
    assert path in FLAT


def test_the_table_of_permissions_is_what_the_permission_set_grants():
    table = section(PAGE, "Least privilege")
    told = {cells[0] for cells in rows(table)[1:]} | {cells[0] for cells in rows(table)[:1]}
    granted = grants(["a", "b"], person_accounts=True)
    assert {each.obj for each in granted.objects} == {*SalesforceObject, "Account"}
    assert all(each.read and each.edit and each.view_all for each in granted.objects)
    assert "Contact and Lead: *Read*, *View All*" in told
    assert "Contact and Lead: *Edit*" in told
    assert "Account: *Read*, *View All*, *Edit*" in told


def test_the_page_names_what_the_setup_takes_and_what_it_looks_for():
    for label in (*PERMISSIONS.values(), *ADOPTED_LABELS):
        assert f"*{label}*" in FLAT
    assert {PERMISSION_SET, Settings().sales_opt_out_field} <= set(code_spans(PAGE))


def test_every_parameter_of_the_dag_is_explained():
    dag = DagBag(ROOT / "dags").dags["salesforce_opt_out_setup"]
    explained = {cells[0].strip("`") for cells in rows(section(PAGE, "With the DAG"))}
    assert explained == set(dag.params)


def test_the_commands_for_salesforces_tools_name_folders_that_exist():
    named = {
        line.split("--source-dir ")[1].split()[0]
        for line in PAGE.splitlines()
        if "--source-dir" in line
    }
    assert named
    assert all((Path(ROOT) / "salesforce" / each).is_dir() for each in named)
