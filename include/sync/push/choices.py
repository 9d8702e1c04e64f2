"""What a push may do, by the settings: all of it, or one box while the nightly sync is disabled."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pandas as pd

from include.audit.runs import Run
from include.audit.settings import FieldMode, Settings
from include.domain.conflicts import BOUNCE, Code, ConflictRule
from include.domain.merge import MergeResult

Worth = Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame], set[int]]

_RECORD_KEY: Final = 15  # an Id of 18 characters names the same record as its first 15
_WHILE_DISABLED: Final = (
    " The nightly sync is disabled: only the standard box is set, and nothing is cleared."
)


def as_pushed(run: Run) -> Run:
    """Return a run under the settings that a push obeys.

    While the nightly sync is disabled, whoever opts out is still opted out in the standard field.
    """
    chosen = run.settings.settings
    if chosen.enabled:
        return run
    only_box = chosen.model_copy(
        update={
            "field_mode": FieldMode.EMAIL_OPT_OUT,
            "conflict_rule": ConflictRule.OPT_OUT_WINS.value,
        }
    )
    return replace(run, settings=replace(run.settings, settings=only_box))


def only_opt_outs(result: MergeResult) -> MergeResult:
    """Keep of a merge what a push does while the nightly sync is disabled: boxes to be ticked."""
    decided = result.decisions
    ticks = (decided["target_salesforce"] == True).fillna(False).astype(bool)  # noqa: E712
    kept = decided[ticks].reset_index(drop=True)
    has_other_write = kept["target_store"].notna()
    kept = kept.assign(
        target_store=pd.Series(pd.NA, index=kept.index, dtype=kept["target_store"].dtype),
        # a base is what both sides agree on: the store of a sharer is not written now
        new_base=kept["new_base"].mask(has_other_write),
        code=Code.PUSHED_WHILE_DISABLED.value,
        reason=kept["reason"].astype("str") + _WHILE_DISABLED,
    )
    return replace(
        result,
        decisions=kept,
        judgements=result.judgements.iloc[:0],
        relinks=result.relinks.iloc[:0],
        retired=result.retired.iloc[:0],
    )


def worth_reading(chosen: Settings) -> Worth:
    """Return what picks the people whose records have to be read.

    Of the others nothing concerns Salesforce: ten thousand bounces take no request.
    """

    def pick(people: pd.DataFrame, opt_outs: pd.DataFrame, resubscribes: pd.DataFrame) -> set[int]:
        counts = opt_outs["scope"].isin(chosen.synced_scopes)
        if not chosen.bounces_sync:
            counts &= opt_outs["origin"] != BOUNCE
        concerned = {*opt_outs.loc[counts.to_numpy(bool), "person_id"]}
        if chosen.enabled:
            concerned |= {*resubscribes["person_id"]}
        return _with_their_groups(people, concerned)

    return pick


def _with_their_groups(people: pd.DataFrame, concerned: set[int]) -> set[int]:
    persons, named = people["person_id"].tolist(), people["salesforce_id"].tolist()
    keys = {
        person: str(name).strip()[:_RECORD_KEY] if isinstance(name, str) else f"person {person}"
        for person, name in zip(persons, named, strict=True)
    }
    groups = {keys[person] for person in concerned if person in keys}
    return {person for person in persons if keys[person] in groups}
