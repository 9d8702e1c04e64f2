"""What a running Airflow works on: databases, an org, a folder, and the environment with them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from sqlalchemy import URL, make_url
from upath import UPath

from include.store.database import connect
from local.demo.airflow_env import airflow_environment
from local.demo.config import Config
from local.demo.credentials import Credentials
from local.salesforce_emulator.testing import RunningEmulator, Size, free_ports, running_emulator
from tests.conftest import new_database
from tests.sync.world import World


@dataclass(frozen=True)
class Places:
    config: Config
    org: RunningEmulator
    metadata: str
    store: URL
    environment: Mapping[str, str]


@contextmanager
def new_places(
    server_url: str, home: Path, name: str, more: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Places]:
    """Make everything but the store, which each test makes anew."""
    config = Config(home, *free_ports(3))
    store = make_url(server_url).set(database=f"{name}_store_{os.getpid()}")
    with (
        new_database(server_url, f"{name}_meta_{os.getpid()}") as metadata,
        running_emulator(home / "org", Size(contacts=40, leads=10)) as org,
        pytest.MonkeyPatch.context() as patch,
    ):
        salesforce = {
            "AIRFLOW_CONN_SALESFORCE": org.airflow_connection,
            "REQUESTS_CA_BUNDLE": str(org.ca_bundle),
        }
        for variable, value in {"AIRFLOW_HOME": str(home / "in-process"), **salesforce}.items():
            patch.setenv(variable, value)
        store_url = store.render_as_string(hide_password=False)
        environment = airflow_environment(
            config, Credentials(), metadata_url=metadata, store_url=store_url
        )
        config.staging.mkdir()
        yield Places(config, org, metadata, store, {**environment, **salesforce, **more})


@contextmanager
def new_world(places: Places, server_url: str, template_url: str) -> Iterator[World]:
    """Make a store and an org of one test alone, which the running Airflow works on."""
    places.org.reset()
    name, template = str(places.store.database), make_url(template_url).database
    with new_database(server_url, name, template) as url:
        engine = connect(url)
        world = World(engine, places.org, UPath(places.config.staging))
        world.choose(clock_skew_seconds=0)
        world.confirm_org()
        yield world
        engine.dispose()
