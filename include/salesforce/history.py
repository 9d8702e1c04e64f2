"""When an opt-out was last changed, as Salesforce's field history tells it.

The history of a field exists from the moment an admin tracks it, for 18 to 24 months, and not for
a record created with the value. So no row never means that nothing changed.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from include.domain.values import SalesforceObject
from include.salesforce.errors import FieldNotVisibleError, SalesforceRequestError
from include.salesforce.failures import INVALID_TYPE
from include.salesforce.records import (
    TIMESTAMP,
    Selection,
    as_18,
    checked_field,
    normalised,
    refuse_nulls,
    typed_table,
)
from include.salesforce.rest_query import id_lists, query_all
from include.salesforce.session import SalesforceSession

log = logging.getLogger(__name__)

HISTORY_SCHEMA: Final = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("at", TIMESTAMP, nullable=False),
        pa.field("is_opted_out", pa.bool_(), nullable=False),
        pa.field("by", pa.string(), nullable=False),
    ]
)

# the object is hidden, or the user may not read it
_NOT_PERMITTED: Final = frozenset(
    {INVALID_TYPE, "INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY"}
)
_FLAGS: Final = {True: True, False: False, "true": True, "false": False}


def read_history(session: SalesforceSession, selection: Selection, ids: pd.Series) -> pd.DataFrame:
    """Return the newest row of each record and field; see `client`."""
    if not selection.fields:
        return _to_frame(HISTORY_SCHEMA.empty_table())
    tracked = _without_person_accounts(session, ids) if selection.has_accounts else ids
    rows = [row for each in id_lists(tracked) for row in _rows(session, selection, each)]
    return _newest(_to_table(rows, _parent(selection.obj)))


def _rows(session: SalesforceSession, selection: Selection, ids: str) -> list[dict[str, Any]]:
    """Read the rows of some records; none where the history cannot be read.

    `queryAll`, because `query` leaves out what is older than 18 months or was deleted: the rows
    left over would then look like the newest ones.
    """
    parent = _parent(selection.obj)
    names = ", ".join(f"'{checked_field(each)}'" for each in selection.fields)
    try:
        return query_all(
            session,
            f"SELECT {parent}, Field, NewValue, CreatedDate, CreatedById "  # noqa: S608  checked
            f"FROM {selection.obj.value}History WHERE {parent} IN {ids} AND Field IN ({names})",
        )
    except FieldNotVisibleError:
        return []
    except SalesforceRequestError as error:
        if error.code not in _NOT_PERMITTED:
            raise
        log.info("The history of %s cannot be read (%s)", selection.obj.value, error.code)
        return []


def _without_person_accounts(session: SalesforceSession, ids: pd.Series) -> pd.Series:
    """Leave out Contacts whose changes are not tracked with them but with their Account.

    What such a Contact has of history is from before it became a person account, and would pass
    for the newest change. https://help.salesforce.com/s/articleView?id=xcloud.
    tracking_field_history_for_standard_objects.htm
    """
    found = [
        row["Id"]
        for each in id_lists(ids)
        for row in query_all(
            session,
            f"SELECT Id FROM Contact WHERE Id IN {each} AND IsPersonAccount = true",  # noqa: S608
        )
    ]
    return ids[~ids.isin(normalised(found))]


def _parent(obj: SalesforceObject) -> str:
    return f"{obj.value}Id"


def _to_table(rows: Sequence[dict[str, Any]], parent: str) -> pa.Table:
    types = {parent: pa.string(), "Field": pa.string(), "CreatedDate": TIMESTAMP}
    page = typed_table(rows, types | {"CreatedById": pa.string()})
    # a value of any type: what is no flag says that the field changed, and not to what
    flags = pa.array([_FLAGS.get(row.get("NewValue")) for row in rows], pa.bool_())
    columns = {
        "record_id": as_18(page[parent]),
        "field": page["Field"],
        "at": page["CreatedDate"],
        "is_opted_out": flags,
        "by": as_18(page["CreatedById"]),
    }
    refuse_nulls(columns, ["record_id", "field", "at", "by"])
    return pa.table(columns)


def _newest(table: pa.Table) -> pd.DataFrame:
    """Keep the newest row per record and field.

    Salesforce promises no order within a second, so then an opt-out counts as the newer one. A
    newest row that is no flag leaves its field without a row: an older one would be wrong.
    """
    rows = _to_frame(table).sort_values(["at", "is_opted_out"], na_position="first")
    newest = rows.drop_duplicates(["record_id", "field"], keep="last", ignore_index=True)
    return newest[newest["is_opted_out"].notna()].reset_index(drop=True)


def _to_frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame
