"""One person: why are they opted out, and what somebody with the right to edit may do about it.

Every look is noted: who looked, at whom and why. What was typed is sent in a form, never in an
address, because addresses of pages stand in logs and histories.
"""

from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from include.reports import people
from include.reports.person import Story, story
from include.store.database import transaction
from include.store.errors import IncompleteEvidenceError
from include.sync import evidence
from include.sync.evidence import Consent
from include.sync.push import by_hand
from include.web.forms import moment, text
from include.web.guard import Right, visitor_of
from include.web.rendering import go_to, posted, render
from include.web.services import services_of

FOLLOWED: Final = "Opened by its number."
DONE: Final = {
    "retry": "A push looks at this person now.",
    "nobody": "Nothing waits for this person any more.",
    "given-up": "The push is closed. Every night still compares this person and tries again.",
    "not-parked": "Nothing was closed: no push of this person waits for somebody.",
}
"""What is said after a change."""


def ask(request: Request) -> Response:
    """Ask for whom to look, and why."""
    return _asked(request)


def look_up(request: Request, form: FormData) -> Response:
    """Look for people; one is shown, several are offered."""
    typed, reason = text(form, "typed"), text(form, "reason")
    if not reason:
        return _asked(request, wrong="Say why you look somebody up: it is noted.")
    with transaction(services_of(request).store()) as conn:
        found = people.look_up(
            conn,
            typed,
            by=visitor_of(request).name,
            reason=reason,
            with_address=visitor_of(request).may(Right.SEE_ADDRESSES),
        )
    if found is None:
        return _asked(
            request,
            reason=reason,
            wrong="That is no person id, no address and no Salesforce Id of 15 or 18 characters.",
        )
    if len(found.candidates) == 1:
        return _shown(request, found.candidates[0])
    return _asked(request, reason=reason, found=found)


def show(request: Request) -> Response:
    """Show a person that a link names; that is a look, too."""
    person_id = request.path_params["person_id"]
    with transaction(services_of(request).store()) as conn:
        found = people.look_up(
            conn,
            str(person_id),
            by=visitor_of(request).name,
            reason=FOLLOWED,
            with_address=visitor_of(request).may(Right.SEE_ADDRESSES),
        )
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "No person has such a number.")
    known = [each for each in found.candidates if each.person_id == person_id]
    return _shown(request, known[0] if known else None)


def resubscribe(request: Request, form: FormData) -> Response:
    """Record that the person may be mailed again; a run judges it."""
    services, person_id = services_of(request), request.path_params["person_id"]
    at, wrong = moment(text(form, "occurred_at")), ""
    if text(form, "occurred_at") and at is None:
        wrong = "The time of the consent must be a time, like 2026-11-24T20:00 (UTC)."
    elif at and at > services.clock():
        wrong = "The time of the consent is in the future."
    if wrong:
        return _shown(request, None, wrong=wrong, typed=form)
    consent = Consent(
        person_id=person_id,
        reason=text(form, "reason"),
        actor=visitor_of(request).name,
        reference=text(form, "reference"),
        approver=text(form, "approver") or None,
        by_person="by_person" in form,
        occurred_at=at,
    )
    try:
        recorded = evidence.record(services.store(), consent, now=services.clock())
    except IncompleteEvidenceError as error:
        return _shown(request, None, wrong=str(error), typed=form)
    return go_to(request, f"person/{person_id}?act={recorded.act_id}#consents")


def judgement(request: Request) -> Response:
    """Tell whether a consent was judged; the page that waits for it asks."""
    act_id = int(request.path_params["act_id"])
    with transaction(services_of(request).store()) as conn:
        verdict = evidence.judged(conn, act_id)
    return JSONResponse({"judged": verdict is not None})


def retry(request: Request, form: FormData) -> Response:
    """Let a push look at a person who waits, now."""
    services, person_id = services_of(request), request.path_params["person_id"]
    with transaction(services.store()) as conn:
        waited = by_hand.retry(
            conn,
            person_id,
            by=visitor_of(request).name,
            note=text(form, "note"),
            now=services.clock(),
        )
    return go_to(request, f"person/{person_id}?done={'retry' if waited else 'nobody'}")


def give_up(request: Request, form: FormData) -> Response:
    """Close a parked push."""
    services, person_id = services_of(request), request.path_params["person_id"]
    with transaction(services.store()) as conn:
        was_parked = by_hand.give_up(
            conn,
            person_id,
            by=visitor_of(request).name,
            note=text(form, "note"),
            now=services.clock(),
        )
    return go_to(request, f"person/{person_id}?done={'given-up' if was_parked else 'not-parked'}")


def _asked(request: Request, *, reason: str = "", **shown: Any) -> Response:
    with transaction(services_of(request).store()) as conn:
        looks = people.look_ups(conn, most=20)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if shown.get("wrong") else HTTPStatus.OK
    defaults: dict[str, Any] = {"found": None, "wrong": ""}
    return render(request, "look_up.html", status, looks=looks, reason=reason, **(defaults | shown))


def _shown(
    request: Request,
    candidate: people.Candidate | None,
    *,
    wrong: str = "",
    typed: FormData | None = None,
) -> Response:
    services = services_of(request)
    person_id = candidate.person_id if candidate else request.path_params["person_id"]
    at = moment(request.query_params.get("at", ""))
    found: Story = story(services.store(), person_id, now=services.clock(), moment=at)
    act = request.query_params.get("act", "")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    return render(
        request,
        "person.html",
        status,
        found=found,
        candidate=candidate,
        wrong=wrong,
        typed=dict(typed or {}),
        done=DONE.get(request.query_params.get("done", ""), ""),
        act=int(act) if act.isdecimal() else None,
    )


ROUTES: Final = [
    Route("/person", ask, methods=["GET"]),
    Route("/person", posted(look_up), methods=["POST"]),
    Route("/person/{person_id:int}", show),
    Route("/person/{person_id:int}/resubscribe", posted(resubscribe), methods=["POST"]),
    Route("/person/{person_id:int}/judged/{act_id:int}", judgement),
    Route("/person/{person_id:int}/retry", posted(retry), methods=["POST"]),
    Route("/person/{person_id:int}/give-up", posted(give_up), methods=["POST"]),
]
