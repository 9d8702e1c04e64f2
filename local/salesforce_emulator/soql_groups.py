"""Aggregate queries: GROUP BY, and functions over groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.salesforce_emulator import soql_errors
from local.salesforce_emulator.soql import malformed
from local.salesforce_emulator.soql_conditions import order_sql
from local.salesforce_emulator.soql_tree import Aggregate, Name

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field
    from local.salesforce_emulator.soql_fields import FieldFinder
    from local.salesforce_emulator.soql_tree import FieldSet, Query, Sort


@dataclass(frozen=True, slots=True)
class Group:
    """One column of the result; ``field`` tells how a value is shown, None shows it as it is."""

    label: str
    sql: str
    field: Field | None


class Groups:
    """The select list, GROUP BY and ORDER BY of one aggregate query."""

    def __init__(self, query: Query, finder: FieldFinder) -> None:
        self._query = query
        self._finder = finder
        self._keys = [finder.find(name) for name in query.groups]
        self._numbered = 0
        self.selected = tuple(map(self._group, query.fields))
        if not self.selected:
            raise malformed("Grouped query cannot use COUNT()")  # [assumed wording]

    def _group(self, selected: Name | Aggregate | FieldSet) -> Group:
        if isinstance(selected, Name):
            field = self._finder.find(selected)
            self._refuse_ungrouped(field)
            return Group(field.name.rpartition(".")[2], field.sql, field)
        if isinstance(selected, Aggregate):
            return self._aggregate(selected)
        raise malformed("The SOQL FIELDS function is not supported in an aggregate query")

    def _refuse_ungrouped(self, field: Field) -> None:
        if all(key.name != field.name for key in self._keys):
            raise soql_errors.not_grouped(field.name)

    def _aggregate(self, aggregate: Aggregate) -> Group:
        label = aggregate.alias
        if label is None:  # expr0, expr1, ... [recorded]
            label = f"expr{self._numbered}"
            self._numbered += 1
        field = self._finder.find(aggregate.field)
        is_extreme = aggregate.function in ("MAX", "MIN")
        return Group(label, _function(aggregate.function, field), field if is_extreme else None)

    def sql(self) -> str:
        """Return GROUP BY and ORDER BY; without an order, groups come by their keys [assumed]."""
        keys = [field.sql for field in self._keys]
        grouped = f" group by {', '.join(keys)}" if keys else ""
        order = [self._sort(sort) for sort in self._query.order] or keys
        return grouped + (f" order by {', '.join(order)}" if order else "")

    def _sort(self, sort: Sort) -> str:
        if isinstance(sort.field, Aggregate):
            field = self._finder.find(sort.field.field)
            direction = "desc" if sort.descending else "asc"
            return f"{_function(sort.field.function, field)} {direction}"
        field = self._finder.find(sort.field)
        self._refuse_ungrouped(field)
        return order_sql(field, descending=sort.descending, nulls_last=sort.nulls_last)


def _function(function: str, field: Field) -> str:
    if function == "COUNT_DISTINCT":
        return f"count(distinct {field.sql})"
    if function in ("MAX", "MIN") and field.type in ("boolean", "anyType", "textarea"):
        raise malformed(f"field {field.name} does not support aggregate operator {function}")
    return f"{function.lower()}({field.sql})"
