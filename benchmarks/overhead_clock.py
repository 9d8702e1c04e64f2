"""Divides the clock of a night between our steps, the tasks around them, and nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of time."""

    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True, slots=True)
class Task:
    """A task instance that ran; a mapped one has its number behind its name."""

    name: str
    queued_at: datetime
    ran: Span


def tasks_that_ran(instances: Sequence[Mapping[str, Any]]) -> list[Task]:
    """Read what Airflow's API tells of a run's task instances; skipped ones never ran."""
    return [_task(each) for each in instances if each["queued_when"] and each["end_date"]]


def _task(instance: Mapping[str, Any]) -> Task:
    number = instance["map_index"]
    name = instance["task_id"] if number < 0 else f"{instance['task_id']}[{number}]"
    queued, begin, end = (
        datetime.fromisoformat(instance[key]) for key in ("queued_when", "start_date", "end_date")
    )
    return Task(name, queued, Span(begin, end))


@dataclass(frozen=True, slots=True)
class NightClock:
    """Who had the clock, in seconds; per task: waited in the queue, ran, and of that in a step."""

    clock: float
    steps: float
    in_tasks: float
    tasks: Mapping[str, Mapping[str, float]]
    cpu: float = 0.0  # of Airflow and its tasks

    def shares(self) -> dict[str, float]:
        """Return the parts of the clock; they add up to it."""
        return {
            "clock": self.clock,
            "steps": self.steps,
            "tasks": self.in_tasks - self.steps,
            "between": self.clock - self.in_tasks,
        }


def divide(tasks: Sequence[Task], steps: Sequence[Span]) -> NightClock:
    """Divide the time from the first task's queueing to the last one's end.

    Tasks and steps run beside each other: what several do at once counts once. A step lies whole
    in the task that ran it. Where tasks ran beside each other, each is given one step that lies in
    it, the shortest task first.
    """
    begin = min(task.queued_at for task in tasks)
    end = max(task.ran.end for task in tasks)
    return NightClock(
        clock=Span(begin, end).seconds,
        steps=covered(steps),
        in_tasks=covered([*(task.ran for task in tasks), *steps]),
        tasks=_per_task(tasks, steps),
    )


def covered(spans: Sequence[Span]) -> float:
    """Return how many seconds at least one of the spans covers."""
    seconds, reached = 0.0, None
    for span in sorted(spans, key=lambda each: each.begin):
        begin = span.begin if reached is None else max(span.begin, reached)
        if span.end > begin:
            seconds += (span.end - begin).total_seconds()
            reached = span.end
    return seconds


def _per_task(tasks: Sequence[Task], steps: Sequence[Span]) -> dict[str, Mapping[str, float]]:
    left, found = list(steps), {}
    for task in sorted(tasks, key=lambda each: each.ran.seconds):
        inside = [s for s in left if task.ran.begin <= s.begin and s.end <= task.ran.end][:1]
        left = [step for step in left if step not in inside]
        found[task.name] = {
            "waited": Span(task.queued_at, task.ran.begin).seconds,
            "ran": task.ran.seconds,
            "in_steps": covered(inside),
        }
    return {task.name: found[task.name] for task in sorted(tasks, key=lambda each: each.queued_at)}
