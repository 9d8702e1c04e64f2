"""The push: what changes in the store reaches Salesforce, by the rules of the night."""

from datetime import timedelta

import pytest

from include.domain.values import SalesforceObject
from include.sync.clock import utc_now
from include.sync.push import Patience, push

CONTACT, LEAD = SalesforceObject
AT_ONCE = Patience(linger=timedelta(0))


@pytest.fixture
def pushed(world):
    """Run one push to its end, as the task does; returns its counts."""

    def run(name="push", patience=AT_ONCE, **options):
        return push(world.engine, world.client(), name, clock=utc_now, patience=patience, **options)

    return run


def outbox(world, person):
    """State and code of a person."""
    rows = world.sql("SELECT * FROM opt_out_sync.push_outbox WHERE person_id = :p", p=person)
    return rows[0] if rows else None


def settled(world, person):
    row = outbox(world, person)
    return (row.state, row.code)


def audit(world, person):
    """Codes of the decisions about a person, oldest first."""
    query = "SELECT code FROM opt_out_sync.merge_audit WHERE person_id = :p ORDER BY id"
    return [row.code for row in world.sql(query, p=person)]


def writes(world, person):
    """Side, target, outcome and code of the writes for a person, oldest first."""
    query = (
        "SELECT side, target, outcome, code FROM opt_out_sync.write_attempt "
        "WHERE person_id = :p ORDER BY id"
    )
    return [tuple(row) for row in world.sql(query, p=person)]


# -- an unsubscribe


@pytest.mark.parametrize("obj", [CONTACT, LEAD])
def test_an_unsubscribe_reaches_salesforce_and_moves_the_base(world, pushed, obj):
    person, record = world.pair(False, False, obj)
    world.night()
    world.unsubscribe(person, at=utc_now())
    assert pushed() == {"batches": 1, "people": 1, "pushed": 1, "cleared": 0, "failed": {}}
    assert world.agreed(person, record) is True
    assert world.base(person) is True
    assert settled(world, person) == ("closed", "PUSHED")
    assert audit(world, person)[-1] == "UNSUBSCRIBED_IN_STORE"
    assert writes(world, person) == [("salesforce", True, "confirmed", "PUSHED")]
    assert world.codes(world.night()) == {}
