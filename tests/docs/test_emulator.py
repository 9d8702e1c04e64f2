"""The page about the emulator against its code and its tests."""

import re

import pytest

from local.salesforce_emulator import control
from local.salesforce_emulator.connection import DEFAULT_PASSWORD, DEFAULT_SECURITY_TOKEN
from local.salesforce_emulator.faults import ACTIONS
from local.salesforce_emulator.identity import ADMIN_USERNAME, INTEGRATION_USERNAME
from tests.docs.pages import ROOT, code_spans, page, rows, section

PAGE = page("docs/emulator.md")
GRADES = {"recorded", "captured", "documented", "assumed"}
TRUSTED = rows(section(PAGE, "How far it can be trusted"))
WRITTEN = {
    name
    for path in (ROOT / "tests/emulator").glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


@pytest.mark.parametrize(("behaviour", "grade", "tests"), TRUSTED, ids=[row[0] for row in TRUSTED])
def test_every_behaviour_has_grades_and_tests_that_exist(behaviour, grade, tests):
    grades = [each.strip() for each in grade.split(",")]
    assert set(grades) <= GRADES
    assert len(set(grades)) == len(grades)
    named = re.findall(r"`(\w+)`", tests)
    assert named
    assert set(named) <= WRITTEN


def test_every_order_is_explained_and_every_explained_one_exists():
    orders = {path.strip("/").partition("{")[0].strip("/") for _, path, _ in control.ROUTES}
    explained = {
        span.removesuffix("/X")
        for order, _ in rows(section(PAGE, "Orders"))
        for span in re.findall(r"`([^`]+)`", order)
    }
    assert explained == orders


def test_every_fault_is_explained_and_every_explained_one_exists():
    explained = {
        span
        for action, _ in rows(section(PAGE, "Faults"))
        for span in re.findall(r"`([^`]+)`", action)
    }
    assert explained - {"refuse"} == set(ACTIONS)  # closing the ports is an order of its own


def test_the_grades_of_the_code_are_those_of_the_page():
    marks = {
        mark
        for path in (ROOT / "local/salesforce_emulator").rglob("*.py")
        for mark in re.findall(
            r"\[(recorded|captured|documented|assumed)\b", path.read_text(encoding="utf-8")
        )
    }
    assert marks == GRADES
    assert set(re.findall(r"\*(\w+)\*:", PAGE)) >= GRADES


def test_the_users_that_the_page_names_can_log_in():
    named = set(code_spans(PAGE))
    assert {ADMIN_USERNAME, INTEGRATION_USERNAME, DEFAULT_PASSWORD, DEFAULT_SECURITY_TOKEN} <= named
