"""How many people the benchmarks are about: three sizes, and ten million with `SIZE=10m`."""

import os
from typing import Final

STANDARD: Final = (10_000, 100_000, 1_000_000)
TEN_MILLION: Final = 10_000_000


def sizes() -> tuple[int, ...]:
    """Return the sizes to measure, smallest first."""
    asked = os.environ.get("SIZE", "").lower()
    if asked not in ("", "10m"):
        raise SystemExit(f"SIZE is {asked}: leave it out, or say 10m")
    return (*STANDARD, TEN_MILLION) if asked else STANDARD
