"""Tables of the sync as SQLAlchemy sees them; the migrations are their source."""

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from include.store.models import Base

SCHEMA = "opt_out_sync"
ONE_NIGHT = text("state = 'open' AND kind IN ('night', 'replay', 'held_clears', 'correction')")


class SettingsVersionRow(Base):
    """One saved version of the admin's choices. Insert-only."""

    __tablename__ = "settings_version"
    __table_args__ = ({"schema": SCHEMA},)

    version: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    saved_at: Mapped[datetime]
    saved_by: Mapped[str]
    note: Mapped[str]
    document: Mapped[dict[str, object]]


class SyncRun(Base):
    """One attempt of a night, a push or another run, with its lease."""

    __tablename__ = "sync_run"
    __table_args__ = (
        UniqueConstraint("kind", "airflow_run_id", "attempt", name="sync_run_attempt"),
        Index("sync_run_one_open_night", "state", unique=True, postgresql_where=ONE_NIGHT),
        Index("sync_run_night", "night"),
        Index("sync_run_kind", "kind", "started_at"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str | None]
    org_id: Mapped[str | None]
    night: Mapped[date | None]
    interval_start: Mapped[datetime | None]
    interval_end: Mapped[datetime | None]
    airflow_run_id: Mapped[str]
    attempt: Mapped[int]
    settings_version: Mapped[int] = mapped_column(ForeignKey(SettingsVersionRow.version))
    plan_only: Mapped[bool] = mapped_column(server_default=text("false"))
    started_at: Mapped[datetime]
    lease_expires_at: Mapped[datetime]
    extraction_started_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    counts: Mapped[dict[str, object] | None]


class SyncStep(Base):
    """One step of a run: how often it was entered, and what it counted."""

    __tablename__ = "sync_step"
    __table_args__ = ({"schema": SCHEMA},)

    sync_run_id: Mapped[int] = mapped_column(ForeignKey(SyncRun.id), primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    fence: Mapped[int]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    counts: Mapped[dict[str, object] | None]


class SalesforceJob(Base):
    """One Bulk job, written down before anything is uploaded."""

    __tablename__ = "salesforce_job"
    __table_args__ = (
        Index("salesforce_job_run", "sync_run_id"),
        Index(
            "salesforce_job_unsettled",
            "object",
            "operation",
            postgresql_where=text("settled_at IS NULL"),
        ),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    sync_run_id: Mapped[int] = mapped_column(ForeignKey(SyncRun.id))
    step: Mapped[str]
    fence: Mapped[int]
    object: Mapped[str]
    operation: Mapped[str]
    job_id: Mapped[str | None] = mapped_column(unique=True)
    state: Mapped[str]
    processed: Mapped[int | None]
    failed: Mapped[int | None]
    planned_at: Mapped[datetime]
    created_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    field: Mapped[str] = mapped_column(server_default="")
    rows: Mapped[int | None]
    settled_at: Mapped[datetime | None]


class Link(Base):
    """Org, person, record and field, with the last value both sides agreed on."""

    __tablename__ = "link"
    __table_args__ = (
        UniqueConstraint("org_id", "person_id", "record_id", "field", name="link_once"),
        Index("link_org_field", "org_id", "field"),
        Index("link_person", "person_id"),
        Index(
            "link_not_visible",
            "org_id",
            "not_visible_since",
            postgresql_where=text("state = 'active' AND not_visible_since IS NOT NULL"),
        ),
        Index("link_undone", "org_id", postgresql_where=text("flips <> 0")),
        Index(
            "link_covered",
            "org_id",
            "person_id",
            postgresql_where=text("evidence_id IS NOT NULL"),
        ),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    org_id: Mapped[str]
    person_id: Mapped[int] = mapped_column(BigInteger)
    record_id: Mapped[str]
    object: Mapped[str]
    field: Mapped[str]
    base: Mapped[bool | None]
    base_since: Mapped[datetime | None]
    base_run_id: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default="active")
    not_visible_since: Mapped[datetime | None]
    first_seen_at: Mapped[datetime]
    evidence_id: Mapped[int | None] = mapped_column(BigInteger)
    flips: Mapped[int] = mapped_column(server_default=text("0"))


class LinkRelease(Base):
    """Who let Salesforce be written again after a tug of war. Insert-only."""

    __tablename__ = "link_release"
    __table_args__ = (Index("link_release_person", "person_id", "released_at"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    released_at: Mapped[datetime]
    released_by: Mapped[str]
    note: Mapped[str]
    person_id: Mapped[int] = mapped_column(BigInteger)
    links: Mapped[int]


class UnlinkedPerson(Base):
    """An opted-out person whom no record can be named for, as of the latest night."""

    __tablename__ = "unlinked_person"
    __table_args__ = ({"schema": SCHEMA},)

    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    salesforce_id: Mapped[str | None]
    code: Mapped[str]
    since: Mapped[datetime]
    sync_run_id: Mapped[int] = mapped_column(BigInteger)


class MergeAudit(Base):
    """One decision about one link, with its inputs. Insert-only."""

    __tablename__ = "merge_audit"
    __table_args__ = (
        UniqueConstraint(
            "sync_run_id",
            "person_id",
            "record_id",
            "field",
            "decided_at",
            name="merge_audit_once",
            postgresql_nulls_not_distinct=True,
        ),
        Index("merge_audit_person", "person_id", "decided_at"),
        Index("merge_audit_newest", "decided_at", "id"),
        Index("merge_audit_code", "code", "decided_at"),
        Index("merge_audit_record", "record_id"),
        {"schema": SCHEMA, "postgresql_partition_by": "RANGE (decided_at)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    decided_at: Mapped[datetime] = mapped_column(primary_key=True)
    sync_run_id: Mapped[int] = mapped_column(BigInteger)
    org_id: Mapped[str]
    person_id: Mapped[int] = mapped_column(BigInteger)
    record_id: Mapped[str | None]
    object: Mapped[str | None]
    field: Mapped[str | None]
    base: Mapped[bool | None]
    store_is_opted_out: Mapped[bool | None]
    salesforce_is_opted_out: Mapped[bool | None]
    store_opted_out_at: Mapped[datetime | None]
    store_origin: Mapped[str | None]
    salesforce_modified_at: Mapped[datetime | None]
    salesforce_modified_by: Mapped[str | None]
    target_store: Mapped[bool | None]
    target_salesforce: Mapped[bool | None]
    new_base: Mapped[bool | None]
    rule: Mapped[str]
    code: Mapped[str]
    cause: Mapped[str | None]
    reason: Mapped[str]
    base_since: Mapped[datetime | None]
    store_act_id: Mapped[int | None] = mapped_column(BigInteger)
    salesforce_opted_out_after: Mapped[datetime | None]
    salesforce_opted_out_before: Mapped[datetime | None]
    salesforce_time_source: Mapped[str | None]
    evidence_id: Mapped[int | None] = mapped_column(BigInteger)
    shared_with: Mapped[int | None] = mapped_column(BigInteger)
    account_id: Mapped[str | None]
    supersedes: Mapped[int | None] = mapped_column(BigInteger)


class WriteAttempt(Base):
    """One outcome of one planned write. Insert-only."""

    __tablename__ = "write_attempt"
    __table_args__ = (
        UniqueConstraint(
            "sync_run_id",
            "person_id",
            "record_id",
            "field",
            "side",
            "outcome",
            "attempted_at",
            name="write_attempt_once",
            postgresql_nulls_not_distinct=True,
        ),
        Index("write_attempt_person", "person_id", "attempted_at"),
        Index("write_attempt_record", "record_id", "field", "attempted_at"),
        Index("write_attempt_clear", "org_id", "attempted_at", postgresql_where=text("NOT target")),
        Index("write_attempt_newest", "attempted_at", "id"),
        Index(
            "write_attempt_failed",
            "code",
            "attempted_at",
            "id",
            postgresql_where=text("code IS NOT NULL"),
        ),
        {"schema": SCHEMA, "postgresql_partition_by": "RANGE (attempted_at)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    attempted_at: Mapped[datetime] = mapped_column(primary_key=True)
    sync_run_id: Mapped[int] = mapped_column(BigInteger)
    org_id: Mapped[str]
    person_id: Mapped[int] = mapped_column(BigInteger)
    record_id: Mapped[str | None]
    object: Mapped[str | None]
    field: Mapped[str | None]
    side: Mapped[str]
    target: Mapped[bool]
    outcome: Mapped[str]
    failure_class: Mapped[str | None]
    code: Mapped[str | None]
    fix: Mapped[str | None]
    job_id: Mapped[str | None]
    act_id: Mapped[int | None] = mapped_column(BigInteger)
    changed_by: Mapped[str | None]
    changed_at: Mapped[datetime | None]


class ResubscribeJudgement(Base):
    """What became of a resubscribe: the newest row of its act counts. Insert-only."""

    __tablename__ = "resubscribe_judgement"
    __table_args__ = (
        Index("resubscribe_judgement_act", "act_id", "id"),
        Index("resubscribe_judgement_person", "person_id", "judged_at"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    judged_at: Mapped[datetime]
    sync_run_id: Mapped[int] = mapped_column(BigInteger)
    act_id: Mapped[int] = mapped_column(BigInteger)
    person_id: Mapped[int] = mapped_column(BigInteger)
    verdict: Mapped[str]
    code: Mapped[str]
    reason: Mapped[str]
    in_the_way: Mapped[str | None]
    retry_after: Mapped[datetime | None]


class HeldClear(Base):
    """A clear that waits, or waited, for a person to approve it."""

    __tablename__ = "held_clear"
    __table_args__ = (
        Index(
            "held_clear_open",
            "org_id",
            "person_id",
            "record_id",
            "field",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("resolution IS NULL"),
        ),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    org_id: Mapped[str]
    person_id: Mapped[int] = mapped_column(BigInteger)
    record_id: Mapped[str | None]
    object: Mapped[str | None]
    field: Mapped[str | None]
    evidence_id: Mapped[int | None] = mapped_column(BigInteger)
    held_run_id: Mapped[int] = mapped_column(BigInteger)
    held_at: Mapped[datetime]
    resolution: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
    resolved_run_id: Mapped[int | None] = mapped_column(BigInteger)


class OrgConfirmation(Base):
    """An org whose first night a person has looked at. Insert-only."""

    __tablename__ = "org_confirmation"
    __table_args__ = ({"schema": SCHEMA},)

    org_id: Mapped[str] = mapped_column(primary_key=True)
    confirmed_at: Mapped[datetime]
    confirmed_by: Mapped[str]
    note: Mapped[str]


class PushSignal(Base):
    """Somebody changed since the push last looked. Only added and taken, never updated."""

    __tablename__ = "push_signal"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger)
    signalled_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class PushOutbox(Base):
    """Where a person stands: whom the push has to look at, and what became of it."""

    __tablename__ = "push_outbox"
    __table_args__ = (
        Index(
            "push_outbox_due",
            "next_attempt_at",
            postgresql_where=text("state IN ('waiting', 'parked')"),
        ),
        Index("push_outbox_claimed", "claimed_by", postgresql_where=text("state = 'claimed'")),
        {"schema": SCHEMA},
    )

    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    state: Mapped[str]
    version: Mapped[int] = mapped_column(BigInteger)
    marked_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime]
    claimed_by: Mapped[int | None] = mapped_column(BigInteger)
    failure_class: Mapped[str | None]
    code: Mapped[str | None]
    fix: Mapped[str | None]
    closed_at: Mapped[datetime | None]


class PushPause(Base):
    """Why no push is made at the moment, and until when. At most one row."""

    __tablename__ = "push_pause"
    __table_args__ = ({"schema": SCHEMA},)

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    since: Mapped[datetime]
    until: Mapped[datetime]
    failures: Mapped[int]
    code: Mapped[str]
    reason: Mapped[str]


__all__ = [
    "Base",
    "HeldClear",
    "Link",
    "LinkRelease",
    "MergeAudit",
    "OrgConfirmation",
    "PushOutbox",
    "PushPause",
    "PushSignal",
    "ResubscribeJudgement",
    "SalesforceJob",
    "SettingsVersionRow",
    "SyncRun",
    "SyncStep",
    "UnlinkedPerson",
    "WriteAttempt",
]


class Erasure(Base):
    """Who was erased, by number. Insert-only."""

    __tablename__ = "erasure"
    __table_args__ = (Index("erasure_person", "person_id"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    erased_at: Mapped[datetime]
    erased_by: Mapped[str]
    note: Mapped[str]
    person_id: Mapped[int] = mapped_column(BigInteger)
    opt_outs: Mapped[int]


class LookUp(Base):
    """Somebody of support looked a person up. Insert-only."""

    __tablename__ = "look_up"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    looked_up_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    looked_up_by: Mapped[str] = mapped_column(server_default=text("session_user"))
    reason: Mapped[str]
    person_id: Mapped[int | None] = mapped_column(BigInteger)
    wanted: Mapped[str | None]
    login: Mapped[str] = mapped_column(server_default=text("session_user"))


class PushIntervention(Base):
    """Who had a push tried at once, or gave it up, and why. Insert-only."""

    __tablename__ = "push_intervention"
    __table_args__ = (Index("push_intervention_person", "person_id"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    intervened_at: Mapped[datetime]
    intervened_by: Mapped[str]
    note: Mapped[str]
    person_id: Mapped[int] = mapped_column(BigInteger)
    action: Mapped[str]
    code: Mapped[str | None]


class NightTally(Base):
    """A night in numbers, counted when its last run ended."""

    __tablename__ = "night_tally"
    __table_args__ = ({"schema": SCHEMA},)

    night: Mapped[date] = mapped_column(primary_key=True)
    decisions: Mapped[int] = mapped_column(BigInteger)
    opt_outs_to_store: Mapped[int] = mapped_column(BigInteger)
    opt_outs_to_salesforce: Mapped[int] = mapped_column(BigInteger)
    clears_to_store: Mapped[int] = mapped_column(BigInteger)
    clears_to_salesforce: Mapped[int] = mapped_column(BigInteger)
    applied: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    held: Mapped[int] = mapped_column(BigInteger)
    codes: Mapped[dict[str, object]]


class AuditThinning(Base):
    """A month of the audit that was thinned, by whom, and what is left of it. Insert-only."""

    __tablename__ = "audit_thinning"
    __table_args__ = (
        UniqueConstraint("audit_table", "month", name="audit_thinning_once"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    thinned_at: Mapped[datetime]
    thinned_by: Mapped[str]
    login: Mapped[str] = mapped_column(server_default=text("session_user"))
    settings_version: Mapped[int]
    keep_months: Mapped[int]
    audit_table: Mapped[str]
    month: Mapped[date]
    rows_before: Mapped[int] = mapped_column(BigInteger)
    rows_kept: Mapped[int] = mapped_column(BigInteger)


class AlertTold(Base):
    """What somebody was told, and when last."""

    __tablename__ = "alert"
    __table_args__ = ({"schema": SCHEMA},)

    key: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    since: Mapped[datetime]
    told_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
