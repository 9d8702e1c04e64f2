"""Which custom checkbox the sync is to use: the one of the settings, or one that is there already.

The product that this project replaces installs a field of its own. Such a field is adopted: a
second one beside it would be a second truth.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from include.domain.errors import PermanentSyncError
from include.domain.values import SalesforceObject
from include.salesforce.administration import CHECKBOX, FoundField, FoundObject
from include.salesforce.definitions import ADOPTED_LABELS, Checkbox

Objects = Mapping[SalesforceObject, FoundObject]


class FieldConflictError(PermanentSyncError):
    """A field that is there cannot be the opt-out field; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Target:
    """The custom checkbox.

    Attributes:
        checkbox: its name and label in the org.
        missing: the objects on which it has to be created.
        is_adopted: whether the settings have to be told its name.
    """

    checkbox: Checkbox
    missing: tuple[SalesforceObject, ...]
    is_adopted: bool


def resolve(objects: Objects, wanted: Checkbox) -> Target:
    """Find the checkbox that is wanted, or one that means the same, or none.

    Raises:
        FieldConflictError: a field of that name is no checkbox, or several fields could count.
    """
    if any(wanted.name.lower() in each.fields for each in objects.values()):
        return _existing(objects, wanted.name, wanted)
    names = {each.name.lower(): each.name for each in _candidates(objects, wanted.label)}
    if len(names) > 1:
        raise FieldConflictError(
            f"several fields could be the opt-out field: {', '.join(sorted(names.values()))}. "
            "Choose one with python -m include.cli settings set --sales-field API_NAME --by NAME "
            "--note WHY"
        )
    if names:
        (name,) = names
        return _existing(objects, name, wanted)
    return Target(wanted, tuple(objects), is_adopted=False)


def _candidates(objects: Objects, label: str) -> Iterator[FoundField]:
    labels = {each.lower() for each in (*ADOPTED_LABELS, label)}
    for found in objects.values():
        for each in found.fields.values():
            is_custom = each.name.endswith("__c")
            if is_custom and each.kind == CHECKBOX and (each.label or "").lower() in labels:
                yield each


def _existing(objects: Objects, name: str, wanted: Checkbox) -> Target:
    there = {
        obj: found.fields[name.lower()]
        for obj, found in objects.items()
        if name.lower() in found.fields
    }
    for obj, field in there.items():
        _refuse_unfit(obj, field)
    first, *others = there.values()
    missing = tuple(obj for obj in objects if obj not in there)
    if any(each.name != first.name for each in others):
        raise FieldConflictError(
            f"{first.name} and {others[0].name} differ in upper and lower case: the sync reads "
            "both objects by one name; rename one of them"
        )
    if missing and _is_of_a_package(first.name):
        raise FieldConflictError(
            f"{first.name} belongs to a package and is not on {missing[0]}: only the package can "
            "install it there"
        )
    label = first.label or wanted.label
    return Target(Checkbox(first.name, label), missing, is_adopted=first.name != wanted.name)


def _refuse_unfit(obj: SalesforceObject, field: FoundField) -> None:
    kind = "a formula" if field.is_formula else field.kind
    if kind != CHECKBOX:
        raise FieldConflictError(
            f"{field.name} of {obj} is {kind} and an opt-out is a checkbox: rename that field, or "
            "choose another name with python -m include.cli settings set --sales-field API_NAME "
            "--by NAME --note WHY"
        )


def _is_of_a_package(name: str) -> bool:
    return name.count("__") > 1
