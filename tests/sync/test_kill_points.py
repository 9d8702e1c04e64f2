"""Kill a night at every boundary, retry the task as Airflow does: the end is always the same."""

import os
from collections import Counter
from itertools import count

import pytest
from sqlalchemy import text
from upath import UPath

from include.domain.values import SalesforceObject
from include.sync.clock import utc_now
from include.sync.report import report
from local.salesforce_emulator.testing import Api, Size, running_emulator
from tests.sync.killing import Night, Place, in_a_process
from tests.sync.world import World

CONTACT, LEAD = SalesforceObject
TASKS = (
    "preflight", "extract.store", "extract.contact", "extract.lead", "split", "decide",
    "merge", "load.store", "load.salesforce", "load.clears", "verify", "close",
)  # fmt: skip
NUMBERS = count()
EVERY = int(os.environ.get("OPT_OUT_SYNC_KILL_EVERY", "4"))
"""Each kill costs seconds: CI's long profile kills before every effect, the short before some."""
EFFECTS = {
    "before commit",
    "before POST jobs/query",
    "before POST jobs/ingest",
    "before PUT jobs/ingest/ID/batches",
    "before PATCH jobs/ingest/ID",
    "before PATCH composite/sobjects",
    "before PATCH sobjects/Contact/ID",
}
WAYS = {
    "collections": "PATCH /services/data/v{version}/composite/sobjects",
    "clears": "PATCH /services/data/v{version}/sobjects/",
}


@pytest.fixture(scope="module")
def big_org(tmp_path_factory):
    size = Size(contacts=1_500, leads=400)
    with running_emulator(tmp_path_factory.mktemp("killed-org"), size) as org:
        yield org


@pytest.fixture
def world(engine, big_org, monkeypatch, tmp_path_factory):
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", big_org.airflow_connection)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(big_org.ca_bundle))
    big_org.reset()
    world = World(engine, big_org, UPath(tmp_path_factory.mktemp("staging")))
    world.choose(
        enabled=True, clock_skew_seconds=0, bulk_threshold=1, held_clears_minimum=1_000,
        alert_drop_fraction=1, alert_writes_minimum=10_000,
    )  # fmt: skip
    world.confirm_org()
    return world


class Work:
    """Something for every step: a bulk job, a collection, an act, a clear."""

    def __init__(self, world):
        self.cleared = world.pair(True, True)
        self.by_job = [world.pair(True, False) for _ in range(3)]
        self.by_collection = world.pair(True, False, LEAD)
        self.to_store = world.pair(False, True)
        world.consent(self.cleared[0])
        self.people = [
            person for person, _ in [self.cleared, *self.by_job, self.by_collection, self.to_store]
        ]

    def is_done_once(self, world):
        """Everything that an unkilled night does, and each thing exactly once."""
        assert world.agreed(*self.cleared) is False
        for pair in [*self.by_job, self.by_collection, self.to_store]:
            assert world.agreed(*pair) is True
        assert [world.base(person) for person in self.people] == [False, *[True] * 5]
        wanted = Counter(
            {
                "salesforce false": 1,
                "salesforce true": 4,
                "store false": 1,
                "store true": 1,
            }
        )
        for outcome in ("applied", "confirmed"):
            assert Counter(self._of("write_attempt", f"AND outcome = '{outcome}'", world)) == wanted
        assert not self._of("write_attempt", "AND outcome NOT IN ('applied', 'confirmed')", world)
        assert self._count("merge_audit", world) == len(self.people)
        acts = world.sql(
            "SELECT person_id, kind FROM engagement.unsubscribe "
            "WHERE origin = 'Salesforce Sync' AND person_id = ANY (:p) ORDER BY person_id",
            p=self.people,
        )
        assert [tuple(act) for act in acts] == [
            (self.cleared[0], "resubscribe"),
            (self.to_store[0], "unsubscribe"),
        ]

    def _of(self, table, condition, world):
        rows = world.sql(
            f"SELECT side || ' ' || target AS what FROM opt_out_sync.{table} "
            f"WHERE person_id = ANY (:p) {condition}",
            p=self.people,
        )
        return [row.what for row in rows]

    def _count(self, table, world):
        query = f"SELECT count(*) AS n FROM opt_out_sync.{table} WHERE person_id = ANY (:p)"
        return world.sql(query, p=self.people)[0].n


def told(world, way):
    """How often Salesforce was told to write in some way, since the last reset of its counts."""
    counts = world.org.request_counts()
    return sum(number for key, number in counts.items() if key.startswith(WAYS[way]))


def completed_jobs(world):
    jobs = Api(world.org).get("jobs/ingest").json()["records"]
    return sum(job["state"] == "JobComplete" for job in jobs)


def is_left_open(world):
    jobs = Api(world.org).get("jobs/ingest").json()["records"]
    return any(job["state"] == "Open" for job in jobs)


def place_of(world):
    return Place(
        world.engine.url.render_as_string(hide_password=False),
        str(world.staging),
        f"manual__{next(NUMBERS)}",
    )


def environment():
    names = ("AIRFLOW_HOME", "AIRFLOW_CONN_SALESFORCE", "REQUESTS_CA_BUNDLE")
    return {name: os.environ[name] for name in names}


def boundaries(world, tmp_path, task, kill_at):
    """Run a night to its death at a boundary of a task; None: right after the task."""
    place, progress = place_of(world), tmp_path / f"progress-{next(NUMBERS)}"
    progress.touch()
    killed_at = 1_000_000 if kill_at is None else kill_at
    assert in_a_process(place, environment(), task, killed_at, str(progress)) == -9
    return place, progress.read_text().splitlines()


def retried(place, task):
    """Run the task again, as Airflow does, and then the others; `report` finds it a good night."""
    night = Night(place, lambda label: None)
    tasks = night.tasks()
    if task == "preflight":
        tasks["preflight"]()
    else:
        night.sync_run_id = newest_run(night)
    for name in TASKS[1:]:
        tasks[name]()
    report(night._engine, night.sync_run_id, clock=utc_now)
    night.dispose()


def newest_run(night):
    with night._engine.connect() as connection:
        return connection.execute(text("SELECT max(id) FROM opt_out_sync.sync_run")).scalar()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("task", TASKS)
def test_a_task_killed_before_any_effect_and_retried_ends_like_one_that_was_not(
    world, tmp_path, task
):
    """Killed after an effect is killed before the next: in between, nothing leaves the process."""
    work = Work(world)
    place, found = boundaries(world, tmp_path, task, None)
    retried(place, task)
    work.is_done_once(world)
    kills = [number for number, label in enumerate(found) if label in EFFECTS or label == "end"]
    assert len(kills) > 1, "every task commits"
    for number in [*kills[::EVERY], kills[-1]]:
        work, jobs = Work(world), completed_jobs(world)
        world.org.reset_requests()
        place, _ = boundaries(world, tmp_path, task, number)
        retried(place, task)
        killed = f"killed {found[number]}, number {number} of {task}"
        work.is_done_once(world)
        assert completed_jobs(world) == jobs + 1, killed
        assert told(world, "collections") == 1, killed
        assert told(world, "clears") == 1, killed
        assert not is_left_open(world), killed
