"""What the pages need from outside, and what they know of Airflow."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Engine
from starlette.requests import Request
from upath import UPath

from include.salesforce.administration import SalesforceAdministration
from include.salesforce.client import SalesforceClient
from include.sync.clock import Clock
from include.web.guard import SignIn


@dataclass(frozen=True, slots=True)
class Schedule:
    """What Airflow says of our DAGs.

    Attributes:
        next_night: when the next one starts; None while the DAG is switched off or unknown.
        paused: DAGs that are switched off in Airflow.
        missing: DAGs that Airflow has not read.
        question: the run that asks about held clears and waits for an answer; None: none does.
    """

    next_night: datetime | None
    paused: Collection[str] = ()
    missing: Collection[str] = ()
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """The outside world of the pages. Each function connects when it is called, not before.

    Attributes:
        store: the database.
        salesforce: a client that logs in when it is first used.
        administration: Salesforce as somebody who may see its setup; asked by preflight alone.
        staging: where nights keep what they read.
        schedule: asks Airflow.
        notifiers: names the channels that alerts go to.
        sign_in: names the visitor of a request.
        own_hosts: `host[:port]` at which people reach the pages.
        clock: tells the time.
    """

    store: Callable[[], Engine]
    salesforce: Callable[[], SalesforceClient]
    administration: Callable[[], SalesforceAdministration]
    staging: Callable[[], UPath]
    schedule: Callable[[], Schedule]
    notifiers: Callable[[], Collection[str]]
    sign_in: SignIn
    own_hosts: Callable[[], Collection[str]]
    clock: Clock


def services_of(request: Request) -> Services:
    """Return the outside world of the application that serves a request."""
    return cast("Services", request.app.state.services)
