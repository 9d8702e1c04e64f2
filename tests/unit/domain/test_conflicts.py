"""One link alone in its group: every line of the tables, under both rules."""

import pytest

from tests.unit.domain.worlds import (
    BOTH_FIELDS,
    CHANGED,
    EMAIL,
    IN,
    NEW,
    NOW,
    OUT,
    SALES,
    US,
    WINS,
    A,
    B,
    C,
    accepted,
    ago,
    claim,
    codes,
    contact,
    decide,
    deleted,
    lead,
    link,
    own_write,
    person,
    record,
    seen,
    told,
    unsubscribe,
    verdicts,
    writes,
)

# One row per line of the table in docs/conflict-rules.md, rule opt_out_wins.
TABLE = [
    # base store salesforce  code                          to store  to salesforce  new base
    (IN, IN, IN, "AGREED", None, None, None),
    (IN, OUT, IN, "UNSUBSCRIBED_IN_STORE", None, OUT, OUT),
    (IN, IN, OUT, "OPTED_OUT_IN_SALESFORCE", OUT, None, OUT),
    (IN, OUT, OUT, "BOTH_OPTED_OUT", None, None, OUT),
    (OUT, OUT, OUT, "AGREED", None, None, None),
    (OUT, IN, OUT, "CLEARED_IN_STORE_ONLY", OUT, None, OUT),
    (OUT, OUT, IN, "CLEARED_IN_SALESFORCE_ONLY", None, OUT, OUT),
    (OUT, IN, IN, "BOTH_CLEARED", None, None, IN),
    (NEW, IN, IN, "FIRST_SEEN_AGREED", None, None, IN),
    (NEW, OUT, OUT, "FIRST_SEEN_AGREED", None, None, OUT),
    (NEW, OUT, IN, "FIRST_SEEN_OPT_OUT", None, OUT, OUT),
    (NEW, IN, OUT, "FIRST_SEEN_OPT_OUT", OUT, None, OUT),
]
# The two lines in which changed_side differs; the store was cleared by a resubscribe that counts.
CHANGED_SIDE = {
    (OUT, IN, OUT): ("CLEARED_IN_STORE_ONLY", None, IN, IN),
    (OUT, OUT, IN): ("CLEARED_IN_SALESFORCE_ONLY", IN, None, IN),
}
COLUMNS = ("base", "store", "salesforce", "code", "to_store", "to_salesforce", "new_base")
# A name of the rule, what the store holds beside the values, and the table.
BY_RULE = [
    *((WINS, *line) for line in TABLE),
    *((CHANGED, *line[:3], *CHANGED_SIDE.get(line[:3], line[3:])) for line in TABLE),
]


def one_link(base, store, salesforce, *more, rule=WINS, flips=0):
    rows = [person(1), record(A, salesforce), *more]
    if store is OUT:
        rows.append(unsubscribe(1))
    elif base is OUT:
        rows.append(accepted(1, is_evidence=False))  # what made the store forget it, once
    if base is not NEW:
        rows.append(link(1, A, base, flips=flips))
    return decide(*rows, rule=rule)


@pytest.mark.parametrize(("rule", *COLUMNS), BY_RULE)
def test_each_line_of_the_table(
    rule, base, store, salesforce, code, to_store, to_salesforce, new_base
):
    result = one_link(base, store, salesforce, rule=rule)
    assert result.counts == {code: 1}
    expected = [] if code == "AGREED" else [(1, A, EMAIL, code, to_store, to_salesforce, new_base)]
    assert told(result) == expected


def test_a_store_that_was_cleared_before_names_what_cleared_it():
    result = one_link(OUT, IN, OUT, rule=CHANGED)
    assert result.decisions["cause"].item() == "act:15"
    # nothing cleared it: other acts count than before
    result = decide(person(1), record(A, OUT), link(1, A, OUT), rule=CHANGED)
    assert writes(result) == {(A, EMAIL): IN}
    assert result.decisions["cause"].isna().all()


@pytest.mark.parametrize("line", [line for line in TABLE if line[0] is not NEW])
def test_the_base_never_changes_what_is_written_where_opt_out_wins(line):
    base, store, salesforce = line[:3]
    assert writes(one_link(base, store, salesforce)) == writes(one_link(NEW, store, salesforce))


def test_a_row_repeats_the_values_it_was_decided_by():
    row = one_link(OUT, OUT, IN).decisions.iloc[0]
    assert row[["base", "store_is_opted_out", "salesforce_is_opted_out"]].tolist() == [
        True, True, False,
    ]  # fmt: skip
    assert row["base_since"] == ago(days=7)
    assert row["store_opted_out_at"] == ago(days=2)
    assert row["store_origin"] == "Manual"
    assert row["store_act_id"] == 10
    assert row["salesforce_modified_at"] == ago(days=3)
    assert row["rule"] == "opt_out_wins"


def test_the_sentence_names_when_and_how_the_person_said_no():
    result = decide(person(1), record(A, IN), link(1, A, IN), unsubscribe(1, origin="Clicked Link"))
    row = result.decisions.iloc[0]
    assert row["reason"] == (
        "The person opted out in the store on 2026-11-18 18:00 UTC (Clicked Link); the Salesforce "
        "Contact did not show it, so Salesforce is set to opted out."
    )
    assert row["cause"] == "act:10"


def test_a_cleared_box_that_is_ticked_again_is_told_with_what_would_make_it_last():
    reason = one_link(OUT, OUT, IN).decisions["reason"].item()
    assert reason == (
        "Both sides had agreed on opted out since 2026-11-13 18:00 UTC; the box was cleared in "
        "Salesforce on 2026-11-17 18:00 UTC or before by user 005000000000001AAA while the store "
        "still says opted out, so Salesforce is set to opted out again: a clear on one side is no "
        "permission to mail. To make it last, record the person's consent: resubscribe."
    )


def test_a_write_to_the_store_names_the_box_and_the_latest_time_it_can_have_been_ticked():
    assert one_link(IN, IN, OUT).decisions["cause"].item() == seen(A, at=ago(days=3))


def test_a_time_in_the_future_is_the_time_of_the_read():
    late = record(A, OUT, last_modified_at=ago(minutes=-10))
    row = decide(person(1), late, link(1, A, IN)).decisions.iloc[0]
    assert row["cause"] == seen(A, at=NOW)
    assert row["salesforce_opted_out_before"] == NOW
    assert row["salesforce_modified_at"] == ago(minutes=-10)


def test_a_record_without_a_date_is_a_cause_without_a_time():
    undated = record(A, OUT, last_modified_at=None)
    assert decide(person(1), undated, link(1, A, IN)).decisions["cause"].item() == seen(A)


# Scopes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "choices", "counts"),
    [
        ({"scope": "team"}, {}, True),
        ({"scope": "sender"}, {}, False),
        ({"scope": "sender"}, {"scopes": ("team", "sender")}, True),
        ({"origin": "Bounce"}, {}, False),
        ({"origin": "Bounce"}, {"bounces": True}, True),
    ],
)
def test_only_what_the_settings_count_opts_anybody_out(act, choices, counts):
    world = person(1), record(A, IN), link(1, A, IN), unsubscribe(1, **act)
    assert writes(decide(*world, **choices)) == ({(A, EMAIL): OUT} if counts else {})


# Tug of war ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [WINS, CHANGED])
@pytest.mark.parametrize(
    ("flips", "code", "to_salesforce"),
    [(2, "CLEARED_IN_SALESFORCE_ONLY", OUT), (3, "TUG_OF_WAR", None), (9, "TUG_OF_WAR", None)],
)
def test_after_three_undone_nights_salesforce_is_not_written_any_more(
    rule, flips, code, to_salesforce
):
    # by the person, so that changed_side sets it again as well
    world = person(1), record(A, IN), unsubscribe(1, origin="Clicked Link")
    result = decide(*world, link(1, A, OUT, flips=flips), rule=rule)
    assert told(result) == [(1, A, EMAIL, code, None, to_salesforce, OUT if flips < 3 else None)]


def test_a_quarantined_link_is_listed_every_night():
    world = person(1), record(A, IN), unsubscribe(1), link(1, A, OUT, flips=3)
    assert codes(decide(*world)) == ["TUG_OF_WAR"]


def test_a_quarantined_record_still_lets_an_opt_out_of_another_person_into_the_store():
    result = decide(
        person(1), person(2), record(A, IN), unsubscribe(1),
        link(1, A, OUT), link(2, A, OUT, flips=3),
    )  # fmt: skip
    assert told(result) == [
        (1, A, EMAIL, "TUG_OF_WAR", None, None, None),
        (2, A, EMAIL, "TUG_OF_WAR", OUT, None, None),
    ]
    assert result.decisions["shared_with"].tolist()[1] == 1


def test_a_quarantined_link_still_takes_an_opt_out_from_salesforce():
    result = decide(person(1), record(A, OUT), link(1, A, IN, flips=3))
    assert writes(result) == {1: OUT}


# What cannot be read (section 5) -------------------------------------------------------------


@pytest.mark.parametrize("rule", [WINS, CHANGED])
@pytest.mark.parametrize("base", [IN, OUT, NEW])
@pytest.mark.parametrize("store", [IN, OUT])
@pytest.mark.parametrize(
    ("hidden", "code"),
    [("everywhere", "UNREADABLE_FIELD"), ("null", "UNREADABLE_FIELD"), ("missing", "NOT_VISIBLE")],
)
def test_what_cannot_be_read_is_never_written(rule, base, store, hidden, code):
    rows = [person(1)]
    rows += [record(A, None if hidden == "null" else OUT)] if hidden != "missing" else []
    rows += [unsubscribe(1)] if store else []
    rows += [link(1, A, base, is_visible=hidden != "missing")]
    readable = {EMAIL: ()} if hidden == "everywhere" else None
    result = decide(*rows, rule=rule, readable=readable)
    if base is OUT and store is IN:  # it counts with its base
        assert told(result) == [(1, A, EMAIL, "CLEARED_IN_STORE_ONLY", OUT, None, None)]
    else:
        assert result.counts == {code: 1}
        assert result.decisions.empty


def test_a_field_is_unreadable_only_for_the_objects_that_hide_it():
    world = (
        person(1, contact(1)), person(2, lead(1)), record(contact(1), OUT), record(lead(1), OUT),
        link(1, contact(1), IN), link(2, lead(1), IN),
    )  # fmt: skip
    result = decide(*world, readable={EMAIL: ["Lead"]})
    assert writes(result) == {2: OUT}
    assert result.counts == {"UNREADABLE_FIELD": 1, "OPTED_OUT_IN_SALESFORCE": 1}


@pytest.mark.parametrize("store", [IN, OUT])
def test_a_record_that_was_not_returned_is_told_once(store):
    rows = [person(1), *([unsubscribe(1)] if store else [])]
    first = decide(*rows, link(1, A, IN))
    assert told(first) == [(1, A, EMAIL, "NOT_VISIBLE", None, None, None)]
    assert first.visibility[["is_visible", "is_deleted"]].to_numpy().tolist() == [[False, False]]
    again = decide(*rows, link(1, A, IN, is_visible=False))
    assert again.decisions.empty
    assert again.visibility.empty
    assert again.counts == {"NOT_VISIBLE": 1}


@pytest.mark.parametrize("state", ["active", "gone"])
def test_a_record_that_is_back_is_visible_again_with_its_old_base(state):
    result = decide(
        person(1), record(A, IN), unsubscribe(1), link(1, A, OUT, is_visible=False, state=state)
    )
    assert codes(result) == ["CLEARED_IN_SALESFORCE_ONLY"]
    assert result.visibility["is_visible"].tolist() == [True]


@pytest.mark.parametrize("base", [IN, OUT, NEW])
@pytest.mark.parametrize("store", [IN, OUT])
@pytest.mark.parametrize("flag", [IN, OUT])
def test_a_deleted_record_leaves_the_store_as_it_is(base, store, flag):
    rows = [person(1), deleted(A, flag), link(1, A, base)]
    rows += [unsubscribe(1)] if store else []
    result = decide(*rows)
    assert told(result) == [(1, A, EMAIL, "DELETED_IN_SALESFORCE", None, None, None)]
    assert result.visibility["is_deleted"].tolist() == [True]


def test_only_records_that_an_earlier_night_had_count_as_lost():
    result = decide(
        *(person(n, contact(n)) for n in range(1, 5)),
        record(contact(4)),
        link(1, contact(1), IN), link(2, contact(2), IN, is_visible=False),
        link(4, contact(4), IN),
    )  # fmt: skip
    assert result.lost == {"Contact": (1, 3)}


# Ids -----------------------------------------------------------------------------------------


def test_people_who_cannot_be_linked_are_listed_if_it_matters():
    result = decide(
        person(1, None), person(2, None), person(3, "0015e0000000001AAA"), person(4, "nonsense"),
        unsubscribe(1), unsubscribe(4),
    )  # fmt: skip
    assert result.unlinked[["person_id", "code"]].to_numpy().tolist() == [
        [1, "NO_SALESFORCE_ID"],
        [3, "BAD_SALESFORCE_ID"],
        [4, "BAD_SALESFORCE_ID"],
    ]
    assert result.decisions.empty


def test_an_opt_out_whose_record_is_gone_is_listed():
    result = decide(
        person(1, A), person(2, B), person(3, C), deleted(B), record(C, OUT),
        unsubscribe(1), unsubscribe(2), unsubscribe(3),
    )  # fmt: skip
    assert result.unlinked[["person_id", "code"]].to_numpy().tolist() == [
        [1, "NOT_VISIBLE"],
        [2, "DELETED_IN_SALESFORCE"],
    ]


@pytest.mark.parametrize("typed", [A[:15], A, f" {A}\n"])
def test_an_id_means_the_same_record_however_it_is_typed(typed):
    result = decide(person(1, typed), record(A, IN), link(1, A, IN), unsubscribe(1))
    assert told(result) == [(1, A, EMAIL, "UNSUBSCRIBED_IN_STORE", None, OUT, OUT)]
    assert result.relinks.empty


def test_ids_that_differ_in_case_only_are_different_records():
    small, large = "0035e0000000abc", "0035e0000000ABC"
    result = decide(person(1, small), person(2, large), unsubscribe(1))
    assert set(result.unlinked["person_id"]) == {1}


# Person accounts, and a push while disabled --------------------------------------------------


def test_a_person_account_names_the_account_that_is_written():
    of_account = record(A, IN, is_person_account=True, account_id="0015e0000000001AAA")
    row = decide(person(1), of_account, link(1, A, IN), unsubscribe(1)).decisions.iloc[0]
    assert row["account_id"] == "0015e0000000001AAA"
    assert row["target_salesforce"]


def test_the_account_of_an_ordinary_contact_is_not_named():
    ordinary = record(A, IN, account_id="0015e0000000001AAA")
    rows = decide(person(1), ordinary, link(1, A, IN), unsubscribe(1)).decisions
    assert rows["account_id"].isna().all()


def test_evidence_clears_a_field_outside_the_mode_that_we_wrote():
    consent = accepted(1, at=ago(hours=2))
    result = decide(
        person(1), record(A, IN, OUT, last_modified_by=US), consent,
        link(1, A, IN), link(1, A, OUT, SALES), own_write(A, 10, ago(days=2), SALES),
        readable=dict.fromkeys(BOTH_FIELDS, ("Contact", "Lead")),
    )  # fmt: skip
    assert told(result) == [(1, A, SALES, "RESUBSCRIBED", None, IN, IN)]
    assert result.decisions["cause"].item() == "act:15"
    assert not result.decisions["store_is_opted_out"].item()


@pytest.mark.parametrize(("carried", "is_cleared"), [(ago(hours=3), True), (ago(hours=1), False)])
def test_evidence_clears_a_field_outside_the_mode_only_if_it_is_newer_than_the_act_in_it(
    carried, is_cleared
):
    result = decide(
        person(1), record(A, IN, OUT, last_modified_by=US), accepted(1, at=ago(hours=2)),
        link(1, A, IN), link(1, A, OUT, SALES), own_write(A, 99, carried, SALES),
        readable=dict.fromkeys(BOTH_FIELDS, ("Contact", "Lead")),
    )  # fmt: skip
    assert writes(result) == ({(A, SALES): IN} if is_cleared else {})


def test_a_field_outside_the_mode_that_somebody_else_ticked_is_theirs():
    result = decide(
        person(1), record(A, IN, OUT), accepted(1), link(1, A, IN), link(1, A, OUT, SALES),
        readable=dict.fromkeys(BOTH_FIELDS, ("Contact", "Lead")),
    )  # fmt: skip
    assert result.decisions.empty


def test_a_field_outside_the_mode_of_somebody_whose_record_is_gone_is_left_alone():
    result = decide(
        person(1, B), person(2, A), accepted(1), accepted(2), record(A, IN, OUT),
        link(1, B, OUT, SALES, is_visible=False), link(2, A, OUT, SALES), link(2, A, IN),
        own_write(A, 20, ago(days=2), SALES), own_write(B, 10, ago(days=2), SALES),
        readable=dict.fromkeys(BOTH_FIELDS, ("Contact", "Lead")),
    )  # fmt: skip
    assert writes(result) == {(A, SALES): IN}


def test_a_resubscribe_without_evidence_ends_nothing_where_opt_out_wins():
    result = decide(person(1), record(A, OUT), link(1, A, OUT), unsubscribe(1), claim(1))
    assert result.decisions.empty
    assert verdicts(result) == {}
