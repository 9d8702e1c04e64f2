"""Reading everybody takes no longer where statistics know nothing of the rows yet."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from upath import UPath

from include.store import people
from include.store.database import transaction
from tests.database.world import add_people

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
