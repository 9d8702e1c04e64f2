"""Salesforce record Ids: 15 characters that matter, 3 that check them.

An Id is 15 case-sensitive base-62 characters; the API appends 3 characters that encode which of
them are upper case, so that 18-character Ids survive case-insensitive systems. We store 18 and
compare 18. The first three characters name the object, the first five the object and the
instance that created the record; the last ten number the record.

Source of the checksum: public test vectors and several hundred recorded Ids (see
`tests/unit/domain/test_ids.py`).

Everything works on whole columns: a million Ids are classified in about a second.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.domain.values import SalesforceObject

_BASE62: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM_ALPHABET: Final = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", np.uint8)
_DIGIT: Final = np.full(256, -1, np.int64)
_DIGIT[np.frombuffer(_BASE62, np.uint8)] = np.arange(62)
_IS_DIGIT: Final = _DIGIT >= 0
_PAIR: Final = (_DIGIT[None, :] * 62 + _DIGIT[:, None]).ravel()  # the first digit comes first
_RECORDS_PER_PREFIX: Final = 62**10  # ten base-62 digits, so ten prefixes fit into an int64
_PREFIXES_THAT_FIT: Final = 10

OBJECT_OF_PREFIX: Final = {"003": SalesforceObject.CONTACT, "00Q": SalesforceObject.LEAD}

Bytes = npt.NDArray[np.uint8]
Keys = npt.NDArray[np.int64]
Usable = npt.NDArray[np.bool_]
Lengths = npt.NDArray[np.int64]


class IdProblem(StrEnum):
    """Why a person's Salesforce Id cannot be used (codes of conflict-rules.md, section 5)."""

    NO_SALESFORCE_ID = "NO_SALESFORCE_ID"
    BAD_SALESFORCE_ID = "BAD_SALESFORCE_ID"


def classify(salesforce_ids: pd.Series) -> pd.DataFrame:
    """Tell which Ids of people name a Contact or a Lead, in their 18-character form.

    Args:
        salesforce_ids: as typed into the store: 15 or 18 characters, null, empty or nonsense.

    Returns:
        One row per input row, on its index: `record_id` (string, null unless usable), `object`
        ("Contact" or "Lead", null unless usable), `problem` (an `IdProblem`, null if usable).
    """
    parts = [_classified(chunk) for chunk in _chunks(salesforce_ids)]
    objects, problems = (_bytes(part[position] for part in parts) for position in (1, 2))
    return pd.DataFrame(
        {
            "record_id": _text(pa.chunked_array([part[0] for part in parts], pa.string())),
            "object": _words([None, *OBJECT_OF_PREFIX.values()], objects),
            "problem": _words([None, *IdProblem], problems),
        },
        index=salesforce_ids.index,
    )


def _classified(given: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Return the completed Ids of a piece (null unless usable), and their objects and problems."""
    record_ids, usable, lengths = _as_given(given) or _completed(pc.utf8_trim_whitespace(given))
    objects = np.zeros(len(lengths), np.int8)
    for number, prefix in enumerate(OBJECT_OF_PREFIX, 1):
        named = (record_ids[:, :3] == np.frombuffer(prefix.encode(), np.uint8)).all(axis=1)
        objects[named & usable] = number
    usable = objects > 0
    problems = np.where(usable, 0, np.where(lengths == 0, 1, 2)).astype(np.int8)
    text = _to_strings(record_ids)
    if not usable.all():
        text = pc.if_else(pa.array(usable), text, pa.scalar(None, pa.string()))
    return text, objects, problems


def _as_given(given: pa.Array) -> tuple[Bytes, Usable, Lengths] | None:
    """Return Ids as they are if every one has 18 valid characters: then nothing is copied."""
    if given.null_count or pc.any(pc.not_equal(pc.binary_length(given), 18)).as_py():
        return None
    record_ids, usable = _checked(_matrix(given, 18))
    return (record_ids, usable, np.full(len(usable), 18)) if usable.all() else None


def to_18(record_id: str) -> str:
    """Return the 18-character form of one Id.

    Raises:
        ValueError: it is not an Id, or its checksum is wrong.
    """
    result = classify_any(pd.Series([record_id], dtype="str"))
    if pd.isna(result.iloc[0]):
        raise ValueError("not a Salesforce Id: it needs 15 characters, or 18 with a right checksum")
    return str(result.iloc[0])


def classify_any(record_ids: pd.Series) -> pd.Series:
    """Return the 18-character form of Ids of any object; null where one is not an Id."""
    trimmed = _strings(record_ids)
    lengths = pc.fill_null(pc.utf8_length(trimmed), 0).to_numpy(zero_copy_only=False)
    out = np.full(len(lengths), None, dtype=object)
    for width in (15, 18):
        rows = np.flatnonzero(lengths == width)
        checked, valid = _checked(_matrix(trimmed.take(pa.array(rows)), width))
        out[rows[valid]] = _to_strings(checked[valid]).to_numpy(zero_copy_only=False)
    return pd.Series(out, index=record_ids.index, dtype="str")


def record_keys(*columns: pd.Series) -> list[Keys]:
    """Pack 18-character Ids into integers that are equal exactly when the Ids are.

    Integer keys join six times faster than strings. The last ten base-62 characters are the
    number of the record, the first five its object and instance; an org has few of those, so
    both fit into 64 bits. No hash, hence no collisions.

    Args:
        columns: each one column of valid 18-character Ids, no nulls.

    Returns:
        One int64 array per column, comparable across all columns of this one call.
    """
    matrices = [[_matrix(chunk, 18) for chunk in _chunks(column)] for column in columns]
    prefixes = [_joined(map(_pack_prefix, each)) for each in matrices]
    known = np.unique(np.concatenate([np.unique(prefix) for prefix in prefixes]))
    if len(known) > _PREFIXES_THAT_FIT:
        return _factorised(columns)
    return [
        np.searchsorted(known, prefix) * _RECORDS_PER_PREFIX + _joined(map(_pack_number, each))
        for each, prefix in zip(matrices, prefixes, strict=True)
    ]


def fingerprints(record_ids: pd.Series) -> npt.NDArray[np.uint64]:
    """Return a number of 64 bits for each valid 18-character Id, the same wherever it is asked.

    Unlike `record_keys` it needs no other Ids to compare with, so files can be read piece by piece;
    that two Ids share a number is possible and harmless where records are only dealt out by it.
    """
    matrix = _matrix(_strings(record_ids), 18)
    return mixed(_pack_number(matrix).view(np.uint64) ^ mixed(_pack_prefix(matrix)))


def mixed(numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Mix the bits of 64-bit integers, so that their remainders are even (splitmix64)."""
    bits = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed_bits: npt.NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return mixed_bits


def packed(record_ids: pa.ChunkedArray) -> tuple[Keys, Keys]:
    """Pack 18-character Ids into two integers each: object and instance, and the record's number.

    Both together are equal exactly when the Ids are. For Ids that come in parts: `record_keys`
    needs all of them at once.
    """
    matrices = [_matrix(chunk, 18) for chunk in record_ids.chunks]
    return _joined(map(_pack_prefix, matrices)), _joined(map(_pack_number, matrices))


def are_unique(record_ids: pd.Series) -> bool:
    """Tell whether no Id occurs twice.

    Integers are compared; the Ids themselves only where those repeat, which what is no Id can do.

    Args:
        record_ids: 18-character Ids, no nulls.
    """
    (keys,) = record_keys(record_ids)
    return pd.Index(keys).is_unique or bool(record_ids.is_unique)


def _factorised(columns: tuple[pd.Series, ...]) -> list[Keys]:
    """Number the Ids of an org with unusually many prefixes: slower, exact as well."""
    numbers, _ = pd.factorize(pd.concat([pd.Series(column) for column in columns]))
    return list(np.split(numbers.astype(np.int64), np.cumsum([len(c) for c in columns])[:-1]))


def _pack_prefix(matrix: Bytes) -> Keys:
    prefix = np.zeros(len(matrix), np.int64)
    for position in reversed(range(5)):  # one at a time: no large matrix in between
        prefix *= 256
        prefix += matrix[:, position]
    return prefix


def _pack_number(matrix: Bytes) -> Keys:
    pairs = np.ascontiguousarray(matrix[:, 5:15]).view("<u2")
    number = np.zeros(len(matrix), np.int64)
    for position in range(5):  # two digits at once: no large matrix in between
        number *= 62 * 62
        number += _PAIR[pairs[:, position]]
    return number


def _chunks(column: pd.Series) -> list[pa.Array]:
    """Return the pieces in which a column lies in memory: nothing is copied together."""
    array = pa.array(column, type=pa.string(), from_pandas=True)
    return array.chunks if isinstance(array, pa.ChunkedArray) else [array]


def _bytes(parts: Iterable[npt.NDArray[np.int8]]) -> npt.NDArray[np.int8]:
    return np.concatenate([np.zeros(0, np.int8), *parts])


def _joined(parts: Iterable[Keys]) -> Keys:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _strings(column: pd.Series) -> pa.Array:
    array = pa.array(column, type=pa.string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _matrix(strings: pa.Array, width: int) -> Bytes:
    """View fixed-width strings as one row of bytes each; other bytes than ASCII stay wrong."""
    values = pc.cast(strings, pa.binary())
    wrong = pc.not_equal(pc.binary_length(values), width)
    if pc.any(wrong).as_py():  # right number of characters, more bytes: not ASCII
        values = pc.if_else(wrong, pa.scalar(b"?" * width, pa.binary()), values)
    _, offsets, data = values.buffers()
    if data is None or len(strings) == 0:
        return np.zeros((0, width), np.uint8)
    start = np.frombuffer(offsets, np.int32)[values.offset]  # a slice begins further on
    every = np.frombuffer(data, np.uint8)[start : start + len(strings) * width]
    return every.reshape(len(strings), width)


def _completed(trimmed: pa.Array) -> tuple[Bytes, Usable, Lengths]:
    """Complete Ids to 18 characters and tell which are valid; of the others nothing is said."""
    lengths = pc.fill_null(pc.utf8_length(trimmed), 0).to_numpy(zero_copy_only=False)
    record_ids = np.zeros((len(lengths), 18), np.uint8)
    usable = np.zeros(len(lengths), bool)
    for width in (15, 18):
        rows = np.flatnonzero(lengths == width)
        checked, valid = _checked(_matrix(trimmed.take(pa.array(rows)), width))
        record_ids[rows[valid]] = checked[valid]
        usable[rows[valid]] = True
    return record_ids, usable, lengths


def _checked(matrix: Bytes) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """Complete Ids to 18 characters and tell which are valid: the others stay as they are."""
    digits = matrix[:, :15]
    valid: npt.NDArray[np.bool_] = np.all(_IS_DIGIT[digits], axis=1)
    is_upper = ((digits >= ord("A")) & (digits <= ord("Z"))).view(np.uint8)
    bits = [is_upper[:, position::5] << position for position in range(5)]
    suffix = _CHECKSUM_ALPHABET[np.bitwise_or.reduce(bits)]
    if matrix.shape[1] == 18:
        return matrix, valid & np.all(suffix == matrix[:, 15:], axis=1)
    return np.hstack([digits, suffix]), valid


def _to_strings(matrix: Bytes) -> pa.Array:
    count, width = matrix.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    data = pa.py_buffer(np.ascontiguousarray(matrix))
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), data])


def _words(
    words: list[str | None], numbers: npt.NDArray[np.int8]
) -> pd.api.extensions.ExtensionArray:
    """Look words up by number, without an object per row."""
    return _text(pa.array(words, pa.string()).take(pa.array(numbers)))


def _text(strings: pa.Array | pa.ChunkedArray) -> pd.api.extensions.ExtensionArray:
    text: pd.api.extensions.ExtensionArray = pd.array(strings, dtype="str")
    return text
