"""Objects of the Tooling API: custom fields, layouts and objects as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.access import FieldAccess
from local.salesforce_emulator.definitions import any_field
from local.salesforce_emulator.errors import not_found
from local.salesforce_emulator.objects import Field, FieldType, ObjectType, system_field

if TYPE_CHECKING:
    from local.salesforce_emulator.schema import Schema


def _field(name: str, kind: FieldType, expression: str | None = None, **more: str) -> Field:
    field = system_field(name, kind, name, 255, expression=expression)
    if not more:
        return field
    return system_field(
        name, kind, name, 255, expression=expression, reference_to=(more["to"],),
        relationship=more["by"],
    )  # fmt: skip


_OF_ENTITY = _field(
    "EntityDefinitionId",
    "string",
    '{table}."TableEnumOrId"',
    to="EntityDefinition",
    by="EntityDefinition",
)
_COMMON = (
    _field("Id", "id"),
    _field("TableEnumOrId", "string"),
    _OF_ENTITY,
    _field("NamespacePrefix", "string", "null"),
    _field("ManageableState", "string", "'unmanaged'"),
    _field("LastModifiedDate", "datetime"),
)
CUSTOM_FIELD = ObjectType(
    "CustomField",
    "00N",
    "Custom Fields",
    (
        *_COMMON,
        _field("CreatedDate", "datetime"),
        # without its suffix [documented]
        _field("DeveloperName", "string", "substr({table}.name, 1, length({table}.name) - 3)"),
        _field("FullName", "string", "{table}.\"TableEnumOrId\" || '.' || {table}.name"),
        _field("Metadata", "complexvalue", "{table}.metadata"),
    ),
    updateable=False,
)
LAYOUT = ObjectType(
    "Layout",
    "00h",
    "Layouts",
    (
        *_COMMON,
        _field("Name", "string", 'substr({table}.full_name, length({table}."TableEnumOrId") + 2)'),
        _field("FullName", "string", "{table}.full_name"),
        _field("Metadata", "complexvalue", "{table}.metadata"),
    ),
    updateable=False,
)
ENTITY_DEFINITION = ObjectType(
    "EntityDefinition",
    "4ie",
    "Entity Definitions",
    (
        _field("Id", "string"),
        _field("DurableId", "string", '{table}."Id"'),
        _field("QualifiedApiName", "string", '{table}."Id"'),
        _field("DeveloperName", "string", '{table}."Id"'),
        _field("Label", "string"),
        _field("KeyPrefix", "string"),
    ),
    updateable=False,
)
TOOLING_OBJECTS = (CUSTOM_FIELD, LAYOUT, ENTITY_DEFINITION)
ONE_ROW_ONLY = ("FullName", "Metadata")  # a query for these may find one row [documented]


class ToolingSchema:
    """The objects of the Tooling API as a user sees them: all or, without View Setup, none.

    Offers what a query asks of a ``Schema``.
    """

    def __init__(self, schema: Schema) -> None:
        self._objects = {each.name.lower(): each for each in TOOLING_OBJECTS}
        if not schema.may("ViewSetup"):
            self._objects = {}

    def find_object(self, name: str) -> ObjectType | None:
        """Return the object of that name, None without one."""
        return self._objects.get(name.lower())

    def object_type(self, name: str) -> ObjectType:
        """Return the object of that name.

        Raises:
            SalesforceError: 404 NOT_FOUND.
        """
        found = self.find_object(name)
        if found is None:
            raise not_found()
        return found

    def row_filter(self, _object_type: ObjectType) -> str | None:
        """Return None: every row may be seen."""
        return None

    def access(self, _object_type: ObjectType, _field: Field) -> FieldAccess:
        """Return that every field may be read; saving is for administrators."""
        return FieldAccess(readable=True, updateable=False)

    def visible_fields(self, object_type: ObjectType) -> list[Field]:
        """Return every field."""
        return list(object_type.fields)

    def visible_field(self, object_type: ObjectType, name: str) -> Field:
        """Return the field of that name.

        Raises:
            UnknownFieldError: there is none.
        """
        return any_field(object_type, name)
