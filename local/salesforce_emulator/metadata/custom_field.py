"""CustomField: ``Contact.X__c``, and of standard fields whether their history is tracked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import administration, history
from local.salesforce_emulator.custom_fields import TYPES, is_true
from local.salesforce_emulator.definitions import UnknownFieldError, any_field
from local.salesforce_emulator.metadata import refusals

if TYPE_CHECKING:
    from local.salesforce_emulator.metadata.components import Component
    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.org import Org

_NAME = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*__c\Z")
_MOST_LETTERS = 40  # of a name without its suffix, and of a label [documented]
_NEEDS_LENGTH = ("Text",)
_TAKES_LENGTH = ("Text",)
_LONGEST_TEXT = 255  # [documented]


class CustomFields:
    """The kind ``CustomField``."""

    name = "CustomField"

    def names(self, org: Org) -> list[tuple[str, str]]:
        """Return Id and full name of each custom field."""
        rows = org.database.read().execute(
            'select "Id", "TableEnumOrId" || \'.\' || name from "CustomField" order by 2'
        )
        return rows.fetchall()

    def read(self, org: Org, full_name: str) -> Component | None:
        """Return a custom field; of a standard one whether it is tracked [captured]."""
        found = _find(org, full_name)
        if found is None:
            return None
        object_type, field = found
        connection = org.database.read()
        tracked = history.is_tracked(connection, object_type, field)
        custom = administration.custom_metadata(connection, object_type, field.name)
        full = f"{object_type.name}.{field.name}"
        return {**(custom or {}), "fullName": full, "trackHistory": tracked}

    def create(self, org: Org, user_id: str, component: Component) -> str:
        """Add a custom field, which nobody sees before field-level security lets them."""
        refusals.refuse_unless(org, user_id)
        return install(org, component)

    def update(self, org: Org, user_id: str, component: Component) -> None:
        """Replace a custom field's metadata but not its type; track any field's history."""
        refusals.refuse_unless(org, user_id)
        found = _find(org, str(component.get("fullName", "")))
        if found is None:
            raise refusals.not_found(self.name, str(component.get("fullName")))
        object_type, field = found
        if is_true(component.get("trackHistory")):
            _refuse_tracking(org, object_type)
        if field.custom:
            before = administration.custom_metadata(org.database.read(), object_type, field.name)
            _, metadata = _checked(org, component, is_new=False)
            if before is not None and before["type"] != metadata["type"]:  # [assumed]
                raise refusals.invalid(
                    f"Cannot change field type from {before['type']} to {metadata['type']}", "type"
                )
            administration.change_field(org.database, object_type, metadata)
            org.reload()
        _track(org, component)

    def delete(self, org: Org, user_id: str, full_name: str) -> None:
        """Remove a custom field with its values."""
        refusals.refuse_unless(org, user_id)
        found = _find(org, full_name)
        if found is None or not found[1].custom:
            raise refusals.not_found(self.name, full_name)
        administration.remove_field(org.database, *found)
        org.reload()


def install(org: Org, component: Component, granted_to: str | None = None) -> str:
    """Add a custom field and return its Id; ``granted_to`` is a user who sees it at once.

    Raises:
        ComponentError: it contradicts itself, or its name is taken.
    """
    object_type, metadata = _checked(org, component)
    if _find(org, str(component["fullName"])) is not None:
        raise refusals.taken(str(component["fullName"]), object_type.name)
    if is_true(component.get("trackHistory")):
        _refuse_tracking(org, object_type)
    field_id = administration.install_field(
        org.database, object_type, metadata, granted_to=granted_to
    )
    org.reload()
    _track(org, component)
    return field_id


def _find(org: Org, full_name: str) -> tuple[ObjectType, Field] | None:
    sobject, _, name = full_name.partition(".")
    object_type = org.definitions.find_object(sobject)
    if object_type is None or not object_type.updateable:
        return None
    try:
        return object_type, any_field(object_type, name)
    except UnknownFieldError:
        return None


def _checked(
    org: Org, component: Component, *, is_new: bool = True
) -> tuple[ObjectType, Component]:
    """Return the object and what is kept of the component: its own, short name first."""
    full_name = str(component.get("fullName", ""))
    sobject, _, name = full_name.partition(".")
    object_type = org.definitions.find_object(sobject)
    if object_type is None or not object_type.updateable:
        raise refusals.not_found("CustomObject", sobject)
    is_name = _NAME.match(name) and len(name) <= _MOST_LETTERS + len("__c")
    if is_new and not is_name:  # that of a package's field has a namespace in front [documented]
        raise refusals.invalid(
            "The Field Name can only contain alphanumeric characters and underscores, must begin "
            f"with a letter and end in __c: {name}",
            "fullName",
        )
    _refuse_unfit(component)
    kept = {key: value for key, value in component.items() if key != "trackHistory"}
    return object_type, {**kept, "fullName": name}


def _refuse_unfit(component: Component) -> None:
    """Refuse what a field of its type must have and has not, or cannot have [documented]."""
    kind, label = component.get("type"), component.get("label")
    if kind not in TYPES:
        raise refusals.invalid(f"Field type {kind} is not emulated or does not exist", "type")
    if not label or len(str(label)) > _MOST_LETTERS:
        raise refusals.invalid("Must specify a label of at most 40 characters", "label")
    if kind == "Checkbox" and component.get("defaultValue") is None:
        raise refusals.invalid("Must specify 'defaultValue' for a CustomField of type Checkbox")
    length = component.get("length")
    if kind in _NEEDS_LENGTH and not _is_length(length):
        raise refusals.invalid(f"Must specify 'length' for a CustomField of type {kind}", "length")
    if kind not in _TAKES_LENGTH and length not in (None, 0, "0"):
        raise refusals.invalid(
            f"Can not specify 'length' for a CustomField of type {kind}", "length"
        )


def _is_length(length: Any) -> bool:
    return str(length).isdecimal() and 1 <= int(length) <= _LONGEST_TEXT


def _refuse_tracking(org: Org, object_type: ObjectType) -> None:
    """A field is tracked only where the object keeps a history [documented], else [assumed]."""
    if not administration.keeps_history(org.database.read(), object_type):
        raise refusals.invalid(
            f"Cannot set trackHistory: {object_type.name} does not enable history", "trackHistory"
        )


def _track(org: Org, component: Component) -> None:
    found = _find(org, str(component["fullName"]))
    if found is None or component.get("trackHistory") is None:
        return
    try:
        administration.track(org.database, *found, tracked=component["trackHistory"])
    except history.NotTrackableError as error:
        raise refusals.invalid(str(error), "trackHistory") from error
