"""What a merge, or the merges of all shards, decided: staged, and read back to be recorded."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from include.audit.decisions import DECISIONS as DECISION
from include.audit.decisions import UNLINKED as UNLINKED_PERSON
from include.audit.judgements import JUDGEMENTS as JUDGEMENT
from include.audit.links import LINK, VISIBILITY
from include.domain.aligned import NULL
from include.domain.merge import MergeResult
from include.store.acts import ASKED_RELINK
from include.sync.nightly.steps import Counts
from include.sync.staging import Stage

RELINKS: Final = "relinks"
RETIRED: Final = "retired"
ACCEPTED: Final = "accepted"
# Files of a shard. No other step may write one of these: `merge` reads them again when repeated.
_DECIDED: Final = "decided"

_RELINK: Final = pa.schema([*ASKED_RELINK, ("code", pa.string())])
_UNLINKED: Final = pa.schema([*UNLINKED_PERSON, ("is_decided", pa.bool_())])
_SCHEMAS: Final = {
    "clears": DECISION,
    "judgements": JUDGEMENT,
    "relinks": _RELINK,
    "retired": LINK,
    "visibility": VISIBILITY,
    "unlinked": _UNLINKED,
}


@dataclass(frozen=True, slots=True)
class Results:
    """What is to be recorded.

    Attributes:
        decisions: part by part, to be read once: `MergeResult.decisions`.
        clears: those of them that clear something on some side.
        judgements, relinks, retired, visibility: as in `MergeResult`, of all parts.
        unlinked: as there, with `is_decided`: the person has a decision as well.
        counts: `links` by code, `decisions`, `opt_outs`, `clears`, `crowded_records`; `lost` and
            `opted_out` by object.
    """

    decisions: Iterable[pd.DataFrame]
    clears: pd.DataFrame
    judgements: pd.DataFrame
    relinks: pd.DataFrame
    retired: pd.DataFrame
    visibility: pd.DataFrame
    unlinked: pd.DataFrame
    counts: Counts

    @classmethod
    def of(cls, result: MergeResult) -> "Results":
        """Take what one merge decided as it is."""
        decided = result.decisions
        clears = clears_of(decided)
        return cls(
            decisions=(decided,),
            clears=clears,
            judgements=result.judgements,
            relinks=result.relinks,
            retired=result.retired,
            visibility=result.visibility,
            unlinked=result.unlinked.assign(
                is_decided=result.unlinked["person_id"].isin(decided["person_id"])
            ),
            counts={
                "links": result.counts,
                "decisions": len(decided),
                "opt_outs": _opt_outs(decided),
                "clears": len(clears),
                "crowded_records": len(result.crowded),
                "lost": result.lost,
                "opted_out": result.opted_out,
            },
        )

    @classmethod
    def staged(cls, stages: Sequence[Stage], counts: Sequence[Counts]) -> "Results":
        """Read what shards decided; their decisions one shard at a time, when they are asked for.

        Args:
            stages: of the shards.
            counts: what `stage_results` returned for each.

        Raises:
            StagingIncompleteError: a file is not there, or cut short.
        """
        return cls(
            decisions=(stage.read(_DECIDED) for stage in stages),
            counts=_total(counts),
            **{name: _read(stages, name) for name in _SCHEMAS},
        )


def stage_results(stage: Stage, result: MergeResult, now: datetime) -> Counts:
    """Stage what a merge decided, and return its counts. Repeating overwrites."""
    results = Results.of(result)
    stage.write(_DECIDED, result.decisions, now, DECISION)
    for name, schema in _SCHEMAS.items():
        stage.write(f"{_DECIDED}_{name}", getattr(results, name), now, schema)
    return results.counts


def clears_of(decided: pd.DataFrame) -> pd.DataFrame:
    """Return the decisions that clear something on some side."""
    targets = (decided["target_store"], decided["target_salesforce"])
    store, salesforce = (target.to_numpy(np.int8, na_value=NULL) for target in targets)
    cleared: pd.DataFrame = decided.loc[(store == 0) | (salesforce == 0)]
    return cleared


def _opt_outs(decided: pd.DataFrame) -> int:
    store, salesforce = decided["target_store"], decided["target_salesforce"]
    return int(store.fillna(False).sum()) + int(salesforce.fillna(False).sum())


def _read(stages: Sequence[Stage], name: str) -> pd.DataFrame:
    parts = [stage.read(f"{_DECIDED}_{name}") for stage in stages]
    return pd.concat(parts, ignore_index=True)


def _total(counts: Sequence[Counts]) -> Counts:
    total: Counts = {
        name: sum(each[name] for each in counts)
        for name in ("decisions", "opt_outs", "clears", "crowded_records")
    }
    total["links"] = dict(sum((Counter(each["links"]) for each in counts), Counter[str]()))
    total |= {name: _pairs([each[name] for each in counts]) for name in ("lost", "opted_out")}
    return total


def _pairs(counts: Sequence[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Add up pairs of numbers by object."""
    objects = sorted({obj for each in counts for obj in each})
    return {
        obj: (
            sum(each[obj][0] for each in counts if obj in each),
            sum(each[obj][1] for each in counts if obj in each),
        )
        for obj in objects
    }
