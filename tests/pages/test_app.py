"""The application by itself, without an Airflow: what it says when something is wrong."""

import asyncio
from http import HTTPStatus

import httpx
import pytest
from sqlalchemy import text
from upath import UPath

from include.store.database import connect
from include.sync.clock import utc_now
from include.web.app import create_app
from include.web.guard import Visitor
from include.web.services import Schedule, Services

UNASKED = Schedule(None)
PAGES = ["/", "/settings", "/audit/nights", "/person", "/held", "/compliance"]


def asked(engine, path, schedule=UNASKED, **options):
    """Ask for one page as a reader does."""

    async def sign_in(_):
        return Visitor("Ada", has_ambient_login=False)

    app = create_app(
        Services(
            store=lambda: engine,
            salesforce=lambda: pytest.fail("a page that only reads must not ask Salesforce"),
            administration=lambda: pytest.fail("nor who may see its setup"),
            staging=lambda: UPath("/nonexistent"),
            schedule=lambda: schedule,
            notifiers=lambda: ["Airflow's log"],
            sign_in=sign_in,
            own_hosts=frozenset,
            clock=utc_now,
        )
    )

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pages") as client:
            return await client.get(path, **options)

    return asyncio.run(ask())


@pytest.mark.parametrize("path", PAGES)
def test_a_store_that_is_not_migrated_is_said_to_be_so(empty_engine, path):
    reply = asked(empty_engine, path)
    assert reply.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "run python -m include.cli migrate" in reply.text


@pytest.mark.parametrize("path", PAGES)
def test_a_store_that_is_down_is_said_to_be_so_without_its_password(path):
    engine = connect("postgresql://sync:hunter2@127.0.0.1:1/nothing")
    reply = asked(engine, path)
    assert reply.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "hunter2" not in reply.text


@pytest.mark.parametrize("path", PAGES)
def test_a_new_store_has_every_page(engine, path):
    reply = asked(engine, path)
    assert reply.status_code == HTTPStatus.OK
    assert "<h1>" in reply.text


@pytest.mark.parametrize(
    "path",
    [
        "/audit/passwords",
        "/audit/nights/file/exe",
        "/person/9999999999999999999999",
        "/person/-1",
        "/audit/decisions/12",
        "/static/../app.py",
        "/nothing",
    ],
)
def test_what_is_not_there_is_said_not_to_be_there(engine, path):
    assert asked(engine, path).status_code in {404, 422}


@pytest.mark.parametrize(
    "path",
    [
        "/?nights=1000000",
        "/compliance?from=x&to=9999-99-99",
        "/compliance?from=2026-02-01&to=2026-01-01&skip=99999999999",
        "/audit/decisions?skip=-5&sort=drop%20table&order=sideways",
        "/audit/nights?search=%00",
        "/audit/nights?night=%27;--",
    ],
)
def test_an_address_that_somebody_made_up_is_no_error_of_ours(engine, path):
    assert asked(engine, path).status_code in {200, 422}


def test_what_somebody_typed_is_shown_as_text(engine):
    reply = asked(engine, "/audit/nights?search=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in reply.text
    assert "&lt;script&gt;alert" in reply.text


def test_held_clears_lead_to_the_run_that_asks(engine):
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO opt_out_sync.held_clear (org_id, person_id, held_at, held_run_id) "
                "VALUES ('00D000000000001AAA', 7, now(), 1)"
            )
        )
    asking = Schedule(None, question="asset_triggered__2026-11-25T20:00:00+00:00")
    assert (
        'href="/dags/unsubscribe_held_clears/runs/'
        'asset_triggered__2026-11-25T20%3A00%3A00%2B00%3A00/tasks/ask/required_actions"'
    ) in asked(engine, "/held", asking).text
    assert 'href="/required_actions"' in asked(engine, "/held").text
