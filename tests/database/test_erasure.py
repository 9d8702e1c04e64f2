"""Erasure leaves a hash that names nobody, and an address that comes back starts opted out."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from include.store.database import transaction
from include.store.erasure import erase_person
from include.store.errors import UnknownPersonError
from tests.database.world import CANARY, NOW, add_act, add_clear, add_people, add_resubscribe

HOUR = timedelta(hours=1)


def erase(conn, person):
    return erase_person(conn, person, by="Ada", note="asked for it", now=NOW)


def imported(conn, email):
    query = "INSERT INTO engagement.person (email) VALUES (:email) RETURNING id"
    return conn.execute(text(query), {"email": email}).scalar_one()


def states(conn, person):
    query = "SELECT scope, origin, at FROM engagement.standing_opt_out WHERE person_id = :p"
    return [tuple(row) for row in conn.execute(text(query), {"p": person})]


def everything(conn):
    """Every row of both schemas, as text."""
    tables = conn.execute(
        text(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname IN ('engagement', 'opt_out_sync')"
        )
    ).scalars()
    return "\n".join(
        row
        for table in list(tables)
        for row in conn.execute(text(f"SELECT to_jsonb(t)::text FROM {table} AS t")).scalars()
    )


def test_nothing_of_an_erased_person_is_left_but_numbers_and_a_hash(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, reason="mail me at " + CANARY)
        assert CANARY in everything(conn)
        assert erase(conn, person) == 1
        left = everything(conn)
        assert CANARY not in left
        assert "canary" not in left.lower()
        (row,) = conn.execute(text("SELECT * FROM opt_out_sync.erasure")).mappings()
        assert (row["person_id"], row["erased_by"], row["opt_outs"]) == (person, "Ada", 1)


@pytest.mark.parametrize("again", [CANARY, CANARY.upper(), f"  {CANARY} "])
def test_an_address_that_is_imported_again_starts_opted_out(engine: Engine, again: str) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, origin="Complaint", occurred_at=NOW - HOUR)
        add_act(conn, person, scope="sender", occurred_at=NOW - 2 * HOUR)
        erase(conn, person)
        back, other = imported(conn, again), imported(conn, "somebody@example.com")
        assert sorted(states(conn, back)) == [
            ("sender", "Clicked Link", NOW - 2 * HOUR),
            ("team", "Complaint", NOW - HOUR),
        ]
        assert states(conn, other) == []


def test_somebody_who_gets_the_address_of_an_erased_person_is_opted_out(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person)
        erase(conn, person)
        other = imported(conn, "somebody@example.com")
        update = "UPDATE engagement.person SET email = :email WHERE id = :p"
        for _ in range(2):
            conn.execute(text(update), {"email": CANARY, "p": other})
        assert states(conn, other) == [("team", "Clicked Link", NOW)]


def test_many_are_imported_in_one_statement(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person)
        erase(conn, person)
        add_people(conn, 3)
        query = "SELECT count(*) FROM engagement.person_opt_out WHERE is_opted_out"
        assert conn.execute(text(query)).scalar_one() == 3


def test_an_opt_out_that_the_sync_carried_over_comes_back_too(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, origin="Salesforce Sync", caused_by="act:1")
        erase(conn, person)
        assert states(conn, imported(conn, CANARY)) == [("team", "Import", NOW)]


def test_an_opt_out_that_had_ended_does_not_come_back(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, occurred_at=NOW - 2 * HOUR)
        add_clear(conn, person, add_resubscribe(conn, person, occurred_at=NOW - HOUR))
        assert erase(conn, person) == 0
        assert states(conn, imported(conn, CANARY)) == []


def test_consent_after_the_return_ends_it(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, occurred_at=NOW - 2 * HOUR)
        erase(conn, person)
        back = imported(conn, CANARY)
        add_clear(
            conn, back, add_resubscribe(conn, back, occurred_at=NOW + HOUR, recorded_at=NOW + HOUR)
        )
        assert states(conn, back) == []


def test_the_hash_of_another_database_is_another_one(engine: Engine, empty_engine: Engine) -> None:
    """A list of addresses cannot be tried against it without the keys."""
    from include.migrations.upgrade import upgrade

    upgrade(empty_engine)
    query = text("SELECT engagement.address_hash(:email)")
    hashes = []
    for each in (engine, empty_engine):
        with transaction(each) as conn:
            hashes.append(bytes(conn.execute(query, {"email": CANARY}).scalar_one()))
    assert hashes[0] != hashes[1]
    assert {len(each) for each in hashes} == {32}


def test_nobody_can_be_erased_twice(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        erase(conn, person)
        with pytest.raises(UnknownPersonError, match="is not in the store"):
            erase(conn, person)
