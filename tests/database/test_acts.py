import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from include.store.database import transaction
from include.store.errors import StoreRefusedError
from tests.database.world import NOW, add_act, add_people

ORIGINS = ["Clicked Link", "One-Click", "Manual", "Complaint", "Bounce", "Import"]
STATES = "SELECT * FROM engagement.person_states(:scopes, :bounces) ORDER BY person_id"
RECORD = """
SELECT engagement.record_act(:person_id, :kind, 'team', 'Salesforce Sync', NULL, NULL, 'cause',
                             :now, 'the key')
"""


@dataclass(frozen=True)
class Act:
    person: int
    kind: str
    scope: str
    origin: str
    occurred_at: datetime
    recorded_at: datetime


times = st.integers(0, 3).map(lambda hours: NOW + timedelta(hours=hours))
acts = st.builds(
    Act,
    st.integers(0, 2),
    st.sampled_from(["unsubscribe", "resubscribe"]),
    st.sampled_from(["team", "sender"]),
    st.sampled_from([*ORIGINS, "Salesforce Sync", "Salesforce Sync", "Salesforce Sync"]),
    times,
    times,
)


def expected(history: list[tuple[int, Act]], scopes: list[str], bounces: bool) -> tuple:
    """Walk through one person's acts in order: (opted out, since, act, origin)."""
    state = (False, None, None, None)
    for act_id, act in sorted(
        history, key=lambda a: (min(a[1].occurred_at, a[1].recorded_at), a[0])
    ):
        if act.scope not in scopes:
            continue
        if act.kind == "resubscribe":
            if act.origin == "Salesforce Sync":
                state = (False, None, None, None)
        elif act.origin != "Bounce" or bounces:
            state = (True, min(act.occurred_at, act.recorded_at), act_id, act.origin)
    return state


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(acts, max_size=12), st.sampled_from([["team"], ["team", "sender"]]), st.booleans())
def test_states_are_what_walking_through_the_acts_gives(
    engine: Engine, history: list[Act], scopes: list[str], bounces: bool
) -> None:
    with engine.connect() as conn:
        told = tell(conn, history)
        rows = conn.execute(text(STATES), {"scopes": scopes, "bounces": bounces}).all()
        conn.rollback()
    assert {row[0]: tuple(row[2:]) for row in rows} == {
        person: expected(story, scopes, bounces) for person, story in told.items()
    }


def tell(conn: Connection, history: list[Act]) -> dict[int, list[tuple[int, Act]]]:
    """Add three people and their acts; return each one's acts by id."""
    people = add_people(conn, 3)
    told: dict[int, list[tuple[int, Act]]] = {person: [] for person in people}
    for act in history:
        person = people[act.person]
        columns = vars(act) | {"caused_by": "x" if act.origin == "Salesforce Sync" else None}
        columns.pop("person")
        told[person].append((add_act(conn, person, **columns), act))
    return told


@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(acts, max_size=12))
def test_the_list_for_senders_says_what_the_sync_reads(engine: Engine, history: list[Act]) -> None:
    with engine.connect() as conn:
        tell(conn, history)
        rows = conn.execute(text(STATES), {"scopes": ["team"], "bounces": False}).all()
        view = "SELECT * FROM engagement.person_opt_out ORDER BY person_id"
        assert conn.execute(text(view)).all() == rows
        conn.rollback()


@pytest.fixture
def sender(engine: Engine) -> Iterator[str]:
    """A role that may read the list for senders and nothing else."""
    name = f"opt_out_test_sender_{os.getpid()}"
    with transaction(engine) as conn:
        conn.execute(text(f"CREATE ROLE {name}"))
        conn.execute(text(f"GRANT USAGE ON SCHEMA engagement TO {name}"))
        conn.execute(text(f"GRANT SELECT ON engagement.person_opt_out TO {name}"))
    yield name
    with transaction(engine) as conn:
        conn.execute(text(f"DROP OWNED BY {name}"))
        conn.execute(text(f"DROP ROLE {name}"))


def test_a_sender_needs_no_more_than_the_list(engine: Engine, sender: str) -> None:
    with transaction(engine) as conn:
        act = add_act(conn, add_people(conn, 2)[0])
        conn.execute(text(f"SET LOCAL ROLE {sender}"))
        rows = conn.execute(text("SELECT act_id FROM engagement.person_opt_out WHERE is_opted_out"))
        assert rows.scalars().all() == [act]
    with transaction(engine) as conn:
        conn.execute(text(f"SET LOCAL ROLE {sender}"))
        may_read = "SELECT has_table_privilege('engagement.unsubscribe', 'SELECT')"
        assert conn.execute(text(may_read)).scalar_one() is False


MANY_ACTS = """
INSERT INTO engagement.unsubscribe
    (person_id, kind, scope, origin, occurred_at, idempotency_key)
SELECT id, 'unsubscribe', 'team', 'Clicked Link', now() - id * interval '1 second', id || '/' || n
FROM engagement.person CROSS JOIN generate_series(1, 2) AS n
"""
LOOK_UP = """
EXPLAIN SELECT s.is_opted_out
FROM engagement.person AS p
JOIN engagement.person_opt_out AS s ON s.person_id = p.id
WHERE p.id IN (5, 6, 7)
"""


def test_looking_up_three_people_reads_three_people(engine: Engine) -> None:
    with transaction(engine) as conn:
        add_people(conn, 20_000)
        conn.execute(text(MANY_ACTS))
        conn.execute(text("ANALYZE engagement.person, engagement.unsubscribe"))
        plan = "\n".join(conn.execute(text(LOOK_UP)).scalars())
    assert "Seq Scan" not in plan
    assert "Sort" not in plan
    assert "unsubscribe_newest" in plan


def test_a_resubscribe_of_the_person_alone_leaves_the_opt_out(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        act = add_act(conn, person)
        add_act(conn, person, kind="resubscribe", occurred_at=NOW + timedelta(days=1))
        row = conn.execute(text("SELECT * FROM engagement.person_opt_out")).one()
    assert (row.is_opted_out, row.act_id) == (True, act)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"kind": "pause"}, "unsubscribe_kind"),
        ({"scope": "world"}, "unsubscribe_scope"),
        ({"origin": "Telepathy"}, "unsubscribe_origin"),
        ({"origin": "Salesforce Sync"}, "unsubscribe_sync_names_its_cause"),
    ],
)
def test_an_act_outside_the_vocabulary_is_refused(
    engine: Engine, columns: dict[str, str], constraint: str
) -> None:
    with pytest.raises(StoreRefusedError, match=constraint), transaction(engine) as conn:
        add_act(conn, add_people(conn, 1)[0], **columns)


def test_an_act_cannot_be_changed(engine: Engine) -> None:
    with transaction(engine) as conn:
        add_act(conn, add_people(conn, 1)[0])
    with pytest.raises(StoreRefusedError, match="append-only"), transaction(engine) as conn:
        conn.execute(text("UPDATE engagement.unsubscribe SET origin = 'Manual'"))


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM engagement.unsubscribe",
        "TRUNCATE engagement.unsubscribe",
        "TRUNCATE engagement.person CASCADE",
    ],
)
def test_an_act_cannot_be_taken_away(engine: Engine, change: str) -> None:
    with transaction(engine) as conn:
        add_act(conn, add_people(conn, 1)[0])
    with pytest.raises(StoreRefusedError, match="append-only"), transaction(engine) as conn:
        conn.execute(text(change))


def test_no_clear_is_recorded_in_the_name_of_the_sync(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
    values = {"person_id": person, "kind": "resubscribe", "now": NOW}
    refused = pytest.raises(StoreRefusedError, match="this version records no clear")
    with refused, transaction(engine) as conn:
        conn.execute(text(RECORD), values)


def test_an_erased_person_takes_the_acts_along(engine: Engine) -> None:
    with transaction(engine) as conn:
        add_act(conn, add_people(conn, 1)[0])
        conn.execute(text("DELETE FROM engagement.person"))
        assert conn.execute(text("SELECT count(*) FROM engagement.unsubscribe")).scalar() == 0


def test_recording_an_act_twice_adds_one_and_returns_its_id(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        values = {"person_id": person, "kind": "unsubscribe", "now": NOW}
        first = conn.execute(text(RECORD), values).scalar()
        assert conn.execute(text(RECORD), values).scalar() == first
        assert conn.execute(text("SELECT count(*) FROM engagement.unsubscribe")).scalar() == 1


def test_a_key_that_names_another_act_is_refused(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)
        conn.execute(text(RECORD), {"person_id": one, "kind": "unsubscribe", "now": NOW})
    with pytest.raises(StoreRefusedError, match="another act"), transaction(engine) as conn:
        conn.execute(text(RECORD), {"person_id": two, "kind": "unsubscribe", "now": NOW})


def test_an_act_of_nobody_is_not_recorded(engine: Engine) -> None:
    with transaction(engine) as conn:
        values = {"person_id": 404, "kind": "unsubscribe", "now": NOW}
        assert conn.execute(text(RECORD), values).scalar() is None
