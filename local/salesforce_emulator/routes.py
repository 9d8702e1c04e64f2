"""Which path below ``/services/data/v{version}`` leads to which handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import compile_path

from local.salesforce_emulator import (
    bulk_ingest,
    bulk_query,
    composite,
    describe,
    query,
    record_collections,
    replication,
    sobjects,
    tooling,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

    Handler = Callable[[Org, Call], Response]

DATA = "/services/data/v{version}"
DATA_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "", describe.resources),
    ("GET", "/limits", describe.limits),
    ("GET", "/limits/recordCount", describe.record_counts),
    ("GET", "/query", query.query),
    ("GET", "/queryAll", query.query_all),
    ("GET", "/query/{locator}", query.query_more),
    ("GET", "/queryAll/{locator}", query.query_more),
    ("GET", "/sobjects", describe.describe_global),
    ("GET", "/sobjects/{object}", describe.object_metadata),
    ("GET", "/sobjects/{object}/describe", describe.describe_object),
    ("GET", "/sobjects/{object}/describe/layouts", describe.describe_layouts),
    ("GET", "/sobjects/{object}/describe/layouts/{record_type}", describe.describe_layouts),
    ("GET", "/sobjects/{object}/updated", replication.updated),
    ("GET", "/sobjects/{object}/deleted", replication.deleted),
    ("POST", "/sobjects/{object}", sobjects.create_record),
    ("GET", "/sobjects/{object}/{id}", sobjects.read_record),
    ("PATCH", "/sobjects/{object}/{id}", sobjects.update_record),
    ("DELETE", "/sobjects/{object}/{id}", sobjects.delete_record),
    ("GET", "/sobjects/{object}/{field}/{value:path}", sobjects.read_by_key),
    ("PATCH", "/sobjects/{object}/{field}/{value:path}", sobjects.upsert_record),
    ("DELETE", "/sobjects/{object}/{field}/{value:path}", sobjects.delete_by_key),
    ("POST", "/composite", composite.composite),
    ("POST", "/composite/batch", composite.batch),
    ("POST", "/composite/graph", composite.graph),
    ("POST", "/composite/sobjects", record_collections.create_records),
    ("PATCH", "/composite/sobjects", record_collections.update_records),
    ("DELETE", "/composite/sobjects", record_collections.delete_records),
    ("PATCH", "/composite/sobjects/{object}/{field}", record_collections.upsert_records),
    ("GET", "/composite/sobjects/{object}", record_collections.read_records_by_get),
    ("POST", "/composite/sobjects/{object}", record_collections.read_records_by_post),
    ("GET", "/tooling/query", tooling.run_query),
    ("GET", "/tooling/query/{locator}", query.query_more),
    ("GET", "/tooling/sobjects/{object}/describe", tooling.describe_object),
    ("POST", "/tooling/sobjects/{object}", tooling.create_record),
    ("GET", "/tooling/sobjects/{object}/{id}", tooling.read_record),
    ("PATCH", "/tooling/sobjects/{object}/{id}", tooling.update_record),
    ("DELETE", "/tooling/sobjects/{object}/{id}", tooling.delete_record),
    ("POST", "/jobs/query", bulk_query.create_job),
    ("GET", "/jobs/query", bulk_query.list_jobs),
    ("GET", "/jobs/query/{id}", bulk_query.show_job),
    ("PATCH", "/jobs/query/{id}", bulk_query.change_state),
    ("DELETE", "/jobs/query/{id}", bulk_query.delete_job),
    ("GET", "/jobs/query/{id}/results", bulk_query.results),
    ("GET", "/jobs/query/{id}/resultPages", bulk_query.result_pages),
    ("POST", "/jobs/ingest", bulk_ingest.create_job),
    ("GET", "/jobs/ingest", bulk_ingest.list_jobs),
    ("GET", "/jobs/ingest/{id}", bulk_ingest.show_job),
    ("PATCH", "/jobs/ingest/{id}", bulk_ingest.change_state),
    ("DELETE", "/jobs/ingest/{id}", bulk_ingest.delete_job),
    ("GET", "/jobs/ingest/{id}/{results}", bulk_ingest.results),
)


def find(method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
    """Return the handler of a request and the variable parts of its path, None without one."""
    for verb, pattern, handler in _PATTERNS:
        match = pattern.match(path) if verb == method else None
        if match:
            return handler, match.groupdict()
    return None


_PATTERNS = [
    (method, compile_path(DATA + path)[0], handler) for method, path, handler in DATA_ROUTES
]
