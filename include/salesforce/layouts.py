"""A field on a page layout: where it makes sense, after what is there, nothing moved.

A layout is an XML document of the Metadata API. It is changed in place and otherwise kept as it
came, also what this project knows nothing of.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from include.salesforce.soap import Element, element, is_null, leaf, tag, text_of

KIND: Final = "Layout"
_SECTION: Final = "Opt-Out"
_LINKS: Final = "CustomLinks"
_EMAIL: Final = "Email"


def has_field(layout: Element, field: str) -> bool:
    """Tell whether the layout shows a field."""
    return any(text_of(item, "field") == field for item in layout.iter(tag("layoutItems")))


def add_field(layout: Element, field: str, others: Sequence[str]) -> str:
    """Put a field on a layout and return the label of its section.

    The section is that of another opt-out field, else that of the email address; there the field
    comes last in the same column, so that nothing moves. A layout without either gets a section of
    its own at the end.
    """
    for anchor in (*others, _EMAIL):
        for section, column in _columns(layout):
            if any(text_of(item, "field") == anchor for item in column.iter(tag("layoutItems"))):
                _append(column, _item(field))
                return text_of(section, "label") or _SECTION
    _append_section(layout, field)
    return _SECTION


def as_file(record: Element) -> Element:
    """Turn what was read into the root of a file: without its name, without what is null."""
    root = element(KIND)
    root.extend(each for each in record if each.tag != tag("fullName") and not is_null(each))
    return root


def canonical(record: Element) -> str:
    """Return a layout so that two readings of the same layout are equal."""
    return ET.canonicalize(ET.tostring(as_file(record), encoding="unicode"), strip_text=True)


def _columns(layout: Element) -> Iterator[tuple[Element, Element]]:
    for section in layout.iter(tag("layoutSections")):
        if text_of(section, "style") != _LINKS:
            for column in section.iter(tag("layoutColumns")):
                yield section, column


def _append(column: Element, item: Element) -> None:
    """Add an item behind the last one: elements of a kind stand together."""
    items = [place for place, each in enumerate(column) if each.tag == tag("layoutItems")]
    column.insert(items[-1] + 1 if items else 0, item)


def _append_section(layout: Element, field: str) -> None:
    section = element(
        "layoutSections",
        leaf("customLabel", True),
        leaf("detailHeading", True),
        leaf("editHeading", True),
        leaf("label", _SECTION),
        element("layoutColumns", _item(field)),
        element("layoutColumns"),
        leaf("style", "TwoColumnsTopToBottom"),
    )
    there = [place for place, each in enumerate(layout) if each.tag == tag("layoutSections")]
    layout.insert(there[-1] + 1 if there else len(layout), section)


def _item(field: str) -> Element:
    return element("layoutItems", leaf("behavior", "Edit"), leaf("field", field))
