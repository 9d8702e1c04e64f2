"""Writes the sample company into the store, the sync's memory and the emulated Salesforce."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from local.demo.databases import STORE, connect, copy_rows, remark
from local.demo.emulator import Emulator
from local.salesforce_emulator.seed import ORGANIZATION_ID
from local.sample_data import FIELD, SampleData, sample

SEED = 2026
REMARK = f"sample company with consents, seed {SEED}"


def load(store_url: str, emulator: Emulator, *, now: datetime) -> SampleData:
    """Load the sample company; both sides must be fresh.

    The store keeps `REMARK` if and only if everything was loaded: what a kill leaves half done is
    recognised and done again from the start.
    """
    company = sample(emulator.records("Contact"), emulator.records("Lead"), seed=SEED, now=now)
    _play_in_salesforce(emulator, company)
    with connect(store_url) as connection, connection.cursor() as cursor:
        _fill_store(cursor, company)
        _fill_memory(cursor, company)
        remark(cursor, STORE, REMARK)
    return company


def _play_in_salesforce(emulator: Emulator, company: SampleData) -> None:
    emulator.edit({record_id: {FIELD: flag} for record_id, flag in company.edits.items()})
    for lead, contact in company.conversions:
        emulator.convert_lead(lead, contact)
    for winner, loser in company.merges:
        emulator.merge(winner, loser)
    emulator.delete(company.deletions)


def _fill_store(cursor: Cursor, company: SampleData) -> None:
    people = [(p.id, p.email, p.salesforce_id) for p in company.people]
    copy_rows(cursor, "engagement.person", ("id", "email", "salesforce_id"), people)
    _continue_after(cursor, "engagement.person", len(people))
    copy_rows(cursor, "engagement.unsubscribe", _ACT_COLUMNS, list(_acts(company)))


_ACT_COLUMNS = (
    "person_id",
    "kind",
    "scope",
    "origin",
    "reason",
    "actor",
    "evidence_ref",
    "caused_by",
    "occurred_at",
    "recorded_at",
    "idempotency_key",
)


def _acts(company: SampleData) -> Iterator[Sequence[object]]:
    for act in sorted(company.acts, key=lambda act: act.occurred_at):
        who = (act.person_id, act.kind, act.scope, act.origin)
        why = (act.reason, act.actor, act.evidence_ref, act.caused_by)
        yield (*who, *why, act.occurred_at, act.occurred_at, act.idempotency_key)


def _fill_memory(cursor: Cursor, company: SampleData) -> None:
    rows = [
        (ORGANIZATION_ID, m.person_id, m.record_id, m.object, FIELD, m.base, m.since, m.since)
        for m in company.memories
    ]
    copy_rows(cursor, "opt_out_sync.link", _LINK_COLUMNS, rows)


_LINK_COLUMNS = (
    "org_id",
    "person_id",
    "record_id",
    "object",
    "field",
    "base",
    "base_since",
    "first_seen_at",
)


def _continue_after(cursor: Cursor, table: str, last: int) -> None:
    cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", (table, last))
