"""The kinds of components which are emulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.metadata.custom_field import CustomFields
from local.salesforce_emulator.metadata.custom_object import CustomObjects
from local.salesforce_emulator.metadata.layout import Layouts
from local.salesforce_emulator.metadata.permission_set import PermissionSets

if TYPE_CHECKING:
    from local.salesforce_emulator.metadata.components import Kind

KINDS: dict[str, Kind] = {
    each.name: each for each in (CustomFields(), Layouts(), CustomObjects(), PermissionSets())
}
FOLDERS = {  # where a deployed archive keeps them, and how their files end [documented]
    "CustomObject": ("objects", "object"),
    "Layout": ("layouts", "layout"),
    "PermissionSet": ("permissionsets", "permissionset"),
}
