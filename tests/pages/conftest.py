"""Pages of a running Airflow, over a store of their own."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import Engine, make_url

from include.store.database import connect
from local.supervisor import STOPPING_SIGNALS
from tests.conftest import NUMBERS, new_database
from tests.pages.airflow_server import FAB, SIMPLE, AirflowServer, airflow_server
from tests.pages.browsing import Visit, start_chromium, visiting
from tests.pages.demo_world import Company, sample_company
from tests.pages.fab_people import ADDRESSES


@pytest.fixture(scope="session", params=[SIMPLE, FAB], ids=["simple", "fab"])
def server(request, server_url, empty_store, tmp_path_factory) -> Iterator[AirflowServer]:
    """An API server behind each auth manager; the second one has a resource for addresses."""
    more = {"OPT_OUT_SYNC_PAGES_ADDRESS_RESOURCE": ADDRESSES} if request.param == FAB else {}
    home = tmp_path_factory.mktemp("airflow")
    with started(server_url, home, request.param, empty_store, more) as running:
        yield running


@contextmanager
def started(server_url, home, manager, store_url, more) -> Iterator[AirflowServer]:
    """Start an API server with a metadata database of its own; signals stay as they are."""
    handlers = {number: signal.getsignal(number) for number in STOPPING_SIGNALS}
    name = f"pages_airflow_{os.getpid()}_{next(NUMBERS)}"
    try:
        with (
            new_database(server_url, name) as metadata,
            airflow_server(
                home, manager, metadata_url=metadata, store_url=store_url, more=more
            ) as running,
        ):
            yield running
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def empty_store(server_url, database_url) -> Iterator[str]:
    """A migrated store in which nothing has happened but one person."""
    name = f"pages_store_{os.getpid()}"
    with new_database(server_url, name, make_url(database_url).database) as url:
        yield url


@pytest.fixture
def store(empty_store) -> Iterator[Engine]:
    engine = connect(empty_store)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def company(server_url, database_url, tmp_path_factory) -> Iterator[Company]:
    """The demo's sample company after a night and a push."""
    name = f"pages_company_{os.getpid()}"
    with (
        new_database(server_url, name, make_url(database_url).database) as url,
        pytest.MonkeyPatch.context() as patch,
        sample_company(url, tmp_path_factory.mktemp("company"), patch) as loaded,
    ):
        yield loaded


@pytest.fixture(scope="session")
def pages(server_url, company, tmp_path_factory) -> Iterator[AirflowServer]:
    """An Airflow with people of every role, over the sample company."""
    home = tmp_path_factory.mktemp("airflow-of-the-company")
    with started(server_url, home, SIMPLE, company.store_url, company.environment) as running:
        yield running


@pytest.fixture(scope="module")  # as long as it runs, nothing else can run an event loop
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, pages) -> Iterator[Callable[..., Visit]]:
    """Opens a window of a person; closes it and looks for complaints."""
    with ExitStack() as windows:
        yield lambda who, **options: windows.enter_context(
            visiting(chromium, pages, who, **options)
        )
