"""Frames of any size for the merge: everybody linked, a few of them changed on one side."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from include.domain import frames, ids

CHANGED_FRACTION = 0.005  # on each side
OPTED_OUT_FRACTION = 0.1


@dataclass(frozen=True, slots=True)
class World:
    """The input of one merge, in the types in which the steps stage it."""

    people: pd.DataFrame
    records: pd.DataFrame
    links: pd.DataFrame


def make_world(size: int, seed: int = 7) -> World:
    """Make as many people as records, shuffled, with a known base and 0.5 % changes each way."""
    random = np.random.default_rng(seed)
    numbers = [f"0035e{number:010d}" for number in range(size)]
    record_ids = ids.classify(pd.Series(numbers, dtype="str"))["record_id"].to_numpy(object)
    owner = random.permutation(size)  # person n has record owner[n]
    base = random.random(size) < OPTED_OUT_FRACTION
    in_store = base | (random.random(size) < CHANGED_FRACTION)
    in_salesforce = base | (random.random(size) < CHANGED_FRACTION)
    at = np.full(size, np.datetime64("2026-11-20T18:03:00", "us"))
    people = {
        "person_id": np.arange(size),
        "salesforce_id": record_ids[owner],
        "is_opted_out": in_store,
        "opted_out_at": pa.array(at, mask=~in_store),
        "act_id": pa.array(np.arange(size), mask=~in_store),
        "origin": pa.array(np.full(size, "Clicked Link", object), mask=~in_store),
    }
    by_record = np.argsort(owner)
    records = {
        "record_id": record_ids,
        "object": np.full(size, "Contact", object),
        "is_opted_out": in_salesforce[by_record],
        "is_deleted": np.zeros(size, bool),
        "master_record_id": pa.nulls(size),
        "is_converted": np.zeros(size, bool),
        "converted_contact_id": pa.nulls(size),
        "last_modified_at": at,
        "last_modified_by": np.full(size, "005000000000001AAA", object),
    }
    links = {
        "person_id": np.arange(size),
        "record_id": record_ids[owner],
        "base": base,
        "state": np.full(size, "active", object),
        "is_visible": np.ones(size, bool),
    }
    return World(
        _typed(frames.People, people), _typed(frames.Records, records), _typed(frames.Links, links)
    )


def _typed(model: type, columns: Mapping[str, object]) -> pd.DataFrame:
    types = frames.empty(model).dtypes
    arrays = {
        name: pa.array(values).cast(types[name].pyarrow_dtype) for name, values in columns.items()
    }
    return pd.DataFrame({name: pd.arrays.ArrowExtensionArray(a) for name, a in arrays.items()})
