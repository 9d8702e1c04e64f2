"""The statements that run most, or over most rows, each as the product sends it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import include.audit
import include.reports
import include.store
from benchmarks.audit_rows import ORG
from include.reports.conditions import Filter, Op, Query, ordered, statement
from include.reports.tables import Table, definition
from include.store.database import sql_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

FIELD: Final = "HasOptedOutOfEmail"
WRITTEN: Final = 1_000
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hot:
    """One statement: when it runs, and what has to be there before.

    Attributes:
        name: as a heading.
        when: it runs, and about how much; sentences.
        statement: with named parameters.
        values: makes the parameters from the world: `people`, `now`, and `run`, the newest one.
        before: statements that make what the program has made by then; may use the parameters.
    """

    name: str
    when: str
    statement: str
    values: Callable[[Values], Values] = lambda _: {}
    before: tuple[str, ...] = ()

    def prepare(self, conn: Connection, world: Mapping[str, Any]) -> Values:
        """Make what is needed in this transaction, and return the parameters."""
        run = conn.execute(sa.text("SELECT max(id) FROM opt_out_sync.sync_run")).scalar_one()
        values = self.values({**world, "run": run})
        for each in self.before:
            conn.execute(sa.text(each), values)
        return values


def _file(package: Any, name: str) -> str:
    return sql_file(Path(package.__path__[0]), name).text


def _found(table: Table, query: Query, most: int = 50) -> str:
    """Return the statement of a page of the audit."""
    shown = definition(table)
    rows = ordered(statement(shown, query), shown, query).limit(most)
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    return str(rows.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


LINKS_SETTINGS = (
    "SELECT set_config('opt_out_sync.org_id', :org, true), "
    "set_config('opt_out_sync.fields', :field, true)"
)
OF_JUDGED = "SELECT standing, count(*) FROM judged GROUP BY standing"
NO_LOOPS = "SET LOCAL enable_nestloop = off"
# A night of some thousand decisions, as the merge hands them over.
NEW_DECISIONS = """
CREATE TEMPORARY TABLE new_decision ON COMMIT DROP AS
SELECT a.* FROM opt_out_sync.merge_audit AS a WHERE a.sync_run_id = :run_id
"""
ASKED_RECORDS = f"""
CREATE TEMPORARY TABLE asked_record ON COMMIT DROP AS
SELECT '003' || lpad(n::text, 12, '0') || 'AAA' AS record_id
FROM generate_series(1, {5 * WRITTEN}, 5) AS n
"""  # noqa: S608 - a constant
WAITING = f"""
INSERT INTO opt_out_sync.push_outbox
    (person_id, state, version, marked_at, next_attempt_at, closed_at)
SELECT n, CASE WHEN n % 20 = 0 THEN 'waiting' ELSE 'closed' END, 1, :now, :now,
       CASE WHEN n % 20 <> 0 THEN CAST(:now AS timestamptz) END
FROM generate_series(1, {20 * WRITTEN}) AS n
"""  # noqa: S608


def _org(world: Values) -> Values:
    return {"org": ORG, "org_id": ORG, "field": FIELD, "fields": [FIELD], "now": world["now"]}


def _run(world: Values) -> Values:
    return _org(world) | {"run_id": world["run"], "person_ids": None, "read_at": world["now"]}


def _month(world: Values) -> Values:
    now = world["now"]
    days = [(now - timedelta(days=ago)).date() for ago in range(40)]
    ends = [now - timedelta(days=ago - 14) for ago in range(40)]
    return {"now": now, "start": now - timedelta(days=30), "end": now, "days": days, "ends": ends}


HOT: Final = (
    Hot(
        "The store's people",
        "`extract.store`, once a night: everybody, as Arrow.",
        _file(include.store, "people"),
    ),
    Hot(
        "Opt-outs that stand",
        "`extract.store`, once a night, in the same snapshot; joined as a whole.",
        _file(include.store, "opt_outs"),
        before=(NO_LOOPS,),
    ),
    Hot(
        "Links with their base",
        "`merge`, once a night: every link of the org.",
        _file(include.audit, "links"),
        _org,
        (LINKS_SETTINGS,),
    ),
    Hot(
        "Record decisions",
        "`merge`, once a night: one row per link that changes.",
        _file(include.audit, "record_decisions"),
        _run,
        (NEW_DECISIONS, NO_LOOPS),
    ),
    Hot(
        "What is left to write",
        "each load, and `close`: planned writes of the night without an outcome.",
        _file(include.audit, "pending_writes"),
        lambda world: _run(world) | {"side": "salesforce", "value": None},
        (NO_LOOPS,),
    ),
    Hot(
        "Move bases",
        "`close`, once a night: the links that were decided and confirmed.",
        _file(include.audit, "move_bases"),
        _run,
        (NO_LOOPS,),
    ),
    Hot(
        "Date our own opt-outs",
        f"`merge` and every push: {WRITTEN:,} ticked records that we edited last.",
        _file(include.audit, "own_writes"),
        _org,
        (ASKED_RECORDS, "ANALYZE asked_record"),
    ),
    Hot(
        "Is somebody due?",
        "the trigger of the push, at least every few seconds; 1,000 people wait among 20,000.",
        _file(include.audit, "push_due"),
        _org,
        (WAITING,),
    ),
    Hot(
        "Claim a batch",
        "every push, up to 200 people at a time.",
        _file(include.audit, "claim"),
        lambda world: _run(world) | {"most": 200},
        (WAITING,),
    ),
    Hot(
        "Links of a batch",
        "every push: of 200 people.",
        _file(include.audit, "links_of"),
        lambda world: _org(world) | {"person_ids": list(range(1, 2001, 10))},
    ),
    Hot(
        "Open failures",
        "`report`, alerts and the first page.",
        "SELECT * FROM opt_out_sync.v_open_failures",
    ),
    Hot(
        "The newest decisions",
        "page *Audit*.",
        _found(Table.DECISIONS, Query()),
    ),
    Hot(
        "Decisions about a person",
        "page *Audit*, and the page of a person.",
        _found(Table.DECISIONS, Query([Filter("person_id", Op.EQUALS, 1_001)])),
    ),
    Hot(
        "Decisions about a record",
        "page *Audit*.",
        _found(Table.DECISIONS, Query([Filter("record_id", Op.EQUALS, "003000000001001AAA")])),
    ),
    Hot(
        "Decisions with a rare code",
        "page *Audit*, newest first.",
        _found(Table.DECISIONS, Query([Filter("code", Op.EQUALS, "TUG_OF_WAR")])),
    ),
    Hot(
        "Decisions by code",
        "page *Audit*, sorted by code.",
        _found(Table.DECISIONS, Query(sort="code")),
    ),
    Hot(
        "The newest writes",
        "page *Audit*.",
        _found(Table.WRITES, Query()),
    ),
    Hot(
        "A year of nights",
        "page *Overview* and analysts.",
        "SELECT * FROM opt_out_sync.v_night ORDER BY night DESC LIMIT 365",
    ),
    Hot(
        "Compliance of a month",
        "page *Compliance*.",
        _file(include.reports, "judged") + OF_JUDGED,
        _month,
        ("SET LOCAL jit = off",),
    ),
    Hot(
        "Everything about a person",
        "page of a person, `explain`.",
        "SELECT * FROM opt_out_sync.v_person_timeline WHERE person_id = 1001 ORDER BY at",
    ),
)
