"""What a person reads of a field that cannot be read or written, and where it sends them."""

import pytest

from include.domain.values import STANDARD_FIELD, SalesforceObject
from include.salesforce.describe import FieldAccess
from include.sync.checks import field_checks, problems

CONTACT, LEAD = SalesforceObject
LABELS = {STANDARD_FIELD: "Email Opt Out", "Sales_Opt_Out__c": "Sales Opt Out"}
FINE = FieldAccess(readable=True, updateable=True)
HIDDEN = FieldAccess(readable=False, updateable=False)
READ_ONLY = FieldAccess(readable=True, updateable=False)


def of(contact=FINE, lead=FINE, field=STANDARD_FIELD):
    return {field: {CONTACT: contact, LEAD: lead}}


def test_a_field_that_can_be_read_and_written_leaves_nothing_to_do():
    checks = field_checks(of(), [STANDARD_FIELD], LABELS)
    assert [(each.obj, each.need, each.passed, each.fix) for each in checks] == [
        (CONTACT, "read", True, ""),
        (CONTACT, "write", True, ""),
        (LEAD, "read", True, ""),
        (LEAD, "write", True, ""),
    ]
    assert problems(of(), [STANDARD_FIELD], LABELS) == []


def test_a_hidden_field_is_one_problem_with_the_exact_path_in_setup():
    (problem,) = problems(of(lead=HIDDEN), [STANDARD_FIELD], LABELS)
    assert problem.sentence == (
        "HasOptedOutOfEmail of Lead cannot be read, so it is not synced: install the field, or "
        "give the integration user read and edit access to it (field-level security). Run the DAG "
        "salesforce_opt_out_setup, or go to Setup > Users > Permission Sets > Opt-Out Sync > "
        "Object Settings > Leads > Edit > Field Permissions > Email Opt Out."
    )


def test_a_read_only_field_is_a_problem_of_writing_alone():
    (problem,) = problems(
        of(contact=READ_ONLY, field="Sales_Opt_Out__c"), ["Sales_Opt_Out__c"], LABELS
    )
    assert (problem.need, problem.finding) == (
        "write",
        "Sales_Opt_Out__c of Contact cannot be written:",
    )
    assert problem.fix.endswith("Contacts > Edit > Field Permissions > Sales Opt Out.")


@pytest.mark.parametrize("labels", [{}, {"Another__c": "Another"}])
def test_a_field_without_a_known_label_is_called_by_its_name(labels):
    (problem, _) = problems(of(HIDDEN, HIDDEN, "X__c"), ["X__c"], labels)
    assert problem.fix.endswith("Field Permissions > X__c.")
