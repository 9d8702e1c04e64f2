"""Nothing takes longer where statistics know nothing of the rows yet."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from upath import UPath

from include.audit import decisions, links, writes
from include.store import people
from include.store.database import transaction
from tests.database import world
from tests.database.world import NOW, add_people

UNTIL_ANALYZED = """
ALTER TABLE engagement.unsubscribe SET (autovacuum_enabled = off)
"""
OPT_OUTS = """
INSERT INTO engagement.unsubscribe (person_id, kind, scope, origin, occurred_at, idempotency_key)
SELECT id, 'unsubscribe', 'team', 'Manual', now() - interval '1 day', 'opt-out ' || id
FROM engagement.person
"""
CLEARS = """
WITH evidence AS (
    INSERT INTO engagement.unsubscribe
        (person_id, kind, scope, origin, reason, actor, evidence_ref, occurred_at, idempotency_key)
    SELECT id, 'resubscribe', 'team', 'Manual', 'r', 'a', 'e', now(), 'evidence ' || id
    FROM engagement.person WHERE id % 8 = 0
    RETURNING id, person_id
)
INSERT INTO engagement.unsubscribe
    (person_id, kind, scope, origin, caused_by, occurred_at, idempotency_key)
SELECT person_id, 'resubscribe', 'team', 'Salesforce Sync', 'act:' || id, now(), 'clear ' || id
FROM evidence
"""


@pytest.mark.parametrize("analyzed", ["before the clears", "never"])
def test_many_clears_that_no_statistics_know_are_joined_at_once(
    engine: Engine, tmp_path: Path, analyzed: str
) -> None:
    """One by one, 5,000 clears and 40,000 opt-outs are 200 million comparisons."""
    with transaction(engine) as conn:
        conn.execute(text(UNTIL_ANALYZED))
        add_people(conn, 40_000)
        conn.execute(text(OPT_OUTS))
        if analyzed == "before the clears":
            conn.execute(text("ANALYZE engagement.unsubscribe"))
        conn.execute(text(CLEARS))
        name = engine.url.database
        conn.execute(text(f"ALTER DATABASE {name} SET statement_timeout = '10s'"))
    counts = people.extract_people(
        engine,
        people=UPath(tmp_path / "people"),
        opt_outs=UPath(tmp_path / "opt_outs"),
        resubscribes=UPath(tmp_path / "resubscribes"),
        scopes=("team",),
        with_bounces=False,
    )
    assert (counts.people, counts.opted_out, counts.opt_outs) == (40_000, 35_000, 35_000)
    assert counts.resubscribes == 5_000


def test_a_push_of_thousands_to_a_new_org_reads_each_link_once(engine: Engine) -> None:
    """All of them for each write, 10,000 are a hundred million."""
    persons, run = range(1, 10_001), world.open_run(engine)
    with transaction(engine) as conn:
        for table in ("link", "write_attempt_default"):
            conn.execute(text(f"ALTER TABLE opt_out_sync.{table} SET (autovacuum_enabled = off)"))
        decisions.record_decisions(conn, run, world.decisions(persons), now=NOW)
        writes.record_outcomes(conn, run, world.outcomes(persons, "confirmed"), now=NOW)
        conn.execute(text("SET LOCAL statement_timeout = '5s'"))
        assert links.move_bases(conn, run, now=NOW, person_ids=persons) == len(persons)
