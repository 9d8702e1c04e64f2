"""Pages of a running Airflow, over a store of their own."""

import os
import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, make_url

from include.store.database import connect
from local.supervisor import STOPPING_SIGNALS
from tests.conftest import new_database
from tests.pages.airflow_server import FAB, SIMPLE, AirflowServer, airflow_server
from tests.pages.fab_people import ADDRESSES


@pytest.fixture(scope="session", params=[SIMPLE, FAB], ids=["simple", "fab"])
def server(request, server_url, empty_store, tmp_path_factory) -> Iterator[AirflowServer]:
    """An API server behind each auth manager; the second one has a resource for addresses."""
    more = {"OPT_OUT_SYNC_PAGES_ADDRESS_RESOURCE": ADDRESSES} if request.param == FAB else {}
    name = f"pages_{request.param[-12:].lower()}_{os.getpid()}"
    handlers = {number: signal.getsignal(number) for number in STOPPING_SIGNALS}
    try:
        with (
            new_database(server_url, name) as metadata,
            airflow_server(
                tmp_path_factory.mktemp("airflow"),
                request.param,
                metadata_url=metadata,
                store_url=empty_store,
                more=more,
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
