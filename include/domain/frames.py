"""Contracts of the frames that enter and leave the merge, checked where they enter.

All columns are Arrow-backed; all times are timezone-aware UTC with microseconds.
"""

from typing import Annotated

import pandas as pd
import pandera.pandas as pa
import pyarrow
from pandera.typing import Series

Integer = Annotated[pd.ArrowDtype, pyarrow.int64()]
Boolean = Annotated[pd.ArrowDtype, pyarrow.bool_()]
Text = Annotated[pd.ArrowDtype, pyarrow.string()]
Timestamp = Annotated[pd.ArrowDtype, pyarrow.timestamp("us", tz="UTC")]


class People(pa.DataFrameModel):
    """The store's side. One row per person; no address.

    `salesforce_id` as typed (null, 15 or 18 characters, or nonsense). `opted_out_at`, `act_id` and
    `origin` describe the unsubscribe that holds the person opted out, null while there is none.
    """

    person_id: Series[Integer] = pa.Field(unique=True)
    salesforce_id: Series[Text] = pa.Field(nullable=True)
    is_opted_out: Series[Boolean]
    opted_out_at: Series[Timestamp] = pa.Field(nullable=True)
    act_id: Series[Integer] = pa.Field(nullable=True)
    origin: Series[Text] = pa.Field(nullable=True)


class Records(pa.DataFrameModel):
    """Salesforce's side. One row per Contact or Lead, deleted ones included.

    `record_id` has 18 characters. `is_opted_out` is null only where the field is unreadable.
    """

    record_id: Series[Text] = pa.Field(unique=True)
    object: Series[Text] = pa.Field(isin=["Contact", "Lead"])
    is_opted_out: Series[Boolean] = pa.Field(nullable=True)
    is_deleted: Series[Boolean]
    master_record_id: Series[Text] = pa.Field(nullable=True)
    is_converted: Series[Boolean]
    converted_contact_id: Series[Text] = pa.Field(nullable=True)
    last_modified_at: Series[Timestamp] = pa.Field(nullable=True)
    last_modified_by: Series[Text] = pa.Field(nullable=True)


class Links(pa.DataFrameModel):
    """What earlier runs know. One row per person and record, for one field.

    `base` is null while unknown; `state` is `active`, `gone` or `retired`; `is_visible` is false
    since a run did not get the record.
    """

    person_id: Series[Integer]
    record_id: Series[Text]
    base: Series[Boolean] = pa.Field(nullable=True)
    state: Series[Text]
    is_visible: Series[Boolean]


def empty(model: type[pa.DataFrameModel]) -> pd.DataFrame:
    """Return a frame of `model` without rows."""
    columns = model.to_schema().columns
    return pd.DataFrame(
        {name: pd.Series(dtype=column.dtype.type) for name, column in columns.items()}
    )
