"""A SOQL syntax tree to SQLite's SQL, checked against what the user may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.salesforce_emulator.errors import SalesforceError, not_emulated
from local.salesforce_emulator.schema import UnknownFieldError
from local.salesforce_emulator.soql import (
    Comparison,
    Condition,
    Junction,
    Literal,
    Membership,
    Name,
    Negation,
    Query,
    Sort,
)
from local.salesforce_emulator.soql_values import to_stored_value, unquote

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field, FieldType, ObjectType
    from local.salesforce_emulator.schema import Schema

_KINDS: dict[FieldType, tuple[str, ...]] = {
    "boolean": ("TRUE", "FALSE"),
    "datetime": ("DATETIME", "DATE", "RELATIVE"),
    "date": ("DATE", "RELATIVE"),
}
_TEXT_TYPES = ("string", "email", "phone", "picklist")
_TEXT_KINDS = ("STRING",)
_ADVICE = "Please reference your WSDL or the describe call for the appropriate names."


@dataclass(frozen=True, slots=True)
class Plan:
    """A query ready to run.

    ``source`` is the SQL from FROM to OFFSET; put ``select ...`` in front of it.
    """

    object_type: ObjectType
    fields: tuple[Field, ...]
    source: str
    values: tuple[object, ...]
    is_count: bool


def plan(query: Query, schema: Schema, *, include_deleted: bool) -> Plan:
    """Resolve the names of a query and write its SQL.

    Raises:
        SalesforceError: 400 INVALID_TYPE, INVALID_FIELD or INVALID_QUERY_FILTER_OPERATOR.
    """
    object_type = schema.find_object(query.object_name.text)
    if object_type is None:
        raise _invalid_type(query)
    return _Planner(query, schema, object_type).plan(include_deleted=include_deleted)


def _pointer(query: Query, name: Name) -> str:
    """Return the head of an error: the line, a caret below the name, the position [recorded]."""
    line = query.text.splitlines()[name.line - 1]
    caret = " " * (name.column - 1)
    return f"\n{line}\n{caret}^\nERROR at Row:{name.line}:Column:{name.column}\n"


def _invalid_type(query: Query) -> SalesforceError:
    name = query.object_name
    return SalesforceError(
        400,
        "INVALID_TYPE",
        f"{_pointer(query, name)}sObject type '{name.text}' is not supported. If you are "
        "attempting to use a custom object, be sure to append the '__c' after the entity name. "
        + _ADVICE,
    )  # [documented]


class _Planner:
    def __init__(self, query: Query, schema: Schema, object_type: ObjectType) -> None:
        self._query = query
        self._schema = schema
        self._object_type = object_type
        self._values: list[object] = []

    def plan(self, *, include_deleted: bool) -> Plan:
        fields = tuple(map(self._field, self._query.fields))
        self._refuse_repeats(fields)
        source = f'from "{self._object_type.name}" where {self._where(include_deleted)}'
        source += self._order() + self._window()
        return Plan(self._object_type, fields, source, tuple(self._values), not self._query.fields)

    def _refuse_repeats(self, fields: tuple[Field, ...]) -> None:
        names = [field.name for field in fields]
        for name in names:
            if names.count(name) > 1:  # [documented]
                raise SalesforceError(400, "INVALID_FIELD", f"duplicate field selected: {name}")

    def _where(self, include_deleted: bool) -> str:
        parts = []
        if not include_deleted and self._object_type.has("IsDeleted"):
            parts.append('"IsDeleted" = 0')
        if row_filter := self._schema.row_filter(self._object_type):
            parts.append(row_filter)
        if self._query.where is not None:
            parts.append(self._condition(self._query.where))
        return " and ".join(parts) or "1"

    def _condition(self, condition: Condition) -> str:
        if isinstance(condition, Junction):
            word = f" {condition.word} "
            return f"({word.join(map(self._condition, condition.parts))})"
        if isinstance(condition, Negation):
            return f"(not {self._condition(condition.part)})"
        if isinstance(condition, Membership):
            return self._membership(condition)
        return self._comparison(condition)

    def _comparison(self, comparison: Comparison) -> str:
        """Return SQL that is never null: SOQL's ``!=`` also finds empty fields [documented]."""
        field = self._filterable(comparison.field)
        if comparison.operator == "LIKE":
            return self._like(field, comparison.value)
        value = self._value(comparison.field, field, comparison.value)
        operator = {"=": "is", "!=": "is not"}.get(comparison.operator, comparison.operator)
        self._values.append(value)
        collation = _collation(field)
        if operator in ("is", "is not"):
            return f"({field.sql} {operator} ? {collation})"
        return f"({field.sql} is not null and {field.sql} {operator} ? {collation})"

    def _like(self, field: Field, literal: Literal) -> str:
        if field.type not in _TEXT_TYPES:  # [documented]
            raise SalesforceError(
                400, "INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {field.type} field"
            )
        self._values.append(unquote(literal.text, kept="_%\\"))
        return f"({field.sql} is not null and {field.sql} like ? escape '\\')"

    def _membership(self, membership: Membership) -> str:
        field = self._filterable(membership.field)
        values = [self._value(membership.field, field, each) for each in membership.values]
        wanted = [value for value in values if value is not None]
        self._values.extend(wanted)
        expression = f"{field.sql} {_collation(field)}"
        found = f"({field.sql} is not null and {expression} in ({', '.join('?' * len(wanted))}))"
        if len(wanted) < len(values):
            found = f"({found} or {field.sql} is null)"
        return f"(not {found})" if membership.negated else found

    def _filterable(self, name: Name) -> Field:
        field = self._field(name)
        if field.type == "anyType":  # [documented], captured wording
            raise SalesforceError(
                400,
                "INVALID_FIELD",
                f"{_pointer(self._query, name)}field '{field.name}' can not be filtered in a "
                "query call",
            )
        return field

    def _field(self, name: Name) -> Field:
        if "." in name.text:
            raise not_emulated("relationships in SOQL (field paths with a dot)")
        try:
            return self._schema.visible_field(self._object_type, name.text)
        except UnknownFieldError as error:
            raise SalesforceError(
                400,
                "INVALID_FIELD",
                f"{_pointer(self._query, name)}No such column '{name.text}' on entity "
                f"'{self._object_type.name}'. If you are attempting to use a custom field, be sure "
                "to append the '__c' after the custom field name. " + _ADVICE,
            ) from error  # [recorded]

    def _value(self, name: Name, field: Field, literal: Literal) -> object:
        if literal.kind == "NULL":
            return None
        kinds = _KINDS.get(field.type, _TEXT_KINDS)
        if literal.kind not in kinds:
            quotes = "should be" if kinds == _TEXT_KINDS else "should not be"
            kind = "dateTime" if field.type == "datetime" else field.type
            raise SalesforceError(
                400,
                "INVALID_FIELD",
                f"{_pointer(self._query, name)}value of filter criterion for field "
                f"'{field.name}' must be of type {kind} and {quotes} enclosed in quotes",
            )  # [documented]
        return to_stored_value(field, literal)

    def _order(self) -> str:
        keys = [self._sort(sort) for sort in self._query.order]
        # A real org leaves the order of an unordered query open; here it is by Id [assumed].
        return " order by " + ", ".join([*keys, '"Id"'])

    def _sort(self, sort: Sort) -> str:
        field = self._field(sort.field)
        direction = "desc" if sort.descending else "asc"
        nulls = "last" if sort.nulls_last else "first"
        return f"{field.sql} {_collation(field)} {direction} nulls {nulls}"

    def _window(self) -> str:
        if self._query.limit is None and self._query.offset is None:
            return ""
        limit = -1 if self._query.limit is None else self._query.limit
        return f" limit {limit} offset {self._query.offset or 0}"


def _collation(field: Field) -> str:
    """Text compares without case, Ids with it [documented]."""
    return "collate nocase" if field.type in _TEXT_TYPES else ""
