"""The emulated Salesforce, as the demo's people use it: through its control API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.demo.web import HttpError, NotReachableError, call


@dataclass(frozen=True, slots=True)
class Emulator:
    """Control API of the emulator at `url`."""

    url: str

    def is_up(self) -> bool:
        """Whether it answers and is well."""
        try:
            return bool(self._call("GET", "health")["status"] == "ok")
        except (NotReachableError, HttpError):
            return False

    def records(self, object_name: str) -> list[dict[str, Any]]:
        """Return every record with all columns, deleted ones included, ordered by Id."""
        records: list[dict[str, Any]] = self._call("GET", f"records/{object_name}")["records"]
        return records

    def names(self) -> dict[str, str]:
        """Return the name of every Contact and Lead by Id."""
        return {
            record["Id"]: record["Name"]
            for object_name in ("Contact", "Lead")
            for record in self.records(object_name)
        }

    def edit(self, fields_by_id: Mapping[str, Mapping[str, object]]) -> None:
        """Change records as a human user does."""
        edits = [{"id": record_id, "fields": fields} for record_id, fields in fields_by_id.items()]
        self._call("POST", "edit", {"edits": edits, "user": "human"})

    def convert_lead(self, lead: str, contact: str) -> None:
        """Convert a Lead into a Contact that exists."""
        self._call("POST", "convert-lead", {"lead": lead, "contact": contact})

    def merge(self, winner: str, loser: str) -> None:
        """Merge a record into another one, which lives on."""
        self._call("POST", "merge", {"winner": winner, "losers": [loser]})

    def delete(self, ids: Sequence[str]) -> None:
        """Move records to the recycle bin."""
        self._call("POST", "delete", {"ids": list(ids)})

    def set_field_access(self, object_name: str, field: str, *, is_visible: bool) -> None:
        """Show or hide a field for the sync's user, as an admin does."""
        access = {"readable": is_visible, "updateable": is_visible}
        self._call("POST", "field-access", {"object": object_name, "field": field, **access})

    def _call(self, method: str, path: str, body: object = None) -> Any:
        return call(method, f"{self.url}/__emulator__/{path}", body)
