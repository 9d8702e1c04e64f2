"""The org's objects and fields, whoever looks: standard ones, custom ones, those of features."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from local.salesforce_emulator import person_fields
from local.salesforce_emulator.custom_fields import field_of
from local.salesforce_emulator.errors import not_found
from local.salesforce_emulator.setup_objects import STANDARD_OBJECTS

if TYPE_CHECKING:
    from local.salesforce_emulator.database import Database
    from local.salesforce_emulator.objects import Field, ObjectType


class UnknownFieldError(LookupError):
    """The object has no such field, or the user cannot see it; Salesforce does not tell which."""


class Definitions:
    """Objects by name, names compared without case [documented].

    Kept in the database, so that a restart finds the same custom fields.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._objects: dict[str, ObjectType] = {}
        self.has_person_accounts = False
        self.load()

    def load(self) -> None:
        """Read custom fields and features from the database."""
        objects = {each.name.lower(): each for each in STANDARD_OBJECTS}
        connection = self._database.read()
        rows = connection.execute(
            'select "TableEnumOrId", metadata from "CustomField" order by "Id"'
        )
        for name, metadata in rows.fetchall():
            _add(objects, name, field_of(json.loads(metadata)))
        features = connection.execute("select name from feature").fetchall()
        self.has_person_accounts = (person_fields.FEATURE,) in features
        if self.has_person_accounts:
            _add(objects, "Contact", person_fields.IS_PERSON)
            objects["account"] = person_fields.person_account(
                objects["account"], objects["contact"]
            )
        self._objects = objects

    def all_objects(self) -> list[ObjectType]:
        """Return every object."""
        return list(self._objects.values())

    def find_object(self, name: str) -> ObjectType | None:
        """Return the object of that name, None without one."""
        return self._objects.get(name.lower())

    def any_object(self, name: str) -> ObjectType:
        """Return the object of that name whether readable or not: for the control API.

        Raises:
            SalesforceError: 404 NOT_FOUND: there is none.
        """
        found = self.find_object(name)
        if found is None:
            raise not_found()
        return found

    def object_of_id(self, record_id: str) -> ObjectType | None:
        """Return the object of records people work with whose key prefix the Id starts with."""
        return next(
            (
                each
                for each in self._objects.values()
                if each.updateable and record_id.startswith(each.key_prefix)
            ),
            None,
        )


def _add(objects: dict[str, ObjectType], name: str, field: Field) -> None:
    object_type = objects[name.lower()]
    objects[name.lower()] = replace(object_type, fields=(*object_type.fields, field))


def any_field(object_type: ObjectType, name: str) -> Field:
    """Return the field of that name whether visible or not.

    Raises:
        UnknownFieldError: there is none.
    """
    lowered = name.lower()
    for field in object_type.fields:
        if field.name.lower() == lowered:
            return field
    raise UnknownFieldError(name)
