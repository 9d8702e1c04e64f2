"""``sobjects/{X}/updated`` and ``/deleted``: Ids of what changed between two times.

Seconds are ignored [documented]. ``latestDateCovered`` lags behind, because a change becomes
visible later than its stamp [documented]; here by as much as the fault of late commits can [assumed
as a number].
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from local.salesforce_emulator.clock import now, to_rest, to_stored
from local.salesforce_emulator.errors import RowError, SalesforceError

if TYPE_CHECKING:
    from starlette.responses import Response

    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

_UPDATED_DAYS, _DELETED_DAYS = 30, 15  # [documented]
_MOST_IDS = 600_000  # [documented]
_LAG = timedelta(seconds=60)


def updated(org: Org, call: Call) -> Response:
    """``GET sobjects/{X}/updated?start=&end=``: by SystemModstamp, living records [documented]."""
    object_type = _replicated(org, call)
    start, end = _window(call, _UPDATED_DAYS)
    rows = (
        org.database.read()
        .execute(
            f'select "Id" from "{object_type.name}" where "IsDeleted" = 0'  # noqa: S608
            ' and "SystemModstamp" >= ? and "SystemModstamp" < ? order by "SystemModstamp", "Id"'
            f" limit {_MOST_IDS + 1}",
            (to_stored(start), to_stored(end)),
        )
        .fetchall()
    )
    if len(rows) > _MOST_IDS:
        raise SalesforceError(400, "EXCEEDED_ID_LIMIT", "More than 600000 Ids in the timespan")
    ids = [record_id for (record_id,) in rows]
    return call.answer({"ids": ids, "latestDateCovered": _covered(end)})


def deleted(org: Org, call: Call) -> Response:
    """``GET sobjects/{X}/deleted?start=&end=``: what lies in the recycle bin [documented]."""
    object_type = _replicated(org, call)
    start, end = _window(call, _DELETED_DAYS)
    rows = org.database.read().execute(
        f'select "Id", "SystemModstamp" from "{object_type.name}" where "IsDeleted" = 1'  # noqa: S608
        ' and "SystemModstamp" >= ? and "SystemModstamp" < ? order by "SystemModstamp", "Id"',
        (to_stored(start), to_stored(end)),
    )
    records = [{"deletedDate": to_rest(at), "id": record_id} for record_id, at in rows]
    earliest = now() - timedelta(days=_DELETED_DAYS)
    return call.answer(
        {
            "deletedRecords": records,
            "earliestDateAvailable": to_rest(to_stored(earliest)),
            "latestDateCovered": _covered(end),
        }
    )


def _replicated(org: Org, call: Call) -> ObjectType:
    object_type = org.schema_of(call.user_id).object_type(call.params["object"])
    if not object_type.has("IsDeleted") or not object_type.updateable:
        message = f"object type {object_type.name} is not replicateable"  # [documented code]
        raise SalesforceError(400, "INVALID_TYPE_FOR_OPERATION", message)
    return object_type


def _covered(end: datetime) -> str:
    return to_rest(to_stored(min(end, now() - _LAG).replace(second=0)))


def _window(call: Call, days: int) -> tuple[datetime, datetime]:
    start, end = (_minute(call, name) for name in ("start", "end"))
    if start < now() - timedelta(days=days):
        raise _refused("INVALID_REPLICATION_DATE", "startDate before org replication enabled date")
    if end - start < timedelta(minutes=1):
        raise _refused("INVALID_REPLICATION_DATE", "endDate must be at least one minute greater")
    return start, end


def _minute(call: Call, name: str) -> datetime:
    """Return a time of the query without its seconds."""
    text = call.query.get(name, "").replace(" ", "+")  # a plus sign which nobody quoted
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise _refused("MALFORMED_QUERY", f"{name} is not a valid date: {text}") from error
    if at.tzinfo is None:
        raise _refused("MALFORMED_QUERY", f"{name} has no time zone: {text}")
    try:
        return at.astimezone(UTC).replace(second=0, microsecond=0)
    except OverflowError as error:
        raise _refused("MALFORMED_QUERY", f"{name} is out of range: {text}") from error


def _refused(code: str, message: str) -> SalesforceError:
    return RowError(code, message).as_exception()  # [assumed wording]
