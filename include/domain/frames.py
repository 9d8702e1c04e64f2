"""Contracts of the frames that enter and leave the merge, checked where they enter.

All columns are Arrow-backed; all times are timezone-aware UTC with microseconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import pandas as pd
import pandera.errors
import pandera.pandas as pa
import pyarrow
from pandera.typing import Series

from include.domain import ids
from include.domain.errors import PermanentSyncError

Integer = Annotated[pd.ArrowDtype, pyarrow.int64()]
Boolean = Annotated[pd.ArrowDtype, pyarrow.bool_()]
Text = Annotated[pd.ArrowDtype, pyarrow.string()]
Timestamp = Annotated[pd.ArrowDtype, pyarrow.timestamp("us", tz="UTC")]

BOOLEAN = pd.ArrowDtype(pyarrow.bool_())


class BrokenFrameError(PermanentSyncError):
    """A frame breaks its contract: nothing is merged, not even the part that is right."""


class People(pa.DataFrameModel):
    """Everybody of the store. One row per person; no address.

    `salesforce_id` as typed: null, 15 or 18 characters, or nonsense.
    """

    person_id: Series[Integer] = pa.Field(unique=True)
    salesforce_id: Series[Text] = pa.Field(nullable=True)


class OptOuts(pa.DataFrameModel):
    """What holds people opted out. One row per unsubscribe that no clear has ended, any scope.

    `at` is when it happened; for an act of the sync (`caused_by` not null) the latest time at which
    its cause can have happened.
    """

    act_id: Series[Integer] = pa.Field(unique=True)
    person_id: Series[Integer]
    at: Series[Timestamp]
    scope: Series[Text]
    origin: Series[Text]
    caused_by: Series[Text] = pa.Field(nullable=True)


class Resubscribes(pa.DataFrameModel):
    """What may end an opt-out. One row per resubscribe that was accepted or is still to be judged.

    `is_evidence`: it has a reason, an actor and a reference. `was_held`: a run judged it good, and
    a brake held it. Refused ones are left out.
    """

    act_id: Series[Integer] = pa.Field(unique=True)
    person_id: Series[Integer]
    at: Series[Timestamp]
    recorded_at: Series[Timestamp]
    origin: Series[Text]
    is_evidence: Series[Boolean]
    is_accepted: Series[Boolean]
    was_held: Series[Boolean]


class Records(pa.DataFrameModel):
    """Salesforce's side. One row per Contact or Lead, deleted ones included.

    `record_id` has 18 characters and is unique: `checked` compares integers, not a million texts.
    Beside these columns there is one boolean column per opt-out field, under the field's API name,
    null only where the field is unreadable.
    """

    record_id: Series[Text]
    object: Series[Text] = pa.Field(isin=["Contact", "Lead"])
    is_deleted: Series[Boolean]
    master_record_id: Series[Text] = pa.Field(nullable=True)
    is_converted: Series[Boolean]
    converted_contact_id: Series[Text] = pa.Field(nullable=True)
    is_person_account: Series[Boolean]
    account_id: Series[Text] = pa.Field(nullable=True)
    last_modified_at: Series[Timestamp] = pa.Field(nullable=True)
    last_modified_by: Series[Text] = pa.Field(nullable=True)


class Links(pa.DataFrameModel):
    """What earlier runs know. One row per person, record and field.

    `base` is null while unknown; `state` is `active`, `gone` or `retired`; `is_visible` is false
    since a run did not get the record. `evidence_id` names the accepted evidence that covers the
    opt-out which Salesforce still shows. `flips` counts the closed nights in a row in which
    Salesforce undid what we wrote.
    """

    person_id: Series[Integer]
    record_id: Series[Text]
    object: Series[Text]
    field: Series[Text]
    base: Series[Boolean] = pa.Field(nullable=True)
    base_since: Series[Timestamp] = pa.Field(nullable=True)
    state: Series[Text] = pa.Field(isin=["active", "gone", "retired"])
    is_visible: Series[Boolean]
    evidence_id: Series[Integer] = pa.Field(nullable=True)
    flips: Series[Integer]


class Times(pa.DataFrameModel):
    """When an opt-out in Salesforce happened, where that is known exactly. Per record and field.

    `at` comes from the field's history; where `act_id` is set, the value was last written by us and
    carries that act, so `at` is the act's time on the store's clock.
    """

    record_id: Series[Text]
    field: Series[Text]
    at: Series[Timestamp]
    act_id: Series[Integer] = pa.Field(nullable=True)


@dataclass(frozen=True, slots=True)
class Extract:
    """Everything a merge decides by: both sides, and what earlier runs know."""

    people: pd.DataFrame
    opt_outs: pd.DataFrame
    resubscribes: pd.DataFrame
    records: pd.DataFrame
    links: pd.DataFrame
    times: pd.DataFrame


def checked(extract: Extract, fields: Iterable[str]) -> Extract:
    """Return the extract if every frame keeps its contract.

    Args:
        extract: as read.
        fields: opt-out fields that were readable on some object; each needs its column.

    Raises:
        BrokenFrameError: naming the frame and the column.
    """
    models = {
        "people": People,
        "opt_outs": OptOuts,
        "resubscribes": Resubscribes,
        "records": Records,
        "links": Links,
        "times": Times,
    }
    for name, model in models.items():
        try:
            model.validate(getattr(extract, name))
        except pandera.errors.SchemaError as error:
            # the error itself quotes values: only what it is about may be repeated
            column = getattr(error.schema, "name", None)
            raise BrokenFrameError(_broken(name, column, str(error.reason_code))) from None
    for field in fields:
        if field not in extract.records or extract.records[field].dtype != BOOLEAN:
            raise BrokenFrameError(_broken("records", field, "MISSING_OR_NOT_BOOLEAN"))
    _refuse_duplicates(extract)
    return extract


_TWICE: Final = "SERIES_CONTAINS_DUPLICATES"


def _refuse_duplicates(extract: Extract) -> None:
    if not ids.are_unique(extract.records["record_id"]):
        raise BrokenFrameError(_broken("records", "record_id", _TWICE))
    if _has_duplicates(extract.links):
        raise BrokenFrameError(_broken("links", "person_id, record_id, field", _TWICE))


def _has_duplicates(links: pd.DataFrame) -> bool:
    """Tell whether a person, record and field occur twice; strings are compared only where needed.

    Most persons have one link per field, so integers rule nearly everybody out.
    """
    field, names = pd.factorize(links["field"])
    per_field = pd.Series(links["person_id"].to_numpy(np.int64) * (len(names) + 1) + field)
    doubtful = links[per_field.duplicated(keep=False).to_numpy(bool)]
    return bool(doubtful.duplicated(["person_id", "record_id", "field"]).any())


def empty(model: type[pa.DataFrameModel]) -> pd.DataFrame:
    """Return a frame of `model` without rows."""
    columns = model.to_schema().columns
    return pd.DataFrame(
        {name: pd.Series(dtype=column.dtype.type) for name, column in columns.items()}
    )


def _broken(frame: str, column: object, reason: str) -> str:
    of = f", column {column}" if column else ""
    return (
        f"the frame {frame}{of} breaks its contract ({reason.rsplit('.', 1)[-1].lower()}): nothing "
        "was merged; clear the extracts of this run, and compare them with include/domain/frames.py"
    )
