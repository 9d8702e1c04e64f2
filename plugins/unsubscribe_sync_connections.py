"""From Airflow Connections to what `include` works with: the only place that knows both.

Connections: `engagement_store` (PostgreSQL that holds the store and the sync's own tables),
`salesforce` (OAuth client credentials or JWT), and the one that the staging location may name
(`s3://opt_out_staging@bucket/prefix`). Deployment constants are `OPT_OUT_SYNC_*` environment
variables. Everything is read inside a task, never at import.
"""

from functools import partial
from typing import TYPE_CHECKING, cast

from airflow.sdk import BaseHook, ObjectStoragePath

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import requests
    from simple_salesforce.api import Salesforce
    from sqlalchemy import Engine
    from upath import UPath

    from include.salesforce.administration import SalesforceAdministration
    from include.salesforce.client import SalesforceClient

STORE_CONNECTION = "engagement_store"
SALESFORCE_CONNECTION = "salesforce"


def store() -> "Engine":
    """Return an engine on the database of the Connection `engagement_store`."""
    from include.store.database import connect

    return connect(BaseHook.get_connection(STORE_CONNECTION).get_uri())


def store_for_pages() -> "Engine":
    """Return the same for people who wait for a page: shorter limits, more connections."""
    from include.store.database import PAGE, connect

    return connect(BaseHook.get_connection(STORE_CONNECTION).get_uri(), limits=PAGE)


def clock() -> "Callable[[], datetime]":
    """Return the clock of the database of `engagement_store`, whatever this worker's says."""
    from include.store.clock import clock_of

    engine = store()
    try:
        return clock_of(engine)
    finally:
        engine.dispose()


def salesforce() -> "SalesforceClient":
    """Return a client that logs in through the provider's hook when it is first used."""
    from include.salesforce.client import SalesforceClient
    from include.salesforce.session import SalesforceSession

    return SalesforceClient(SalesforceSession(_login))


def salesforce_administration(connection: str) -> "SalesforceAdministration":
    """Return what changes the org, as the user of the named Connection.

    It may be another one than the integration user, who needs none of these permissions.
    """
    from include.salesforce.administration import SalesforceAdministration
    from include.salesforce.session import SalesforceSession

    return SalesforceAdministration(SalesforceSession(partial(_login, connection=connection)))


def salesforce_for_pushes() -> "SalesforceClient":
    """Return a client that gives up early: a push waits in the outbox, not in a request."""
    from include.salesforce.client import SalesforceClient
    from include.salesforce.repetition import Backoff
    from include.salesforce.session import SalesforceSession
    from include.salesforce.transport import Timeouts

    session = SalesforceSession(
        _login,
        timeouts=Timeouts(connect=5.0, read=30.0),
        backoff=Backoff(attempts=2, first=0.5, longest=5.0),
    )
    return SalesforceClient(session)


def staging() -> "UPath":
    """Return the folder where rows rest between tasks (`OPT_OUT_SYNC_STAGING`)."""
    from include.deployment import Deployment

    return cast("UPath", ObjectStoragePath(Deployment.from_environment().staging))


def _login(session: "requests.Session", *, connection: str = SALESFORCE_CONNECTION) -> "Salesforce":
    from airflow.providers.salesforce.hooks.salesforce import SalesforceHook

    hook = SalesforceHook(salesforce_conn_id=connection, session=session)
    # simple-salesforce ignores the Connection's proxies when it is given a session
    session.proxies.update(hook.get_connection(connection).extra_dejson.get("proxies") or {})
    return hook.get_conn()
