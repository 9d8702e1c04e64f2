"""Where the demo keeps its state and which ports it uses."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from local.demo import DemoError

ROOT = Path(__file__).parents[2]

PORTS = {"AIRFLOW_PORT": 8080, "EMULATOR_HTTP_PORT": 18080, "EMULATOR_TLS_PORT": 18443}


@dataclass(frozen=True, slots=True)
class Config:
    """Folders below one state folder, and three ports on 127.0.0.1."""

    state: Path
    airflow_port: int
    emulator_http_port: int
    emulator_tls_port: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the ports (`PORTS`) and the state folder (OPT_OUT_SYNC_DEMO_STATE, `.local`).

        Raises:
            DemoError: a port is no port, or two are the same.
        """
        state = Path(environment.get("OPT_OUT_SYNC_DEMO_STATE", ".local"))
        ports = [_port(environment, name) for name in PORTS]
        if len(set(ports)) < len(ports):
            raise DemoError(f"{', '.join(PORTS)} must be three different ports, not {ports}.")
        return cls((ROOT / state).resolve(), *ports)

    @property
    def ports(self) -> dict[str, int]:
        """The ports by the variable that changes them."""
        values = (self.airflow_port, self.emulator_http_port, self.emulator_tls_port)
        return dict(zip(PORTS, values, strict=True))

    @property
    def airflow_url(self) -> str:
        """Address of the Airflow page."""
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def emulator_url(self) -> str:
        """Address of the emulator without TLS: its control API."""
        return f"http://127.0.0.1:{self.emulator_http_port}"

    @property
    def airflow_home(self) -> Path:
        """Airflow's own folder: its logs and the file of its generated settings."""
        return self.state / "airflow"

    @property
    def emulator_database(self) -> Path:
        """The emulated org."""
        return self.state / "emulator" / "org.sqlite"

    @property
    def addresses(self) -> Path:
        """Where to reach the demo while it is up."""
        return self.state / "run" / "addresses.json"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.state / "logs"

    @property
    def postgres(self) -> Path:
        """The embedded server's data."""
        return self.state / "postgres"

    @property
    def record(self) -> Path:
        """What runs: read by the next start."""
        return self.state / "run" / "processes.json"

    @property
    def secrets(self) -> Path:
        """Generated secrets, for the owner only."""
        return self.state / "secrets.json"

    @property
    def staging(self) -> Path:
        """Where the sync's rows rest between tasks."""
        return self.state / "staging"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running demo is reached."""

    airflow: str
    emulator: str
    store: str


@contextmanager
def published(config: Config, store_url: str) -> Iterator[None]:
    """Let the commands of a second terminal find this demo while it is up."""
    addresses = Addresses(config.airflow_url, config.emulator_url, store_url)
    config.addresses.write_text(json.dumps(asdict(addresses)))
    try:
        yield
    finally:
        config.addresses.unlink(missing_ok=True)


def read_addresses(config: Config) -> Addresses:
    """Return where the running demo is reached.

    Raises:
        DemoError: none is up.
    """
    if not config.addresses.exists():
        raise DemoError("The demo is not up: start it with make demo, in another terminal.")
    return Addresses(**json.loads(config.addresses.read_text()))


def _port(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name) or str(PORTS[name])
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise DemoError(f"{name} must be a port from 1 to 65535, not {text!r}.")
