"""What a row of the audit is made of: its columns, and what all kinds of rows tell."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from include.domain.aligned import (
    Integers,
    Positions,
    appended,
    moments,
    numbers,
    times,
)
from include.domain.conflicts import Choices
from include.domain.evidence import Findings
from include.domain.groups import Groups, Links
from include.domain.lifecycle import Life
from include.domain.store_state import Acts

TIME: Final = "datetime64[us, UTC]"
_SECONDS: Final = pd.ArrowDtype(pa.timestamp("s", "UTC"))

_TEXT: Final = dict.fromkeys(
    (
        "record_id",
        "object",
        "field",
        "account_id",
        "store_origin",
        "salesforce_modified_by",
        "salesforce_time_source",
        "rule",
        "code",
        "cause",
    ),
    "str",
)
_IDS: Final = dict.fromkeys(("store_act_id", "evidence_id", "shared_with"), "Int64")
_TIMES: Final = dict.fromkeys(
    (
        "base_since",
        "store_opted_out_at",
        "salesforce_modified_at",
        "salesforce_opted_out_after",
        "salesforce_opted_out_before",
    ),
    TIME,
)
_FLAGS: Final = dict.fromkeys(
    (
        "base",
        "store_is_opted_out",
        "salesforce_is_opted_out",
        "target_store",
        "target_salesforce",
        "new_base",
    ),
    "boolean",
)
DTYPES: Final = {"person_id": "int64"} | _TEXT | _IDS | _TIMES | _FLAGS


@dataclass(frozen=True, slots=True)
class Sides:
    """Everything a row tells of, side by side."""

    people: pd.DataFrame
    records: pd.DataFrame
    known_times: pd.DataFrame
    acts: Acts
    newest: Positions
    claims: tuple[Integers, Integers]
    accepted: Integers
    links: Links
    life: Life
    groups: Groups
    findings: Findings
    choices: Choices
    read_at: int


def finished(frame: pd.DataFrame) -> pd.DataFrame:
    """Give a part of the rows every column, in one order."""
    return frame.reindex(columns=[name for name in DTYPES if name != "rule"]).astype(
        {name: kind for name, kind in DTYPES.items() if name != "rule"}
    )


def held_by(sides: Sides, person: Positions) -> dict[str, Any]:
    """Tell which act holds each person opted out: their newest own one, else the sync's."""
    act = sides.newest[person]
    has = act >= 0
    acts = sides.acts
    at = appended(acts.at, 0)[act]
    return {
        "store_opted_out_at": times(at, has),
        "store_origin": taken(acts.origin, act),
        "store_act_id": numbers(appended(acts.id, 0)[act], has),
    }


def taken(column: pd.Series, at: Positions) -> np.ndarray:
    """Take text by position; null for -1."""
    return appended(column.to_numpy(object), None)[at]


def field_names(frame: pd.DataFrame) -> pd.Series:
    """Name each field of a record as a cause does, without a time."""
    record_id, field = frame["record_id"].astype("str"), frame["field"].astype("str")
    return "salesforce:" + record_id + ":" + field


def stamped(at: Integers) -> pd.Series:
    """Return `@<time>` to the whole second, rounded up; nothing where no time is known."""
    seconds = -(-at // 1_000_000)
    text = pd.Series(pd.to_datetime(seconds, unit="s", utc=True)).astype(_SECONDS)
    stamp: pd.Series = "@" + text.dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype("str")
    return stamp.where(at > 0, "")


def joining(sides: Sides) -> pd.DataFrame:
    """Return the records left behind whose opt-out joins, with the cause that they are."""
    left = sides.life.left
    left = left[left["value"] == 1]
    row = left["row"].to_numpy(np.intp)
    modified = appended(moments(sides.records["last_modified_at"]), 0)[row]
    stamp = stamped(np.minimum(modified, sides.read_at))
    return left.assign(cause=field_names(left) + stamp.to_numpy(object))
