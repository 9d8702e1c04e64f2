import pandas as pd
import pytest

from include.cli.printing import for_people


@pytest.mark.parametrize("text", ["=1+1@evil.example", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_text_that_a_spreadsheet_would_run_is_only_a_text(text):
    assert for_people(pd.DataFrame({"a": [text]}))["a"].tolist() == ["'" + text]


def test_numbers_nulls_and_other_texts_stay():
    rows = pd.DataFrame({"a": [-1, 2], "b": ["x=1", None]})
    assert for_people(rows)["a"].tolist() == [-1, 2]
    assert for_people(rows)["b"].tolist()[0] == "x=1"
    assert for_people(rows)["b"].isna().tolist() == [False, True]
