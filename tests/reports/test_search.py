"""Searching the audit: every filter, every order, pages, limits, and what nobody may ask."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from include.reports import search
from include.reports.columns import Kind
from include.reports.search import (
    COUNTED,
    Filter,
    Op,
    Query,
    WrongFilterError,
    one,
    stream,
)
from include.reports.tables import Table, definition
from include.store.database import transaction
from tests.database.world import CANARY, FIELD, record
from tests.reports import world
from tests.reports.world import DAY, FAILED, LAST_NIGHT, MINUTE, choose, execute, night, read, start


def find(*args, **named):
    """However busy the machine is."""
    return search.find(*args, **{"patience": 60.0} | named)


@pytest.fixture
def decided(engine: Engine) -> Engine:
    """Three nights about people 1 to 6; the second only reads, one write of the third fails."""
    people = world.people(engine, 6)
    night(engine, LAST_NIGHT - 2 * DAY, people[:2])
    run = start(engine, LAST_NIGHT - DAY)
    world.decide(
        engine,
        run,
        people[2:4],
        LAST_NIGHT - DAY,
        code="BOTH_OPTED_OUT",
        target_salesforce=None,
        salesforce_is_opted_out=True,
    )
    world.close(engine, run, LAST_NIGHT - DAY)
    run = start(engine, LAST_NIGHT)
    world.decide(engine, run, people[4:], LAST_NIGHT, code="OPTED_OUT_IN_SALESFORCE", object="Lead")
    world.outcome(engine, run, people[4:], "failed", LAST_NIGHT + MINUTE, **FAILED)
    world.close(engine, run, LAST_NIGHT + MINUTE)
    return engine


def people_of(
    engine: Engine, *filters: Filter, table: Table = Table.DECISIONS, **query
) -> list[int]:
    page = read(engine, find, table, Query(filters, **query))
    return [row["person_id"] for row in page.rows]


# -- pages and orders


def test_the_newest_come_first(decided: Engine) -> None:
    page = read(decided, find, Table.DECISIONS)
    assert [row["person_id"] for row in page.rows] == [6, 5, 4, 3, 2, 1]
    assert (page.total, page.is_more, page.searched_back_to) == (6, False, None)


def test_pages_together_are_everything_once(decided: Engine) -> None:
    pages = [read(decided, find, Table.DECISIONS, skip=skip, most=2) for skip in (0, 2, 4, 6)]
    assert [len(page.rows) for page in pages] == [2, 2, 2, 0]
    assert len({row["id"] for page in pages for row in page.rows}) == 6
    assert {page.total for page in pages} == {6}


@pytest.mark.parametrize("table", list(Table))
@pytest.mark.parametrize("descending", [True, False])
def test_every_table_is_sorted_by_everything_that_it_offers(
    decided: Engine, table: Table, descending: bool
) -> None:
    choose(decided)
    for column in definition(table).columns:
        query = Query(sort=column.name, descending=descending)
        if not column.is_sortable:
            with pytest.raises(WrongFilterError):
                read(decided, find, table, query)
            continue
        values = [row[column.name] for row in read(decided, find, table, query).rows]
        known = [
            str(each) if isinstance(each, dict) else each for each in values if each is not None
        ]
        if column.name not in {"document", "airflow_run_id"}:
            assert known == sorted(known, reverse=descending)


@pytest.mark.parametrize("table", list(Table))
def test_every_table_has_the_columns_that_it_names(decided: Engine, table: Table) -> None:
    choose(decided)
    shown = definition(table)
    names = [each.name for each in shown.shown(with_address=False)]
    assert len({*names}) == len(names)
    for row in read(decided, find, table).rows:
        assert list(row) == names
    assert shown.column(shown.key) is not None
    assert shown.column(shown.newest).is_sortable


def test_a_row_is_found_by_its_key(decided: Engine) -> None:
    for table in (Table.DECISIONS, Table.NIGHTS, Table.WRITES):
        shown = definition(table)
        row = read(decided, find, table).rows[0]
        assert read(decided, one, table, row[shown.key]) == row
    assert read(decided, one, Table.DECISIONS, 4711) is None


def test_everything_is_streamed_in_the_same_order(decided: Engine) -> None:
    query = Query(sort="person_id", descending=False)
    with transaction(decided) as conn:
        rows = list(stream(conn, Table.DECISIONS, query))
    assert rows == read(decided, find, Table.DECISIONS, query).rows


# -- filters


@pytest.mark.parametrize(
    ("condition", "people"),
    [
        (Filter("person_id", Op.EQUALS, "3"), [3]),
        (Filter("person_id", Op.IN, [1, "5"]), [5, 1]),
        (Filter("person_id", Op.AT_LEAST, 5), [6, 5]),
        (Filter("person_id", Op.BEFORE, 2), [1]),
        (Filter("person_id", Op.DIFFERS, 6), [5, 4, 3, 2, 1]),
        (Filter("code", Op.EQUALS, "BOTH_OPTED_OUT"), [4, 3]),
        (Filter("sync_run_id", Op.EQUALS, "1"), [2, 1]),
        (Filter("sync_run_id", Op.IN, [1, 3]), [6, 5, 2, 1]),
        (Filter("sync_run_id", Op.EQUALS, 4711), []),
        (Filter("code", Op.CONTAINS, "in_sales"), [6, 5]),
        (Filter("code", Op.CONTAINS, "in%"), []),
        (Filter("code", Op.STARTS, "unsub"), [2, 1]),
        (Filter("object", Op.EQUALS, "Lead"), [6, 5]),
        (Filter("record_id", Op.EQUALS, record(2)), [2]),
        (Filter("record_id", Op.EQUALS, record(2)[:15]), [2]),
        (Filter("target_salesforce", Op.EQUALS, "yes"), [6, 5, 2, 1]),
        (Filter("target_salesforce", Op.IS_EMPTY), [4, 3]),
        (Filter("target_salesforce", Op.IS_NOT_EMPTY), [6, 5, 2, 1]),
        (Filter("target_salesforce", Op.DIFFERS, True), [4, 3]),
        (Filter("decided_at", Op.AT_LEAST, "2026-11-25T04:00:00Z"), [6, 5]),
        (Filter("decided_at", Op.AT_LEAST, "2026-11-24T20:00:00-08:00"), [6, 5]),
        (Filter("decided_at", Op.AFTER, datetime(2026, 11, 25, 4, tzinfo=UTC)), []),
        (Filter("reason", Op.CONTAINS, "UNSUBSCRIBED in"), [6, 5, 4, 3, 2, 1]),
        (Filter("reason", Op.CONTAINS, "nobody"), []),
    ],
)
def test_a_filter_keeps_what_it_says(decided: Engine, condition: Filter, people: list[int]) -> None:
    assert people_of(decided, condition) == people


def test_all_filters_must_hold(decided: Engine) -> None:
    both = Filter("object", Op.EQUALS, "Lead"), Filter("person_id", Op.EQUALS, 5)
    assert people_of(decided, *both) == [5]


@pytest.mark.parametrize(
    ("word", "people"),
    [
        ("3", [3, 2, 1]),  # a person, or (as 1 is the first run) what run 3 decided
        (record(2), [2]),
        (record(2)[:15], [2]),
        ("opted out in", [6, 5]),
        ("OPTED_OUT_IN_SALESFORCE", [6, 5]),
        ("nonsense", []),
        (CANARY, []),
        ("%", []),
    ],
)
def test_a_word_finds_people_records_runs_and_codes(
    decided: Engine, word: str, people: list[int]
) -> None:
    found = people_of(decided, search=word)
    if word == "3":
        run_3 = people_of(decided, Filter("sync_run_id", Op.EQUALS, 3))
        assert {*found} >= {3, *run_3}
    else:
        assert found == people


def test_a_small_table_is_searched_by_any_text(decided: Engine) -> None:
    choose(decided)
    assert people_of(decided, table=Table.FAILURES, search="mend IT") == [6, 5]
    page = read(decided, find, Table.SETTINGS, Query(search="ada"))
    assert [row["saved_by"] for row in page.rows] == ["Ada"]


@pytest.mark.parametrize("table", list(Table))
def test_every_column_of_every_table_has_filters(decided: Engine, table: Table) -> None:
    values = {
        Kind.NUMBER: "1",
        Kind.DECIMAL: "1.5",
        Kind.TEXT: "x",
        Kind.CHOICE: "x",
        Kind.FLAG: "no",
        Kind.TIME: "2026-01-01",
        Kind.DATE: "2026-01-01",
    }
    for column in definition(table).shown(with_address=False):
        for op in (Op.EQUALS, Op.DIFFERS, Op.IS_EMPTY):
            if column.name == "document":
                continue
            read(decided, find, table, Query([Filter(column.name, op, values[column.kind])]))


@pytest.mark.parametrize(
    "condition",
    [
        Filter("email", Op.EQUALS, CANARY),
        Filter("1; DROP TABLE x", Op.EQUALS, "x"),
        Filter("person_id", Op.EQUALS, f"1 OR '{CANARY}'"),
        Filter("person_id", Op.EQUALS, 2**63),
        Filter("person_id", Op.CONTAINS, "1"),
        Filter("decided_at", Op.AT_LEAST, "yesterday"),
        Filter("target_store", Op.EQUALS, "perhaps"),
        Filter("target_store", Op.AT_LEAST, "yes"),
        Filter("code", Op.EQUALS, "a\0b"),
        Filter("code", Op.CONTAINS, "a\0b"),
    ],
)
def test_a_wrong_filter_is_refused_without_repeating_it(decided: Engine, condition: Filter) -> None:
    with pytest.raises(WrongFilterError) as refused:
        people_of(decided, condition)
    assert CANARY not in str(refused.value)
    assert "DROP" not in str(refused.value)


# -- addresses


def test_an_address_is_a_column_only_for_who_may_see_it(decided: Engine) -> None:
    for table in (Table.DECISIONS, Table.WRITES, Table.FAILURES):
        plain = read(decided, find, table).rows[0]
        assert "email" not in plain
        row = read(decided, find, table, with_address=True).rows[0]
        assert row["email"] == CANARY
        assert list(row) == [each.name for each in definition(table).shown(with_address=True)]
    with transaction(decided) as conn:
        assert next(stream(conn, Table.DECISIONS, with_address=True))["email"] == CANARY
        assert CANARY not in str(list(stream(conn, Table.DECISIONS)))
    assert CANARY not in str(read(decided, find, Table.NIGHTS, with_address=True))


def test_who_was_erased_has_no_address(decided: Engine) -> None:
    execute(decided, "SELECT engagement.erase_person(6, 'Ada', 'asked', now())")
    row = read(decided, find, Table.DECISIONS, with_address=True).rows[0]
    assert (row["person_id"], row["email"]) == (6, None)


# -- many rows


def add_many(engine: Engine, count: int, code: str = "BOTH_OPTED_OUT", days: float = 100) -> None:
    """Add decisions, evenly over so many days before the last night."""
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.merge_audit (decided_at, sync_run_id, org_id, person_id, "
                "record_id, object, field, rule, code, reason) "
                "SELECT :at - n * :step, 1, 'ORG', n, '003' || lpad(n::text, 12, '0') || 'AAA', "
                "'Contact', :field, 'opt_out_wins', :code, 'x' FROM generate_series(1, :n) AS n"
            ),
            {
                "at": LAST_NIGHT,
                "step": timedelta(days=days) / count,
                "n": count,
                "field": FIELD,
                "code": code,
            },
        )


def test_a_count_stops(engine: Engine) -> None:
    add_many(engine, COUNTED + 5)
    page = read(engine, find, Table.DECISIONS, Query([Filter("code", Op.STARTS, "both")]))
    assert page.total <= COUNTED
    page = read(engine, find, Table.DECISIONS)
    assert (page.total, page.is_more, len(page.rows)) == (COUNTED, True, 50)
    last = read(engine, find, Table.DECISIONS, skip=COUNTED - 10)
    assert len(last.rows) == 15


def test_a_page_has_an_end(engine: Engine) -> None:
    add_many(engine, 1_500)
    assert len(read(engine, find, Table.DECISIONS, most=10**6).rows) == 1_000


def test_what_no_index_answers_is_looked_for_backwards(engine: Engine) -> None:
    add_many(engine, 1_000)
    wanted = Query([Filter("object", Op.EQUALS, "Contact")])
    page = read(engine, find, Table.DECISIONS, wanted, most=5)
    assert len(page.rows) == 5
    assert LAST_NIGHT - 2 * DAY < page.searched_back_to < LAST_NIGHT
    page = read(engine, find, Table.DECISIONS, wanted, skip=500, most=5)
    assert len(page.rows) == 5
    assert page.searched_back_to < LAST_NIGHT - 50 * DAY or page.searched_back_to is None
    nobody = read(engine, find, Table.DECISIONS, Query([Filter("object", Op.EQUALS, "Lead")]))
    assert (nobody.rows, nobody.total, nobody.searched_back_to) == ([], 0, None)


def test_another_order_looks_as_far_as_there_is_time(engine: Engine) -> None:
    add_many(engine, 1_000)
    query = Query([Filter("object", Op.EQUALS, "Contact")], sort="person_id", descending=True)
    page = read(engine, find, Table.DECISIONS, query, most=5)
    assert [row["person_id"] for row in page.rows] == [1000, 999, 998, 997, 996]


def test_when_the_time_is_over_it_says_so(engine: Engine) -> None:
    add_many(engine, 100)
    execute(
        engine,
        "CREATE FUNCTION opt_out_sync.slow(t text) RETURNS text LANGUAGE sql VOLATILE "
        "AS 'SELECT t FROM pg_sleep(2)'; "
        "ALTER TABLE opt_out_sync.merge_audit RENAME TO quick; "
        "CREATE VIEW opt_out_sync.merge_audit AS SELECT q.*, 1 AS one FROM opt_out_sync.quick q "
        "WHERE opt_out_sync.slow(q.code) <> ''",
    )
    wanted = Query([Filter("object", Op.EQUALS, "Contact")])
    with transaction(engine) as conn:
        page = search.find(conn, Table.DECISIONS, wanted)
        assert page.searched_back_to is not None
        assert conn.execute(text("SHOW statement_timeout")).scalar() == "1h"
    page = read(engine, search.find, Table.DECISIONS)  # an index helps, or should
    assert (page.rows, page.is_more, page.searched_back_to) == ([], True, LAST_NIGHT - DAY)
