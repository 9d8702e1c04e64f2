"""Runs a bulk query job: renders its result once, serves bytes afterwards."""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING

from local.salesforce_emulator import soql, soql_sql
from local.salesforce_emulator.bulk_progress import JobFailedError, Progress
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.rendering import csv_line_sql

if TYPE_CHECKING:
    import sqlite3

    from local.salesforce_emulator.bulk_jobs import Job, JobStore
    from local.salesforce_emulator.database import Database
    from local.salesforce_emulator.schema import Schema
    from local.salesforce_emulator.soql_sql import Plan

_ROWS = 10_000


def run_query(
    job: Job, store: JobStore, database: Database, schema: Schema, progress: Progress
) -> None:
    """Write the job's rows, their offsets and the header line into its files.

    Raises:
        JobFailedError: the query asks for what the user cannot see: the whole job fails
            [captured]; the wording is captured from Bulk 1.0.
    """
    plan = _plan(job, schema)
    header = job.delimiter.join(f'"{field.name}"' for field in plan.fields) + job.newline
    store.file(job, "header").write_text(header, encoding="utf-8", newline="")
    line = csv_line_sql(plan.fields, job.delimiter)
    rows = database.read().execute(f"select {line} {plan.source}", plan.values)
    offsets = array("Q", [0])
    with store.file(job, "rows").open("wb") as file:
        while lines := _next_lines(rows, job.newline):
            file.write(b"".join(lines))
            offsets.extend(accumulate(map(len, lines), initial=offsets.pop()))
            progress.report(len(offsets) - 1)
    store.file(job, "offsets").write_bytes(offsets.tobytes())


def _next_lines(rows: sqlite3.Cursor, newline: str) -> list[bytes]:
    return [(line + newline).encode() for (line,) in rows.fetchmany(_ROWS)]


def _plan(job: Job, schema: Schema) -> Plan:
    query = soql.parse(job.query or "")
    if not query.fields or query.is_aggregate:  # [documented]
        raise JobFailedError(
            "InvalidBatch : Failed to process query: FUNCTIONALITY_NOT_ENABLED: "
            "Aggregate Relationships not supported in Bulk Query"
        )
    try:
        return soql_sql.plan(query, schema, include_deleted=job.operation == "queryAll")
    except SalesforceError as error:
        raise JobFailedError(
            f"InvalidBatch : Failed to process query: {error.code}: {error.message}"
        ) from error
