"""The pages in Airflow's menu: who is signed in, what they may do, and what Airflow knows.

Rights follow Airflow's own (docs/pages.md): whoever may see the nightly DAG may read, whoever may
change it may edit, and whoever may see the Connection to the store may see addresses.
"""

from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import unsubscribe_sync_alerts as alerts
import unsubscribe_sync_connections as connections
from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from include.salesforce.administration import SalesforceAdministration
    from include.web.guard import Visitor
    from include.web.services import Schedule

PREFIX: Final = "/opt-out-sync"
NIGHTLY: Final = "unsubscribe_nightly_sync"
ADMIN_CONNECTION: Final = "salesforce_admin"
HELD: Final = "unsubscribe_held_clears"
DAG_IDS: Final = (NIGHTLY, "unsubscribe_push", HELD)


async def sign_in(request: "Request") -> "Visitor":
    """Name the Airflow user of a request, and what they may do.

    Raises:
        NoEntryError: nobody is signed in, or they may not see the nightly DAG.
    """
    # Inside the function: schedulers and workers load every plugin, and serve no pages.
    from http import HTTPStatus

    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import HTTPException
    from fastapi.security import HTTPAuthorizationCredentials
    from starlette.concurrency import run_in_threadpool

    from include.web.guard import NoEntryError

    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = HTTPAuthorizationCredentials(scheme=scheme, credentials=token) if token else None
    try:
        user = await get_user(request, None, bearer)
    except HTTPException as error:
        status = HTTPStatus(error.status_code)
        raise NoEntryError(status, f"Sign in to Airflow first ({error.detail}).") from None
    is_bearer = bearer is not None and scheme.lower() == "bearer"
    return await run_in_threadpool(_visitor, user, is_ambient=not is_bearer)


def _visitor(user: "BaseUser", *, is_ambient: bool) -> "Visitor":
    from http import HTTPStatus

    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails

    from include.web.guard import NoEntryError, Right, Visitor

    manager, dag = get_auth_manager(), DagDetails(id=NIGHTLY)
    if not manager.is_authorized_dag(method="GET", details=dag, user=user):
        raise NoEntryError(HTTPStatus.FORBIDDEN, f"Your role may not see the DAG {NIGHTLY}.")
    rights: set[Right] = set()
    if manager.is_authorized_dag(method="PUT", details=dag, user=user):
        rights.add(Right.EDIT)
    if _may_see_addresses(user):
        rights.add(Right.SEE_ADDRESSES)
    return Visitor(user.get_name(), frozenset(rights), has_ambient_login=is_ambient)


def _may_see_addresses(user: "BaseUser") -> bool:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails

    from include.deployment import Pages

    manager, resource = get_auth_manager(), Pages.from_environment().address_resource
    if resource:
        return manager.is_authorized_custom_view(method="GET", resource_name=resource, user=user)
    store = ConnectionDetails(conn_id=connections.STORE_CONNECTION)
    return manager.is_authorized_connection(method="GET", details=store, user=user)


def schedule() -> "Schedule":
    """Tell when the next night is due, which of our DAGs are switched off, and what is asked."""
    from airflow.models.dag import DagModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from include.web.services import Schedule

    columns = (DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after)
    with create_session() as session:
        found = {
            row.dag_id: row
            for row in session.execute(select(*columns).where(DagModel.dag_id.in_(DAG_IDS)))
        }
        question = session.scalar(
            select(TaskInstance.run_id)
            .where(TaskInstance.dag_id == HELD, TaskInstance.state == "awaiting_input")
            .order_by(TaskInstance.start_date)
            .limit(1)
        )
    night = found.get(NIGHTLY)
    return Schedule(
        next_night=night.next_dagrun_create_after if night and not night.is_paused else None,
        paused=tuple(dag_id for dag_id in DAG_IDS if dag_id in found and found[dag_id].is_paused),
        missing=tuple(dag_id for dag_id in DAG_IDS if dag_id not in found),
        question=question,
    )


def administration() -> "SalesforceAdministration":
    """Return Salesforce as an administrator, where a Connection names one."""
    try:
        BaseHook.get_connection(ADMIN_CONNECTION)
    except AirflowNotFoundException:  # the integration user may see the setup, or is refused
        return connections.salesforce_administration(connections.SALESFORCE_CONNECTION)
    return connections.salesforce_administration(ADMIN_CONNECTION)


def notifiers() -> list[str]:
    """Name the channels that alerts go to, without their addresses."""
    from include.sync.alerts import EmailChannel, WebhookChannel

    names = {EmailChannel: "email", WebhookChannel: "a webhook"}
    return [names.get(type(each), "Airflow's log") for each in alerts.channels()]


@cache
def pages() -> "ASGIApp":
    """Build the application; each process of the API server does so when it is first asked."""
    from include.store.clock import clock_of
    from include.web.app import create_app
    from include.web.services import Services

    store = cache(connections.store_for_pages)
    return create_app(
        Services(
            store=store,
            salesforce=connections.salesforce,
            administration=administration,
            staging=connections.staging,
            schedule=schedule,
            notifiers=notifiers,
            sign_in=sign_in,
            own_hosts=own_hosts,
            clock=lambda: clock_of(store())(),  # as everything that is dated in the store
        )
    )


def own_hosts() -> frozenset[str]:
    """Return the host that people reach Airflow at; a proxy may tell us another one."""
    host = urlsplit(conf.get("api", "base_url", fallback="")).netloc
    return frozenset(filter(None, [host]))


async def serve(scope: "Scope", receive: "Receive", send: "Send") -> None:
    """Serve the pages: built when first needed, as every component loads every plugin."""
    await pages()(scope, receive, send)


# Airflow may be reached below a path, which its own links know and the frame of a plugin does not.
BASE: Final = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class UnsubscribeSyncPages(AirflowPlugin):
    """Adds the pages to Airflow's API server and to its menu."""

    name = "unsubscribe_sync_pages"
    fastapi_apps = [{"app": serve, "url_prefix": PREFIX, "name": "Opt-out sync"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012 - Airflow removes from these lists
        {
            "name": "Opt-outs",
            "href": f"{BASE}{PREFIX}/",
            "destination": "nav",
            "url_route": "opt-out-sync",
            "nav_top_level": True,
            "icon": f"{BASE}{PREFIX}/static/icon.svg",
            "icon_dark_mode": f"{BASE}{PREFIX}/static/icon-dark.svg",
        }
    ]
