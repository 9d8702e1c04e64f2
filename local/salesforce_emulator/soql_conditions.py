"""Conditions of a query as SQL that is never null."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator import soql_errors
from local.salesforce_emulator.soql_dates import span
from local.salesforce_emulator.soql_fields import FieldFinder
from local.salesforce_emulator.soql_tree import (
    Comparison,
    Condition,
    Junction,
    Literal,
    Membership,
    Name,
    Negation,
    SemiJoin,
)
from local.salesforce_emulator.soql_values import to_stored_value, unquote

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field, FieldType, ObjectType
    from local.salesforce_emulator.views import QueriedSchema

_KINDS: dict[FieldType, tuple[str, ...]] = {
    "boolean": ("TRUE", "FALSE"),
    "datetime": ("DATETIME", "RELATIVE"),  # a date alone is refused [captured]
    "date": ("DATE", "RELATIVE"),
    "double": ("NUMBER",),
}
_TEXT_TYPES = ("string", "email", "phone", "picklist", "url")
_TEXT_KINDS = ("STRING",)
_EQUALITY = {"=": "is", "!=": "is not"}


class Conditions:
    """Writes the WHERE of one query; ``values`` are its parameters, in order."""

    def __init__(self, text: str, schema: QueriedSchema, finder: FieldFinder) -> None:
        self._text = text
        self._schema = schema
        self._finder = finder
        self.values: list[object] = []

    def sql(self, condition: Condition) -> str:
        """Return the SQL of a condition.

        Raises:
            SalesforceError: 400, a field, operator or value does not fit.
        """
        if isinstance(condition, Junction):
            return _joined(f" {condition.word} ", [self.sql(part) for part in condition.parts])
        if isinstance(condition, Negation):
            return f"(not {self.sql(condition.part)})"
        if isinstance(condition, Membership):
            return self._membership(condition)
        if isinstance(condition, SemiJoin):
            return self._semi_join(condition)
        return self._comparison(condition)

    def _comparison(self, comparison: Comparison) -> str:
        """SOQL's ``!=`` also finds empty fields [documented]."""
        field = self._filterable(comparison.field)
        if comparison.operator == "LIKE":
            return self._like(field, comparison.value)
        if comparison.value.kind == "RELATIVE":
            return self._in_span(comparison, field)
        value = self._value(comparison.field, field, comparison.value)
        self.values.append(value)
        collated = f"? {_collation(field)}"
        if comparison.operator in _EQUALITY:
            return f"({field.sql} {_EQUALITY[comparison.operator]} {collated})"
        if field.type == "boolean":
            raise soql_errors.wrong_operator(field)
        return f"({field.sql} is not null and {field.sql} {comparison.operator} {collated})"

    def _in_span(self, comparison: Comparison, field: Field) -> str:
        """Compare with a span of days: before it, in it, after it [documented]."""
        self._check_kind(comparison.field, field, comparison.value)
        first, end = span(field, comparison.value.text)
        sql, known = field.sql, f"{field.sql} is not null"
        within = f"({known} and {sql} >= ? and {sql} < ?)"
        if comparison.operator in _EQUALITY:
            self.values += [first, end]
            return within if comparison.operator == "=" else f"(not {within})"
        sign, bound = {"<": ("<", first), ">=": (">=", first), "<=": ("<", end), ">": (">=", end)}[
            comparison.operator
        ]
        self.values.append(bound)
        return f"({known} and {sql} {sign} ?)"

    def _like(self, field: Field, literal: Literal) -> str:
        if field.type not in _TEXT_TYPES:
            raise soql_errors.wrong_operator(field)
        self.values.append(unquote(literal.text, kept="_%\\"))
        return f"({field.sql} is not null and {field.sql} like ? escape '\\')"

    def _membership(self, membership: Membership) -> str:
        field = self._filterable(membership.field)
        given = [self._value(membership.field, field, each) for each in membership.values]
        values = list(dict.fromkeys(given))
        wanted = [value for value in values if value is not None]
        self.values.extend(wanted)
        expression = f"{field.sql} {_collation(field)}"
        found = f"({field.sql} is not null and {expression} in ({', '.join('?' * len(wanted))}))"
        if len(wanted) < len(values):
            found = f"({found} or {field.sql} is null)"
        return f"(not {found})" if membership.negated else found

    def _semi_join(self, join: SemiJoin) -> str:
        field = self._filterable(join.field)
        inner_type = self._schema.find_object(join.object_name.text)
        if inner_type is None:
            raise soql_errors.invalid_type(self._text, join.object_name)
        finder = FieldFinder(self._text, None, self._schema, inner_type)
        selected = finder.find(join.selected)
        for each, of in ((field, None), (selected, inner_type)):
            if each.type not in ("id", "reference"):
                raise soql_errors.not_a_key(each.name, of or inner_type)
        parts = [*visible_rows(self._schema, inner_type), f"{selected.sql} is not null"]
        if join.where is not None:
            inner = Conditions(self._text, self._schema, finder)
            parts.append(inner.sql(join.where))
            self.values.extend(inner.values)
        rows = f'select {selected.sql} from "{inner_type.name}" where {" and ".join(parts)}'  # noqa: S608
        found = f"({field.sql} is not null and {field.sql} in ({rows}))"
        return f"(not {found})" if join.negated else found

    def _filterable(self, name: Name) -> Field:
        field = self._finder.find(name)
        if field.type in ("anyType", "textarea", "complexvalue"):
            raise soql_errors.not_filterable(self._text, name, field)
        return field

    def _value(self, name: Name, field: Field, literal: Literal) -> object:
        if literal.kind == "NULL":
            return None
        self._check_kind(name, field, literal)
        if literal.kind == "RELATIVE":  # in a list of values [assumed]
            raise soql_errors.wrong_value(self._text, name, field)
        return to_stored_value(field, literal)

    def _check_kind(self, name: Name, field: Field, literal: Literal) -> None:
        if literal.kind not in _KINDS.get(field.type, _TEXT_KINDS):
            raise soql_errors.wrong_value(self._text, name, field)


def visible_rows(schema: QueriedSchema, object_type: ObjectType) -> list[str]:
    """Return the conditions which leave out deleted records and rows nobody may see."""
    parts = ['"IsDeleted" = 0'] if object_type.has("IsDeleted") else []
    row_filter = schema.row_filter(object_type)
    return [*parts, row_filter] if row_filter else parts


def _joined(word: str, parts: list[str]) -> str:
    """Join conditions as a balanced tree: SQLite refuses chains a thousand deep."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(word, parts[:middle])}{word}{_joined(word, parts[middle:])})"


def _collation(field: Field) -> str:
    """Text compares without case, Ids with it [documented]."""
    return "collate nocase" if field.type in _TEXT_TYPES else ""


def order_sql(field: Field, *, descending: bool, nulls_last: bool) -> str:
    """Return the SQL of one sort key."""
    direction = "desc" if descending else "asc"
    nulls = "last" if nulls_last else "first"
    return f"{field.sql} {_collation(field)} {direction} nulls {nulls}"
