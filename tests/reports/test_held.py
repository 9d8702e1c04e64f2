"""Held clears: what waits, of whom, since when, and whether anybody is asked."""

from sqlalchemy import Engine

from include.reports.held import waiting
from tests.reports import world
from tests.reports.world import HOUR, LAST_NIGHT, NOW, choose, close, decide, execute, read, start


def hold(engine: Engine, people: list[int]) -> int:
    """A night that would clear these people in Salesforce and holds it."""
    run = start(engine, LAST_NIGHT)
    decide(engine, run, people, LAST_NIGHT, code="RESUBSCRIBED", target_salesforce=False)
    close(engine, run, LAST_NIGHT)
    for number, person in enumerate(people):
        execute(
            engine,
            "INSERT INTO opt_out_sync.held_clear (org_id, person_id, record_id, object, field, "
            "held_run_id, held_at) VALUES (:org, :person, :record, 'Contact', :field, :run, :at)",
            org=world.ORG,
            person=person,
            record=world.world.record(person),
            field=world.world.FIELD,
            run=run.id,
            at=LAST_NIGHT + number * HOUR,
        )
    return run.id


def test_nothing_waits(engine: Engine) -> None:
    found = read(engine, waiting)
    assert (found.clears, found.people, found.codes) == (0, 0, {})
    assert (found.since, found.runs, found.first, found.obstacle) == (None, [], [], None)


def test_what_waits_is_told_with_the_night_that_held_it(engine: Engine) -> None:
    people = world.people(engine, 3)
    run_id = hold(engine, people)
    found = read(engine, waiting, most=2)
    assert (found.clears, found.people, found.since) == (3, 3, LAST_NIGHT)
    assert found.codes == {"RESUBSCRIBED": 3}
    assert [(each.person_id, each.code) for each in found.first] == [
        (people[0], "RESUBSCRIBED"),
        (people[1], "RESUBSCRIBED"),
    ]
    (by,) = found.runs
    assert (by.sync_run_id, by.kind, by.clears, by.people) == (run_id, "night", 3, 3)
    assert by.airflow_run_id.startswith("night__")


def test_what_was_answered_waits_no_more(engine: Engine) -> None:
    (person,) = world.people(engine, 1)
    run_id = hold(engine, [person])
    execute(
        engine,
        "UPDATE opt_out_sync.held_clear SET resolution = 'cleared', resolved_at = :now, "
        "resolved_run_id = :run",
        now=NOW,
        run=run_id,
    )
    assert read(engine, waiting).clears == 0


def test_while_nobody_is_asked_it_says_why(engine: Engine) -> None:
    people = world.people(engine, 1)
    hold(engine, people)
    assert "is not confirmed" in read(engine, waiting).obstacle
    execute(
        engine,
        "INSERT INTO opt_out_sync.org_confirmation (org_id, confirmed_at, confirmed_by, note) "
        "VALUES (:org, now(), 'Ada', 'x')",
        org=world.ORG,
    )
    assert read(engine, waiting).obstacle == "the sync is disabled"
    choose(engine)
    assert read(engine, waiting).obstacle is None
