"""Consents: a documented wish to be mailed again is recorded once, and a run judges it later."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, text

from include.audit import settings
from include.audit.settings import Settings
from include.domain.conflicts import Verdict
from include.store import acts, people
from include.store.database import transaction
from include.store.errors import database_errors

_ASK_AGAIN: Final = 0.2
ENABLE = "python -m include.cli settings set --enable --by NAME --note WHY"
RESUME = "python -m include.cli settings set --resume --by NAME --note WHY"


@dataclass(frozen=True, slots=True)
class Consent:
    """That a person may be mailed again.

    Attributes:
        person_id: who consented.
        reason: why they may be mailed again.
        actor: who recorded it.
        reference: where it is documented.
        approver: who approved it, if anybody had to.
        by_person: the person opted in themselves.
        occurred_at: when they consented (aware); None: just now.
        key: names it; None: its content does.
    """

    person_id: int
    reason: str
    actor: str
    reference: str
    approver: str | None = None
    by_person: bool = False
    occurred_at: datetime | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Resubscribe:
    """A consent that is recorded, and what became of it."""

    act_id: int
    person_id: int
    at: datetime
    recorded_at: datetime
    is_evidence: bool
    verdict: str
    code: str | None
    reason: str
    retry_after: datetime | None
    judged_at: datetime | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording a consent did.

    Attributes:
        act_id: names it in the store.
        is_new: false where the same consent had been recorded before.
        verdict: of a run, if one has judged it.
        next_step: what happens now, in plain words.
        is_judged_soon: whether a push that is switched on judges it within seconds.
    """

    act_id: int
    is_new: bool
    verdict: str
    next_step: str
    is_judged_soon: bool


def record(engine: Engine, consent: Consent, *, now: datetime) -> Recorded:
    """Record a consent; repeating the same one adds nothing.

    What was refused is never judged again, so the same words after a refusal are a new consent,
    unless it has a key of its own.

    Raises:
        IncompleteEvidenceError: reason, actor or reference is blank.
        UnknownPersonError: there is no such person.
    """
    with transaction(engine) as conn:
        known = verdicts(conn, [consent.person_id])
        if consent.key:
            act_id = _record(conn, consent, consent.key, now)
        else:
            act_id = _record_once(conn, consent, known, now)
        chosen = settings.current(conn).settings
        is_opted_out = _is_opted_out(conn, consent.person_id, chosen)
    verdict = known.get(act_id, Verdict.WAITING.value)
    sentence = _next_step(verdict, chosen, is_opted_out=is_opted_out)
    is_judged_soon = verdict == Verdict.WAITING.value and chosen.enabled and not chosen.paused
    return Recorded(act_id, act_id not in known, verdict, sentence, is_judged_soon)


def wait_for_judgement(
    engine: Engine,
    act_id: int,
    *,
    longest: timedelta,
    sleep: Callable[[float], None] = time.sleep,
) -> Resubscribe | None:
    """Wait until a run has judged a resubscribe; None: none did in time.

    A judgement may be that it cannot be judged yet.
    """
    deadline = time.monotonic() + longest.total_seconds()
    while True:
        with transaction(engine) as conn:
            found = judged(conn, act_id)
        if found is not None or time.monotonic() >= deadline:
            return found
        sleep(_ASK_AGAIN)


@database_errors()
def judged(conn: Connection, act_id: int) -> Resubscribe | None:
    """Return a resubscribe with its judgement; None: nothing has judged it yet."""
    row = conn.execute(text(JUDGED), {"act": act_id}).mappings().one_or_none()
    return None if row is None else Resubscribe(**row)


@database_errors()
def verdicts(conn: Connection, person_ids: Iterable[int]) -> dict[int, str]:
    """Return the verdict of every resubscribe of these people, by act."""
    rows = conn.execute(text(VERDICTS), {"people": list(person_ids)})
    return {row.act_id: row.verdict for row in rows}


@database_errors()
def listed(
    conn: Connection, *, person_id: int | None, most: int
) -> tuple[Sequence[Resubscribe], int]:
    """Return the newest resubscribes, newest first, and how many there are.

    Args:
        conn: in a transaction.
        person_id: whose; None: everybody's.
        most: how many to return.
    """
    values = {"person": person_id, "most": most}
    rows = conn.execute(text(LISTED), values).mappings().all()
    total: int = conn.execute(text(COUNTED), {"person": person_id}).scalar_one()
    return [Resubscribe(**row) for row in rows], total


def _record_once(
    conn: Connection, consent: Consent, known: Mapping[int, str], now: datetime
) -> int:
    """Record a consent under a key of its content, with one more number after each refusal."""
    key, attempt = f"consent/{_digest(consent)}", 0
    while True:
        act_id = _record(conn, consent, f"{key}/{attempt}", now)
        if known.get(act_id) != Verdict.REFUSED.value:
            return act_id
        attempt += 1


def _record(conn: Connection, consent: Consent, key: str, now: datetime) -> int:
    return acts.record_resubscribe(
        conn,
        person_id=consent.person_id,
        reason=consent.reason,
        actor=consent.actor,
        reference=consent.reference,
        approver=consent.approver,
        by_person=consent.by_person,
        occurred_at=consent.occurred_at or now,
        idempotency_key=key,
    )


def _digest(consent: Consent) -> str:
    """Name a consent by its content: the moment it is typed at is no part of it."""
    at = consent.occurred_at.isoformat() if consent.occurred_at else None
    content = [
        consent.person_id,
        consent.reason,
        consent.actor,
        consent.reference,
        consent.approver,
        consent.by_person,
        at,
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _is_opted_out(conn: Connection, person_id: int, chosen: Settings) -> bool:
    states = people.read_states(
        conn, [person_id], scopes=chosen.synced_scopes, with_bounces=chosen.bounces_sync
    )
    return bool(states["is_opted_out"].fillna(False).iloc[0])


def _next_step(verdict: str, chosen: Settings, *, is_opted_out: bool) -> str:
    if verdict == Verdict.ACCEPTED.value:
        return "It was accepted already" + (
            "; the person opted out again since: only a newer consent ends that."
            if is_opted_out
            else "."
        )
    if verdict == Verdict.REFUSED.value:
        return "It was refused and is not judged again: record a newer consent, without --key."
    if verdict == Verdict.HELD.value:
        return "It is held with many others: a person is asked in Airflow (Required Actions)."
    return f"{_who_judges(chosen)} {_until_then(is_opted_out)}"


def _who_judges(chosen: Settings) -> str:
    waits = f"within {chosen.evidence_days} days, or it expires"
    if not chosen.enabled:
        return f"No run judges it while the sync is disabled; enable it {waits}: {ENABLE}."
    if chosen.paused:
        return f"No run judges it while the sync is paused; resume it {waits}: {RESUME}."
    return (
        "A push judges it within seconds, at the latest the next night: it counts if it is newer "
        "than every opt-out on both sides."
    )


def _until_then(is_opted_out: bool) -> str:
    if is_opted_out:
        return "Until then the person stays opted out."
    return "The store has nothing to clear; if Salesforce says opted out, that is judged."


VERDICTS = """
SELECT act_id, verdict FROM opt_out_sync.v_resubscribe WHERE person_id = ANY (:people)
"""
JUDGED = """
SELECT act_id, person_id, at, recorded_at, is_evidence, verdict, code, reason, retry_after,
       judged_at
FROM opt_out_sync.v_resubscribe
WHERE act_id = :act AND judged_at IS NOT NULL
"""
LISTED = """
SELECT act_id, person_id, at, recorded_at, is_evidence, verdict, code, reason, retry_after,
       judged_at
FROM opt_out_sync.v_resubscribe
WHERE person_id = coalesce(:person, person_id)
ORDER BY act_id DESC
LIMIT :most
"""
COUNTED = """
SELECT count(*) FROM opt_out_sync.v_resubscribe WHERE person_id = coalesce(:person, person_id)
"""
