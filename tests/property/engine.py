"""The engine, fed with worlds: many disjoint ones in one merge, and its answer per world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

from include.domain.conflicts import Choices, ConflictRule
from include.domain.frames import Extract
from include.domain.merge import MergeResult, merge, records_in_question
from include.domain.values import SalesforceObject
from tests.property.store import Row, Seen
from tests.property.worlds import ALL_FIELDS, SPAN, Setting

_TIME = pa.timestamp("us", tz="UTC")
_FLAGS = {name: pa.bool_() for name in ALL_FIELDS}
SCHEMAS = {
    "people": {"person_id": pa.int64(), "salesforce_id": pa.string()},
    "opt_outs": {
        "act_id": pa.int64(),
        "person_id": pa.int64(),
        "at": _TIME,
        "scope": pa.string(),
        "origin": pa.string(),
        "caused_by": pa.string(),
    },
    "resubscribes": {
        "act_id": pa.int64(),
        "person_id": pa.int64(),
        "at": _TIME,
        "recorded_at": _TIME,
        "origin": pa.string(),
        "is_evidence": pa.bool_(),
        "is_accepted": pa.bool_(),
        "was_held": pa.bool_(),
    },
    "records": {
        "record_id": pa.string(),
        "object": pa.string(),
        "is_deleted": pa.bool_(),
        "master_record_id": pa.string(),
        "is_converted": pa.bool_(),
        "converted_contact_id": pa.string(),
        "is_person_account": pa.bool_(),
        "account_id": pa.string(),
        "last_modified_at": _TIME,
        "last_modified_by": pa.string(),
    }
    | _FLAGS,
    "links": {
        "person_id": pa.int64(),
        "record_id": pa.string(),
        "object": pa.string(),
        "field": pa.string(),
        "base": pa.bool_(),
        "base_since": _TIME,
        "state": pa.string(),
        "is_visible": pa.bool_(),
        "evidence_id": pa.int64(),
        "flips": pa.int64(),
    },
    "times": {"record_id": pa.string(), "field": pa.string(), "at": _TIME, "act_id": pa.int64()},
}


@dataclass
class Plan:
    """What the engine decided for one world: rows of the frames of its result."""

    decisions: list[Row] = field(default_factory=list)
    judgements: list[Row] = field(default_factory=list)
    relinks: list[Row] = field(default_factory=list)
    retired: list[Row] = field(default_factory=list)
    visibility: list[Row] = field(default_factory=list)
    unlinked: list[Row] = field(default_factory=list)

    @property
    def store(self) -> dict[int, set[bool]]:
        """By person, what is to be written to the store."""
        found: dict[int, set[bool]] = {}
        for row in self.decisions:
            if row["target_store"] is not None:
                found.setdefault(row["person_id"], set()).add(row["target_store"])
        return found

    @property
    def salesforce(self) -> dict[tuple[str, str], set[bool]]:
        """By record and field, what is to be written to Salesforce."""
        found: dict[tuple[str, str], set[bool]] = {}
        for row in self.decisions:
            if row["target_salesforce"] is not None:
                key = row["record_id"], row["field"]
                found.setdefault(key, set()).add(row["target_salesforce"])
        return found

    @property
    def bases(self) -> dict[tuple[int, str, str], bool]:
        return {
            (row["person_id"], row["record_id"], row["field"]): row["new_base"]
            for row in self.decisions
            if row["new_base"] is not None
        }

    @property
    def accepted(self) -> set[int]:
        return {row["act_id"] for row in self.judgements if row["verdict"] == "accepted"}

    def writes(self) -> dict[object, set[bool]]:
        return {**self.store, **self.salesforce}


FRAMES = ("decisions", "judgements", "relinks", "retired", "visibility", "unlinked")


def extract(seen: Sequence[Seen]) -> Extract:
    """Put what was seen of several disjoint worlds into one extract."""
    return Extract(
        **{
            name: _frame([row for one in seen for row in getattr(one, name)], columns)
            for name, columns in SCHEMAS.items()
        }
    )


def _frame(rows: list[Row], columns: Mapping[str, pa.DataType]) -> pd.DataFrame:
    arrays = {
        name: pd.arrays.ArrowExtensionArray(pa.array([row.get(name) for row in rows], kind))
        for name, kind in columns.items()
    }
    return pd.DataFrame(arrays)


def choices_of(setting: Setting) -> Choices:
    return Choices(
        fields=setting.fields,
        rule=ConflictRule(setting.rule),
        scopes=setting.scopes,
        bounces=setting.bounces,
        clock_skew=setting.skew,
        evidence_waits=setting.waits,
    )


def arguments(setting: Setting) -> dict[str, Any]:
    readable = {
        name: [obj for obj in SalesforceObject if (obj.value, name) not in setting.unreadable]
        for name in ALL_FIELDS
    }
    return {"readable": readable, "read_at": setting.now}


def run(frames: Extract, setting: Setting) -> MergeResult:
    return merge(frames, choices_of(setting), **arguments(setting))


def decide(seen: Sequence[Seen]) -> list[Plan]:
    """Merge several worlds at once and return each one's plan."""
    return split(run(extract(seen), seen[0].setting), [one.number for one in seen])


def question(seen: Sequence[Seen]) -> set[str]:
    """Return the records whose history the engine asks for."""
    setting = seen[0].setting
    asked = records_in_question(extract(seen), choices_of(setting), **arguments(setting))
    return set(asked["record_id"])


def split(result: MergeResult, numbers: Sequence[int]) -> list[Plan]:
    plans = {number: Plan() for number in numbers}
    for name in FRAMES:
        for row in rows_of(getattr(result, name)):
            getattr(plans[row["person_id"] // SPAN], name).append(row)
    return [plans[number] for number in numbers]


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Return a frame's rows as plain values, null as None."""
    columns = {
        name: [
            None if missing else value for value, missing in zip(column, column.isna(), strict=True)
        ]
        for name, column in frame.astype(object).items()
    }
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
