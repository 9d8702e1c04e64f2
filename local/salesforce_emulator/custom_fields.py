"""Custom fields as the Metadata API describes them, and as fields of an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.objects import Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.salesforce_emulator.objects import FieldType

Metadata = dict[str, Any]  # one CustomField of the Metadata API, with its short fullName

_TYPES: dict[str, FieldType] = {
    "Checkbox": "boolean",
    "Date": "date",
    "DateTime": "datetime",
    "Email": "email",
    "Number": "double",
    "Phone": "phone",
    "Text": "string",
    "TextArea": "textarea",
    "Url": "url",
}
TYPES = tuple(_TYPES)
_LENGTHS = {"Email": 80, "Phone": 40, "TextArea": 255, "Url": 255}


def field_of(metadata: Mapping[str, Any]) -> Field:
    """Return the field which the metadata describes."""
    kind = str(metadata["type"])
    is_checkbox = kind == "Checkbox"
    return Field(
        str(metadata["fullName"]),
        _TYPES[kind],
        str(metadata["label"]),
        length=int(metadata.get("length") or _LENGTHS.get(kind, 0)),
        nillable=not (is_checkbox or is_true(metadata.get("required"))),
        permissionable=not is_true(metadata.get("required")),
        custom=True,
        external_id=is_true(metadata.get("externalId")),
        unique=is_true(metadata.get("unique")),
        default=is_true(metadata.get("defaultValue")) if is_checkbox else None,
        help=metadata.get("inlineHelpText"),
    )


def is_true(value: object) -> bool:
    """Whether a value of XML or JSON means true."""
    return str(value).lower() == "true"


def checkbox(name: str, label: str) -> Metadata:
    """Return the metadata of a checkbox that is false unless somebody ticks it."""
    return {"fullName": name, "type": "Checkbox", "label": label, "defaultValue": False}
