"""A client logged in to the emulator as production logs in: SalesforceHook, TLS, one Connection."""

from collections.abc import Callable, Iterator
from typing import cast

import pytest
import requests
from simple_salesforce.api import Salesforce

from include.salesforce.bulk_jobs import Polling
from include.salesforce.client import SalesforceClient
from include.salesforce.session import Backoff, SalesforceSession
from include.salesforce.transport import Timeouts
from local.salesforce_emulator.testing import RunningEmulator, Size, running_emulator
from tests.salesforce.scripted import ListJournal

QUICK = Backoff(attempts=4, first=0.01, longest=0.05)


@pytest.fixture(scope="session")
def shared_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    with running_emulator(
        tmp_path_factory.mktemp("salesforce"), Size(contacts=500, leads=60)
    ) as emulator:
        yield emulator


@pytest.fixture
def emulator(
    shared_emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningEmulator]:
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", shared_emulator.airflow_connection)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(shared_emulator.own_ca))
    shared_emulator.reset_requests()
    yield shared_emulator
    shared_emulator.reset()


@pytest.fixture(scope="session")
def log_in() -> Callable[[requests.Session], Salesforce]:
    """The login of production: nothing but the Connection `salesforce`."""
    from airflow.providers.salesforce.hooks.salesforce import SalesforceHook

    return lambda http: cast("Salesforce", SalesforceHook("salesforce", session=http).get_conn())


@pytest.fixture
def session(
    emulator: RunningEmulator, log_in: Callable[[requests.Session], Salesforce]
) -> SalesforceSession:
    return SalesforceSession(log_in, timeouts=Timeouts(connect=5, read=20), backoff=QUICK)


@pytest.fixture
def client(session: SalesforceSession) -> SalesforceClient:
    return SalesforceClient(session, polling=Polling(first=0.02, longest=0.2, deadline=30))


@pytest.fixture
def journal() -> ListJournal:
    return ListJournal()
