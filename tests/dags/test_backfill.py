"""Past nights, run again by a real Airflow: each way that its page and its command have."""

import re
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from include.sync.clock import utc_now
from local.demo.web import HttpError
from tests.dags.places import new_places, new_world
from tests.dags.running_airflow import running_airflow

ROOT = Path(__file__).parents[2]
DAG, QUESTION = "unsubscribe_nightly_sync", "unsubscribe_held_clears"
PACIFIC = ZoneInfo("America/Los_Angeles")
DAY = timedelta(days=1)
LAST = (utc_now() - timedelta(hours=20)).astimezone(PACIFIC).date()  # tonight's is not over yet

pytestmark = pytest.mark.timeout(1500)


def eight_pm(night: date) -> datetime:
    return datetime.combine(night, time(20), PACIFIC)


def logical_dates(*nights: date) -> list[str]:
    """How Airflow names nights: by the start of their interval, the evening before."""
    return [eight_pm(night - DAY).isoformat() for night in nights]


@pytest.fixture(scope="module")
def places(server_url, tmp_path_factory):
    # Who waits for the lease looks again after twice this time: ten processes every few seconds
    # would leave a small machine nothing for the night.
    patience = {"OPT_OUT_SYNC_RETRY_SECONDS": "10"}
    home = tmp_path_factory.mktemp("backfill")
    with new_places(server_url, home, "backfill", patience) as places:
        yield places


@pytest.fixture(scope="module")
def airflow(places, server_url, database_url):
    """Airflow with the DAG switched on while the sync is off: its first run does nothing."""
    config = places.config
    dags = {DAG, QUESTION}
    with running_airflow(config.state, config.airflow_url, places.environment, dags) as running:
        running.pause(QUESTION)  # nothing is held here: its runs would only take time
        with new_world(places, server_url, database_url):
            running.api.unpause(DAG)  # which starts the last complete night at once
            running.wait_for(lambda: running.runs(DAG))
            assert running.ended(DAG, running.runs(DAG)[0]["dag_run_id"]) == "success"
        yield running


@pytest.fixture
def world(places, airflow, server_url, database_url):
    with new_world(places, server_url, database_url) as world:
        world.choose(enabled=True)
        yield world


class Backfills:
    """What a person can ask for, and what came of it."""

    def __init__(self, airflow, environment):
        self.airflow, self.environment = airflow, environment

    def by_command(self, first, last, *options):
        """`airflow backfill create`, as the runbook has it; returns what it printed."""
        begin, end = logical_dates(first, last)
        command = ["airflow", "backfill", "create", "--dag-id", DAG]
        command += ["--from-date", begin, "--to-date", end, *options]

        def done():
            process = subprocess.run(
                [sys.executable, "-m", *command],
                env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False,
            )  # fmt: skip
            # the one before is noticed to be over every 30 seconds
            return None if "AlreadyRunningBackfill" in process.stderr else process

        process = self.airflow.wait_for(done)
        assert process.returncode == 0, process.stdout[-4000:] + process.stderr[-4000:]
        return process.stdout

    def from_page(self, first, last, reprocess="none", active=1):
        """What the form of Airflow's page sends. It refuses a second backfill at a time."""
        begin, end = logical_dates(first, last)
        body = {
            "dag_id": DAG,
            "from_date": begin,
            "to_date": end,
            "reprocess_behavior": reprocess,
            "max_active_runs": active,
            "dag_run_conf": {"plan_only": False},
        }

        def is_taken():
            try:
                return self.airflow.call("POST", "backfills", body)
            except HttpError as error:
                if error.status == 409:  # the one before is noticed to be over every 30 seconds
                    return False
                raise

        self.airflow.wait_for(is_taken)

    def ended(self, *nights):
        """Wait for the runs of some nights; returns their states."""
        wanted = {datetime.fromisoformat(each).astimezone(UTC) for each in logical_dates(*nights)}

        def runs():
            found = {
                datetime.fromisoformat(run["logical_date"]): run
                for run in self.airflow.runs(DAG)
                if run["logical_date"]
            }
            mine = [found[each] for each in sorted(wanted & set(found))]
            is_over = all(run["state"] in ("success", "failed") for run in mine)
            return mine if len(mine) == len(wanted) and is_over else None

        return [run["state"] for run in self.airflow.wait_for(runs, 700)]


@pytest.fixture
def backfills(airflow, places):
    return Backfills(airflow, places.environment)


def opted_out_on(world, night):
    """Somebody who opted out in the store in the interval of a night, and whom nobody compared."""
    person, record = world.pair(False, False)
    world.sql(
        "INSERT INTO engagement.unsubscribe (person_id, kind, scope, origin, occurred_at, "
        "recorded_at, idempotency_key) VALUES (:p, 'unsubscribe', 'team', 'Clicked Link', :at, "
        ":at, 'past/' || :p)",
        p=person,
        at=eight_pm(night) - timedelta(hours=6),
    )
    return person, record


def attempts(world):
    """(night, kind, state) of every attempt, oldest first."""
    rows = world.sql("SELECT night, kind, state FROM opt_out_sync.sync_run ORDER BY id")
    return [tuple(row) for row in rows]


def decided(world, night):
    """Whom the attempts of a night decided, oldest first."""
    rows = world.sql(
        "SELECT a.person_id FROM opt_out_sync.merge_audit AS a JOIN opt_out_sync.sync_run AS r "
        "ON r.id = a.sync_run_id WHERE r.night = :n ORDER BY a.id",
        n=night,
    )
    return [row.person_id for row in rows]


def writes(world):
    return len(world.sql("SELECT FROM opt_out_sync.write_attempt"))


def test_three_missed_nights_are_run_each_for_its_own_people_and_only_once(world, backfills):
    nights = [LAST - days * DAY for days in (23, 22, 21)]
    pairs = [opted_out_on(world, night) for night in nights]
    elsewhere = opted_out_on(world, LAST - 40 * DAY)
    backfills.by_command(nights[0], nights[-1], "--max-active-runs", "1")
    assert backfills.ended(*nights) == ["success"] * 3
    assert attempts(world) == [(night, "replay", "closed") for night in nights]
    assert [decided(world, night) for night in nights] == [[person] for person, _ in pairs]
    assert [world.agreed(*pair) for pair in pairs] == [True] * 3
    assert world.agreed(*elsewhere) is None
    before = writes(world)
    backfills.from_page(nights[0], nights[-1])  # reprocess: none
    backfills.from_page(nights[0], nights[-1], "completed")
    backfills.airflow.wait_for(lambda: len(attempts(world)) == 6)
    assert backfills.ended(*nights) == ["success"] * 3
    assert attempts(world)[3:] == [(night, "replay", "closed") for night in nights]
    assert writes(world) == before


def test_failed_nights_are_run_again_by_a_backfill_or_by_clearing_them(world, backfills):
    first, second, missing = (LAST - days * DAY for days in (33, 32, 31))
    pairs = [opted_out_on(world, night) for night in (first, second, missing)]
    world.org.set_user_active(False)  # nobody may log in: a night fails at once
    backfills.from_page(first, second)
    assert backfills.ended(first, second) == ["failed", "failed"]
    world.org.set_user_active(True)

    backfills.from_page(first, missing)  # none: only what has no run
    assert backfills.ended(missing) == ["success"]
    assert backfills.ended(first, second) == ["failed", "failed"]

    by_date = {run["logical_date"]: run["dag_run_id"] for run in backfills.airflow.runs(DAG)}
    cleared = next(
        run_id
        for at, run_id in by_date.items()
        if at and datetime.fromisoformat(at) == eight_pm(first - DAY)
    )
    backfills.airflow.clear(DAG, cleared, "preflight")
    assert backfills.airflow.ended(DAG, cleared) == "success"
    assert world.agreed(*pairs[0]) is True
    assert world.agreed(*pairs[1]) is None

    backfills.by_command(first, missing, "--reprocess-behavior", "failed")
    assert backfills.ended(second) == ["success"]
    assert [world.agreed(*pair) for pair in pairs] == [True] * 3
    assert attempts(world) == [
        (first, "replay", "superseded"),
        (second, "replay", "superseded"),
        (missing, "replay", "closed"),
        (first, "replay", "closed"),
        (second, "replay", "closed"),
    ]


def test_a_live_night_that_is_cleared_is_live_until_it_closes_and_a_replay_then(world, backfills):
    pair = opted_out_on(world, LAST - 60 * DAY)  # not of its interval: a live night compares all
    run_id = next(
        r["dag_run_id"] for r in backfills.airflow.runs(DAG) if "scheduled" in r["dag_run_id"]
    )
    backfills.airflow.clear(DAG, run_id, "preflight")
    assert backfills.airflow.ended(DAG, run_id) == "success"
    assert world.agreed(*pair) is True
    (live,) = attempts(world)
    assert live[1:] == ("night", "closed")
    before, night = writes(world), live[0]
    backfills.airflow.clear(DAG, run_id, "preflight")
    backfills.airflow.wait_for(lambda: len(attempts(world)) == 2)
    assert backfills.airflow.ended(DAG, run_id) == "success"
    backfills.from_page(night, night, "completed")
    backfills.airflow.wait_for(lambda: len(attempts(world)) == 3)
    assert backfills.ended(night) == ["success"]
    assert attempts(world) == [
        (night, "night", "closed"),
        (night, "replay", "closed"),
        (night, "replay", "closed"),
    ]
    assert writes(world) == before


def test_ten_replays_at_once_leave_room_for_the_night_that_is_due(world, backfills):
    nights = [LAST - days * DAY for days in range(60, 50, -1)]
    pairs = [opted_out_on(world, night) for night in nights]
    late = world.pair(True, False)  # tonight's
    backfills.from_page(nights[0], nights[-1], active=10)
    live = backfills.airflow.trigger(DAG)
    assert backfills.airflow.ended(DAG, live, 600) == "success"
    assert world.agreed(*late) is True
    done = [each for each in attempts(world) if each[1:] == ("replay", "closed")]
    assert len(done) < 10, "the night that is due went before the last of the replays"
    assert backfills.ended(*nights) == ["success"] * 10
    assert [world.agreed(*pair) for pair in pairs] == [True] * 10
    told = world.sql(
        "SELECT person_id, side, count(*) AS n FROM opt_out_sync.write_attempt "
        "WHERE outcome = 'applied' GROUP BY person_id, side"
    )
    assert {row.n for row in told} == {1}


def test_each_local_date_is_one_night_across_both_changes_of_the_clock(backfills):
    """Dry: Airflow names what it would run."""
    first, last = date(2026, 2, 28), date(2026, 11, 8)
    printed = backfills.by_command(first, last, "--dry-run", "--reprocess-behavior", "completed")
    listed = printed.partition("Runs to be attempted")[2]
    times = re.findall(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", listed)
    starts = [datetime.fromisoformat(each) for each in times]
    wanted = [first + days * DAY for days in range((last - first).days + 1)]
    assert starts == [eight_pm(night - DAY) for night in wanted]
