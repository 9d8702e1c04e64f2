"""The two systems on the evening before a night: they agreed yesterday, and a little changed.

One person per record. Six of a hundred are opted out on both sides. Since yesterday a share of the
others unsubscribed in the store, and as many boxes were ticked in Salesforce.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql
from sqlalchemy import Engine

from include.audit import orgs, settings
from include.migrations.upgrade import upgrade
from include.store.database import connect, libpq_uri, transaction
from local import postgres
from local.salesforce_emulator.seed import ORGANIZATION_ID
from local.salesforce_emulator.testing import RunningEmulator, Size, running_emulator

FIELD = "HasOptedOutOfEmail"
LEADS = 0.23
CHANGED = 0.005  # each way
TEMPLATE, STORE = "yesterday", "tonight"


@dataclass
class Evening:
    """Both systems, which every round starts from again."""

    server: postgres.Server
    org: RunningEmulator
    people: int
    folder: Path

    def again(self) -> str:
        """Put both systems back to the evening; returns the store's URL."""
        self.org.reset()
        statements = [
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(STORE)),
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(STORE), sql.Identifier(TEMPLATE)
            ),
            sql.SQL("CHECKPOINT"),  # the copy's own writing is not the night's
        ]
        with closing(psycopg2.connect(libpq_uri(connect(self.server.url())))) as connection:
            connection.autocommit = True
            for statement in statements:
                with connection.cursor() as cursor:
                    cursor.execute(statement)
        return self.server.url(STORE)


@contextmanager
def evening(folder: Path, people: int) -> Iterator[Evening]:
    """Start both systems with so many people, each with a record; stop them at the end."""
    leads = int(people * LEADS)
    server = postgres.start(folder / "postgres", {"max_wal_size": "4GB"})
    try:
        with running_emulator(folder / "org", Size(people - leads, leads)) as org:
            engine = connect(server.create_database(TEMPLATE))
            upgrade(engine)
            _fill(engine, _records(org))
            engine.dispose()  # a database in use cannot be copied
            org.snapshot()
            yield Evening(server, org, people, folder)
    finally:
        server.stop()


def _records(org: RunningEmulator) -> list[tuple[str, str, int]]:
    """Tick some boxes, as colleagues do; return Id, object, and yesterday's value of each."""
    with closing(sqlite3.connect(f"file:{org.database}?mode=ro", uri=True)) as salesforce:
        rows = [
            (*row, name)
            for name in ("Contact", "Lead")
            for row in salesforce.execute(BOXES.format(name))
        ]
    open_boxes = [record_id for record_id, is_ticked, _ in rows if not is_ticked]
    ticked = open_boxes[:: round(1 / CHANGED)]
    for start in range(0, len(ticked), 2_000):
        edits = [{"id": each, "fields": {FIELD: True}} for each in ticked[start : start + 2_000]]
        org.control("POST", "edit", {"edits": edits})
    return [(record_id, name, is_ticked) for record_id, is_ticked, name in rows]


def _fill(engine: Engine, records: list[tuple[str, str, int]]) -> None:
    values = {"org": ORGANIZATION_ID, "field": FIELD, "every": round(1 / CHANGED)}
    with (
        closing(psycopg2.connect(libpq_uri(engine))) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(EMPTY)
        _copy(cursor, records)
        for statement in FILL:
            cursor.execute(statement, values)
    with closing(psycopg2.connect(libpq_uri(engine))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")
    with transaction(engine) as conn:
        now = datetime.now(UTC)
        chosen = settings.current(conn).settings.model_copy(update={"enabled": True})
        settings.save(conn, chosen, saved_by="benchmark", note="benchmark", now=now)
        orgs.confirm(conn, ORGANIZATION_ID, by="benchmark", note="benchmark", now=now)


def _copy(cursor: Any, records: list[tuple[str, str, int]]) -> None:
    rows = (
        f"{number}\t{record_id}\t{name}\t{bool(is_ticked)}\n"
        for number, (record_id, name, is_ticked) in enumerate(records, start=1)
    )
    cursor.copy_expert("COPY seed FROM STDIN", StringIO("".join(rows)))


BOXES = 'SELECT "Id", "HasOptedOutOfEmail" FROM "{}" ORDER BY "Id"'
EMPTY = """
CREATE TEMPORARY TABLE seed
    (id bigint, record_id text, object text, was_opted_out boolean) ON COMMIT DROP;
ALTER TABLE engagement.person DISABLE TRIGGER USER;
ALTER TABLE engagement.unsubscribe DISABLE TRIGGER USER;
"""
PEOPLE = """
INSERT INTO engagement.person (id, email, salesforce_id)
SELECT id, 'person' || id || '@example.com', record_id FROM seed ORDER BY id
"""
OPT_OUTS = """
INSERT INTO engagement.unsubscribe
    (person_id, kind, scope, origin, occurred_at, recorded_at, idempotency_key)
SELECT id, 'unsubscribe', 'team', 'Clicked Link', now() - interval '90 days',
       now() - interval '90 days', 'seed/' || id
FROM seed WHERE was_opted_out ORDER BY id
"""
LINKS = """
INSERT INTO opt_out_sync.link
    (org_id, person_id, record_id, object, field, base, base_since, first_seen_at)
SELECT %(org)s, id, record_id, object, %(field)s, was_opted_out, now() - interval '1 day',
       now() - interval '90 days'
FROM seed ORDER BY id
"""
UNSUBSCRIBES = """
INSERT INTO engagement.unsubscribe
    (person_id, kind, scope, origin, occurred_at, recorded_at, idempotency_key)
SELECT id, 'unsubscribe', 'team', 'Clicked Link', now() - interval '1 hour',
       now() - interval '1 hour', 'today/' || id
FROM (
    SELECT id, row_number() OVER (ORDER BY id) AS number FROM seed WHERE NOT was_opted_out
) AS open_people
WHERE number %% %(every)s = 100
"""
READY = """
ALTER TABLE engagement.person ENABLE TRIGGER USER;
ALTER TABLE engagement.unsubscribe ENABLE TRIGGER USER;
"""
FILL = (PEOPLE, OPT_OUTS, LINKS, UNSUBSCRIBES, READY)
