"""What the sync, an admin and an application can do, with the functions that each of them runs."""

from datetime import timedelta

import pandas as pd
import pytest
from sqlalchemy import Engine, text

from include.cli.program import main
from include.store import acts, people
from include.store.database import transaction
from include.store.errors import StoreRefusedError
from include.sync import evidence
from include.sync.evidence import Consent
from tests.conftest import Login
from tests.database.world import (
    BOX,
    NOW,
    ORG,
    add_act,
    add_people,
    add_resubscribe,
    open_run,
    record,
    standing,
)

HOUR = timedelta(hours=1)


def clear(person_id: int, cause: str) -> pd.DataFrame:
    row = {"person_id": person_id, "caused_by": cause, "idempotency_key": f"clear {person_id}"}
    return pd.DataFrame([row]).assign(occurred_at=NOW)


# The sync


def test_the_role_of_the_sync_ends_opt_outs_and_follows_records(
    engine: Engine, login: Login
) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)
        add_act(conn, one, occurred_at=NOW - 2 * HOUR)
        consent = add_resubscribe(conn, one, occurred_at=NOW - HOUR)
        manual = add_act(conn, two, origin="Manual", occurred_at=NOW - 2 * HOUR)
    writer = login("opt_out_sync_writer")
    persons, opt_outs, resubscribes = people.read_groups(writer, [one, two])
    assert [len(persons), len(opt_outs), len(resubscribes)] == [2, 2, 1]
    with transaction(writer) as conn:
        done = acts.record_clears(conn, clear(one, f"act:{consent}"), known=standing(conn))
        assert done["act_id"].notna().all()
        assert standing(conn) == [manual]
        assert acts.acts_of(conn, [manual])["is_standing"].tolist() == [True]
        rows = pd.DataFrame(
            {"person_id": [two], "from_record_id": [record(2)], "to_record_id": [record(9)]}
        )
        assert acts.relink_people(conn, rows)["is_relinked"].tolist() == [True]
        assert people.read_states(conn, [one, two])["is_opted_out"].tolist() == [False, True]


def test_the_role_of_the_sync_records_consents_too(engine: Engine, login: Login) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
    consent = Consent(person, reason="r", actor="Ada", reference="CASE-1")
    assert evidence.record(login("opt_out_sync_writer"), consent, now=NOW).is_new


# Who watches


@pytest.mark.parametrize("role", ["opt_out_analyst", "opt_out_admin", "opt_out_sync_writer"])
def test_who_watches_sees_who_waits_to_be_pushed_and_why(
    engine: Engine, login: Login, role: str
) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person)
    with transaction(login(role)) as conn:
        query = "SELECT person_id, state FROM opt_out_sync.v_push_outbox"
        assert conn.execute(text(query)).all() == [(person, "waiting")]
        assert conn.execute(text("SELECT * FROM opt_out_sync.v_open_failures")).all() == []
        assert conn.execute(text("SELECT * FROM opt_out_sync.push_pause")).all() == []


@pytest.mark.parametrize("role", ["opt_out_analyst", "opt_out_admin", ""])
def test_only_the_sync_works_on_the_outbox(engine: Engine, login: Login, role: str) -> None:
    whoever = login(role)
    for table in ("push_signal", "push_outbox"):
        with pytest.raises(StoreRefusedError, match="42501"), transaction(whoever) as conn:
            conn.execute(text(f"DELETE FROM opt_out_sync.{table}"))


# The admin


def run_as_admin(login: Login, *command: str) -> int:
    url = login("opt_out_admin").url.render_as_string(hide_password=False)
    return main(["--database-url", url, *command])


@pytest.mark.parametrize(
    "command",
    [
        "resubscribe 1 --reason r --actor Ada --reference CASE-1",
        "resubscriptions --person 1",
        "explain 1",
        "settings show",
        "settings history",
        "settings set --enable --by Ada --note why",
        "org show",
        f"org confirm {ORG} --by Ada --note why",
        "held",
        "release 1 --by Ada --note why",
    ],
)
def test_an_admin_can_run_the_commands_of_an_admin(
    engine: Engine, login: Login, command: str
) -> None:
    open_run(engine)
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person)
    assert run_as_admin(login, *command.split()) == 0


def test_consent_that_an_admin_records_says_whether_the_person_is_opted_out(
    engine: Engine, login: Login
) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person)
    consent = Consent(person, reason="r", actor="Ada", reference="CASE-1", approver="Grace")
    admin = login("opt_out_admin")
    done = evidence.record(admin, consent, now=NOW)
    assert evidence.record(admin, consent, now=NOW + HOUR).act_id == done.act_id
    with transaction(engine) as conn:
        query = "SELECT * FROM engagement.unsubscribe WHERE id = :id"
        act = conn.execute(text(query), {"id": done.act_id}).one()
    assert (act.kind, act.origin, act.approver, act.occurred_at) == (
        "resubscribe",
        "Manual",
        "Grace",
        NOW,
    )


def recorded(kind: str, origin: str, caused_by: str | None) -> str:
    cause = f"'{caused_by}'" if caused_by else "null"
    return (
        f"SELECT engagement.record_act(1, '{kind}', 'team', '{origin}', 'r', 'a', null, 'e', "
        f"{cause}, now(), 'k')"
    )


@pytest.mark.parametrize(
    "statement",
    [
        recorded("resubscribe", "Salesforce Sync", BOX),
        recorded("unsubscribe", "Salesforce Sync", BOX),
        recorded("unsubscribe", "Manual", None),
        f"SELECT engagement.relink_person(1, '{record(1)}', '{record(2)}')",
        "SELECT engagement.lock_people(ARRAY[1])",
    ],
)
def test_an_admin_adds_no_act_but_evidence(engine: Engine, login: Login, statement: str) -> None:
    with transaction(engine) as conn:
        add_people(conn, 1)
    with (
        pytest.raises(StoreRefusedError, match="42501"),
        transaction(login("opt_out_admin")) as conn,
    ):
        conn.execute(text(statement))


@pytest.mark.parametrize(
    ("origin", "reason", "actor", "reference"),
    [
        ("Manual", " ", "Ada", "CASE-1"),
        ("Manual", "asked", "", "CASE-1"),
        ("Manual", "asked", "Ada", None),
        ("One-Click", "asked", "Ada", "CASE-1"),
        ("Salesforce Sync", "asked", "Ada", "CASE-1"),
        (None, "asked", "Ada", "CASE-1"),
    ],
)
def test_what_is_no_evidence_is_refused_by_the_database_too(
    engine: Engine,
    login: Login,
    origin: str | None,
    reason: str,
    actor: str,
    reference: str | None,
) -> None:
    with transaction(engine) as conn:
        add_people(conn, 1)
    call = "SELECT engagement.record_consent(1, :origin, :reason, :actor, NULL, :ref, now(), 'k')"
    values = {"origin": origin, "reason": reason, "actor": actor, "ref": reference}
    with (
        pytest.raises(StoreRefusedError, match="consent"),
        transaction(login("opt_out_admin")) as conn,
    ):
        conn.execute(text(call), values)


# The application


@pytest.fixture
def application(engine: Engine, login: Login) -> Engine:
    """A login with the rights that the README gives to an application, and no other."""
    member = login()
    with transaction(engine) as conn:
        user = member.url.username
        conn.execute(text(f"GRANT USAGE ON SCHEMA engagement TO {user}"))
        conn.execute(text(f"GRANT EXECUTE ON FUNCTION engagement.record_act TO {user}"))
        add_people(conn, 2)
    return member


def sync_act(person: int = 1, key: str = "k") -> str:
    return f"SELECT engagement.record_sync_act({person}, 'unsubscribe', '{BOX}', now(), '{key}')"


def test_an_application_records_acts(application: Engine) -> None:
    with transaction(application) as conn:
        act = conn.execute(text(recorded("unsubscribe", "Manual", None))).scalar_one()
        assert conn.execute(text(recorded("unsubscribe", "Manual", None))).scalar_one() == act


@pytest.mark.parametrize("kind", ["unsubscribe", "resubscribe"])
def test_nobody_records_an_act_in_the_name_of_the_sync(
    engine: Engine, application: Engine, kind: str
) -> None:
    for whoever in (application, engine):
        with (
            pytest.raises(StoreRefusedError, match="only the sync itself adds acts of the origin"),
            transaction(whoever) as conn,
        ):
            conn.execute(text(recorded(kind, "Salesforce Sync", BOX)))


@pytest.mark.parametrize(
    "statement",
    [
        sync_act(),
        "SELECT engagement.add_act(1, 'unsubscribe', 'team', 'Salesforce Sync', null, null, null, "
        f"null, '{BOX}', now(), 'k', null)",
    ],
)
@pytest.mark.parametrize("role", ["opt_out_admin", "application"])
def test_what_adds_the_acts_of_the_sync_is_the_syncs_alone(
    request: pytest.FixtureRequest, login: Login, role: str, statement: str
) -> None:
    whoever = login(role) if role != "application" else request.getfixturevalue("application")
    with pytest.raises(StoreRefusedError, match="42501"), transaction(whoever) as conn:
        conn.execute(text(statement))


def test_the_role_of_the_sync_adds_acts_in_its_own_name_alone(engine: Engine, login: Login) -> None:
    with transaction(engine) as conn:
        add_people(conn, 1)
    writer = login("opt_out_sync_writer")
    with transaction(writer) as conn:
        act = conn.execute(text(sync_act())).scalar_one()
        query = "SELECT act_id, kind, caused_by FROM engagement.sync_act"
        assert conn.execute(text(query)).one() == (act, "unsubscribe", BOX)
    with pytest.raises(StoreRefusedError, match="42501"), transaction(writer) as conn:
        conn.execute(text(recorded("unsubscribe", "Manual", None)))


def test_a_key_of_an_application_is_no_act_of_the_sync(engine: Engine, application: Engine) -> None:
    with transaction(application) as conn:
        conn.execute(text(recorded("unsubscribe", "Manual", None)))
    with pytest.raises(StoreRefusedError, match="another act"), transaction(engine) as conn:
        conn.execute(text(sync_act()))
    with transaction(engine) as conn:
        conn.execute(text(sync_act(2, "other")))
    statement = (
        recorded("unsubscribe", "Manual", None).replace("(1,", "(2,").replace("'k'", "'other'")
    )
    with pytest.raises(StoreRefusedError, match="another act"), transaction(application) as conn:
        conn.execute(text(statement))
