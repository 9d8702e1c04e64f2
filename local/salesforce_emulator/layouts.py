"""Page layouts: what the Metadata API reads and writes, kept as it came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.clock import now, to_stored
from local.salesforce_emulator.ids import make_id

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.database import Database

    Layout = dict[str, Any]

PREFIX = "00h"
_COLUMNS = {
    "Contact": (
        ("Contact Information", ("Name", "AccountId", "Title", "Phone"), ("Email", "OwnerId")),
        ("System Information", ("CreatedById",), ("LastModifiedById",)),
    ),
    "Lead": (
        ("Lead Information", ("Name", "Company", "Title"), ("Status", "Phone", "Email", "OwnerId")),
        ("System Information", ("CreatedById",), ("LastModifiedById",)),
    ),
    "Account": (("Account Information", ("Name", "Phone"), ("OwnerId",)),),
}
_NAMES = {
    "Contact": ("Contact Layout", "Contact (Sales) Layout"),
    "Lead": ("Lead Layout",),
    "Account": ("Account Layout",),
}
_READ_ONLY = ("CreatedById", "LastModifiedById")
_REQUIRED = ("Name", "Company", "Status")


def seed(database: Database, connection: sqlite3.Connection, at: str) -> None:
    """Give a new org its layouts; an email opt-out stands on none of them."""
    for sobject, names in _NAMES.items():
        for name in names:
            full_name = f"{sobject}-{name}"
            save(database, connection, full_name, _fresh(sobject, full_name), at=at)


def _fresh(sobject: str, full_name: str) -> Layout:
    return {
        "fullName": full_name,
        "layoutSections": [_section(*section) for section in _COLUMNS[sobject]],
        "showEmailCheckbox": False,
        "showHighlightsPanel": False,
        "showInteractionLogPanel": False,
        "showRunAssignmentRulesCheckbox": False,
        "showSubmitAndAttachButton": False,
    }


def _section(label: str, *columns: tuple[str, ...]) -> Layout:
    return {
        "customLabel": False,
        "detailHeading": True,
        "editHeading": True,
        "label": label,
        "layoutColumns": [{"layoutItems": [_item(name) for name in names]} for names in columns],
        "style": "TwoColumnsTopToBottom",
    }


def _item(name: str) -> Layout:
    behavior = "Readonly" if name in _READ_ONLY else "Edit"
    return {"behavior": "Required" if name in _REQUIRED else behavior, "field": name}


def save(
    database: Database,
    connection: sqlite3.Connection,
    full_name: str,
    layout: Layout,
    *,
    at: str | None = None,
) -> str:
    """Keep a layout, new or changed, and return its Id."""
    document, stamp = json.dumps(layout), at or to_stored(now())
    known = connection.execute(
        'select "Id" from "Layout" where full_name = ?', (full_name,)
    ).fetchone()
    if known:
        connection.execute(
            'update "Layout" set metadata = ?, "LastModifiedDate" = ? where "Id" = ?',
            (document, stamp, known[0]),
        )
        return str(known[0])
    (number,) = database.next_numbers(connection, PREFIX, 1)
    layout_id = make_id(PREFIX, number)
    row = (layout_id, full_name.partition("-")[0], full_name, document, stamp)
    connection.execute('insert into "Layout" values (?, ?, ?, ?, ?)', row)
    return layout_id


def find(connection: sqlite3.Connection, full_name: str) -> Layout | None:
    """Return a layout by its full name, None without one."""
    row = connection.execute(
        'select metadata from "Layout" where full_name = ?', (full_name,)
    ).fetchone()
    return dict(json.loads(row[0])) if row else None


def remove(connection: sqlite3.Connection, full_name: str) -> None:
    """Forget a layout; an unknown one changes nothing."""
    connection.execute('delete from "Layout" where full_name = ?', (full_name,))


def names(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return Id and full name of every layout."""
    return connection.execute('select "Id", full_name from "Layout" order by 2').fetchall()
