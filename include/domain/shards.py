"""Shards: whole groups dealt out, so that each part can be decided alone.

Whoever can have a say in the same decision lands in the same shard: the persons of a record, the
records that live on as each other, and the records that a person is still linked to. So the parts
together are decided exactly as the whole, whatever their number. What passes by is looked at piece
by piece: ten million people take 200 MB here.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.domain import ids
from include.domain.aligned import Integers, integers
from include.domain.lifecycle import successors

Keys = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.intp]

_NO_RECORD: Final = np.uint64(0)


def number_of_shards(rows: int, shard_rows: int) -> int:
    """Return into how many parts rows are cut: one while they fit into less than two."""
    return 1 if rows < 2 * shard_rows else -(-rows // shard_rows)


@dataclass(slots=True)
class Census:
    """Who belongs together, learned from pieces: all people first, then records and links.

    The order within a kind does not matter. Show every record, and every link of the org; columns
    other than `OF_RECORDS` and `OF_LINKS` are not looked at.
    """

    OF_RECORDS: ClassVar = (
        *("record_id", "is_deleted", "master_record_id"),
        *("is_converted", "converted_contact_id"),
    )
    OF_LINKS: ClassVar = ("person_id", "record_id")

    _person_id: list[Integers] = field(default_factory=list)
    _key: list[Keys] = field(default_factory=list)
    _pairs: list[tuple[Keys, Keys]] = field(default_factory=list)
    _people: "_People | None" = None

    def add_people(self, people: pd.DataFrame) -> None:
        """Learn the record of some people: a part of a `frames.People`."""
        self._person_id.append(integers(people["person_id"]))
        self._key.append(_keys_of_people(people["salesforce_id"]))

    def add_records(self, records: pd.DataFrame) -> None:
        """Learn which records live on as another one: a part of a `frames.Records`."""
        ended = records["is_converted"] | records["master_record_id"].notna()
        some = records[ended.to_numpy(bool)].reset_index(drop=True)
        next_id = successors(some)
        lives_on = next_id.notna().to_numpy(bool)
        of, following = some["record_id"][lives_on], next_id[lives_on]
        self._pairs.append((ids.fingerprints(of), ids.fingerprints(following)))

    def add_links(self, links: pd.DataFrame) -> None:
        """Learn who is linked to another record than their own: a part of a `frames.Links`."""
        people = self._known_people()
        now = people.key_of(integers(links["person_id"]))
        linked = ids.fingerprints(links["record_id"])
        other = (now != _NO_RECORD) & (now != linked)
        self._pairs.append((now[other], linked[other]))

    def dealt(self, count: int) -> "Shards":
        """Deal everything out to so many shards; repeating deals the same."""
        none = np.zeros(0, np.uint64)
        left = np.concatenate([none, *(pair[0] for pair in self._pairs)])
        right = np.concatenate([none, *(pair[1] for pair in self._pairs)])
        return Shards(count, self._known_people(), *_roots(left, right))

    def _known_people(self) -> "_People":
        if self._people is None:
            self._people = _People.of(self._person_id, self._key)
            self._person_id, self._key = [], []
        return self._people


@dataclass(frozen=True, slots=True)
class _People:
    """Everybody, in the order of their ids, with the key of the record that they name."""

    person_id: Integers
    key: Keys

    @classmethod
    def of(cls, person_id: list[Integers], key: list[Keys]) -> "_People":
        every = np.concatenate([np.zeros(0, np.int64), *person_id])
        keys = np.concatenate([np.zeros(0, np.uint64), *key])
        order = np.argsort(every, kind="stable")
        return cls(every[order], keys[order])

    def find(self, person_id: Integers) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Return where people stand, and who is among them at all."""
        if not len(self.person_id):
            return np.zeros(len(person_id), np.intp), np.zeros(len(person_id), bool)
        at = np.minimum(np.searchsorted(self.person_id, person_id), len(self.person_id) - 1)
        return at, self.person_id[at] == person_id

    def key_of(self, person_id: Integers) -> Keys:
        """Return the key of the record that people name; 0 where they name none, or are gone."""
        keys = np.full(len(person_id), _NO_RECORD)
        at, known = self.find(person_id)
        keys[known] = self.key[at[known]]
        return keys


@dataclass(frozen=True, slots=True)
class Shards:
    """To which shard each row belongs: numbers from 0 to below `count`."""

    count: int
    _people: _People
    _joined: Keys
    _root: Keys

    def of_people(self, person_ids: pd.Series) -> Numbers:
        """Return the shard of people: that of their record, or one of their own without one."""
        person_id = integers(person_ids)
        keys = self._people.key_of(person_id)
        alone = keys == _NO_RECORD
        keys[alone] = ids.mixed(person_id[alone])
        return self._of(keys)

    def of_records(self, record_ids: pd.Series) -> Numbers:
        """Return the shard of records."""
        return self._of(ids.fingerprints(record_ids))

    def of_links(self, links: pd.DataFrame) -> Numbers:
        """Return the shard of links: that of their person, or of their record if nobody is left."""
        _, is_there = self._people.find(integers(links["person_id"]))
        shards = self.of_records(links["record_id"])
        shards[is_there] = self.of_people(links["person_id"][is_there])
        return shards

    def _of(self, keys: Keys) -> Numbers:
        roots = keys
        if len(self._joined):
            at = np.minimum(np.searchsorted(self._joined, keys), len(self._joined) - 1)
            roots = np.where(self._joined[at] == keys, self._root[at], keys)
        return (roots % np.uint64(self.count)).astype(np.intp)


def _keys_of_people(salesforce_ids: pd.Series) -> Keys:
    usable = ids.classify(salesforce_ids.reset_index(drop=True))
    named = usable["problem"].isna().to_numpy(bool)
    keys = np.full(len(usable), _NO_RECORD)
    keys[named] = ids.fingerprints(usable["record_id"][named])
    return keys


def _roots(left: Keys, right: Keys) -> tuple[Keys, Keys]:
    """Join pairs to components; return the joined keys in order, and the root of each."""
    keys, number = np.unique(np.concatenate([left, right]), return_inverse=True)
    one, other = number[: len(left)], number[len(left) :]
    root = np.arange(len(keys))
    while (root[one] != root[other]).any():
        lowest = np.minimum(root[one], root[other])
        np.minimum.at(root, one, lowest)
        np.minimum.at(root, other, lowest)
        root = root[root]  # halves every way to a root
    return keys, keys[root]
