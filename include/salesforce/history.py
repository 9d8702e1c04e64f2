"""When an opt-out was last changed, as Salesforce's field history tells it.

The history of a field exists from the moment an admin tracks it, for 18 to 24 months, and not for
a record created with the value. So no row never means that nothing changed.

The person of a person account is tracked with the Account, under the Account's names, and not with
the Contact: what that has of history is from before it became one, and would pass for the newest
change. https://help.salesforce.com/s/articleView?id=xcloud.
tracking_field_history_for_standard_objects.htm
"""

import logging
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from include.salesforce.errors import FieldNotVisibleError, SalesforceRequestError
from include.salesforce.failures import INVALID_TYPE
from include.salesforce.person_accounts import ACCOUNT, account_field, accounts_of
from include.salesforce.records import (
    TIMESTAMP,
    Selection,
    as_18,
    checked_field,
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
    people = _people(session, ids if selection.has_accounts else ids.iloc[:0])
    contacts = ids[~ids.isin(people["record_id"])]
    own = _read(session, selection.obj.value, selection.fields, contacts)
    return _newest(pa.concat_tables([own, _read_accounts(session, selection.fields, people)]))


def _read_accounts(
    session: SalesforceSession, fields: Sequence[str], people: pd.DataFrame
) -> pa.Table:
    """Read what was tracked with the Accounts of people, and say it of their Contacts."""
    names = {account_field(each): each for each in fields}
    changes = _read(session, ACCOUNT, list(names), people["account_id"])
    contact = dict(zip(people["account_id"], people["record_id"], strict=True))
    of = [contact[each] for each in changes["record_id"].to_pylist()]
    field = [names[each] for each in changes["field"].to_pylist()]
    return changes.set_column(0, "record_id", pa.array(of, pa.string())).set_column(
        1, "field", pa.array(field, pa.string())
    )


def _read(
    session: SalesforceSession, parent: str, fields: Sequence[str], ids: pd.Series
) -> pa.Table:
    rows = [row for each in id_lists(ids) for row in _rows(session, parent, fields, each)]
    return _to_table(rows, f"{parent}Id")


def _rows(
    session: SalesforceSession, parent: str, fields: Sequence[str], ids: str
) -> list[dict[str, Any]]:
    """Read the rows of some records; none where the history cannot be read.

    `queryAll`, because `query` leaves out what is older than 18 months or was deleted: the rows
    left over would then look like the newest ones.
    """
    names = ", ".join(f"'{checked_field(each)}'" for each in fields)
    try:
        return query_all(
            session,
            f"SELECT {parent}Id, Field, NewValue, CreatedDate, CreatedById "  # noqa: S608  checked
            f"FROM {parent}History WHERE {parent}Id IN {ids} AND Field IN ({names})",
        )
    except FieldNotVisibleError:
        return []
    except SalesforceRequestError as error:
        if error.code not in _NOT_PERMITTED:
            raise
        log.info("The history of %s cannot be read (%s)", parent, error.code)
        return []


def _people(session: SalesforceSession, ids: pd.Series) -> pd.DataFrame:
    """Return which Contacts are half of a person account: record_id and account_id."""
    found = [
        (row["Id"], row["AccountId"])
        for each in id_lists(ids)
        for row in query_all(
            session,
            "SELECT Id, AccountId FROM Contact "  # noqa: S608  checked
            f"WHERE Id IN {each} AND IsPersonAccount = true",
        )
    ]
    return accounts_of(pd.DataFrame(found, columns=["record_id", "account_id"], dtype="str"))


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
