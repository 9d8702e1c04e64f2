"""Several requests in one: ``composite``, ``composite/batch``, ``composite/graph``.

Each of them costs one API request whatever is in it [documented].
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.errors import SalesforceError

if TYPE_CHECKING:
    from starlette.responses import Response

    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call

_MOST = 25  # [documented]
_MOST_IN_GRAPHS = 500  # [documented]
_REFERENCE = re.compile(r"@\{([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+|\[\d+\])*)\}")
_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]")
_SHOWN_HEADERS = {"location": "Location", "etag": "ETag", "last-modified": "Last-Modified"}
_ROLLED_BACK = [
    {
        "errorCode": "PROCESSING_HALTED",
        "message": "The transaction was rolled back since another operation in the same "
        "transaction failed.",
    }
]  # [documented]
_HALTED = [
    {
        "errorCode": "BATCH_PROCESSING_HALTED",
        "message": "Batch processing halted per request",
    }
]  # [documented]

Results = dict[str, dict[str, Any]]  # what each reference Id was answered


class _FailedError(Exception):
    """Leaves the transaction so that nothing of it stays."""


class _NoReferenceError(Exception):
    """A request refers to what is not there."""


def composite(org: Org, call: Call) -> Response:
    """``POST composite``: later requests may refer to answers of earlier ones [recorded]."""
    document = call.json()
    requests = _requests(document, "compositeRequest", _MOST)
    responses = _run(org, call, requests, all_or_none=document.get("allOrNone") is True)
    return call.answer({"compositeResponse": responses})


def graph(org: Org, call: Call) -> Response:
    """``POST composite/graph``: each graph is done whole or not at all [recorded shape]."""
    graphs = _requests(call.json(), "graphs", 75)  # [documented]
    answers = []
    for each in graphs:
        requests = _requests(each, "compositeRequest", _MOST_IN_GRAPHS)
        responses = _run(org, call, requests, all_or_none=True)
        answers.append(
            {
                "graphId": each.get("graphId"),
                "graphResponse": {"compositeResponse": responses},
                "isSuccessful": all(one["httpStatusCode"] < 300 for one in responses),
            }
        )
    return call.answer({"graphs": answers})


def batch(org: Org, call: Call) -> Response:
    """``POST composite/batch``: requests that know nothing of each other [documented]."""
    document = call.json()
    halts, has_errors = document.get("haltOnError") is True, False
    results: list[dict[str, Any]] = []
    for request in _requests(document, "batchRequests", _MOST):
        if halts and has_errors:
            results.append({"statusCode": 412, "result": _HALTED})
            continue
        url = f"/services/data/{str(request.get('url', '')).lstrip('/')}"
        method = str(request.get("method", "GET"))
        response = org.answer_part(call, method, url, request.get("richInput"), {})
        has_errors = has_errors or response.status_code >= 400
        results.append({"statusCode": response.status_code, "result": _body(response)})
    return call.answer({"hasErrors": has_errors, "results": results})


def _requests(document: dict[str, Any], key: str, most: int) -> list[dict[str, Any]]:
    requests = document.get(key)
    if not isinstance(requests, list) or not all(isinstance(each, dict) for each in requests):
        raise SalesforceError(400, "JSON_PARSER_ERROR", f"{key} must be a list of objects")
    if len(requests) > most:  # [documented]
        message = f"The number of subrequests exceeds the limit of {most}"
        raise SalesforceError(400, "LIMIT_EXCEEDED", message)
    return requests


def _run(
    org: Org, call: Call, requests: list[dict[str, Any]], *, all_or_none: bool
) -> list[dict[str, Any]]:
    responses: list[dict[str, Any]] = []
    if not all_or_none:
        _run_each(org, call, requests, responses)
        return responses
    try:
        with org.database.write():
            _run_each(org, call, requests, responses)
            if any(each["httpStatusCode"] >= 400 for each in responses):
                raise _FailedError
    except _FailedError:
        org.reload()
        return [each if each["httpStatusCode"] >= 400 else _undone(each) for each in responses]
    return responses


def _run_each(
    org: Org, call: Call, requests: list[dict[str, Any]], responses: list[dict[str, Any]]
) -> None:
    results: Results = {}
    for request in requests:
        reference = str(request.get("referenceId"))
        try:
            response = _run_one(org, call, request, results)
        except _NoReferenceError as error:
            body = [{"errorCode": "PROCESSING_HALTED", "message": str(error)}]
            responses.append(_response(body, {}, 400, reference))
            continue
        shown = {
            name: response.headers[key]
            for key, name in _SHOWN_HEADERS.items()
            if key in response.headers and (key != "last-modified" or response.status_code == 304)
        }
        if response.status_code != 304:
            shown.pop("ETag", None)
        body = _body(response)
        results[reference] = {"body": body}
        responses.append(_response(body, shown, response.status_code, reference))


def _run_one(org: Org, call: Call, request: dict[str, Any], results: Results) -> Response:
    return org.answer_part(
        call,
        str(request.get("method", "GET")),
        str(_filled(request.get("url", ""), results)),
        _filled(request.get("body"), results),
        request.get("httpHeaders") or {},
    )


def _response(body: Any, headers: dict[str, str], status: int, reference: str) -> dict[str, Any]:
    return {
        "body": body,
        "httpHeaders": headers,
        "httpStatusCode": status,
        "referenceId": reference,
    }


def _undone(response: dict[str, Any]) -> dict[str, Any]:
    return _response(_ROLLED_BACK, {}, 400, response["referenceId"])


def _body(response: Response) -> Any:
    return json.loads(bytes(response.body)) if response.body else None


def _filled(value: Any, results: Results) -> Any:
    """Return a value with its references replaced by what they mean."""
    if isinstance(value, dict):
        return {key: _filled(each, results) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, results) for each in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return _meaning(whole, results)
    return _REFERENCE.sub(lambda match: str(_meaning(match, results)), value)


def _meaning(match: re.Match[str], results: Results) -> Any:
    """Return what a reference such as ``@{first.records[0].Id}`` means [documented]."""
    found: Any = results.get(match[1], {}).get("body")
    for key, index in _STEP.findall(match[2]):
        try:
            found = found[int(index)] if index else found[key]
        except (KeyError, IndexError, TypeError):
            found = None
        if found is None:
            path = match[2].lstrip(".")
            raise _NoReferenceError(
                f"Invalid reference specified. No value for {path} found in {match[1]}"
            )
    return found
