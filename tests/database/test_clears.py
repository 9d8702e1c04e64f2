"""What ends an opt-out, and what a clear must not run over."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Connection, Engine, text

from include.store import acts, people
from include.store.database import transaction
from include.store.errors import IncompleteEvidenceError, StoreRefusedError, UnknownPersonError
from tests.database.world import (
    BOX,
    NOW,
    add_act,
    add_clear,
    add_people,
    add_resubscribe,
    standing,
)

BY_THE_PERSON = ["Clicked Link", "One-Click", "Complaint"]
BY_OTHERS = ["Manual", "Import", "Bounce"]
SYNC = "Salesforce Sync"
UNPROVEN = {"reason": None, "actor": None, "evidence_ref": None}


def hour(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def happened(hours: float) -> dict[str, datetime]:
    """Columns of an act that was recorded as it happened."""
    return {"occurred_at": hour(hours), "recorded_at": hour(hours)}


# -- what a clear ends; its evidence is of 01:00, the clear of 02:00


@dataclass(frozen=True)
class Case:
    """An unsubscribe, and the resubscribe that a clear carries."""

    origin: str
    is_ended: bool
    occurred: float = 0
    recorded: float | None = None  # as it happened
    is_imported: bool = False  # recorded after the clear
    by: str = "Manual"
    proof: dict[str, None] | None = None

    @property
    def unsubscribe(self) -> dict[str, Any]:
        recorded = self.occurred if self.recorded is None else self.recorded
        times = {"occurred_at": hour(self.occurred), "recorded_at": hour(recorded)}
        return {"origin": self.origin, **times}


CASES = {
    **{
        f"what happened before, {origin}, ends with evidence": Case(origin, is_ended=True)
        for origin in ["Clicked Link", "One-Click", *BY_OTHERS]
    },
    **{
        f"what happened after, {origin}, stands whatever its id is": Case(
            origin, is_ended=False, occurred=1.5, by="Clicked Link"
        )
        for origin in [*BY_THE_PERSON, *BY_OTHERS]
    },
    **{
        f"without evidence {origin} stands": Case(origin, is_ended=False, proof=UNPROVEN)
        for origin in BY_THE_PERSON
    },
    **{
        f"without evidence {origin} ends": Case(origin, is_ended=True, proof=UNPROVEN)
        for origin in BY_OTHERS
    },
    "imported later, dated before": Case("Import", is_ended=True, recorded=3, is_imported=True),
    "imported later, dated after": Case(
        "Import", is_ended=False, occurred=1.5, recorded=3, is_imported=True
    ),
    "dated in the future counts from when it was known": Case(
        "Manual", is_ended=True, occurred=99, recorded=0
    ),
    "equal time and an older id": Case("Manual", is_ended=True, occurred=1),
    "equal time and a newer id": Case("Manual", is_ended=False, occurred=1, is_imported=True),
    "a complaint stands against a colleague's evidence": Case("Complaint", is_ended=False),
    "a complaint stands against the person's unproven opt-in": Case(
        "Complaint", is_ended=False, by="Clicked Link", proof=UNPROVEN
    ),
    "a complaint ends with the person's opt-in": Case(
        "Complaint", is_ended=True, by="Clicked Link"
    ),
    "a complaint ends with the person's one click": Case(
        "Complaint", is_ended=True, by="One-Click"
    ),
    "a complaint stands against an import": Case("Complaint", is_ended=False, by="Import"),
}


@pytest.mark.parametrize("scope", ["team", "sender"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_ends_with_the_persons_own_resubscribe(engine: Engine, case: Case, scope: str) -> None:
    with engine.connect() as conn:
        (person,) = add_people(conn, 1)
        columns = case.unsubscribe | {"scope": scope}
        act = None if case.is_imported else add_act(conn, person, **columns)
        evidence = add_resubscribe(
            conn, person, origin=case.by, **happened(1), **(case.proof or {})
        )
        ends = [act] if case.proof else None
        add_clear(conn, person, evidence, ends=ends, **happened(2))
        act = act or add_act(conn, person, **columns)
        assert standing(conn) == ([] if case.is_ended else [act])


def test_a_resubscribe_that_is_no_evidence_ends_only_what_its_clear_knew(engine: Engine) -> None:
    with engine.connect() as conn:
        (person,) = add_people(conn, 1)
        known, unknown = (add_act(conn, person, origin="Import", **happened(0)) for _ in "12")
        plain = add_resubscribe(conn, person, **happened(1), **UNPROVEN)
        add_clear(conn, person, plain, ends=[known], **happened(2))
        assert standing(conn) == [unknown]


@pytest.mark.parametrize("missing", ["reason", "actor", "evidence_ref"])
@pytest.mark.parametrize("blank", [None, ""])
def test_evidence_needs_a_reason_an_actor_and_a_reference(
    engine: Engine, missing: str, blank: str | None
) -> None:
    with engine.connect() as conn:
        (person,) = add_people(conn, 1)
        act = add_act(conn, person, **happened(0))
        evidence = add_resubscribe(conn, person, **{missing: blank}, **happened(1))
        add_clear(conn, person, evidence, **happened(2))
        assert standing(conn) == [act]


def test_a_resubscribe_that_no_clear_names_ends_nothing(engine: Engine) -> None:
    with engine.connect() as conn:
        (person,) = add_people(conn, 1)
        act = add_act(conn, person, **happened(0))
        add_resubscribe(conn, person, origin="Clicked Link", **happened(1))
        assert standing(conn) == [act]


@pytest.mark.parametrize("origin", [*BY_THE_PERSON, *BY_OTHERS])
def test_somebody_elses_evidence_ends_nothing_of_the_person(engine: Engine, origin: str) -> None:
    with engine.connect() as conn:
        one, other = add_people(conn, 2)
        act = add_act(conn, one, origin=origin, **happened(0))
        evidence = add_resubscribe(conn, other, origin="Clicked Link", **happened(1))
        add_clear(conn, one, evidence, **happened(2))
        assert standing(conn) == [act]


def test_an_erased_persons_evidence_ends_no_more_than_it_did(engine: Engine) -> None:
    with engine.connect() as conn:
        one, other = add_people(conn, 2)
        act = add_act(conn, one, origin="Manual", **happened(0))
        derived = add_act(conn, one, origin=SYNC, caused_by=BOX, **happened(0))
        evidence = add_resubscribe(conn, other, **happened(1))
        add_clear(conn, one, evidence, **happened(2))
        assert standing(conn) == [act]
        conn.execute(text("DELETE FROM engagement.person WHERE id = :id"), {"id": other})
        assert standing(conn) == [act]
        assert derived != act


def test_a_clear_that_names_an_unsubscribe_ends_nothing_of_the_person(engine: Engine) -> None:
    with engine.connect() as conn:
        (person,) = add_people(conn, 1)
        one = add_act(conn, person, origin="Manual", **happened(0))
        two = add_act(conn, person, origin="Manual", **happened(1))
        add_clear(conn, person, two, **happened(2))
        assert standing(conn) == [one, two]


@pytest.mark.parametrize("origin", BY_THE_PERSON)
def test_a_cleared_box_ends_nothing_that_the_person_did(engine: Engine, origin: str) -> None:
    with engine.connect() as conn:
        (person,) = add_people(conn, 1)
        act = add_act(conn, person, origin=origin, **happened(0))
        add_clear(conn, person, BOX, ends=[act], **happened(2))
        assert standing(conn) == [act]


@pytest.mark.parametrize("origin", BY_OTHERS)
def test_a_cleared_box_ends_what_the_plan_knew_and_nothing_else(
    engine: Engine, origin: str
) -> None:
    with engine.connect() as conn:
        (person,) = add_people(conn, 1)
        known, unknown = (add_act(conn, person, origin=origin, **happened(0)) for _ in "12")
        add_clear(conn, person, BOX, ends=[known], **happened(2))
        imported = add_act(conn, person, origin=origin, **happened(0))
        assert standing(conn) == [unknown, imported]


def test_only_a_clear_names_what_it_ends(engine: Engine) -> None:
    for columns in ({}, {"kind": "resubscribe"}, {"origin": SYNC, "caused_by": BOX}):
        with (
            pytest.raises(StoreRefusedError, match="unsubscribe_only_a_clear_ends"),
            transaction(engine) as conn,
        ):
            add_act(conn, add_people(conn, 1)[0], ends=[1], **columns)


@pytest.mark.parametrize("cause", ["own", "somebody else's", "box"])
@pytest.mark.parametrize(("seen", "is_ended"), [(0, True), (2, True), (2.5, False)])
def test_what_the_sync_wrote_ends_with_any_clear_recorded_after_its_reading_began(
    engine: Engine, cause: str, seen: float, is_ended: bool
) -> None:
    with engine.connect() as conn:
        one, other = add_people(conn, 2)
        giver = other if cause == "somebody else's" else one
        evidence = add_resubscribe(conn, giver, **happened(1))
        add_clear(conn, one, BOX if cause == "box" else evidence, **happened(2))
        late = {"occurred_at": hour(seen), "recorded_at": hour(9)}
        act = add_act(conn, one, origin=SYNC, caused_by=f"{BOX}@2026-11-30T00:00:00Z", **late)
        assert standing(conn) == ([] if is_ended else [act])


def test_a_clear_ends_nothing_of_anybody_else(engine: Engine) -> None:
    with engine.connect() as conn:
        one, other = add_people(conn, 2)
        act = add_act(conn, other, origin="Manual", **happened(0))
        add_clear(conn, one, add_resubscribe(conn, one, **happened(1)), **happened(2))
        assert standing(conn) == [act]


def test_an_opt_out_is_as_old_as_its_cause(engine: Engine) -> None:
    with engine.connect() as conn:
        one, other = add_people(conn, 2)
        own = add_act(conn, other, occurred_at=hour(9), recorded_at=hour(-2))
        for cause in (f"act:{own}", f"{BOX}@2026-11-20T10:00:00Z", BOX):
            add_act(conn, one, origin=SYNC, caused_by=cause, **happened(0))
        query = "SELECT at FROM engagement.standing_opt_out ORDER BY act_id"
        times = conn.execute(text(query)).scalars().all()
    seen = datetime.fromisoformat("2026-11-20T10:00:00+00:00")
    assert times == [hour(-2), hour(-2), seen, hour(0)]


# -- recording clears


def wanted(person_id: int, cause: int | str, **columns: Any) -> dict[str, Any]:
    caused_by = f"act:{cause}" if isinstance(cause, int) else cause
    return {
        "person_id": person_id,
        "caused_by": caused_by,
        "occurred_at": hour(-1),
        "idempotency_key": f"clear of {person_id}",
    } | columns


def clear(
    conn: Connection, *rows: dict[str, Any], known: list[int] | None = None, **choices: Any
) -> dict[int, tuple[int | None, bool]]:
    """Record clears; returns act and whether it was superseded, by person.

    The plan knew what stands, unless said otherwise.
    """
    known = standing(conn) if known is None else known
    done = acts.record_clears(conn, pd.DataFrame(rows), known=known, **choices)
    return {
        row.person_id: (None if pd.isna(row.act_id) else int(row.act_id), bool(row.is_superseded))
        for row in done.itertuples()
    }


def opted_out(conn: Connection) -> list[int]:
    query = "SELECT person_id FROM engagement.person_opt_out WHERE is_opted_out ORDER BY 1"
    return list(conn.execute(text(query)).scalars())


def test_a_clear_ends_the_opt_outs_and_names_what_it_carries(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, **happened(-5))
        add_act(conn, person, origin=SYNC, caused_by=BOX, **happened(-4))
        evidence = add_resubscribe(conn, person, **happened(-1))
        act_id, is_superseded = clear(conn, wanted(person, evidence))[person]
        query = "SELECT * FROM engagement.unsubscribe WHERE id = :id"
        act = conn.execute(text(query), {"id": act_id}).one()
        assert opted_out(conn) == []
    assert not is_superseded
    assert (act.kind, act.origin, act.caused_by) == ("resubscribe", SYNC, f"act:{evidence}")
    assert act.occurred_at == hour(-1)


def test_a_repeated_clear_adds_nothing_even_after_a_newer_opt_out(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, **happened(-5))
        row = wanted(person, add_resubscribe(conn, person, **happened(-1)))
        first = clear(conn, row)
    with transaction(engine) as conn:
        add_act(conn, person, **happened(3))
        assert clear(conn, row) == first
        query = "SELECT count(*) FROM engagement.unsubscribe WHERE origin = 'Salesforce Sync'"
        assert conn.execute(text(query)).scalar_one() == 1
        assert opted_out(conn) == [person]


def test_nothing_is_cleared_for_a_person_who_is_gone(engine: Engine) -> None:
    with transaction(engine) as conn:
        assert clear(conn, wanted(-1, BOX)) == {-1: (None, False)}


def test_nobody_asked_for_is_nobody_cleared(engine: Engine) -> None:
    with transaction(engine) as conn:
        none = pd.DataFrame([wanted(1, BOX)]).iloc[:0]
        assert acts.record_clears(conn, none, known=[]).empty


def test_asking_twice_for_one_person_is_a_mistake(engine: Engine) -> None:
    with pytest.raises(ValueError, match="one row per person"), transaction(engine) as conn:
        clear(conn, wanted(1, BOX), wanted(1, BOX))


def derived(conn: Connection, person: int) -> int:
    return add_act(conn, person, origin=SYNC, caused_by=BOX, **happened(-5))


def otherwise(conn: Connection, person: int, origin: str, hours: float) -> int:
    return add_act(conn, person, origin=origin, **happened(hours))


SUPERSEDED: dict[str, Callable[[Connection, int], object]] = {
    "newer than the evidence": lambda conn, p: otherwise(conn, p, "Manual", -0.5),
    "of the same time, and a newer id": lambda conn, p: otherwise(conn, p, "Manual", -1),
    "a complaint": lambda conn, p: otherwise(conn, p, "Complaint", -9),
}


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("happens", SUPERSEDED.values(), ids=SUPERSEDED)
def test_a_clear_by_evidence_gives_way_to_an_opt_out(
    engine: Engine, happens: Callable[[Connection, int], object], is_known: bool
) -> None:
    with transaction(engine) as conn:
        one, other = add_people(conn, 2)
        rows = [wanted(p, add_resubscribe(conn, p, **happened(-1))) for p in (one, other)]
        for person in (one, other):
            add_act(conn, person, **happened(-5))
            derived(conn, person)
        known = standing(conn)
        happens(conn, one)
        done = clear(conn, *rows, known=None if is_known else known)
        assert done[one] == (None, True)
        assert done[other][1] is False
        assert opted_out(conn) == [one]


def test_a_clear_by_evidence_ends_what_is_older_though_the_plan_did_not_know_it(
    engine: Engine,
) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        act = wanted(person, add_resubscribe(conn, person, **happened(-1)))
        otherwise(conn, person, "Import", -5)
        assert clear(conn, act, known=[])[person][1] is False
        assert standing(conn) == []


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_any_clear_gives_way_to_an_opt_out_of_the_sync_that_the_plan_did_not_know(
    engine: Engine, is_known: bool
) -> None:
    with transaction(engine) as conn:
        one, other = add_people(conn, 2)
        derived_acts = [derived(conn, person) for person in (one, other)]
        evidence = add_resubscribe(conn, one, **happened(-1))
        known = derived_acts if is_known else []
        done = clear(conn, wanted(one, evidence), wanted(other, BOX), known=known)
        assert [is_superseded for _, is_superseded in done.values()] == [not is_known] * 2


@pytest.mark.parametrize("origin", BY_THE_PERSON)
def test_a_cleared_box_gives_way_to_what_the_person_did(engine: Engine, origin: str) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, origin=origin, **happened(-5))
        assert clear(conn, wanted(person, BOX)) == {person: (None, True)}


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("carries", ["box", "resubscribe"])
def test_a_change_gives_way_to_what_the_plan_did_not_know(
    engine: Engine, carries: str, is_known: bool
) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        act = otherwise(conn, person, "Manual", -5)
        plain = add_resubscribe(conn, person, **happened(-1), **UNPROVEN)
        row = wanted(person, BOX if carries == "box" else plain)
        assert clear(conn, row, known=[act] if is_known else [])[person][1] is not is_known
        assert standing(conn) == ([] if is_known else [act])


def test_a_change_names_what_it_ends_and_evidence_does_not(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, other = add_people(conn, 2)
        known = [otherwise(conn, one, "Manual", -5), derived(conn, one)]
        otherwise(conn, other, "Manual", -5)
        evidence = add_resubscribe(conn, other, **happened(-1))
        clear(conn, wanted(one, BOX), wanted(other, evidence))
        query = "SELECT person_id, ends FROM engagement.clear ORDER BY person_id"
        assert [tuple(row) for row in conn.execute(text(query))] == [
            (one, known[:1]),
            (other, None),
        ]


def test_what_does_not_count_stops_no_clear(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)
        add_act(conn, one, scope="sender", **happened(1))
        add_act(conn, two, origin="Bounce", **happened(1))
        rows = [wanted(p, add_resubscribe(conn, p, **happened(-1))) for p in (one, two)]
        everything = {"scopes": ["team", "sender"], "with_bounces": True}
        assert [s for _, s in clear(conn, *rows, **everything).values()] == [True, True]
        assert [s for _, s in clear(conn, *rows).values()] == [False, False]


def test_evidence_of_somebody_else_clears_who_never_opted_out(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, two, giver = add_people(conn, 3)
        evidence = add_resubscribe(conn, giver, **happened(-1))
        derived(conn, one)
        add_act(conn, two, origin="Manual", **happened(-5))
        done = clear(conn, wanted(one, evidence), wanted(two, evidence))
        assert [is_superseded for _, is_superseded in done.values()] == [False, True]
        assert opted_out(conn) == [two]


def test_a_clear_whose_evidence_was_erased_is_superseded(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, giver = add_people(conn, 2)
        derived(conn, one)
        evidence = add_resubscribe(conn, giver, **happened(-1))
        conn.execute(text("DELETE FROM engagement.person WHERE id = :id"), {"id": giver})
        assert clear(conn, wanted(one, evidence)) == {one: (None, True)}


# -- two at once


@contextmanager
def beside(work: Callable[[], None], engine: Engine) -> Iterator[None]:
    """Run work in a thread until it waits for a lock; at the end it must have come through."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        while thread.is_alive() and not conn.execute(waiting).scalar_one():
            thread.join(0.01)
    assert thread.is_alive(), failures or "it did not wait"
    yield
    thread.join(30)
    assert not thread.is_alive()
    assert not failures


CLICK = """
SELECT engagement.record_act(:person, 'unsubscribe', 'team', 'Clicked Link', NULL, NULL, NULL, NULL,
                             NULL, :at, 'the click')
"""


@pytest.fixture
def consent(engine: Engine) -> dict[str, Any]:
    """A clear that is about to be recorded."""
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, **happened(-5))
        return wanted(person, add_resubscribe(conn, person, **happened(-1)))


def test_a_clear_waits_for_an_opt_out_in_progress_and_gives_way_to_it(
    engine: Engine, consent: dict[str, Any]
) -> None:
    done: dict[int, tuple[int | None, bool]] = {}

    def clear_it() -> None:
        with transaction(engine) as conn:
            done.update(clear(conn, consent))

    person = consent["person_id"]
    with engine.connect() as conn:
        conn.execute(text(CLICK), {"person": person, "at": hour(1)})
        with beside(clear_it, engine):
            conn.commit()
        assert done == {person: (None, True)}
        assert opted_out(conn) == [person]


def test_an_opt_out_waits_for_a_clear_in_progress_and_stands_after_it(
    engine: Engine, consent: dict[str, Any]
) -> None:
    person = consent["person_id"]

    def click() -> None:
        with transaction(engine) as conn:
            conn.execute(text(CLICK), {"person": person, "at": hour(1)})

    with engine.connect() as conn:
        assert clear(conn, consent)[person][1] is False
        with beside(click, engine):
            conn.commit()
        assert opted_out(conn) == [person]


IMPORT = """
INSERT INTO engagement.unsubscribe (person_id, kind, scope, origin, occurred_at, idempotency_key)
VALUES (:person, 'unsubscribe', 'team', 'Import', :at, 'the import') RETURNING id
"""


def test_an_import_that_began_before_the_reading_and_ends_after_it_stands(engine: Engine) -> None:
    """Its acts are dated before the reading, which could not see them."""
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        otherwise(conn, person, "Manual", -5)
    with engine.connect() as importing, transaction(engine) as conn:
        importing.execute(text("SELECT now()"))  # what it adds is recorded at this moment
        known = standing(conn)
        imported = importing.execute(text(IMPORT), {"person": person, "at": hour(-9)}).scalar_one()
        importing.commit()
        assert clear(conn, wanted(person, BOX), known=known) == {person: (None, True)}
        assert imported in standing(conn)


def test_a_clear_waits_for_an_import_in_progress_and_gives_way_to_it(engine: Engine) -> None:
    done: dict[int, tuple[int | None, bool]] = {}
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        known = [otherwise(conn, person, "Manual", -5)]

    def clear_it() -> None:
        with transaction(engine) as conn:
            done.update(clear(conn, wanted(person, BOX), known=known))

    with engine.connect() as importing:
        importing.execute(text(IMPORT), {"person": person, "at": hour(-9)})
        with beside(clear_it, engine):
            importing.commit()
        assert done == {person: (None, True)}


def test_an_import_that_waits_for_a_clear_stands_though_its_number_is_older(
    engine: Engine,
) -> None:
    """A row has its number before it waits for the lock of its person."""
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        otherwise(conn, person, "Manual", -5)
    imported: list[int] = []

    def import_it() -> None:
        with transaction(engine) as conn:
            row = conn.execute(text(IMPORT), {"person": person, "at": hour(-9)})
            imported.append(row.scalar_one())

    with engine.connect() as conn:
        conn.execute(text("SELECT engagement.lock_people(ARRAY[:p])"), {"p": person})
        with beside(import_it, engine):
            act_id, is_superseded = clear(conn, wanted(person, BOX))[person]
            conn.commit()
        assert not is_superseded
        assert imported[0] < (act_id or 0)
        assert standing(conn) == imported


def test_people_are_locked_in_the_order_of_their_ids(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)

    def clear_both() -> None:
        with transaction(engine) as conn:
            clear(conn, wanted(two, BOX), wanted(one, BOX))

    lock = "SELECT id FROM engagement.person WHERE id = :id FOR UPDATE NOWAIT"
    with engine.connect() as conn:
        conn.execute(text(lock), {"id": one})
        with beside(clear_both, engine):
            conn.execute(text(lock), {"id": two})  # free: whoever waits for the first has no other
            conn.commit()


# -- recording consent


def consented(conn: Connection, person_id: int, **columns: Any) -> int:
    values = {
        "reason": "asked by phone",
        "actor": "Ada",
        "reference": "CASE-1",
        "approver": None,
        "by_person": False,
        "occurred_at": hour(-1),
        "idempotency_key": "consent 1",
    } | columns
    return acts.record_resubscribe(conn, person_id=person_id, **values)


@pytest.mark.parametrize(("by_person", "origin"), [(True, "Clicked Link"), (False, "Manual")])
def test_consent_is_evidence_and_ends_nothing_by_itself(
    engine: Engine, by_person: bool, origin: str
) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, **happened(-5))
        act_id = consented(conn, person, by_person=by_person, approver="Grace")
        assert consented(conn, person, by_person=by_person) == act_id
        query = "SELECT * FROM engagement.unsubscribe WHERE kind = 'resubscribe'"
        act = conn.execute(text(query)).one()
        assert opted_out(conn) == [person]
        is_evidence = "SELECT is_evidence FROM engagement.own_resubscribe"
        assert conn.execute(text(is_evidence)).scalar_one() is True
    assert (act.id, act.origin, act.reason, act.actor) == (act_id, origin, "asked by phone", "Ada")
    assert (act.evidence_ref, act.approver, act.occurred_at) == ("CASE-1", "Grace", hour(-1))


@pytest.mark.parametrize("name", ["reason", "actor", "reference"])
def test_consent_without_proof_is_refused(engine: Engine, name: str) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        with pytest.raises(IncompleteEvidenceError, match=f"^{name} must not be blank"):
            consented(conn, person, **{name: " \t"})


def test_consent_of_nobody_is_refused(engine: Engine) -> None:
    with (
        transaction(engine) as conn,
        pytest.raises(UnknownPersonError, match="person 404 is not in the store"),
    ):
        consented(conn, 404)


def test_one_key_names_one_consent(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)
        consented(conn, one)
    with pytest.raises(StoreRefusedError, match="another act"), transaction(engine) as conn:
        consented(conn, two)


# -- undoing a mistake


def test_acts_tell_whether_they_stand_and_are_alone(engine: Engine) -> None:
    with transaction(engine) as conn:
        alone, ended, clicked = add_people(conn, 3)
        ids = [derived(conn, person) for person in (alone, ended, clicked)]
        add_clear(conn, ended, BOX, **happened(1))
        add_act(conn, clicked, scope="sender", **happened(0))
        found = acts.acts_of(conn, [*ids, -1]).set_index("person_id")
    assert found["act_id"].to_dict() == dict(zip((alone, ended, clicked), ids, strict=True))
    assert found["is_standing"].to_dict() == {alone: True, ended: False, clicked: True}
    assert found["has_other_opt_out"].to_dict() == {alone: False, ended: False, clicked: True}


def test_a_cleared_person_can_be_opted_out_again(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, **happened(-5))
        clear(conn, wanted(person, add_resubscribe(conn, person, **happened(-1))))
        assert opted_out(conn) == []
        again = pd.DataFrame(
            {"person_id": [person], "caused_by": [BOX], "idempotency_key": ["run 2"]}
        )
        read_at = conn.execute(text("SELECT now() + interval '1 second'")).scalar_one()
        acts.record_opt_outs(conn, again, occurred_at=read_at)
        assert people.read_states(conn, [person])["is_opted_out"].all()
