"""A night that stops at a chosen boundary: just before, or just after, anything leaves its process.

Boundaries are found where they are, not planted: every commit, and every request to Salesforce.
The night to be killed runs in a process of its own, forked from a server that has imported
everything, so that a kill costs little.
"""

import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from requests.adapters import HTTPAdapter
from sqlalchemy import Engine, event
from upath import UPath

from include.audit.runs import find
from include.domain.values import SalesforceObject
from include.salesforce.bulk_jobs import Polling
from include.salesforce.client import SalesforceClient
from include.salesforce.session import Backoff, SalesforceSession
from include.store.database import Limits, connect
from include.sync import nightly
from include.sync.clock import utc_now
from include.sync.nightly.inputs import shards_of
from include.sync.preflight import Trigger, preflight

SHARD_ROWS = 700  # so that a night is cut

At = Callable[[str], None]
OF_ONE_RECORD = re.compile(r"/(003|00Q|001|750)[0-9A-Za-z]{12,15}")


@dataclass(frozen=True)
class Place:
    """Where a night runs: what a process has to know of it."""

    database_url: str
    staging: str
    airflow_run_id: str


def watched_engine(database_url: str, at: At) -> Engine:
    # who is put to sleep holds nobody up for long
    engine = connect(database_url, limits=Limits(idle=1))
    state = {"committed": False}

    @event.listens_for(engine, "commit")
    def before(connection: Any) -> None:
        state["committed"] = True
        at("before commit")

    @event.listens_for(engine, "checkin")
    def after(connection: Any, record: Any) -> None:
        if state.pop("committed", False):
            at("after commit")

    return engine


class WatchedWire(HTTPAdapter):
    def __init__(self, at: At) -> None:
        super().__init__()
        self._at = at

    def send(self, request, **options):  # type: ignore[no-untyped-def]
        path = OF_ONE_RECORD.sub("/ID", request.path_url.split("?")[0])
        name = f"{request.method} {path.rpartition('/v65.0/')[2]}"
        self._at(f"before {name}")
        answer = super().send(request, **options)
        self._at(f"after {name}")
        return answer


def watched_client(at: At) -> SalesforceClient:
    from airflow.providers.salesforce.hooks.salesforce import SalesforceHook

    def log_in(http):  # type: ignore[no-untyped-def]
        logged_in = SalesforceHook("salesforce", session=http).get_conn()
        http.mount("https://", WatchedWire(at))  # a login changes nothing anywhere
        return logged_in

    quick = Backoff(attempts=3, first=0.01, longest=0.02)
    return SalesforceClient(
        SalesforceSession(log_in, backoff=quick),
        polling=Polling(first=0.02, longest=0.1, deadline=30),
    )


class Night:
    """One night, task by task, as Airflow runs it: each task with a session of its own."""

    def __init__(self, place: Place, at: At) -> None:
        self._place, self._at = place, at
        self._engine = watched_engine(place.database_url, at)
        self.sync_run_id: int | None = None

    def tasks(self) -> dict[str, Callable[[], object]]:
        engine, staging = self._engine, UPath(self._place.staging)
        client = watched_client

        def of_run(function, *arguments):  # type: ignore[no-untyped-def]
            return lambda: function(*arguments, self.sync_run_id, clock=utc_now)

        def extract(obj):  # type: ignore[no-untyped-def]
            return lambda: nightly.extract_records(
                engine, client(self._at), staging, self.sync_run_id, obj, clock=utc_now
            )

        def with_client(function, *rest):  # type: ignore[no-untyped-def]
            return lambda: function(
                engine, client(self._at), *rest, self.sync_run_id, clock=utc_now
            )

        return {
            "preflight": self._preflight,
            "extract.store": of_run(nightly.extract_store, engine, staging),
            "extract.contact": extract(SalesforceObject.CONTACT),
            "extract.lead": extract(SalesforceObject.LEAD),
            "split": lambda: nightly.split(
                engine, staging, self.sync_run_id, shard_rows=SHARD_ROWS, clock=utc_now
            ),
            "decide": lambda: self._decide(engine, staging),
            "merge": of_run(nightly.merge, engine, staging),
            "load.store": of_run(nightly.load_store, engine, staging),
            "load.salesforce": with_client(nightly.load_salesforce),
            "load.clears": with_client(nightly.load_clears, staging),
            "verify": with_client(nightly.verify),
            "close": of_run(nightly.close, engine, staging),
        }

    def _decide(self, engine: Engine, staging: UPath) -> None:
        run = find(engine, self.sync_run_id)
        for shard in range(shards_of(engine, run)):
            client = watched_client(self._at)
            nightly.decide(engine, client, staging, run.id, shard, clock=utc_now)

    def _preflight(self) -> None:
        trigger = Trigger(self._place.airflow_run_id, None, plan_only=False)
        self.sync_run_id = preflight(
            self._engine,
            watched_client(self._at),
            trigger,
            clock=utc_now,
            announce=lambda run_id: None,
        )

    def dispose(self) -> None:
        self._engine.dispose()


def run_until_killed(
    place: Place, environment: dict[str, str], task: str, kill_at: int, progress: str
) -> None:
    """Run in a process of its own: die at boundary number `kill_at` of a task.

    Boundaries of the task are appended to `progress`, one a line, each before it can kill.
    """
    os.environ.update(environment)
    state = {"task": "", "number": -1}

    def at(label: str) -> None:
        if state["task"] != task:
            return
        state["number"] += 1
        with Path(progress).open("a") as file:
            file.write(label + "\n")
        if state["number"] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    night = Night(place, at)
    for name, run in night.tasks().items():
        state["task"] = name
        run()
        if name == task:
            with Path(progress).open("a") as file:
                file.write("end\n")
            os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(*arguments: object) -> int:
    """Run `run_until_killed` and return how it ended (-9: killed)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["tests.sync.killing", "airflow.providers.salesforce.hooks.salesforce"]
    )
    process = context.Process(target=run_until_killed, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode
