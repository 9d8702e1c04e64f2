"""Where a field goes on a page layout, and that everything else stays where it is."""

from xml.etree import ElementTree as ET

import pytest

from include.salesforce import layouts
from include.salesforce.metadata import document

NAMESPACE = 'xmlns="http://soap.sforce.com/2006/04/metadata"'
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
FIELD = "HasOptedOutOfEmail"


def item(field):
    return f"<layoutItems><behavior>Edit</behavior><field>{field}</field></layoutItems>"


def column(*fields):
    return f"<layoutColumns>{''.join(map(item, fields))}</layoutColumns>"


def section(label, *columns, style="TwoColumnsTopToBottom"):
    return (
        f"<layoutSections><customLabel>false</customLabel><label>{label}</label>"
        f"{''.join(columns)}<style>{style}</style></layoutSections>"
    )


def layout(*sections):
    """A layout with what this project knows nothing of around its sections."""
    return ET.fromstring(
        f"<records {NAMESPACE} {XSI}><fullName>Contact-Contact Layout</fullName>"
        "<excludeButtons>Submit</excludeButtons><feedLayout><rightComponents><componentType>"
        "Following</componentType></rightComponents></feedLayout>"
        f"{''.join(sections)}<relatedLists><relatedList>RelatedNoteList</relatedList>"
        '</relatedLists><showEmailCheckbox xsi:nil="true"/></records>'
    )


def shown(element):
    return [
        [[item.findtext("{*}field") for item in col] for col in each.findall("{*}layoutColumns")]
        for each in element.findall("{*}layoutSections")
    ]


MAIN = section("Contact Information", column("Name", "Title"), column("Email", "OwnerId"))
SYSTEM = section("System Information", column("CreatedById"), column())


def test_the_field_comes_last_in_the_column_of_the_address():
    changed = layout(MAIN, SYSTEM)
    assert layouts.add_field(changed, FIELD, []) == "Contact Information"
    assert shown(changed) == [
        [["Name", "Title"], ["Email", "OwnerId", FIELD]],
        [["CreatedById"], []],
    ]


def test_the_other_opt_out_field_is_the_better_place():
    changed = layout(MAIN, section("Privacy", column("Sales_Opt_Out__c"), column("X")))
    assert layouts.add_field(changed, FIELD, [FIELD, "Sales_Opt_Out__c"]) == "Privacy"
    assert shown(changed)[1] == [["Sales_Opt_Out__c", FIELD], ["X"]]


@pytest.mark.parametrize(
    "sections",
    [(SYSTEM,), (section("Links", column("Email"), style="CustomLinks"),), ()],
    ids=["no address", "links only", "no section"],
)
def test_a_layout_without_a_fitting_section_gets_one_at_the_end(sections):
    changed = layout(*sections)
    before = shown(changed)
    assert layouts.add_field(changed, FIELD, []) == "Opt-Out"
    assert shown(changed) == [*before, [[FIELD], []]]


def test_what_this_project_knows_nothing_of_stays():
    changed = layout(MAIN, SYSTEM)
    before = ET.fromstring(ET.tostring(changed))
    layouts.add_field(changed, FIELD, [])
    items = changed.findall(".//{*}layoutItems")
    (added,) = [each for each in items if each.findtext("{*}field") == FIELD]
    (column_of_it,) = [each for each in changed.iter() if added in list(each)]
    column_of_it.remove(added)
    assert layouts.canonical(changed) == layouts.canonical(before)


def test_a_file_has_no_name_and_nothing_that_is_null():
    root = ET.fromstring(document(layouts.as_file(layout(MAIN))))
    assert root.tag == "{http://soap.sforce.com/2006/04/metadata}Layout"
    names = [each.tag.rpartition("}")[2] for each in root]
    assert names == ["excludeButtons", "feedLayout", "layoutSections", "relatedLists"]
    assert root.findtext("{*}feedLayout/{*}rightComponents/{*}componentType") == "Following"


def test_two_readings_of_one_layout_are_equal_and_an_edit_shows():
    assert layouts.canonical(layout(MAIN)) == layouts.canonical(layout(MAIN))
    assert layouts.canonical(layout(MAIN)) != layouts.canonical(layout(MAIN, SYSTEM))
    assert layouts.canonical(layout(MAIN)) != layouts.canonical(
        layout(MAIN.replace("OwnerId", "X"))
    )


def test_a_field_is_found_wherever_it_stands():
    assert layouts.has_field(layout(SYSTEM, MAIN), "Email")
    assert not layouts.has_field(layout(SYSTEM, MAIN), FIELD)
