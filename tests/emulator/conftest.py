"""A running emulator, shared by the tests of this folder and restored after each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from local.salesforce_emulator.testing import RunningEmulator, running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shared_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    with running_emulator(tmp_path_factory.mktemp("salesforce")) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator: RunningEmulator) -> Iterator[RunningEmulator]:
    yield shared_emulator
    shared_emulator.restore()


class Api:
    """A logged-in session which speaks raw HTTP."""

    def __init__(self, emulator: RunningEmulator) -> None:
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {emulator.log_in()}"
        self.root = emulator.data_url

    def call(self, method: str, path: str, **options: object) -> requests.Response:
        return self.session.request(method, f"{self.root}/{path}", timeout=30, **options)

    def get(self, path: str, **options: object) -> requests.Response:
        return self.call("GET", path, **options)

    def query(self, soql: str, **options: object) -> requests.Response:
        return self.get("query", params={"q": soql}, **options)


@pytest.fixture
def api(emulator: RunningEmulator) -> Iterator[Api]:
    api = Api(emulator)
    with api.session:
        yield api
