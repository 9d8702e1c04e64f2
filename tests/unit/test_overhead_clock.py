"""How the clock of a night is divided between steps, the tasks around them, and nobody."""

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.overhead_clock import Span, Task, covered, divide, tasks_that_ran

EVENING = datetime(2026, 11, 24, 4, tzinfo=UTC)


def span(begin: float, end: float) -> Span:
    return Span(*(EVENING + timedelta(seconds=each) for each in (begin, end)))


def task(name: str, queued: float, begin: float, end: float) -> Task:
    return Task(name, EVENING + timedelta(seconds=queued), span(begin, end))


def test_the_parts_add_up_to_the_clock():
    tasks = [task("a", 0, 1, 4), task("b", 5, 6, 9)]
    night = divide(tasks, [span(2, 3), span(7, 9)])
    assert night.shares() == {"clock": 9, "steps": 3, "tasks": 3, "between": 3}
    assert night.tasks["a"] == {"waited": 1, "ran": 3, "in_steps": 1}
    assert night.tasks["b"] == {"waited": 1, "ran": 3, "in_steps": 2}


def test_what_runs_beside_each_other_counts_once():
    tasks = [task("long", 0, 0, 10), task("short", 0, 1, 3)]
    night = divide(tasks, [span(1, 9), span(1, 2)])
    assert night.shares() == {"clock": 10, "steps": 8, "tasks": 2, "between": 0}
    assert {name: each["in_steps"] for name, each in night.tasks.items()} == {"long": 8, "short": 1}


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0),
        ([span(0, 1), span(0, 1)], 1),
        ([span(0, 5), span(1, 2), span(4, 7)], 7),
        ([span(3, 4), span(0, 1)], 2),
    ],
)
def test_time_that_several_spans_cover_is_counted_once(spans, seconds):
    assert covered(spans) == seconds


def test_airflows_task_instances_are_read_mapped_ones_by_number_and_skipped_ones_not():
    times = {
        "queued_when": "2026-11-24T04:00:00Z",
        "start_date": "2026-11-24T04:00:01Z",
        "end_date": "2026-11-24T04:00:03Z",
    }
    skipped = {"task_id": "c", "map_index": -1, **times, "queued_when": None}
    mapped = {"task_id": "decide", "map_index": 2, **times}
    assert tasks_that_ran([skipped, mapped]) == [task("decide[2]", 0, 1, 3)]
