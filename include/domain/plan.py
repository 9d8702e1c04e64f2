"""What is to be done with each link: by the table where it is alone, else by its group."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from include.domain.aligned import NULL, Bools, Flags, Integers, Positions, any_of
from include.domain.conflicts import (
    DECISIONS,
    TUG_OF_WAR_AFTER,
    Base,
    Code,
    ConflictRule,
    Decision,
    Salesforce,
    decision_index,
)
from include.domain.evidence import Findings
from include.domain.groups import Groups, Links, Outcome

Codes = npt.NDArray[np.int8]
Strength = Callable[[Positions], Integers]
CODES: Final = tuple(Code)
NUMBER: Final = {code: np.int8(number) for number, code in enumerate(CODES)}
NAMES: Final = np.array([code.value for code in CODES], object)


@dataclass(frozen=True, slots=True)
class Plan:
    """One entry per link in every array: targets and base as 0, 1 or null, and why.

    `follows` marks links that do what another one says; `leader` is that link, else -1.
    """

    target_store: Flags
    target_salesforce: Flags
    new_base: Flags
    code: Codes
    follows: Bools
    leader: Positions

    @property
    def changes(self) -> Bools:
        """Whether a link is written or its base moves."""
        writes = (self.target_store != NULL) | (self.target_salesforce != NULL)
        return np.asarray(writes | (self.new_base != NULL), bool)


def _table(choose: Callable[[Decision], bool | None], rule: ConflictRule) -> Flags:
    chosen = [choose(decision) for decision in DECISIONS[rule]]
    return np.array([NULL if value is None else int(value) for value in chosen], np.int8)


_STORE: Final = {rule: _table(lambda d: d.target_store, rule) for rule in ConflictRule}
_SALESFORCE: Final = {rule: _table(lambda d: d.target_salesforce, rule) for rule in ConflictRule}
_BASE: Final = {rule: _table(lambda d: d.new_base, rule) for rule in ConflictRule}
_CODE: Final = {
    rule: np.array([NUMBER[d.code] for d in DECISIONS[rule]], np.int8) for rule in ConflictRule
}


def plan(
    links: Links, groups: Groups, result: Outcome, findings: Findings, strength: Strength
) -> Plan:
    """Decide every link.

    Args:
        links: aligned.
        groups: of the people.
        result: what the groups come to.
        findings: what evidence changes.
        strength: ranks links by how well they explain their group: the strongest is the others'
            reason.
    """
    cleared = findings.is_cleared[links.group]
    made = _alone(links, result)
    _follow(links, groups, result, made, strength, ~cleared)
    _end_claims(links, groups, result, made)
    _clear(links, made, cleared)
    _leave(links, made, findings.is_left[links.group])
    _quarantine(links, made)
    _once_per_person(links, made)
    return made


def _alone(links: Links, result: Outcome) -> Plan:
    """Look every link up in the table of the rule that its group is decided by."""
    index = decision_index(links.base, links.store, links.salesforce)
    wins, changed = ConflictRule.OPT_OUT_WINS, ConflictRule.CHANGED_SIDE

    def look_up(tables: dict[ConflictRule, Flags]) -> Flags:
        values = tables[wins][index]
        if result.is_cleared.any():
            values = np.where(result.is_cleared, tables[changed][index], values)
        return values.astype(np.int8)

    target_store = look_up(_STORE)
    target_store[(target_store == 1) & links.is_opted_out] = NULL
    covered = links.is_unread & (links.evidence_id > 0) & (target_store == 1)
    target_store[covered] = NULL
    code = look_up(_CODE)
    code[covered] = NUMBER[Code.RESUBSCRIBE_WAITING]
    size = len(index)
    return Plan(
        target_store,
        look_up(_SALESFORCE),
        look_up(_BASE),
        code,
        np.zeros(size, bool),
        np.full(size, -1, np.intp),
    )


def _follow(
    links: Links,
    groups: Groups,
    result: Outcome,
    made: Plan,
    strength: Strength,
    applies: Bools,
) -> None:
    """Opt out whatever else is in a group: the person's other field, or another person."""
    lives = links.salesforce != Salesforce.DELETED
    follows = result.is_opted_out & ~result.is_cause & lives & applies
    if not follows.any():
        return
    at = np.flatnonzero(follows)
    made.target_store[at] = np.where(links.is_opted_out[at], NULL, 1)
    writable = links.salesforce[at] == Salesforce.NOT_OPTED_OUT
    made.target_salesforce[at] = np.where(writable, 1, NULL)
    made.new_base[at] = np.where(writable & (links.base[at] != Base.OPTED_OUT), 1, NULL)
    acts = at[made.changes[at]]
    causes = result.is_cause & any_of(links.group, follows, groups.count)[links.group]
    leader = _leaders(links, groups, causes, strength)[links.group[acts]]
    # a person is in one group, so a cause of theirs is in this one
    says_so = np.zeros(int(links.person.max()) + 1, bool)
    says_so[links.person[result.is_cause]] = True
    same = says_so[links.person[acts]]
    made.code[acts] = np.where(same, NUMBER[Code.FOLLOWS_GROUP], NUMBER[Code.SHARED_RECORD])
    made.follows[acts] = True
    made.leader[acts] = leader


def _leaders(links: Links, groups: Groups, is_cause: Bools, strength: Strength) -> Positions:
    """Return by group the link that best explains why it is opted out."""
    causes = np.flatnonzero(is_cause)
    order = causes[np.argsort(strength(causes))]
    leader = np.full(groups.count, -1, np.intp)
    leader[links.group[order]] = order  # the strongest comes last
    return leader


def _end_claims(links: Links, groups: Groups, result: Outcome, made: Plan) -> None:
    """Under `changed_side` a group that nobody opts out ends what the store still holds.

    Not while something in it cannot be read: then the store says "opted out", and no base moves.
    """
    unread = any_of(links.group, links.is_unread, groups.count)[links.group]
    lives = links.salesforce != Salesforce.DELETED
    claimed = links.is_opted_out & (links.store == 0) & ~result.is_opted_out & lives
    made.target_store[claimed & ~unread] = 0
    made.new_base[claimed & unread] = NULL


def _clear(links: Links, made: Plan, cleared: Bools) -> None:
    """Carry accepted evidence out: everything in the group becomes "not opted out"."""
    if not cleared.any():
        return
    at = np.flatnonzero(cleared)
    shown = links.salesforce[at] == Salesforce.OPTED_OUT
    lives = links.salesforce[at] != Salesforce.DELETED
    made.target_store[at] = np.where(links.is_opted_out[at], 0, NULL)
    made.target_salesforce[at] = np.where(shown, 0, NULL)
    # a box that is cleared counts with "opted out" until that is read back: see `cover_links`
    moves = lives & ((links.base[at] != Base.NOT_OPTED_OUT) | shown)
    made.new_base[at] = np.where(moves, 0, NULL)
    # what joins from another record is ended, too, before it reaches the store
    acts = made.changes[at] & (links.is_opted_out[at] | (links.store[at] == 1) | shown)
    made.code[at[acts]] = NUMBER[Code.RESUBSCRIBED]


def _leave(links: Links, made: Plan, left: Bools) -> None:
    """Accepted evidence that cannot be carried out yet changes nothing, in either direction."""
    waits = left & made.changes
    for array in (made.target_store, made.target_salesforce, made.new_base):
        array[left] = NULL
    made.code[waits] = NUMBER[Code.RESUBSCRIBE_WAITING]


def _quarantine(links: Links, made: Plan) -> None:
    """Stop writing a box that something in Salesforce clears every night after we ticked it.

    A box is one, whoever is linked to it: somebody who joins later does not write it again.
    """
    box = links.row * (int(links.field.max(initial=0)) + 1) + links.field
    tired = np.unique(box[links.flips >= TUG_OF_WAR_AFTER])
    undone = (made.target_salesforce == 1) & np.isin(box, tired)
    made.target_salesforce[undone] = NULL
    made.new_base[undone] = NULL
    made.code[undone] = NUMBER[Code.TUG_OF_WAR]


def _once_per_person(links: Links, made: Plan) -> None:
    """Keep one write to the store per person: of the link that shows why."""
    written = np.flatnonzero(made.target_store != NULL)
    shows = links.salesforce[written] != Salesforce.OPTED_OUT
    order = np.lexsort((links.field[written], made.follows[written], shows, links.person[written]))
    person = links.person[written][order]
    again = np.zeros(len(order), bool)
    again[1:] = person[1:] == person[:-1]
    made.target_store[written[order[again]]] = NULL
