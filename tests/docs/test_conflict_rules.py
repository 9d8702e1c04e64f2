"""The tables of docs/conflict-rules.md are what the code decides: none missing, none invented."""

from itertools import product

import pytest

from include.domain.conflicts import (
    Base,
    Code,
    ConflictRule,
    Decision,
    Judgement,
    Salesforce,
    Store,
    decide,
)
from tests.docs.pages import page, rows, section

BASE = {"no": Base.NOT_OPTED_OUT, "yes": Base.OPTED_OUT, "unknown": Base.UNKNOWN}
STORE = {"no": Store.NOT_OPTED_OUT, "yes": Store.OPTED_OUT}
SALESFORCE = {
    "no": Salesforce.NOT_OPTED_OUT,
    "yes": Salesforce.OPTED_OUT,
    "unreadable": Salesforce.UNREADABLE,
    "missing": Salesforce.MISSING,
    "deleted": Salesforce.DELETED,
}
WRITE = {
    "": {},
    "store := yes": {"target_store": True},
    "store := no": {"target_store": False},
    "Salesforce := yes": {"target_salesforce": True},
    "Salesforce := no": {"target_salesforce": False},
}
BASE_THEN = {"": None, "yes": True, "no": False}

PAGE = page("docs/conflict-rules.md")
BOTH = rows(section(PAGE, "The table"))
CHANGED = [line for line in BOTH if ":= no" in line[3]]
LINES = [line for line in BOTH if len(line) == 6 and line not in CHANGED and line[0] != "base"]
CODES = {cells[0].strip("`"): cells[1] for cells in rows(section(PAGE, "Codes"))}
JUDGEMENTS = {cells[0].strip("`"): cells[1] for cells in rows(section(PAGE, "Evidence"))}

# what a line of one link alone cannot show
OF_GROUPS = {Code.FOLLOWS_GROUP, Code.SHARED_RECORD}
OF_EVIDENCE = {Code.RESUBSCRIBED, Code.RESUBSCRIBE_WAITING}
OF_LIFE = {Code.CARRIED_OVER_CONVERSION, Code.CARRIED_OVER_MERGE, Code.RELINKED}
OF_PEOPLE = {Code.NO_SALESFORCE_ID, Code.BAD_SALESFORCE_ID}


def values(cell, meanings):
    return list(meanings.values()) if cell == "any" else [meanings[cell]]


def documented(lines):
    return {
        (base, store, salesforce): Decision(
            Code(code.strip("`")), new_base=BASE_THEN[then], **WRITE[write]
        )
        for base_cell, store_cell, salesforce_cell, write, then, code in lines
        for base, store, salesforce in product(
            values(base_cell, BASE), values(store_cell, STORE), values(salesforce_cell, SALESFORCE)
        )
    }


WINS = documented(LINES)


def name(combination):
    return "-".join(value.name for value in combination)


@pytest.mark.parametrize("combination", WINS, ids=name)
def test_the_code_decides_as_the_table_says(combination):
    assert decide(*combination) == WINS[combination]


@pytest.mark.parametrize("combination", WINS, ids=name)
def test_changed_side_differs_only_where_the_page_says(combination):
    changed = WINS | documented(CHANGED)
    assert decide(*combination, ConflictRule.CHANGED_SIDE) == changed[combination]


def test_every_combination_has_exactly_one_line():
    lines = [
        combination
        for line in LINES
        for combination in product(
            values(line[0], BASE), values(line[1], STORE), values(line[2], SALESFORCE)
        )
    ]
    assert sorted(lines) == sorted(product(Base, Store, Salesforce))


def test_changed_side_has_two_lines_of_its_own():
    assert len(documented(CHANGED)) == 2


def test_every_code_has_an_explanation():
    assert CODES.keys() == {code.value for code in Code}
    assert all(text.endswith(".") for text in CODES.values())


def test_every_judgement_has_an_explanation():
    assert JUDGEMENTS.keys() == {code.value for code in Judgement}
    assert all(text.endswith(".") for text in JUDGEMENTS.values())


def test_every_code_of_one_link_is_in_the_table():
    in_table = {decision.code for decision in WINS.values()}
    elsewhere = OF_GROUPS | OF_EVIDENCE | OF_LIFE | OF_PEOPLE | {Code.TUG_OF_WAR}
    assert in_table == set(Code) - elsewhere


def test_nothing_in_the_table_of_opt_out_wins_clears_an_opt_out():
    assert not any(":= no" in cell for line in LINES for cell in line)
