"""Before a night: may it run, against which org, and what can be read and written there?

Preflight takes the lease, so at most one night is open at a time. It stops a night only for what
makes every step useless; a field hidden on one object costs that object, not the night.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine

from include.audit import attempts, links, past_nights, runs, settings
from include.audit.runs import Kind, NightAlreadyOpenError, Run
from include.domain.errors import OptOutSyncError, PermanentSyncError, TransientSyncError
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.salesforce.describe import FieldAccess
from include.store.database import transaction
from include.store.encryption import weakness
from include.sync import checks
from include.sync.clock import Clock

log = logging.getLogger(__name__)

PARAMETERS: Final = frozenset({"plan_only"})
_SETTINGS = "python -m include.cli settings set"


class UnknownParameterError(PermanentSyncError):
    """The run was started with a parameter that does not exist."""


class NoApiBudgetError(TransientSyncError):
    """Salesforce's daily API requests are nearly used up: they refill over 24 hours."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What started a night.

    Attributes:
        airflow_run_id: names the run in Airflow; a repeated run is the next attempt.
        interval: the data interval that names the night; None for a run started by hand.
        plan_only: decide and explain, write nothing.
        kind: of the run: `night`, `replay` (a past night again) or `held_clears`.
    """

    airflow_run_id: str
    interval: tuple[datetime, datetime] | None
    plan_only: bool
    kind: Kind = "night"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long preflight waits for the lease before it gives up this try.

    A replay looks less often than a night, so that the night which is due goes first.

    Attributes:
        longest: seconds.
        night: seconds between two looks of a night.
        replay: seconds between two looks of a replay.
        sleep: waits.
    """

    longest: float = 0.0
    night: float = 2.0
    replay: float = 15.0
    sleep: Callable[[float], None] = time.sleep

    def pause(self, kind: Kind) -> float:
        """Return how long a run of some kind waits before it looks again."""
        return self.replay if kind == "replay" else self.night


def preflight(
    engine: Engine,
    client: SalesforceClient,
    trigger: Trigger,
    *,
    clock: Clock,
    announce: Callable[[int], object],
    patience: Patience = Patience(),
) -> int | None:
    """Open a night and return its run id, or None while the sync is switched off.

    Repeating it for the same Airflow run supersedes the earlier attempt.

    Args:
        engine: the store.
        client: Salesforce; not asked while the sync is switched off.
        trigger: what started the night.
        clock: tells the time.
        announce: is told the attempt's id as soon as there is one, also of an attempt that then
            fails or does nothing: `report` reports on that one, never on an earlier one.
        patience: how long to wait for another run to end.

    Raises:
        NightAlreadyOpenError: another Airflow run is in the middle of a night.
        LoginError, SalesforceUnavailableError: Salesforce cannot be reached.
        WrongOrgError: this database belongs to another Salesforce org.
        NoApiBudgetError: fewer API requests are left than the reserve in the settings.
    """
    trigger = _as_replay(engine, trigger)
    reason = _switched_off(engine)
    if reason is not None:
        skipped = runs.skip(
            engine,
            kind=trigger.kind,
            airflow_run_id=trigger.airflow_run_id,
            interval=trigger.interval,
            reason=reason,
            now=clock(),
        )
        announce(skipped)
        log.warning("Nothing is synced: %s", reason)
        return None
    run = _opened(engine, trigger, clock, patience)
    announce(run.id)
    try:
        return _check(engine, client, run, clock)
    except OptOutSyncError as error:
        runs.fail(engine, run.id, str(error), now=clock())
        raise


def _as_replay(engine: Engine, trigger: Trigger) -> Trigger:
    """Make a replay of a night that has closed already."""
    if trigger.kind != "night" or trigger.interval is None:
        return trigger
    with transaction(engine) as conn:
        is_past = past_nights.has_closed(conn, trigger.interval[1])
    return replace(trigger, kind="replay") if is_past else trigger


def _opened(engine: Engine, trigger: Trigger, clock: Clock, patience: Patience) -> Run:
    """Take the lease; wait for the run that holds it."""
    until = clock() + timedelta(seconds=patience.longest)
    while True:
        try:
            return runs.open_run(
                engine,
                kind=trigger.kind,
                airflow_run_id=trigger.airflow_run_id,
                interval=trigger.interval,
                plan_only=trigger.plan_only,
                now=clock(),
            )
        except NightAlreadyOpenError as error:
            if clock() >= until:
                raise
            log.info("Waiting: %s", error)
        patience.sleep(patience.pause(trigger.kind))


def require_known(parameters: Collection[str]) -> None:
    """Raise if a run has a parameter that nobody reads: a misspelt `plan_only` must not write.

    Raises:
        UnknownParameterError: naming it.
    """
    unknown = sorted(set(parameters) - PARAMETERS)
    if unknown:
        raise UnknownParameterError(
            f"unknown parameter {', '.join(unknown)}: a night knows {', '.join(sorted(PARAMETERS))}"
        )


@dataclass(frozen=True, slots=True)
class Access:
    """What preflight found that can be read and written.

    Attributes:
        fields: by opt-out field and object. Beside the fields of the mode there are those that an
            earlier mode set, so that evidence can clear them, too.
        person_accounts: whether the org has them.
        read_at: when Salesforce said so; None: just now.
        clock_offset: how far Salesforce's clock was ahead of ours; negative: behind.
    """

    fields: Mapping[str, Mapping[SalesforceObject, FieldAccess]]
    person_accounts: bool
    read_at: datetime | None = None
    clock_offset: timedelta = timedelta(0)

    @property
    def clock_behind(self) -> timedelta:
        """How far Salesforce's clock is behind: what happened there may be newer than it says."""
        return max(-self.clock_offset, timedelta(0))

    @property
    def is_complete(self) -> bool:
        """Whether everything can be read and written."""
        found = [access for objects in self.fields.values() for access in objects.values()]
        return all(access.readable and access.updateable for access in found)

    def readable(self, fields: Collection[str]) -> dict[str, tuple[SalesforceObject, ...]]:
        """Return by field the objects on which it can be read."""
        return {
            field: tuple(obj for obj, found in objects.items() if found.readable)
            for field, objects in self.fields.items()
            if field in fields
        }

    def fields_of(self, obj: SalesforceObject) -> list[str]:
        """Return the fields that can be read on an object."""
        return [field for field, objects in self.fields.items() if objects[obj].readable]


def access_of(engine: Engine, sync_run_id: int) -> Access:
    """Return what preflight found readable and updateable."""
    return access_in(attempts.step_counts(engine, sync_run_id, runs.PREFLIGHT) or {})


def access_in(counts: Mapping[str, Any]) -> Access:
    """Return what a preflight wrote down."""
    found: dict[str, Any] = counts["access"]
    fields = {
        field: {SalesforceObject(obj): FieldAccess(**access) for obj, access in objects.items()}
        for field, objects in found.items()
    }
    read_at = counts.get("access_read_at")
    return Access(
        fields,
        counts["person_accounts"],
        datetime.fromisoformat(read_at) if read_at else None,
        timedelta(seconds=counts.get("clock_offset_seconds", 0.0)),
    )


def access_counts(access: Access, read_at: datetime) -> dict[str, Any]:
    """Return what a preflight writes down of access."""
    return {
        "access": {
            field: {obj.value: asdict(found) for obj, found in objects.items()}
            for field, objects in access.fields.items()
        },
        "access_read_at": read_at.isoformat(),
        "person_accounts": access.person_accounts,
        "clock_offset_seconds": access.clock_offset.total_seconds(),
    }


def find_access(client: SalesforceClient, fields: Sequence[str], clock: Clock) -> Access:
    """Ask Salesforce what the integration user may read and write, and what time it is there."""
    found = {
        field: {obj: client.field_access(obj, field) for obj in SalesforceObject}
        for field in fields
    }
    return Access(found, client.has_person_accounts(), clock_offset=client.clock_offset(clock))


def _switched_off(engine: Engine) -> str | None:
    with transaction(engine) as conn:
        current = settings.current(conn).settings
    if not current.enabled:
        return f"the sync is disabled; enable it with: {_SETTINGS} --enable --by NAME --note WHY"
    if current.paused:
        return f"the sync is paused; resume it with: {_SETTINGS} --resume --by NAME --note WHY"
    return None


def _check(engine: Engine, client: SalesforceClient, run: Run, clock: Clock) -> int:
    weak = weakness(engine)
    if weak is not None:
        log.warning("%s", weak)
    run = runs.bind_org(engine, run, client.organization_id(), now=clock())
    remaining = _check_budget(client, run.settings.settings.api_reserve)
    chosen = run.settings.settings.opt_out_fields
    access = find_access(client, fields_of_interest(engine, run, chosen), clock)
    for check in checks.problems(access.fields, chosen, run.settings.settings.labels):
        log.warning("%s", check.sentence)
    with transaction(engine) as conn:
        now = clock()
        counts = access_counts(access, now) | {"api_requests_remaining": remaining}
        runs.guard(conn, run, now=now)
        runs.mark_extraction_started(conn, run, now=now)
        runs.finish_step(conn, run, counts, now=now)
    return run.id


def fields_of_interest(engine: Engine, run: Run, chosen: Sequence[str]) -> list[str]:
    """Add to the fields of the mode the fields that an earlier mode opted people out in."""
    with transaction(engine) as conn:
        earlier = links.opted_out_fields(conn, run.org)
    return [*chosen, *(field for field in earlier if field not in chosen)]


def _check_budget(client: SalesforceClient, reserve: int) -> int:
    remaining = client.api_budget().remaining
    if remaining < reserve:
        raise NoApiBudgetError(
            f"Salesforce allows {remaining} more API requests today, the settings keep {reserve} "
            "in reserve: wait until they refill, or lower api_reserve"
        )
    return remaining
