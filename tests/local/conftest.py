import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Importing Airflow writes its configuration: not into the home of whoever runs the tests."""
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))


@pytest.fixture
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture
def environment(tmp_path: Path, free_port: Callable[[], int]) -> dict[str, str]:
    """Variables of a demo that shares nothing with any other."""
    return {
        "OPT_OUT_SYNC_DEMO_STATE": str(tmp_path / "my state"),
        "AIRFLOW_PORT": str(free_port()),
        "EMULATOR_HTTP_PORT": str(free_port()),
        "EMULATOR_TLS_PORT": str(free_port()),
    }
