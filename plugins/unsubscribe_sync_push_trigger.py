"""What waits for unsubscribes in the triggerer, where waiting costs no worker."""

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import unsubscribe_sync_connections as connections
from airflow.sdk import BaseHook
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

if TYPE_CHECKING:
    from sqlalchemy import Engine


class OutboxTrigger(BaseTrigger):
    """Ends its task as soon as somebody is due, or when the time is over: then it is a sweep.

    It ends the task itself instead of resuming it: Airflow 3.3.2 fails healthy tasks that resume
    within seconds of their deferral.

    Args:
        seconds: how long to wait.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what rests in Airflow's database: no address, no password."""
        return f"{__name__}.{type(self).__name__}", {"seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then end the task."""
        # in a thread: importing takes a while, and others wait in this event loop
        waiting = await asyncio.to_thread(import_module, "include.audit.waiting")
        is_due = await waiting.wait_until_due(_store, longest=self.seconds)
        self.log.info("Somebody is due" if is_due else "Nobody was due: sweeping")
        yield TaskSuccessEvent()


async def _store() -> "Engine":
    """Return an engine on the store, as its Connection is now."""
    from include.store.database import connect

    connection = await BaseHook.aget_connection(connections.STORE_CONNECTION)
    return connect(connection.get_uri())
