"""A started emulator as tests see it: addresses, logins, and the control API as methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from local.salesforce_emulator.connection import (
    API_VERSION,
    DEFAULT_CLIENT_ID,
    DEFAULT_CLIENT_SECRET,
    connection_json,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class EmulatorError(Exception):
    """The emulator did not start, or the control API refused an order."""


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """A started emulator: where it is, how to log in, and its control API as methods."""

    process: subprocess.Popen[bytes]
    http_port: int
    tls_port: int
    folder: Path
    api_version: str = API_VERSION
    client_id: str = DEFAULT_CLIENT_ID
    client_secret: str = DEFAULT_CLIENT_SECRET

    @property
    def http_url(self) -> str:
        """The plain HTTP root, without a slash at the end."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def tls_url(self) -> str:
        """The TLS root, without a slash at the end."""
        return f"https://127.0.0.1:{self.tls_port}"

    @property
    def data_url(self) -> str:
        """The root of the REST resources over plain HTTP."""
        return f"{self.http_url}/services/data/v{self.api_version}"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "salesforce.db"

    @property
    def ca_bundle(self) -> Path:
        """The value for REQUESTS_CA_BUNDLE."""
        return self.folder / "ca-bundle.pem"

    @property
    def own_ca(self) -> Path:
        """The same for a process that calls nobody else: without 140 others it is read at once."""
        return self.folder / "ca.pem"

    @property
    def login_domain(self) -> str:
        """The ``domain`` for simple-salesforce, with client id and secret as consumer key pair."""
        return f"127.0.0.1:{self.tls_port}/login?x="

    @property
    def airflow_connection(self) -> str:
        """The Airflow Connection, as JSON for an AIRFLOW_CONN_... variable."""
        return connection_json(self.client_id, self.client_secret, self.tls_port)

    def log_in(self) -> str:
        """Return a fresh access token."""
        response = requests.post(
            f"{self.http_url}/services/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(self.client_id, self.client_secret),
            timeout=10,
        )
        response.raise_for_status()
        return str(response.json()["access_token"])

    def control(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        """Send an order to the control API and return its answer.

        Raises:
            EmulatorError: it was refused.
        """
        url = f"{self.http_url}/__emulator__/{path}"
        response = requests.request(method, url, json=document, timeout=30)
        if not response.ok:
            raise EmulatorError(f"{method} {path}: {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    def records(self, sobject: str) -> list[dict[str, Any]]:
        """Return every record of an object, all columns, deleted ones too, ordered by Id."""
        found: list[dict[str, Any]] = self.control("GET", f"records/{sobject}")["records"]
        return found

    def record(self, record_id: str) -> dict[str, Any]:
        """Return one Contact, Lead or Account."""
        sobject = {"00Q": "Lead", "001": "Account"}.get(record_id[:3], "Contact")
        return next(each for each in self.records(sobject) if each["Id"] == record_id)

    def edit(self, record_id: str, user: str = "human", **fields: object) -> None:
        """Change fields of a record as a person in Salesforce."""
        edits = [{"id": record_id, "fields": fields}]
        self.control("POST", "edit", {"edits": edits, "user": user})

    def set_field_access(
        self, sobject: str, field: str, *, readable: bool, updateable: bool
    ) -> None:
        """Set the field-level security of a field."""
        document = {
            "object": sobject, "field": field, "readable": readable, "updateable": updateable,
        }  # fmt: skip
        self.control("POST", "field-access", document)

    def set_object_access(self, sobject: str, *, readable: bool) -> None:
        """Give or take the integration user's Read on an object."""
        self.control("POST", "object-access", {"object": sobject, "readable": readable})

    def set_assignment_rule(self, owner: str | None) -> None:
        """Give every Lead saved over REST to ``owner``; None deactivates the rule."""
        document = {"active": owner is not None, "owner": owner}
        self.control("POST", "assignment-rule", document)

    def install_checkbox(self, sobject: str, name: str, label: str) -> None:
        """Install a custom checkbox."""
        document = {"object": sobject, "name": name, "label": label}
        self.control("POST", "custom-field", document)

    def install_field(self, sobject: str, **metadata: object) -> None:
        """Install a custom field, described as the Metadata API describes it."""
        self.control("POST", "field", {"object": sobject, "metadata": metadata})

    def track_history(self, sobject: str, field: str, *, tracked: bool = True) -> None:
        """Start or end the history of a field of Contact or Lead; rows stay."""
        document = {"object": sobject, "field": field, "tracked": tracked}
        self.control("POST", "history", document)

    def enable_person_accounts(self) -> None:
        """Switch person accounts on; only ``reset`` takes them away."""
        self.control("POST", "person-accounts", {})

    def make_person_account(self, contact: str) -> str:
        """Turn a Contact into a person account; returns the Account's Id."""
        return str(self.control("POST", "person-account", {"contact": contact})["account"])

    def convert_lead(self, lead: str, contact: str | None = None) -> str:
        """Convert a Lead; returns the Contact's Id."""
        document = {"lead": lead, "contact": contact}
        return str(self.control("POST", "convert-lead", document)["contact"])

    def merge(self, winner: str, losers: Sequence[str], **values: object) -> None:
        """Merge records; ``values`` are what the person picks for the winner."""
        document = {"winner": winner, "losers": list(losers), "values": values}
        self.control("POST", "merge", document)

    def delete(self, *ids: str) -> None:
        """Move records to the recycle bin."""
        self.control("POST", "delete", {"ids": list(ids)})

    def undelete(self, *ids: str) -> None:
        """Take records out of the recycle bin."""
        self.control("POST", "undelete", {"ids": list(ids)})

    def add_fault(self, **fault: Any) -> None:
        """Order a fault: ``method``, ``path_contains``, ``status`` or ``action``, ``times``, ..."""
        self.control("POST", "faults", fault)

    def clear_faults(self) -> None:
        """Withdraw every fault."""
        self.control("DELETE", "faults")

    def add_rule(self, **rule: Any) -> None:
        """Set up a rule: ``kind``, ``object``, ``name`` and what ``POST rules`` says of each."""
        self.control("POST", "rules", rule)

    def clear_rules(self) -> None:
        """Deactivate all rules."""
        self.control("DELETE", "rules")

    def lock_records(self, *ids: str) -> None:
        """Let another transaction hold records, or everything below Accounts."""
        self.control("POST", "locks", {"ids": list(ids)})

    def unlock_records(self) -> None:
        """End that transaction."""
        self.control("DELETE", "locks")

    def set_user_permission(
        self, permission: str, *, granted: bool, user: str = "integration"
    ) -> None:
        """Give a user's profile a permission such as ``CustomizeApplication``, or take it."""
        document = {"permission": permission, "granted": granted, "user": user}
        self.control("POST", "user-permission", document)

    def grant_refresh_token(self, user: str = "integration") -> str:
        """Let a user approve the connected app in a browser; returns the refresh token."""
        return str(self.control("POST", "refresh-token", {"user": user})["refresh_token"])

    def set_certificate(self, pem: str | None) -> None:
        """Let the connected app trust assertions signed by the key of a certificate, or none."""
        self.control("POST", "certificate", {"pem": pem})

    def set_session_lifetime(self, seconds: float) -> None:
        """Let sessions end when they were not used for so long; ``reset`` makes it two hours."""
        self.control("POST", "sessions", {"lifetime_seconds": seconds})

    def set_user_active(self, active: bool, user: str = "integration") -> None:
        """Deactivate a user, which ends their sessions, or let them in again."""
        self.control("POST", "user", {"active": active, "user": user})

    def set_clock(self, offset_seconds: float) -> None:
        """Let the org's clock be wrong by so many seconds; ``reset`` makes it right."""
        self.control("POST", "clock", {"offset_seconds": offset_seconds})

    def set_options(self, **options: object) -> None:
        """Set ``latency``, ``gzip`` or another of the options that ``options.py`` explains."""
        self.control("POST", "options", options)

    def refuse_connections(self, seconds: float) -> None:
        """Close both ports for a while; the control API does not answer meanwhile either."""
        self.control("POST", "refuse", {"seconds": seconds})

    def newest_requests(self) -> list[dict[str, Any]]:
        """Return the newest requests with status and milliseconds, oldest first."""
        found: list[dict[str, Any]] = self.control("GET", "journal")["requests"]
        return found

    def revoke_sessions(self) -> None:
        """End every session."""
        self.control("DELETE", "sessions")

    def hold_jobs(self, held: bool) -> None:
        """Keep bulk jobs in their queue, or let them go."""
        self.control("POST", "jobs", {"hold": held})

    def set_limits(self, *, daily_api_requests: int = 100_000, used: int = 0) -> None:
        """Set the daily allowance of API requests."""
        self.control("POST", "limits", {"daily_api_requests": daily_api_requests, "used": used})

    def request_counts(self) -> Mapping[str, int]:
        """Return requests by "METHOD path-template" since the start or the last reset."""
        counts: dict[str, int] = self.control("GET", "requests")["counts"]
        return counts

    def reset_requests(self) -> None:
        """Forget the counted requests."""
        self.control("DELETE", "requests")

    def restore(self) -> None:
        """Undo faults, limits, held jobs, rules, and restricted objects and standard fields.

        Records stay changed, tracked fields tracked, person accounts switched on.
        """
        self.clear_faults()
        self.set_limits()
        self.hold_jobs(False)
        self.set_assignment_rule(None)
        for sobject in ("Contact", "Lead"):
            self.set_object_access(sobject, readable=True)
            self.set_field_access(sobject, "HasOptedOutOfEmail", readable=True, updateable=True)
        self.reset_requests()

    def snapshot(self) -> None:
        """Keep the org as it is now, for ``reset``."""
        self.control("POST", "snapshot")

    def reset(self) -> None:
        """Bring back the org of the last ``snapshot``: records, fields, access and jobs.

        Faults, counts and spent limits are gone too; sessions stay.
        """
        self.control("POST", "restore")


class Api:
    """A logged-in session which speaks raw HTTP, without a client library in between."""

    def __init__(self, emulator: RunningEmulator) -> None:
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {emulator.log_in()}"
        self._root = emulator.data_url

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request to a path below ``/services/data/vXX.0/``."""
        return self.session.request(method, f"{self._root}/{path}", timeout=30, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        """Send a GET."""
        return self.call("GET", path, **options)

    def query(self, soql: str, **options: Any) -> requests.Response:
        """Send a query; returns its first page."""
        return self.get("query", params={"q": soql}, **options)
