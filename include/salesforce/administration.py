"""Everything the setup asks of Salesforce, in its own words, as a user who may change the org."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from include.domain.ids import to_18
from include.domain.values import SalesforceObject
from include.salesforce import layouts, permission_sets
from include.salesforce.definitions import (
    Checkbox,
    Grants,
    checkbox_elements,
    tracked_elements,
)
from include.salesforce.describe import has_person_accounts
from include.salesforce.errors import FieldNotVisibleError, SalesforceRequestError
from include.salesforce.metadata import Component, MetadataApi, Waiting
from include.salesforce.permission_sets import FoundSet, Lack
from include.salesforce.session import SalesforceSession
from include.salesforce.soap import Element, element, leaf, tag, text_of

CUSTOM_OBJECT: Final = "CustomObject"
CHECKBOX: Final = "Checkbox"  # what the Metadata API calls it

PERMISSIONS: Final[Mapping[str, str]] = {
    "ModifyMetadata": "Modify Metadata Through Metadata API Functions",
    "CustomizeApplication": "Customize Application",
    "ViewSetup": "View Setup and Configuration",
    "ManageProfilesPermissionsets": "Manage Profiles and Permission Sets",
    "AssignPermissionSets": "Assign Permission Sets",
}
"""What changing the org takes, by the name in the API: the words of Salesforce's Setup."""


@dataclass(frozen=True, slots=True)
class FoundField:
    """A field of an object's definition; label and kind are null for most standard fields.

    `definition` is all that Salesforce says of it.
    """

    name: str
    label: str | None = None
    kind: str | None = None
    is_tracked: bool = False
    is_formula: bool = False
    definition: Element = field(default_factory=lambda: element("fields"), repr=False)


@dataclass(frozen=True, slots=True)
class FoundObject:
    """The definition of an object, as far as it matters here; fields by lower-case name."""

    obj: SalesforceObject
    keeps_history: bool
    fields: Mapping[str, FoundField] = field(default_factory=dict)


class SalesforceAdministration:
    """Reads and changes the definition of an org through one session."""

    def __init__(self, session: SalesforceSession, *, waiting: Waiting = Waiting()) -> None:  # noqa: B008  frozen
        """Wrap a session; nothing is sent before the first question."""
        self._session = session
        self._metadata = MetadataApi(session, waiting)

    def organization_id(self) -> str:
        """Return the 18-character Id of the org."""
        answer = self._query("SELECT Id FROM Organization")
        return to_18(answer["records"][0]["Id"])

    def has_person_accounts(self) -> bool:
        """Tell whether the org has person accounts."""
        return has_person_accounts(self._session)

    def missing_permissions(self, needed: Collection[str]) -> list[str]:
        """Return the labels of those permissions that the user does not have.

        Nothing where Salesforce does not tell: then a step says what it was refused.
        """
        names = [each for each in PERMISSIONS if each in needed]
        columns = ", ".join(f"Permissions{each}" for each in [*names, "ModifyAllData"])
        try:
            answer = self._query(f"SELECT {columns} FROM UserPermissionAccess")  # noqa: S608  ours
        except (FieldNotVisibleError, SalesforceRequestError):
            return []
        (has,) = answer["records"] or [{}]
        covered = {"ModifyMetadata"} if has.get("PermissionsModifyAllData") else set()
        return [
            PERMISSIONS[each]
            for each in names
            if each not in covered and not has.get(f"Permissions{each}", True)
        ]

    def objects(self) -> dict[SalesforceObject, FoundObject]:
        """Return the definitions of Contact and Lead, whatever field-level security hides."""
        found = self._metadata.read(CUSTOM_OBJECT, [obj.value for obj in SalesforceObject])
        return {obj: _found_object(obj, found[obj.value]) for obj in SalesforceObject}

    def create_checkboxes(self, checkbox: Checkbox, objects: Sequence[SalesforceObject]) -> None:
        """Create a checkbox on some objects: on all of them, or on none.

        Raises:
            DeployFailedError, DeployUnfinishedError, MissingPermissionError: as `MetadataApi`.
        """
        self._metadata.deploy(
            [
                _object_component(obj, [element("fields", *checkbox_elements(checkbox))])
                for obj in objects
            ]
        )

    def track(self, fields: Mapping[SalesforceObject, Sequence[FoundField]]) -> None:
        """Keep the history of some fields, and of their objects where that is off.

        Raises:
            DeployFailedError, DeployUnfinishedError, MissingPermissionError: as `MetadataApi`.
        """
        self._metadata.deploy(
            [
                _object_component(obj, [_tracked(each) for each in own], keeps=True)
                for obj, own in fields.items()
            ]
        )

    def layout_names(self) -> list[str]:
        """Return the full names of all page layouts of Contact and Lead."""
        prefixes = tuple(f"{obj}-" for obj in SalesforceObject)
        return [each for each in self._metadata.names(layouts.KIND) if each.startswith(prefixes)]

    def read_layouts(self, full_names: Sequence[str]) -> dict[str, Element]:
        """Return layouts by full name; one that does not exist is absent."""
        return self._metadata.read(layouts.KIND, full_names)

    def write_layout(self, full_name: str, layout: Element) -> None:
        """Replace a layout.

        Raises:
            DeployFailedError, DeployUnfinishedError, MissingPermissionError: as `MetadataApi`.
        """
        self._metadata.deploy(
            [
                Component(
                    layouts.KIND, full_name, layouts.as_file(layout), {layouts.KIND: [full_name]}
                )
            ]
        )

    def permission_set(self, user_id: str) -> FoundSet:
        """Return the permission set, and whether a user has it."""
        return permission_sets.read_set(self._session, user_id)

    def supply(self, user_id: str, found: FoundSet, lack: Lack) -> None:
        """Add to the permission set what it lacks, and give it to the user."""
        permission_sets.supply(self._session, user_id, found, lack)

    def lacking(self, user_id: str, wanted: Grants) -> tuple[FoundSet, Lack]:
        """Return the permission set and what it lacks of what is wanted."""
        found = self.permission_set(user_id)
        return found, permission_sets.lacking(found, wanted)

    def _query(self, soql: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._session.json(
            "GET", "query", repeatable=True, params={"q": soql}
        )
        return answer


def _found_object(obj: SalesforceObject, definition: Element) -> FoundObject:
    fields = [_found_field(each) for each in definition.findall(tag("fields"))]
    return FoundObject(
        obj,
        text_of(definition, "enableHistory") == "true",
        {each.name.lower(): each for each in fields},
    )


def _found_field(definition: Element) -> FoundField:
    return FoundField(
        text_of(definition, "fullName") or "",
        text_of(definition, "label"),
        text_of(definition, "type"),
        text_of(definition, "trackHistory") == "true",
        definition.find(tag("formula")) is not None,
        definition,
    )


def _object_component(
    obj: SalesforceObject, fields: Sequence[Element], *, keeps: bool = False
) -> Component:
    history = [leaf("enableHistory", True)] if keeps else []
    members = {"CustomField": [f"{obj}.{text_of(each, 'fullName')}" for each in fields]}
    named = members | ({CUSTOM_OBJECT: [obj.value]} if keeps else {})
    return Component(CUSTOM_OBJECT, obj.value, element(CUSTOM_OBJECT, *history, *fields), named)


def _tracked(found: FoundField) -> Element:
    """Return a field whose history is kept: a custom one whole, as Salesforce wants it again."""
    if not found.name.endswith("__c"):
        return element("fields", *tracked_elements(found.name))
    tracked = deepcopy(found.definition)
    tracked.tag = tag("fields")
    for each in tracked.findall(tag("trackHistory")):
        tracked.remove(each)
    tracked.append(leaf("trackHistory", True))
    return tracked
