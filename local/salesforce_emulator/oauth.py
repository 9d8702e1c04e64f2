"""Logging in: OAuth client credentials; and who that made us."""

from __future__ import annotations

import base64
import binascii
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from starlette.responses import Response

from local.salesforce_emulator.clock import to_rest
from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.identity import INTEGRATION_USER_ID, ORGANIZATION_ID
from local.salesforce_emulator.web import json_response

if TYPE_CHECKING:
    from local.salesforce_emulator.org import Org
    from local.salesforce_emulator.web import Call


def token(org: Org, call: Call) -> Response:
    """``POST /services/oauth2/token``.

    The answer's shape is recorded for the password grant; client credentials documented.
    """
    form = {key: values[0] for key, values in parse_qs(call.body.decode("utf-8")).items()}
    grant = form.get("grant_type")
    if grant != "client_credentials":
        return _refusal("unsupported_grant_type", "grant type not supported")
    client_id, secret = _basic(call) or (form.get("client_id", ""), form.get("client_secret", ""))
    if client_id != org.client.client_id:
        return _refusal("invalid_client_id", "client identifier invalid")
    if secret != org.client.client_secret:
        return _refusal("invalid_client", "invalid client credentials")
    return _granted(org, call)


def _granted(org: Org, call: Call) -> Response:
    instance_url = f"{call.scheme}://{call.headers['host']}"
    return json_response(
        {
            "access_token": org.sessions.open(INTEGRATION_USER_ID),
            "signature": base64.b64encode(b"not emulated, clients do not check it").decode(),
            "scope": "api",
            "instance_url": instance_url,
            "id": f"{instance_url}/id/{ORGANIZATION_ID}/{INTEGRATION_USER_ID}",
            "token_type": "Bearer",
            "issued_at": str(int(time.time() * 1_000)),
        }
    )


def userinfo(org: Org, call: Call) -> Response:
    """``GET /services/oauth2/userinfo``: who is logged in; costs no API request [assumed].

    Both Ids have 18 characters, the other keys are a choice of the real ones [documented]. Without
    a valid token: 403 with the text ``Bad_OAuth_Token`` [captured].
    """
    try:
        org.sessions.check(call.headers)
    except SalesforceError:
        return Response("Bad_OAuth_Token", 403, media_type="text/html")
    root = f"{call.scheme}://{call.headers['host']}"
    return call.answer(
        {
            "sub": f"{root}/id/{ORGANIZATION_ID}/{INTEGRATION_USER_ID}",
            "user_id": INTEGRATION_USER_ID,
            "organization_id": ORGANIZATION_ID,
            **_profile(org),
            "urls": {"rest": f"{root}/services/data/v{{version}}/"},
            "active": True,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
        }
    )


def _profile(org: Org) -> dict[str, object]:
    row = org.database.read().execute(
        'select "Username", "Email", "FirstName", "LastName", "LastModifiedDate"'
        ' from "User" where "Id" = ?',
        (INTEGRATION_USER_ID,),
    )
    username, email, given, family, modified = row.fetchone()
    return {
        "preferred_username": username,
        "name": f"{given} {family}",
        "email": email,
        "email_verified": True,
        "given_name": given,
        "family_name": family,
        "updated_at": to_rest(modified),
    }


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
