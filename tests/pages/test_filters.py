"""From the address of a table to what the database is asked."""

import pytest

from include.reports.columns import Column, Definition, Kind, Table
from include.reports.search import Filter, Op
from include.web.filters import fields_of, query_of

SHOWN = Definition(
    table=Table.DECISIONS,
    title="Things",
    about="One row per thing.",
    relation="schema.thing",
    columns=[
        Column("code", "Code", Kind.CHOICE, ("A", "B")),
        Column("detail", "Detail", Kind.TEXT),
        Column("record_id", "Record", Kind.TEXT),
        Column("person_id", "Person", Kind.NUMBER),
        Column("email", "Address", Kind.TEXT, is_address=True),
        Column("is_open", "Open", Kind.FLAG),
        Column("at", "At", Kind.TIME),
        Column("night", "Night", Kind.DATE),
    ],
    key="person_id",
    newest="at",
    orders={},
    indexed=frozenset({"record_id"}),
)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, []),
        ({"code": "", "detail": "  "}, []),
        ({"code": "A"}, [Filter("code", Op.EQUALS, "A")]),
        ({"code": "A", "code.op": "ne"}, [Filter("code", Op.DIFFERS, "A")]),
        ({"code.op": "empty"}, [Filter("code", Op.IS_EMPTY)]),
        ({"detail": "rule"}, [Filter("detail", Op.CONTAINS, "rule")]),
        ({"detail": "rule", "detail.op": "drop table"}, [Filter("detail", Op.CONTAINS, "rule")]),
        ({"person_id": "1234", "person_id.op": "ge"}, [Filter("person_id", Op.AT_LEAST, "1234")]),
        ({"is_open": "yes"}, [Filter("is_open", Op.EQUALS, "yes")]),
        ({"is_open": "no"}, [Filter("is_open", Op.EQUALS, "no")]),
        (
            {"at": "2026-11-24T20:00", "at.until": "2026-11-25T20:00"},
            [
                Filter("at", Op.AT_LEAST, "2026-11-24T20:00"),
                Filter("at", Op.BEFORE, "2026-11-25T20:00"),
            ],
        ),
        ({"night.until": "2026-11-25"}, [Filter("night", Op.AT_MOST, "2026-11-25")]),
    ],
)
def test_each_box_of_the_form_is_a_condition(parameters, expected):
    assert list(query_of(parameters, SHOWN).filters) == expected


def test_what_an_index_answers_is_proposed_first():
    (asked,) = query_of({"record_id": "003"}, SHOWN).filters
    assert asked.op is Op.EQUALS
    fields = {each.column.name: [*each.operators] for each in fields_of({}, SHOWN)}
    assert fields["record_id"][0] is Op.EQUALS
    assert {*fields["record_id"]} == {*fields["detail"]}


def test_nobody_filters_by_an_address():
    assert query_of({"email": "x@example.com"}, SHOWN).filters == []
    assert "email" not in {each.column.name for each in fields_of({}, SHOWN)}


def test_search_and_order_come_along():
    query = query_of({"search": " 4711 ", "sort": "at", "order": "up"}, SHOWN)
    assert (query.search, query.sort, query.descending) == ("4711", "at", False)
    assert query_of({}, SHOWN).descending


def test_the_form_shows_what_was_asked():
    fields = {
        each.column.name: each
        for each in fields_of({"code": "B", "code.op": "ne", "at.until": "x"}, SHOWN)
    }
    assert (fields["code"].value, fields["code"].op) == ("B", Op.DIFFERS)
    assert {name for name, each in fields.items() if each.is_set} == {"code", "at"}
