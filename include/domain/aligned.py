"""Small tools for columns that stand beside each other: positions, flags, text."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

NULL = 2  # a flag is 0, 1 or this

Bools = npt.NDArray[np.bool_]
Flags = npt.NDArray[np.int8]
Integers = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]


def positions(unique: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> Positions:
    """Find each wanted key among unique ones; -1 where it is not."""
    return pd.Index(unique).get_indexer(pd.Index(wanted)).astype(np.intp)


def nullable(flags: pd.Series) -> Flags:
    """Turn nullable booleans into 0, 1 and `NULL`."""
    return np.asarray(flags.astype("Int8").to_numpy(np.int8, na_value=NULL), np.int8)


def bools(flags: pd.Series) -> Bools:
    """Return a column of booleans without nulls as an array."""
    return np.asarray(flags.to_numpy(bool), bool)


def integers(values: pd.Series) -> Integers:
    """Return a column of integers without nulls as an array."""
    return np.asarray(values.to_numpy(np.int64), np.int64)


def moments(times: pd.Series, null: int = 0) -> Integers:
    """Return times as microseconds since 1970, so that they compare as integers."""
    return np.asarray(times.astype("int64[pyarrow]").to_numpy(np.int64, na_value=null), np.int64)


def flags(values: Flags) -> pd.api.extensions.ExtensionArray:
    """Turn 0, 1 and anything above (null) into nullable booleans."""
    return pd.arrays.BooleanArray(values == 1, values >= NULL)


def is_in(values: pd.Series, wanted: Collection[str]) -> Bools:
    """Tell which values are among the wanted ones; null is not."""
    return np.asarray(values.isin(list(wanted)).to_numpy(bool, na_value=False), bool)


def rows_or_null(frame: pd.DataFrame, row: Positions) -> pd.DataFrame:
    """Take rows by position; a row of nulls for -1."""
    return frame.reset_index(drop=True).reindex(np.where(row < 0, len(frame), row))


def any_of(group: Integers, values: Bools, groups: int) -> Bools:
    """Tell for each group whether any of its values is true."""
    found = np.zeros(groups, bool)
    found[group[values]] = True
    return found


def times(micros: Integers, known: Bools) -> pd.Series:
    """Turn microseconds since 1970 into times (UTC); null where they are not known."""
    moments_of = pd.Series(pd.to_datetime(micros, unit="us", utc=True)).dt.as_unit("us")
    return moments_of.where(known)


def numbers(values: Integers, known: Bools) -> pd.api.extensions.ExtensionArray:
    """Turn numbers into nullable integers."""
    return pd.arrays.IntegerArray(np.asarray(values, np.int64), ~np.asarray(known, bool))


def give_back() -> None:
    """Return memory that is free to the system, which would otherwise keep it for the process."""
    pa.default_memory_pool().release_unused()


def appended(values: np.ndarray, extra: object) -> np.ndarray:
    """Return the values with one more, so that position -1 finds it."""
    return np.concatenate([values, np.array([extra], values.dtype)])
