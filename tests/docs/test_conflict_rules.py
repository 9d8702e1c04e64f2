"""docs/conflict-rules.md is what the code decides under both rules: no line missing or invented."""

from itertools import product

import pytest

from include.domain.conflicts import (
    CROWDED_ABOVE,
    TUG_OF_WAR_AFTER,
    Base,
    Choices,
    Code,
    ConflictRule,
    Decision,
    Judgement,
    Salesforce,
    Store,
    Verdict,
    decide,
)
from tests.docs.pages import page, rows, section

PAGE = page("docs/conflict-rules.md")
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
WINS, CHANGED = ConflictRule.OPT_OUT_WINS, ConflictRule.CHANGED_SIDE

LINES = rows(section(PAGE, "The table"))
CODES = {cells[0].strip("`"): cells[1] for cells in rows(section(PAGE, "Codes"))}
VERDICTS = rows(section(PAGE, "Evidence"))
DECIDED_BESIDE_THE_TABLE = {  # by the group, by evidence, by the life of records, or without a link
    Code.FOLLOWS_GROUP,
    Code.SHARED_RECORD,
    Code.RESUBSCRIBED,
    Code.RESUBSCRIBE_WAITING,
    Code.TUG_OF_WAR,
    Code.PUSHED_WHILE_DISABLED,
    Code.CARRIED_OVER_CONVERSION,
    Code.CARRIED_OVER_MERGE,
    Code.RELINKED,
    Code.NO_SALESFORCE_ID,
    Code.BAD_SALESFORCE_ID,
}


def values(cell, meanings):
    return list(meanings.values()) if cell == "any" else [meanings[cell]]


def decision(write, then, code):
    return Decision(Code(code.strip("`")), new_base=BASE_THEN[then], **WRITE[write])


def by_rule(write, then, code, changed):
    """Return what a line says of each rule."""
    wins = decision(write, then, code)
    if changed == "same":
        return {WINS: wins, CHANGED: wins}
    write, then = changed.split(", base then ")
    return {WINS: wins, CHANGED: decision(write, then, code)}


DOCUMENTED = [
    (rule, combination, decided)
    for base, store, salesforce, *line in LINES
    for combination in product(
        values(base, BASE), values(store, STORE), values(salesforce, SALESFORCE)
    )
    for rule, decided in by_rule(*line).items()
]


@pytest.mark.parametrize(
    ("rule", "combination", "decided"),
    DOCUMENTED,
    ids=["-".join([rule, *(v.name for v in c)]) for rule, c, _ in DOCUMENTED],
)
def test_the_code_decides_as_the_table_says(rule, combination, decided):
    assert decide(*combination, rule) == decided


@pytest.mark.parametrize("rule", ConflictRule)
def test_every_combination_has_exactly_one_line(rule):
    combinations = [combination for of, combination, _ in DOCUMENTED if of is rule]
    assert sorted(combinations) == sorted(product(Base, Store, Salesforce))


def test_every_code_has_an_explanation():
    assert CODES.keys() == {code.value for code in Code}
    assert all(text.endswith(".") for text in CODES.values())


def test_every_code_is_in_the_table_unless_more_than_one_link_decides_it():
    in_table = {decided.code for _, _, decided in DOCUMENTED}
    assert in_table == set(Code) - DECIDED_BESIDE_THE_TABLE


def test_nothing_in_the_table_clears_an_opt_out_where_opt_out_wins():
    of_rule = [decided for rule, _, decided in DOCUMENTED if rule is WINS]
    assert not [d for d in of_rule if False in (d.target_store, d.target_salesforce)]


def test_every_judgement_is_explained_once_with_its_verdict():
    reasons = [cells[1].strip("`") for cells in VERDICTS]
    assert sorted(reasons) == sorted(each.value for each in Judgement)
    assert {cells[0] for cells in VERDICTS} == {each.value for each in Verdict}
    assert all(cells[2].endswith(".") for cells in VERDICTS)


def test_the_numbers_of_the_page_are_those_of_the_code():
    choices = Choices(fields=())
    assert f"more than {choices.clock_skew.total_seconds():.0f} seconds later" in PAGE
    assert f"wait for {choices.evidence_waits.days} days" in PAGE
    assert f"More than {CROWDED_ABOVE} persons on one record" in PAGE
    assert TUG_OF_WAR_AFTER == 3
    assert "three closed nights" in CODES["TUG_OF_WAR"]


def test_the_page_fits_the_screen():
    prose = [line for line in PAGE.splitlines() if not line.startswith("|")]
    assert max(map(len, prose)) <= 120
