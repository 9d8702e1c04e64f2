"""Ids are remembered in eight bytes, and none is taken for another."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain import ids
from include.salesforce.seen_ids import SeenIds

ALPHABET = "0Aa1Zz"
FIFTEEN = st.builds("".join, st.tuples(st.sampled_from(["003", "00Q", "a0B"]), st.text(
    ALPHABET, min_size=12, max_size=12)))  # fmt: skip


@given(pages=st.lists(st.lists(FIFTEEN, max_size=5), max_size=4))
def test_exactly_an_id_that_comes_twice_is_noticed(pages: list[list[str]]) -> None:
    seen = SeenIds()
    for page in pages:
        seen.add(pa.chunked_array([[ids.to_18(each) for each in page]], pa.string()))

    every = [each for page in pages for each in page]
    assert seen.has_duplicates == (len({*every}) < len(every))


@pytest.mark.parametrize("again", [0, 1_999, 3_999])
def test_a_page_that_comes_twice_is_noticed(again: int) -> None:
    pages = [[ids.to_18(f"0035e{n:010d}") for n in range(start, start + 2_000)]
             for start in (0, 2_000)]  # fmt: skip
    seen = SeenIds()
    for page in pages:
        seen.add(pa.chunked_array([page[:1_000], page[1_000:]], pa.string()))
    assert not seen.has_duplicates

    seen.add(pa.chunked_array([[pages[again // 2_000][again % 2_000]]], pa.string()))
    assert seen.has_duplicates
