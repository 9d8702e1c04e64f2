import os
import re
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
from tests.database.world import BOX, NOW, add_act, add_people

ORIGINS = ["Clicked Link", "One-Click", "Manual", "Complaint", "Bounce", "Import"]
STATES = "SELECT * FROM engagement.person_states(:scopes, :bounces) ORDER BY person_id"
STATES_OF = "SELECT * FROM engagement.states_of(:ids, :scopes, :bounces) ORDER BY person_id"
SYNC = "Salesforce Sync"
BY_THE_PERSON = ("Clicked Link", "One-Click", "Complaint")
RECORD = f"""
SELECT engagement.record_sync_act(:person_id, :kind, '{BOX}', :now, 'the key')
"""


@dataclass(frozen=True)
class Act:
    person: int
    kind: str
    scope: str
    origin: str
    occurred_at: datetime
    recorded_at: datetime
    cause: int  # which of the acts before it, or a box in Salesforce if there is none
    is_proven: bool  # a resubscribe with reason, actor and reference
    knows: int  # a clear by the sync: how many of the acts before it were known


@dataclass(frozen=True)
class Told:
    """An act as it stands in the store."""

    id: int
    person_id: int
    act: Act
    caused_by: str | None
    ends: list[int] | None

    @property
    def own_at(self) -> datetime:
        return min(self.act.occurred_at, self.act.recorded_at)


times = st.integers(0, 3).map(lambda hours: NOW + timedelta(hours=hours))
acts = st.builds(
    Act,
    st.integers(0, 2),
    st.sampled_from(["unsubscribe", "resubscribe"]),
    st.sampled_from(["team", "team", "sender"]),
    st.sampled_from([*ORIGINS, SYNC, SYNC, SYNC]),
    times,
    times,
    st.integers(-1, 5),
    st.booleans(),
    st.integers(0, 12),
)


def at(told: Told, known: dict[str, Told]) -> datetime:
    """When an act happened; one of the sync when its cause can last have happened."""
    if told.act.origin != SYNC:
        return told.own_at
    if told.caused_by in known:
        return known[told.caused_by].own_at
    return NOW if "@" in (told.caused_by or "") else told.act.occurred_at


def ends(clear: Told, told: Told, known: dict[str, Told]) -> bool:
    """Whether a clear ends an unsubscribe of the same person: the rule, as it is written."""
    origin = told.act.origin
    if origin == SYNC:
        return told.act.occurred_at <= clear.act.recorded_at
    given = known.get(clear.caused_by or "")
    if given is None or not is_evidence_of(told.person_id, given):
        return told.id in (clear.ends or []) and origin not in BY_THE_PERSON
    if origin == "Complaint" and given.act.origin not in ("Clicked Link", "One-Click"):
        return False
    return (told.own_at, told.id) < (given.own_at, given.id)


def is_evidence_of(person_id: int, given: Told) -> bool:
    is_own = given.act.kind == "resubscribe" and given.act.origin != SYNC
    return is_own and given.act.is_proven and given.person_id == person_id


def expected(person: int, story: list[Told], scopes: list[str], bounces: bool) -> tuple:
    """The newest opt-out that nothing ended: (opted out, since, act, origin)."""
    known = {f"act:{told.id}": told for told in story}
    own = [told for told in story if told.person_id == person]
    clears = [told for told in own if told.act.kind == "resubscribe" and told.act.origin == SYNC]
    standing = [
        (at(told, known), told.id, told.act.origin)
        for told in own
        if told.act.kind == "unsubscribe"
        and told.act.scope in scopes
        and (bounces or told.act.origin != "Bounce")
        and not any(ends(clear, told, known) for clear in clears)
    ]
    if not standing:
        return (False, None, None, None)
    since, act_id, origin = max(standing)
    return (True, since, act_id, origin)


@hypothesis_settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(acts, max_size=12), st.sampled_from([["team"], ["team", "sender"]]), st.booleans())
def test_states_are_what_the_rules_say_act_by_act(
    engine: Engine, history: list[Act], scopes: list[str], bounces: bool
) -> None:
    with engine.connect() as conn:
        people, story = tell(conn, history)
        values = {"scopes": scopes, "bounces": bounces}
        rows = conn.execute(text(STATES), values).all()
        some = conn.execute(text(STATES_OF), values | {"ids": [people[2], people[0], -1]}).all()
        conn.rollback()
    assert {row[0]: tuple(row[2:]) for row in rows} == {
        person: expected(person, story, scopes, bounces) for person in people
    }
    assert some == [rows[0], rows[2]]


def tell(conn: Connection, history: list[Act]) -> tuple[list[int], list[Told]]:
    """Add three people and their acts."""
    people = add_people(conn, 3)
    story: list[Told] = []
    for act in history:
        columns = vars(act) | {"caused_by": cause_of(act, story), "ends": known_to(act, story)}
        person_id, is_proven = people[columns.pop("person")], columns.pop("is_proven")
        del columns["cause"], columns["knows"]
        if is_proven:
            columns |= {"reason": "why", "actor": "Ada", "evidence_ref": "CASE-1"}
        act_id = add_act(conn, person_id, **columns)
        story.append(Told(act_id, person_id, act, columns["caused_by"], columns["ends"]))
    return people, story


def known_to(act: Act, story: list[Told]) -> list[int] | None:
    is_clear = act.origin == SYNC and act.kind == "resubscribe"
    return [told.id for told in story[: act.knows]] if is_clear else None


def cause_of(act: Act, story: list[Told]) -> str | None:
    if act.origin != SYNC:
        return None
    if act.cause in range(len(story)):
        return f"act:{story[act.cause].id}"
    return f"{BOX}@{NOW:%Y-%m-%dT%H:%M:%SZ}" if act.is_proven else BOX


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
MANY_CLEARS = """
WITH evidence AS (
    INSERT INTO engagement.unsubscribe
        (person_id, kind, scope, origin, reason, actor, evidence_ref, occurred_at, idempotency_key)
    SELECT id, 'resubscribe', 'team', 'Manual', 'r', 'a', 'e', now(), 'evidence ' || id
    FROM engagement.person WHERE id % 100 = 5
    RETURNING id, person_id
)
INSERT INTO engagement.unsubscribe
    (person_id, kind, scope, origin, caused_by, occurred_at, idempotency_key)
SELECT person_id, 'resubscribe', 'team', 'Salesforce Sync', 'act:' || id, now(), 'clear ' || id
FROM evidence
"""
LOOK_UPS = [
    """SELECT s.is_opted_out FROM engagement.person AS p
    JOIN engagement.person_opt_out AS s ON s.person_id = p.id WHERE p.id IN (5, 6, 7)""",
    "SELECT * FROM engagement.standing_opt_out WHERE person_id = ANY (ARRAY[5, 6, 7])",
    "SELECT * FROM engagement.open_resubscribe WHERE person_id = ANY (ARRAY[5, 6, 7])",
]
STATE_OF_THREE = "SELECT * FROM engagement.states_of(ARRAY[5, 6, 7], ARRAY['team'], false)"


@pytest.fixture
def crowd(engine: Engine) -> Engine:
    """20,000 people with two opt-outs each; evidence ended those of every hundredth."""
    with transaction(engine) as conn:
        add_people(conn, 20_000)
        conn.execute(text(MANY_ACTS))
        conn.execute(text(MANY_CLEARS))
        conn.execute(text("ANALYZE engagement.person, engagement.unsubscribe"))
    return engine


@pytest.mark.parametrize("look_up", LOOK_UPS)
def test_looking_up_three_people_reads_three_people(crowd: Engine, look_up: str) -> None:
    with transaction(crowd) as conn:
        plan = "\n".join(conn.execute(text(f"EXPLAIN {look_up}")).scalars())
    assert "Seq Scan" not in plan
    assert "Hash" not in plan
    assert "Index Scan" in plan


def test_the_states_of_three_people_cost_what_three_people_cost(crowd: Engine) -> None:
    with transaction(crowd) as conn:
        lines = conn.execute(text(f"EXPLAIN (ANALYZE, BUFFERS) {STATE_OF_THREE}")).scalars()
        (pages,) = re.findall(
            r"Buffers: shared hit=(\d+)", next(x for x in lines if "Buffers" in x)
        )
    assert int(pages) < 200  # everybody's acts fill a thousand


def test_everybodys_state_is_joined_and_not_looked_up_one_by_one(crowd: Engine) -> None:
    with transaction(crowd) as conn:
        states = text("EXPLAIN SELECT * FROM engagement.person_states(ARRAY['team'], false)")
        plan = "\n".join(conn.execute(states).scalars())
    assert "Hash" in plan
    assert "Anti Join" in plan
    assert "Function Scan" not in plan
    assert "SubPlan" not in plan


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


@pytest.mark.parametrize(
    "cause",
    [
        "",
        "Contact 003000000000001AAA",
        "act:",
        "act:0",
        "act:one",
        "act:99999999999999999999",
        "salesforce:003000000000001AAA",
        "salesforce:003000000000001:HasOptedOutOfEmail",
        f"{BOX}@yesterday",
        f"{BOX}@2026-02-31T00:00:00Z",
        f"{BOX}@2026-11-22T04:00:00+01",
    ],
)
@pytest.mark.parametrize("kind", ["unsubscribe", "resubscribe"])
def test_an_act_of_the_sync_with_a_cause_that_nobody_can_read_is_refused(
    engine: Engine, kind: str, cause: str
) -> None:
    with pytest.raises(StoreRefusedError, match="SQLSTATE 2"), transaction(engine) as conn:
        add_act(conn, add_people(conn, 1)[0], kind=kind, origin=SYNC, caused_by=cause)


@pytest.mark.parametrize("cause", ["act:7", BOX, f"{BOX}@2026-11-22T04:00:00Z"])
def test_a_cause_names_an_act_or_a_box_and_its_time(engine: Engine, cause: str) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        act = add_act(conn, person, origin=SYNC, caused_by=cause)
        rows = conn.execute(text("SELECT act_id, caused_by FROM engagement.standing_opt_out")).all()
    assert rows == [(act, cause)]


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
