"""Runs batches: saves their records, or their query, and writes their results."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator import external_ids, soql, soql_sql
from local.salesforce_emulator.bulk1 import results, uploads
from local.salesforce_emulator.bulk1.formats import NAMESPACE
from local.salesforce_emulator.bulk_progress import JobFailedError
from local.salesforce_emulator.errors import RowError, SalesforceError
from local.salesforce_emulator.records import Change
from local.salesforce_emulator.rendering import RecordRenderer, csv_line_sql, select_list
from local.salesforce_emulator.saving import Desk, Outcome, rules_of_job
from local.salesforce_emulator.schema import UnknownFieldError
from local.salesforce_emulator.soap import INSTANCE, xml_of

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.bulk1.batches import Batch
    from local.salesforce_emulator.bulk1.uploads import Record
    from local.salesforce_emulator.bulk_jobs import Job
    from local.salesforce_emulator.objects import Field, ObjectType
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.soql_sql import Plan

_MOST = 10_000  # records of a batch [documented]
QUERIES = ("query", "queryAll")
_NO_ID = RowError("MISSING_ARGUMENT", "Id not specified in an update call")  # [documented]


def run(org: Org, job: Job, batch: Batch) -> None:
    """Run one batch to its end; a whole batch that cannot be run is Failed and says why."""
    store, started = org.batches, time.monotonic()
    store.update(batch, state="InProgress")
    body = store.file(job, batch, "request").read_bytes()
    try:
        if job.operation in QUERIES:
            processed, failed = _query(org, job, batch, body.decode("utf-8")), 0
        else:
            processed, failed = _save(org, job, batch, body)
    except JobFailedError as failure:
        store.update(batch, state="Failed", message=str(failure))
        return
    spent = round((time.monotonic() - started) * 1_000)
    store.update(batch, state="Completed", processed=processed, failed=failed, milliseconds=spent)


def _save(org: Org, job: Job, batch: Batch, body: bytes) -> tuple[int, int]:
    kind = content_type(job)
    records = uploads.records(body, kind)
    if len(records) > _MOST:
        raise JobFailedError(f"InvalidBatch : Records exceed the limit of {_MOST} per batch")
    object_type = org.schema_of(job.created_by).find_object(job.object)
    if object_type is None:
        raise JobFailedError(f"InvalidBatch : Entity '{job.object}' is not supported")
    saver = _Saver(org, job, object_type)
    with org.database.write() as connection:
        outcomes = saver.save(connection, records)
    text = results.render(outcomes, kind)
    org.batches.file(job, batch, "result").write_text(text, encoding="utf-8", newline="")
    return len(outcomes), sum(isinstance(each, RowError) for each in outcomes)


class _Saver:
    def __init__(self, org: Org, job: Job, object_type: ObjectType) -> None:
        self._schema = org.schema_of(job.created_by)
        self._job = job
        self._object_type = object_type
        rules = rules_of_job(org, job, f"/services/async/job/{job.id}", object_type)
        self._desk = Desk(org, object_type, rules)

    def save(self, connection: sqlite3.Connection, records: list[Record]) -> list[Outcome]:
        """Save the records; one outcome per record, in order."""
        ids = [str(_given_id(record) or "") for record in records]
        if self._job.operation in ("delete", "hardDelete"):
            return self._desk.delete(connection, ids)
        values = [self._values(record) for record in records]
        if self._job.operation == "insert":
            return self._desk.create(connection, values)
        if self._job.operation == "upsert":
            return self._upsert(connection, records, values)
        changes = [Change(each, some) for each, some in zip(ids, values, strict=True) if each]
        saved = iter(self._desk.update(connection, changes))
        return [next(saved) if each else _NO_ID for each in ids]

    def _upsert(
        self,
        connection: sqlite3.Connection,
        records: list[Record],
        values: list[dict[Field, object]],
    ) -> list[Outcome]:
        try:
            name = self._job.external_id or "Id"
            key = external_ids.key_field(self._schema, self._object_type, name)
        except SalesforceError as error:
            raise JobFailedError(f"InvalidBatch : {error.message}") from error
        if key.name == "Id":
            for record, some in zip(records, values, strict=True):
                some[key] = _given_id(record)
        return self._desk.upsert(connection, key, values)

    def _values(self, record: Record) -> dict[Field, object]:
        """Return the values by field; a name that is unknown fails the batch [captured]."""
        values = {}
        for name, value in record.items():
            if name.lower() in ("id", "attributes", "@type", "type"):
                continue
            try:
                values[self._schema.visible_field(self._object_type, name)] = value
            except UnknownFieldError as error:
                raise JobFailedError(f"InvalidBatch : Field name not found : {name}") from error
        return values


def _given_id(record: Record) -> Any:
    return next((value for name, value in record.items() if name.lower() == "id"), None)


def _query(org: Org, job: Job, batch: Batch, text: str) -> int:
    try:
        query = soql.parse(text)
        if query.is_aggregate or not query.fields or query.offset is not None:  # [documented]
            raise JobFailedError(
                "InvalidBatch : Failed to process query: FUNCTIONALITY_NOT_ENABLED: "
                "Aggregate Relationships not supported in Bulk Query"
            )
        schema = org.schema_of(job.created_by)
        plan = soql_sql.plan(query, schema, include_deleted=job.operation == "queryAll")
    except SalesforceError as error:
        message = f"InvalidBatch : Failed to process query: {error.code}: {error.message}"
        raise JobFailedError(message) from error
    lines, count = _RENDERERS[content_type(job)](org, job, plan)
    org.batches.file(job, batch, "result").write_text(lines, encoding="utf-8", newline="")
    return count


def _as_csv(org: Org, _job: Job, plan: Plan) -> tuple[str, int]:
    sql = f"select {csv_line_sql(plan.fields, ',')} {plan.source}"
    rows = [line for (line,) in org.database.read().execute(sql, plan.values)]
    head = ",".join(f'"{field.name}"' for field in plan.fields)
    return "\n".join([head, *rows]) + "\n", len(rows)


def _records(org: Org, job: Job, plan: Plan) -> list[dict[str, Any]]:
    renderer = RecordRenderer(
        plan.object_type, plan.fields, f"/services/data/v{job.version}", plan.relations
    )
    sql = f'select "Id", {select_list(plan.fields, plan.relations)} {plan.source}'
    rows = org.database.read().execute(sql, plan.values)
    return [renderer.record(record_id, values) for record_id, *values in rows]


def _as_json(org: Org, job: Job, plan: Plan) -> tuple[str, int]:
    """Return records as recorded: times are milliseconds since 1970."""
    records = _records(org, job, plan)
    times = [field.name.split(".") for field in plan.fields if field.type == "datetime"]
    for record in records:
        for steps in times:
            _to_milliseconds(record, steps)
    return json.dumps(records, ensure_ascii=False), len(records)


def _to_milliseconds(record: dict[str, Any], steps: list[str]) -> None:
    holder: Any = record
    for step in steps[:-1]:
        holder = holder[step] if holder is not None else None
    if holder is not None and holder[steps[-1]] is not None:
        at = datetime.fromisoformat(holder[steps[-1]]).astimezone(UTC)
        holder[steps[-1]] = round(at.timestamp() * 1_000)


def _as_xml(org: Org, job: Job, plan: Plan) -> tuple[str, int]:
    records = _records(org, job, plan)
    text = "".join(f"<records>{_xml_of(each)}</records>" for each in records)
    head = f'<?xml version="1.0" encoding="UTF-8"?><queryResult xmlns="{NAMESPACE}"'
    head += f' xmlns:xsi="{INSTANCE}">'
    return f"{head}{text}</queryResult>", len(records)


def _xml_of(record: dict[str, Any]) -> str:
    return "".join(
        f"<{name}>{_xml_of(value)}</{name}>" if isinstance(value, dict) else xml_of(name, value)
        for name, value in record.items()
        if name != "attributes"
    )


_RENDERERS = {"CSV": _as_csv, "JSON": _as_json, "XML": _as_xml}


def content_type(job: Job) -> str:
    """Return the format of a job's data."""
    return str(json.loads(job.options)["contentType"])
