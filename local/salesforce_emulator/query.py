"""``query``, ``queryAll`` and the cursors behind their pages."""

from __future__ import annotations

import re
import secrets
import threading
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import soql, soql_sql, user_permissions
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.query_columns import column_metadata
from local.salesforce_emulator.rendering import RecordRenderer, converter, select_list

if TYPE_CHECKING:
    from starlette.responses import Response

    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.soql_sql import Plan
    from local.salesforce_emulator.soql_tree import Query
    from local.salesforce_emulator.views import QueriedSchema
    from local.salesforce_emulator.web import Call

_PAGE = 2_000  # default and most [documented]
_SMALLEST_PAGE = 200  # [assumed]
_MOST_CURSORS = 1_000
_MOST_ROWS = 20_000_000  # of all cursors: 160 MB


@dataclass(frozen=True, slots=True)
class Cursor:
    """The rows a query found: which rows is fixed at the query, their values are read per page."""

    plan: Plan
    rows: array[int]
    path: str


class Cursors:
    """Open cursors by locator; a real org keeps them two days [documented], this one the newest."""

    def __init__(self) -> None:
        self._cursors: dict[str, Cursor] = {}
        self._lock = threading.Lock()

    def open(self, cursor: Cursor) -> str:
        """Keep a cursor; returns its locator: opaque, 18 characters from ``0r8`` [documented]."""
        locator = "0r8" + secrets.token_hex(8)[:15].upper()
        with self._lock:
            self._cursors[locator] = cursor
            while len(self._cursors) > _MOST_CURSORS or self._rows() > _MOST_ROWS:
                if len(self._cursors) == 1:
                    break
                self._cursors.pop(next(iter(self._cursors)))
        return locator

    def _rows(self) -> int:
        return sum(len(cursor.rows) for cursor in self._cursors.values())

    def clear(self) -> None:
        """Forget every cursor."""
        with self._lock:
            self._cursors.clear()

    def forget(self, locator: str) -> None:
        """Forget one cursor; an unknown one changes nothing."""
        with self._lock:
            self._cursors.pop(locator, None)

    def find(self, locator: str) -> Cursor | None:
        """Return the cursor, None when it is unknown or forgotten."""
        return self._cursors.get(locator)


def query(org: Org, call: Call) -> Response:
    """``GET query?q=``."""
    return _first_page(org, call, include_deleted=False)


def query_all(org: Org, call: Call) -> Response:
    """``GET queryAll?q=``: deleted records too [documented]."""
    return _first_page(org, call, include_deleted=True)


def _first_page(org: Org, call: Call, *, include_deleted: bool) -> Response:
    text = call.query.get("q")
    if text is None:
        raise soql.malformed("A query string has to be specified")  # [documented]
    schema = org.schema_of(call.user_id)
    parsed = soql.parse(text)
    if user_permissions.is_meant(parsed):
        return user_permissions.answer(call, parsed, schema)
    return answer(org, call, parsed, schema, call.data_path, include_deleted=include_deleted).http


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found: how much, and the first page."""

    total: int
    http: Response


def answer(
    org: Org,
    call: Call,
    query: Query,
    schema: QueriedSchema,
    path: str,
    *,
    include_deleted: bool = False,
) -> Answer:
    """Run a query on the objects of a schema whose resources lie below ``path``."""
    shuffled = org.options.shuffle_unordered
    plan = soql_sql.plan(query, schema, include_deleted=include_deleted, shuffled=shuffled)
    if call.query.get("columns", "").lower() == "true":
        return Answer(0, call.answer(column_metadata(query, plan)))
    if plan.is_count:
        total = _count(org, plan)
        return Answer(total, call.answer({"totalSize": total, "done": True, "records": []}))
    if plan.groups:
        return _groups(org, call, plan)
    connection = org.database.read()
    rows = array("q", (row for (row,) in connection.execute(*_sql("rowid", plan))))
    return Answer(len(rows), _page(org, call, Cursor(plan, rows, path), 0, None))


def _sql(columns: str, plan: Plan) -> tuple[str, tuple[object, ...]]:
    return f"select {columns} {plan.source}", plan.values


def _count(org: Org, plan: Plan) -> int:
    sql, values = _sql("1", plan)
    counted = org.database.read().execute(f"select count(*) from ({sql})", values)  # noqa: S608
    return int(counted.fetchone()[0])


def _groups(org: Org, call: Call, plan: Plan) -> Answer:
    """Answer groups: all on one page, never more than it holds [documented]."""
    columns = [(each.label, each.field and converter(each.field)) for each in plan.groups]
    sql, values = _sql(", ".join(each.sql for each in plan.groups), plan)
    rows = org.database.read().execute(sql, values).fetchmany(_PAGE + 1)
    if len(rows) > _PAGE:
        raise SalesforceError(
            400,
            "EXCEEDED_ID_LIMIT",
            "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a "
            "single batch",
        )
    records = [_group(columns, row) for row in rows]
    body = {"totalSize": len(records), "done": True, "records": records}
    return Answer(len(records), call.answer(body))


def _group(columns: list[tuple[str, Any]], row: tuple[Any, ...]) -> dict[str, Any]:
    """Return one group, of the type AggregateResult [recorded]."""
    record: dict[str, Any] = {"attributes": {"type": "AggregateResult"}}
    for (label, convert), value in zip(columns, row, strict=True):
        record[label] = value if convert is None or value is None else convert(value)
    return record


def query_more(org: Org, call: Call) -> Response:
    """``GET query/{locator}``: the locator ends in the number of the first row [recorded]."""
    locator, _, position = call.params["locator"].partition("-")
    cursor = org.cursors.find(locator)
    if org.faults.for_page("lose_locator", call.path):
        org.cursors.forget(locator)
        cursor = None
    if cursor is None or not position.isdigit() or int(position) >= len(cursor.rows):
        raise SalesforceError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")  # [documented]
    return _page(org, call, cursor, int(position), locator)


def _page(org: Org, call: Call, cursor: Cursor, first: int, locator: str | None) -> Response:
    """Answer one page; ``nextRecordsUrl`` only while there is more [recorded]."""
    end = first + _page_size(call)
    if short := org.faults.for_page("short_page", call.path):
        end = max(first + 1, end - short.rows)  # "may be fewer" [documented]
    body: dict[str, Any] = {"totalSize": len(cursor.rows), "done": end >= len(cursor.rows)}
    if not body["done"]:
        locator = locator or org.cursors.open(cursor)
        body["nextRecordsUrl"] = f"{cursor.path}/query/{locator}-{end}"
    body["records"] = _records(org, cursor, cursor.rows[first:end])
    return call.answer(body)


def _page_size(call: Call) -> int:
    """Return ``batchSize`` of the header Sforce-Query-Options, held between 200 and 2,000."""
    found = re.search(r"batchSize=(\d+)", call.headers.get("sforce-query-options", ""))
    return min(max(int(found[1]), _SMALLEST_PAGE), _PAGE) if found else _PAGE


def _records(org: Org, cursor: Cursor, rows: array[int]) -> list[dict[str, Any]]:
    plan = cursor.plan
    renderer = RecordRenderer(plan.object_type, plan.fields, cursor.path, plan.relations)
    columns = select_list(plan.fields, plan.relations)
    sql = (
        f'select rowid, "Id", {columns} from "{plan.object_type.name}"'  # noqa: S608
        f" where rowid in ({', '.join('?' * len(rows))})"
    )
    found = {
        row: (record_id, values)
        for row, record_id, *values in org.database.read().execute(sql, rows.tolist())
    }
    return [renderer.record(*found[row]) for row in rows if row in found]
