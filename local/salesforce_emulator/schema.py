"""What one user may see and change: objects, fields, and administrators' permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.salesforce_emulator.access import FieldAccess, Grants, read_grants
from local.salesforce_emulator.definitions import Definitions, UnknownFieldError, any_field
from local.salesforce_emulator.errors import not_found

if TYPE_CHECKING:
    from local.salesforce_emulator.database import Database
    from local.salesforce_emulator.objects import Field, ObjectType

__all__ = ["FieldAccess", "Schema", "UnknownFieldError"]

_NEEDS_SETUP = ("FieldPermissions", "ObjectPermissions")  # since v49 [documented]


class Schema:
    """The org's objects as a user sees them, names compared without case [documented].

    What the user may do follows from the permission sets that are assigned, the profile's own
    among them, as they were when it was loaded.
    """

    def __init__(self, database: Database, user_id: str, definitions: Definitions) -> None:
        self._database = database
        self._user_id = user_id
        self._definitions = definitions
        self._grants = Grants()
        self.load()

    @property
    def user_id(self) -> str:
        """Whose view it is."""
        return self._user_id

    def load(self) -> None:
        """Read the user's permissions from the database."""
        self._grants = read_grants(self._database.read(), self._user_id)

    def may(self, permission: str) -> bool:
        """Whether the user has a permission such as ``CustomizeApplication``."""
        return permission in self._grants.permissions

    def may_on(self, object_type: ObjectType, right: str) -> bool:
        """Whether the user may Read, Create, Edit or Delete records of an object.

        Objects of administrators follow the permissions, not the rights on objects.
        """
        if object_type.name in _NEEDS_SETUP and not self.may("ViewSetup"):
            return False
        if not object_type.updateable:
            return True
        return (object_type.name, right) in self._grants.objects

    @property
    def has_person_accounts(self) -> bool:
        """Whether the org has person accounts."""
        return self._definitions.has_person_accounts

    def object_types(self) -> list[ObjectType]:
        """Return every object the user may read."""
        return [each for each in self._definitions.all_objects() if not self._is_hidden(each)]

    def _is_hidden(self, object_type: ObjectType) -> bool:
        of = object_type
        if object_type.history_of is not None:
            of = self._definitions.any_object(object_type.history_of)
        return not self.may_on(of, "Read")

    def find_object(self, name: str) -> ObjectType | None:
        """Return the object of that name, or None: without Read on it, it does not exist.

        A query then says INVALID_TYPE [captured]; that everything else answers as for an object
        which nobody made, describe 404 NOT_FOUND among it, is [assumed].
        """
        found = self._definitions.find_object(name)
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

    def find_any(self, name: str) -> ObjectType | None:
        """Return the object of that name whether readable or not, None without one."""
        return self._definitions.find_object(name)

    def any_object(self, name: str) -> ObjectType:
        """Return the object of that name whether readable or not: for the control API.

        Raises:
            SalesforceError: 404 NOT_FOUND: there is none.
        """
        return self._definitions.any_object(name)

    def object_of_id(self, record_id: str) -> ObjectType | None:
        """Return the object of records people work with whose key prefix the Id starts with."""
        return self._definitions.object_of_id(record_id)

    def row_filter(self, object_type: ObjectType) -> str | None:
        """Return the SQL condition on rows which the user may see, None for all.

        A history object "respects field level security on the parent object" [documented]; that
        the rows of a hidden field are left out is [assumed]. A row which permits nothing is none.
        """
        if object_type.name in _NEEDS_SETUP:
            return '"PermissionsRead" = 1'
        if object_type.history_of is None:
            return None
        parent = self.any_object(object_type.history_of)
        hidden = [each for each in parent.fields if not self.access(parent, each).readable]
        names = ", ".join(f"'{field.name}'" for field in hidden)
        return f'"Field" not in ({names})' if hidden else None

    def access(self, object_type: ObjectType, field: Field) -> FieldAccess:
        """Return what the user may do with the field.

        A field of a person account follows the field-level security of the Contact's field
        [captured]; a grant of its own restricts it further [assumed].
        """
        granted = self._granted(object_type, field)
        if field.mirrors is not None:
            contact = self.any_object("Contact")
            mirrored = self.access(contact, any_field(contact, field.mirrors))
            readable = granted.readable and mirrored.readable
            return FieldAccess(readable, readable and granted.updateable and mirrored.updateable)
        natural = object_type.saves and field.updateable and field.expression is None
        return FieldAccess(granted.readable, granted.readable and granted.updateable and natural)

    def _granted(self, object_type: ObjectType, field: Field) -> FieldAccess:
        if not field.permissionable or not object_type.updateable:
            return FieldAccess(True, True)
        unsaid = FieldAccess(*(field.mirrors is not None,) * 2)
        return self._grants.fields.get((object_type.name, field.name), unsaid)

    def may_create_with(self, object_type: ObjectType, field: Field) -> bool:
        """Whether the user may give a new record a value of the field."""
        if field.is_createable and not field.updateable:
            return self._granted(object_type, field).updateable
        return self.access(object_type, field).updateable

    def visible_fields(self, object_type: ObjectType) -> list[Field]:
        """Return the fields which describe and queries show: a hidden one is simply absent."""
        return [field for field in object_type.fields if self.access(object_type, field).readable]

    def visible_field(self, object_type: ObjectType, name: str) -> Field:
        """Return the visible field of that name.

        Raises:
            UnknownFieldError: there is none, or it is hidden.
        """
        field = any_field(object_type, name)
        if not self.access(object_type, field).readable:
            raise UnknownFieldError(name)
        return field

    def any_field(self, object_type: ObjectType, name: str) -> Field:
        """Return the field of that name whether visible or not: for the control API.

        Raises:
            UnknownFieldError: there is none.
        """
        return any_field(object_type, name)
