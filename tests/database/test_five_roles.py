"""What each role may not do: one statement after the other, each refused for want of a right."""

import os
from collections.abc import Callable, Iterator

import psycopg2.errors
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from include.store.database import connect, transaction
from tests.database.world import CANARY, add_act, add_people

Login = Callable[[str], Engine]
ANALYST, SUPPORT = "opt_out_analyst", "opt_out_support"
ADMIN, SYNC = "opt_out_admin", "opt_out_sync_writer"
ADDRESS = "SELECT email FROM engagement.person"
FORBIDDEN = {
    ANALYST: [
        ADDRESS,
        "SELECT * FROM engagement.unsubscribe",
        "SELECT * FROM opt_out_sync.merge_audit",
        "SELECT * FROM opt_out_sync.erasure",
        "SELECT * FROM opt_out_sync.look_up_person(1, NULL, 'why')",
        "SELECT engagement.erase_person(1, 'me', 'why', now())",
        "SELECT engagement.address_hash('a@example.com')",
        "INSERT INTO opt_out_sync.settings_version (saved_at, saved_by, note, document) "
        "VALUES (now(), 'me', 'x', '{}')",
    ],
    SUPPORT: [
        ADDRESS,
        "SELECT * FROM engagement.unsubscribe",
        "SELECT * FROM opt_out_sync.look_up",
        "DELETE FROM opt_out_sync.look_up",
        "INSERT INTO opt_out_sync.look_up (reason) VALUES ('x')",
        "SELECT engagement.erase_person(1, 'me', 'why', now())",
        "SELECT engagement.record_act(1, 'unsubscribe', 'team', 'Manual', NULL, NULL, NULL, NULL, "
        "NULL, now(), 'k')",
    ],
    ADMIN: [
        ADDRESS,
        "SELECT * FROM engagement.erasure_key",
        "SELECT * FROM engagement.erased_opt_out",
        "SELECT * FROM opt_out_sync.look_up_person(1, NULL, 'why')",
        "UPDATE opt_out_sync.settings_version SET note = 'x'",
        "DELETE FROM opt_out_sync.merge_audit",
        "UPDATE opt_out_sync.write_attempt SET outcome = 'confirmed'",
        "INSERT INTO opt_out_sync.merge_audit (decided_at, sync_run_id, org_id, person_id, rule, "
        "code, reason) VALUES (now(), 1, 'x', 1, 'x', 'x', 'x')",
        "INSERT INTO opt_out_sync.erasure (erased_at, erased_by, note, person_id, opt_outs) "
        "VALUES (now(), 'x', 'x', 1, 0)",
    ],
    SYNC: [
        ADDRESS,
        "UPDATE engagement.person SET salesforce_id = NULL",
        "DELETE FROM engagement.person",
        "INSERT INTO engagement.unsubscribe (person_id, kind, scope, origin, occurred_at, "
        "idempotency_key) VALUES (1, 'unsubscribe', 'team', 'Manual', now(), 'k')",
        "UPDATE opt_out_sync.merge_audit SET code = 'AGREED'",
        "DELETE FROM opt_out_sync.write_attempt",
        "UPDATE opt_out_sync.resubscribe_judgement SET verdict = 'accepted'",
        "SELECT * FROM engagement.erasure_key",
        "SELECT engagement.erase_person(1, 'me', 'why', now())",
        "SELECT * FROM opt_out_sync.look_up_person(1, NULL, 'why')",
    ],
}


@pytest.fixture
def login(engine: Engine) -> Iterator[Login]:
    """Makes a login that is a member of one role and owns nothing."""
    opened: list[tuple[str, Engine]] = []

    def log_in(role: str) -> Engine:
        name = f"opt_out_five_{role[-6:]}_{os.getpid()}"
        with transaction(engine) as conn:
            conn.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE {role}"))
        opened.append((name, connect(engine.url.set(username=name, password="x"))))
        return opened[-1][1]

    yield log_in
    for name, member in opened:
        member.dispose()
        with transaction(engine) as conn:
            conn.execute(text(f"DROP ROLE {name}"))


@pytest.mark.parametrize("role", FORBIDDEN)
def test_a_role_is_refused_what_is_not_its_business(login: Login, role: str) -> None:
    member = login(role)
    for statement in FORBIDDEN[role]:
        with member.connect() as conn, pytest.raises(DBAPIError) as refused:
            conn.execute(text(statement))
        assert isinstance(refused.value.orig, psycopg2.errors.InsufficientPrivilege), statement


def test_the_owner_itself_cannot_change_evidence(engine: Engine) -> None:
    """Whoever migrates owns the tables: the triggers hold for them, too."""
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person)
    for statement in (
        "UPDATE engagement.unsubscribe SET kind = 'resubscribe'",
        "DELETE FROM engagement.unsubscribe",
        "TRUNCATE opt_out_sync.look_up",
        "TRUNCATE opt_out_sync.erasure",
    ):
        with engine.connect() as conn, pytest.raises(DBAPIError) as refused:
            conn.execute(text(statement))
        assert refused.value.orig.pgcode == "OS001", statement


def test_support_sees_an_address_and_each_look_up_is_written_down(
    engine: Engine, login: Login
) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person)
    support = login(SUPPORT)
    query = text("SELECT * FROM opt_out_sync.look_up_person(:id, :address, :why)")
    with support.begin() as conn:
        by_id = conn.execute(query, {"id": person, "address": None, "why": "CASE-1"}).one()
        by_address = conn.execute(
            query, {"id": None, "address": CANARY.upper(), "why": "CASE-2"}
        ).one()
        nobody = conn.execute(
            query, {"id": None, "address": "x@example.com", "why": "CASE-3"}
        ).all()
        assert conn.execute(text("SELECT * FROM opt_out_sync.opt_out_at(1, now())")).all()
    assert (by_id.email, by_id.is_opted_out, nobody) == (CANARY, True, [])
    assert by_address == by_id
    with transaction(engine) as conn:
        rows = conn.execute(text("SELECT * FROM opt_out_sync.look_up ORDER BY id")).all()
    assert [(row.reason, row.person_id) for row in rows] == [
        ("CASE-1", person),
        ("CASE-2", person),
        ("CASE-3", None),
    ]
    assert {row.looked_up_by for row in rows} == {support.url.username}
    assert "example" not in str(rows)


def test_a_look_up_without_a_reason_shows_nothing(login: Login) -> None:
    query = text("SELECT * FROM opt_out_sync.look_up_person(1, NULL, ' ')")
    with login(SUPPORT).connect() as conn, pytest.raises(DBAPIError, match="look_up_reason_check"):
        conn.execute(query)


def test_an_admin_erases_a_person(engine: Engine, login: Login) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
    with login(ADMIN).begin() as conn:
        query = text("SELECT engagement.erase_person(:p, 'Ada', 'asked', now())")
        assert conn.execute(query, {"p": person}).scalar_one() == 0
