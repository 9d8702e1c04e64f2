"""Read whole groups: some people, everybody who shares a record with them, and these records.

A record that was merged or converted since the last night is followed to what it lives on as, and
whoever is linked to that belongs to the group, too. The other direction costs a query more and
matters only for a clear: who is linked to a record that was merged into this one.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import Engine, text

from include.audit import judgements, links
from include.domain import frames, ids
from include.domain.frames import Extract
from include.domain.lifecycle import LONGEST_CHAIN, successors
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.store import people
from include.store.database import transaction
from include.sync.nightly.inputs import joined, to_judge
from include.sync.preflight import Access

_RECORD_KEY = 15  # an Id of 18 characters names the same record as its first 15
Store = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, frozenset[int]]


@dataclass(frozen=True, slots=True)
class Groups:
    """What was read of both sides, and what earlier runs know.

    Attributes:
        people: a `frames.People`, all read at one instant with the next three.
        opt_outs: a `frames.OptOuts`.
        resubscribes: a `frames.Resubscribes`, without those that were refused.
        links: a `frames.Links`, of every field.
        everybody: who was found, those included whose groups were not worth reading.
        records: by object, a `frames.Records` with the fields that can be read there.
    """

    people: pd.DataFrame
    opt_outs: pd.DataFrame
    resubscribes: pd.DataFrame
    links: pd.DataFrame
    everybody: frozenset[int]
    records: dict[SalesforceObject, pd.DataFrame]

    def labels(self) -> dict[int, str]:
        """Return by person what names their group: the record that lives on, or the person."""
        following: dict[str, str] = {}
        for records in self.records.values():
            named = zip(records["record_id"], successors(records), strict=True)
            following |= {record_id: into for record_id, into in named if isinstance(into, str)}
        record_ids = ids.classify(self.people["salesforce_id"])["record_id"]
        return {
            int(person): _end_of(str(record_id), following)
            if isinstance(record_id, str)
            else f"person {person}"
            for person, record_id in zip(self.people["person_id"], record_ids, strict=True)
        }

    def without(self, person_ids: set[int]) -> "Groups":
        """Leave some people out; their records stay, and link nobody."""
        kept = {*self.people["person_id"]} - person_ids
        return Groups(
            _of_people(self.people, kept),
            _of_people(self.opt_outs, kept),
            _of_people(self.resubscribes, kept),
            _of_people(self.links, kept),
            self.everybody,
            self.records,
        )

    def extract(self, access: Access) -> Extract:
        """Return what a merge decides by, without exact times."""
        return Extract(
            people=self.people,
            opt_outs=self.opt_outs,
            resubscribes=self.resubscribes,
            records=joined(self.records.values(), access),
            links=self.links,
            times=frames.empty(frames.Times),
        )


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads groups of one org.

    Attributes:
        engine: the store.
        client: Salesforce.
        org_id: whose links are read.
        access: what can be read.
        is_worth: picks, by people, opt-outs and resubscribes, whose groups are read; None: all.
    """

    engine: Engine
    client: SalesforceClient
    org_id: str
    access: Access
    is_worth: Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame], set[int]] | None = None

    def read(self, person_ids: Collection[int], record_ids: Iterable[str] = ()) -> Groups:
        """Read the groups of some people, and of whoever names one of some records."""
        records = _Records(self.client, self.access)
        followed = set(record_ids)
        for _ in range(LONGEST_CHAIN):
            store = self._read_store(person_ids, followed)
            found = records.read({*_named(store[0]), *followed})
            if found <= followed:
                break
            followed |= found
        return Groups(*store, records.frames)

    def read_whole(self, person_ids: Collection[int], record_ids: Iterable[str] = ()) -> Groups:
        """Read the same, and whoever is linked to a record that was merged into one of these."""
        followed = set(record_ids)
        while True:
            groups = self.read(person_ids, followed)
            before = self._predecessors(groups)
            if before <= followed:
                return groups
            followed |= before

    def _read_store(self, person_ids: Collection[int], record_ids: Collection[str]) -> Store:
        with transaction(self.engine) as conn:
            conn.execute(text(people.ONE_INSTANT))
            found = people.groups_of(conn, person_ids, record_ids)
            persons, opt_outs, resubscribes = found
            everybody = frozenset(persons["person_id"])
            if self.is_worth is not None:
                kept = self.is_worth(*found) | _naming(record_ids, persons)
                persons, opt_outs, resubscribes = (_of_people(each, kept) for each in found)
            known = links.links_of(conn, self.org_id, persons["person_id"].tolist())
            judged = judgements.judged_before(conn, resubscribes["act_id"].tolist())
        return persons, opt_outs, to_judge(resubscribes, judged), known, everybody

    def _predecessors(self, groups: Groups) -> set[str]:
        before: set[str] = set()
        for obj, records in groups.records.items():
            if not records.empty:
                before |= {*self.client.read_predecessors(obj, records["record_id"].tolist())}
        return before


class _Records:
    """The records read so far, each asked for once."""

    def __init__(self, client: SalesforceClient, access: Access) -> None:
        self._client = client
        self._access = access
        self._asked: set[str] = set()
        self.frames: dict[SalesforceObject, pd.DataFrame] = {}

    def read(self, record_ids: Iterable[str]) -> set[str]:
        """Read records and what they live on as; returns the Ids of the latter."""
        following, survivors = set(record_ids), set[str]()
        while wanted := following - self._asked:
            self._asked |= wanted
            following = set()
            for obj in SalesforceObject:
                following |= self._read(obj, _of_object(wanted, obj))
            survivors |= following
        return survivors

    def _read(self, obj: SalesforceObject, wanted: list[str]) -> set[str]:
        fields = self._access.fields_of(obj)
        if not fields or not wanted:
            return set()
        found = self._client.read_records(
            obj, fields, wanted, person_accounts=self._access.person_accounts
        )
        known = self.frames.get(obj)
        self.frames[obj] = found if known is None else pd.concat([known, found], ignore_index=True)
        return {*successors(found).dropna()}


def _end_of(record_id: str, following: Mapping[str, str]) -> str:
    """Return the record at the end of a chain; a circle ends somewhere in it."""
    for _ in range(LONGEST_CHAIN):
        if record_id not in following:
            break
        record_id = following[record_id]
    return record_id


def _of_people(frame: pd.DataFrame, person_ids: set[int]) -> pd.DataFrame:
    kept = [person in person_ids for person in frame["person_id"]]
    return frame if all(kept) else frame[kept].reset_index(drop=True)


def _naming(record_ids: Iterable[str], persons: pd.DataFrame) -> set[int]:
    """Return who names one of some records: they were followed to it, so it is worth reading."""
    wanted = {record_id[:_RECORD_KEY] for record_id in record_ids}
    named = zip(persons["person_id"], persons["salesforce_id"], strict=True)
    return {
        int(person)
        for person, name in named
        if isinstance(name, str) and name.strip()[:_RECORD_KEY] in wanted
    }


def _of_object(record_ids: Iterable[str], obj: SalesforceObject) -> list[str]:
    return sorted(each for each in record_ids if ids.OBJECT_OF_PREFIX.get(each[:3]) is obj)


def _named(persons: pd.DataFrame) -> list[str]:
    """Return the records that people name; who names none is left out."""
    named: list[str] = ids.classify(persons["salesforce_id"])["record_id"].dropna().tolist()
    return named
