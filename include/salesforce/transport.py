"""A `requests` session that cannot hang and cannot speak in clear text.

Everything goes through it, also the login that simple-salesforce makes: that library sets no
timeout anywhere and would follow a redirect to plain http.
"""

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import NewConnectionError

from include.salesforce.errors import InsecureConnectionError, SalesforceUnavailableError

# seen in production beside 5xx: 406 without a body, 420 with a page of HTML
TRANSIENT_STATUSES: Final = frozenset({406, 408, 420, 429})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, and for the next bytes of an answer."""

    connect: float = 10.0
    read: float = 120.0


class GuardedSession(requests.Session):
    """Gives every request a timeout and refuses plain http to anything but this machine."""

    def __init__(self, timeouts: Timeouts) -> None:
        super().__init__()
        self._timeouts = (timeouts.connect, timeouts.read)
        self.auth = _as_it_is  # else a ~/.netrc would replace our Authorization header

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request; redirects come through here as well.

        Raises:
            InsecureConnectionError: the address is plain http on another machine, or there is
                no CA bundle to verify a certificate with.
        """
        refuse_clear_text(request.url or "")
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeouts
        try:
            return super().send(request, **kwargs)
        except requests.RequestException:
            raise
        except OSError as error:
            # requests' only bare OSError: the bundle it was pointed to does not exist
            raise InsecureConnectionError(
                "the CA bundle cannot be read: check REQUESTS_CA_BUNDLE"
            ) from error


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def refuse_clear_text(url: str) -> None:
    """Raise unless the address is https, or http on this machine.

    Raises:
        InsecureConnectionError: anybody on the way could read the session.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise InsecureConnectionError(
        f"refusing {parts.scheme or 'an address without scheme'} to {parts.hostname}: "
        "Salesforce is only spoken to by https"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, not an address
        return host == "localhost"


@contextmanager
def named_errors() -> Iterator[None]:
    """Turn errors of `requests`, also while a body is read, into ours.

    Raises:
        SalesforceUnavailableError: refused, timed out, reset, cut short.
        InsecureConnectionError: the certificate cannot be verified.
    """
    try:
        yield
    except requests.RequestException as error:
        raise _named(error) from error


def _named(error: requests.RequestException) -> Exception:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return InsecureConnectionError(
            "Salesforce's certificate cannot be verified: check the host of the Connection "
            "and the CA bundle (REQUESTS_CA_BUNDLE)"
        )
    never_sent = (requests.ConnectTimeout, NewConnectionError)
    return SalesforceUnavailableError(
        f"no answer from Salesforce ({type(error).__name__})",
        was_sent=not any(isinstance(cause, never_sent) for cause in causes),
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything it wraps: urllib3 hides the reason in attributes."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        waiting.extend(each for each in inner if isinstance(each, BaseException))
