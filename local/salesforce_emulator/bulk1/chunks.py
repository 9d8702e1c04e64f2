"""PK chunking: a query of a large object cut by Salesforce into batches of consecutive Ids."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from local.salesforce_emulator.bulk1.runner import QUERIES

if TYPE_CHECKING:
    from local.salesforce_emulator.bulk1.batches import Batch
    from local.salesforce_emulator.bulk_jobs import Job
    from local.salesforce_emulator.org import Org

_USUAL, _MOST = 100_000, 250_000  # [documented]


def size(header: str | None) -> int | None:
    """Return the chunk size that ``Sforce-Enable-PKChunking`` asks for, None for no chunks."""
    if header is None or header.strip().lower() == "false":
        return None
    found = re.search(r"chunkSize\s*=\s*(\d+)", header)
    return min(int(found[1]), _MOST) if found else _USUAL


def add(org: Org, job: Job, body: bytes) -> Batch:
    """Queue a batch and return it; a chunked query's own one is never processed [documented]."""
    chunk = json.loads(job.options)["chunkSize"]
    if chunk is None or job.operation not in QUERIES:
        return _queue(org, job, body)
    original = org.batches.create(job, "NotProcessed")
    org.batches.file(job, original, "request").write_bytes(body)
    for condition in _ranges(org, job, chunk):
        _queue(org, job, _narrowed(body.decode("utf-8"), condition).encode())
    return original


def _queue(org: Org, job: Job, body: bytes) -> Batch:
    batch = org.batches.create(job)
    org.batches.file(job, batch, "request").write_bytes(body)
    org.jobs.start_batch(job, batch)
    org.limits.count("DailyBulkApiBatches")
    return batch


def _ranges(org: Org, job: Job, chunk: int) -> list[str]:
    """Return conditions which cut all Ids of the object into ranges."""
    rows = org.database.read().execute(
        'select "Id" from (select "Id", row_number() over (order by "Id") as n'  # noqa: S608
        f' from "{job.object}") where (n - 1) % ? = 0 order by "Id"',
        (chunk,),
    )
    starts = [record_id for (record_id,) in rows]
    pairs = zip(starts, [*starts[1:], None], strict=True)
    return [f"Id >= '{start}'" + (f" AND Id < '{end}'" if end else "") for start, end in pairs]


def _narrowed(text: str, condition: str) -> str:
    """Return the query with one more condition; what follows WHERE stays together."""
    head, where, rest = re.split(r"(?i)(\bwhere\b)", text, maxsplit=1) if re.search(
        r"(?i)\bwhere\b", text
    ) else (text, "", "")  # fmt: skip
    if where:
        return f"{head}WHERE {condition} AND ({rest.strip()})"
    return f"{text.strip()} WHERE {condition}"
