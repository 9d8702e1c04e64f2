"""What the logged-in user may see and change: objects, custom fields, field-level security."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from local.salesforce_emulator import person_fields
from local.salesforce_emulator.database import column_sql
from local.salesforce_emulator.errors import not_found
from local.salesforce_emulator.objects import STANDARD_OBJECTS, Field, ObjectType

if TYPE_CHECKING:
    from local.salesforce_emulator.database import Database


class UnknownFieldError(LookupError):
    """The object has no such field, or the user cannot see it; Salesforce does not tell which."""


@dataclass(frozen=True, slots=True)
class FieldAccess:
    """What field-level security grants on one field."""

    readable: bool
    updateable: bool


class Schema:
    """The org's objects, with names compared without case [documented].

    Kept in the database, so that a restart finds the same custom fields and the same access.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._objects: dict[str, ObjectType] = {}
        self._access: dict[tuple[str, str], FieldAccess] = {}
        self._hidden: set[str] = set()
        self._has_person_accounts = False
        self.load()

    def load(self) -> None:
        """Read custom fields, object permissions and field-level security from the database."""
        self._objects = {each.name.lower(): each for each in STANDARD_OBJECTS}
        self._access = {}
        connection = self._database.read()
        for name, field, label in connection.execute("select * from custom_field"):
            self._add(self.any_object(name), _checkbox(field, label))
        features = connection.execute("select name from feature").fetchall()
        self._has_person_accounts = (person_fields.FEATURE,) in features
        self._add_person_fields()
        for name, field, *grants in connection.execute("select * from field_access"):
            self._access[name, field] = FieldAccess(*map(bool, grants))
        self._hidden = {name for (name,) in connection.execute("select * from hidden_object")}

    def _add_person_fields(self) -> None:
        if not self._has_person_accounts:
            return
        contact = self.any_object("Contact")
        if not contact.has(person_fields.IS_PERSON.name):
            self._add(contact, person_fields.IS_PERSON)
            contact = self.any_object("Contact")
        account = self.any_object("Account")
        self._objects["account"] = person_fields.person_account(account, contact)

    @property
    def has_person_accounts(self) -> bool:
        """Whether the org has person accounts."""
        return self._has_person_accounts

    def _add(self, object_type: ObjectType, field: Field) -> None:
        extended = replace(object_type, fields=(*object_type.fields, field))
        self._objects[object_type.name.lower()] = extended

    def object_types(self) -> list[ObjectType]:
        """Return every object the user may read."""
        return [each for each in self._objects.values() if not self._is_hidden(each)]

    def _is_hidden(self, object_type: ObjectType) -> bool:
        return (object_type.history_of or object_type.name) in self._hidden

    def find_object(self, name: str) -> ObjectType | None:
        """Return the object of that name, or None: without Read on it, it does not exist.

        A query then says INVALID_TYPE [captured]; that everything else answers as for an object
        which nobody made, describe 404 NOT_FOUND among it, is [assumed].
        """
        found = self._objects.get(name.lower())
        return None if found is None or self._is_hidden(found) else found

    def object_type(self, name: str) -> ObjectType:
        """Return the object of that name.

        Raises:
            SalesforceError: 404 NOT_FOUND [recorded]: there is none, or the user may not read it.
        """
        found = self.find_object(name)
        if found is None:
            raise not_found()
        return found

    def any_object(self, name: str) -> ObjectType:
        """Return the object of that name whether readable or not: for the control API.

        Raises:
            SalesforceError: 404 NOT_FOUND: there is none.
        """
        found = self._objects.get(name.lower())
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

    def row_filter(self, object_type: ObjectType) -> str | None:
        """Return the SQL condition on rows which the user may see, None for all.

        A history object "respects field level security on the parent object" [documented]; that
        the rows of a hidden field are left out is [assumed].
        """
        if object_type.history_of is None:
            return None
        parent = self.any_object(object_type.history_of)
        hidden = [each for each in parent.fields if not self.access(parent, each).readable]
        names = ", ".join(f"'{field.name}'" for field in hidden)
        return f'"Field" not in ({names})' if hidden else None

    def access(self, object_type: ObjectType, field: Field) -> FieldAccess:
        """Return what the integration user may do with the field.

        A field of a person account follows the field-level security of the Contact's field
        [captured]; a grant of its own restricts it further [assumed].
        """
        granted = self._access.get((object_type.name, field.name), FieldAccess(True, True))
        if field.mirrors is not None:
            contact = self.any_object("Contact")
            mirrored = self.access(contact, self.any_field(contact, field.mirrors))
            readable = granted.readable and mirrored.readable
            return FieldAccess(readable, readable and granted.updateable and mirrored.updateable)
        natural = object_type.updateable and field.updateable and field.expression is None
        return FieldAccess(granted.readable, granted.readable and granted.updateable and natural)

    def visible_fields(self, object_type: ObjectType) -> list[Field]:
        """Return the fields which describe and queries show: a hidden one is simply absent."""
        return [field for field in object_type.fields if self.access(object_type, field).readable]

    def visible_field(self, object_type: ObjectType, name: str) -> Field:
        """Return the visible field of that name.

        Raises:
            UnknownFieldError: there is none, or it is hidden.
        """
        field = self.any_field(object_type, name)
        if not self.access(object_type, field).readable:
            raise UnknownFieldError(name)
        return field

    def any_field(self, object_type: ObjectType, name: str) -> Field:
        """Return the field of that name whether visible or not: for the control API.

        Raises:
            UnknownFieldError: there is none.
        """
        lowered = name.lower()
        for field in object_type.fields:
            if field.name.lower() == lowered:
                return field
        raise UnknownFieldError(name)

    def grant_object(self, object_type: ObjectType, *, readable: bool) -> None:
        """Give or take the user's Read on an object."""
        with self._database.write() as connection:
            connection.execute("delete from hidden_object where object = ?", (object_type.name,))
            if not readable:
                connection.execute("insert into hidden_object values (?)", (object_type.name,))
        if readable:
            self._hidden.discard(object_type.name)
        else:
            self._hidden.add(object_type.name)

    def grant(self, object_type: ObjectType, field: Field, access: FieldAccess) -> None:
        """Set the field-level security of one field."""
        with self._database.write() as connection:
            connection.execute(
                "insert or replace into field_access values (?, ?, ?, ?)",
                (object_type.name, field.name, access.readable, access.updateable),
            )
        self._access[object_type.name, field.name] = access

    def install_checkbox(self, object_type: ObjectType, name: str, label: str) -> None:
        """Add a custom checkbox, false everywhere; installing it again changes nothing."""
        field = _checkbox(name, label)
        if object_type.has(name):
            return
        with self._database.write() as connection:
            connection.execute(f'alter table "{object_type.name}" add column {column_sql(field)}')
            connection.execute(
                "insert into custom_field values (?, ?, ?)", (object_type.name, name, label)
            )
        self._add(self.any_object(object_type.name), field)
        self._add_person_fields()


def _checkbox(name: str, label: str) -> Field:
    return Field(name, "boolean", label, nillable=False, custom=True)
