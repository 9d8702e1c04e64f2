"""What the tests of the push share: runs, what became of people, saves counted in Salesforce."""

import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import FrameType

import psutil

from include.domain.values import SalesforceObject
from include.store.database import connect
from include.sync.clock import utc_now
from include.sync.push import Patience, push
from local import postgres
from local.salesforce_emulator.seed import INTEGRATION_USER_ID
from local.salesforce_emulator.testing import RunningEmulator
from tests.sync.world import World

AT_ONCE = Patience(linger=timedelta(0))
INCLUDE = str(Path(__file__).parents[2] / "include")


def pushed(world: World, name: str = "push", client=None, **options):
    """Run one push to its end, as the task does; returns its counts."""
    chosen = {"clock": utc_now, "patience": AT_ONCE} | options
    return push(world.engine, client or world.client(), name, **chosen)


def outbox(world: World, person: int):
    """The row of a person; None if there is none."""
    rows = world.sql("SELECT * FROM opt_out_sync.push_outbox WHERE person_id = :p", p=person)
    return rows[0] if rows else None


def settled(world: World, person: int):
    """State and code of a person."""
    row = outbox(world, person)
    return (row.state, row.code)


def states(world: World) -> dict[str, int]:
    rows = world.sql("SELECT state, count(*) FROM opt_out_sync.push_outbox GROUP BY state")
    return dict(tuple(row) for row in rows)


def audit(world: World, person: int) -> list[str]:
    """Codes of the decisions about a person, oldest first."""
    query = "SELECT code FROM opt_out_sync.merge_audit WHERE person_id = :p ORDER BY id"
    return [row.code for row in world.sql(query, p=person)]


def writes(world: World, person: int):
    """Side, target, outcome and code of the writes for a person, oldest first."""
    query = (
        "SELECT side, target, outcome, code FROM opt_out_sync.write_attempt "
        "WHERE person_id = :p ORDER BY id"
    )
    return [tuple(row) for row in world.sql(query, p=person)]


def due_now(world: World) -> None:
    """Let time go by: everybody's next attempt is due, and every pause is over."""
    world.sql("UPDATE opt_out_sync.push_outbox SET next_attempt_at = '2020-01-01'")
    world.sql("UPDATE opt_out_sync.push_pause SET until = '2020-01-01'")


def pause(world: World):
    """Code of the pause that is declared; None if there is none."""
    rows = world.sql("SELECT code FROM opt_out_sync.push_pause")
    return rows[0].code if rows else None


def requests(world: World, method: str, path: str) -> int:
    """How many requests of a kind were made."""
    counts = world.org.request_counts()
    return sum(n for name, n in counts.items() if name.startswith(method) and path in name)


def count_saves(org: RunningEmulator) -> None:
    """Let the emulator's database count every save of a record by our own user."""
    with closing(sqlite3.connect(org.database, timeout=30)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS test_save (id text)")
        for obj in SalesforceObject:
            database.execute(f"DROP TRIGGER IF EXISTS test_save_{obj}")
            database.execute(
                f'CREATE TRIGGER test_save_{obj} AFTER UPDATE ON "{obj}" '
                f"WHEN new.LastModifiedById = '{INTEGRATION_USER_ID}' "
                "BEGIN INSERT INTO test_save VALUES (new.Id); END"
            )


def saves(org: RunningEmulator) -> Counter[str]:
    """How often our own user saved each record since `count_saves`."""
    with closing(sqlite3.connect(org.database, timeout=30)) as database:
        return Counter(record_id for (record_id,) in database.execute("SELECT id FROM test_save"))


def lines_of(work: Callable[[], object]) -> int:
    """How many lines of this project a call runs through."""
    lines = 0

    def count() -> None:
        nonlocal lines
        lines += 1

    _traced(work, count)
    return lines


def killed_at(line: int, world: World, work: Callable[[], object]) -> bool:
    """Do something in a process of its own, and kill that at a line; returns whether it got there.

    It is SIGKILL: nothing is cleaned up, no transaction is ended, no connection is closed.
    """
    child = os.fork()
    if child == 0:
        reached = 0

        def count() -> None:
            nonlocal reached
            reached += 1
            if reached == line:
                os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            world.engine = connect(world.engine.url)  # connections are not shared by processes
            _traced(work, count)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _traced(work: Callable[[], object], at_line: Callable[[], None]) -> None:
    def local(frame: FrameType, event: str, _):
        if event == "line":
            at_line()
        return local

    def trace(frame: FrameType, event: str, _):
        return local if frame.f_code.co_filename.startswith(INCLUDE) else None

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)


def restart(data: Path, seconds: float = 0.0) -> None:
    """Stop a server at once, as a failover does, and start it again after a while."""
    postmaster = int((data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGQUIT)
    time.sleep(seconds)
    while psutil.pid_exists(postmaster):
        time.sleep(0.05)
    postgres.start(data)
