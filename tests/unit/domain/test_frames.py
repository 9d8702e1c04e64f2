"""A frame that breaks its contract stops the merge, and its values stay out of the log."""

import dataclasses

import pandas as pd
import pytest

from include.domain import frames
from include.domain.conflicts import Choices
from include.domain.frames import BrokenFrameError
from include.domain.merge import merge
from tests.unit.domain.worlds import (
    EMAIL,
    EVERYWHERE,
    NOW,
    OUT,
    SCHEMAS,
    A,
    evidence,
    extract,
    history,
    link,
    person,
    record,
    unsubscribe,
)

SECRET = "canary@example.com"
WORLD = extract(
    person(1), unsubscribe(1), evidence(1), record(A, OUT), link(1, A, OUT), history(A, NOW)
)


def broken(frame, rows):
    return dataclasses.replace(WORLD, **{frame: rows})


def refusal(of):
    with pytest.raises(BrokenFrameError) as refused:
        merge(of, Choices(fields=(EMAIL,)), readable={EMAIL: EVERYWHERE}, read_at=NOW)
    assert refused.value.__cause__ is None
    assert SECRET not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("frame", "column"),
    [(f, c) for f, columns in SCHEMAS.items() for c in columns if c != "Sales_Opt_Out__c"],
)
def test_a_missing_column_is_named(frame, column):
    sentence = refusal(broken(frame, getattr(WORLD, frame).drop(columns=column)))
    assert frame in sentence
    if column == EMAIL:
        assert EMAIL in sentence


@pytest.mark.parametrize(("frame", "columns"), SCHEMAS.items())
def test_a_column_of_another_type_is_named_without_its_values(frame, columns):
    rows = getattr(WORLD, frame)
    for column in columns:
        if column != "Sales_Opt_Out__c":
            sentence = refusal(broken(frame, rows.assign(**{column: [SECRET]})))
            assert f"the frame {frame}, column {column} breaks its contract" in sentence


@pytest.mark.parametrize(
    ("frame", "column"),
    [
        ("people", "person_id"), ("opt_outs", "act_id"), ("resubscribes", "act_id"),
        ("records", "record_id"), ("links", "person_id, record_id, field"),
    ],
)  # fmt: skip
def test_rows_that_occur_twice_are_refused(frame, column):
    rows = getattr(WORLD, frame)
    sentence = refusal(broken(frame, pd.concat([rows, rows], ignore_index=True)))
    assert f"the frame {frame}, column {column} breaks its contract" in sentence


@pytest.mark.parametrize(
    ("frame", "column", "value"),
    [("records", "object", SECRET), ("links", "state", SECRET), ("opt_outs", "scope", None)],
)
def test_values_that_the_merge_does_not_know_are_refused_unquoted(frame, column, value):
    rows = getattr(WORLD, frame).copy()
    rows[column] = pd.array([value], dtype=rows[column].dtype)
    assert f"column {column}" in refusal(broken(frame, rows))


@pytest.mark.parametrize(
    "model", [frames.People, frames.OptOuts, frames.Resubscribes, frames.Records, frames.Links,
              frames.Times]
)  # fmt: skip
def test_an_empty_frame_keeps_its_contract(model):
    assert model.validate(frames.empty(model)).empty
