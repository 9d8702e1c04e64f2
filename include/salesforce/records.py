"""What a record of Salesforce is to us: its columns, its Ids, its SOQL."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.domain.ids import classify_any
from include.domain.values import SalesforceObject
from include.salesforce.errors import IncompleteJobError, InvalidFieldNameError

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

# one row per Contact or Lead, deleted ones included; Ids have 18 characters. Beside these columns
# there is one boolean column per opt-out field: see `records_schema`
RECORDS_SCHEMA: Final = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("object", pa.string(), nullable=False),
        pa.field("is_deleted", pa.bool_(), nullable=False),
        pa.field("master_record_id", pa.string()),  # the winner, where the record lost a merge
        pa.field("is_converted", pa.bool_(), nullable=False),
        pa.field("converted_contact_id", pa.string()),
        pa.field("is_person_account", pa.bool_(), nullable=False),
        pa.field("account_id", pa.string()),  # of a person account; null for every other record
        pa.field("last_modified_at", TIMESTAMP, nullable=False),
        pa.field("last_modified_by", pa.string(), nullable=False),
    ]
)

_COMMON: Final[dict[str, pa.DataType]] = {
    "Id": pa.string(),
    "IsDeleted": pa.bool_(),
    "MasterRecordId": pa.string(),
}
_LEAD: Final[dict[str, pa.DataType]] = {
    "IsConverted": pa.bool_(),
    "ConvertedContactId": pa.string(),
}
# these exist only where the org has person accounts
_PERSON_ACCOUNTS: Final[dict[str, pa.DataType]] = {
    "IsPersonAccount": pa.bool_(),
    "AccountId": pa.string(),
}
_MODIFIED: Final[dict[str, pa.DataType]] = {
    "LastModifiedDate": TIMESTAMP,
    "LastModifiedById": pa.string(),
}
_FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Selection:
    """What is read of an object.

    Attributes:
        obj: Contact or Lead.
        fields: the opt-out fields that the integration user can read; may be empty.
        person_accounts: whether the org has person accounts; says nothing of a Lead.
    """

    obj: SalesforceObject
    fields: tuple[str, ...]
    person_accounts: bool = False

    @property
    def has_accounts(self) -> bool:
        """The records of the object can belong to person accounts."""
        return self.person_accounts and self.obj is SalesforceObject.CONTACT


def checked_field(field: str) -> str:
    """Return an API name of a field unchanged.

    Raises:
        InvalidFieldNameError: it is anything else, so it must not reach SOQL, CSV or JSON.
    """
    if not _FIELD_NAME.fullmatch(field):
        raise InvalidFieldNameError("a field's API name has only letters, digits and underscores")
    return field


def records_schema(fields: Sequence[str]) -> pa.Schema:
    """Return `RECORDS_SCHEMA` and one nullable boolean column per opt-out field."""
    return pa.schema([*RECORDS_SCHEMA, *(pa.field(each, pa.bool_()) for each in fields)])


def column_types(selection: Selection) -> dict[str, pa.DataType]:
    """Return the columns to select and their types, in the order of the result.

    The last one is an Id that is never null: a result cut short inside its last row then shows
    by the length of that Id.
    """
    flags: dict[str, pa.DataType] = {checked_field(each): pa.bool_() for each in selection.fields}
    of_leads = _LEAD if selection.obj is SalesforceObject.LEAD else {}
    of_accounts = _PERSON_ACCOUNTS if selection.has_accounts else {}
    return {**flags, **_COMMON, **of_leads, **of_accounts, **_MODIFIED}


def select_all(selection: Selection) -> str:
    """Return the SOQL of every record of an object.

    No ORDER BY: it would keep Salesforce from splitting the query by primary key.
    """
    columns = ", ".join(column_types(selection))
    return f"SELECT {columns} FROM {selection.obj.value}"  # noqa: S608  names are checked


def typed_table(rows: Sequence[Mapping[str, Any]], types: Mapping[str, pa.DataType]) -> pa.Table:
    """Turn rows of a REST answer into the table that a Bulk result would be.

    Raises:
        IncompleteJobError: a column is missing, or a value is of another type.
    """
    try:
        return pa.table(
            {name: _typed([row[name] for row in rows], kind) for name, kind in types.items()}
        )
    except (KeyError, ValueError, pa.ArrowException):
        # `from None`: these errors quote the value
        raise IncompleteJobError("a record of Salesforce is not what was asked for") from None


def to_records(page: pa.Table, selection: Selection) -> pa.Table:
    """Turn one page of a result into `records_schema`.

    Raises:
        IncompleteJobError: a value that Salesforce never leaves empty is missing, or no Id.
    """
    rows = page.num_rows
    no_id, never = pa.nulls(rows, pa.string()), pa.repeat(pa.scalar(False), rows)
    columns = {
        "record_id": as_18(page["Id"]),
        "object": pa.repeat(pa.scalar(selection.obj.value), rows),
        "is_deleted": page["IsDeleted"],
        "master_record_id": as_18(page["MasterRecordId"]),
        "is_converted": never,
        "converted_contact_id": no_id,
        "is_person_account": never,
        "account_id": no_id,
        "last_modified_at": page["LastModifiedDate"],
        "last_modified_by": as_18(page["LastModifiedById"]),
    } | {each: page[each] for each in selection.fields}
    if selection.obj is SalesforceObject.LEAD:
        columns["is_converted"] = page["IsConverted"]
        columns["converted_contact_id"] = as_18(page["ConvertedContactId"])
    if selection.has_accounts:
        columns |= _person_accounts(page)
    required = [each.name for each in RECORDS_SCHEMA if not each.nullable]
    refuse_nulls(columns, [*required, *selection.fields])
    return pa.table(columns, schema=records_schema(selection.fields))


def as_18(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return Ids in their 18-character form, nulls kept.

    Raises:
        IncompleteJobError: a value is not an Id, so the answer is damaged.
    """
    if pc.all(pc.equal(pc.binary_length(ids), 18)).as_py() is not False:
        return ids  # what Salesforce answers nowadays
    converted = pa.chunked_array([pa.array(classify_any(ids.to_pandas()), pa.string())])
    if converted.null_count != ids.null_count:
        raise IncompleteJobError("a result holds text where an Id should be")
    return converted


def normalised(record_ids: Sequence[str]) -> pd.Series:
    """Return the Ids to send: 18 characters, each once, in the given order.

    Raises:
        ValueError: one of them is not a Salesforce Id.
    """
    ids = classify_any(pd.Series(list(record_ids), dtype="str"))
    if ids.isna().any():
        raise ValueError(f"{int(ids.isna().sum())} of {len(ids)} values are not Salesforce Ids")
    return ids.drop_duplicates(ignore_index=True)


def refuse_nulls(columns: Mapping[str, pa.ChunkedArray | pa.Array], names: Sequence[str]) -> None:
    """Raise where a value that Salesforce never leaves empty is missing.

    Raises:
        IncompleteJobError: the answer is damaged.
    """
    empty = [name for name in names if columns[name].null_count]
    if empty:
        raise IncompleteJobError(f"Salesforce left out values of {', '.join(empty)}")


def _typed(values: list[Any], kind: pa.DataType) -> pa.Array:
    if kind != TIMESTAMP:
        return pa.array(values, kind)
    return pa.array(
        pd.to_datetime(pd.Series(values, dtype="str"), format="ISO8601", utc=True), kind
    )


def _person_accounts(page: pa.Table) -> dict[str, pa.ChunkedArray]:
    """A business Contact has an Account as well, which is none of our business."""
    is_person = page["IsPersonAccount"]
    account = pc.if_else(is_person, as_18(page["AccountId"]), pa.scalar(None, pa.string()))
    if pc.any(pc.and_(is_person, pc.is_null(account))).as_py():
        raise IncompleteJobError("Salesforce left out the Account of a person account")
    return {"is_person_account": is_person, "account_id": account}
