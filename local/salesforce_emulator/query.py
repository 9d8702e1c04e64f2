"""``query``, ``queryAll`` and the cursors behind their pages."""

from __future__ import annotations

import re
import secrets
import threading
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import soql, soql_sql
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.rendering import RecordRenderer, select_list

if TYPE_CHECKING:
    from starlette.responses import Response

    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.soql_sql import Plan
    from local.salesforce_emulator.web import Call

_PAGE = 2_000  # default and most [documented]
_SMALLEST_PAGE = 200  # [assumed]
_MOST_CURSORS = 1_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """The rows a query found: which rows is fixed at the query, their values are read per page."""

    plan: Plan
    rows: array[int]


class Cursors:
    """Open cursors by locator; a real org keeps them two days [documented], this one the newest."""

    def __init__(self) -> None:
        self._cursors: dict[str, Cursor] = {}
        self._lock = threading.Lock()

    def open(self, cursor: Cursor) -> str:
        """Keep a cursor; returns its locator: opaque, 18 characters from ``0r8`` [documented]."""
        locator = "0r8" + secrets.token_hex(8)[:15].upper()
        with self._lock:
            while len(self._cursors) >= _MOST_CURSORS:
                self._cursors.pop(next(iter(self._cursors)))
            self._cursors[locator] = cursor
        return locator

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
    plan = soql_sql.plan(
        soql.parse(text), org.schema_of(call.user_id), include_deleted=include_deleted
    )
    if plan.is_count:
        return call.answer({"totalSize": _count(org, plan), "done": True, "records": []})
    connection = org.database.read()
    rows = array("q", (row for (row,) in connection.execute(*_sql("rowid", plan))))
    return _page(org, call, Cursor(plan, rows), 0, None)


def _sql(columns: str, plan: Plan) -> tuple[str, tuple[object, ...]]:
    return f"select {columns} {plan.source}", plan.values


def _count(org: Org, plan: Plan) -> int:
    sql, values = _sql("1", plan)
    counted = org.database.read().execute(f"select count(*) from ({sql})", values)  # noqa: S608
    return int(counted.fetchone()[0])


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
        body["nextRecordsUrl"] = f"{call.data_path}/query/{locator}-{end}"
    body["records"] = _records(org, call, cursor.plan, cursor.rows[first:end])
    return call.answer(body)


def _page_size(call: Call) -> int:
    """Return ``batchSize`` of the header Sforce-Query-Options, held between 200 and 2,000."""
    found = re.search(r"batchSize=(\d+)", call.headers.get("sforce-query-options", ""))
    return min(max(int(found[1]), _SMALLEST_PAGE), _PAGE) if found else _PAGE


def _records(org: Org, call: Call, plan: Plan, rows: array[int]) -> list[dict[str, Any]]:
    renderer = RecordRenderer(plan.object_type, plan.fields, call.data_path)
    sql = (
        f'select rowid, "Id", {select_list(plan.fields)} from "{plan.object_type.name}"'  # noqa: S608
        f" where rowid in ({', '.join('?' * len(rows))})"
    )
    found = {
        row: (record_id, values)
        for row, record_id, *values in org.database.read().execute(sql, rows.tolist())
    }
    return [renderer.record(*found[row]) for row in rows if row in found]
