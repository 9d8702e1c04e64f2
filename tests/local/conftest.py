from pathlib import Path

import pytest

from local.salesforce_emulator.testing import free_ports


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables of a demo that shares nothing with any other."""
    airflow, http, tls = map(str, free_ports(3))
    return {
        "OPT_OUT_SYNC_DEMO_STATE": str(tmp_path / "my state"),
        "AIRFLOW_PORT": airflow,
        "EMULATOR_HTTP_PORT": http,
        "EMULATOR_TLS_PORT": tls,
    }
