"""The merge: compare every person with their Salesforce record and decide each link.

Pure and vectorised: frames in, frames out. First the life of records is resolved, then integer keys
join the sides, groups are formed, one look-up in a table of decisions applies the rules, evidence
is judged, and only what changes something becomes a row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from include.domain import evidence, groups, ids, plan, rows, store_state
from include.domain.aligned import (
    Bools,
    Integers,
    Positions,
    appended,
    bools,
    give_back,
    integers,
    is_in,
    positions,
)
from include.domain.conflicts import (
    CROWDED_ABOVE,
    Choices,
    Code,
    ConflictRule,
    Salesforce,
)
from include.domain.evidence import Evidence, Findings
from include.domain.frames import Extract, checked
from include.domain.groups import Groups, Links
from include.domain.lifecycle import Life, Readable, resolve
from include.domain.plan import NAMES, NUMBER, Plan
from include.domain.row_parts import Sides
from include.domain.store_state import Acts
from include.domain.values import SalesforceObject


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge decided.

    Attributes:
        decisions: one row per link that changes, ordered by person; columns as in `merge_audit`:
            values of both sides and their times (UTC), base, targets (null = no write), new base
            (null = it stays), rule, code, cause, and a sentence in plain English. A record that a
            person leaves has a row of its own; a person without a record has one without record.
            Empty when both sides agree and nothing is new.
        judgements: one row per resubscribe that was judged: `act_id`, `person_id`, `verdict`,
            `code`, `in_the_way` (null: nothing), `retry_after` (UTC, null: no time helps),
            `reason`.
        relinks: one row per person whose Id in the store is to be rewritten: `person_id`,
            `from_record_id`, `to_record_id`, `code`.
        retired: links that end: `person_id`, `record_id`, `object`, `field`.
        visibility: one row per link whose record was lost or found again since the last run:
            `person_id`, `record_id`, `object`, `field`, `is_visible`, `is_deleted`.
        unlinked: one row per person whose opt-out cannot reach Salesforce because the Id is
            missing or its record is gone, and per malformed Id: `person_id`, `salesforce_id`,
            `code`. The whole list, whatever was told before.
        counts: links by code, agreed and unreadable ones included.
        lost: by object of known links, how many lost their record since the last run (deleted ones
            aside), and how many known links there are.
        opted_out: by object, how many visible records say opted out, and how many there are.
        crowded: records with so many persons that somebody should look.
    """

    decisions: pd.DataFrame
    judgements: pd.DataFrame
    relinks: pd.DataFrame
    retired: pd.DataFrame
    visibility: pd.DataFrame
    unlinked: pd.DataFrame
    counts: dict[str, int]
    lost: dict[str, tuple[int, int]]
    opted_out: dict[str, tuple[int, int]]
    crowded: list[str]


def merge(
    extract: Extract, choices: Choices, *, readable: Readable, read_at: datetime
) -> MergeResult:
    """Decide every link of every person.

    Merging again after the targets were written and the bases moved decides nothing. The order
    of rows does not matter.

    Args:
        extract: both sides, and what earlier runs know.
        choices: of the admin.
        readable: by opt-out field, the objects on which it can be read.
        read_at: server time at which the reading began (aware); later times are clamped to it.

    Raises:
        BrokenFrameError: a frame breaks its contract; nothing is decided.
    """
    world = _World.of(checked(extract, readable), choices, readable, _micros(read_at))
    give_back()
    links = world.align()
    acts, life = world.acts, world.life
    by_person = store_state.by_the_person(acts, len(world.people))
    result = groups.outcome(links, world.groups, by_person, world.joins, choices)
    found, dropped = evidence.usable(
        world.people, extract.resubscribes, world.acts, world.groups, choices, world.read_at
    )
    findings = _judge(world, found, links)
    newest = store_state.newest(acts, len(world.people))
    made = plan.plan(
        links, world.groups, result, findings, _strength(world.people, links, acts, newest)
    )
    sides = Sides(
        people=world.people,
        records=world.extract.records,
        known_times=world.extract.times,
        acts=acts,
        newest=newest,
        claims=world.claims,
        accepted=store_state.accepted(world.people, extract.resubscribes),
        links=links,
        life=life,
        groups=world.groups,
        findings=findings,
        choices=choices,
        read_at=world.read_at,
    )
    absent = (links.salesforce == Salesforce.MISSING) | (links.salesforce == Salesforce.DELETED)
    lost = absent & ~links.was_hidden
    return MergeResult(
        decisions=rows.decisions(sides, made, _listed(made, lost), extract.links),
        judgements=rows.judgements(findings.judgements, dropped),
        relinks=life.relinks,
        retired=rows.retired(life),
        visibility=_visibility(world, links, lost, absent),
        unlinked=_unlinked(world, links, made, absent),
        counts=_counts(made),
        lost=_lost(links, life, lost),
        opted_out=_opted_out(world, readable),
        crowded=_crowded(world, links),
    )


def records_in_question(
    extract: Extract, choices: Choices, *, readable: Readable, read_at: datetime
) -> pd.DataFrame:
    """Name the records whose times decide about evidence, so that their history can be read.

    Args: as for `merge`; `extract.times` is not used.

    Returns:
        One row per record: `record_id`, `object`; few, or none.
    """
    if not bools(extract.resubscribes["is_evidence"]).any():
        return pd.DataFrame({"record_id": [], "object": []}, dtype="str")
    world = _World.of(checked(extract, readable), choices, readable, _micros(read_at))
    found, _ = evidence.usable(
        world.people, extract.resubscribes, world.acts, world.groups, choices, world.read_at
    )
    concerned = np.zeros(world.groups.count, bool)
    concerned[found.group] = True
    linked, left = world.life.linked, world.life.left
    now = np.flatnonzero(concerned[world.groups.of_person[linked.person]])
    person = positions(integers(world.people["person_id"]), left["person_id"].to_numpy(np.int64))
    before = left[concerned[world.groups.of_person[person]]]
    named = pd.concat(
        [
            pd.DataFrame(
                {"record_id": linked.record_id.iloc[now], "object": linked.object.iloc[now]}
            ),
            before[["record_id", "object"]],
        ]
    )
    return named.drop_duplicates("record_id").sort_values("record_id", ignore_index=True)


@dataclass(frozen=True, slots=True)
class _World:
    """The extract with everything that both functions above derive from it."""

    extract: Extract
    choices: Choices
    readable: Readable
    read_at: int
    acts: Acts
    life: Life
    groups: Groups
    is_opted_out: Bools
    joins: Bools
    claims: tuple[Integers, Integers]

    @property
    def people(self) -> pd.DataFrame:
        return self.extract.people

    @classmethod
    def of(cls, extract: Extract, choices: Choices, readable: Readable, read_at: int) -> "_World":
        people, records = extract.people, extract.records
        give_back()
        acts = store_state.acts_in_scope(people, extract.opt_outs, choices)
        life = resolve(people, records, extract.links, choices.fields, readable)
        formed = groups.group_people(len(people), life.linked, bools(records["is_deleted"]))
        left = life.left.loc[life.left["value"] == 1, "person_id"].to_numpy(np.int64)
        person = positions(integers(people["person_id"]), left)
        claims = (np.zeros(len(people), np.int64), np.zeros(len(people), np.int64))
        if choices.rule is ConflictRule.CHANGED_SIDE:
            claims = store_state.claims(people, extract.resubscribes, acts, choices)
        return cls(
            extract=extract,
            choices=choices,
            readable=readable,
            read_at=read_at,
            acts=acts,
            life=life,
            groups=formed,
            is_opted_out=store_state.mark(len(people), acts.person),
            joins=store_state.mark(len(people), person),
            claims=claims,
        )

    def align(self) -> Links:
        """Put the links side by side, with what joins and what is claimed counted in."""
        links = groups.align(
            self.people,
            self.extract.records,
            self.extract.links,
            self.life,
            self.groups,
            self.is_opted_out,
            self.choices,
            self.readable,
        )
        claim_id, claim_at = self.claims
        claimed = claim_id[links.person] > 0
        # a claim from before both sides agreed on "opted out" is no change since
        claimed &= (links.base != 1) | (claim_at[links.person] > links.base_since)
        links.store[claimed] = 0
        links.store[self.joins[links.person]] = 1
        return links


def _micros(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _judge(world: _World, found: Evidence, links: Links) -> Findings:
    return evidence.judge(
        world.people,
        world.extract.records,
        world.extract.times,
        found,
        world.acts,
        links,
        world.groups,
        world.life,
        world.choices,
        world.read_at,
    )


def _strength(
    people: pd.DataFrame, links: Links, acts: Acts, newest: Positions
) -> Callable[[Positions], Integers]:
    """Rank how well links explain their group: an own act, the newer the better, comes first."""
    person_id = integers(people["person_id"])

    def rank(at: Positions) -> Integers:
        person = links.person[at]
        act = newest[person]
        is_own = appended(acts.is_own, False)[act]
        since = np.where(is_own, appended(acts.at, 0)[act], 0)
        order = np.lexsort((-links.field[at], -person_id[person], since, act >= 0, is_own))
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order))
        return ranks

    return rank


_REPORTED_ONCE = (NUMBER[Code.NOT_VISIBLE], NUMBER[Code.DELETED_IN_SALESFORCE])
_STANDING = (NUMBER[Code.TUG_OF_WAR], NUMBER[Code.RESUBSCRIBE_WAITING])


def _listed(made: Plan, lost: Bools) -> Positions:
    once = np.isin(made.code, _REPORTED_ONCE) & lost
    return np.flatnonzero(made.changes | once | np.isin(made.code, _STANDING))


def _visibility(world: _World, links: Links, lost: Bools, absent: Bools) -> pd.DataFrame:
    found = ~absent & (links.salesforce != Salesforce.UNREADABLE) & links.was_hidden
    changed = np.flatnonzero(lost | found)
    place = links.place[changed]
    return pd.DataFrame(
        {
            "person_id": integers(world.people["person_id"])[links.person[changed]],
            "record_id": world.life.linked.record_id.iloc[place].to_numpy(object),
            "object": world.life.linked.object.iloc[place].to_numpy(object),
            "field": np.array(world.choices.fields, object)[links.field[changed]],
            "is_visible": found[changed],
            "is_deleted": links.salesforce[changed] == Salesforce.DELETED,
        }
    ).astype({"record_id": "str", "object": "str", "field": "str"})


def _unlinked(world: _World, links: Links, made: Plan, absent: Bools) -> pd.DataFrame:
    """List whose opt-out cannot reach Salesforce, and every malformed Id: those are mistakes."""
    people, problem = world.people, world.life.problems
    is_malformed = is_in(problem, [ids.IdProblem.BAD_SALESFORCE_ID])
    is_stuck = problem.notna().to_numpy(bool) & world.is_opted_out
    rows_of = is_malformed | is_stuck
    without_id = people.loc[rows_of, ["person_id", "salesforce_id"]].astype(
        {"person_id": "int64", "salesforce_id": "str"}
    )
    without_id["code"] = problem[rows_of].to_numpy(object)
    first = absent & (links.field == 0)
    stays_out = (links.store == 1) | (made.target_store == 1)
    at = np.flatnonzero(first & stays_out & (made.target_store != 0))
    without_record = people.iloc[links.person[at]][["person_id", "salesforce_id"]].astype(
        {"person_id": "int64", "salesforce_id": "str"}
    )
    without_record["code"] = np.where(
        links.salesforce[at] == Salesforce.DELETED,
        Code.DELETED_IN_SALESFORCE.value,
        Code.NOT_VISIBLE.value,
    )
    both: pd.DataFrame = pd.concat([without_id, without_record])
    return both.sort_values("person_id", ignore_index=True)


def _lost(links: Links, life: Life, lost: Bools) -> dict[str, tuple[int, int]]:
    gone = lost & links.is_known & (links.salesforce == Salesforce.MISSING)
    counts = {}
    for obj in SalesforceObject:
        of = is_in(life.linked.object, [obj])[links.place]
        known = int((links.is_known & of).sum())
        if known:
            counts[str(obj)] = (int((gone & of).sum()), known)
    return counts


def _opted_out(world: _World, readable: Readable) -> dict[str, tuple[int, int]]:
    """Count per object what Salesforce shows, so that a sudden drop is noticed."""
    records = world.extract.records
    alive = ~bools(records["is_deleted"])
    counts = {}
    for obj in sorted({str(each) for objects in readable.values() for each in objects}):
        of = alive & is_in(records["object"], [obj])
        says = np.zeros(len(records), bool)
        for field in world.choices.fields:
            if field in records:
                says |= records[field].to_numpy(bool, na_value=False)
        counts[obj] = (int((says & of).sum()), int(of.sum()))
    return counts


def _counts(made: Plan) -> dict[str, int]:
    occurring = np.bincount(made.code, minlength=len(NAMES))
    return {str(NAMES[n]): int(count) for n, count in enumerate(occurring.tolist()) if count}


def _crowded(world: _World, links: Links) -> list[str]:
    at = groups.crowded(links, world.groups, CROWDED_ABOVE)
    named = world.life.linked.record_id.iloc[links.place[at]]
    return sorted(str(record_id) for record_id in named)
