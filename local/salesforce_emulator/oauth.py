"""OAuth over HTTP: tokens given and taken back, and who that made us."""

from __future__ import annotations

import base64
import binascii
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from starlette.responses import Response

from local.salesforce_emulator import users
from local.salesforce_emulator.clock import to_rest
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.identity import ORGANIZATION_ID
from local.salesforce_emulator.oauth_grants import GRANTS, RefusedLoginError
from local.salesforce_emulator.soap import root_of
from local.salesforce_emulator.web import json_response

if TYPE_CHECKING:
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call


def token(org: Org, call: Call) -> Response:
    """``POST /services/oauth2/token``.

    The answer's shape is recorded for the password grant; of the others documented.
    """
    form = _form(call)
    grant = GRANTS.get(form.get("grant_type", ""))
    if grant is None:
        return _refusal("unsupported_grant_type", "grant type not supported")
    try:
        user_id = grant(org, call, form)
    except RefusedLoginError as error:
        return _refusal(error.error, error.description)
    return _granted(org, call, user_id)


def _form(call: Call) -> dict[str, str]:
    """Return the form, with the client of the Basic header where there is one."""
    form = {
        key: values[0] for key, values in parse_qs(call.body.decode("utf-8", "replace")).items()
    }
    basic = _basic(call)
    if basic is not None:
        form["client_id"], form["client_secret"] = basic
    return form


def _granted(org: Org, call: Call, user_id: str) -> Response:
    instance_url = root_of(call)
    return json_response(
        {
            "access_token": org.sessions.open(user_id),
            "signature": base64.b64encode(b"not emulated, clients do not check it").decode(),
            "scope": "api",
            "instance_url": instance_url,
            "id": f"{instance_url}/id/{ORGANIZATION_ID}/{user_id}",
            "token_type": "Bearer",
            "issued_at": str(int(time.time() * 1_000)),
        }
    )


def revoke(org: Org, call: Call) -> Response:
    """``POST /services/oauth2/revoke``: 200 for a token that was one [documented]."""
    given = _form(call).get("token") or call.query.get("token", "")
    try:
        org.sessions.check_token(given)
    except SalesforceError:
        if org.refresh_tokens.user_of(given) is None:
            return _refusal("invalid_token", "invalid token")
    org.sessions.revoke(given)
    org.refresh_tokens.revoke(given)
    return Response(b"", 200)


def userinfo(org: Org, call: Call) -> Response:
    """``GET /services/oauth2/userinfo``: who is logged in; costs no API request [assumed].

    Both Ids have 18 characters, the other keys are a choice of the real ones [documented]. Without
    a valid token: 403 with the text ``Bad_OAuth_Token`` [captured].
    """
    user = _user(org, call)
    if user is None:
        return _bad_token()
    root = root_of(call)
    return call.answer(
        {
            "sub": f"{root}/id/{ORGANIZATION_ID}/{user.user_id}",
            "user_id": user.user_id,
            "organization_id": ORGANIZATION_ID,
            "preferred_username": user.username,
            "name": f"{user.first_name} {user.last_name}",
            "email": user.email,
            "email_verified": True,
            "given_name": user.first_name,
            "family_name": user.last_name,
            "updated_at": to_rest(user.modified_at),
            "urls": {"rest": f"{root}/services/data/v{{version}}/"},
            "active": True,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
        }
    )


def identity(org: Org, call: Call) -> Response:
    """``GET /id/{organization}/{user}``: the keys are those of a recorded answer."""
    user = _user(org, call)
    if user is None:
        return _bad_token()
    root = root_of(call)
    return call.answer(
        {
            "id": f"{root}{call.path}",
            "asserted_user": True,
            "user_id": user.user_id,
            "organization_id": ORGANIZATION_ID,
            "username": user.username,
            "nick_name": user.username.partition("@")[0],
            "display_name": f"{user.first_name} {user.last_name}",
            "email": user.email,
            "email_verified": True,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "timezone": "GMT",
            "urls": {
                "partner": f"{root}/services/Soap/u/{{version}}/{ORGANIZATION_ID[:15]}",
                "rest": f"{root}/services/data/v{{version}}/",
                "query": f"{root}/services/data/v{{version}}/query/",
                "sobjects": f"{root}/services/data/v{{version}}/sobjects/",
            },
            "active": True,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
            "last_modified_date": to_rest(user.modified_at),
        }
    )


def _user(org: Org, call: Call) -> users.User | None:
    try:
        return users.by_id(org, org.sessions.check(call.headers))
    except SalesforceError:
        return None


def _bad_token() -> Response:
    return Response("Bad_OAuth_Token", 403, media_type="text/html")


def _refusal(error: str, description: str) -> Response:
    return json_response({"error": error, "error_description": description}, 400)  # [documented]


def _basic(call: Call) -> tuple[str, str] | None:
    scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote(name), unquote(secret)
