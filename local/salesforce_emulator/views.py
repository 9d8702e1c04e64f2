"""What a query needs to know about the objects it may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from local.salesforce_emulator.objects import Field, ObjectType


class QueriedSchema(Protocol):
    """Objects and fields as a user sees them: of the data, or of the Tooling API."""

    def find_object(self, name: str) -> ObjectType | None:
        """Return the object of that name, None without one that the user may read."""

    def row_filter(self, object_type: ObjectType) -> str | None:
        """Return the SQL condition on rows which the user may see, None for all."""

    def visible_fields(self, object_type: ObjectType) -> list[Field]:
        """Return the fields which the user may read."""

    def visible_field(self, object_type: ObjectType, name: str) -> Field:
        """Return the visible field of that name, or raise UnknownFieldError."""
