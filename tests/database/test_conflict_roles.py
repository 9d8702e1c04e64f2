"""Who may judge, hold, confirm and release; what analysts read of it; the way back."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from include.audit import decisions, held, judgements, links, orgs, runs, settings, writes
from include.audit.settings import FieldMode, Settings
from include.migrations.upgrade import downgrade, upgrade
from include.store.database import transaction
from include.store.errors import StoreRefusedError
from tests.conftest import Login
from tests.database import world
from tests.database.test_held import clears
from tests.database.test_judgements import ACCEPTED, EVIDENCE, RESUBSCRIBE, judged
from tests.database.test_links import link_frame
from tests.database.world import CANARY, FIELD, NOW, ORG, add_act, add_people, open_run

SECOND = timedelta(seconds=1)


def test_the_role_of_the_sync_judges_holds_covers_and_counts(login: Login) -> None:
    writer = login("opt_out_sync_writer")
    run = open_run(writer)
    with transaction(writer) as conn:
        decisions.record_decisions(conn, run, clears(1), now=NOW)
        assert judgements.record_judgements(conn, run, judged(7, **ACCEPTED), now=NOW) == 1
        assert held.hold(conn, run, clears(1), now=NOW) == 1
        assert held.resolve(conn, run, clears(1), "cleared", now=NOW) == 1
        assert held.open_held(conn, ORG).empty
        assert judgements.judged_before(conn).empty
        assert links.cover_links(conn, run, link_frame(1, evidence_id=7), now=NOW) == 1
        assert links.retire_links(conn, run, link_frame(2), now=NOW) == 1
        assert links.count_links(conn, ORG) == 1
        assert writes.recent_clears(conn, ORG, NOW) == 0
        assert writes.acts_of_run(conn, run.id).empty
        assert not orgs.is_confirmed(conn, ORG)
        assert orgs.known(conn) == [ORG]
        assert links.count_flips(conn, run, now=NOW) == 0
        assert links.move_bases(conn, run, now=NOW) == 0
        runs.close(conn, run, {}, now=NOW)
    assert writes.own_writes(writer, ORG, [world.record(1)], [FIELD]).empty
    assert len(links.read_links(writer, ORG, person_ids=[1])) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE opt_out_sync.resubscribe_judgement SET code = 'x'",
        "DELETE FROM opt_out_sync.resubscribe_judgement",
        "DELETE FROM opt_out_sync.held_clear",
        "INSERT INTO opt_out_sync.org_confirmation VALUES ('x', now(), 'x', 'x')",
        "INSERT INTO opt_out_sync.link_release (released_at, released_by, note, person_id, links) "
        "VALUES (now(), 'x', 'x', 1, 1)",
    ],
)
def test_the_role_of_the_sync_answers_nothing_for_a_person(login: Login, statement: str) -> None:
    writer = login("opt_out_sync_writer")
    with pytest.raises(StoreRefusedError, match="42501"), transaction(writer) as conn:
        conn.execute(text(statement))


def test_an_admin_chooses_confirms_and_releases(engine: Engine, login: Login) -> None:
    run = open_run(engine)
    with transaction(engine) as conn:
        links.cover_links(conn, run, link_frame(1, evidence_id=7), now=NOW)
        conn.execute(text("UPDATE opt_out_sync.link SET flips = 3"))
    admin = login("opt_out_admin")
    with transaction(admin) as conn:
        chosen = Settings(enabled=True, field_mode=FieldMode.BOTH)
        settings.save(conn, chosen, saved_by="Ada", note="why", now=NOW)
        assert settings.history(conn)[0].settings == chosen
        assert orgs.known(conn) == [ORG]
        assert orgs.confirm(conn, ORG, by="Ada", note="looked", now=NOW)
        assert links.release(conn, 1, by="Ada", note="the flow is off", now=NOW) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT email FROM engagement.person",
        "INSERT INTO engagement.unsubscribe (person_id) VALUES (1)",
        "UPDATE opt_out_sync.link SET base = false",
        "UPDATE opt_out_sync.link SET evidence_id = 1",
        "INSERT INTO opt_out_sync.resubscribe_judgement (act_id) VALUES (1)",
        "UPDATE opt_out_sync.held_clear SET resolution = 'cleared'",
        "UPDATE opt_out_sync.sync_run SET state = 'closed'",
        "INSERT INTO opt_out_sync.merge_audit (code) VALUES ('x')",
    ],
)
def test_an_admin_is_refused_what_runs_do(login: Login, statement: str) -> None:
    admin = login("opt_out_admin")
    with pytest.raises(StoreRefusedError, match="42501"), transaction(admin) as conn:
        conn.execute(text(statement))


# What analysts read


def fill(engine: Engine) -> None:
    """One row at least for every view, with typed text and an address beside them."""
    run = open_run(engine)
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        typed = dict.fromkeys(EVIDENCE, CANARY)
        act = add_act(conn, person, **RESUBSCRIBE, **typed)
        frame = world.decisions([person], target_salesforce=False)
        decisions.record_decisions(conn, run, frame, now=NOW)
        judgements.record_judgements(conn, run, judged(act, **ACCEPTED), now=NOW)
        held.hold(conn, run, clears(person), now=NOW)
        links.cover_links(conn, run, link_frame(person, evidence_id=act), now=NOW)
        conn.execute(text("UPDATE opt_out_sync.link SET flips = 3"))
        assert links.release(conn, person, by=CANARY, note=CANARY, now=NOW) == 1


@pytest.mark.parametrize(
    "view", ["v_night", "v_resubscribe", "v_held_clears", "v_conflicts", "v_person_timeline"]
)
def test_an_analyst_reads_the_views_and_meets_nothing_that_was_typed(
    engine: Engine, login: Login, view: str
) -> None:
    fill(engine)
    with transaction(login("opt_out_analyst")) as conn:
        rows = conn.execute(text(f"SELECT * FROM opt_out_sync.{view}")).all()
    assert rows
    assert "canary" not in str(rows)


@pytest.mark.parametrize(
    "table", ["resubscribe_judgement", "held_clear", "org_confirmation", "link_release"]
)
def test_an_analyst_is_refused_the_tables(login: Login, table: str) -> None:
    analyst = login("opt_out_analyst")
    with pytest.raises(StoreRefusedError, match="42501"), transaction(analyst) as conn:
        conn.execute(text(f"SELECT * FROM opt_out_sync.{table}"))


def test_a_release_is_part_of_the_persons_story(engine: Engine) -> None:
    fill(engine)
    query = "SELECT * FROM opt_out_sync.v_person_timeline WHERE what = 'release'"
    with transaction(engine) as conn:
        row = conn.execute(text(query)).one()
    assert (row.at, row.side, row.code, row.sync_run_id) == (NOW, "salesforce", "RELEASED", None)
    assert row.detail == "Salesforce may be written again: 1 of the links were released."


def test_conflicts_are_decisions_that_write_or_gave_up(engine: Engine) -> None:
    run = open_run(engine)
    nothing = {"target_salesforce": None}
    with transaction(engine) as conn:
        for person, columns in enumerate(
            (
                {},
                nothing | {"code": "BOTH_OPTED_OUT"},
                nothing | {"target_store": False, "code": "RESUBSCRIBED"},
                nothing | {"code": "TUG_OF_WAR"},
            )
        ):
            frame = world.decisions([person], **columns)
            decisions.record_decisions(conn, run, frame, now=NOW + person * SECOND)
        rows = conn.execute(text("SELECT * FROM opt_out_sync.v_conflicts")).all()
    assert [(row.person_id, row.code) for row in rows] == [
        (3, "TUG_OF_WAR"),
        (2, "RESUBSCRIBED"),
        (0, "UNSUBSCRIBED_IN_STORE"),
    ]
    assert {(row.kind, row.night, row.plan_only) for row in rows} == {("night", run.night, False)}


# The way back


def write_without_a_record(conn: Connection, run: runs.Run) -> None:
    nowhere = {"record_id": None, "object": None, "field": None, "side": "store", "target": False}
    writes.record_outcomes(conn, run, world.outcomes([1], "applied", **nowhere), now=NOW)
    writes.record_outcomes(conn, run, world.outcomes([2], "applied"), now=NOW)


def test_a_downgrade_loses_only_what_the_older_release_cannot_hold(engine: Engine) -> None:
    run = open_run(engine)
    with transaction(engine) as conn:
        write_without_a_record(conn, run)
    downgrade(engine, "0004")
    with transaction(engine) as conn:
        kept = conn.execute(text("SELECT person_id FROM opt_out_sync.write_attempt")).scalars()
        assert list(kept) == [2]
    with pytest.raises(StoreRefusedError, match="insert-only"), transaction(engine) as conn:
        conn.execute(text("DELETE FROM opt_out_sync.write_attempt"))
    upgrade(engine)


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        (Settings(enabled=True), {"enabled": True}),
        (Settings(enabled=True, field_mode=FieldMode.BOTH), {"field_mode": "email_opt_out"}),
        (Settings(enabled=True, conflict_rule="changed_side"), {"conflict_rule": "opt_out_wins"}),
    ],
)
def test_a_downgrade_keeps_no_choice_that_the_older_release_would_misread(
    engine: Engine, chosen: Settings, left: dict[str, object]
) -> None:
    with transaction(engine) as conn:
        settings.save(conn, chosen, saved_by="Ada", note="why", now=NOW)
    downgrade(engine, "0004")
    newest = "SELECT document FROM opt_out_sync.settings_version ORDER BY version DESC LIMIT 1"
    with transaction(engine) as conn:
        document = conn.execute(text(newest)).scalar_one()
        oldest = "SELECT document FROM opt_out_sync.settings_version WHERE version = 1"
        assert set(document) == set(conn.execute(text(oldest)).scalar_one())
    assert document["enabled"] is (left == {"enabled": True})  # off where the choice is lost
    assert document | left == document
    with pytest.raises(StoreRefusedError, match="insert-only"), transaction(engine) as conn:
        conn.execute(text("UPDATE opt_out_sync.settings_version SET note = 'x'"))
    upgrade(engine)


def test_settings_of_a_newer_release_are_not_guessed_at(engine: Engine) -> None:
    document = json.dumps({"enabled": True, "colour": "green", "conflict_rule": "latest_change"})
    insert = """
    INSERT INTO opt_out_sync.settings_version (saved_at, saved_by, note, document)
    VALUES (:now, 'Ada', 'why', CAST(:document AS jsonb))
    """
    with transaction(engine) as conn:
        conn.execute(text(insert), {"now": NOW, "document": document})
    with (
        pytest.raises(
            settings.UnreadableSettingsError,
            match="version 2 was saved by another release, this one does not understand "
            "colour, conflict_rule: install",
        ),
        transaction(engine) as conn,
    ):
        settings.current(conn)


def test_a_downgrade_takes_the_admins_rights(engine: Engine) -> None:
    granted = """
    SELECT count(*) FROM pg_shdepend
    WHERE refobjid = 'opt_out_admin'::regrole
      AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    downgrade(engine, "0003")
    with transaction(engine) as conn:
        assert conn.execute(text(granted)).scalar_one() == 0
    upgrade(engine)
    with transaction(engine) as conn:
        assert conn.execute(text(granted)).scalar_one() > 0
