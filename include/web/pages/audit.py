"""The audit as tables: search, filters on every column, order and pages, all in the database."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from include.reports import export, search
from include.reports.columns import Definition, Table
from include.reports.search import COUNTED, WrongFilterError
from include.reports.tables import definition
from include.store.database import transaction
from include.web import filters
from include.web.files import as_file
from include.web.guard import Right, visitor_of
from include.web.rendering import render
from include.web.services import services_of

PAGE: Final = 50
FORMATS: Final = {
    "csv": ("text/csv; charset=utf-8", export.to_csv),
    "parquet": ("application/vnd.apache.parquet", export.to_parquet),
}
LINKED: Final = {"person_id": "person"}
"""Columns whose values lead to another page."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of the page that is shown, and of its neighbours."""

    path: str
    parameters: Mapping[str, str]

    def but(self, **changed: str | int | None) -> str:
        """Return the same page with other parameters; None leaves one out."""
        merged = {**self.parameters, **changed}
        query = urlencode({name: value for name, value in merged.items() if value is not None})
        return f"{self.path}?{query}" if query else self.path


def tables(request: Request) -> Response:
    """List the tables."""
    return render(request, "audit.html", tables=[definition(table) for table in Table])


def browse(request: Request) -> Response:
    """Show a page of one table."""
    shown = _definition(request)
    with_address = visitor_of(request).may(Right.SEE_ADDRESSES)
    columns = shown.shown(with_address=with_address)
    skip = _skip(request)
    query, page, wrong = filters.query_of(request.query_params, shown), search.Page(), ""
    try:
        with transaction(services_of(request).store()) as conn:
            page = search.find(
                conn, shown.table, query, with_address=with_address, skip=skip, most=PAGE
            )
    except WrongFilterError as error:
        wrong = str(error)
    return render(
        request,
        "table.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK,
        shown=shown,
        columns=columns,
        fields=filters.fields_of(request.query_params, shown),
        query=query,
        page=page,
        wrong=wrong,
        skip=skip,
        size=PAGE,
        counted=COUNTED,
        linked=LINKED,
        address=Address(request.url.path, _parameters(request)),
        formats=[*FORMATS],
    )


def row(request: Request) -> Response:
    """Show one row, whole."""
    shown = _definition(request)
    with_address = visitor_of(request).may(Right.SEE_ADDRESSES)
    with transaction(services_of(request).store()) as conn:
        found = search.one(conn, shown.table, request.path_params["key"], with_address=with_address)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{shown.title} has no such row.")
    columns = shown.shown(with_address=with_address)
    return render(request, "row.html", shown=shown, columns=columns, found=found, linked=LINKED)


def download(request: Request) -> Response:
    """Stream everything that fits the filters, without addresses: a file goes from hand to hand."""
    shown = _definition(request)
    columns = shown.shown(with_address=False)
    query = filters.query_of(request.query_params, shown)
    extension = request.path_params["format"]
    if extension not in FORMATS:
        raise HTTPException(HTTPStatus.NOT_FOUND, "Files are CSV or Parquet.")
    kind, write = FORMATS[extension]
    name = f"{shown.table.value}-{services_of(request).clock():%Y%m%dT%H%M%SZ}.{extension}"

    def pieces(conn: Connection) -> Iterator[bytes]:
        found = search.stream(conn, shown.table, query)
        return write(found, columns)

    return as_file(services_of(request).store(), pieces, kind, name)


def _definition(request: Request) -> Definition:
    name = request.path_params["table"]
    if name not in {table.value for table in Table}:
        raise HTTPException(HTTPStatus.NOT_FOUND, "The audit has no such table.")
    return definition(Table(name))


def _skip(request: Request) -> int:
    asked = request.query_params.get("skip", "0")
    skip = int(asked) if asked.isdecimal() and len(asked) < 9 else 0
    return min(skip, COUNTED - 1)


def _parameters(request: Request) -> dict[str, str]:
    return {
        name: value
        for name, value in request.query_params.items()
        if value != "" and name != "skip"
    }


ROUTES: Final = [
    Route("/audit", tables),
    Route("/audit/{table}/file/{format}", download),
    Route("/audit/{table}", browse),
    Route("/audit/{table}/{key}", row),
]
