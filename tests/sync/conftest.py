"""A world in which nights run: a store of its own, one emulated org, the real client."""

import os
import shutil
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from upath import UPath

from include.migrations.upgrade import upgrade
from include.store.database import connect
from local import postgres
from local.salesforce_emulator.testing import RunningEmulator, Size, running_emulator
from tests.conftest import servers
from tests.sync.world import World


@pytest.fixture(scope="session")
def shared_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    with running_emulator(
        tmp_path_factory.mktemp("salesforce"), Size(contacts=60, leads=30)
    ) as org:
        org.snapshot()
        yield org


@pytest.fixture
def world(
    engine: Engine, shared_emulator: RunningEmulator, monkeypatch, tmp_path_factory
) -> Iterator[World]:
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", shared_emulator.airflow_connection)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(shared_emulator.own_ca))
    shared_emulator.reset()
    world = World(engine, shared_emulator, UPath(tmp_path_factory.mktemp("staging")))
    # one machine, one clock: what matters of two clocks is tested without waiting, in tests/unit
    world.choose(enabled=True, clock_skew_seconds=0)
    world.confirm_org()
    yield world
    shared_emulator.reset()


@pytest.fixture
def restartable(tmp_path, shared_emulator, monkeypatch):
    """A world whose database server is nobody else's."""
    home = servers() / str(os.getpid()) / "restarts"
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", shared_emulator.airflow_connection)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(shared_emulator.ca_bundle))
    shared_emulator.reset()
    server = postgres.start(home / "data")
    engine = connect(server.url())
    upgrade(engine)
    world = World(engine, shared_emulator, UPath(tmp_path / "staging"))
    world.choose(enabled=True, clock_skew_seconds=0)
    world.confirm_org()
    yield world, home / "data"
    engine.dispose()
    postgres.stop(home / "data")
    shutil.rmtree(home)
    shared_emulator.reset()
