"""Links side by side, and the groups they form: a Salesforce record with its persons and fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from include.domain.aligned import (
    NULL,
    Bools,
    Flags,
    Integers,
    Positions,
    any_of,
    appended,
    bools,
    integers,
    is_in,
    moments,
    nullable,
    positions,
)
from include.domain.conflicts import Base, Choices, ConflictRule, Salesforce
from include.domain.lifecycle import Life, Linked, Readable


@dataclass(frozen=True, slots=True)
class Links:
    """One entry per linked person and field in every array.

    Attributes:
        place: position among the linked people.
        person: position in the people.
        row: position in the records, or -1.
        field: position in the chosen fields.
        group: number of the group.
        base, store, salesforce: values, as in `conflicts`.
        is_opted_out: what the store really says; `store` may differ by a claim or what joins.
        evidence_id: accepted evidence that covers the opt-out in Salesforce, 0 for none.
        flips: closed nights in a row in which Salesforce undid our write.
        base_since: microseconds since 1970, 0 while unknown.
        is_known: an earlier run had this link.
        was_hidden: and did not get its record.
    """

    place: Positions
    person: Positions
    row: Positions
    field: Positions
    group: Integers
    base: Flags
    store: Flags
    salesforce: Flags
    is_opted_out: Bools
    evidence_id: Integers
    flips: Integers
    base_since: Integers
    is_known: Bools
    was_hidden: Bools

    @property
    def is_unread(self) -> Bools:
        """Whether nothing is known of the value in Salesforce."""
        return np.asarray(
            (self.salesforce == Salesforce.UNREADABLE) | (self.salesforce == Salesforce.MISSING),
            bool,
        )


@dataclass(frozen=True, slots=True)
class Groups:
    """Who belongs together. A person without a living record is a group of their own.

    Attributes:
        of_person: number of the group of each person.
        count: how many groups there are.
    """

    of_person: Integers
    count: int


def group_people(people: int, linked: Linked, is_deleted: Bools) -> Groups:
    """Number the groups; a deleted record links nobody."""
    of_person = np.full(people, -1, np.int64)
    lives = ~appended(is_deleted, False)[linked.row]
    codes, keys = pd.factorize(linked.key[lives])
    of_person[linked.person[lives]] = codes
    alone = np.flatnonzero(of_person < 0)
    of_person[alone] = len(keys) + np.arange(len(alone))
    return Groups(of_person, len(keys) + len(alone))


def align(
    people: pd.DataFrame,
    records: pd.DataFrame,
    links: pd.DataFrame,
    life: Life,
    groups: Groups,
    is_opted_out: Bools,
    choices: Choices,
    readable: Readable,
) -> Links:
    """Put everything known of each link side by side, field after field."""
    blocks = [
        _of_field(people, records, links, life, groups, is_opted_out, choices, readable, n)
        for n in range(len(choices.fields))
    ]
    if len(blocks) == 1:
        return blocks[0]
    names = Links.__dataclass_fields__
    aligned = {name: np.concatenate([getattr(b, name) for b in blocks]) for name in names}
    return Links(**aligned)


def _of_field(
    people: pd.DataFrame,
    records: pd.DataFrame,
    links: pd.DataFrame,
    life: Life,
    groups: Groups,
    is_opted_out: Bools,
    choices: Choices,
    readable: Readable,
    number: int,
) -> Links:
    linked, field = life.linked, choices.fields[number]
    size = len(linked.person)
    of_field = np.flatnonzero(is_in(links["field"], [field]))
    known = _known(people, links, life.link_key, of_field, linked)
    state = is_opted_out[linked.person]
    return Links(
        place=np.arange(size, dtype=np.intp),
        person=linked.person,
        row=linked.row,
        field=np.full(size, number, np.intp),
        group=groups.of_person[linked.person],
        store=state.astype(np.int8),
        salesforce=_salesforce(records, linked, field, readable),
        is_opted_out=state,
        **known,
    )


_KNOWN: Final = ("base", "base_since", "state", "is_visible", "evidence_id", "flips")


def _known(
    people: pd.DataFrame,
    links: pd.DataFrame,
    link_key: Integers,
    of_field: Positions,
    linked: Linked,
) -> Mapping[str, np.ndarray]:
    """Look up what earlier runs know of each person's present link, for one field."""
    size = len(linked.person)
    place_of = np.full(len(people) + 1, -1, np.intp)
    place_of[linked.person] = np.arange(size)
    person = positions(integers(people["person_id"]), integers(links["person_id"])[of_field])
    place = place_of[person]
    current = np.flatnonzero((person >= 0) & (place >= 0))
    current = current[linked.key[place[current]] == link_key[of_field[current]]]
    at, of = place[current], links[list(_KNOWN)].iloc[of_field[current]]
    base = np.full(size, Base.UNKNOWN, np.int8)
    evidence_id, flips, since = (np.zeros(size, np.int64) for _ in range(3))
    is_known, was_hidden = np.zeros(size, bool), np.zeros(size, bool)
    base[at] = nullable(of["base"])
    evidence_id[at] = of["evidence_id"].to_numpy(np.int64, na_value=0)
    flips[at] = integers(of["flips"])
    since[at] = moments(of["base_since"])
    is_known[at] = True
    was_hidden[at] = ~bools(of["is_visible"]) | ~is_in(of["state"], ["active"])
    return {
        "base": base,
        "evidence_id": evidence_id,
        "flips": flips,
        "base_since": since,
        "is_known": is_known,
        "was_hidden": was_hidden,
    }


def _salesforce(records: pd.DataFrame, linked: Linked, field: str, readable: Readable) -> Flags:
    values = np.full(len(linked.row), Salesforce.MISSING, np.int8)
    seen = linked.row >= 0
    hidden_everywhere = np.full(len(records), NULL, np.int8)
    flag = nullable(records[field]) if field in records else hidden_everywhere
    flag = np.where(flag == NULL, Salesforce.UNREADABLE, flag).astype(np.int8)
    values[seen] = flag[linked.row[seen]]
    hidden = ~is_in(linked.object, [str(obj) for obj in readable.get(field, ())])
    values[hidden] = Salesforce.UNREADABLE
    deleted = bools(records["is_deleted"])
    values[seen] = np.where(deleted[linked.row[seen]], Salesforce.DELETED, values[seen])
    unmerged = _lives_on_unseen(records)
    values[seen] = np.where(unmerged[linked.row[seen]], Salesforce.MISSING, values[seen])
    return values


def _lives_on_unseen(records: pd.DataFrame) -> Bools:
    """Converted records at the end of a chain: Salesforce does not say as what they live on."""
    return np.asarray(~bools(records["is_deleted"]) & bools(records["is_converted"]), bool)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the groups come to, before evidence.

    Attributes:
        is_opted_out: by link, whether its group is opted out.
        is_cause: by link, whether the link itself says so.
        is_cleared: by link, whether its group is cleared under `changed_side`.
    """

    is_opted_out: Bools
    is_cause: Bools
    is_cleared: Bools


def outcome(
    links: Links, groups: Groups, by_person: Bools, joins: Bools, choices: Choices
) -> Outcome:
    """Say of every group whether any value in it is opted out, or whether it was cleared.

    Args:
        links: aligned.
        groups: of the people.
        by_person: by person, whether they opted out themselves (only evidence ends that).
        joins: by person, whether an opt-out joins from a record they left.
        choices: the rule.
    """
    lives = links.salesforce != Salesforce.DELETED
    by_base = links.is_unread & (links.base == Base.OPTED_OUT) & (links.evidence_id == 0)
    says = (links.store == 1) | (links.salesforce == Salesforce.OPTED_OUT) | by_base
    opted_out = any_of(links.group, says & lives, groups.count)
    cleared = np.zeros(groups.count, bool)
    if choices.rule is ConflictRule.CHANGED_SIDE:
        cleared = _cleared(links, groups, by_person, joins)
    return Outcome(
        is_opted_out=opted_out[links.group] & ~cleared[links.group],
        is_cause=says,
        is_cleared=cleared[links.group],
    )


def _cleared(links: Links, groups: Groups, by_person: Bools, joins: Bools) -> Bools:
    """Rule `changed_side`: every link whose base is opted out was cleared, and none opted out."""
    had = links.base == Base.OPTED_OUT
    left_base = (links.store == 0) | (links.salesforce == Salesforce.NOT_OPTED_OUT)
    protected = (links.store == 1) & by_person[links.person]
    opted_out = (links.store == 1) | (links.salesforce == Salesforce.OPTED_OUT)
    stays = np.where(had, ~left_base | protected, opted_out)
    stays |= links.is_unread | joins[links.person]
    cleared = any_of(links.group, had & left_base, groups.count)
    return np.asarray(cleared & ~any_of(links.group, np.asarray(stays, bool), groups.count), bool)


def crowded(links: Links, groups: Groups, more_than: int) -> Positions:
    """Return one link of each record that has more than so many persons."""
    persons = np.bincount(links.group[links.field == 0], minlength=groups.count)
    if not (persons > more_than).any():
        return np.zeros(0, np.intp)
    _, first = np.unique(links.group, return_index=True)
    return np.asarray(first[persons[links.group[first]] > more_than], np.intp)
