"""Fills a database with a year of nights: people, acts, decisions, writes, as many as asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from include.store.database import transaction

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

NIGHTS: Final = 365
ORG: Final = "00D000000000001AAA"


def fill(engine: Engine, *, decisions: int, people: int, now: datetime) -> None:
    """Add a year of closed nights that ends before `now`, in an empty, migrated database.

    Args:
        engine: the database.
        decisions: in all; one in five of them is written to Salesforce and confirmed, one in a
            thousand fails.
        people: in the store; each fifth opted out.
        now: the wall clock.
    """
    values = {
        "now": now,
        "nights": NIGHTS,
        "people": people,
        "per_night": decisions // NIGHTS,
        "org": ORG,
    }
    for statement in (PARTITIONS, PEOPLE, ACTS, RUNS, DECISIONS, WRITES, LINKS, TALLY):
        with transaction(engine) as conn:
            conn.execute(text("SET LOCAL synchronous_commit = off"))
            conn.execute(text(statement), values)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))


PARTITIONS = """
SELECT opt_out_sync.ensure_audit_partitions(
    audited, CAST(:now AS timestamptz) - ago * interval '1 month')
FROM unnest(ARRAY['merge_audit', 'write_attempt']) AS audited, generate_series(0, 13) AS ago
"""
PEOPLE = """
INSERT INTO engagement.person (id, email, salesforce_id)
SELECT n, 'person' || n || '@example.com', '003' || lpad(n::text, 12, '0') || 'AAA'
FROM generate_series(1, CAST(:people AS integer)) AS n
"""
ACTS = """
INSERT INTO engagement.unsubscribe
    (person_id, kind, scope, origin, occurred_at, recorded_at, idempotency_key)
SELECT n, 'unsubscribe', 'team', 'Clicked Link', made.at, made.at + interval '1 second', 'act/' || n
FROM generate_series(1, CAST(:people AS integer), 5) AS n,
     LATERAL (SELECT CAST(:now AS timestamptz)
                     - (n::float8 / :people) * :nights * interval '1 day' AS at) AS made
"""
RUNS = """
INSERT INTO opt_out_sync.sync_run
    (kind, state, reason, org_id, night, airflow_run_id, attempt, settings_version, started_at,
     lease_expires_at, extraction_started_at, closed_at)
SELECT 'night', 'closed', CASE WHEN ago % 60 = 7 THEN '12 writes are still open.' END, :org,
       (made.at AT TIME ZONE 'America/Los_Angeles')::date, 'scheduled__' || made.at, 1, 1, made.at,
       made.at + interval '30 minutes', made.at, made.at + interval '4 minutes'
FROM generate_series(CAST(:nights AS integer), 1, -1) AS ago,
     LATERAL (SELECT CAST(:now AS timestamptz) - ago * interval '1 day' AS at) AS made
WHERE ago % 45 <> 11
"""
DECISIONS = """
INSERT INTO opt_out_sync.merge_audit
    (decided_at, sync_run_id, org_id, person_id, record_id, object, field, base, store_is_opted_out,
     salesforce_is_opted_out, store_opted_out_at, store_origin, store_act_id, target_store,
     target_salesforce, new_base, rule, code, reason)
SELECT r.started_at + interval '1 minute', r.id, r.org_id, p.id,
       '003' || lpad(p.id::text, 12, '0') || 'AAA', 'Contact', 'HasOptedOutOfEmail',
       CASE WHEN c.code LIKE 'FIRST%' THEN NULL ELSE false END,
       c.code <> 'OPTED_OUT_IN_SALESFORCE', c.code <> 'UNSUBSCRIBED_IN_STORE',
       r.started_at - interval '3 hours', 'Clicked Link', p.id,
       CASE WHEN c.code = 'OPTED_OUT_IN_SALESFORCE' THEN true END,
       CASE WHEN c.code = 'UNSUBSCRIBED_IN_STORE' THEN true END, true, 'opt_out_wins', c.code,
       'The person opted out in the store (act ' || p.id || ', Clicked Link); the Salesforce '
           'Contact did not show it, so Salesforce is set to opted out.'
FROM opt_out_sync.sync_run AS r,
     generate_series(1, CAST(:per_night AS integer)) AS n,
     LATERAL (SELECT 1 + (n * 7919 + r.id * 104729) % :people AS id) AS p,
     LATERAL (SELECT CASE WHEN (n + r.id) % 10007 = 0 THEN 'TUG_OF_WAR'
                          WHEN (n + r.id) % 997 = 0 THEN 'RESUBSCRIBED'
                          WHEN (n + r.id) % 5 = 0 THEN 'UNSUBSCRIBED_IN_STORE'
                          WHEN (n + r.id) % 7 = 0 THEN 'OPTED_OUT_IN_SALESFORCE'
                          WHEN (n + r.id) % 3 = 0 THEN 'BOTH_OPTED_OUT'
                          ELSE 'FIRST_SEEN_AGREED' END AS code) AS c
ORDER BY r.id, n
ON CONFLICT DO NOTHING
"""
WRITES = """
INSERT INTO opt_out_sync.write_attempt
    (attempted_at, sync_run_id, org_id, person_id, record_id, object, field, side, target, outcome,
     failure_class, code, fix)
SELECT d.decided_at + step.ahead * interval '30 seconds', d.sync_run_id, d.org_id, d.person_id,
       d.record_id, d.object, d.field, 'salesforce', true,
       CASE WHEN d.person_id % 1000 = 3 THEN 'failed' ELSE step.outcome END,
       CASE WHEN d.person_id % 1000 = 3 THEN 'validation' END,
       CASE WHEN d.person_id % 1000 = 3 THEN 'FIELD_CUSTOM_VALIDATION_EXCEPTION' END,
       CASE WHEN d.person_id % 1000 = 3 THEN 'A validation rule of the org refuses the record.' END
FROM opt_out_sync.merge_audit AS d,
     (VALUES (1, 'applied'), (2, 'confirmed')) AS step (ahead, outcome)
WHERE d.code = 'UNSUBSCRIBED_IN_STORE' AND (d.person_id % 1000 <> 3 OR step.ahead = 1)
ORDER BY d.sync_run_id, step.ahead, d.id
ON CONFLICT DO NOTHING
"""
LINKS = """
INSERT INTO opt_out_sync.link
    (org_id, person_id, record_id, object, field, base, base_since, base_run_id, first_seen_at)
SELECT :org, n, '003' || lpad(n::text, 12, '0') || 'AAA', 'Contact', 'HasOptedOutOfEmail',
       n % 5 = 1, CAST(:now AS timestamptz) - (n::float8 / :people) * :nights * interval '1 day'
                  + interval '8 seconds', 1, CAST(:now AS timestamptz) - interval '1 year'
FROM generate_series(1, CAST(:people AS integer)) AS n
"""
TALLY = """
SELECT opt_out_sync.tally_nights(ARRAY(SELECT DISTINCT night FROM opt_out_sync.sync_run))
"""
