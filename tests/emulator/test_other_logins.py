"""Logins other than client credentials: password, refresh, JWT, and SOAP while it lasts."""

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed

from local.salesforce_emulator.connection import DEFAULT_PASSWORD, DEFAULT_SECURITY_TOKEN
from local.salesforce_emulator.testing import RunningEmulator

ADMIN = "rosa.human@emulated.example"
SYNC = "opt-out-sync@emulated.example"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2_048)


@pytest.fixture
def private_pem(emulator: RunningEmulator, key: rsa.RSAPrivateKey) -> str:
    """The key that signs, whose public half the connected app trusts."""
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    emulator.set_certificate(public.decode())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def token(emulator: RunningEmulator, **form: str) -> requests.Response:
    url = f"{emulator.http_url}/services/oauth2/token"
    return requests.post(url, data=form, timeout=10)


def with_secret(emulator: RunningEmulator, **form: str) -> requests.Response:
    client = {"client_id": emulator.client_id, "client_secret": emulator.client_secret}
    return token(emulator, **client, **form)


def who(emulator: RunningEmulator, answer: requests.Response) -> str:
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    url = f"{emulator.http_url}/services/oauth2/userinfo"
    name: str = requests.get(url, headers=headers, timeout=10).json()["preferred_username"]
    return name


def test_a_password_with_its_security_token_is_answered_as_recorded(
    emulator: RunningEmulator,
) -> None:
    """From restforce-db's cassette "uses the configured credentials"."""
    answer = with_secret(
        emulator, grant_type="password", username=ADMIN,
        password=DEFAULT_PASSWORD + DEFAULT_SECURITY_TOKEN,
    )  # fmt: skip
    assert answer.status_code == 200
    recorded = {"id", "issued_at", "token_type", "instance_url", "signature", "access_token"}
    assert recorded <= answer.json().keys()
    assert who(emulator, answer) == ADMIN


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"password": "wrong"}, ("invalid_grant", "authentication failure")),
        ({"username": "nobody@x"}, ("invalid_grant", "authentication failure")),
        ({"client_id": "other"}, ("invalid_client_id", "client identifier invalid")),
        ({"client_secret": "other"}, ("invalid_client", "invalid client credentials")),
    ],
)
def test_a_wrong_password_login_is_refused(
    emulator: RunningEmulator, form: dict[str, str], error: tuple[str, str]
) -> None:
    right = {
        "grant_type": "password", "username": ADMIN, "password": DEFAULT_PASSWORD,
        "client_id": emulator.client_id, "client_secret": emulator.client_secret,
    }  # fmt: skip
    answer = token(emulator, **{**right, **form})
    assert answer.status_code == 400
    assert (answer.json()["error"], answer.json()["error_description"]) == error


@pytest.mark.parametrize("grant", ["password", "client_credentials"])
def test_an_inactive_user_gets_no_token(emulator: RunningEmulator, grant: str) -> None:
    opened = with_secret(emulator, grant_type="client_credentials").json()["access_token"]
    emulator.set_user_active(False)
    answer = with_secret(
        emulator, grant_type=grant, username=SYNC, password=DEFAULT_PASSWORD
    )  # fmt: skip
    assert answer.json()["error"] == "inactive_user"
    limits = f"{emulator.data_url}/limits"
    headers = {"Authorization": f"Bearer {opened}"}
    assert requests.get(limits, headers=headers, timeout=10).status_code == 401


def test_a_refresh_token_opens_sessions_until_it_is_revoked(emulator: RunningEmulator) -> None:
    refresh = {
        "grant_type": "refresh_token", "client_id": emulator.client_id,
        "refresh_token": emulator.grant_refresh_token(user="human"),
    }  # fmt: skip
    assert who(emulator, token(emulator, **refresh)) == ADMIN
    assert who(emulator, token(emulator, **refresh)) == ADMIN
    revoke = f"{emulator.http_url}/services/oauth2/revoke"
    revoked = requests.post(revoke, data={"token": refresh["refresh_token"]}, timeout=10)
    assert revoked.status_code == 200
    refused = token(emulator, **refresh).json()
    assert refused == {
        "error": "invalid_grant",
        "error_description": "expired access/refresh token",
    }
    again = requests.post(revoke, data={"token": refresh["refresh_token"]}, timeout=10)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_token")


def test_an_access_token_can_be_revoked(emulator: RunningEmulator) -> None:
    opened = emulator.log_in()
    requests.post(f"{emulator.http_url}/services/oauth2/revoke", data={"token": opened}, timeout=10)
    headers = {"Authorization": f"Bearer {opened}"}
    refused = requests.get(f"{emulator.data_url}/limits", headers=headers, timeout=10)
    assert refused.status_code == 401


def claims(emulator: RunningEmulator, **changed: Any) -> dict[str, Any]:
    right = {
        "iss": emulator.client_id, "sub": ADMIN, "aud": "https://login.salesforce.com",
        "exp": str(int(time.time()) + 180),
    }  # fmt: skip
    return {**right, **changed}


def with_assertion(emulator: RunningEmulator, assertion: str) -> requests.Response:
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return token(emulator, grant_type=grant, assertion=assertion)


def test_a_signed_assertion_logs_in_whom_it_names(
    emulator: RunningEmulator, private_pem: str
) -> None:
    milliseconds = int(time.time() * 1_000) + 300  # what Salesforce's own command line sends
    for changed in ({}, {"sub": SYNC}, {"exp": int(time.time()) + 60}, {"exp": milliseconds}):
        given = claims(emulator, **changed)
        answer = with_assertion(emulator, jwt.encode(given, private_pem, "RS256"))
        assert answer.status_code == 200, answer.text
        assert who(emulator, answer) == given["sub"]


Claims = Callable[[], dict[str, Any]]


@pytest.mark.parametrize(
    ("changed", "description"),
    [
        (lambda: {"aud": "https://example.com"}, "audience is invalid"),
        (lambda: {"exp": str(int(time.time()) - 5)}, "expired authorization code"),
        (lambda: {"exp": "soon"}, "expired authorization code"),
        (lambda: {"sub": "nobody@x"}, "user hasn't approved this consumer"),
        (lambda: {"iss": "another"}, "client identifier invalid"),
    ],
    ids=["audience", "ended", "no time", "nobody", "another client"],
)
def test_an_assertion_that_is_wrong_somewhere_is_refused(
    emulator: RunningEmulator, private_pem: str, changed: Claims, description: str
) -> None:
    assertion = jwt.encode(claims(emulator, **changed()), private_pem, "RS256")
    answer = with_assertion(emulator, assertion)
    assert (answer.status_code, answer.json()["error_description"]) == (400, description)


def test_the_signature_of_an_assertion_is_checked(
    emulator: RunningEmulator, private_pem: str
) -> None:
    other = rsa.generate_private_key(65_537, 2_048)
    forged = [
        jwt.encode(claims(emulator), other, "RS256"),
        jwt.encode(claims(emulator), "a secret of thirty-two characters", "HS256"),
        jwt.encode(claims(emulator), None, "none"),
        "nonsense",
    ]
    for assertion in forged:
        answer = with_assertion(emulator, assertion)
        assert answer.json()["error_description"] == "invalid assertion"


def test_the_clock_of_the_org_decides_when_an_assertion_ends(
    emulator: RunningEmulator, private_pem: str
) -> None:
    emulator.set_clock(3_600)
    assertion = jwt.encode(claims(emulator), private_pem, "RS256")
    assert with_assertion(emulator, assertion).status_code == 400


def test_simple_salesforce_logs_in_with_a_key_through_its_domain(
    emulator: RunningEmulator, private_pem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(emulator.ca_bundle))
    client = Salesforce(
        username=SYNC,
        consumer_key=emulator.client_id,
        privatekey=private_pem,
        domain=emulator.login_domain,
    )
    assert client.query("SELECT COUNT() FROM Organization")["totalSize"] == 1


@pytest.mark.parametrize("password_only", [True, False])
def test_simple_salesforce_logs_in_by_soap_where_it_still_exists(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch, password_only: bool
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(emulator.ca_bundle))
    organization = emulator.control("GET", "health")["organization_id"]
    more = (
        {"organizationId": organization}
        if password_only
        else {"security_token": DEFAULT_SECURITY_TOKEN}
    )
    client = Salesforce(
        username=ADMIN,
        password=DEFAULT_PASSWORD,
        domain=f"127.0.0.1:{emulator.tls_port}/services/Soap/u/59.0?x=",
        version="59.0",
        **more,
    )
    assert client.sf_instance == f"127.0.0.1:{emulator.tls_port}"
    assert client.query("SELECT COUNT() FROM Organization")["totalSize"] == 1


@pytest.mark.parametrize(
    ("version", "password", "code"),
    [("59.0", "wrong", "INVALID_LOGIN"), ("65.0", DEFAULT_PASSWORD, "UNSUPPORTED_API_VERSION")],
)
def test_simple_salesforce_understands_why_soap_refuses(
    emulator: RunningEmulator,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    password: str,
    code: str,
) -> None:
    """login() does not exist in version 65 and later."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(emulator.ca_bundle))
    with pytest.raises(SalesforceAuthenticationFailed) as refused:
        Salesforce(
            username=ADMIN,
            password=password,
            security_token="",
            domain=f"127.0.0.1:{emulator.tls_port}/services/Soap/u/{version}?x=",
            version=version,
        )
    assert refused.value.code == code


@pytest.mark.parametrize(
    "body", [b"", b"no xml", b"<a/>", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"]
)
def test_an_envelope_nobody_understands_is_a_fault(emulator: RunningEmulator, body: bytes) -> None:
    for path in ("u/59.0", "m/59.0"):
        answer = requests.post(f"{emulator.http_url}/services/Soap/{path}", data=body, timeout=10)
        assert answer.status_code == 500
        assert "<faultcode>sf:" in answer.text


def test_the_identity_has_the_recorded_keys(emulator: RunningEmulator) -> None:
    """From restforce-db's cassettes, GET /id/00D.../005..."""
    answer = with_secret(emulator, grant_type="client_credentials").json()
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    identity = requests.get(answer["id"], headers=headers, timeout=10).json()
    assert list(identity)[:8] == [
        "id",
        "asserted_user",
        "user_id",
        "organization_id",
        "username",
        "nick_name",
        "display_name",
        "email",
    ]
    assert identity["username"] == SYNC
    anonymous = requests.get(answer["id"], timeout=10)
    assert (anonymous.status_code, anonymous.text) == (403, "Bad_OAuth_Token")


def test_a_session_ends_when_it_is_not_used(emulator: RunningEmulator) -> None:
    emulator.set_session_lifetime(0.4)
    headers = {"Authorization": f"Bearer {emulator.log_in()}"}
    limits = f"{emulator.data_url}/limits"
    for _ in range(3):  # each use postpones the end
        time.sleep(0.2)
        assert requests.get(limits, headers=headers, timeout=10).status_code == 200
    time.sleep(0.6)
    assert requests.get(limits, headers=headers, timeout=10).status_code == 401
