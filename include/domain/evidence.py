"""Evidence: may somebody who opted out be mailed again?

A group is cleared when everyone in it who opted out has evidence newer than every opt-out in the
group. Newer means provably newer: on one clock by time and id, between two clocks by more than the
skew. What cannot be dated, or not be read, is never older than anything.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from include.domain.aligned import (
    Bools,
    Integers,
    Positions,
    any_of,
    appended,
    bools,
    integers,
    is_in,
    moments,
    positions,
    times,
)
from include.domain.conflicts import (
    COMPLAINT,
    OWN_OPT_IN,
    Base,
    Choices,
    Judgement,
    Salesforce,
    Verdict,
)
from include.domain.groups import Groups, Links
from include.domain.lifecycle import Life
from include.domain.store_state import Acts

NEVER: Final = np.iinfo(np.int64).min
UNKNOWN: Final = np.iinfo(np.int64).max
JUDGEMENT_COLUMNS: Final = (
    "act_id",
    "person_id",
    "verdict",
    "code",
    "in_the_way",
    "retry_after",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The newest usable evidence of each person who has any. One entry per person.

    `covers` lists all evidence that was accepted, replaced or not, and `covers_since` its times:
    what it covered stays covered.
    """

    person: Positions
    id: Integers
    since: Integers
    group: Integers
    is_accepted: Bools
    is_own_opt_in: Bools
    covers: Integers
    covers_since: Integers


@dataclass(frozen=True, slots=True)
class Findings:
    """What evidence changes.

    Attributes:
        is_cleared: by group, everything in it becomes "not opted out".
        is_left: by group, accepted evidence cannot be carried out before everything is readable.
        by_person: by person, the act that ends their opt-out, 0 for none.
        since: by person, the time of that act in microseconds.
        judgements: one row per resubscribe that was judged; columns `JUDGEMENT_COLUMNS`.
    """

    is_cleared: Bools
    is_left: Bools
    by_person: Integers
    since: Integers
    judgements: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _OptOuts:
    """Opt-outs that evidence must be newer than. One entry per opt-out.

    Attributes:
        group: of the opt-out.
        person: who said so, -1 if it is Salesforce that says so.
        since: microseconds; `UNKNOWN` if it may have been at any time.
        id: of the act, 0 for Salesforce.
        is_exact: that is the time of the opt-out; otherwise it was then or before.
        is_theirs: dated by Salesforce's clock.
        is_complaint: ends only by the person's own opt-in.
        name: what to call it: `act:<id>` or `salesforce:<record>:<field>`.
    """

    group: Integers
    person: Positions
    since: Integers
    id: Integers
    is_exact: Bools
    is_theirs: Bools
    is_complaint: Bools
    name: np.ndarray


def usable(
    people: pd.DataFrame,
    resubscribes: pd.DataFrame,
    acts: Acts,
    groups: Groups,
    choices: Choices,
    read_at: int,
) -> tuple[Evidence, pd.DataFrame]:
    """Pick each person's newest usable evidence; tell why the others are none.

    While a complaint stands, the person's own opt-in goes before a newer consent that somebody
    recorded: only it can end the complaint. A time in the future is clamped to the read: nobody
    proves today what happens tomorrow. What a brake held was judged in time: it does not expire.

    Returns:
        The evidence, and a judgement for each one that is too old or replaced by a newer one.
    """
    claims = resubscribes[bools(resubscribes["is_evidence"])]
    person = positions(integers(people["person_id"]), integers(claims["person_id"]))
    claims, person = claims[person >= 0], person[person >= 0]
    at, act_id = np.minimum(moments(claims["at"]), read_at), integers(claims["act_id"])
    accepted = bools(claims["is_accepted"])
    waits = np.int64(choices.evidence_waits.total_seconds() * 1e6)
    expired = ~accepted & ~bools(claims["was_held"])
    expired &= moments(claims["recorded_at"]) < read_at - waits
    complaint = _complaints(acts, len(people))[person]
    is_own = is_in(claims["origin"], OWN_OPT_IN)
    order = np.lexsort((act_id, at, is_own | (complaint == 0), ~expired, person))
    last = np.ones(len(order), bool)
    last[:-1] = person[order][1:] != person[order][:-1]
    newest = np.zeros(len(order), bool)
    newest[order[last]] = True
    chosen = np.flatnonzero(newest & ~expired)
    evidence = Evidence(
        person=person[chosen],
        id=act_id[chosen],
        since=at[chosen],
        group=groups.of_person[person[chosen]],
        is_accepted=accepted[chosen],
        is_own_opt_in=is_own[chosen],
        covers=act_id[accepted],
        covers_since=at[accepted],
    )
    by_person = np.zeros(len(people), np.int64)
    by_person[evidence.person] = evidence.id
    dropped = ~accepted & ~(newest & ~expired)
    complained = (complaint > 0) & ~is_own
    way = np.where(complained, complaint, by_person[person])
    judged = pd.DataFrame(
        {
            "act_id": act_id,
            "person_id": claims["person_id"].to_numpy(np.int64),
            "verdict": Verdict.REFUSED.value,
            "code": np.select(
                [expired, complained],
                [Judgement.EXPIRED.value, Judgement.COMPLAINT.value],
                Judgement.NEWER_EVIDENCE.value,
            ),
            "in_the_way": pd.Series("act:" + way.astype(str).astype(object)).mask(expired),
            "retry_after": pd.Series(pd.NaT, index=range(len(act_id)), dtype="datetime64[us, UTC]"),
        }
    )[dropped]
    return evidence, judged


def _complaints(acts: Acts, people: int) -> Integers:
    """Return the id of each person's newest standing complaint; 0: none."""
    complaint = np.zeros(people, np.int64)
    complained = acts.take(np.flatnonzero(acts.is_own & is_in(acts.origin, [COMPLAINT])))
    order = np.lexsort((complained.id, complained.at))
    complaint[complained.person[order]] = complained.id[order]
    return complaint


def judge(
    people: pd.DataFrame,
    records: pd.DataFrame,
    known_times: pd.DataFrame,
    evidence: Evidence,
    acts: Acts,
    links: Links,
    groups: Groups,
    life: Life,
    choices: Choices,
    read_at: int,
) -> Findings:
    """Judge the evidence of every group that has some.

    Args:
        people: a `frames.People`.
        records: a `frames.Records`.
        known_times: a `frames.Times`.
        evidence: what `usable` picked.
        acts: standing unsubscribes in scope.
        links: aligned.
        groups: of the people.
        life: of the same people and records.
        choices: fields and skew.
        read_at: server time of the read, in microseconds.
    """
    if not len(evidence.id):
        return _nothing(groups, len(people))
    concerned = np.zeros(groups.count, bool)
    concerned[evidence.group] = True
    skew = np.int64(choices.clock_skew.total_seconds() * 1e6)
    opt_outs = _concat(
        [
            _in_store(acts, groups, concerned, links, records, choices, read_at),
            _in_salesforce(
                records, known_times, evidence, links, concerned, choices.fields, skew, read_at
            ),
            _joining(
                people, records, known_times, evidence, life, groups, concerned, skew, read_at
            ),
        ]
    )
    required = _required(acts, groups, concerned, len(people))
    is_ok, blocks, lacking = _is_ok(evidence, opt_outs, required, groups, skew)
    unread = any_of(links.group, links.is_unread, groups.count)
    has_open = any_of(evidence.group, ~evidence.is_accepted, groups.count)
    # both sides agreed on "opted out" where nothing can be read now, and no evidence covers that
    agreed = links.is_unread & (links.base == Base.OPTED_OUT)
    agreed &= _covered_until(links.evidence_id, evidence) == NEVER
    undated = any_of(links.group, agreed, groups.count)
    ending = _ending(evidence, groups, is_ok & ~unread, required, _is_free(evidence, blocks))
    return Findings(
        is_cleared=is_ok & ~unread,
        is_left=is_ok & unread & ~has_open & ~undated,
        by_person=appended(evidence.id, 0)[ending],
        since=appended(evidence.since, 0)[ending],
        judgements=_judgements(people, evidence, opt_outs, blocks, lacking, is_ok, unread, skew),
    )


def _nothing(groups: Groups, people: int) -> Findings:
    judged = pd.DataFrame(columns=list(JUDGEMENT_COLUMNS)).astype(
        {"retry_after": "datetime64[us, UTC]"}
    )
    none, nobody = np.zeros(groups.count, bool), np.zeros(people, np.int64)
    return Findings(none, none, nobody, nobody, judged)


def _required(acts: Acts, groups: Groups, concerned: Bools, people: int) -> Bools:
    """Everyone who opted out themselves, or for whom somebody recorded it."""
    own = acts.is_own & concerned[groups.of_person[acts.person]]
    required = np.zeros(people, bool)
    required[acts.person[own]] = True
    return required


def _is_ok(
    evidence: Evidence, opt_outs: _OptOuts, required: Bools, groups: Groups, skew: np.int64
) -> tuple[Bools, pd.DataFrame, Bools]:
    """Say of each group whether everyone in it who opted out has evidence newer than all of it.

    Returns:
        By group whether it may be cleared; one row per evidence and opt-out in its way: `evidence`
        and `opt_out`, positions; and by person who opted out and has no such evidence.
    """
    ours = pd.DataFrame({"group": evidence.group, "evidence": np.arange(len(evidence.id))})
    theirs = pd.DataFrame({"group": opt_outs.group, "opt_out": np.arange(len(opt_outs.id))})
    pairs = ours.merge(theirs, on="group")
    of, against = pairs["evidence"].to_numpy(np.intp), pairs["opt_out"].to_numpy(np.intp)
    blocks = pairs[~_is_after(evidence, of, opt_outs, against, skew)]
    is_good = _is_free(evidence, blocks)
    needs = required[evidence.person]
    has_required = np.zeros(groups.count, bool)
    has_required[groups.of_person[np.flatnonzero(required)]] = True
    with_good = np.zeros(len(required), bool)
    with_good[evidence.person[is_good]] = True
    lacking = required & ~with_good
    is_lacking = np.zeros(groups.count, bool)
    is_lacking[groups.of_person[np.flatnonzero(lacking)]] = True
    some_good = any_of(
        evidence.group, is_good & (needs | ~has_required[evidence.group]), groups.count
    )
    return np.asarray(some_good & ~is_lacking, bool), blocks, np.asarray(lacking, bool)


def _is_free(evidence: Evidence, blocks: pd.DataFrame) -> Bools:
    """Tell which evidence has nothing in its way."""
    is_free = np.ones(len(evidence.id), bool)
    is_free[blocks["evidence"].to_numpy(np.intp)] = False
    return is_free


def _is_after(
    evidence: Evidence, of: Positions, opt_outs: _OptOuts, against: Positions, skew: np.int64
) -> Bools:
    """Tell whether evidence is provably after an opt-out."""
    at, other = evidence.since[of], opt_outs.since[against]
    same_clock = (at > other) | ((at == other) & (evidence.id[of] > opt_outs.id[against]))
    other_clock = at - skew > other
    after = np.where(opt_outs.is_theirs[against], other_clock, same_clock)
    after &= other != UNKNOWN
    same_person = evidence.person[of] == opt_outs.person[against]
    complains = opt_outs.is_complaint[against] & same_person & ~evidence.is_own_opt_in[of]
    return np.asarray(after & ~complains, bool)


def _in_store(
    acts: Acts,
    groups: Groups,
    concerned: Bools,
    links: Links,
    records: pd.DataFrame,
    choices: Choices,
    read_at: int,
) -> _OptOuts:
    """List the acts of the store, without those that only repeat what stands elsewhere.

    An act of the sync ends when its cause ends: while the cause itself is in the group and still
    says so, the cause is compared, not the act.
    """
    of = acts.take(np.flatnonzero(concerned[groups.of_person[acts.person]]))
    group = groups.of_person[of.person]
    from_salesforce = of.cause.str.startswith("salesforce:").to_numpy(bool, na_value=False)
    repeats = ~of.is_own & _is_repeated(of, group, links, records, choices)
    at = np.minimum(of.at, read_at)
    caused_by = of.cause.str.extract(r"^act:(\d+)$", expand=False).astype("Int64")
    act_id = np.where(of.is_own, of.id, caused_by.to_numpy(np.int64, na_value=0))
    name = np.where(of.is_own, "act:" + of.id.astype(str).astype(object), _bare(of.cause))
    keep = np.flatnonzero(~repeats)
    return _OptOuts(
        group=group[keep],
        person=np.where(of.is_own, of.person, -1)[keep],
        since=at[keep],
        id=act_id[keep],
        is_exact=~from_salesforce[keep],
        is_theirs=from_salesforce[keep],
        is_complaint=(of.is_own & is_in(of.origin, [COMPLAINT]))[keep],
        name=name[keep],
    )


def _is_repeated(
    of: Acts, group: Integers, links: Links, records: pd.DataFrame, choices: Choices
) -> Bools:
    """Tell which acts of the sync repeat an opt-out that is compared itself."""
    says = np.flatnonzero((links.salesforce == Salesforce.OPTED_OUT) & np.isin(links.group, group))
    names = _names(records, links.row[says], links.field[says], choices.fields)
    shown = pd.MultiIndex.from_arrays([links.group[says], names])
    by_field = pd.MultiIndex.from_arrays([group, _bare(of.cause)]).isin(shown)
    cause_id = of.cause.str.extract(r"^act:(\d+)$", expand=False).astype("Int64")
    stands = pd.MultiIndex.from_arrays([group, of.id])
    by_act = pd.MultiIndex.from_arrays([group, cause_id.to_numpy(np.int64, na_value=0)])
    return np.asarray(by_field | by_act.isin(stands), bool)


def _in_salesforce(
    records: pd.DataFrame,
    known_times: pd.DataFrame,
    evidence: Evidence,
    links: Links,
    concerned: Bools,
    fields: tuple[str, ...],
    skew: np.int64,
    read_at: int,
) -> _OptOuts:
    """List the fields that say opted out, each once, dated as exactly as is known."""
    says = concerned[links.group] & (links.salesforce == Salesforce.OPTED_OUT)
    found = np.flatnonzero(says)
    _, first, box = np.unique(
        np.stack([links.row[found], links.field[found]]),
        axis=1,
        return_index=True,
        return_inverse=True,
    )
    # a box is covered by the newest evidence that any link of it names
    covered = np.full(len(first), NEVER, np.int64)
    np.maximum.at(covered, box, _covered_until(links.evidence_id[found], evidence))
    first = found[first]
    names = _names(records, links.row[first], links.field[first], fields)
    return _dated(
        records, known_times, links.row[first], names, links.group[first], covered, skew, read_at
    )


def _joining(
    people: pd.DataFrame,
    records: pd.DataFrame,
    known_times: pd.DataFrame,
    evidence: Evidence,
    life: Life,
    groups: Groups,
    concerned: Bools,
    skew: np.int64,
    read_at: int,
) -> _OptOuts:
    """List the opt-outs that join from records which persons left behind."""
    left = life.left[life.left["value"] == 1]
    person = positions(integers(people["person_id"]), left["person_id"].to_numpy(np.int64))
    group = groups.of_person[person]
    left, group = left[concerned[group]], group[concerned[group]]
    names = ("salesforce:" + left["record_id"] + ":" + left["field"]).to_numpy(object)
    covered = _covered_until(left["evidence_id"].to_numpy(np.int64, na_value=0), evidence)
    return _dated(
        records, known_times, left["row"].to_numpy(np.intp), names, group, covered, skew, read_at
    )


def _dated(
    records: pd.DataFrame,
    known_times: pd.DataFrame,
    row: Positions,
    names: np.ndarray,
    group: Integers,
    covered: Integers,
    skew: np.int64,
    read_at: int,
) -> _OptOuts:
    """Date what Salesforce says: by our own write, by its history, or by the record's last change.

    What accepted evidence covered was provably before it, whatever field was edited since.
    """
    known = "salesforce:" + known_times["record_id"] + ":" + known_times["field"]
    found = pd.Index(known.to_numpy(object)).get_indexer(pd.Index(names))
    modified = moments(records["last_modified_at"], UNKNOWN)
    at = np.where(row >= 0, appended(modified, UNKNOWN)[row], UNKNOWN)
    exact = appended(moments(known_times["at"]), UNKNOWN)[found]
    act_id = appended(known_times["act_id"].to_numpy(np.int64, na_value=0), 0)[found]
    is_exact = found >= 0
    at = np.where(at == UNKNOWN, UNKNOWN, np.minimum(at, read_at))
    at = np.where(covered == NEVER, at, np.minimum(at, covered - skew - 1))
    at = np.where(is_exact, np.minimum(exact, read_at), at)
    return _OptOuts(
        group=group,
        person=np.full(len(at), -1, np.intp),
        since=at,
        id=np.where(is_exact, act_id, 0),
        is_exact=is_exact,
        is_theirs=~(is_exact & (act_id > 0)),
        is_complaint=np.zeros(len(at), bool),
        name=names,
    )


def _covered_until(evidence_id: Integers, evidence: Evidence) -> Integers:
    """Return the time of the accepted evidence that each link names, or `NEVER`."""
    at = positions(evidence.covers, evidence_id)
    return np.asarray(appended(evidence.covers_since, NEVER)[at], np.int64)


def _ending(
    evidence: Evidence, groups: Groups, cleared: Bools, required: Bools, is_free: Bools
) -> Positions:
    """Say which evidence ends each person's opt-out: their own, or else the group's; -1: none."""
    order = np.lexsort((evidence.id, evidence.since, required[evidence.person]))
    order = order[is_free[order]]
    of_group = np.full(groups.count, -1, np.intp)
    of_group[evidence.group[order]] = order
    by_person = np.where(cleared[groups.of_person], of_group[groups.of_person], -1)
    own = np.flatnonzero(cleared[evidence.group] & is_free)
    by_person[evidence.person[own]] = own
    return np.asarray(by_person, np.intp)


def _judgements(
    people: pd.DataFrame,
    evidence: Evidence,
    opt_outs: _OptOuts,
    blocks: pd.DataFrame,
    lacking: Bools,
    is_ok: Bools,
    unread: Bools,
    skew: np.int64,
) -> pd.DataFrame:
    """Say of each open evidence what became of it, and what is in its way."""
    is_open = np.flatnonzero(~evidence.is_accepted)
    ok = (is_ok[evidence.group] & _is_free(evidence, blocks))[is_open]
    waits = unread[evidence.group[is_open]]
    obstacle = _obstacles(evidence, opt_outs, blocks).reindex(is_open)
    refused = obstacle["code"].fillna(Judgement.OTHER_PERSON.value)
    code = np.select(
        [ok & ~waits, ok], [Judgement.RESUBSCRIBED.value, Judgement.NOT_READ.value], refused
    )
    verdict = np.select(
        [ok & ~waits, ok], [Verdict.ACCEPTED.value, Verdict.WAITING.value], Verdict.REFUSED.value
    )
    until = obstacle["until"].fillna(0).to_numpy(np.int64)
    # nothing is in the way of this one, but somebody else's consent is missing
    missing = _newest_of(opt_outs, lacking, len(is_ok))[evidence.group[is_open]]
    way = obstacle["name"].where(obstacle["name"].notna(), missing)
    return pd.DataFrame(
        {
            "act_id": evidence.id[is_open],
            "person_id": integers(people["person_id"])[evidence.person[is_open]],
            "verdict": verdict,
            "code": code,
            "in_the_way": way.where(~ok, None).to_numpy(object),
            "retry_after": times(until + skew, (until > 0) & ~ok),
        }
    )


def _newest_of(opt_outs: _OptOuts, people: Bools, groups: int) -> np.ndarray:
    """Name by group the newest own opt-out of some of its people; null where there is none."""
    own = np.flatnonzero(opt_outs.person >= 0)
    own = own[people[opt_outs.person[own]]]
    own = own[np.lexsort((opt_outs.id[own], opt_outs.since[own]))]
    named = np.full(groups, None, object)
    named[opt_outs.group[own]] = opt_outs.name[own]  # the newest comes last
    return named


def _obstacles(evidence: Evidence, opt_outs: _OptOuts, blocks: pd.DataFrame) -> pd.DataFrame:
    """Pick for each evidence the opt-out that most clearly is in its way. Indexed by evidence."""
    of, by = blocks["evidence"].to_numpy(np.intp), blocks["opt_out"].to_numpy(np.intp)
    mine = opt_outs.person[by] == evidence.person[of]
    # what the sync recorded for an act that is not in this group: only the store shows it
    stands = pd.Series(opt_outs.name[by], dtype="str").str.startswith("act:").to_numpy(bool)
    code = np.select(
        [
            mine & opt_outs.is_complaint[by],
            mine | (stands & (opt_outs.person[by] < 0)),
            opt_outs.person[by] >= 0,
            opt_outs.is_exact[by],
        ],
        [
            Judgement.COMPLAINT.value,
            Judgement.NEWER_OPT_OUT.value,
            Judgement.OTHER_PERSON.value,
            Judgement.OPTED_OUT_IN_SALESFORCE.value,
        ],
        Judgement.EDITED_SINCE.value,
    )
    rank = pd.Series(code).map({each.value: n for n, each in enumerate(_MOST_TELLING)})
    bound = opt_outs.is_theirs[by] & ~opt_outs.is_exact[by] & (opt_outs.since[by] != UNKNOWN)
    listed = pd.DataFrame(
        {
            "evidence": of,
            "code": code,
            "name": opt_outs.name[by],
            "until": pd.Series(opt_outs.since[by]).where(bound).astype("Int64"),
            "rank": rank,
            "at": opt_outs.since[by],
        }
    )
    ordered = listed.sort_values(
        ["evidence", "rank", "at", "name"], ascending=[True, True, False, True]
    )
    return ordered.drop_duplicates("evidence").set_index("evidence")


_MOST_TELLING: Final = (
    Judgement.COMPLAINT,
    Judgement.NEWER_OPT_OUT,
    Judgement.OTHER_PERSON,
    Judgement.OPTED_OUT_IN_SALESFORCE,
    Judgement.EDITED_SINCE,
)


def _names(
    records: pd.DataFrame, row: Positions, field: Positions, fields: tuple[str, ...]
) -> np.ndarray:
    """Name fields of records as a cause does, without its time."""
    record_id = records["record_id"].iloc[row].to_numpy(object)
    return np.asarray("salesforce:" + record_id + ":" + np.array(fields, object)[field], object)


def _bare(causes: pd.Series) -> np.ndarray:
    """Return causes without the time that they carry."""
    return np.asarray(causes.str.replace("@.*$", "", regex=True).to_numpy(object), object)


def _concat(parts: list[_OptOuts]) -> _OptOuts:
    names = _OptOuts.__dataclass_fields__
    return _OptOuts(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})
