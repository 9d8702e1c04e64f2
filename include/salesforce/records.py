"""What a record of Salesforce is to us: its columns, its Ids, its SOQL."""

import re
from collections.abc import Sequence
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.domain.ids import classify_any
from include.domain.values import SalesforceObject
from include.salesforce.errors import IncompleteJobError, InvalidFieldNameError

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

# one row per Contact or Lead, deleted ones included; Ids have 18 characters
RECORDS_SCHEMA: Final = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("object", pa.string(), nullable=False),
        pa.field("is_opted_out", pa.bool_()),  # null only where the field is unreadable
        pa.field("is_deleted", pa.bool_(), nullable=False),
        pa.field("master_record_id", pa.string()),  # the winner, where the record lost a merge
        pa.field("is_converted", pa.bool_(), nullable=False),
        pa.field("converted_contact_id", pa.string()),
        pa.field("last_modified_at", TIMESTAMP, nullable=False),
        pa.field("last_modified_by", pa.string(), nullable=False),
    ]
)

_COLUMN_TYPES: Final = {
    "Id": pa.string(),
    "IsDeleted": pa.bool_(),
    "MasterRecordId": pa.string(),
    "IsConverted": pa.bool_(),
    "ConvertedContactId": pa.string(),
    "LastModifiedDate": TIMESTAMP,
    "LastModifiedById": pa.string(),
}
_LEAD_ONLY: Final = frozenset({"IsConverted", "ConvertedContactId"})
_FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def checked_field(field: str) -> str:
    """Return an API name of a field unchanged.

    Raises:
        InvalidFieldNameError: it is anything else, so it must not reach SOQL, CSV or JSON.
    """
    if not _FIELD_NAME.fullmatch(field):
        raise InvalidFieldNameError("a field's API name has only letters, digits and underscores")
    return field


def column_types(obj: SalesforceObject, field: str | None) -> dict[str, pa.DataType]:
    """Return the columns to select and their types, in the order of the result.

    The last one is an Id that is never null: a result cut short inside its last row then shows
    by the length of that Id.
    """
    flag = {checked_field(field): pa.bool_()} if field is not None else {}
    return flag | {
        name: kind
        for name, kind in _COLUMN_TYPES.items()
        if obj is SalesforceObject.LEAD or name not in _LEAD_ONLY
    }


def select_all(obj: SalesforceObject, field: str | None) -> str:
    """Return the SOQL of every record of an object.

    No ORDER BY: it would keep Salesforce from splitting the query by primary key.
    """
    return f"SELECT {', '.join(column_types(obj, field))} FROM {obj.value}"  # noqa: S608  checked


def to_records(page: pa.Table, obj: SalesforceObject, field: str | None) -> pa.Table:
    """Turn one page of a result into `RECORDS_SCHEMA`.

    Raises:
        IncompleteJobError: a value that Salesforce never leaves empty is missing, or no Id.
    """
    rows = page.num_rows
    columns = {
        "record_id": as_18(page["Id"]),
        "object": _constant(obj.value, pa.string(), rows),
        "is_opted_out": page[field] if field is not None else pa.nulls(rows, pa.bool_()),
        "is_deleted": page["IsDeleted"],
        "master_record_id": as_18(page["MasterRecordId"]),
        "is_converted": _constant(False, pa.bool_(), rows),
        "converted_contact_id": pa.nulls(rows, pa.string()),
        "last_modified_at": page["LastModifiedDate"],
        "last_modified_by": as_18(page["LastModifiedById"]),
    }
    if obj is SalesforceObject.LEAD:
        columns["is_converted"] = page["IsConverted"]
        columns["converted_contact_id"] = as_18(page["ConvertedContactId"])
    required = [each.name for each in RECORDS_SCHEMA if not each.nullable]
    required += ["is_opted_out"] if field is not None else []
    _refuse_nulls(columns, required)
    return pa.table(columns, schema=RECORDS_SCHEMA)


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


def _constant(value: str | bool, kind: pa.DataType, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), rows)


def _refuse_nulls(columns: dict[str, pa.ChunkedArray | pa.Array], names: list[str]) -> None:
    empty = [name for name in names if columns[name].null_count]
    if empty:
        raise IncompleteJobError(f"Salesforce left out values of {', '.join(empty)}")
