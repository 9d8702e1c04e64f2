"""Ids that have come, in eight bytes each, to notice one that comes twice."""

from collections import defaultdict

import numpy as np
import pyarrow as pa

from include.domain import ids


class SeenIds:
    """Remembers Ids page by page: 80 MB for ten million, where the texts took 400 MB."""

    def __init__(self) -> None:
        self._numbers: dict[int, list[ids.Keys]] = defaultdict(list)  # by object and instance

    def add(self, record_ids: pa.ChunkedArray) -> None:
        """Remember the Ids of a page: 18 characters, no nulls."""
        prefixes, numbers = ids.packed(record_ids)
        for prefix in np.unique(prefixes):
            self._numbers[int(prefix)].append(numbers[prefixes == prefix])

    @property
    def has_duplicates(self) -> bool:
        """Whether an Id came twice, on one page or on two. Nothing is approximate."""
        return any(_repeats(np.concatenate(pages)) for pages in self._numbers.values())


def _repeats(numbers: ids.Keys) -> bool:
    numbers.sort()
    return bool((numbers[1:] == numbers[:-1]).any())
