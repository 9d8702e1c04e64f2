"""A running emulator, shared by the tests of this folder and restored after each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from simple_salesforce import Salesforce

from local.salesforce_emulator.testing import Api, RunningEmulator, running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shared_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    with running_emulator(tmp_path_factory.mktemp("salesforce")) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator: RunningEmulator) -> Iterator[RunningEmulator]:
    yield shared_emulator
    shared_emulator.reset()


@pytest.fixture
def api(emulator: RunningEmulator) -> Iterator[Api]:
    api = Api(emulator)
    with api.session:
        yield api


@pytest.fixture
def salesforce(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> Salesforce:
    """An unmodified client, over TLS with the private authority."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(emulator.ca_bundle))
    return Salesforce(
        consumer_key=emulator.client_id,
        consumer_secret=emulator.client_secret,
        domain=emulator.login_domain,
        version=emulator.api_version,
    )
