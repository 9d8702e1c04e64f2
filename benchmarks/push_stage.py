"""Where `benchmarks/push.py` plays: PostgreSQL, the emulator, and people who can unsubscribe."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import make_url

from include.audit import orgs, settings
from include.migrations.upgrade import upgrade
from include.store.database import connect, transaction
from local import postgres
from local.demo.airflow_env import airflow_environment
from local.demo.config import ROOT, Config
from local.demo.credentials import Credentials
from local.demo.databases import Databases, copy_rows
from local.demo.databases import connect as open_connection
from local.salesforce_emulator.seed import ORGANIZATION_ID
from local.salesforce_emulator.testing import RunningEmulator, Size, free_ports, running_emulator

FIELD = "HasOptedOutOfEmail"
ACT = """
INSERT INTO engagement.unsubscribe (person_id, kind, scope, origin, occurred_at, idempotency_key)
SELECT p, 'unsubscribe', 'team', 'Clicked Link', now(), 'benchmark ' || p
FROM unnest(%s::bigint[]) AS p
"""
TRANSACTIONS = """
SELECT pg_stat_force_next_flush(), datname, xact_commit + xact_rollback FROM pg_stat_database
WHERE datname IN (%s, %s)
"""


@dataclass
class Stage:
    """The systems, and the people who can unsubscribe: each is used once."""

    config: Config
    databases: Databases
    org: RunningEmulator
    environment: Mapping[str, str]
    pushed: list[int]
    naive: list[int]

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A connection to the store that commits each statement."""
        url = make_url(self.databases.store)
        connection = psycopg2.connect(
            host=url.query.get("host") or url.host, user=url.username, dbname=url.database
        )
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the store."""
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def act(self, people: Sequence[int]) -> dict[int, datetime]:
        """Let people unsubscribe in one transaction; returns when that was committed."""
        self.query(ACT, [*people])
        return dict.fromkeys(people, datetime.now(UTC))

    def act_one_by_one(self, people: Sequence[int], per_second: float) -> dict[int, datetime]:
        """Let so many unsubscribe each second, each in a transaction of their own."""
        at: dict[int, datetime] = {}
        begun = time.monotonic()
        with self.connection() as connection, connection.cursor() as cursor:
            for number, person in enumerate(people):
                time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
                cursor.execute(ACT, ([person],))
                at[person] = datetime.now(UTC)
        return at

    def pause(self, *, is_paused: bool) -> datetime:
        """Pause or resume the sync as an admin does; returns when that was committed."""
        engine = connect(self.databases.store)
        with transaction(engine) as conn:
            chosen = settings.current(conn).settings.model_copy(update={"paused": is_paused})
            _save(conn, chosen)
        engine.dispose()
        return datetime.now(UTC)

    def transactions(self) -> tuple[int, int]:
        """Return how many the store and Airflow's database have seen."""
        names = [make_url(url).database for url in (self.databases.store, self.databases.airflow)]
        counted = {name: count for _, name, count in self.query(TRANSACTIONS, *names)}
        return counted[names[0]], counted[names[1]]


def _save(conn: Any, chosen: settings.Settings) -> None:
    settings.save(conn, chosen, saved_by="benchmark", note="benchmark", now=datetime.now(UTC))


@contextmanager
def stage(home: Path, pushed: int, naive: int) -> Iterator[Stage]:
    """Start PostgreSQL and the emulator, and give each person a Contact that is not opted out."""
    config = Config(home, *free_ports(3))
    server = postgres.start(home / "postgres")
    try:
        size = Size(contacts=int((pushed + naive) * 1.2) + 100, leads=10)
        with running_emulator(home / "org", size) as org:
            databases = Databases.on(server)
            environment = _environment(config, databases, org)
            _migrate(databases)
            people = _people(databases, org, ["pushed"] * pushed + ["naive"] * naive)
            yield Stage(config, databases, org, environment, people[:pushed], people[pushed:])
    finally:
        server.stop()


def _environment(config: Config, databases: Databases, org: RunningEmulator) -> dict[str, str]:
    dags = config.state / "dags"
    dags.mkdir()
    config.staging.mkdir()
    shutil.copy(ROOT / "dags" / "unsubscribe_push.py", dags)
    shutil.copy(ROOT / "benchmarks" / "naive_push.py", dags)
    known = airflow_environment(
        config, Credentials(), metadata_url=databases.airflow, store_url=databases.store
    )
    return known | {
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW_CONN_SALESFORCE": org.airflow_connection,
        "REQUESTS_CA_BUNDLE": str(org.ca_bundle),
        "OPT_OUT_SYNC_PUSH_LINGER_SECONDS": "1",  # so that the next act meets an idle Airflow soon
    }


def _migrate(databases: Databases) -> None:
    engine = connect(databases.store)
    upgrade(engine)
    with transaction(engine) as conn:
        _save(conn, settings.Settings(enabled=True))
        orgs.confirm(conn, ORGANIZATION_ID, by="b", note="b", now=datetime.now(UTC))
    engine.dispose()


def _people(databases: Databases, org: RunningEmulator, marks: list[str]) -> list[int]:
    """Add a person for each mark, with a Contact of their own; returns them in that order."""
    free = [each["Id"] for each in org.records("Contact") if not each[FIELD]][: len(marks)]
    if len(free) < len(marks):
        raise SystemExit("the emulator has too few Contacts that are not opted out")
    with open_connection(databases.store) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE naive_told (person_id bigint, at timestamptz)")
        rows = list(zip(marks, free, strict=True))
        copy_rows(cursor, "engagement.person", ("email", "salesforce_id"), rows)
        cursor.execute("SELECT id FROM engagement.person ORDER BY email = 'naive', id")
        return [person for (person,) in cursor.fetchall()]


def seconds_since(at: Mapping[int, datetime], told: Callable[[], list[Any]]) -> list[float]:
    """Return how long after each act its reply came."""
    return [(answered - at[person]).total_seconds() for person, answered in told()]
