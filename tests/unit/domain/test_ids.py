import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain import ids

# Public test vectors of the checksum.
VECTORS = [
    ("001M000000qfPyS", "IAU"),
    ("a0FE000000D6r3F", "MAR"),
    ("AbCdEfGhIjKlMnO", "VKV"),
]
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RECORD_ID_15 = st.builds(
    lambda prefix, rest: prefix + rest,
    st.sampled_from(["003", "00Q"]),
    st.text(ALPHABET, min_size=12, max_size=12),
)


def strings(*values):
    return pd.Series(list(values), dtype="str")


@pytest.mark.parametrize(("fifteen", "suffix"), VECTORS)
def test_the_checksum_agrees_with_public_vectors(fifteen, suffix):
    assert ids.to_18(fifteen) == fifteen + suffix
    assert ids.to_18(fifteen + suffix) == fifteen + suffix


def test_an_id_with_a_wrong_checksum_is_refused_in_plain_words():
    with pytest.raises(ValueError, match="right checksum"):
        ids.to_18("001M000000qfPySIAA")


def test_each_kind_of_id_gets_its_verdict():
    result = ids.classify(
        strings(
            "0035e00000AbCdE",  # 15 characters, a Contact
            ids.to_18("00Q5e00000AbCdE"),  # 18 characters, a Lead
            None,
            "   ",
            "0015e00000AbCdE",  # an Account
            "0035e00000AbCdEXXX",  # wrong checksum
            "0035e00000AbCd",  # too short
            "0035e00000AbCd'",  # not base 62
            "0035e00000AbCdé",  # 15 characters, 16 bytes
        )
    )
    assert result["object"].fillna("-").tolist() == ["Contact", "Lead"] + ["-"] * 7
    assert result["problem"].fillna("-").tolist() == [
        "-", "-", "NO_SALESFORCE_ID", "NO_SALESFORCE_ID", *["BAD_SALESFORCE_ID"] * 5,
    ]  # fmt: skip
    assert result["record_id"].iloc[0] == ids.to_18("0035e00000AbCdE")
    assert result["record_id"].iloc[2:].isna().all()


def test_surrounding_blanks_do_not_make_an_id_malformed():
    result = ids.classify(strings(" 0035e00000AbCdE\n"))
    assert result["problem"].isna().all()


def test_an_empty_column_is_classified():
    assert ids.classify(strings()).empty


@given(st.lists(RECORD_ID_15, min_size=1, max_size=30))
def test_15_and_18_characters_mean_the_same_record(fifteens):
    short = ids.classify(strings(*fifteens))["record_id"]
    long = ids.classify(short)["record_id"]
    assert short.tolist() == long.tolist()
    assert [record_id[:15] for record_id in short] == fifteens


@given(st.lists(st.text(max_size=20) | st.none(), max_size=30))
def test_nonsense_is_never_usable_and_never_an_error(values):
    result = ids.classify(pd.Series(values, dtype="str"))
    assert (result["record_id"].isna() == result["problem"].notna()).all()


@given(
    st.lists(RECORD_ID_15, min_size=1, max_size=40), st.lists(RECORD_ID_15, min_size=1, max_size=40)
)
def test_keys_are_equal_exactly_when_the_ids_are(left, right):
    left, right = left + right[:3], right + left[:3]
    a = ids.classify(strings(*left))["record_id"]
    b = ids.classify(strings(*right))["record_id"]
    keys_a, keys_b = ids.record_keys(a, b)
    same_id = np.array([[x == y for y in b] for x in a])
    assert ((keys_a[:, None] == keys_b[None, :]) == same_id).all()


def test_keys_are_the_same_in_whatever_pieces_a_column_lies():
    whole = ids.classify(
        strings(*(f"00{kind}5e00000AbC{n:02d}" for kind in "3Q" for n in range(9)))
    )
    pieces = pa.chunked_array(
        [pa.array(whole["record_id"])[start:stop] for start, stop in ((0, 5), (5, 5), (5, 18))]
    )
    column = pd.Series(pd.arrays.ArrowExtensionArray(pieces))
    assert len(pieces.chunks) == 3
    assert [*ids.record_keys(column)[0]] == [*ids.record_keys(whole["record_id"])[0]]


@pytest.mark.parametrize(
    ("record_ids", "unique"),
    [
        ((), True),
        (("0035e00000AbCdEAAZ", "0035e00000AbCdFAAZ"), True),
        (("0035e00000AbCdEAAZ", "0035e00000AbCdFAAZ", "0035e00000AbCdEAAZ"), False),
        (("nonsense", "other nonsense"), True),  # packs into the same integer
        (("nonsense", "nonsense"), False),
    ],
)
def test_an_id_that_occurs_twice_is_noticed(record_ids, unique):
    assert ids.are_unique(strings(*record_ids)) is unique


def test_keys_of_an_org_with_many_instances_are_exact_too():
    fifteens = [f"003{a}{b}00000AbCdE" for a in "ABCDE" for b in "abcde"]
    (keys,) = ids.record_keys(ids.classify(strings(*fifteens))["record_id"])
    assert len(set(keys)) == 25
