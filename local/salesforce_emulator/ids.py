"""Record Ids: 15 case-sensitive characters and a checksum of 3 [recorded]."""

from __future__ import annotations

import re
from functools import lru_cache

_CHECKSUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHAPE = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?\Z")
_POD = "Hs0"


def checksum(id15: str) -> str:
    """Return the three characters which make a 15-character Id safe where case is ignored."""
    return _letter(id15[0:5]) + _letter(id15[5:10]) + _letter(id15[10:15])


@lru_cache(maxsize=1 << 16)
def _letter(group: str) -> str:
    return _CHECKSUM[sum(1 << bit for bit, letter in enumerate(group) if "A" <= letter <= "Z")]


def to_18(value: object, prefix: str) -> str | None:
    """Return the 18-character form, or None for a wrong shape, prefix or checksum.

    A wrong checksum is refused even when the first 15 characters exist [recorded].
    """
    if not isinstance(value, str) or not _SHAPE.match(value) or not value.startswith(prefix):
        return None
    full = value[:15] + checksum(value)
    return full if value in (full, value[:15]) else None


def make_id(prefix: str, number: int) -> str:
    """Return the 18-character Id number ``number`` of an object, ascending as text."""
    high, low = divmod(number, 62**3)
    id15 = prefix + _POD + _digits(high, 6) + _digits(low, 3)
    return id15 + checksum(id15)


@lru_cache(maxsize=1 << 18)
def _digits(number: int, count: int) -> str:
    digits = []
    for _ in range(count):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
