"""Life of records and persons, resolved before anything is compared.

A Lead is converted, a record is merged into another one, a person gets another Id: the opt-out goes
along. Chains (merged into a record that was merged) are followed to their end.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from include.domain import ids
from include.domain.aligned import (
    NULL,
    Bools,
    Flags,
    Integers,
    Positions,
    appended,
    bools,
    is_in,
    moments,
    nullable,
    positions,
)
from include.domain.conflicts import Code
from include.domain.values import SalesforceObject

# Nobody merges a record more often than this; a longer chain is a circle.
LONGEST_CHAIN: Final = 32

Readable = Mapping[str, Collection[SalesforceObject]]


@dataclass(frozen=True, slots=True)
class Linked:
    """Everybody whose Id names a record, with the record that lives on. One entry per person.

    Attributes:
        person: position in the people.
        record_id: 18 characters, of the record that lives on (or was last heard of).
        object: of that record.
        key: of that record, comparable with `record_key` and `link_key`.
        row: position in the records, -1 where Salesforce did not return it.
    """

    person: Positions
    record_id: pd.Series
    object: pd.Series
    key: Integers
    row: Positions


@dataclass(frozen=True, slots=True)
class Life:
    """What became of records and links since the last run.

    Attributes:
        linked: who is linked to what now.
        left: one row per person, former record and field that this run sees for the first time as
            left behind: `person_id`, `record_id`, `object`, `field`, `code`, `new_record_id`,
            `row` (position in the records, -1 unless returned), `shown` (0, 1 or null: what the
            record says), `base` (0, 1 or null), `base_since` (microseconds, 0 while unknown),
            `value` (0, 1 or null: what joins, `shown` or else the base), `evidence_id`.
        relinks: one row per person whose Id must be rewritten: `person_id`, `from_record_id`,
            `to_record_id`, `code`.
        orphaned: links of persons who are gone: `person_id`, `record_id`, `object`, `field`.
        problems: by person, why no record can be named (null: one can).
        link_key: by link, the key of its record.
    """

    linked: Linked
    left: pd.DataFrame
    relinks: pd.DataFrame
    orphaned: pd.DataFrame
    problems: pd.Series
    link_key: Integers


@dataclass(frozen=True, slots=True)
class _Keys:
    """Record Ids as integers, comparable with each other; `next` is -1 where there is none."""

    person: Integers
    record: Integers
    link: Integers
    next: Integers


def resolve(
    people: pd.DataFrame,
    records: pd.DataFrame,
    links: pd.DataFrame,
    fields: tuple[str, ...],
    readable: Readable,
) -> Life:
    """Follow every person to the record that lives on.

    Args:
        people: a `frames.People`.
        records: a `frames.Records`.
        links: a `frames.Links`.
        fields: opt-out fields of the chosen mode.
        readable: by field, the objects on which it can be read.
    """
    usable = ids.classify(people["salesforce_id"])
    named = np.flatnonzero(usable["problem"].isna().to_numpy(bool))
    next_id, is_merged = _next(records)
    of_named = usable if len(named) == len(usable) else usable.iloc[named]
    of_named = of_named[["record_id", "object"]].reset_index(drop=True)
    keys = _keys(of_named["record_id"], records["record_id"], links["record_id"], next_id)
    row = positions(keys.record, keys.person)
    hops, row, key = _follow(row, keys)
    linked = _linked(named, of_named, next_id, hops, row, key)
    left = _left(people, records, links, keys, linked, hops, is_merged, fields, readable)
    moved = _last_hops(hops)
    relinks = pd.DataFrame(
        {
            "person_id": people["person_id"].iloc[named[moved.person]].to_numpy(np.int64),
            "from_record_id": of_named["record_id"].iloc[moved.person].to_numpy(object),
            "to_record_id": linked.record_id.iloc[moved.person].to_numpy(object),
            "code": _code_of(is_merged[moved.row]),
        }
    )
    known = positions(people["person_id"].to_numpy(np.int64), links["person_id"].to_numpy(np.int64))
    orphaned = links.loc[
        (known < 0) & is_in(links["state"], ["active"]),
        ["person_id", "record_id", "object", "field"],
    ]
    return Life(
        linked,
        left,
        relinks[relinks["from_record_id"] != relinks["to_record_id"]].reset_index(drop=True),
        orphaned.reset_index(drop=True),
        usable["problem"],
        keys.link,
    )


def successors(records: pd.DataFrame) -> pd.Series:
    """Return the Id of the record that each record (a `frames.Records`) lives on as; null: none."""
    return _next(records)[0]


@dataclass(frozen=True, slots=True)
class _Hops:
    """Steps from a record to the one that it lives on as; `step` counts from 0."""

    person: Positions  # position among the named people
    row: Positions  # of the record that was left
    step: Positions


def _next(records: pd.DataFrame) -> tuple[pd.Series, Bools]:
    """Return the Id of the record that each record lives on as; null where it does not.

    The booleans tell where that is because of a merge; elsewhere it is because of a conversion.
    """
    is_deleted = bools(records["is_deleted"])
    is_merged = is_deleted & records["master_record_id"].notna().to_numpy(bool)
    # a converted Lead that was deleted since still lives on as its Contact
    is_converted = bools(records["is_converted"])
    next_id = records["converted_contact_id"].where(is_converted)
    return next_id.mask(is_merged, records["master_record_id"]), is_merged


def _code_of(is_merged: Bools) -> np.ndarray:
    """Return why records were left."""
    merged, converted = Code.CARRIED_OVER_MERGE.value, Code.CARRIED_OVER_CONVERSION.value
    return np.where(is_merged, merged, converted).astype(object)


def _keys(person: pd.Series, record: pd.Series, link: pd.Series, next_id: pd.Series) -> _Keys:
    lives_on = next_id.notna().to_numpy(bool)
    person_key, record_key, link_key, some = ids.record_keys(
        person, record, link, next_id[lives_on]
    )
    next_key = np.full(len(next_id), -1, np.int64)
    next_key[lives_on] = some
    return _Keys(person_key, record_key, link_key, next_key)


def _follow(row: Positions, keys: _Keys) -> tuple[_Hops, Positions, Integers]:
    """Walk every chain to its end; a circle ends nowhere."""
    row, key = row.copy(), keys.person.copy()
    following = appended(keys.next, -1)
    walked: list[tuple[Positions, Positions]] = []
    moving = np.flatnonzero(following[row] >= 0)
    while len(moving) and len(walked) < LONGEST_CHAIN:
        walked.append((moving, row[moving]))
        key[moving] = following[row[moving]]
        row[moving] = positions(keys.record, key[moving])
        moving = moving[following[row[moving]] >= 0]
    row[moving], key[moving] = -1, keys.person[moving]
    person = np.concatenate([people for people, _ in walked] or [moving])
    circles = np.isin(person, moving)
    hops = _Hops(
        person[~circles],
        np.concatenate([rows for _, rows in walked] or [moving])[~circles],
        np.repeat(np.arange(len(walked)), [len(people) for people, _ in walked])[~circles],
    )
    return hops, row, key


def _linked(
    named: Positions,
    of_named: pd.DataFrame,
    next_id: pd.Series,
    hops: _Hops,
    row: Positions,
    key: Integers,
) -> Linked:
    record_id, objects = of_named["record_id"], of_named["object"]
    last = _last_hops(hops)
    if len(last.person):
        survivor = next_id.iloc[last.row].astype("str")
        record_id, objects = record_id.copy(), objects.copy()
        record_id.iloc[last.person] = survivor.to_numpy(object)
        prefix = survivor.str[:3].map({p: o.value for p, o in ids.OBJECT_OF_PREFIX.items()})
        objects.iloc[last.person] = prefix.to_numpy(object)
    return Linked(named, record_id, objects, key, row)


def _last_hops(hops: _Hops) -> _Hops:
    """Keep the last step of each person."""
    last = pd.Series(hops.step).groupby(hops.person).idxmax().to_numpy(np.intp)
    return _Hops(hops.person[last], hops.row[last], hops.step[last])


def _left(
    people: pd.DataFrame,
    records: pd.DataFrame,
    links: pd.DataFrame,
    keys: _Keys,
    linked: Linked,
    hops: _Hops,
    is_merged: Bools,
    fields: tuple[str, ...],
    readable: Readable,
) -> pd.DataFrame:
    """List the records that persons leave behind, each once: a retired link never joins again."""
    person_ids = people["person_id"].to_numpy(np.int64)
    changed = _changed_ids(person_ids, links, keys, linked)
    if not len(hops.person) and not len(changed):  # most often, where a few people are looked at
        return _described(_nothing(), records, links, keys, linked, person_ids, fields, readable)
    hopped = pd.DataFrame(
        {
            "person_id": person_ids[linked.person[hops.person]],
            "key": keys.record[hops.row],
            "code": _code_of(is_merged[hops.row]),
        }
    )
    hopped = hopped.merge(pd.DataFrame({"field": list(fields)}), how="cross")
    of_person = links["person_id"].to_numpy(np.int64)
    concerned = _link_keys(
        links, keys, np.flatnonzero(np.isin(of_person, hopped["person_id"].unique()))
    )
    hopped = hopped.merge(concerned, on=["person_id", "key", "field"], how="left", validate="m:1")
    relinked = _link_keys(links, keys, changed).assign(code=Code.RELINKED.value)
    relinked = relinked.merge(
        hopped[["person_id", "key", "field"]], how="left", indicator=True, validate="1:m"
    )
    relinked = relinked[relinked["_merge"] == "left_only"].drop(columns="_merge")
    left = pd.concat([hopped, relinked], ignore_index=True).drop_duplicates(
        ["person_id", "key", "field"], ignore_index=True
    )
    left["link"] = left["link"].fillna(-1).astype(np.intp)
    return _described(left, records, links, keys, linked, person_ids, fields, readable)


def _nothing() -> pd.DataFrame:
    """Return what `_left` joins together, without a row."""
    text, number = np.zeros(0, object), np.zeros(0, np.int64)
    at = np.zeros(0, np.intp)
    return pd.DataFrame(
        {"person_id": number, "key": number, "code": text, "field": text, "link": at}
    )


def _link_keys(links: pd.DataFrame, keys: _Keys, at: Positions) -> pd.DataFrame:
    """Return what identifies some links, and their position."""
    return pd.DataFrame(
        {
            "person_id": links["person_id"].to_numpy(np.int64)[at],
            "key": keys.link[at],
            "field": links["field"].iloc[at].to_numpy(object),
            "link": at,
        }
    )


def _changed_ids(
    person_ids: Integers, links: pd.DataFrame, keys: _Keys, linked: Linked
) -> Positions:
    """Find the active links to another record than the one that their person names now.

    A malformed Id changes nothing: it is a mistake that somebody will mend.
    """
    person = positions(person_ids, links["person_id"].to_numpy(np.int64))
    now = np.full(len(person_ids) + 1, -1, np.int64)
    now[linked.person] = linked.key
    is_active = is_in(links["state"], ["active"])
    return np.flatnonzero(
        is_active & (person >= 0) & (now[person] >= 0) & (now[person] != keys.link)
    )


def _described(
    left: pd.DataFrame,
    records: pd.DataFrame,
    links: pd.DataFrame,
    keys: _Keys,
    linked: Linked,
    person_ids: Integers,
    fields: tuple[str, ...],
    readable: Readable,
) -> pd.DataFrame:
    """Add what is known of each record that was left, and drop what was retired before."""
    link = left["link"].to_numpy(np.intp)
    known = link >= 0
    state = links["state"].iloc[link[known]].to_numpy(object)
    was_retired = np.zeros(len(left), bool)
    was_retired[known] = state == "retired"
    row = positions(keys.record, left["key"].to_numpy(np.int64))
    objects = np.full(len(left), None, object)
    record_ids = np.full(len(left), None, object)
    for source, at in ((links, link), (records, row)):
        found = at >= 0
        objects[found] = source["object"].iloc[at[found]].to_numpy(object)
        record_ids[found] = source["record_id"].iloc[at[found]].to_numpy(object)
    place = positions(person_ids[linked.person], left["person_id"].to_numpy(np.int64))
    evidence = pd.array([pd.NA] * len(left), dtype="Int64")
    evidence[known] = links["evidence_id"].iloc[link[known]].astype("Int64").array
    base = np.full(len(left), NULL, np.int8)
    base[known] = nullable(links["base"].iloc[link[known]])
    since = np.zeros(len(left), np.int64)
    since[known] = moments(links["base_since"].iloc[link[known]])
    shown = _shown(left, records, row, objects, fields, readable)
    in_mode = is_in(left["field"], fields)
    described = pd.DataFrame(
        {
            "person_id": left["person_id"].to_numpy(np.int64),
            "record_id": record_ids,
            "object": objects,
            "field": left["field"].to_numpy(object),
            "code": left["code"].to_numpy(object),
            "new_record_id": linked.record_id.iloc[place].to_numpy(object),
            "row": row,
            "shown": shown,
            "base": base,
            "base_since": since,
            # a field outside the mode joins nothing: its link is only retired
            "value": np.where(shown == NULL, np.where(in_mode, base, NULL), shown).astype(np.int8),
            "evidence_id": evidence,
        }
    )
    left_behind = described[~was_retired]
    return left_behind.sort_values(["person_id", "record_id", "field"], ignore_index=True)


def _shown(
    left: pd.DataFrame,
    records: pd.DataFrame,
    row: Positions,
    objects: np.ndarray,
    fields: tuple[str, ...],
    readable: Readable,
) -> Flags:
    """Read what the records say, where the field can be read; a field outside the mode is not."""
    shown = np.full(len(left), NULL, np.int8)
    for field in fields:
        seen: Bools = (left["field"] == field).to_numpy(bool) & (row >= 0)
        seen &= np.isin(objects.astype(str), [str(obj) for obj in readable.get(field, ())])
        if seen.any():
            shown[seen] = nullable(records[field].iloc[row[seen]])
    return shown
