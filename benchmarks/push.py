"""From the commit of an unsubscribe to Salesforce's answer: the push, and a stock sensor beside it.

    python -m benchmarks.push [--short] [--folder F]

Everything is real except Salesforce, which is the emulator and takes no time of its own: a whole
Airflow, PostgreSQL, the DAG as it is deployed. About eight minutes, more on a busy machine;
`--short` takes half of that.

* cold: nothing runs when somebody unsubscribes. With Airflow's stock settings, and with those that
  docs/deploy.md gives the scheduler.
* drain: 50 people unsubscribe every second while a push runs.
* backlog: 50,000 people unsubscribed while the sync was paused; then it is resumed.
* stock sensor: Airflow's `SqlSensor` looking once a minute, then one record per call.
* waiting: what it costs while nobody does anything.

Moments are read from one clock: the act's commit, and the reply's time in the audit.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.push_airflow import IDLE_SLEEP, NAIVE, PLAIN, PRELOADED, PUSH, Airflow, airflow
from benchmarks.push_stage import Stage, seconds_since
from benchmarks.push_stage import stage as new_stage
from benchmarks.table import Goal, Latencies, heading, line

COLD, DRAIN, BACKLOG = 1.5, 0.1, 3_000
PER_SECOND = 50
PUSHED = """
SELECT person_id, min(attempted_at) FROM opt_out_sync.write_attempt
WHERE person_id = ANY (%s) AND side = 'salesforce' AND outcome = 'confirmed' GROUP BY person_id
"""
TOLD = "SELECT person_id, at FROM naive_told WHERE person_id = ANY (%s)"
STARTED = """
SELECT started_at FROM opt_out_sync.sync_run WHERE kind = 'push' ORDER BY id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    stock: int = 8
    cold: int = 20
    drained_for: int = 20
    backlog: int = 50_000
    watched: float = 60.0
    naive: int = 12
    naive_backlog: int = 300

    @property
    def people(self) -> int:
        """Return how many unsubscribe; the first act of each start is not counted."""
        return self.stock + self.cold + self.drained_for * PER_SECOND + self.backlog + 3


FULL = Plan()
SHORT = Plan(stock=3, cold=5, drained_for=5, backlog=5_000, watched=20.0, naive=3, naive_backlog=60)


@dataclass(frozen=True, slots=True)
class Found:
    """What two ways are compared by."""

    single: Latencies
    per_second: float
    requests_each: float


def main() -> int:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description="the push against a stock sensor")
    parser.add_argument("--short", action="store_true", help="less of everything")
    parser.add_argument("--folder", type=Path, default=None, help="kept afterwards")
    options = parser.parse_args()
    plan = SHORT if options.short else FULL
    with (
        _folder(options.folder) as home,
        new_stage(home, plan.people, plan.naive + plan.naive_backlog) as stage,
    ):
        load = ", ".join(f"{each:.1f}" for each in psutil.getloadavg())
        print(
            f"{psutil.cpu_count()} cores, load before: {load}; {plan.people:,} people unsubscribe"
        )
        _play(stage, plan)
    return 0


@contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        chosen.mkdir(parents=True)
        yield chosen.resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _play(stage: Stage, plan: Plan) -> None:
    with airflow(stage, "stock", PLAIN, **{IDLE_SLEEP: "1"}) as running:
        heading("Airflow's stock settings")
        line("Airflow alone, a minute", running.cost(plan.watched / 3))
        line("cold", _cold(running, plan.stock))
    with airflow(stage, "documented", PRELOADED) as running:
        heading("The scheduler as docs/deploy.md starts it")
        _waiting(running, plan.watched)
        heading("The push")
        push = _push(running, plan)
        heading("A stock sensor, one record per call")
        sensor = _sensor(running, plan)
        heading("The push against it")
        _compare(push, sensor)


def _waiting(running: Airflow, seconds: float) -> None:
    """What it costs when nothing happens."""
    line("Airflow alone, a minute", running.cost(seconds / 2))
    running.switch(PUSH, is_on=True)
    running.wait_for_push()
    time.sleep(5)  # what starts has started
    line("with the push waiting", running.cost(seconds))
    running.switch(PUSH, is_on=False)
    running.switch(NAIVE, is_on=True)
    running.wait_for_naive()
    time.sleep(5)
    line("with the stock sensor", f"{running.cost(seconds)}; a slot")
    running.switch(NAIVE, is_on=False)


def _push(running: Airflow, plan: Plan) -> Found:
    cold = _cold(running, plan.cold)
    high = cold.percentile(95)
    line("cold", cold, Goal.below(COLD, high, f"p95 < {COLD} s"))
    drained = _drain(running, plan.drained_for)
    high = drained.percentile(95)
    line(f"drain, {PER_SECOND} a second", drained, Goal.below(DRAIN, high, f"p95 < {DRAIN} s"))
    per_second, requests = _backlog(running, plan.backlog)
    running.switch(PUSH, is_on=False)
    return Found(cold, per_second, requests / plan.backlog)


def _cold(running: Airflow, rounds: int) -> Latencies:
    """One act at a time, each when everything is idle."""
    running.switch(PUSH, is_on=True)
    measured: list[float] = []
    for _ in range(rounds + 1):
        running.wait_for_push()
        time.sleep(random.uniform(0.5, 1.5))  # noqa: S311  any moment of the triggerer's second
        measured += _pushed(running, [running.stage.pushed.pop()])
    # the first act after a start finds nothing prepared: no connection, no access
    return Latencies(measured[1:])


def _pushed(running: Airflow, people: list[int]) -> list[float]:
    """Let people unsubscribe, and wait until Salesforce knows; returns the seconds of each."""
    at = running.stage.act(people)
    return seconds_since(at, lambda: _told(running, PUSHED, people))


def _told(running: Airflow, statement: str, people: list[int]) -> list[tuple[int, object]]:
    """Wait until everybody's reply came; returns the moments."""
    running.wait_for(lambda: len(running.stage.query(statement, people)) == len(people), 300)
    return running.stage.query(statement, people)


def _drain(running: Airflow, seconds: int) -> Latencies:
    """So many acts a second while a push runs."""
    running.wait_for_push()
    _pushed(running, [running.stage.pushed.pop()])  # so one runs
    people = [running.stage.pushed.pop() for _ in range(PER_SECOND * seconds)]
    at = running.stage.act_one_by_one(people, PER_SECOND)
    return Latencies(seconds_since(at, lambda: _told(running, PUSHED, people)))


def _backlog(running: Airflow, size: int) -> tuple[float, int]:
    """Everybody unsubscribes while the sync is paused; then it is resumed."""
    stage = running.stage
    running.wait_for_push()
    stage.pause(is_paused=True)
    people = [stage.pushed.pop() for _ in range(size)]
    stage.act(people)
    stage.query("ANALYZE engagement.unsubscribe, opt_out_sync.push_signal")
    stage.org.reset_requests()
    resumed = stage.pause(is_paused=False)
    took = seconds_since(dict.fromkeys(people, resumed), lambda: _told(running, PUSHED, people))
    start = (stage.query(STARTED)[0][0] - resumed).total_seconds()
    per_second = size / (max(took) - start)
    text = f"{per_second:,.0f} a second: {max(took) - start:.1f} s after {start:.1f} s to start"
    goal = Goal.above(BACKLOG, per_second, f"> {BACKLOG:,} a second")
    line(f"backlog of {size:,}", text, goal)
    return per_second, _requests(stage, size)


def _requests(stage: Stage, size: int) -> int:
    requests = stage.org.request_counts()
    writes = sum(count for name, count in requests.items() if name.startswith("PATCH"))
    everything = sum(requests.values())
    goal = Goal(f"{-(-size // 200)} that write", writes <= -(-size // 200))
    line("", f"{writes} requests that write, {everything - writes} others", goal)
    return everything


def _sensor(running: Airflow, plan: Plan) -> Found:
    """The same with a stock sensor: single acts at any moment of its minute, then many at once."""
    stage = running.stage
    running.switch(NAIVE, is_on=True)
    running.wait_for_naive()
    people = [stage.naive.pop() for _ in range(plan.naive)]
    at = stage.act_one_by_one(people, plan.naive / plan.watched)
    single = Latencies(seconds_since(at, lambda: _told(running, TOLD, people)))
    line("single acts", single)
    running.wait_for_naive()
    time.sleep(2)  # it has looked
    people = [stage.naive.pop() for _ in range(plan.naive_backlog)]
    stage.org.reset_requests()
    at = stage.act(people)
    took = seconds_since(at, lambda: _told(running, TOLD, people))
    per_second = (len(took) - 1) / (max(took) - min(took))
    requests = sum(stage.org.request_counts().values())
    text = f"{per_second:,.0f} a second: {max(took) - min(took):.1f} s, {requests} requests"
    line(f"backlog of {len(took)}", text)
    return Found(single, per_second, requests / len(took))


def _compare(push: Found, sensor: Found) -> None:
    for percent in (50, 95):
        ratio = sensor.single.percentile(percent) / push.single.percentile(percent)
        line(f"cold, p{percent}", f"{ratio:,.0f} times sooner")
    line("backlog", f"{push.per_second / sensor.per_second:,.0f} times as many a second")
    ratio = sensor.requests_each / push.requests_each
    line("requests for each person", f"{ratio:,.0f} times fewer")


if __name__ == "__main__":
    sys.exit(main())
