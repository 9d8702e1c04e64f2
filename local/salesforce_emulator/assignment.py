"""The assignment rule of Leads: one owner for whatever the rule is applied to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.errors import not_emulated
from local.salesforce_emulator.objects import LEAD

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.database import Database
    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.web import Call


def is_wanted(call: Call) -> bool:
    """Tell whether a REST save applies the active rule: unless the header forbids [documented].

    Raises:
        SalesforceError: 501, the header names a rule by its Id.
    """
    value = call.headers.get("sforce-auto-assign", "TRUE").upper()
    if value not in ("TRUE", "FALSE"):
        raise not_emulated("choosing a rule in Sforce-Auto-Assign by its Id")
    return value == "TRUE"


def set_rule(database: Database, owner: str | None) -> None:
    """Activate the rule, or deactivate it with None."""
    with database.write() as connection:
        connection.execute("delete from assignment_rule")
        if owner is not None:
            connection.execute("insert into assignment_rule values (?, ?)", (LEAD.name, owner))


def assigned(connection: sqlite3.Connection, object_type: ObjectType) -> dict[str, object]:
    """Return the column which the active rule sets, nothing without a rule."""
    rule = connection.execute(
        "select owner from assignment_rule where object = ?", (object_type.name,)
    ).fetchone()
    return {"OwnerId": rule[0]} if rule else {}
