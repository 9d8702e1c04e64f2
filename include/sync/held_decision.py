"""Decide clears that a person approved once more, on what both sides say now.

Nothing is remembered of the first decision but whom it was about: whoever has opted out since, or
whose record became another one, is not cleared.
"""

from collections.abc import Collection
from dataclasses import replace

import pandas as pd
from sqlalchemy import Engine

from include.audit.runs import Run
from include.domain.conflicts import Verdict
from include.domain.frames import Extract
from include.domain.merge import MergeResult
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.sync.clock import Clock
from include.sync.groups import Reader
from include.sync.nightly import inputs
from include.sync.nightly.decide import decide_for
from include.sync.nightly.results import ACCEPTED
from include.sync.preflight import Access
from include.sync.staging import Stage

_RECORD_KEY = 15  # an Id of 18 characters names the same record as its first 15


def decide_again(
    engine: Engine,
    client: SalesforceClient,
    stage: Stage,
    run: Run,
    access: Access,
    person_ids: Collection[int],
    *,
    clock: Clock,
) -> MergeResult:
    """Read the groups of some people, merge them, and keep what clears them.

    Everything read is staged, and so is the consent that the clears carry.

    Args:
        engine: the store.
        client: Salesforce.
        stage: of this run.
        run: whose settings decide.
        access: what can be read.
        person_ids: whose clears were held.
        clock: tells the time.

    Returns:
        The decisions of every group that is cleared as a whole, and what was judged. Opt-outs,
        and records that became others since, are left to the night.
    """
    extract = _read_groups(engine, client, stage, run, access, person_ids, clock)
    result = only_clears(extract.people, decide_for(run, access, extract))
    accepted = result.judgements["verdict"] == Verdict.ACCEPTED.value
    stage.write(ACCEPTED, result.judgements[accepted], clock())
    return result


def only_clears(people: pd.DataFrame, result: MergeResult) -> MergeResult:
    """Keep of a merge the groups that are cleared as a whole.

    Args:
        people: a `frames.People`, of the merge; whole groups.
        result: of the merge.

    Returns:
        The same, without: groups that somebody's record left or joined since (converted, merged,
        another Id), decisions of groups that stay opted out, and observations.
    """
    group = _groups(people)
    settled = group[~group.isin(_moved(group, result))]
    decided = result.decisions["person_id"].map(settled)
    clears = _any_target(result.decisions, value=False)
    opts_out = _any_target(result.decisions, value=True)
    kept = decided.isin(decided[clears]) & ~decided.isin(decided[opts_out]) & decided.notna()
    judged = result.judgements["person_id"].map(settled)
    return replace(
        result,
        decisions=result.decisions[kept].reset_index(drop=True),
        judgements=result.judgements[judged.notna()].reset_index(drop=True),
        visibility=result.visibility.iloc[:0],
        unlinked=result.unlinked.iloc[:0],
    )


def _read_groups(
    engine: Engine,
    client: SalesforceClient,
    stage: Stage,
    run: Run,
    access: Access,
    person_ids: Collection[int],
    clock: Clock,
) -> Extract:
    """Read and stage whole groups: also who is linked to a record that was merged into theirs."""
    groups = Reader(engine, client, run.org, access).read_whole(person_ids)
    stage.write(inputs.PEOPLE, groups.people, clock())
    stage.write(inputs.OPT_OUTS, groups.opt_outs, clock())
    stage.write(inputs.RESUBSCRIBES, groups.resubscribes, clock())
    for obj in SalesforceObject:
        if access.fields_of(obj):
            nothing = client.read_records(
                obj, access.fields_of(obj), [], person_accounts=access.person_accounts
            )
            stage.write(obj, groups.records.get(obj, nothing), clock())
    everybody = groups.people["person_id"].tolist()
    return inputs.gather(engine, client, stage, run, access, clock(), person_ids=everybody)


def _groups(people: pd.DataFrame) -> pd.Series:
    """Return by person what they share with their group: the record, or nothing."""
    alone = "person " + people["person_id"].astype("str")
    named = people["salesforce_id"].astype("str").str[:_RECORD_KEY]
    return pd.Series(named.fillna(alone).to_numpy(object), index=people["person_id"].to_numpy())


def _moved(group: pd.Series, result: MergeResult) -> set[str]:
    """Name the groups that somebody's record left, or that it joined."""
    movers = [*result.relinks["person_id"], *result.retired["person_id"]]
    left = group[group.index.isin(movers)]
    return {*left, *result.relinks["to_record_id"].astype("str").str[:_RECORD_KEY]}


def _any_target(decisions: pd.DataFrame, *, value: bool) -> pd.Series:
    store, salesforce = decisions["target_store"], decisions["target_salesforce"]
    found = (store == value).fillna(False) | (salesforce == value).fillna(False)
    return found.astype(bool)
