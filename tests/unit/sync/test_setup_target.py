"""Which field becomes the opt-out field: values in, a decision out."""

import pytest

from include.domain.values import SalesforceObject
from include.salesforce.administration import FoundField, FoundObject
from include.salesforce.definitions import Checkbox
from include.sync.setup.target import FieldConflictError, Target, resolve

CONTACT, LEAD = SalesforceObject
WANTED = Checkbox("Sales_Opt_Out__c", "Sales Opt Out")
OURS = FoundField(WANTED.name, WANTED.label, "Checkbox")


def objects(contact=(), lead=()):
    return {
        obj: FoundObject(obj, False, {each.name.lower(): each for each in fields})
        for obj, fields in ((CONTACT, contact), (LEAD, lead))
    }


@pytest.mark.parametrize(
    ("contact", "lead", "missing"),
    [((), (), (CONTACT, LEAD)), ((OURS,), (), (LEAD,)), ((OURS,), (OURS,), ())],
    ids=["nowhere", "on one", "on both"],
)
def test_the_field_is_created_where_it_is_missing(contact, lead, missing):
    assert resolve(objects(contact, lead), WANTED) == Target(WANTED, missing, is_adopted=False)


def test_a_field_under_the_wanted_name_counts_whatever_its_label():
    other = FoundField(WANTED.name, "Kein Vertrieb", "Checkbox")
    theirs = FoundField("X__c", "MSE - Opt Out", "Checkbox")
    found = resolve(objects((other, theirs), (other,)), WANTED)
    assert found == Target(Checkbox(WANTED.name, "Kein Vertrieb"), (), is_adopted=False)


def test_a_field_of_the_original_product_is_found_on_either_object():
    theirs = FoundField("Opt__c", " MSE - Opt Out".strip(), "Checkbox")
    found = resolve(objects(lead=(theirs,)), WANTED)
    assert found == Target(Checkbox("Opt__c", "MSE - Opt Out"), (CONTACT,), is_adopted=True)


@pytest.mark.parametrize(
    "field",
    [
        FoundField("Text__c", "MSE - Opt Out", "Text"),
        FoundField("Standard", "MSE - Opt Out", "Checkbox"),
        FoundField("Other__c", "MSE Opt Out", "Checkbox"),
        FoundField("None__c", None, "Checkbox"),
    ],
    ids=["no checkbox", "a standard field", "another label", "no label"],
)
def test_what_only_looks_alike_is_not_adopted(field):
    assert resolve(objects((field,)), WANTED).checkbox == WANTED


@pytest.mark.parametrize(
    ("contact", "lead", "says"),
    [
        ((FoundField(WANTED.name, "X", "Text"),), (), "is Text and an opt-out is a checkbox"),
        (
            (FoundField(WANTED.name, "X", "Checkbox", is_formula=True),),
            (OURS,),
            "is a formula and an opt-out is a checkbox",
        ),
        (
            (FoundField("A__c", "MSE - Opt Out", "Checkbox"),),
            (FoundField("B__c", "Marketo Sales Opt Out", "Checkbox"),),
            "several fields could be the opt-out field: A__c, B__c",
        ),
        (
            (FoundField("ns__A__c", "MSE - Opt Out", "Checkbox"),),
            (),
            "ns__A__c belongs to a package and is not on Lead",
        ),
        (
            (FoundField("A__c", "MSE - Opt Out", "Checkbox"),),
            (FoundField("a__c", "MSE - Opt Out", "Checkbox"),),
            "differ in upper and lower case",
        ),
        (
            (FoundField("A__c", "MSE - Opt Out", "Checkbox"),),
            (FoundField("A__c", "Something", "Text"),),
            "A__c of Lead is Text",
        ),
    ],
    ids=["text", "formula", "two", "package", "case", "other type on the other object"],
)
def test_what_cannot_be_the_opt_out_field_is_refused(contact, lead, says):
    with pytest.raises(FieldConflictError, match=says):
        resolve(objects(contact, lead), WANTED)
