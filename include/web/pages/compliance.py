"""Compliance: was every unsubscribe of a period honoured in time? A page, a file, and paper."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, get_type_hints
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from include.reports import compliance, export
from include.reports.columns import Column, Kind
from include.reports.compliance import Carried, Period, Standing
from include.store.database import transaction
from include.web.files import as_file
from include.web.rendering import render
from include.web.services import services_of

ZONE: Final = ZoneInfo("America/Los_Angeles")
"""Deadlines are counted in California, and so are the days of a period."""
DAYS: Final = 30
PAGE: Final = 100
PRINTED: Final = 2_000
"""Rows on paper; the file has them all."""
KINDS: Final[dict[object, Kind]] = {
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    datetime: Kind.TIME,
    datetime | None: Kind.TIME,
    Standing: Kind.CHOICE,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for: days in California, both included, and standings (empty: all)."""

    first: date
    last: date
    standings: Sequence[Standing]

    @property
    def period(self) -> Period:
        """The days as two moments."""
        end = self.last + timedelta(days=1)
        return Period(_midnight(self.first), _midnight(end))

    @property
    def parameters(self) -> str:
        """The same as parameters of an address."""
        chosen = "".join(f"&standing={each.value}" for each in self.standings)
        return f"from={self.first}&to={self.last}{chosen}"


def show(request: Request) -> Response:
    """Show the period in numbers and one page of its list, breaches first."""
    asked = _asked(request)
    text = request.query_params.get("skip", "0")
    skip = int(text) if text.isdecimal() and len(text) < 9 else 0
    return _page(request, "compliance.html", asked, skip=skip, most=PAGE)


def printable(request: Request) -> Response:
    """Show the whole period on one page, for paper."""
    return _page(request, "compliance_print.html", _asked(request), skip=0, most=PRINTED)


def download(request: Request) -> Response:
    """Stream the whole list as CSV."""
    asked, now = _asked(request), services_of(request).clock()

    def pieces(conn: Connection) -> Iterator[bytes]:
        found = compliance.stream(conn, asked.period, now=now, standings=asked.standings)
        return export.to_csv((_row(each) for each in found), COLUMNS)

    name = f"compliance-{asked.first}-{asked.last}.csv"
    return as_file(services_of(request).store(), pieces, "text/csv; charset=utf-8", name)


def _page(request: Request, template: str, asked: Asked, *, skip: int, most: int) -> Response:
    services = services_of(request)
    now = services.clock()
    with transaction(services.store()) as conn:
        summary = compliance.summary(conn, asked.period, now=now)
        rows = compliance.carried(
            conn, asked.period, now=now, standings=asked.standings, skip=skip, most=most
        )
    fitting = [n for each, n in summary.standings.items() if each in (asked.standings or Standing)]
    return render(
        request,
        template,
        asked=asked,
        summary=summary,
        rows=rows,
        total=sum(fitting),
        skip=skip,
        size=most,
        standings=[*Standing],
        now=now,
    )


def _asked(request: Request) -> Asked:
    today = services_of(request).clock().astimezone(ZONE).date()
    last = _day(request.query_params.get("to", "")) or today
    first = _day(request.query_params.get("from", "")) or last - timedelta(days=DAYS - 1)
    known = {each.value for each in Standing}
    chosen = [each for each in request.query_params.getlist("standing") if each in known]
    return Asked(min(first, last), last, [Standing(each) for each in chosen])


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1970 <= found.year <= 9000 else None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE)


def _row(carried: Carried) -> dict[str, Any]:
    return {
        name: value.value if isinstance(value, Standing) else value
        for name, value in asdict(carried).items()
    }


COLUMNS: Final = [
    Column(name, name.replace("_", " "), KINDS.get(kind, Kind.TEXT))
    for name, kind in get_type_hints(Carried).items()
]
ROUTES: Final = [
    Route("/compliance", show),
    Route("/compliance/print", printable),
    Route("/compliance/file/csv", download),
]
