"""An API server of Airflow with people of every role, and nothing else: pages need no scheduler."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from local.demo.airflow_env import airflow_environment
from local.demo.config import Config
from local.demo.credentials import Credentials
from local.salesforce_emulator.testing import free_ports
from local.supervisor import Supervisor

SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
PREFIX = "/opt-out-sync"
PASSWORD = "correct horse"  # of people who exist for a minute on this machine
ROLES = {
    SIMPLE: {"viewer": "viewer", "user": "user", "op": "op", "admin": "admin"},
    FAB: {
        "viewer": "Viewer",
        "user": "User",
        "op": "Op",
        "admin": "Admin",
        "public": "Public",
        "support": "Support",
    },
}
"""Role of each person, by auth manager."""
PATIENCE = 240.0


@dataclass
class AirflowServer:
    """Asks for pages in the name of somebody."""

    url: str
    manager: str
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, who: str) -> str:
        if who not in self.tokens:
            body = {"username": who, "password": PASSWORD}
            reply = requests.post(f"{self.url}/auth/token", json=body, timeout=60)
            assert reply.status_code == 201, reply.text
            self.tokens[who] = reply.json()["access_token"]
        return self.tokens[who]

    def ask(self, path, who=None, method="GET", *, cookie=True, headers=None, **options):
        """Ask as a browser does, whose cookie is the login; or as a program, with a bearer."""
        sent = dict(headers or {})
        cookies = {}
        if who:
            if cookie:
                cookies = {"_token": self.token(who)}
            else:
                sent["Authorization"] = f"Bearer {self.token(who)}"
        return requests.request(
            method,
            f"{self.url}{PREFIX}{path}",
            headers=sent,
            cookies=cookies,
            allow_redirects=False,
            timeout=120,
            **options,
        )

    def post(self, path, who=None, data=None, *, origin="same", **options):
        """Send a form, from our own page unless it is said otherwise."""
        origins = {"same": {"Origin": self.url}, None: {}}
        headers = origins.get(origin, {"Origin": origin}) | options.pop("headers", {})
        return self.ask(path, who, "POST", headers=headers, data=data or {}, **options)


@contextmanager
def airflow_server(
    home: Path,
    manager: str,
    *,
    metadata_url: str,
    store_url: str,
    more: Mapping[str, str] | None = None,
) -> Iterator[AirflowServer]:
    """Start an API server over an empty metadata database; stop it at the end."""
    config = Config(home, *free_ports(3))
    environment = _environment(config, manager, metadata_url, store_url) | dict(more or {})
    server = AirflowServer(config.airflow_url, manager)
    with Supervisor(home / "processes.json", home / "logs", grace=5.0) as supervisor:
        _finish(supervisor, environment, "migrate", "airflow", "db", "migrate")
        if manager == FAB:
            people = json.dumps(ROLES[FAB])
            _finish(supervisor, environment, "people", "tests.pages.fab_people", people, PASSWORD)
        child = supervisor.start(
            "api-server", [sys.executable, "-m", "airflow", "api-server"], environment
        )
        deadline = time.monotonic() + PATIENCE
        while not _is_up(server.url):
            assert time.monotonic() < deadline, child.log.read_text()[-4000:]
            assert supervisor.wait_until(lambda: True, 1)
            time.sleep(0.5)
        yield server


def _environment(config, manager, metadata_url, store_url):
    config.staging.mkdir(parents=True)
    config.airflow_home.mkdir(parents=True)
    passwords = config.state / "passwords.json"
    passwords.write_text(json.dumps(dict.fromkeys(ROLES[SIMPLE], PASSWORD)))
    people = ",".join(f"{name}:{role}" for name, role in ROLES[SIMPLE].items())
    return airflow_environment(
        config, Credentials(), metadata_url=metadata_url, store_url=store_url
    ) | {
        "AIRFLOW__CORE__AUTH_MANAGER": manager,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": people,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }


def _finish(supervisor, environment, name, *module):
    child = supervisor.start(name, [sys.executable, "-m", *module], environment)
    assert supervisor.finish(child, PATIENCE) == 0, child.log.read_text()[-4000:]


def _is_up(url):
    try:
        return requests.get(f"{url}/api/v2/monitor/health", timeout=10).ok
    except requests.ConnectionError:
        return False
