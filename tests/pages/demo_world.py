"""The demo's sample company after its first night, without its scheduler: pages only read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from include.store.database import connect
from include.sync.clock import utc_now
from local.demo.emulator import Emulator
from local.demo.load import SEED, load
from local.salesforce_emulator.testing import RunningEmulator, Size, running_emulator
from local.sample_data import CONTACTS, LEADS
from tests.sync.pushing import pushed
from tests.sync.world import World


@dataclass(frozen=True)
class Company:
    """Where the sample company is, and its two sides."""

    store_url: str
    org: RunningEmulator
    world: World

    @property
    def environment(self) -> dict[str, str]:
        """What an Airflow needs to find both."""
        return {
            "AIRFLOW_CONN_SALESFORCE": self.org.airflow_connection,
            "REQUESTS_CA_BUNDLE": str(self.org.ca_bundle),
            "OPT_OUT_SYNC_STAGING": f"file://{self.world.staging}",
        }


@contextmanager
def sample_company(store_url: str, home: Path, patch) -> Iterator[Company]:
    """Load the company into an empty, migrated store; let a night, pushes and a red night run."""
    engine = connect(store_url)
    with running_emulator(home / "org", Size(CONTACTS, LEADS, SEED)) as org:
        patch.setenv("AIRFLOW_CONN_SALESFORCE", org.airflow_connection)
        patch.setenv("REQUESTS_CA_BUNDLE", str(org.own_ca))
        load(store_url, Emulator(org.http_url), now=utc_now())
        staging = home / "staging"
        staging.mkdir()
        world = World(engine, org, UPath(staging))
        world.choose(enabled=True)
        world.confirm_org()
        world.night()
        for person in world.sql(TO_PUSH):
            world.unsubscribe(person.id, at=utc_now())
        pushed(world)
        yield Company(store_url, org, world)
    engine.dispose()


TO_PUSH = """
SELECT p.id FROM engagement.person_opt_out AS o JOIN engagement.person AS p ON p.id = o.person_id
JOIN opt_out_sync.link AS l ON l.person_id = p.id AND l.base IS FALSE AND l.state = 'active'
WHERE NOT o.is_opted_out ORDER BY p.id LIMIT 3
"""
