"""The services of docker-compose.yaml as processes of this machine: commands, environment, checks.

Each gets what its container has alone: a home in the place of /opt/airflow, a folder for temporary
files, a name, and ports. Volumes are shared folders. Nothing else is changed.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from local.demo.airflow_api import AirflowApi
from local.demo.credentials import Credentials
from local.demo.web import call
from local.salesforce_emulator.testing import free_ports
from local.supervisor import Supervisor
from tests.dags.places import Places
from tests.dags.running_airflow import RunningAirflow
from tests.object_store import BUCKET, ObjectStore

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())[
    "services"
]
VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::[?-]([^}]*))?\}")
IMAGE = "/opt/airflow"
STAGING = f"s3://opt_out_staging@{BUCKET}/nights"
WORKERS = ("worker-1", "worker-2")
STARTED = ("redis", "api-server", "scheduler", "dag-processor", "triggerer", *WORKERS)
NAME_OF_THE_MACHINE = "import os\n\n\ndef name():\n    return os.environ['HOSTNAME']\n"
PATIENCE = 300.0


def service_of(name: str) -> str:
    return "worker" if name in WORKERS else name


@dataclass
class Machine:
    home: Path
    variables: Mapping[str, str]  # of the file .env
    metadata: str
    more: Mapping[str, str]
    supervisor: Supervisor
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ("api-server", "redis", "health", "triggerer", *WORKERS)
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.url = f"http://127.0.0.1:{self.ports['api-server']}"
        self.airflow = RunningAirflow(AirflowApi(self.url), self.supervisor, {})

    # -- what a container has

    def place(self, name: str) -> Path:
        """The home of one service; made at the first call."""
        place = self.home / name
        if not place.exists():
            (place / "tmp").mkdir(parents=True)
            (place / "name_of_the_machine.py").write_text(NAME_OF_THE_MACHINE)
            for folder in ("dags", "plugins", "include"):  # what the image holds
                (place / folder).symlink_to(ROOT / folder)
            for volume in SERVICES[service_of(name)].get("volumes", []):
                source, target, *_ = volume.split(":")
                if target.startswith(f"{IMAGE}/") and source != "staging":
                    (self.home / "volumes" / source).mkdir(parents=True, exist_ok=True)
                    (place / source).symlink_to(self.home / "volumes" / source)
        return place

    def translated(self, text: str, name: str) -> str:
        """A text of the file as it is on this machine."""

        def value(found: re.Match[str]) -> str:
            return "$" if found[0] == "$$" else self.variables.get(found[1]) or found[2] or ""

        api = f"127.0.0.1:{self.ports['api-server']}"
        text = VARIABLE.sub(value, text).replace(IMAGE, str(self.place(name)))
        text = text.replace("@redis:6379", f"@127.0.0.1:{self.ports['redis']}")
        text = text.replace("localhost:8974", f"127.0.0.1:{self.ports['health']}")
        return text.replace("api-server:8080", api).replace("localhost:8080", api)

    def environment(self, name: str) -> dict[str, str]:
        service, place = SERVICES[service_of(name)], self.place(name)
        given = {k: self.translated(v, name) for k, v in service.get("environment", {}).items()}
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(place),
            "HOSTNAME": name,
            "TMPDIR": str(place / "tmp"),
            "AIRFLOW_HOME": str(place),
            "PYTHONPATH": str(place),
            **given,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.metadata,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.ports["api-server"]),
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "name_of_the_machine.name",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.ports["triggerer"]),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.ports.get(name, 0)),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["health"]),
            **self.more,
        }

    def command(self, name: str) -> list[str]:
        command = [self.translated(word, name) for word in SERVICES[service_of(name)]["command"]]
        if name in WORKERS:  # a container's name is the name of its host
            command += ["--celery-hostname", f"celery@{name}"]
        if name == "redis":
            command += ["--bind", "127.0.0.1", "--port", str(self.ports[name])]
            command += ["--dir", str(self.place(name))]
        return command

    # -- what Docker Compose does

    def initialise(self) -> None:
        """Run the init service to its end."""
        child = self.supervisor.start("init", self.command("init"), self.environment("init"))
        assert self.supervisor.finish(child, PATIENCE) == 0, child.log.read_text()[-4000:]

    def start(self, name: str) -> None:
        program, *arguments = self.command(name)
        path = self.environment(name)["PATH"]
        found = shutil.which(program, path=path)
        assert found, f"{program} is not installed: `.ci/run` does it for CI, see CONTRIBUTING.md"
        child = self.supervisor.start(name, [found, *arguments], self.environment(name))
        self.airflow.started[name] = (child, [])

    def is_healthy(self, name: str) -> bool:
        """Run the health check of a service, as an engine does it."""
        kind, *words = SERVICES[service_of(name)]["healthcheck"]["test"]
        if words[0] == "redis-cli":
            words[1:1] = ["-p", str(self.ports[name])]
        line = words[0] if kind == "CMD-SHELL" else shlex.join(words)
        command = ["sh", "-c", self.translated(line, name)]
        done = subprocess.run(
            command, env=self.environment(name), capture_output=True, check=False, timeout=60
        )
        return done.returncode == 0

    def log_in(self) -> None:
        """As docs/deploy.md says: with the password that the API server made."""
        passwords = json.loads((self.home / "volumes/auth/passwords.json").read_text())
        login = {"username": "admin", "password": passwords["admin"]}
        self.airflow.api._token = call("POST", f"{self.url}/auth/token", login)["access_token"]


def variables_of(places: Places, store: ObjectStore) -> dict[str, str]:
    """What a person writes into the file .env."""
    secrets = Credentials()
    return {
        "POSTGRES_PASSWORD": "unused",
        "REDIS_PASSWORD": "r3dis",
        "AIRFLOW_FERNET_KEY": secrets.fernet_key,
        "AIRFLOW_JWT_SECRET": secrets.jwt_secret,
        "AIRFLOW_API_SECRET_KEY": secrets.session_secret,
        "ENGAGEMENT_STORE_URL": places.store.set(drivername="postgresql").render_as_string(
            hide_password=False
        ),
        "SALESFORCE_CONNECTION": places.org.airflow_connection,
        "SALESFORCE_CA_BUNDLE": str(places.org.ca_bundle),
        "OPT_OUT_SYNC_STAGING": STAGING,
        "STAGING_CONNECTION": store.airflow_connection,
    }


@contextmanager
def running_machine(
    home: Path, places: Places, store: ObjectStore, more: Mapping[str, str]
) -> Iterator[Machine]:
    """Start everything, wait until every health check succeeds, and stop it all."""
    with Supervisor(home / "processes.json", home / "output", grace=5.0) as supervisor:
        variables = variables_of(places, store)
        machine = Machine(home, variables, places.metadata, more, supervisor)
        machine.initialise()
        for name in STARTED:
            machine.start(name)
        for name in STARTED:
            machine.airflow.wait_for(lambda name=name: machine.is_healthy(name), PATIENCE)
        machine.log_in()
        yield machine
