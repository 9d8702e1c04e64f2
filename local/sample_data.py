"""The sample company of the demo: 5,000 people, and what became of each of them.

Everybody is in one *story*: what the store says, what Salesforce says, what both last agreed on
(the memory of earlier nights), and therefore the codes the night must find. `STORIES` is the whole
plan; the demo compares the night's decisions with it, and its summary can be read beside it.

Across the stories: about 250 Ids have 15 characters (valid: they are completed before anything is
compared), names are as unicode as the org's, and no record belongs to two people but in the stories
that say so. Clears are fewer than the brake of the settings lets through in a day.

`sample` is a pure function: the same records, seed and time give the same company. It plans; the
demo writes the plan into the store (people and acts), the sync's memory (links with their base)
and Salesforce (edits, conversions, merges and deletions by its human users).
"""

import random
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

PEOPLE: Final = 5_000
CONTACTS: Final = 3_000
LEADS: Final = 1_600
FIELD: Final = "HasOptedOutOfEmail"

_SHORT_IDS: Final = 0.06
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


class Place(StrEnum):
    """Where the Salesforce Id of a person leads."""

    RECORD = "a Contact or Lead"
    SHARED = "a Contact that another person names, too"
    SHARING = "the Contact of a person above"
    REPLACED = "a Contact in the place of their former one"
    CONVERTED = "a Lead that was converted"
    MERGED = "a Contact that was merged into another"
    DELETED = "a Contact that was deleted"
    UNKNOWN = "a record that this org does not have"
    NOWHERE = "no Salesforce Id"
    BAD_CHECKSUM = "an Id with a typing error"
    ACCOUNT = "the Id of an Account"
    TRUNCATED = "an Id cut short"


WITHOUT_RECORD: Final = frozenset(
    {Place.UNKNOWN, Place.NOWHERE, Place.BAD_CHECKSUM, Place.ACCOUNT, Place.TRUNCATED}
)


@dataclass(frozen=True, slots=True)
class Consent:
    """That a person may be mailed again, recorded before the night.

    Attributes:
        verdict: what the night must say.
        code: why.
        origin: who says so: the person (Clicked Link), or somebody for them (Manual).
        reason: why they may be mailed again.
        actor: who recorded it.
        is_outdated: they unsubscribed once more after it.
    """

    verdict: str
    code: str
    origin: str
    reason: str
    actor: str
    is_outdated: bool = False


_BY_PHONE: Final = ("Manual", "asked on the phone for our mails", "support")


@dataclass(frozen=True, slots=True)
class Story:
    """What is true of a number of people.

    Attributes:
        title: the story in a few words.
        people: how many; None takes every record that is left.
        codes: what the night must list for each; none where nothing changes.
        store: whether they unsubscribed in the store.
        salesforce: whether the box is ticked in Salesforce.
        base: what both sides last agreed on, None if they never met.
        place: where their Salesforce Id leads.
        edited: whether a human in Salesforce changed the box since.
        ignored: a kind of act that is out of scope, which they have instead.
        origin: how they unsubscribed; None: in any way.
        consent: what they said afterwards.
    """

    title: str
    people: int | None
    codes: tuple[str, ...]
    store: bool = False
    salesforce: bool = False
    base: bool | None = None
    place: Place = Place.RECORD
    edited: bool = False
    ignored: str | None = None
    origin: str | None = None
    consent: Consent | None = None


STORIES: Final = (
    # since both sides last agreed
    Story("unsubscribed in the store", 41, ("UNSUBSCRIBED_IN_STORE",), store=True, base=False),
    Story(
        "opted out by a colleague in Salesforce",
        23,
        ("OPTED_OUT_IN_SALESFORCE",),
        salesforce=True,
        base=False,
        edited=True,
    ),
    Story(
        "opted out on both sides", 9, ("BOTH_OPTED_OUT",), store=True, salesforce=True, base=False
    ),
    Story(
        "box cleared in Salesforce",
        6,
        ("CLEARED_IN_SALESFORCE_ONLY",),
        store=True,
        base=True,
        edited=True,
    ),
    # two people, one Contact: a record has one box
    Story(
        "shares a Contact, unsubscribed",
        4,
        ("UNSUBSCRIBED_IN_STORE",),
        store=True,
        base=False,
        place=Place.SHARED,
    ),
    Story("shares it, said nothing", 4, ("SHARED_RECORD",), base=False, place=Place.SHARING),
    # may they be mailed again?
    Story(
        "asked for mails again",
        1,
        ("RESUBSCRIBED",),
        store=True,
        salesforce=True,
        base=True,
        origin="Clicked Link",
        consent=Consent("accepted", "RESUBSCRIBED", *_BY_PHONE),
    ),
    Story(
        "complained, signed up again",
        1,
        ("RESUBSCRIBED",),
        store=True,
        salesforce=True,
        base=True,
        origin="Complaint",
        consent=Consent(
            "accepted", "RESUBSCRIBED", "Clicked Link", "confirmed a new subscription", "web shop"
        ),
    ),
    Story(
        "complained, support says they may be mailed",
        1,
        (),
        store=True,
        salesforce=True,
        base=True,
        origin="Complaint",
        consent=Consent("refused", "COMPLAINT", *_BY_PHONE),
    ),
    Story(
        "asked for mails again, then unsubscribed",
        1,
        (),
        store=True,
        salesforce=True,
        base=True,
        origin="Clicked Link",
        consent=Consent("refused", "NEWER_OPT_OUT", *_BY_PHONE, is_outdated=True),
    ),
    # first sights: the sync never compared these
    Story("new, opted out in the store only", 32, ("FIRST_SEEN_OPT_OUT",), store=True),
    Story("new, opted out in Salesforce only", 28, ("FIRST_SEEN_OPT_OUT",), salesforce=True),
    Story("new, opted out on both sides", 24, ("FIRST_SEEN_AGREED",), store=True, salesforce=True),
    Story("new, not opted out", 380, ("FIRST_SEEN_AGREED",)),
    # records that live on elsewhere: the person goes along, and is compared with that one at once
    Story(
        "opted-out Lead, converted",
        2,
        ("CARRIED_OVER_CONVERSION", "FIRST_SEEN_OPT_OUT"),
        salesforce=True,
        base=False,
        place=Place.CONVERTED,
    ),
    Story(
        "Lead, converted",
        2,
        ("CARRIED_OVER_CONVERSION", "FIRST_SEEN_AGREED"),
        base=False,
        place=Place.CONVERTED,
    ),
    Story(
        "opted-out Contact, merged away",
        2,
        ("CARRIED_OVER_MERGE", "FIRST_SEEN_OPT_OUT"),
        salesforce=True,
        base=False,
        place=Place.MERGED,
    ),
    Story(
        "Contact, merged away",
        1,
        ("CARRIED_OVER_MERGE", "FIRST_SEEN_AGREED"),
        base=False,
        place=Place.MERGED,
    ),
    Story(
        "got another Salesforce Id, the former Contact was opted out",
        2,
        ("RELINKED", "FIRST_SEEN_OPT_OUT"),
        salesforce=True,
        base=False,
        place=Place.REPLACED,
        edited=True,
    ),
    # records that do not live on
    Story("Contact, deleted", 3, ("DELETED_IN_SALESFORCE",), base=False, place=Place.DELETED),
    Story("record unknown to this org", 15, ("NOT_VISIBLE",), place=Place.UNKNOWN),
    # no record to compare with
    Story("no Salesforce Id", 609, (), place=Place.NOWHERE),
    Story(
        "no Salesforce Id, opted out", 31, ("NO_SALESFORCE_ID",), store=True, place=Place.NOWHERE
    ),
    Story("Id with a typing error", 20, ("BAD_SALESFORCE_ID",), place=Place.BAD_CHECKSUM),
    Story("Id of an Account", 13, ("BAD_SALESFORCE_ID",), place=Place.ACCOUNT),
    Story("Id cut short", 12, ("BAD_SALESFORCE_ID",), store=True, place=Place.TRUNCATED),
    # acts that stay in the store
    Story("unsubscribed from one sender", 18, (), base=False, ignored="sender"),
    Story("mail bounced", 27, (), base=False, ignored="bounce"),
    # everybody else: nothing to do
    Story("opted out, agreed", None, (), store=True, salesforce=True, base=True),
    Story("not opted out, agreed", None, (), base=False),
)


@dataclass(frozen=True, slots=True)
class Person:
    """A row of `engagement.person`, and its story."""

    id: int
    email: str
    salesforce_id: str | None
    story: Story


@dataclass(frozen=True, slots=True)
class Act:
    """A row of `engagement.unsubscribe`; times are aware UTC."""

    person_id: int
    kind: str
    scope: str
    origin: str
    reason: str | None
    actor: str | None
    evidence_ref: str | None
    caused_by: str | None
    occurred_at: datetime
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What store and record last agreed on, and since when."""

    person_id: int
    record_id: str
    object: str
    base: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class SampleData:
    """The whole plan.

    Attributes:
        people: rows of the store.
        acts: rows of the store.
        memories: what earlier nights left.
        edits: the flag that a human in Salesforce sets, by record Id.
        conversions: Lead and the Contact it becomes.
        merges: the winner and the loser.
        deletions: record Ids.
    """

    people: Sequence[Person]
    acts: Sequence[Act]
    memories: Sequence[Memory]
    edits: Mapping[str, bool]
    conversions: Sequence[tuple[str, str]]
    merges: Sequence[tuple[str, str]]
    deletions: Sequence[str]


def expected_codes() -> Counter[str]:
    """Count the decisions of each code that the first night must list."""
    return Counter(
        code for story in STORIES for code in story.codes for _ in range(story.people or 0)
    )


def expected_verdicts() -> Counter[tuple[str, str]]:
    """Count the consents by the verdict of the first night, and why."""
    return Counter(
        (story.consent.verdict, story.consent.code)
        for story in STORIES
        if story.consent is not None
        for _ in range(story.people or 0)
    )


Record = Mapping[str, object]
"""A Contact or Lead with all its columns, as the emulator's control API returns it."""


def sample(
    contacts: Sequence[Record], leads: Sequence[Record], *, seed: int, now: datetime
) -> SampleData:
    """Plan the sample company for these records.

    Args:
        contacts: every Contact of a fresh org, `CONTACTS` of them.
        leads: every Lead, `LEADS` of them.
        seed: the same seed gives the same company.
        now: the latest acts happened shortly before.
    """
    cast = _Cast(contacts, leads, random.Random(seed))  # noqa: S311 - repeatable data, no secret
    roles = sorted(cast.roles(), key=lambda role: cast.random.random())
    people = [
        _person(number, story, cast.named(story, record), cast.random)
        for number, (story, record) in enumerate(roles, start=1)
    ]
    played = [
        (person, record)
        for person, (_, record) in zip(people, roles, strict=True)
        if record is not None
    ]
    return SampleData(
        people=people,
        acts=[act for person in people for act in _acts(person, cast.random, now)],
        memories=[_memory(p, r, now) for p, r in played if p.story.base is not None],
        edits={_id(r): p.story.salesforce for p, r in played if _needs_edit(p.story, r)},
        conversions=[(_id(r), _id(cast.survivor())) for r in _at(played, Place.CONVERTED)],
        merges=[(_id(cast.survivor()), _id(r)) for r in _at(played, Place.MERGED)],
        deletions=[_id(r) for r in _at(played, Place.DELETED)],
    )


class _Cast:
    """Gives each story its records; a record plays once, or for two people who share it."""

    def __init__(
        self, contacts: Sequence[Record], leads: Sequence[Record], rng: random.Random
    ) -> None:
        self.random = rng
        records = [*contacts, *leads]
        rng.shuffle(records)
        self._free = {
            (opted_out, kind): deque(
                record
                for record in records
                if bool(record[FIELD]) is opted_out and _object(record) == kind
            )
            for opted_out in (True, False)
            for kind in ("Contact", "Lead")
        }
        # Contacts in the place of others, which were converted, merged or replaced.
        survivors = sum(map(_count, (Place.CONVERTED, Place.MERGED, Place.REPLACED)))
        self._survivors = [self._take(False, "Contact") for _ in range(survivors)]
        self._shared: deque[Record] = deque()

    def roles(self) -> Iterator[tuple[Story, Record | None]]:
        """Yield every person's story with its record, None where there is none."""
        left = PEOPLE
        for story in STORIES:
            for _ in range(self._size(story, left)):
                left -= 1
                yield story, self._record_for(story)

    def survivor(self) -> Record:
        """Hand out a Contact of nobody."""
        return self._survivors.pop()

    def named(self, story: Story, record: Record | None) -> Record | None:
        """Return the record that the Id of a person names by now."""
        return self.survivor() if story.place is Place.REPLACED else record

    def _size(self, story: Story, left: int) -> int:
        if story.people is not None:
            return story.people
        if story.salesforce:  # every opted-out record that no other story took
            return sum(len(self._free[True, kind]) for kind in ("Contact", "Lead"))
        return left

    def _record_for(self, story: Story) -> Record | None:
        if story.place in WITHOUT_RECORD:
            return None
        if story.place is Place.SHARING:
            return self._shared.popleft()
        # Before a human edited the box it said the opposite.
        record = self._take(story.salesforce != story.edited, self._kind(story))
        if story.place is Place.SHARED:
            self._shared.append(record)
        return record

    def _kind(self, story: Story) -> str:
        if story.place is not Place.RECORD:
            return "Lead" if story.place is Place.CONVERTED else "Contact"
        contacts, leads = (
            len(self._free[story.salesforce != story.edited, kind]) for kind in ("Contact", "Lead")
        )
        return "Contact" if self.random.randrange(contacts + leads) < contacts else "Lead"

    def _take(self, opted_out: bool, kind: str) -> Record:
        return self._free[opted_out, kind].popleft()


def _count(place: Place) -> int:
    return sum(story.people or 0 for story in STORIES if story.place is place)


def _at(played: Iterable[tuple[Person, Record]], place: Place) -> Iterator[Record]:
    return (record for person, record in played if person.story.place is place)


def _id(record: Record) -> str:
    return str(record["Id"])


def _object(record: Record) -> str:
    return "Contact" if _id(record).startswith("003") else "Lead"


def _needs_edit(story: Story, record: Record) -> bool:
    return bool(record[FIELD]) is not story.salesforce


def _person(number: int, story: Story, record: Record | None, rng: random.Random) -> Person:
    email = record and record["Email"]
    return Person(
        id=number,
        email=str(email) if email else f"{rng.choice(_HANDLES)}.{number}@example.net",
        salesforce_id=_salesforce_id(story.place, record, rng),
        story=story,
    )


# Also addresses may be written in any script (RFC 6531).
_HANDLES: Final = (
    "a.nguyễn",
    "bjørn",
    "chloé",
    "info",
    "j.o'brien",
    "office",
    "zoë",
    "žofie",
    "美咲",
)


def _salesforce_id(place: Place, record: Record | None, rng: random.Random) -> str | None:
    if record is not None:
        return _id(record)[: 15 if rng.random() < _SHORT_IDS else 18]
    if place is Place.NOWHERE:
        return None
    prefix = "001" if place is Place.ACCOUNT else rng.choice(("003", "00Q"))
    # An instance of its own: no Id of the org can be met by chance.
    short = prefix + "zz0" + "".join(rng.choices(_BASE62, k=9))
    return {
        Place.BAD_CHECKSUM: short + _wrong(_checksum(short)),
        Place.TRUNCATED: short[:12],
    }.get(place, short + _checksum(short))


def _full(salesforce_id: str | None) -> str:
    short = (salesforce_id or "")[:15]
    return short + _checksum(short)


def _checksum(short: str) -> str:
    """Compute the three characters that tell which of the fifteen are upper case."""
    return "".join(
        _CHECKSUM[
            sum(1 << place for place, char in enumerate(short[at : at + 5]) if char.isupper())
        ]
        for at in (0, 5, 10)
    )


def _wrong(checksum: str) -> str:
    position = (_CHECKSUM.index(checksum[0]) + 1) % len(_CHECKSUM)
    return _CHECKSUM[position] + checksum[1:]


_ORIGINS: Final = {"Clicked Link": 60, "One-Click": 20, "Manual": 9, "Import": 7, "Complaint": 4}
_REASONS: Final = {
    "Manual": "asked on the phone to stop the mails",
    "Import": "suppression list of the previous tool",
    "Complaint": "reported as spam",
}


def _acts(person: Person, rng: random.Random, now: datetime) -> Iterator[Act]:
    story = person.story
    if story.ignored == "sender":
        yield _act(person, "sender", "Clicked Link", _recently(rng, now))
    elif story.ignored == "bounce":
        yield _act(person, "team", "Bounce", _recently(rng, now))
    elif story.store:
        long_ago = story.base is not False
        origin = _origin(story, rng)
        yield _act(person, "team", origin, (_long_ago if long_ago else _recently)(rng, now))
    if story.consent is not None:
        yield from _resubscribe(person, story.consent, now)


def _origin(story: Story, rng: random.Random) -> str:
    if story.origin is not None:
        return story.origin
    origin = rng.choices(list(_ORIGINS), list(_ORIGINS.values()))[0]
    if story.base and story.salesforce and rng.random() < 0.3:
        origin = "Salesforce Sync"
    return origin


def _act(person: Person, scope: str, origin: str, occurred_at: datetime) -> Act:
    by_sync = origin == "Salesforce Sync"
    return Act(
        person_id=person.id,
        kind="unsubscribe",
        scope=scope,
        origin=origin,
        reason=_REASONS.get(origin),
        actor="support" if origin == "Manual" else None,
        evidence_ref=None,
        caused_by=f"salesforce:{_full(person.salesforce_id)}:{FIELD}" if by_sync else None,
        occurred_at=occurred_at,
        idempotency_key=f"sample:{person.id}:{scope}:{origin}",
    )


def _resubscribe(person: Person, consent: Consent, now: datetime) -> Iterator[Act]:
    yield Act(
        person_id=person.id,
        kind="resubscribe",
        scope="team",
        origin=consent.origin,
        reason=consent.reason,
        actor=consent.actor,
        evidence_ref=f"CASE-{person.id}",
        caused_by=None,
        occurred_at=now - timedelta(hours=3),
        idempotency_key=f"sample:{person.id}:consent",
    )
    if consent.is_outdated:
        again = _act(person, "team", "One-Click", now - timedelta(hours=1))
        yield replace(again, idempotency_key=f"sample:{person.id}:again")


def _recently(rng: random.Random, now: datetime) -> datetime:
    return now - timedelta(minutes=rng.randrange(20, 3 * 24 * 60))


def _long_ago(rng: random.Random, now: datetime) -> datetime:
    return now - timedelta(days=rng.randrange(5, 700), minutes=rng.randrange(24 * 60))


def _memory(person: Person, record: Record, now: datetime) -> Memory:
    base = person.story.base
    if base is None:
        raise ValueError("nothing was ever agreed with this person's record")
    return Memory(
        person_id=person.id,
        record_id=_id(record),
        object=_object(record),
        base=base,
        since=now - timedelta(days=4),
    )
