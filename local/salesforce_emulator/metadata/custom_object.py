"""CustomObject: of the standard objects here whether they keep a history, and their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator import administration
from local.salesforce_emulator.custom_fields import is_true
from local.salesforce_emulator.metadata import refusals
from local.salesforce_emulator.metadata.custom_field import CustomFields

if TYPE_CHECKING:
    from local.salesforce_emulator.metadata.components import Component
    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.org import Org

_CUSTOM_OBJECTS = "Objects of your own are not emulated"


class CustomObjects:
    """The kind ``CustomObject``."""

    name = "CustomObject"

    def names(self, org: Org) -> list[tuple[str, str]]:
        """Return an Id, which standard objects do not have, and the name of each object."""
        return [("", each.name) for each in org.definitions.all_objects() if each.updateable]

    def read(self, org: Org, full_name: str) -> Component | None:
        """Return an object with its fields."""
        object_type = _find(org, full_name)
        if object_type is None:
            return None
        fields = [
            CustomFields().read(org, f"{object_type.name}.{field.name}")
            for field in object_type.fields
            if field.custom or (field.updateable and field.permissionable)
        ]
        return {
            "fullName": object_type.name,
            "enableFeeds": False,
            "enableHistory": administration.keeps_history(org.database.read(), object_type),
            "fields": [_short(field) for field in fields if field is not None],
            "label": object_type.name,
            "pluralLabel": object_type.plural,
            "sharingModel": "ReadWrite",
        }

    def create(self, org: Org, user_id: str, component: Component) -> str:
        """Refuse: objects of one's own are not emulated."""
        refusals.refuse_unless(org, user_id)
        raise refusals.invalid(f"{_CUSTOM_OBJECTS}: {component.get('fullName')}", "fullName")

    def update(self, org: Org, user_id: str, component: Component) -> None:
        """Switch the history of an object on or off; the rest of it stays as it is [assumed]."""
        refusals.refuse_unless(org, user_id)
        object_type = _find(org, str(component.get("fullName", "")))
        if object_type is None:
            raise refusals.not_found(self.name, str(component.get("fullName")))
        if component.get("enableHistory") is None:
            return
        kept = is_true(component["enableHistory"])
        administration.keep_history(org.database, object_type, kept=kept)

    def delete(self, org: Org, user_id: str, full_name: str) -> None:
        """Refuse: a standard object stays."""
        refusals.refuse_unless(org, user_id)
        raise refusals.invalid(f"{full_name} is a standard object", "fullName")


def _find(org: Org, name: str) -> ObjectType | None:
    object_type = org.definitions.find_object(name)
    return object_type if object_type is not None and object_type.updateable else None


def _short(field: Component) -> Component:
    """Return a field as it stands inside its object: without the object's name."""
    return {**field, "fullName": str(field["fullName"]).partition(".")[2]}
