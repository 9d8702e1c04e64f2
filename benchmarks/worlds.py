"""Extracts of any size for the merge: everybody linked, a few of them changed on one side."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from include.domain import frames, ids
from include.domain.conflicts import Choices
from include.domain.values import SalesforceObject

EMAIL: Final = "HasOptedOutOfEmail"
SALES: Final = "Sales_Opt_Out__c"
READ_AT: Final = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
EVERYWHERE: Final = tuple(SalesforceObject)
CHANGED_FRACTION: Final = 0.005  # on each side
OPTED_OUT_FRACTION: Final = 0.1

_LONG_AGO = np.datetime64("2026-10-01T00:00:00", "us")
_AT = np.datetime64("2026-11-20T18:03:00", "us")
_LATER = np.datetime64("2026-11-20T20:00:00", "us")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world is, and what is in it besides opt-outs.

    Attributes:
        people: as many as records, shuffled.
        both: both opt-out fields are compared.
        evidence: how many opted-out people consented since.
        converted: what part of the records are Leads that became another Contact.
    """

    people: int
    both: bool = False
    evidence: int = 0
    converted: float = 0.0

    @property
    def fields(self) -> tuple[str, ...]:
        """Opt-out fields of the mode."""
        return (EMAIL, SALES) if self.both else (EMAIL,)

    @property
    def choices(self) -> Choices:
        """Default choices."""
        return Choices(fields=self.fields)

    @property
    def readable(self) -> dict[str, tuple[SalesforceObject, ...]]:
        """Every field on every object."""
        return dict.fromkeys(self.fields, EVERYWHERE)


def make_world(size: Size, seed: int = 7) -> frames.Extract:
    """Make a world with known bases and 0.5 % changes on each side, in the types of the stage."""
    random = np.random.default_rng(seed)
    people = size.people
    leads = int(people * size.converted)
    record_ids, contacts = _record_ids(people, leads)
    owner = random.permutation(people)  # person n has record owner[n]
    base = random.random(people) < OPTED_OUT_FRACTION
    in_store = base | (random.random(people) < CHANGED_FRACTION)
    in_salesforce = base | (random.random(people) < CHANGED_FRACTION)
    out = np.flatnonzero(in_store)
    return frames.Extract(
        people=_typed(
            frames.People,
            {"person_id": np.arange(people), "salesforce_id": record_ids[owner]},
        ),
        opt_outs=_opt_outs(out),
        resubscribes=_consents(np.flatnonzero(base)[: size.evidence], people),
        records=_records(size, record_ids, contacts, in_salesforce[np.argsort(owner)]),
        links=_links(size, record_ids[owner], base),
        times=frames.empty(frames.Times),
    )


def _record_ids(people: int, leads: int) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Name a record per person, Leads first, and the Contacts that the Leads became."""
    numbers = [f"{'00Q' if n < leads else '003'}5e{n:010d}" for n in range(people)]
    numbers += [f"0035e{people + n:010d}" for n in range(leads)]
    named = ids.classify(pd.Series(numbers, dtype="str"))["record_id"].to_numpy(object)
    return named[:people], named[people:]


def _opt_outs(person: npt.NDArray[np.intp]) -> pd.DataFrame:
    size = len(person)
    columns = {
        "act_id": person + 1,
        "person_id": person,
        "at": np.full(size, _AT),
        "scope": np.full(size, "team", object),
        "origin": np.full(size, "Clicked Link", object),
        "caused_by": pa.nulls(size),
    }
    return _typed(frames.OptOuts, columns)


def _consents(person: npt.NDArray[np.intp], first_id: int) -> pd.DataFrame:
    size = len(person)
    columns = {
        "act_id": first_id + 1 + np.arange(size),
        "person_id": person,
        "at": np.full(size, _LATER),
        "recorded_at": np.full(size, _LATER),
        "origin": np.full(size, "Manual", object),
        "is_evidence": np.ones(size, bool),
        "is_accepted": np.zeros(size, bool),
        "was_held": np.zeros(size, bool),
    }
    return _typed(frames.Resubscribes, columns)


def _records(
    size: Size,
    record_ids: npt.NDArray[np.object_],
    contacts: npt.NDArray[np.object_],
    is_opted_out: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    count, leads = len(record_ids), len(contacts)
    became = np.full(count + leads, None, object)
    became[:leads] = contacts
    named = np.concatenate([record_ids, contacts])
    flag = np.concatenate([is_opted_out, np.zeros(leads, bool)])
    columns = {
        "record_id": named,
        "object": np.where(np.arange(count + leads) < leads, "Lead", "Contact").astype(object),
        "is_deleted": np.zeros(count + leads, bool),
        "master_record_id": pa.nulls(count + leads),
        "is_converted": np.arange(count + leads) < leads,
        "converted_contact_id": became,
        "is_person_account": np.zeros(count + leads, bool),
        "account_id": pa.nulls(count + leads),
        "last_modified_at": np.full(count + leads, _AT),
        "last_modified_by": np.full(count + leads, "005000000000001AAA", object),
    }
    flags = {name: pd.arrays.ArrowExtensionArray(pa.array(flag)) for name in size.fields}
    return _typed(frames.Records, columns).assign(**flags)


def _links(
    size: Size, record_ids: npt.NDArray[np.object_], base: npt.NDArray[np.bool_]
) -> pd.DataFrame:
    people, each = len(record_ids), len(size.fields)
    is_lead = np.array([record_id.startswith("00Q") for record_id in record_ids])
    columns = {
        "person_id": np.tile(np.arange(people), each),
        "record_id": np.tile(record_ids, each),
        "object": np.tile(np.where(is_lead, "Lead", "Contact").astype(object), each),
        "field": np.repeat(np.array(size.fields, object), people),
        "base": np.tile(base, each),
        "base_since": np.full(people * each, _LONG_AGO),
        "state": np.full(people * each, "active", object),
        "is_visible": np.ones(people * each, bool),
        "evidence_id": pa.nulls(people * each),
        "flips": np.zeros(people * each, np.int64),
    }
    return _typed(frames.Links, columns)


def _typed(model: type, columns: Mapping[str, object]) -> pd.DataFrame:
    types = frames.empty(model).dtypes
    arrays = {name: pa.array(v).cast(types[name].pyarrow_dtype) for name, v in columns.items()}
    return pd.DataFrame({name: pd.arrays.ArrowExtensionArray(a) for name, a in arrays.items()})
