"""One authenticated session with Salesforce: login, re-login, repetition, usage.

simple-salesforce only logs in here. Its request methods drop the caller's headers after a
re-login, never time out and never repeat, so every other request is made by this module.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict, TypeVar, Unpack

import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed

from include.domain.ids import to_18
from include.salesforce.errors import IncompleteJobError, LoginError, SalesforceUnavailableError
from include.salesforce.failures import code_of
from include.salesforce.limits import ApiBudget, parse_limit_info
from include.salesforce.repetition import Backoff, Repetition
from include.salesforce.responses import decoded, error_of, is_ok, is_transient, unavailable
from include.salesforce.transport import GuardedSession, Timeouts, named_errors

log = logging.getLogger(__name__)

T = TypeVar("T")
Login = Callable[[requests.Session], Salesforce]

_WORTH_REPEATING: Final = (SalesforceUnavailableError, IncompleteJobError)
# OAuth and SOAP codes of a login that may work a moment later
_PASSING_LOGIN_CODES: Final = frozenset(
    {"unknown_error", "server_error", "temporarily_unavailable", "SERVER_UNAVAILABLE"}
)


class RequestParts(TypedDict, total=False):
    """What a request may carry beside method and path."""

    headers: Mapping[str, str] | None
    params: Mapping[str, str | int] | None
    json: object
    data: bytes | None
    stream: bool
    envelope: Callable[[str], bytes]


class SalesforceSession:
    """One authenticated HTTP session; not for use by several threads at once.

    Attributes:
        usage: the org's API requests as the last REST answer told them, null before the first.
        api_version: such as `65.0`.
    """

    def __init__(
        self,
        login: Login,
        *,
        api_version: str = "65.0",
        timeouts: Timeouts = Timeouts(),  # noqa: B008  frozen
        backoff: Backoff = Backoff(),  # noqa: B008  frozen
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare a session; nothing is sent before the first request.

        Args:
            login: makes the login with the `requests` session it is given and returns the result
                (in Airflow: `SalesforceHook(conn_id, session=session).get_conn()`). Called again
                when Salesforce ends the session.
            api_version: the version all requests use, whatever the Connection says.
            timeouts: for every request, also those of the login.
            backoff: for requests that may be repeated.
            sleep: waits between repetitions.
        """
        self.usage: ApiBudget | None = None
        self.api_version = api_version
        self._login = login
        self._root = f"/services/data/v{api_version}/"
        self._http = GuardedSession(timeouts)
        self._repetition = Repetition(backoff, sleep)
        self._salesforce: Salesforce | None = None
        self._organization_id: str | None = None

    def organization_id(self) -> str | None:
        """Return the Id of the org that the login led to; null where its answer does not name it.

        Nothing is asked beyond the login, if one is due.

        Raises:
            LoginError, SalesforceUnavailableError, InsecureConnectionError: as `request`.
        """
        self._call(self._log_in, repeatable=True)
        return self._organization_id

    def request(
        self, method: str, path: str, *, repeatable: bool, **parts: Unpack[RequestParts]
    ) -> requests.Response:
        """Make one request and return its 2xx answer.

        A session that Salesforce ended is renewed once, and the same request sent again with the
        same headers: a 401 means that nothing was done.

        Args:
            method: GET, POST, PATCH, PUT, DELETE.
            path: below `/services/data/vNN.N/`, or from the root when it starts with "/".
            repeatable: whether doing it twice equals doing it once. If not, it is repeated only
                when it certainly never reached Salesforce.
            **parts: headers, params, json, data, stream. With `stream` the caller reads the body
                within `named_errors()` and closes it. `envelope` makes the body of a SOAP request
                out of the session id; the answer may then be a fault, for the caller to read.

        Raises:
            SalesforceUnavailableError: no usable answer, after all repetitions.
            ApiLimitError: the org's requests are used up.
            SessionExpiredError: 401 again after a fresh login.
            LoginError: the login is refused.
            InsecureConnectionError: plain http, or an unknown certificate.
            FieldNotVisibleError: a field is unknown or hidden.
            SalesforceRequestError: any other 4xx.
        """
        return self._call(lambda: self._send(method, path, parts), repeatable=repeatable)

    def json(
        self, method: str, path: str, *, repeatable: bool, **parts: Unpack[RequestParts]
    ) -> Any:
        """Make one request and return its JSON; a body cut short counts as no answer.

        Raises:
            OptOutSyncError: as `request`.
        """
        return self._call(lambda: decoded(self._send(method, path, parts)), repeatable=repeatable)

    def repeat(self, call: Callable[[], T]) -> T:
        """Repeat a whole sequence while Salesforce is unavailable or results do not add up.

        Requests inside are not repeated on their own, so attempts add up instead of multiplying.

        Raises:
            OptOutSyncError: whatever the last attempt raised.
        """
        return self._repetition.run(call, lambda error: isinstance(error, _WORTH_REPEATING))

    def renew(self) -> None:
        """Log in again before the next request.

        For what does not answer 401 when Salesforce has ended the session: see `users`, `soap`.
        """
        self._salesforce = None

    def _call(self, call: Callable[[], T], *, repeatable: bool) -> T:
        return self._repetition.run(
            call,
            lambda error: (
                isinstance(error, SalesforceUnavailableError) and (repeatable or not error.was_sent)
            ),
        )

    def _send(self, method: str, path: str, parts: RequestParts) -> requests.Response:
        response = self._send_once(method, path, parts)
        if response.status_code == 401:
            response.close()
            log.info("Salesforce ended the session: logging in again")
            self._salesforce = None
            response = self._send_once(method, path, parts)
        if is_ok(response) or ("envelope" in parts and _is_soap_fault(response)):
            return response
        with named_errors(), response:
            raise error_of(response)

    def _send_once(self, method: str, path: str, parts: RequestParts) -> requests.Response:
        salesforce = self._log_in()
        url = f"https://{salesforce.sf_instance}{path if path[0] == '/' else self._root + path}"
        own = {"Authorization": f"Bearer {salesforce.session_id}", "Accept": "application/json"}
        headers = {**own, **(parts.get("headers") or {})}
        envelope, data = parts.get("envelope"), parts.get("data")
        with named_errors():
            response = self._http.request(
                method,
                url,
                headers=headers,
                params=parts.get("params"),
                json=parts.get("json"),
                data=envelope(salesforce.session_id) if envelope else data,
                stream=parts.get("stream", False),
                allow_redirects=False,  # Salesforce's API has none; a token never follows one
            )
        self.usage = parse_limit_info(response.headers.get("Sforce-Limit-Info")) or self.usage
        return response

    def _log_in(self) -> Salesforce:
        self._salesforce = self._salesforce or self._logged_in()
        return self._salesforce

    def _logged_in(self) -> Salesforce:
        """Log in once.

        Raises:
            LoginError: refused.
            SalesforceUnavailableError: the login service gave no usable answer.
        """
        self._organization_id = None
        self._http.hooks["response"] = [_stop_login_when_unavailable, self._note_organization]
        try:
            with named_errors():
                return self._login(self._http)
        except SalesforceAuthenticationFailed as error:
            # `from None`: that error quotes Salesforce's text, which may name the user
            raise _login_error(error.code) from None
        except SalesforceUnavailableError as error:
            error.was_sent = False  # the request that needed this login
            raise
        except TypeError as error:
            raise LoginError(
                "the Salesforce Connection holds no complete login: it needs consumer_key, "
                "consumer_secret and domain"
            ) from error
        finally:
            self._http.hooks["response"] = []

    def _note_organization(self, response: requests.Response, **_: Any) -> requests.Response:
        self._organization_id = _organization_of(response) or self._organization_id
        return response


def _organization_of(response: requests.Response) -> str | None:
    """Return the org of the identity that an OAuth login answers with: `.../id/ORG/USER`."""
    try:
        identity = str(response.json()["id"]).split("/")
        return to_18(identity[identity.index("id") + 1])
    except (ValueError, KeyError, TypeError, IndexError):
        return None  # SOAP, or a refusal


def _stop_login_when_unavailable(response: requests.Response, **_: Any) -> requests.Response:
    """Keep simple-salesforce from reading "not now" as "wrong password"."""
    if is_transient(response.status_code) and not _is_soap_fault(response):
        raise unavailable(response)
    return response


def _is_soap_fault(response: requests.Response) -> bool:
    return response.status_code == 500 and "xml" in response.headers.get("Content-Type", "")


def _login_error(code: str | int | None) -> LoginError | SalesforceUnavailableError:
    if isinstance(code, int) or code in _PASSING_LOGIN_CODES:
        return SalesforceUnavailableError(f"Salesforce's login is not available ({code})")
    return LoginError(
        f"Salesforce refused the login ({code_of(code)}): check consumer key, consumer secret, "
        "domain and the integration user in the Salesforce Connection, and that the connected "
        "app allows the client-credentials flow"
    )
