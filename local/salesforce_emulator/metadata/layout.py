"""Layout: ``Contact-Contact Layout``, sections of columns of items."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from local.salesforce_emulator import layouts
from local.salesforce_emulator.definitions import UnknownFieldError, any_field
from local.salesforce_emulator.metadata import refusals
from local.salesforce_emulator.metadata.components import Component, as_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.salesforce_emulator.org import Org

_BEHAVIORS = ("Edit", "Readonly", "Required")
_STYLES = (
    "TwoColumnsTopToBottom", "TwoColumnsLeftToRight", "OneColumn", "CustomLinks",
)  # fmt: skip
_LISTS = ("layoutSections", "layoutColumns", "layoutItems")


class Layouts:
    """The kind ``Layout``."""

    name = "Layout"

    def names(self, org: Org) -> list[tuple[str, str]]:
        """Return Id and full name of each layout."""
        return layouts.names(org.database.read())

    def read(self, org: Org, full_name: str) -> Component | None:
        """Return a layout; special characters of its name may be escaped [documented]."""
        return layouts.find(org.database.read(), unquote(full_name))

    def create(self, org: Org, user_id: str, component: Component) -> str:
        """Save a new layout."""
        full_name, layout = self._checked(org, user_id, component)
        if self.read(org, full_name) is not None:
            raise refusals.duplicate(self.name, full_name)
        return self._save(org, full_name, layout)

    def update(self, org: Org, user_id: str, component: Component) -> None:
        """Replace a layout: what the new one does not have is gone [documented]."""
        full_name, layout = self._checked(org, user_id, component)
        if self.read(org, full_name) is None:
            raise refusals.not_found(self.name, full_name)
        self._save(org, full_name, layout)

    def delete(self, org: Org, user_id: str, full_name: str) -> None:
        """Remove a layout, but not the last one of its object [documented]."""
        refusals.refuse_unless(org, user_id)
        full_name = unquote(full_name)
        own = [name for _, name in self.names(org) if _object_of(name) == _object_of(full_name)]
        if full_name not in own:
            raise refusals.not_found(self.name, full_name)
        if len(own) == 1:
            raise refusals.invalid(f"{full_name} is the only layout of its object")
        with org.database.write() as connection:
            layouts.remove(connection, full_name)

    def _save(self, org: Org, full_name: str, layout: Component) -> str:
        with org.database.write() as connection:
            layout_id = layouts.save(org.database, connection, full_name, layout)
        org.reload()
        return layout_id

    def _checked(self, org: Org, user_id: str, component: Component) -> tuple[str, Component]:
        refusals.refuse_unless(org, user_id)
        full_name = unquote(str(component.get("fullName", "")))
        if org.definitions.find_object(_object_of(full_name)) is None or "-" not in full_name:
            raise refusals.not_found("CustomObject", _object_of(full_name))
        layout = _listed(component) | {"fullName": full_name}
        _refuse_unfit(org, full_name, layout)
        return full_name, layout


def _object_of(full_name: str) -> str:
    return full_name.partition("-")[0]


def _listed(component: Component) -> Component:
    """Return the component with lists where several may stand, even of one or none."""
    if not isinstance(component, dict):
        raise refusals.invalid("Sections, columns and items of a layout are objects")
    return {
        key: [_listed(each) for each in as_list(value)] if key in _LISTS else value
        for key, value in component.items()
    }


def _items(layout: Component) -> Iterator[Component]:
    for section in layout.get("layoutSections", []):
        for column in section.get("layoutColumns", []):
            yield from column.get("layoutItems", [])


def _refuse_unfit(org: Org, full_name: str, layout: Component) -> None:
    """Refuse unknown fields, a field twice, a style or behaviour there is not [documented]."""
    sections = layout.get("layoutSections", [])
    if not sections:
        raise refusals.invalid("A layout must have a section", "layoutSections")
    for section in sections:
        if section.get("style") not in _STYLES:
            raise refusals.invalid(f"{section.get('style')} is no style of a section", "style")
    seen: set[str] = set()
    for item in _items(layout):
        _refuse_item(org, full_name, item, seen)


def _refuse_item(org: Org, full_name: str, item: Component, seen: set[str]) -> None:
    name = item.get("field")
    if not name:  # an empty space, a link, a page
        return
    if item.get("behavior") not in _BEHAVIORS:
        raise refusals.invalid(f"{item.get('behavior')} is no behavior of {name}", "behavior")
    try:
        field = any_field(org.definitions.any_object(_object_of(full_name)), str(name))
    except UnknownFieldError as error:
        raise refusals.not_found("CustomField", f"{_object_of(full_name)}.{name}") from error
    if field.name in seen:
        raise refusals.invalid(f"Field:{field.name} is used more than once", "field")
    seen.add(field.name)
