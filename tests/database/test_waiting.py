"""Waiting for the outbox, as the triggerer does it: one connection, and never in the loop's way."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from include.audit.waiting import wait_until_due
from include.store.database import connect, transaction
from tests.database.world import add_act, add_people

ROOT = Path(__file__).parents[2]


@pytest.fixture
def person(engine: Engine) -> int:
    with transaction(engine) as conn:
        return add_people(conn, 1)[0]


@pytest.fixture
def act(engine: Engine, person: int) -> Callable[[], None]:
    """Records an act of the person."""

    def add() -> None:
        with transaction(engine) as conn:
            add_act(conn, person)

    return add


def waiting(engine: Engine, **options: float) -> Awaitable[bool]:
    async def store() -> Engine:
        return engine

    return wait_until_due(store, **{"longest": 60, "look_again": 60, **options})


def timed(work: Awaitable[Any]) -> tuple[Any, float]:
    """What came of it, and after how many seconds."""

    async def run() -> Any:
        return await work

    begun = time.monotonic()
    return asyncio.run(run()), time.monotonic() - begun


def test_what_was_marked_before_it_waits_is_due_at_once(
    engine: Engine, act: Callable[[], None]
) -> None:
    act()
    is_due, seconds = timed(waiting(engine))
    assert (is_due, seconds < 10) == (True, True)


def test_an_act_ends_the_wait(engine: Engine, act: Callable[[], None]) -> None:
    async def scenario() -> bool:
        begun = asyncio.ensure_future(waiting(engine))
        await asyncio.sleep(1)
        assert not begun.done()
        await asyncio.to_thread(act)
        return await begun

    is_due, seconds = timed(scenario())
    assert (is_due, seconds < 20) == (True, True)


def test_a_notification_that_was_lost_is_made_up_for_by_looking(
    engine: Engine, person: int
) -> None:
    async def scenario() -> bool:
        begun = asyncio.ensure_future(waiting(engine, look_again=1))
        await asyncio.sleep(0.5)
        with transaction(engine) as conn:  # only the trigger on acts says anything
            statement = "INSERT INTO opt_out_sync.push_signal (person_id) VALUES (:p)"
            conn.execute(text(statement), {"p": person})
        return await begun

    is_due, seconds = timed(scenario())
    assert (is_due, seconds < 20) == (True, True)


def test_what_is_due_later_ends_the_wait_then(engine: Engine, person: int) -> None:
    with transaction(engine) as conn:
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.push_outbox "
                "(person_id, version, state, marked_at, next_attempt_at) "
                "VALUES (:p, 1, 'waiting', now(), now() + interval '2 seconds')"
            ),
            {"p": person},
        )
    is_due, seconds = timed(waiting(engine))
    assert is_due
    assert 1 < seconds < 20


def test_a_quiet_time_ends_the_wait_well(engine: Engine) -> None:
    is_due, seconds = timed(waiting(engine, longest=1))
    assert not is_due
    assert 1 <= seconds < 20


def test_a_database_that_does_not_answer_holds_up_nobody_else_in_the_loop(engine: Engine) -> None:
    """The triggerer runs hundreds of waits in one loop."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        port = silent.getsockname()[1]
        mute = connect(engine.url.set(host="127.0.0.1", port=port, query={}))

        async def scenario() -> int:
            begun, ticks = asyncio.ensure_future(waiting(mute)), 0
            end = asyncio.get_running_loop().time() + 2
            while asyncio.get_running_loop().time() < end:
                await asyncio.sleep(0.05)
                ticks += 1
            assert not begun.done()
            begun.cancel()
            silent.accept()[0].close()  # lets the thread end that tried to connect
            return ticks

        ticks, _ = timed(scenario())
    assert ticks > 2  # a loop that is held up gets no further than the first


def test_what_waits_needs_no_pandas() -> None:
    """Measured in a fresh interpreter, because other tests have imported everything."""
    code = "import sys, include.audit.waiting; print({'pandas', 'pyarrow'} & {*sys.modules})"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "set()"
