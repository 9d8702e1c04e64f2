from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Connection, Engine, text
from upath import UPath

from include.domain.ids import classify
from include.store import acts, people
from include.store.bulk import snapshot
from include.store.database import transaction
from include.store.errors import StoreRefusedError
from include.store.people import StoreCounts
from tests.database.world import (
    CANARY,
    FIELD,
    NOW,
    add_act,
    add_clear,
    add_people,
    add_resubscribe,
    record,
)

TIME = pa.timestamp("us", "UTC")
PEOPLE = pa.schema([("person_id", pa.int64()), ("salesforce_id", pa.string())])
OPT_OUTS = pa.schema(
    [
        ("act_id", pa.int64()),
        ("person_id", pa.int64()),
        ("at", TIME),
        ("scope", pa.string()),
        ("origin", pa.string()),
        ("caused_by", pa.string()),
    ]
)
RESUBSCRIBES = pa.schema(
    [
        ("act_id", pa.int64()),
        ("person_id", pa.int64()),
        ("at", TIME),
        ("recorded_at", TIME),
        ("origin", pa.string()),
        ("is_evidence", pa.bool_()),
        ("is_accepted", pa.bool_()),
    ]
)
SCHEMAS = {"people": PEOPLE, "opt_outs": OPT_OUTS, "resubscribes": RESUBSCRIBES}
HOUR = timedelta(hours=1)


@dataclass
class Extracted:
    counts: StoreCounts
    tables: dict[str, pa.Table]

    def rows(self, name: str) -> list[dict[str, Any]]:
        key = "person_id" if name == "people" else "act_id"
        return sorted(self.tables[name].to_pylist(), key=lambda row: row[key])


@pytest.fixture
def extract(engine: Engine, tmp_path: Path) -> Callable[..., Extracted]:
    """Extract the store; tells what was counted and written."""

    def run(scopes: Sequence[str] = ("team",), *, with_bounces: bool = False) -> Extracted:
        files = {name: UPath(tmp_path / "new" / f"{name}.parquet") for name in SCHEMAS}
        counts = people.extract_people(engine, **files, scopes=scopes, with_bounces=with_bounces)
        return Extracted(counts, {name: pq.read_table(file) for name, file in files.items()})

    return run


def asked(*person_ids: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "person_id": person_ids,
            "caused_by": [f"salesforce:{record(p)}:{FIELD}" for p in person_ids],
            "idempotency_key": [f"run 1, person {p}" for p in person_ids],
        }
    )


def count_acts(engine: Engine) -> int:
    with transaction(engine) as conn:
        count: int = conn.execute(text("SELECT count(*) FROM engagement.unsubscribe")).scalar_one()
        return count


def test_the_extract_has_everybody_what_holds_them_and_no_address(
    engine: Engine, extract: Callable[..., Extracted], tmp_path: Path
) -> None:
    with transaction(engine) as conn:
        first, second, third = add_people(conn, 3)
        conn.execute(text("UPDATE engagement.person SET salesforce_id = NULL WHERE id = 3"))
        act = add_act(conn, second, recorded_at=NOW + HOUR, reason=CANARY)
        derived = add_act(conn, first, origin="Salesforce Sync", caused_by=f"act:{act}")
        sender = add_act(conn, third, scope="sender")
        bounce = add_act(conn, third, origin="Bounce")
        evidence = add_resubscribe(conn, third, occurred_at=NOW + HOUR, recorded_at=NOW + 2 * HOUR)
    done = extract()
    assert done.counts == StoreCounts(
        people=3, opted_out=2, out_of_scope=2, opt_outs=4, resubscribes=1
    )
    assert {name: table.schema for name, table in done.tables.items()} == SCHEMAS
    assert [row["salesforce_id"] for row in done.rows("people")] == [record(1), record(2), None]
    own = {"at": NOW, "caused_by": None}
    assert done.rows("opt_outs") == [
        {"act_id": act, "person_id": second, "scope": "team", "origin": "Clicked Link", **own},
        {
            "act_id": derived,
            "person_id": first,
            "at": NOW,
            "scope": "team",
            "origin": "Salesforce Sync",
            "caused_by": f"act:{act}",
        },
        {"act_id": sender, "person_id": third, "scope": "sender", "origin": "Clicked Link", **own},
        {"act_id": bounce, "person_id": third, "scope": "team", "origin": "Bounce", **own},
    ]
    assert done.rows("resubscribes") == [
        {
            "act_id": evidence,
            "person_id": third,
            "at": NOW + HOUR,
            "recorded_at": NOW + 2 * HOUR,
            "origin": "Manual",
            "is_evidence": True,
            "is_accepted": False,
        }
    ]
    written = sorted((tmp_path / "new").iterdir())
    assert [path.name for path in written] == sorted(f"{name}.parquet" for name in SCHEMAS)
    assert not any(CANARY.encode() in path.read_bytes() for path in written)


def test_scopes_and_bounces_that_count_are_a_choice(
    engine: Engine, extract: Callable[..., Extracted]
) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)
        add_act(conn, one, scope="sender")
        add_act(conn, two, origin="Bounce")
    counts = extract(("team", "sender"), with_bounces=True).counts
    assert (counts.opted_out, counts.out_of_scope) == (2, 0)
    assert extract(with_bounces=True).counts.opted_out == 1
    assert extract(("team", "sender")).counts.opted_out == 1


def test_an_empty_store_gives_empty_files(extract: Callable[..., Extracted]) -> None:
    done = extract()
    assert done.counts == StoreCounts(0, 0, 0, 0, 0)
    assert {name: table.schema for name, table in done.tables.items()} == SCHEMAS


def test_a_person_has_one_opted_out_state_however_many_acts_hold_it(
    engine: Engine, extract: Callable[..., Extracted]
) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        for _ in range(3):
            add_act(conn, person)
    counts = extract().counts
    assert (counts.opted_out, counts.opt_outs) == (1, 3)


def test_all_evidence_that_was_not_accepted_is_to_be_judged(
    engine: Engine, extract: Callable[..., Extracted]
) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)
        old = add_resubscribe(conn, one, occurred_at=NOW - HOUR)
        new = add_resubscribe(conn, one)
        add_act(conn, two, occurred_at=NOW, recorded_at=NOW + HOUR)
        older_than_the_opt_out = add_resubscribe(conn, two, occurred_at=NOW - HOUR)
    rows = extract().rows("resubscribes")
    assert [row["act_id"] for row in rows] == [old, new, older_than_the_opt_out]
    assert not any(row["is_accepted"] for row in rows)


def test_of_what_was_accepted_the_newest_of_each_person_is_read(
    engine: Engine, extract: Callable[..., Extracted]
) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)
        newest = add_resubscribe(conn, one)
        older = add_resubscribe(conn, one, occurred_at=NOW - HOUR)
        unproven = add_resubscribe(conn, two, actor=None)
        for person, act in ((one, newest), (one, older), (two, unproven)):
            add_clear(conn, person, act)
    rows = extract().rows("resubscribes")
    assert [(row["act_id"], row["is_evidence"]) for row in rows] == [
        (newest, True),
        (unproven, False),
    ]
    assert all(row["is_accepted"] for row in rows)


def test_accepted_evidence_is_read_though_a_weaker_resubscribe_was_accepted_since(
    engine: Engine, extract: Callable[..., Extracted]
) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        own = add_resubscribe(conn, person, occurred_at=NOW - 3 * HOUR, origin="Clicked Link")
        told = add_resubscribe(conn, person, occurred_at=NOW - 2 * HOUR)
        claim = add_resubscribe(conn, person, occurred_at=NOW - HOUR, actor=None)
        for act in (own, told, claim):
            add_clear(conn, person, act)
    assert {row["act_id"] for row in extract().rows("resubscribes")} == {own, told, claim}


def test_evidence_that_ended_only_somebody_elses_opt_out_is_not_accepted(
    engine: Engine, extract: Callable[..., Extracted]
) -> None:
    with transaction(engine) as conn:
        giver, other = add_people(conn, 2)
        evidence = add_resubscribe(conn, giver)
        add_clear(conn, other, evidence)
    (row,) = extract().rows("resubscribes")
    assert (row["person_id"], row["is_accepted"]) == (giver, False)


@pytest.mark.parametrize(
    ("opted_out_at", "is_read"), [(-HOUR, True), (timedelta(0), True), (HOUR, False), (None, False)]
)
def test_an_unproven_resubscribe_is_read_if_it_is_newer_than_all_that_holds_its_person(
    engine: Engine,
    extract: Callable[..., Extracted],
    opted_out_at: timedelta | None,
    is_read: bool,
) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        add_act(conn, person, occurred_at=NOW - 9 * HOUR)
        add_clear(conn, person, add_resubscribe(conn, person, occurred_at=NOW - 8 * HOUR))
        if opted_out_at is not None:
            when = NOW + opted_out_at
            add_act(conn, person, occurred_at=NOW - 2 * HOUR)
            add_act(conn, person, scope="sender", occurred_at=when, recorded_at=when)
        unproven = add_resubscribe(conn, person, evidence_ref=None)
    acts_read = [row["act_id"] for row in extract().rows("resubscribes")]
    assert (unproven in acts_read) is is_read


def test_the_three_files_are_of_one_instant(engine: Engine) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
    with snapshot(engine, {}) as database:
        folder = Path(people.__file__).parent
        assert database.read(folder, "people").table().num_rows == 1
        with transaction(engine) as conn:
            add_act(conn, person)
        assert database.read(folder, "opt_outs").table().num_rows == 0


# -- groups


def link(conn: Connection, person: int, salesforce_id: str | None) -> None:
    statement = "UPDATE engagement.person SET salesforce_id = :s WHERE id = :p"
    conn.execute(text(statement), {"p": person, "s": salesforce_id})


def test_a_group_is_everybody_who_names_the_same_record(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, short, padded, case, nowhere, also_nowhere, other = add_people(conn, 7)
        link(conn, one, "003a00000000001AAA")
        link(conn, short, "003a00000000001")
        link(conn, padded, "\u00a0003a00000000001AAA\n")
        link(conn, case, "003A00000000001AAA")
        link(conn, nowhere, None)
        link(conn, also_nowhere, None)
        act = add_act(conn, short)
        add_act(conn, other)
        evidence = add_resubscribe(conn, padded)
        add_resubscribe(conn, other)
    persons, opt_outs, resubscribes = people.read_groups(engine, [padded, nowhere, -1])
    assert persons["person_id"].tolist() == [one, short, padded, nowhere]
    assert opt_outs["act_id"].tolist() == [act]
    assert resubscribes["act_id"].tolist() == [evidence]


def test_a_group_is_read_as_the_extract_reads_it(
    engine: Engine, extract: Callable[..., Extracted]
) -> None:
    with transaction(engine) as conn:
        one, two, three = add_people(conn, 3)
        act = add_act(conn, one, scope="sender")
        add_act(conn, two, origin="Salesforce Sync", caused_by=f"act:{act}")
        add_act(conn, three, origin="Bounce")
        add_clear(conn, two, add_resubscribe(conn, two, occurred_at=NOW - HOUR))
        add_resubscribe(conn, three, reason="", occurred_at=NOW + HOUR, recorded_at=NOW + HOUR)
    everything = extract()
    for name, frame in zip(SCHEMAS, people.read_groups(engine, [one, two, three]), strict=True):
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        assert table.schema == SCHEMAS[name]
        assert table.to_pylist() == everything.rows(name)
        assert table.num_rows


def test_nobody_has_no_group(engine: Engine) -> None:
    frames = people.read_groups(engine, [])
    for frame, schema in zip(frames, SCHEMAS.values(), strict=True):
        assert frame.empty
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        assert table.schema == schema


def test_white_space_around_an_id_is_what_the_merge_takes_for_it(engine: Engine) -> None:
    characters = pd.Series([chr(code) for code in [*range(1, 0xD800), *range(0xE000, 0x10000)]])
    spaces = characters[classify(record(1) + characters).record_id.notna()]
    assert len(spaces) > 20
    with transaction(engine) as conn:
        query = text("SELECT engagement.record_key(:id)")
        keys = [conn.execute(query, {"id": f"{s}{record(1)}{s}"}).scalar_one() for s in spaces]
    assert set(keys) == {record(1)[:15]}


# -- relinking


def relink(engine: Engine, *rows: tuple[int, str, str]) -> dict[int, bool]:
    columns = ["person_id", "from_record_id", "to_record_id"]
    with transaction(engine) as conn:
        done = acts.relink_people(conn, pd.DataFrame(rows, columns=columns))
    return dict(zip(done["person_id"], done["is_relinked"], strict=True))


def salesforce_id(engine: Engine, person: int) -> str:
    with transaction(engine) as conn:
        query = text("SELECT salesforce_id FROM engagement.person WHERE id = :id")
        found: str = conn.execute(query, {"id": person}).scalar_one()
        return found


@pytest.mark.parametrize("typed", [record(1), record(1)[:15], f" {record(1)} "])
def test_a_person_follows_a_record_that_lives_on(engine: Engine, typed: str) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        link(conn, person, typed)
        before = conn.execute(text("SELECT updated_at FROM engagement.person")).scalar_one()
    assert relink(engine, (person, record(1), record(2))) == {person: True}
    assert salesforce_id(engine, person) == record(2)
    with transaction(engine) as conn:
        assert conn.execute(text("SELECT updated_at FROM engagement.person")).scalar_one() > before
    assert relink(engine, (person, record(1), record(2))) == {person: False}


@pytest.mark.parametrize("typed", [record(3), "003a00000000001AAA", None])
def test_an_id_that_was_changed_meanwhile_stays(engine: Engine, typed: str | None) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
        link(conn, person, typed)
    capital = "003A00000000001AAA"
    assert relink(engine, (person, capital, record(2)), (-1, capital, record(2))) == {
        person: False,
        -1: False,
    }
    assert salesforce_id(engine, person) == typed


@pytest.mark.parametrize("target", ["", None, record(2)[:15], "001000000000002AAA", CANARY])
def test_nobody_is_linked_to_nonsense(engine: Engine, target: str) -> None:
    with transaction(engine) as conn:
        (person,) = add_people(conn, 1)
    with pytest.raises(StoreRefusedError, match="Contact or Lead"):
        relink(engine, (person, record(1), target))
    assert salesforce_id(engine, person) == record(1)


# -- opt-outs from Salesforce


def test_opt_outs_are_recorded_for_those_who_need_one(engine: Engine) -> None:
    with transaction(engine) as conn:
        new, known = add_people(conn, 2)
        act = add_act(conn, known)
        result = acts.record_opt_outs(conn, asked(404, known, new), occurred_at=NOW)
    rows = result.set_index("person_id")
    assert rows.already_opted_out.to_dict() == {new: False, known: True, 404: False}
    assert rows.act_id[known] == act
    assert pd.isna(rows.act_id[404])
    with transaction(engine) as conn:
        written = conn.execute(
            text("SELECT * FROM engagement.unsubscribe WHERE id = :id"),
            {"id": int(rows.act_id[new])},
        ).one()
        states = people.read_states(conn, [new, known, 404]).set_index("person_id").is_opted_out
    assert (written.origin, written.caused_by) == (
        "Salesforce Sync",
        f"salesforce:{record(new)}:{FIELD}",
    )
    assert written.occurred_at == NOW
    assert states[new]
    assert states[known]
    assert states[404] is pd.NA


def test_recording_opt_outs_again_adds_nothing(engine: Engine) -> None:
    with transaction(engine) as conn:
        persons = add_people(conn, 3)
        first = acts.record_opt_outs(conn, asked(*persons), occurred_at=NOW)
    with transaction(engine) as conn:
        second = acts.record_opt_outs(conn, asked(*persons), occurred_at=NOW)
    assert second.act_id.tolist() == first.act_id.tolist()
    assert second.already_opted_out.all()
    assert count_acts(engine) == 3


def test_a_key_that_names_the_act_of_somebody_else_is_refused(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)
        acts.record_opt_outs(conn, asked(one), occurred_at=NOW)
    stolen = asked(one).assign(person_id=two)
    with pytest.raises(StoreRefusedError, match="names another act"), transaction(engine) as conn:
        acts.record_opt_outs(conn, stolen, occurred_at=NOW)
    assert count_acts(engine) == 1


def test_opt_outs_of_a_transaction_that_dies_are_not_there(engine: Engine) -> None:
    with transaction(engine) as conn:
        persons = add_people(conn, 2)
    with engine.connect() as conn:
        acts.record_opt_outs(conn, asked(*persons), occurred_at=NOW)
        conn.invalidate()  # the process is killed before it commits
    assert count_acts(engine) == 0


def test_asking_twice_for_one_person_is_a_mistake(engine: Engine) -> None:
    with pytest.raises(ValueError, match="one row per person"), transaction(engine) as conn:
        acts.record_opt_outs(conn, asked(1, 1), occurred_at=NOW)


def test_nobody_asked_for_is_nobody_answered(engine: Engine) -> None:
    with transaction(engine) as conn:
        assert acts.record_opt_outs(conn, asked(), occurred_at=NOW).empty
        assert people.read_states(conn, []).empty


def test_what_counts_as_opted_out_is_a_choice_for_the_opt_outs_too(engine: Engine) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)
        sender = add_act(conn, one, scope="sender")
        bounce = add_act(conn, two, origin="Bounce")
        choices = {"scopes": ["team", "sender"], "with_bounces": True}
        known = acts.record_opt_outs(conn, asked(one, two), occurred_at=NOW, **choices)
        assert known["act_id"].tolist() == [sender, bounce]
        states = people.read_states(conn, [one, two], **choices)
        assert states["is_opted_out"].all()
        assert not people.read_states(conn, [one, two])["is_opted_out"].any()
        added = acts.record_opt_outs(conn, asked(one, two), occurred_at=NOW)
        assert not added["already_opted_out"].any()
