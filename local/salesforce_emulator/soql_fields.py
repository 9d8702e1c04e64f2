"""Names in a query as fields, along relationships and under field-level security."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from local.salesforce_emulator import soql_errors
from local.salesforce_emulator.schema import UnknownFieldError

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.soql_tree import Name
    from local.salesforce_emulator.views import QueriedSchema

_MOST_STEPS = 5  # [documented]


@dataclass(frozen=True, slots=True)
class Relation:
    """A record on the way to a field: its path, its object, the SQL of its Id."""

    path: str
    object_name: str
    sql: str


class FieldFinder:
    """Finds the fields that names in one query mean.

    A field at the end of a path becomes a computed field named by the path: its SQL looks the
    parent up, so that it filters, sorts and renders as any other.
    """

    def __init__(
        self, text: str, alias: str | None, schema: QueriedSchema, object_type: ObjectType
    ) -> None:
        self._text = text
        self._schema = schema
        self._object_type = object_type
        self._own_names = {object_type.name.lower(), (alias or object_type.name).lower()}
        self.relations: dict[str, Relation] = {}

    def find(self, name: Name) -> Field:
        """Return the visible field of a name.

        Raises:
            SalesforceError: 400 INVALID_FIELD: a field or a relationship is unknown or hidden.
        """
        steps = name.text.split(".")
        if len(steps) > 1 and steps[0].lower() in self._own_names:
            steps = steps[1:]
        if len(steps) == 1:
            return self._field(name, self._object_type, steps[0])
        if len(steps) > _MOST_STEPS + 1:
            raise soql_errors.no_such_relationship(self._text, name, steps[_MOST_STEPS])
        return self._follow(name, steps)

    def _field(self, name: Name, object_type: ObjectType, step: str) -> Field:
        try:
            return self._schema.visible_field(object_type, step)
        except UnknownFieldError as error:
            raise soql_errors.no_such_column(self._text, name, step, object_type.name) from error

    def _follow(self, name: Name, steps: list[str]) -> Field:
        object_type, table, path = self._object_type, self._object_type.name, ""
        look_ups: list[str] = []
        for number, step in enumerate(steps[:-1]):
            reference, target = self._parent(name, object_type, step)
            path = f"{path}.{reference.relationship}" if path else str(reference.relationship)
            key = reference.sql_in(table)
            self.relations.setdefault(path, Relation(path, target.name, _nested(look_ups, key)))
            object_type, table = target, f"r{number}"
            look_ups.append(f'from "{target.name}" as "{table}" where "{table}"."Id" = {key}')
        field = self._field(name, object_type, steps[-1])
        sql = _nested(look_ups, field.sql_in(table))
        return replace(field, name=f"{path}.{field.name}", expression=sql, mirrors=None)

    def _parent(self, name: Name, object_type: ObjectType, step: str) -> tuple[Field, ObjectType]:
        for field in self._schema.visible_fields(object_type):
            if field.relationship is not None and field.relationship.lower() == step.lower():
                target = self._schema.find_object(field.reference_to[0])
                if target is not None:
                    return field, target
        raise soql_errors.no_such_relationship(self._text, name, step)


def _nested(look_ups: list[str], value: str) -> str:
    """Return the SQL of a value at the end of look-ups, the first of them outermost."""
    for look_up in reversed(look_ups):
        value = f"(select {value} {look_up})"
    return value
