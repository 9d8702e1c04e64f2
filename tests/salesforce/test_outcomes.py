import random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.ids import to_18
from include.salesforce.collections import codes_of_rejected
from include.salesforce.errors import IncompleteJobError
from include.salesforce.outcomes import outcomes, reconcile


def ids(count: int) -> list[str]:
    return [to_18(f"003{number:012d}") for number in range(count)]


def column(values: list[str]) -> pd.Series:
    return pd.Series(values, dtype="str")


@st.composite
def jobs(draw: st.DrawFn) -> tuple[list[str], list[str], dict[str, str], list[str]]:
    """What was sent, and its three results in any order."""
    sent = ids(draw(st.integers(1, 60)))
    kinds = draw(st.lists(st.sampled_from("sfu"), min_size=len(sent), max_size=len(sent)))
    pairs = list(zip(sent, kinds, strict=True))
    random.Random(draw(st.integers())).shuffle(pairs)
    return (
        sent,
        [each for each, kind in pairs if kind == "s"],
        {each: "UNABLE_TO_LOCK_ROW" for each, kind in pairs if kind == "f"},
        [each for each, kind in pairs if kind == "u"],
    )


@given(jobs())
def test_every_row_sent_gets_its_own_outcome_whatever_the_order(
    job: tuple[list[str], list[str], dict[str, str], list[str]],
) -> None:
    sent, successful, failed, unprocessed = job

    frame = reconcile(
        column(sent),
        successful=column(successful),
        failed=failed,
        unprocessed=column(unprocessed),
        job_id="750",
    )

    assert frame["record_id"].tolist() == sent
    by_id = frame.set_index("record_id")
    assert set(by_id.index[by_id["succeeded"]]) == set(successful)
    assert by_id["code"].dropna().to_dict() == failed | dict.fromkeys(unprocessed, "UNPROCESSED")
    assert (by_id["job_id"] == "750").all()
    assert by_id["fix"].notna().eq(~by_id["succeeded"]).all()


@given(jobs(), st.data())
def test_a_missing_row_is_never_taken_for_a_success(
    job: tuple[list[str], list[str], dict[str, str], list[str]], data: st.DataObject
) -> None:
    sent, successful, failed, unprocessed = job
    lost = data.draw(st.sampled_from(sent))

    with pytest.raises(IncompleteJobError):
        reconcile(
            column(sent),
            successful=column([each for each in successful if each != lost]),
            failed={each: code for each, code in failed.items() if each != lost},
            unprocessed=column([each for each in unprocessed if each != lost]),
            job_id="750",
        )


@pytest.mark.parametrize(
    ("successful", "failed", "unprocessed"),
    [
        ([*ids(2), ids(2)[0]], {}, []),  # one twice
        (ids(2), {ids(2)[0]: "X_Y"}, []),  # succeeded and failed
        ([ids(2)[0], to_18("003000000000999")], {}, []),  # never sent, right count
    ],
)
def test_results_that_contradict_each_other_are_refused(
    successful: list[str], failed: dict[str, str], unprocessed: list[str]
) -> None:
    with pytest.raises(IncompleteJobError):
        reconcile(
            column(ids(2)),
            successful=column(successful),
            failed=failed,
            unprocessed=column(unprocessed),
            job_id="750",
        )


def test_outcomes_have_the_promised_columns_and_types_also_when_nothing_failed() -> None:
    for codes in ({}, dict.fromkeys(ids(2), "DUPLICATES_DETECTED")):
        frame = outcomes(column(ids(2)), codes)

        assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
            "record_id": "str",
            "succeeded": "bool",
            "failure_class": "str",
            "code": "str",
            "fix": "str",
            "job_id": "str",
        }
        assert frame["job_id"].isna().all()


def test_a_collection_answers_by_position() -> None:
    first, second = ids(2)
    answer = [
        {"id": first, "success": True, "errors": []},
        {"success": False, "errors": [{"statusCode": "ENTITY_IS_DELETED", "message": "x@y.z"}]},
    ]

    assert codes_of_rejected([first, second], answer) == {second: "ENTITY_IS_DELETED"}


def test_a_collection_that_answers_for_another_record_is_refused() -> None:
    first, second = ids(2)

    with pytest.raises(IncompleteJobError):
        codes_of_rejected([first], [{"id": second, "success": True, "errors": []}])


def test_a_collection_that_answers_too_few_rows_is_refused() -> None:
    with pytest.raises(IncompleteJobError):
        codes_of_rejected(ids(2), [{"id": ids(2)[0], "success": True, "errors": []}])
