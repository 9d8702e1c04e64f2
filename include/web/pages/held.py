"""Held clears: what waits for a person's approval, with the way to the question."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from include.reports import held
from include.store.database import transaction
from include.web.rendering import render
from include.web.services import services_of


def show(request: Request) -> Response:
    """Show what waits, by the run that held it, and the oldest clears."""
    services = services_of(request)
    with transaction(services.store()) as conn:
        waiting = held.waiting(conn)
    run_id = services.schedule().question if waiting.clears else None
    return render(request, "held.html", waiting=waiting, dag_id=held.DAG_ID, question=_path(run_id))


def _path(run_id: str | None) -> str:
    """Return where Airflow shows the question; where it shows all of them, if none is asked yet."""
    if run_id is None:
        return "required_actions"
    return f"dags/{held.DAG_ID}/runs/{quote(run_id)}/tasks/{held.TASK_ID}/required_actions"
