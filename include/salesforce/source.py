"""The definitions as source for Salesforce's own tools: `sf project deploy start`.

`force-app` holds the checkbox and the permission set; `history` holds what switches on field
history tracking, for those who want it. Page layouts are the org's own and are not among them.
"""

import json
from collections.abc import Sequence
from typing import Final

from include.domain.values import STANDARD_FIELD, SalesforceObject
from include.salesforce.definitions import (
    PERMISSION_SET,
    Checkbox,
    all_fields,
    checkbox_elements,
    grants,
    permission_set,
    tracked_elements,
)
from include.salesforce.metadata import document
from include.salesforce.soap import Element, element, leaf

API_VERSION: Final = "65.0"
_INSTALL: Final = "force-app/main/default"
_HISTORY: Final = "history/main/default"


def files(checkbox: Checkbox) -> dict[str, bytes]:
    """Return every file of the source by its path below the project's folder."""
    granted = permission_set(grants(all_fields(checkbox)))
    written = {
        "sfdx-project.json": _project(),
        f"{_INSTALL}/permissionsets/{PERMISSION_SET}.permissionset-meta.xml": document(granted),
    }
    for obj in SalesforceObject:
        written |= _of_object(obj.value, checkbox)
    return written


def _of_object(obj: str, checkbox: Checkbox) -> dict[str, bytes]:
    install, history = (f"{each}/objects/{obj}" for each in (_INSTALL, _HISTORY))
    keeps = element("CustomObject", leaf("enableHistory", True))
    return {
        f"{install}/fields/{checkbox.name}.field-meta.xml": _field(checkbox_elements(checkbox)),
        f"{history}/{obj}.object-meta.xml": document(keeps),
        f"{history}/fields/{STANDARD_FIELD}.field-meta.xml": _field(
            tracked_elements(STANDARD_FIELD)
        ),
        f"{history}/fields/{checkbox.name}.field-meta.xml": _field(
            checkbox_elements(checkbox, tracked=True)
        ),
    }


def _field(elements: Sequence[Element]) -> bytes:
    return document(element("CustomField", *elements))


def _project() -> bytes:
    project = {
        "packageDirectories": [{"path": "force-app", "default": True}, {"path": "history"}],
        "name": "opt-out-sync",
        "namespace": "",
        "sfdcLoginUrl": "https://login.salesforce.com",
        "sourceApiVersion": API_VERSION,
    }
    return (json.dumps(project, indent=2) + "\n").encode()
