"""Groups of people: who names the same record, and who only looks as if."""

import pytest
from sqlalchemy import Engine, text

from include.store import people
from include.store.database import transaction
from tests.database.world import add_people


@pytest.mark.parametrize("typed", ["", "   ", "n/a", "unknown", "003"])
def test_what_names_no_record_makes_no_group(engine: Engine, typed: str) -> None:
    """Thousands of people may have it: asking for one must not read them all."""
    with transaction(engine) as conn:
        one, _another = add_people(conn, 2)
        conn.execute(text("UPDATE engagement.person SET salesforce_id = :typed"), {"typed": typed})
    persons, _opt_outs, _resubscribes = people.read_groups(engine, [one])
    assert persons["person_id"].tolist() == [one]
    assert persons["salesforce_id"].tolist() == [typed]
