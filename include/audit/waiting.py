"""Waits until the outbox has something to do, without a worker and without blocking an event loop.

Light on purpose: this runs in Airflow's triggerer, where nobody needs pandas.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from include.store.errors import StoreUnavailableError
from include.store.listen import Listener

log = logging.getLogger(__name__)

CHANNEL: Final = "opt_out_sync_push"
"""Where the database tells that somebody changed: a hint, which is lost while nobody listens."""

LOOK_AGAIN: Final = 60.0
"""Seconds after which the outbox is looked at although nobody said anything."""

_DUE: Final = Path(__file__).parent / "queries" / "push_due.sql"
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0


async def wait_until_due(
    connect: Callable[[], Awaitable[Engine]], *, longest: float, look_again: float = LOOK_AGAIN
) -> bool:
    """Wait until somebody is due, at most so long; a database that restarts is waited for.

    Args:
        connect: names the store; asked again after a lost connection.
        longest: seconds.
        look_again: seconds after which the outbox is looked at although nobody said anything.

    Returns:
        Whether somebody is due; false: the time is over.
    """
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + longest, _FIRST_PAUSE
    while True:
        try:
            return await _listen(await connect(), end, look_again)
        except StoreUnavailableError as error:
            log.warning("Waiting for the database: %s", error)
        left = end - loop.time()
        if left <= 0:
            return False
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)


async def _listen(engine: Engine, end: float, look_again: float) -> bool:
    listener = await asyncio.to_thread(Listener, engine, CHANNEL)
    loop, statement = asyncio.get_running_loop(), _DUE.read_text(encoding="utf-8")
    try:
        while True:
            # Looked at after listening began: what was said before that is in the tables.
            due = await asyncio.to_thread(listener.scalar, statement)
            if due is not None and float(str(due)) <= 0:
                return True
            left = end - loop.time()
            if left <= 0:
                return False
            longest = look_again if due is None else min(look_again, float(str(due)))
            await _heard(listener, min(left, longest))
    finally:
        listener.close()


async def _heard(listener: Listener, seconds: float) -> None:
    """Wait until the connection has something to say, or so long."""
    loop, said = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(listener.fileno(), said.set)
    try:
        await asyncio.wait_for(said.wait(), seconds)
    except TimeoutError:
        return
    finally:
        loop.remove_reader(listener.fileno())
    await asyncio.to_thread(listener.heard)
