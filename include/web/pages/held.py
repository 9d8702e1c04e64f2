"""Held clears: what waits for a person's approval, with the way to the question."""

from starlette.requests import Request
from starlette.responses import Response

from include.reports import held
from include.store.database import transaction
from include.web.rendering import render
from include.web.services import services_of


def show(request: Request) -> Response:
    """Show what waits, by the run that held it, and the oldest clears."""
    with transaction(services_of(request).store()) as conn:
        waiting = held.waiting(conn)
    return render(request, "held.html", waiting=waiting, dag_id=held.DAG_ID, task_id=held.TASK_ID)
