from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, text
from upath import UPath

from include.store import people
from include.store.database import transaction
from include.store.people import StoreCounts
from tests.database.world import CANARY, NOW, add_act, add_people, record

SCHEMA = pa.schema(
    [
        ("person_id", pa.int64()),
        ("salesforce_id", pa.string()),
        ("is_opted_out", pa.bool_()),
        ("opted_out_at", pa.timestamp("us", "UTC")),
        ("act_id", pa.int64()),
        ("origin", pa.string()),
    ]
)


def asked(*person_ids: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "person_id": person_ids,
            "caused_by": [f"Contact {record(p)}" for p in person_ids],
            "idempotency_key": [f"run 1, person {p}" for p in person_ids],
        }
    )


def count_acts(engine: Engine) -> int:
    with transaction(engine) as conn:
        count: int = conn.execute(text("SELECT count(*) FROM engagement.unsubscribe")).scalar_one()
        return count


def test_the_extract_has_one_row_per_person_and_no_address(engine: Engine, tmp_path: Path) -> None:
    with transaction(engine) as conn:
        _first, second, third = add_people(conn, 3)
        conn.execute(text("UPDATE engagement.person SET salesforce_id = NULL WHERE id = 3"))
        act = add_act(conn, second, recorded_at=NOW + timedelta(hours=1))
        add_act(conn, third, scope="sender")
        add_act(conn, third, origin="Bounce")
    destination = UPath(tmp_path / "new" / "people.parquet")
    counts = people.extract_people(engine, destination, scopes=("team",), with_bounces=False)
    table = pq.read_table(destination)
    assert counts == StoreCounts(people=3, opted_out=1, out_of_scope=2)
    assert table.schema.equals(SCHEMA)
    rows = sorted(table.to_pylist(), key=lambda row: row["person_id"])
    assert [row["salesforce_id"] for row in rows] == [record(1), record(2), None]
    assert rows[1] == {
        "person_id": second,
        "salesforce_id": record(2),
        "is_opted_out": True,
        "opted_out_at": NOW,
        "act_id": act,
        "origin": "Clicked Link",
    }
    assert rows[0]["is_opted_out"] is False
    assert rows[0]["act_id"] is None
    assert CANARY.encode() not in destination.read_bytes()
    assert [p.name for p in destination.parent.iterdir()] == ["people.parquet"]


def test_scopes_and_bounces_that_count_are_a_choice(engine: Engine, tmp_path: Path) -> None:
    with transaction(engine) as conn:
        one, two = add_people(conn, 2)
        add_act(conn, one, scope="sender")
        add_act(conn, two, origin="Bounce")
    destination = UPath(tmp_path / "people.parquet")
    counts = people.extract_people(
        engine, destination, scopes=("team", "sender"), with_bounces=True
    )
    assert counts == StoreCounts(people=2, opted_out=2, out_of_scope=0)


def test_an_empty_store_gives_an_empty_file(engine: Engine, tmp_path: Path) -> None:
    destination = UPath(tmp_path / "people.parquet")
    counts = people.extract_people(engine, destination, scopes=("team",), with_bounces=False)
    assert counts == StoreCounts(people=0, opted_out=0, out_of_scope=0)
    assert pq.read_table(destination).schema.equals(SCHEMA)


def test_opt_outs_are_recorded_for_those_who_need_one(engine: Engine) -> None:
    with transaction(engine) as conn:
        new, known = add_people(conn, 2)
        act = add_act(conn, known)
        result = people.record_opt_outs(conn, asked(404, known, new), occurred_at=NOW)
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
    assert (written.origin, written.caused_by) == ("Salesforce Sync", f"Contact {record(new)}")
    assert written.occurred_at == NOW
    assert states[new]
    assert states[known]
    assert states[404] is pd.NA


def test_recording_opt_outs_again_adds_nothing(engine: Engine) -> None:
    with transaction(engine) as conn:
        persons = add_people(conn, 3)
        first = people.record_opt_outs(conn, asked(*persons), occurred_at=NOW)
    with transaction(engine) as conn:
        second = people.record_opt_outs(conn, asked(*persons), occurred_at=NOW)
    assert second.act_id.tolist() == first.act_id.tolist()
    assert second.already_opted_out.all()
    assert count_acts(engine) == 3


def test_opt_outs_of_a_transaction_that_dies_are_not_there(engine: Engine) -> None:
    with transaction(engine) as conn:
        persons = add_people(conn, 2)
    with engine.connect() as conn:
        people.record_opt_outs(conn, asked(*persons), occurred_at=NOW)
        conn.invalidate()  # the process is killed before it commits
    assert count_acts(engine) == 0


def test_asking_twice_for_one_person_is_a_mistake(engine: Engine) -> None:
    with pytest.raises(ValueError, match="one row per person"), transaction(engine) as conn:
        people.record_opt_outs(conn, asked(1, 1), occurred_at=NOW)


def test_nobody_asked_for_is_nobody_answered(engine: Engine) -> None:
    with transaction(engine) as conn:
        assert people.record_opt_outs(conn, asked(), occurred_at=NOW).empty
        assert people.read_states(conn, []).empty
