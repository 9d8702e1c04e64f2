"""A SOQL syntax tree to SQLite's SQL, checked against what the user may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.salesforce_emulator import soql_errors
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.soql import malformed
from local.salesforce_emulator.soql_conditions import Conditions, order_sql, visible_rows
from local.salesforce_emulator.soql_fields import FieldFinder, Relation
from local.salesforce_emulator.soql_groups import Group, Groups
from local.salesforce_emulator.soql_tree import Aggregate, FieldSet, Name, Query, Sort

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.views import QueriedSchema

_MOST_OF_A_SET = 200  # [documented]


@dataclass(frozen=True, slots=True)
class Plan:
    """A query ready to run.

    ``source`` is the SQL from FROM to OFFSET; put ``select ...`` in front of it. Groups make the
    records of an aggregate query, fields those of any other.
    """

    object_type: ObjectType
    fields: tuple[Field, ...]
    source: str
    values: tuple[object, ...]
    is_count: bool
    relations: tuple[Relation, ...] = ()
    groups: tuple[Group, ...] = ()


def plan(
    query: Query, schema: QueriedSchema, *, include_deleted: bool, shuffled: int | None = None
) -> Plan:
    """Resolve the names of a query and write its SQL.

    A query without ORDER BY comes by Id, or in an order made from the seed ``shuffled``: a real
    org leaves it open.

    Raises:
        SalesforceError: 400 INVALID_TYPE, INVALID_FIELD or INVALID_QUERY_FILTER_OPERATOR.
    """
    object_type = schema.find_object(query.object_name.text)
    if object_type is None:
        raise soql_errors.invalid_type(query.text, query.object_name)
    planner = _Planner(query, schema, object_type, shuffled)
    return planner.plan(include_deleted=include_deleted)


class _Planner:
    def __init__(
        self, query: Query, schema: QueriedSchema, object_type: ObjectType, shuffled: int | None
    ) -> None:
        self._query = query
        self._schema = schema
        self._object_type = object_type
        self._shuffled = shuffled
        self._finder = FieldFinder(query.text, query.alias, schema, object_type)
        self._conditions = Conditions(query.text, schema, self._finder)

    def plan(self, *, include_deleted: bool) -> Plan:
        if self._query.is_aggregate:
            return self._grouped(include_deleted=include_deleted)
        fields = tuple(field for each in self._query.fields for field in self._fields(each))
        relations = tuple(self._finder.relations.values())
        _refuse_repeats([field.name for field in fields])
        if self._query.fields and not fields:  # FIELDS(CUSTOM) where there are none
            raise malformed("The query must have at least one field selected")  # [assumed]
        source = f"{self._from(include_deleted)}{self._order()}{self._window()}"
        is_count = not self._query.fields
        values = tuple(self._conditions.values)
        return Plan(self._object_type, fields, source, values, is_count, relations)

    def _fields(self, selected: Name | Aggregate | FieldSet) -> list[Field]:
        if isinstance(selected, Name):
            return [self._finder.find(selected)]
        assert isinstance(selected, FieldSet)  # noqa: S101 - aggregates are planned elsewhere
        if selected.scope != "STANDARD" and (self._query.limit or 201) > _MOST_OF_A_SET:
            raise malformed(
                "The SOQL FIELDS function must have a LIMIT of at most 200"
            )  # [documented]
        wanted = {"ALL": (True, False), "STANDARD": (False,), "CUSTOM": (True,)}[selected.scope]
        fields = self._schema.visible_fields(self._object_type)
        return [field for field in fields if field.custom in wanted]

    def _grouped(self, *, include_deleted: bool) -> Plan:
        groups = Groups(self._query, self._finder)
        source = f"{self._from(include_deleted)}{groups.sql()}{self._window()}"
        values = tuple(self._conditions.values)
        return Plan(self._object_type, (), source, values, False, (), groups.selected)

    def _from(self, include_deleted: bool) -> str:
        parts = visible_rows(self._schema, self._object_type)
        if include_deleted:
            parts = [part for part in parts if part != '"IsDeleted" = 0']
        if self._query.where is not None:
            parts.append(self._conditions.sql(self._query.where))
        return f'from "{self._object_type.name}" where {" and ".join(parts) or "1"}'

    def _order(self) -> str:
        keys = [self._sort(sort) for sort in self._query.order]
        if not keys and self._shuffled is not None:
            keys = [f"(rowid * 7919 + {self._shuffled}) * 104729 % 1000003"]
        return " order by " + ", ".join([*keys, "rowid"])  # as their Ids ascend

    def _sort(self, sort: Sort) -> str:
        if isinstance(sort.field, Aggregate):
            raise malformed(f"unexpected token: {sort.field.function}")
        field = self._finder.find(sort.field)
        if field.type == "textarea":  # [documented]
            raise malformed(f"field '{field.name}' can not be sorted in a query call")
        return order_sql(field, descending=sort.descending, nulls_last=sort.nulls_last)

    def _window(self) -> str:
        if self._query.limit is None and self._query.offset is None:
            return ""
        limit = -1 if self._query.limit is None else self._query.limit
        return f" limit {limit} offset {self._query.offset or 0}"


def _refuse_repeats(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise soql_errors.repeated(name)
        seen.add(name)


def refuse_in_bulk(query: Query) -> None:
    """Refuse what Bulk API cannot do: OFFSET, groups, aggregates [documented].

    Raises:
        SalesforceError: 400 INVALIDJOB [assumed body].
    """
    if query.offset is not None:
        raise SalesforceError(400, "INVALIDJOB", "OFFSET is not supported in Bulk Query")
