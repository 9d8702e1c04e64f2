"""The ordinary opt-out, decided without the machinery of a merge.

Nearly everybody whom a push looks at is alone with a record of their own, has opted out once, and
Salesforce does not show it yet. `merge` costs the same for one person as for ten thousand; an act
that has just been committed should not wait for that. What is decided here is exactly what `merge`
decides: the rule is looked up in the same table, and a test compares the two in any world.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from include.domain import rows, sentences
from include.domain.aligned import NULL, flags, moments
from include.domain.conflicts import (
    BOUNCE,
    SYNC_ORIGIN,
    Base,
    Choices,
    Code,
    ConflictRule,
    Salesforce,
    Store,
    decide,
)
from include.domain.lifecycle import Readable
from include.domain.merge import MergeResult
from include.domain.row_parts import DTYPES, TIME
from include.domain.values import SalesforceObject

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_UNKNOWN: Final = np.iinfo(np.int64).min  # how numpy spells a time that is not known
_RELINKS: Final = pd.DataFrame(columns=["person_id", "from_record_id", "to_record_id", "code"])
_RETIRED: Final = pd.DataFrame(columns=["person_id", "record_id", "object", "field"])
_VISIBILITY: Final = _RETIRED.assign(is_visible=None, is_deleted=None)
_UNLINKED: Final = pd.DataFrame(columns=["person_id", "salesforce_id", "code"])


class _Act(NamedTuple):
    act_id: int
    at: int
    origin: str


class _Record(NamedTuple):
    object: str
    modified_at: int
    modified_by: str | None


class _Link(NamedTuple):
    base: Base
    since: int


class _Row(NamedTuple):
    person_id: int
    record_id: str
    field: str
    record: _Record
    act: _Act
    link: _Link


_NEW: Final = _Link(Base.UNKNOWN, _UNKNOWN)


def merge(
    people: pd.DataFrame,
    opt_outs: pd.DataFrame,
    resubscribes: pd.DataFrame,
    links: pd.DataFrame,
    records: Iterable[pd.DataFrame],
    choices: Choices,
    readable: Readable,
) -> MergeResult | None:
    """Decide some people if all of them are ordinary; else null, and `merge` has to.

    Args:
        people: a `frames.People`.
        opt_outs: a `frames.OptOuts`.
        resubscribes: a `frames.Resubscribes`.
        links: a `frames.Links`.
        records: parts of a `frames.Records`, each with the fields that can be read there.
        choices: of the admin.
        readable: by opt-out field, the objects on which it can be read.
    """
    if len(resubscribes) or choices.rule is not ConflictRule.OPT_OUT_WINS or people.empty:
        return None
    named = dict(zip(people["salesforce_id"].tolist(), people["person_id"].tolist(), strict=True))
    boxes = _boxes(records, choices, readable)
    acts = _acts(opt_outs, choices)
    if boxes is None or acts is None or {*named} != {*boxes} or {*named.values()} != {*acts}:
        return None
    known = _known(links, named, choices)
    if known is None or len(named) < len(people):
        return None
    decided = [
        _Row(person, record_id, field, boxes[record_id], acts[person], link)
        for record_id, person in named.items()
        for field in choices.fields
        for link in [known.get((person, field), _NEW)]
    ]
    return _result(sorted(decided), choices, readable)


def _boxes(
    records: Iterable[pd.DataFrame], choices: Choices, readable: Readable
) -> dict[str, _Record] | None:
    """Return the records by Id, if each lives on as itself and shows no opt-out."""
    found: dict[str, _Record] = {}
    for part in records:
        if part.empty:
            continue
        objects = {*part["object"].tolist()}
        if not all(objects <= {*map(str, readable.get(field, ()))} for field in choices.fields):
            return None
        flagged = ["is_deleted", "is_converted", "is_person_account", *choices.fields]
        is_clear = all(value is False for name in flagged for value in part[name].tolist())
        if not is_clear or part["master_record_id"].notna().any():
            return None
        told = zip(
            part["object"].tolist(),
            moments(part["last_modified_at"], _UNKNOWN).tolist(),
            _texts(part["last_modified_by"]),
            strict=True,
        )
        found |= dict(zip(part["record_id"].tolist(), map(_Record._make, told), strict=True))
    return found


def _acts(opt_outs: pd.DataFrame, choices: Choices) -> dict[int, _Act] | None:
    """Return the act of each person, if each has one that counts."""
    origins = opt_outs["origin"].tolist()
    strange = {SYNC_ORIGIN} if choices.bounces else {SYNC_ORIGIN, BOUNCE}
    if not {*opt_outs["scope"].tolist()} <= {*choices.scopes} or strange & {*origins}:
        return None
    told = zip(opt_outs["act_id"].tolist(), moments(opt_outs["at"]).tolist(), origins, strict=True)
    acts = dict(zip(opt_outs["person_id"].tolist(), map(_Act._make, told), strict=True))
    return acts if len(acts) == len(opt_outs) else None


def _known(
    links: pd.DataFrame, named: Mapping[str, int], choices: Choices
) -> dict[tuple[int, str], _Link] | None:
    """Return the links by person and field, if nothing has happened to any of them."""
    found: dict[tuple[int, str], _Link] = {}
    for link in _of_links(links):
        is_own = named.get(link["record_id"]) == link["person_id"]
        is_quiet = link["state"] == "active" and link["is_visible"] and link["flips"] == 0
        is_quiet &= pd.isna(link["evidence_id"]) and link["base"] is not True
        if not (is_own and is_quiet and link["field"] in choices.fields):
            return None
        base = Base.NOT_OPTED_OUT if link["base"] is False else Base.UNKNOWN
        found[link["person_id"], link["field"]] = _Link(base, link["since"])
    return found if len(found) == len(links) else None


def _of_links(links: pd.DataFrame) -> Iterator[dict[str, Any]]:
    if len(links):
        columns = {str(name): links[name].tolist() for name in links if name != "base_since"}
        columns["since"] = moments(links["base_since"], _UNKNOWN).tolist()
        for values in zip(*columns.values(), strict=True):
            yield dict(zip([*columns], values, strict=True))


def _result(decided: list[_Row], choices: Choices, readable: Readable) -> MergeResult:
    codes = [
        decide(row.link.base, Store.OPTED_OUT, Salesforce.NOT_OPTED_OUT).code for row in decided
    ]
    objects = [row.record.object for row in decided if row.field == choices.fields[0]]
    looked_at = sorted({str(each) for of in readable.values() for each in of})
    known = Counter(row.record.object for row in decided if row.link is not _NEW)
    return MergeResult(
        decisions=_decisions(decided, codes, choices),
        judgements=rows.NO_JUDGEMENTS,
        relinks=_RELINKS,
        retired=_RETIRED,
        visibility=_VISIBILITY,
        unlinked=_UNLINKED,
        counts={str(code): codes.count(code) for code in {*codes}},
        lost={str(each): (0, known[each]) for each in SalesforceObject if known[each]},
        opted_out={each: (0, objects.count(each)) for each in looked_at},
        crowded=[],
    )


def _decisions(decided: list[_Row], codes: list[Code], choices: Choices) -> pd.DataFrame:
    size = len(decided)
    told: dict[str, Any] = {
        "person_id": np.array([row.person_id for row in decided], np.int64),
        "record_id": [row.record_id for row in decided],
        "object": [row.record.object for row in decided],
        "field": [row.field for row in decided],
        "store_origin": [row.act.origin for row in decided],
        "salesforce_modified_by": [row.record.modified_by for row in decided],
        "code": [str(code) for code in codes],
        "cause": [f"act:{row.act.act_id}" for row in decided],
        "store_act_id": [row.act.act_id for row in decided],
        "base_since": [row.link.since for row in decided],
        "store_opted_out_at": [row.act.at for row in decided],
        "salesforce_modified_at": [row.record.modified_at for row in decided],
        "base": [NULL if row.link.base is Base.UNKNOWN else 0 for row in decided],
        "store_is_opted_out": [1] * size,
        "salesforce_is_opted_out": [0] * size,
        "target_salesforce": [1] * size,
        "new_base": [1] * size,
    }
    columns = {n: _column(told.get(n), kind, size) for n, kind in DTYPES.items() if n != "rule"}
    columns["rule"] = _column([choices.rule.value] * size, "str", size)
    columns["reason"] = _column(list(map(_reason, decided, codes)), "str", size)
    return pd.DataFrame(columns, copy=False)


def _reason(row: _Row, code: Code) -> str:
    at = _EPOCH + timedelta(microseconds=row.act.at)
    return sentences.of_opt_out(code, row.record.object, at, row.act.origin)


def _column(values: Any, kind: str, size: int) -> Any:
    """Return a column of the audit; without values it is null."""
    if kind == "int64":
        return values
    if kind == TIME:
        micros = np.full(size, _UNKNOWN) if values is None else np.array(values, np.int64)
        return pd.DatetimeIndex(micros.view("datetime64[us]")).tz_localize(UTC)
    if kind == "boolean":
        return flags(np.array([NULL] * size if values is None else values, np.int8))
    given: Any = [None] * size if values is None else values
    return pd.array(given, dtype=kind)


def _texts(column: pd.Series) -> list[str | None]:
    return [value if isinstance(value, str) else None for value in column.tolist()]
