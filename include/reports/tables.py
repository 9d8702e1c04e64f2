"""The tables of the audit: the columns of each, and what the database finds rows by."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from include.domain.conflicts import Code, ConflictRule, Verdict
from include.domain.values import FailureClass, Outcome, SalesforceObject, Side
from include.reports.columns import Column, Definition, Kind, Table

__all__ = ["Column", "Definition", "Kind", "Table", "definition"]

_CODES: Final = tuple(each.value for each in Code)
_OBJECTS: Final = tuple(each.value for each in SalesforceObject)
_RUN: Final = Column("sync_run_id", "Run", Kind.NUMBER)
_PERSON: Final = Column("person_id", "Person", Kind.NUMBER)
_EMAIL: Final = Column("email", "Address", Kind.TEXT, is_address=True)
_OBJECT: Final = Column("object", "Object", Kind.CHOICE, _OBJECTS)
_RECORD: Final = Column("record_id", "Record", Kind.TEXT)
_FIELD: Final = Column("field", "Field", Kind.TEXT)
_SIDE: Final = Column("side", "Side", Kind.CHOICE, tuple(each.value for each in Side))
_CLASS: Final = Column(
    "failure_class", "Failure class", Kind.CHOICE, tuple(each.value for each in FailureClass)
)
_FIX: Final = Column("fix", "What to do", Kind.TEXT, is_wide=True)
_REASON: Final = Column("reason", "Reason", Kind.TEXT, is_wide=True)


def definition(table: Table) -> Definition:
    """Return the definition of a table."""
    return _DEFINITIONS[table]


def _large(
    table: Table,
    title: str,
    about: str,
    relation: str,
    columns: Sequence[Column],
    orders: Mapping[str, Sequence[str]],
) -> Definition:
    """Define a table that may have millions of rows: sorted and found by its indexes only."""
    shown = [replace(each, is_sortable=each.name in orders) for each in columns]
    newest = next(iter(orders))
    return Definition(table, title, about, relation, shown, "id", newest, orders, frozenset(orders))


def _small(
    table: Table,
    title: str,
    about: str,
    relation: str,
    columns: Sequence[Column],
    *,
    key: str,
    newest: str,
) -> Definition:
    """Define a table of at most some thousand rows: sorted by whatever somebody likes."""
    shown = [replace(each, is_sortable=not each.is_address) for each in columns]
    orders = {each.name: (each.name, key) for each in shown if each.is_sortable}
    return Definition(table, title, about, relation, shown, key, newest, orders)


_DEFINITIONS: Final = {
    each.table: each
    for each in (
        _small(
            Table.NIGHTS,
            "Nights",
            "One row per night that was started, the newest first.",
            "opt_out_sync.v_night_report",
            (
                Column("night", "Night", Kind.DATE),
                Column(
                    "state",
                    "State",
                    Kind.CHOICE,
                    ("open", "closed", "failed", "superseded", "planned", "skipped"),
                ),
                Column("plan_only", "Plan only", Kind.FLAG),
                Column("attempts", "Attempts", Kind.NUMBER),
                Column("started_at", "Started", Kind.TIME),
                Column("closed_at", "Ended", Kind.TIME),
                Column("decisions", "Decisions", Kind.NUMBER),
                Column("opt_outs_to_store", "Opt-outs to the store", Kind.NUMBER),
                Column("opt_outs_to_salesforce", "Opt-outs to Salesforce", Kind.NUMBER),
                Column("clears_to_store", "Clears to the store", Kind.NUMBER),
                Column("clears_to_salesforce", "Clears to Salesforce", Kind.NUMBER),
                Column("applied", "Written", Kind.NUMBER),
                Column("failed", "Failed", Kind.NUMBER),
                Column("held", "Held", Kind.NUMBER),
                Column("settings_version", "Settings", Kind.NUMBER),
                _RUN,
                Column("airflow_run_id", "Airflow run", Kind.TEXT),
                _REASON,
            ),
            key="night",
            newest="night",
        ),
        _large(
            Table.DECISIONS,
            "Decisions",
            "One row per link that was decided about in a run, the newest first.",
            "opt_out_sync.merge_audit",
            (
                Column("id", "Decision", Kind.NUMBER),
                Column("decided_at", "Decided", Kind.TIME),
                _RUN,
                _PERSON,
                _EMAIL,
                _OBJECT,
                _RECORD,
                _FIELD,
                Column("code", "Code", Kind.CHOICE, _CODES),
                Column("base", "Base", Kind.FLAG),
                Column("store_is_opted_out", "Store", Kind.FLAG),
                Column("salesforce_is_opted_out", "Salesforce", Kind.FLAG),
                Column("target_store", "Store becomes", Kind.FLAG),
                Column("target_salesforce", "Salesforce becomes", Kind.FLAG),
                Column("new_base", "Base becomes", Kind.FLAG),
                Column("store_opted_out_at", "Opted out in the store", Kind.TIME),
                Column("store_origin", "Origin", Kind.TEXT),
                Column("store_act_id", "Act", Kind.NUMBER),
                Column("salesforce_opted_out_before", "Opted out in Salesforce by", Kind.TIME),
                Column("salesforce_modified_at", "Record modified", Kind.TIME),
                Column("salesforce_modified_by", "Record modified by", Kind.TEXT),
                Column("evidence_id", "Evidence", Kind.NUMBER),
                Column("shared_with", "Shared with", Kind.NUMBER),
                Column("rule", "Rule", Kind.CHOICE, tuple(each.value for each in ConflictRule)),
                Column("cause", "Cause", Kind.TEXT),
                _REASON,
            ),
            {
                "decided_at": ("decided_at", "id"),
                "id": ("id",),
                "sync_run_id": ("sync_run_id", "person_id", "id"),
                "person_id": ("person_id", "decided_at", "id"),
                "record_id": ("record_id", "decided_at", "id"),
                "code": ("code", "decided_at", "id"),
            },
        ),
        _large(
            Table.WRITES,
            "Writes",
            "One row per outcome of a planned write, the newest first.",
            "opt_out_sync.write_attempt",
            (
                Column("id", "Attempt", Kind.NUMBER),
                Column("attempted_at", "At", Kind.TIME),
                _RUN,
                _PERSON,
                _EMAIL,
                _SIDE,
                _OBJECT,
                _RECORD,
                _FIELD,
                Column("target", "Opted out", Kind.FLAG),
                Column("outcome", "Outcome", Kind.CHOICE, tuple(each.value for each in Outcome)),
                _CLASS,
                Column("code", "Code", Kind.TEXT),
                Column("job_id", "Salesforce job", Kind.TEXT),
                Column("act_id", "Act", Kind.NUMBER),
                _FIX,
            ),
            {
                "attempted_at": ("attempted_at", "id"),
                "id": ("id",),
                "sync_run_id": ("sync_run_id", "person_id", "id"),
                "person_id": ("person_id", "attempted_at", "id"),
                "record_id": ("record_id", "field", "attempted_at", "id"),
            },
        ),
        _small(
            Table.FAILURES,
            "Open failures",
            "One row per write that failed and that nothing has mended, the newest first.",
            "opt_out_sync.v_open_failures",
            (
                _PERSON,
                _EMAIL,
                _SIDE,
                _OBJECT,
                _RECORD,
                _FIELD,
                Column("target", "Opted out", Kind.FLAG),
                _CLASS,
                Column("code", "Code", Kind.TEXT),
                Column("opted_out_at", "Opted out", Kind.TIME),
                Column("first_failed_at", "First failed", Kind.TIME),
                Column("last_failed_at", "Last failed", Kind.TIME),
                Column("attempts", "Attempts", Kind.NUMBER),
                Column("next_attempt_at", "Next attempt", Kind.TIME),
                Column("is_past_48_hours", "Past 48 hours", Kind.FLAG),
                Column("due_at", "10 business days end", Kind.TIME),
                Column("is_past_10_business_days", "Past 10 business days", Kind.FLAG),
                _RUN,
                _FIX,
            ),
            key="person_id",
            newest="opted_out_at",
        ),
        _small(
            Table.SETTINGS,
            "Settings history",
            "One row per saved version, the newest first.",
            "opt_out_sync.settings_version",
            (
                Column("version", "Version", Kind.NUMBER),
                Column("saved_at", "Saved", Kind.TIME),
                Column("saved_by", "By", Kind.TEXT),
                Column("note", "Why", Kind.TEXT),
                Column("document", "Everything", Kind.TEXT, is_wide=True),
            ),
            key="version",
            newest="version",
        ),
        _small(
            Table.JUDGEMENTS,
            "Judgements",
            "One row per judgement of a resubscribe, the newest first.",
            "opt_out_sync.resubscribe_judgement",
            (
                Column("id", "Judgement", Kind.NUMBER),
                Column("judged_at", "Judged", Kind.TIME),
                _RUN,
                Column("act_id", "Resubscribe", Kind.NUMBER),
                _PERSON,
                _EMAIL,
                Column("verdict", "Verdict", Kind.CHOICE, tuple(each.value for each in Verdict)),
                Column("code", "Code", Kind.TEXT),
                Column("retry_after", "Again after", Kind.TIME),
                Column("in_the_way", "In the way", Kind.TEXT, is_wide=True),
                _REASON,
            ),
            key="id",
            newest="id",
        ),
        _small(
            Table.UNREACHABLE,
            "Unreachable people",
            "One row per opted-out person of whom no Salesforce record can be written.",
            "opt_out_sync.unlinked_person",
            (
                _PERSON,
                _EMAIL,
                Column("code", "Code", Kind.CHOICE, ("NO_SALESFORCE_ID", "BAD_SALESFORCE_ID")),
                Column("salesforce_id", "As the store has it", Kind.TEXT),
                Column("since", "Since", Kind.TIME),
                _RUN,
            ),
            key="person_id",
            newest="since",
        ),
        _small(
            Table.HELD,
            "Held clears",
            "One row per clear that waits, or waited, for a person, the newest first.",
            "opt_out_sync.held_clear",
            (
                Column("id", "Held clear", Kind.NUMBER),
                Column("held_at", "Held", Kind.TIME),
                Column("held_run_id", "Run", Kind.NUMBER),
                _PERSON,
                _EMAIL,
                _OBJECT,
                _RECORD,
                _FIELD,
                Column("evidence_id", "Evidence", Kind.NUMBER),
                Column(
                    "resolution",
                    "Resolution",
                    Kind.CHOICE,
                    ("cleared", "rejected", "timed_out", "superseded"),
                ),
                Column("resolved_at", "Resolved", Kind.TIME),
                Column("resolved_run_id", "Resolved by run", Kind.NUMBER),
            ),
            key="id",
            newest="id",
        ),
        _small(
            Table.LOOK_UPS,
            "Look-ups",
            "One row per person that somebody looked up, the newest first.",
            "opt_out_sync.look_up",
            (
                Column("id", "Look-up", Kind.NUMBER),
                Column("looked_up_at", "At", Kind.TIME),
                Column("looked_up_by", "By", Kind.TEXT),
                Column("wanted", "By what", Kind.CHOICE, ("id", "address", "salesforce_id")),
                _PERSON,
                Column("reason", "Why", Kind.TEXT),
                Column("login", "Login", Kind.TEXT),
            ),
            key="id",
            newest="id",
        ),
        _small(
            Table.THINNED,
            "Thinned months",
            "One row per month of the audit of which only proof is kept, the newest first.",
            "opt_out_sync.audit_thinning",
            (
                Column("id", "Thinning", Kind.NUMBER),
                Column("audit_table", "Of", Kind.CHOICE, ("merge_audit", "write_attempt")),
                Column("month", "Month", Kind.DATE),
                Column("rows_before", "Rows before", Kind.NUMBER),
                Column("rows_kept", "Rows kept", Kind.NUMBER),
                Column("thinned_at", "At", Kind.TIME),
                Column("thinned_by", "By", Kind.TEXT),
                Column("keep_months", "Months kept whole", Kind.NUMBER),
                Column("settings_version", "Settings", Kind.NUMBER),
                Column("login", "Login", Kind.TEXT),
            ),
            key="id",
            newest="id",
        ),
    )
}
