import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.salesforce_emulator.ids import checksum, make_id, to_18


@pytest.mark.parametrize(
    ("id15", "suffix"),
    [
        ("001M000000qfPyS", "IAU"),
        ("a0FE000000D6r3F", "MAR"),
        ("AbCdEfGhIjKlMnO", "VKV"),
        ("0031a000005hwVQ", "AAY"),
    ],
)
def test_checksums_agree_with_genuine_ids(id15: str, suffix: str) -> None:
    assert checksum(id15) == suffix


def test_a_wrong_checksum_is_refused() -> None:
    assert to_18("a00B000000FSjVUIA1", "a00") == "a00B000000FSjVUIA1"
    assert to_18("a00B000000FSjVUIB1", "a00") is None


@pytest.mark.parametrize("given_id", ["", "003", "0031a000005hwVQAA", "0031a000005hw Q", 3, None])
def test_what_is_no_id_is_refused(given_id: object) -> None:
    assert to_18(given_id, "003") is None


def test_an_id_of_another_object_is_refused() -> None:
    assert to_18("0031a000005hwVQ", "00Q") is None


@given(st.text(string.ascii_letters + string.digits, min_size=15, max_size=15))
def test_the_long_form_of_any_id_is_accepted_as_itself(id15: str) -> None:
    full = id15 + checksum(id15)
    assert to_18(full, "") == to_18(id15, "") == full


@given(st.integers(0, 62**9 - 2))
def test_ids_ascend_with_their_numbers(number: int) -> None:
    assert make_id("003", number) < make_id("003", number + 1)
