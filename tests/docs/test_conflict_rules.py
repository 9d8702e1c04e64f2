"""The table of docs/conflict-rules.md is what the code decides: no line missing, none invented."""

from itertools import product

import pytest

from include.domain.conflicts import Base, Code, Decision, Salesforce, Store, decide
from tests.docs.pages import page, rows, section

BASE = {"no": Base.NOT_OPTED_OUT, "yes": Base.OPTED_OUT, "unknown": Base.UNKNOWN}
STORE = {"no": Store.NOT_OPTED_OUT, "yes": Store.OPTED_OUT}
SALESFORCE = {
    "no": Salesforce.NOT_OPTED_OUT,
    "yes": Salesforce.OPTED_OUT,
    "unreadable": Salesforce.UNREADABLE,
    "missing": Salesforce.MISSING,
    "deleted": Salesforce.DELETED,
    "converted, no": Salesforce.CONVERTED,
    "converted, yes": Salesforce.CONVERTED_OPTED_OUT,
    "merged, no": Salesforce.MERGED,
    "merged, yes": Salesforce.MERGED_OPTED_OUT,
}
WRITE = {
    "": {},
    "store := yes": {"target_store": True},
    "Salesforce := yes": {"target_salesforce": True},
}
BASE_THEN = {"": None, "yes": True, "no": False}

LINES = rows(section(page("docs/conflict-rules.md"), "The table"))
CODES = {
    cells[0].strip("`"): cells[1]
    for cells in rows(section(page("docs/conflict-rules.md"), "Codes"))
}
DECIDED_WITHOUT_A_LINK = {Code.NO_SALESFORCE_ID, Code.BAD_SALESFORCE_ID}


def values(cell, meanings):
    return list(meanings.values()) if cell == "any" else [meanings[cell]]


DOCUMENTED = [
    (
        (base, store, salesforce),
        Decision(Code(code.strip("`")), new_base=BASE_THEN[then], **WRITE[write]),
    )
    for base_cell, store_cell, salesforce_cell, write, then, code in LINES
    for base, store, salesforce in product(
        values(base_cell, BASE), values(store_cell, STORE), values(salesforce_cell, SALESFORCE)
    )
]


@pytest.mark.parametrize(
    ("combination", "decision"),
    DOCUMENTED,
    ids=["-".join(v.name for v in c) for c, _ in DOCUMENTED],
)
def test_the_code_decides_as_the_table_says(combination, decision):
    assert decide(*combination) == decision


def test_every_combination_has_exactly_one_line():
    combinations = [combination for combination, _ in DOCUMENTED]
    assert sorted(combinations) == sorted(product(Base, Store, Salesforce))


def test_every_code_has_an_explanation():
    assert CODES.keys() == {code.value for code in Code}
    assert all(text.endswith(".") for text in CODES.values())


def test_every_code_is_in_the_table_unless_there_is_no_link():
    in_table = {decision.code for _, decision in DOCUMENTED}
    assert in_table == set(Code) - DECIDED_WITHOUT_A_LINK


def test_nothing_in_the_table_clears_an_opt_out():
    assert not any(":= no" in cell for line in LINES for cell in line)
