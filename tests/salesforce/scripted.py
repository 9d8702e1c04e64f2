"""A Salesforce that answers from a list, below `requests`: for what no emulator can time exactly.

It replaces the wire (a transport adapter), not our code: sessions, time-outs, redirects and
error translation are the real ones.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import requests
from requests.adapters import BaseAdapter
from simple_salesforce.api import Salesforce
from urllib3 import HTTPResponse

from include.salesforce.jobs import LeftJob
from include.salesforce.session import Backoff, SalesforceSession
from include.salesforce.transport import Timeouts

HOST = "scripted.my.salesforce.com"
TIMEOUTS = Timeouts(connect=1.5, read=7.0)


@dataclass
class Answer:
    """One answer of the script."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks_off: bool = False

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def error(status: int, code: str, message: str = "free text of Salesforce") -> Answer:
    return Answer(status, [{"errorCode": code, "message": message}])


class ScriptedWire(BaseAdapter):
    """Plays a script and keeps what was sent."""

    def __init__(self, script: list[Answer | Exception]) -> None:
        super().__init__()
        self.script = list(script)
        self.sent: list[requests.PreparedRequest] = []
        self.timeouts: list[object] = []

    def send(self, request, stream=False, timeout=None, **_):  # type: ignore[no-untyped-def]
        self.sent.append(request)
        self.timeouts.append(timeout)
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        content = answer.content()
        length = len(content) + (100 if answer.breaks_off else 0)
        raw = HTTPResponse(
            body=io.BytesIO(content),
            status=answer.status,
            headers={"Content-Length": str(length), **answer.headers},
            preload_content=False,
            enforce_content_length=True,
        )
        response = requests.Response()
        response.status_code, response.raw, response.url = answer.status, raw, request.url
        response.headers.update(dict(answer.headers))
        response.request = request
        if not stream:
            _ = response.content
        return response

    def close(self) -> None:
        """Nothing to close."""


class ScriptedSalesforce:
    """A session on a scripted wire; counts its logins and its pauses."""

    def __init__(
        self,
        *script: Answer | Exception,
        backoff: Backoff | None = None,
        asks_for_a_token: bool = False,
    ) -> None:
        self._asks_for_a_token = asks_for_a_token
        self.wire = ScriptedWire(list(script))
        self.logins = 0
        self.pauses: list[float] = []
        self.session = SalesforceSession(
            self._login,
            timeouts=TIMEOUTS,
            backoff=backoff or Backoff(attempts=3),
            sleep=self.pauses.append,
        )

    def _login(self, http: requests.Session) -> Salesforce:
        self.logins += 1
        http.mount("https://", self.wire)
        if self._asks_for_a_token:
            http.post(f"https://{HOST}/services/oauth2/token")
        return Salesforce(session_id=f"token-{self.logins}", instance=HOST, session=http)


class ListJournal:
    """A job journal in a list, in the order in which it was told."""

    def __init__(self, *, is_resumed: bool = False) -> None:
        self.entries: list[tuple[object, ...]] = []
        self.is_resumed = is_resumed
        self._open: dict[int, LeftJob] = {}
        self._keys = 0

    def planned(self, obj: str, operation: str, field: str = "", rows: int | None = None) -> int:
        self._keys += 1
        self._open[self._keys] = LeftJob(self._keys, None, rows)
        self.entries.append(("planned", self._keys, obj, operation))
        return self._keys

    def created(self, key: int, job_id: str) -> None:
        self._open[key] = LeftJob(key, job_id, self._open[key].rows)
        self.entries.append(("created", key, job_id))

    def waiting(self) -> None:
        """Nothing to renew."""

    def finished(self, key: int, state: str, processed: int, failed: int) -> None:
        self.entries.append(("finished", key, state, processed, failed))

    def settled(self, key: int) -> None:
        self._open.pop(key)

    def left(self, obj: str, operation: str, field: str = "") -> list[LeftJob]:
        return list(self._open.values())

    def abandoned(self, obj: str, operation: str) -> list[LeftJob]:
        return []

    def known(self, job_ids: list[str]) -> set[str]:
        told = {entry[2] for entry in self.entries if entry[0] == "created"}
        return {each for each in job_ids if each in told}

    @property
    def steps(self) -> list[object]:
        return [entry[0] for entry in self.entries]
