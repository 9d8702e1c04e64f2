"""What the conflict rules say of one group, read slowly: one group at a time, no frames, no arrays.

This is the specification a second time, written without a look at the engine. Every question is
answered with yes, no, or `UNSURE`: there the rules leave room, and either outcome is right.

    A group is opted out if any value in it is opted out, unless everyone in it who opted out has
    accepted evidence newer than every opt-out in the group.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.property.store import CAUSE, Row, Seen
from tests.property.worlds import BY_THE_PERSON, OPT_IN_BY_THE_PERSON, SYNC, usable_id

Answer = bool | None
UNSURE: Answer = None

OUT = "everything is opted out"
IN = "nothing is opted out"
AS_IT_IS = "nothing is written"


def all_of(answers: Iterable[Answer]) -> Answer:
    """Yes if all are yes, no if one is no."""
    known = list(answers)
    if False in known:
        return False
    return UNSURE if UNSURE in known else True


def any_of(answers: Iterable[Answer]) -> Answer:
    """Yes if one is yes, no if all are no."""
    known = list(answers)
    if True in known:
        return True
    return UNSURE if UNSURE in known else False


def opposite(answer: Answer) -> Answer:
    return UNSURE if answer is UNSURE else not answer


# Who belongs together ------------------------------------------------------------------------


@dataclass
class Home:
    """Where a person's Salesforce Id leads: through which records, and what is at the end.

    `end` is `live`, `missing` (not returned), `deleted`, `circular` or `none` (no usable Id).
    """

    end: str
    record: str | None
    passed: list[str]


@dataclass
class Group:
    """A Salesforce record and the persons linked to it; or one person without a living record."""

    seen: Seen
    people: list[int]
    homes: dict[int, Home]
    record: Row | None  # as read, if it is there
    record_id: str | None

    @property
    def is_missing(self) -> bool:
        return self.record_id is not None and self.record is None

    @property
    def is_alone(self) -> bool:
        """Whether there is no record that could be read or written."""
        return self.record_id is None

    @property
    def is_sure(self) -> bool:
        """Whether these are certainly all who belong together.

        Not at the end of a chain that leads to what cannot be seen; and whether people belong
        together whose common record is gone for good, the rules leave open.
        """
        if self.is_alone:
            return not any(_shares_its_end(self.seen, self.homes, p) for p in self.people)
        return not (self.is_missing and any(self.homes[p].passed for p in self.people))


def _shares_its_end(seen: Seen, homes: dict[int, Home], person: int) -> bool:
    home = homes[person]
    others = [h for p, h in homes.items() if p != person and h.end == home.end]
    path = {home.record, *home.passed} - {None}
    return any(path & {h.record, *h.passed} for h in others)


def home_of(seen: Seen, records: dict[str, Row], typed: str | None) -> Home:
    """Follow merges and conversions to the record that lives."""
    record_id = usable_id(typed)
    if record_id is None:
        return Home("none", None, [])
    passed: list[str] = []
    while record_id not in passed:
        row = records.get(record_id)
        if row is None:
            return Home("missing", record_id, passed)
        if not row["is_deleted"] and not row["is_converted"]:
            return Home("live", record_id, passed)
        next_id = lives_on_as(row)
        if next_id is None:
            return Home("deleted", record_id, passed)
        passed.append(record_id)
        record_id = str(next_id)
    return Home("circular", record_id, passed)


def lives_on_as(row: Row) -> str | None:
    """The record that a merge or a conversion put in a record's place."""
    found = row["master_record_id"] if row["is_deleted"] else None
    return found or (row["converted_contact_id"] if row["is_converted"] else None)


def groups(seen: Seen) -> list[Group]:
    """Put people together whose Ids lead to one record; everybody else stands alone."""
    records = {row["record_id"]: row for row in seen.records}
    homes = {p["person_id"]: home_of(seen, records, p["salesforce_id"]) for p in seen.people}
    together: dict[str, list[int]] = {}
    alone: list[int] = []
    for person, home in homes.items():
        if home.end in ("live", "missing") and home.record is not None:
            together.setdefault(home.record, []).append(person)
        else:
            alone.append(person)
    found = [Group(seen, people, homes, records.get(r), r) for r, people in together.items()]
    return found + [Group(seen, [person], homes, None, None) for person in alone]


# What a group says ---------------------------------------------------------------------------


@dataclass
class OptOut:
    """One opt-out of a group and what is known of its time.

    `counts`: it is an opt-out of this group (unsure: perhaps). `delays`: evidence must be newer.
    `at` is the latest moment at which it can have happened; None: nobody knows.
    """

    clock: str  # store or salesforce
    at: datetime | None
    is_exact: bool = True
    act: int = 0
    person: int | None = None
    origin: str = ""
    where: tuple[str, str] | None = None  # record and field
    counts: Answer = True
    delays: Answer = True
    is_unread: bool = False  # only the base says so; evidence may have to wait


def value(group: Group, name: str) -> bool | None:
    """The box of the group's record: yes, no, or cannot be read."""
    return None if group.record is None else _flag(group.seen, group.record, name)


def _flag(seen: Seen, row: Row, name: str) -> bool | None:
    return row.get(name) if row["object"] in seen.readable(name) else None


def link_of(group: Group, person: int, record_id: str | None, name: str) -> Row | None:
    for row in group.seen.links:
        if (row["person_id"], row["record_id"], row["field"]) == (person, record_id, name):
            return row
    return None


def base_of(group: Group, person: int, name: str) -> bool | None:
    row = link_of(group, person, group.record_id, name)
    return row["base"] if row else None


def is_in_scope(seen: Seen, row: Row) -> bool:
    setting = seen.setting
    return row["scope"] in setting.scopes and (setting.bounces or row["origin"] != "Bounce")


def acts_of(group: Group, person: int) -> list[Row]:
    """The unsubscribes of a person that stand and count."""
    rows = [row for row in group.seen.opt_outs if row["person_id"] == person]
    return [row for row in rows if is_in_scope(group.seen, row)]


def own_acts(group: Group, person: int) -> list[Row]:
    return [row for row in acts_of(group, person) if row["origin"] != SYNC]


def opt_outs(group: Group) -> list[OptOut]:
    """List every opt-out of a group, wherever it stands."""
    found = [_act(group, row) for person in group.people for row in acts_of(group, person)]
    found += [one for name in group.seen.setting.fields for one in _box(group, name)]
    found += [one for person in group.people for one in _left_behind(group, person)]
    return found


def _act(group: Group, row: Row) -> OptOut:
    at, now = row["at"], group.seen.setting.now
    found = OptOut("store", min(at, now), act=row["act_id"], person=row["person_id"])
    found.origin = row["origin"]
    if row["origin"] == SYNC:
        found.delays = opposite(_is_said_by_another(group, row["caused_by"]))
        found.clock = "salesforce" if row["caused_by"].startswith("salesforce:") else "store"
    return found


def _is_said_by_another(group: Group, cause: str) -> Answer:
    """Whether the cause of a sync's opt-out is an opt-out of the group itself, so counts there."""
    match = CAUSE.match(cause)
    if match:
        in_mode = match["field"] in group.seen.setting.fields
        return (
            in_mode and match["record"] == group.record_id and value(group, match["field"]) is True
        )
    named = [row for row in group.seen.opt_outs if cause == f"act:{row['act_id']}"]
    if not named or named[0]["person_id"] not in group.people:
        return False
    return True if is_in_scope(group.seen, named[0]) else UNSURE


def _box(group: Group, name: str) -> Iterator[OptOut]:
    """The box of one field; what cannot be read counts with the bases."""
    if group.is_alone or group.record_id is None:
        return
    where = (group.record_id, name)
    found = value(group, name)
    if found:
        yield _dated(group.seen, where)
    elif found is None:
        for row in group.seen.links:
            if (row["record_id"], row["field"]) == where and row["base"]:
                yield OptOut(
                    "salesforce", None, False, where=where, counts=_base_counts(group, row)
                )


def _base_counts(group: Group, link: Row) -> Answer:
    """Whether the base of a hidden box certainly counts.

    Not that of a link that ended, nor an opt-out that accepted evidence answered before.
    """
    is_ours = link["person_id"] in group.people and link["state"] == "active"
    return True if is_ours and link["evidence_id"] is None else UNSURE


def _dated(seen: Seen, where: tuple[str, str], read: bool | None = True) -> OptOut:
    """Date a box: by our own write, else by its history, else by its record's last change."""
    for row in seen.times:
        if read and (row["record_id"], row["field"]) == where:
            clock = "salesforce" if row["act_id"] is None else "store"
            return OptOut(clock, row["at"], act=row["act_id"] or 0, where=where)
    changes = [r["last_modified_at"] for r in seen.records if r["record_id"] == where[0]]
    return OptOut("salesforce", changes[0] if changes else None, False, where=where)


def _left_behind(group: Group, person: int) -> Iterator[OptOut]:
    """The boxes of records that a person leaves: their opt-outs join once."""
    home = group.homes[person]
    linked = {row["record_id"] for row in group.seen.links if row["person_id"] == person}
    passed = list(home.passed)
    if home.end in ("deleted", "circular") and home.record:
        passed.append(home.record)
    others = [r for r in sorted(linked) if r not in passed and r != group.record_id]
    for record_id in passed + others:
        for name in _fields_of_links(group):
            found = _old_box(group, person, record_id, name, record_id in home.passed)
            if found is not None:
                yield found


def _fields_of_links(group: Group) -> list[str]:
    in_mode = list(group.seen.setting.fields)
    return in_mode + sorted({row["field"] for row in group.seen.links} - set(in_mode))


def _old_box(group: Group, person: int, old: str, name: str, is_passed: bool) -> OptOut | None:
    """The opt-out of one box left behind: its value if readable, else the base."""
    link = link_of(group, person, old, name)
    if link is None and not is_passed:
        return None
    if link is not None and link["state"] == "retired" and not is_passed:
        return None
    row = next((row for row in group.seen.records if row["record_id"] == old), None)
    read = _flag(group.seen, row, name) if row else None
    base = link["base"] if link else None
    if read is None and not base:
        return _unknown_box(old, name)
    if read is False and not (base and group.homes[person].end == "circular"):
        return None
    found = _dated(group.seen, (old, name), read)
    found.is_unread = not read
    found.counts = _joins(group, person, link, row, name)
    found.delays = True if found.counts else UNSURE
    return found


def _unknown_box(old: str, name: str) -> OptOut:
    """Say of a box that nothing is known: no opt-out, but evidence may have to wait for it."""
    return OptOut("salesforce", None, False, where=(old, name), counts=False, delays=UNSURE)


def _joins(group: Group, person: int, link: Row | None, row: Row | None, name: str) -> Answer:
    """Whether an old opt-out certainly joins.

    The rules leave open what a link outside the mode says, one that was gone or joined before, a
    deleted record's box ("the store's state is kept"), and the links of somebody without an Id.
    """
    is_plain = link is None or link["state"] == "active"
    is_deleted = row is not None and row["is_deleted"] and not lives_on_as(row)
    has_home = group.homes[person].end in ("live", "missing")
    in_mode = name in group.seen.setting.fields
    return True if is_plain and not is_deleted and has_home and in_mode else UNSURE


# Evidence ------------------------------------------------------------------------------------


def is_after(seen: Seen, evidence: Row, opt_out: OptOut) -> Answer:
    """Whether evidence is newer: on one clock later, between two later by more than the skew."""
    setting = seen.setting
    if opt_out.at is None:
        return False
    said, at = min(evidence["at"], setting.now), min(opt_out.at, setting.now)
    if opt_out.clock == "salesforce":
        return bool(said > at + setting.skew)
    if said == at == setting.now and (evidence["at"] > said or opt_out.at >= at):
        return UNSURE  # both were clamped to the moment of the read
    if opt_out.origin == SYNC and said == at:
        return UNSURE  # its cause's id is not known
    return bool((said, evidence["act_id"]) > (at, opt_out.act))


def is_covered(group: Group, evidence: Row, opt_out: OptOut) -> Answer:
    """Whether this box was judged by this evidence before: later edits of its record do not count.

    An exact time that is later than the evidence is another opt-out. A box that only some of the
    people's links call judged, or by evidence that is not shown, may be taken either way.
    """
    if opt_out.where is None or opt_out.is_exact:
        return False
    links = [link_of(group, person, *opt_out.where) for person in group.people]
    marks = [link["evidence_id"] if link else None for link in links]
    if not any(marks):
        return False
    accepted = [row["act_id"] for row in group.seen.resubscribes if row["is_accepted"]]
    is_whole = all(mark in accepted for mark in marks)
    return True if is_whole and evidence["act_id"] in marks else UNSURE


def is_in_time(seen: Seen, evidence: Row) -> Answer:
    """Whether it is judged within a week; once accepted or held, it stands for ever."""
    if evidence["is_accepted"] or evidence["was_held"]:
        return True
    oldest = seen.setting.now - seen.setting.waits
    recorded, said = evidence["recorded_at"], evidence["at"]
    if recorded == oldest:
        return UNSURE
    return bool(recorded > oldest) if (recorded > oldest) == (said > oldest) else UNSURE


def is_enough_for_complaints(group: Group, evidence: Row) -> Answer:
    """A complaint ends only by the person's own opt-in."""
    complained = any(a["origin"] == "Complaint" for a in own_acts(group, evidence["person_id"]))
    return not complained or evidence["origin"] in OPT_IN_BY_THE_PERSON


def is_all_known(group: Group) -> Answer:
    """Whether every box of the group can be read: nothing is cleared on ignorance."""
    if group.is_alone:
        ends = {group.homes[person].end for person in group.people}
        return UNSURE if "circular" in ends else True
    if group.is_missing:
        links = [row for row in group.seen.links if row["record_id"] == group.record_id]
        return UNSURE if any(row["state"] != "active" for row in links) else False
    return all(value(group, name) is not None for name in group.seen.setting.fields)


def is_acceptable(group: Group, evidence: Row) -> Answer:
    return all_of([is_all_known(group), is_good(group, evidence)])


def is_good(group: Group, evidence: Row) -> Answer:
    """Whether evidence answers every opt-out that is known."""
    answers = [
        is_in_time(group.seen, evidence),
        is_enough_for_complaints(group, evidence),
        all_of(_is_answered(group, evidence, one) for one in opt_outs(group)),
        _is_free_of_other_boxes(group, evidence),
    ]
    return all_of(answers)


def _is_answered(group: Group, evidence: Row, opt_out: OptOut) -> Answer:
    is_later = any_of(
        [is_after(group.seen, evidence, opt_out), is_covered(group, evidence, opt_out)]
    )
    if opt_out.counts is True and opt_out.delays is True:
        return is_later
    return any_of([is_later, False if opt_out.delays is True else opposite(opt_out.delays), UNSURE])


def _is_free_of_other_boxes(group: Group, evidence: Row) -> Answer:
    """A box outside the mode that we set once: evidence clears it; whether it can delay is open."""
    for name in set(_fields_of_links(group)) - set(group.seen.setting.fields):
        if group.is_alone or not _others_linked(group, name):
            continue
        read = value(group, name)
        if read is None or (read and clears_other_box(group, evidence, name) is not True):
            return UNSURE
    return True


def _others_linked(group: Group, name: str) -> list[Row]:
    links = [link_of(group, person, group.record_id, name) for person in group.people]
    return [row for row in links if row is not None]


def clears_other_box(group: Group, evidence: Row, name: str) -> Answer:
    """Whether evidence answers the opt-out of a box outside the mode."""
    if group.record_id is None or not value(group, name):
        return False
    opt_out = _dated(group.seen, (group.record_id, name))
    return any_of([is_after(group.seen, evidence, opt_out), is_covered(group, evidence, opt_out)])


def evidence_of(group: Group, person: int) -> list[Row]:
    rows = [row for row in group.seen.resubscribes if row["person_id"] == person]
    return [row for row in rows if row["is_evidence"]]


def required(group: Group) -> list[int]:
    """Everyone in the group who opted out themselves."""
    return [person for person in group.people if own_acts(group, person)]


def witnesses(group: Group) -> list[list[Row]]:
    """One list per person whose evidence is needed; if nobody opted out, anybody's will do."""
    by_person = [evidence_of(group, person) for person in required(group)]
    if by_person:
        return by_person
    return [[row for person in group.people for row in evidence_of(group, person)]]


def is_ended_by_evidence(group: Group) -> Answer:
    sides = [any_of(is_acceptable(group, row) for row in rows) for rows in witnesses(group)]
    found = all_of(sides)
    return UNSURE if found and not group.is_sure else found


# The outcome ---------------------------------------------------------------------------------


@dataclass
class Expectation:
    """What may become of a group, and which evidence may be accepted.

    `verdicts`: by act, whether it is accepted. `one_of`: lists of acts of which at least one is.
    """

    group: Group
    outcomes: set[str]
    verdicts: dict[int, Answer]
    one_of: list[list[int]] = field(default_factory=list)
    is_opted_out: Answer = False


def expect(group: Group) -> Expectation:
    """Say what the rules say of one group."""
    opted_out = any_of(one.counts for one in opt_outs(group))
    ended = is_ended_by_evidence(group)
    outcomes: set[str] = set()
    if ended is not False:
        outcomes |= {IN}
    if ended is not True:
        outcomes |= _without_evidence(group, opted_out)
    found = Expectation(group, outcomes, _verdicts(group, ended), is_opted_out=opted_out)
    if ended:
        found.one_of = _needed(group)
    return found


def _waits_for_sight(group: Group) -> bool:
    """Whether accepted evidence answers all that is known, and something cannot be read.

    Then nothing more is cleared; whether what was cleared is opted out again, the rules leave open.
    """
    rows = [row for rows in witnesses(group) for row in rows if row["is_accepted"]]
    return is_all_known(group) is not True and any(is_good(group, row) is not False for row in rows)


def _without_evidence(group: Group, opted_out: Answer) -> set[str]:
    if opted_out is False:
        return {AS_IT_IS}
    outcomes = {OUT} if opted_out and not _waits_for_sight(group) else {OUT, AS_IT_IS}
    if group.seen.setting.rule == "opt_out_wins":
        return outcomes
    if is_all_known(group) is not True:
        return outcomes | {AS_IT_IS}
    cleared = is_cleared(group)
    return {IN} if cleared else outcomes | ({IN} if cleared is UNSURE else set())


def _verdicts(group: Group, ended: Answer) -> dict[int, Answer]:
    rows = [row for person in group.people for row in evidence_of(group, person)]
    waiting = [row for row in rows if not row["is_accepted"]]
    return {row["act_id"]: _verdict(group, row, ended) for row in waiting}


def _verdict(group: Group, row: Row, ended: Answer) -> Answer:
    if is_acceptable(group, row) is False or ended is False:
        return False if group.is_sure or is_acceptable(group, row) is False else UNSURE
    return UNSURE


def _needed(group: Group) -> list[list[int]]:
    """Which evidence must be accepted now: of each list one, unless one was accepted before."""
    needed = []
    for rows in witnesses(group):
        good = [row for row in rows if is_acceptable(group, row) is not False]
        if not any(row["is_accepted"] for row in good):
            needed.append([row["act_id"] for row in good])
    return needed


# changed_side --------------------------------------------------------------------------------


def says_no_longer(group: Group, person: int, since: datetime | None = None) -> Answer:
    """Whether the store counts as not opted out: it is not, or a later resubscribe says so.

    `since` is when the store last agreed that the person is out: what was said before is no change.
    An opt-out by the person themselves ends only by evidence. Whether evidence that could not be
    accepted still counts as a plain resubscribe, the rules leave open.
    """
    acts = acts_of(group, person)
    if not acts:
        return True
    if any(act["origin"] in BY_THE_PERSON for act in acts):
        return False
    rows = [row for row in group.seen.resubscribes if row["person_id"] == person]
    return any_of(
        all_of([_counts_as_no(group, row, acts), _is_said_since(row, since)]) for row in rows
    )


def _is_said_since(row: Row, since: datetime | None) -> Answer:
    if since is None:
        return True
    answers = {row["at"] > since, row["recorded_at"] > since}
    return UNSURE if len(answers) > 1 or since in (row["at"], row["recorded_at"]) else answers.pop()


def _counts_as_no(group: Group, row: Row, acts: list[Row]) -> Answer:
    newest = max((act["at"], act["act_id"]) for act in acts)
    if (row["at"], row["act_id"]) <= newest:
        return False
    is_close = any(
        act["origin"] == SYNC and row["at"] <= act["at"] + group.seen.setting.skew for act in acts
    )
    is_plain = not row["is_evidence"] and not row["is_accepted"] and not is_close
    is_future = row["at"] > group.seen.setting.now
    return True if is_plain and not is_future else UNSURE


def is_cleared(group: Group) -> Answer:
    """Whether every link with base yes was cleared on at least one side.

    No link was opted out, first seen or carried over, and nobody opted out themselves.
    """
    if any(a["origin"] in BY_THE_PERSON for p in group.people for a in own_acts(group, p)):
        return False
    carried = [one for person in group.people for one in _left_behind(group, person)]
    if any(one.counts is True for one in carried):
        return False
    is_doubtful = bool(carried) or group.is_alone or not group.is_sure
    links = [
        is_cleared_link(group, person, name)
        for person in group.people
        for name in group.seen.setting.fields
    ]
    found = all_of(links)
    return UNSURE if found and is_doubtful else found


def is_cleared_link(group: Group, person: int, name: str) -> Answer:
    link = link_of(group, person, group.record_id, name)
    base = link["base"] if link else None
    store_is_in = says_no_longer(group, person, link["base_since"] if link and base else None)
    salesforce_is_in = opposite(value(group, name))
    if link is not None and link["state"] == "retired":
        answers = [_cleared(b, store_is_in, salesforce_is_in) for b in (base, None)]
        return answers[0] if answers[0] == answers[1] else UNSURE
    return _cleared(base, store_is_in, salesforce_is_in)


def _cleared(base: bool | None, store_is_in: Answer, salesforce_is_in: Answer) -> Answer:
    if base:
        return any_of([store_is_in, salesforce_is_in])
    both = all_of([store_is_in, salesforce_is_in])
    if base is None and both is not False:
        return UNSURE  # first seen, and no side is opted out
    return both


# One link ------------------------------------------------------------------------------------

T, F, NEW = True, False, None

TABLE = {
    # base store Salesforce
    (F, F, F): "AGREED",
    (F, T, F): "UNSUBSCRIBED_IN_STORE",
    (F, F, T): "OPTED_OUT_IN_SALESFORCE",
    (F, T, T): "BOTH_OPTED_OUT",
    (T, T, T): "AGREED",
    (T, F, T): "CLEARED_IN_STORE_ONLY",
    (T, T, F): "CLEARED_IN_SALESFORCE_ONLY",
    (T, F, F): "BOTH_CLEARED",
    (NEW, F, F): "FIRST_SEEN_AGREED",
    (NEW, T, T): "FIRST_SEEN_AGREED",
    (NEW, T, F): "FIRST_SEEN_OPT_OUT",
    (NEW, F, T): "FIRST_SEEN_OPT_OUT",
}
"""Section 4: the code of one link whose both sides are readable."""


def retry_delay(seen: Seen) -> timedelta:
    """How long after an opt-out in Salesforce new evidence is certainly newer."""
    return seen.setting.skew
