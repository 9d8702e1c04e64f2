"""What was decided, as rows of the audit: each can be understood alone."""

from typing import Final

import numpy as np
import pandas as pd

from include.domain import sentences
from include.domain.aligned import (
    Positions,
)
from include.domain.lifecycle import Life
from include.domain.link_rows import of_links
from include.domain.other_rows import of_left, outside, without_link
from include.domain.plan import Plan
from include.domain.row_parts import (
    TIME,
    Sides,
)

_JUDGED: Final = {
    "act_id": "int64",
    "person_id": "int64",
    "verdict": "str",
    "code": "str",
    "in_the_way": "str",
    "retry_after": TIME,
}
NO_JUDGEMENTS: Final = pd.DataFrame(columns=[*_JUDGED, "reason"]).astype(
    {**_JUDGED, "reason": "str"}
)


def decisions(sides: Sides, made: Plan, listed: Positions, known: pd.DataFrame) -> pd.DataFrame:
    """Return one row per listed link, per record left behind and per person cleared without one.

    Args:
        sides: of the merge.
        made: what is done with each link.
        listed: links that get a row.
        known: a `frames.Links`: fields outside the mode that we once set are cleared, too.
    """
    parts = [of_left(sides), without_link(sides), outside(sides, known)]
    filled = [of_links(sides, made, listed), *(part for part in parts if part is not None)]
    rows = pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0]
    rows = rows.assign(rule=sides.choices.rule.value).astype({"rule": "str"})
    order = np.lexsort(
        (rows["field"].fillna("").to_numpy(str), rows["record_id"].fillna("").to_numpy(str))
        if len(filled) > 1 or len(sides.choices.fields) > 1
        else (np.zeros(len(rows), np.int8),)
    )
    rows = rows.iloc[order].sort_values("person_id", kind="stable", ignore_index=True)
    return rows.assign(reason=sentences.explain(rows))


def retired(life: Life) -> pd.DataFrame:
    """Return the links that end: `person_id`, `record_id`, `object`, `field`."""
    columns = ["person_id", "record_id", "object", "field"]
    ended = life.left[columns]
    if len(life.orphaned):
        ended = pd.concat([ended, life.orphaned[columns]], ignore_index=True)
    return ended.astype({"person_id": "int64", "record_id": "str", "object": "str", "field": "str"})


def judgements(judged: pd.DataFrame, dropped: pd.DataFrame) -> pd.DataFrame:
    """Return one row per judged resubscribe, with the reason in plain English."""
    if judged.empty and dropped.empty:
        return NO_JUDGEMENTS
    both = pd.concat([judged, dropped], ignore_index=True).astype(_JUDGED)
    both = both.sort_values("act_id", ignore_index=True)
    return both.assign(reason=sentences.explain_judgements(both))
