"""From the address of a table to what the database is asked."""

from datetime import UTC, date, datetime

import pytest

from include.reports.search import Filter, Op, WrongFilterError
from include.reports.tables import Column, Kind
from include.web.filters import fields_of, query_of

COLUMNS = [
    Column("code", "Code", Kind.CHOICE, ("A", "B")),
    Column("detail", "Detail", Kind.TEXT),
    Column("person_id", "Person", Kind.NUMBER),
    Column("is_open", "Open", Kind.FLAG),
    Column("at", "At", Kind.TIME),
    Column("night", "Night", Kind.DATE),
]


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
        ({"person_id": "1,234", "person_id.op": "ge"}, [Filter("person_id", Op.AT_LEAST, 1234)]),
        ({"is_open": "yes"}, [Filter("is_open", Op.EQUALS, True)]),
        ({"is_open": "no"}, [Filter("is_open", Op.EQUALS, False)]),
        (
            {"at": "2026-11-24T20:00", "at.until": "2026-11-25T20:00:00+01:00"},
            [
                Filter("at", Op.AT_LEAST, datetime(2026, 11, 24, 20, tzinfo=UTC)),
                Filter("at", Op.BEFORE, datetime(2026, 11, 25, 19, tzinfo=UTC)),
            ],
        ),
        (
            {"night.until": "2026-11-25"},
            [Filter("night", Op.AT_MOST, date(2026, 11, 25))],
        ),
    ],
)
def test_each_box_of_the_form_is_a_condition(parameters, expected):
    assert list(query_of(parameters, COLUMNS).filters) == expected


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"person_id": "many"}, "Person: a whole number was expected"),
        ({"is_open": "maybe"}, "Open: yes or no was expected"),
        ({"at": "yesterday"}, "At: a time in UTC"),
        ({"night.until": "32"}, "Night: a date"),
    ],
)
def test_what_a_column_cannot_have_is_refused_without_repeating_it(parameters, sentence):
    with pytest.raises(WrongFilterError, match=sentence) as caught:
        query_of(parameters, COLUMNS)
    assert next(iter(parameters.values())) not in str(caught.value)


def test_search_and_order_come_along():
    query = query_of({"search": " 4711 ", "sort": "at", "order": "up"}, COLUMNS)
    assert (query.search, query.sort, query.descending) == ("4711", "at", False)
    assert query_of({}, COLUMNS).descending


def test_the_form_shows_what_was_asked():
    fields = {
        each.column.name: each
        for each in fields_of({"code": "B", "code.op": "ne", "at.until": "x"}, COLUMNS)
    }
    assert (fields["code"].value, fields["code"].op) == ("B", Op.DIFFERS)
    assert {name for name, each in fields.items() if each.is_set} == {"code", "at"}
