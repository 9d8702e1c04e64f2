"""Who may log in, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.salesforce_emulator.org import Org


@dataclass(frozen=True, slots=True)
class User:
    """A user as logins need one."""

    user_id: str
    username: str
    email: str
    first_name: str | None
    last_name: str
    profile_id: str
    is_active: bool
    modified_at: str


_COLUMNS = (
    '"Id", "Username", "Email", "FirstName", "LastName", "ProfileId", "IsActive",'
    ' "LastModifiedDate"'
)


def by_id(org: Org, user_id: str) -> User:
    """Return the user of an Id that exists."""
    row = org.database.read().execute(
        f'select {_COLUMNS} from "User" where "Id" = ?',  # noqa: S608
        (user_id,),
    )
    return User(*row.fetchone())


def by_username(org: Org, username: str) -> User | None:
    """Return the user of a name, compared without case [documented]; None without one."""
    row = (
        org.database.read()
        .execute(
            f'select {_COLUMNS} from "User" where "Username" = ? collate nocase',  # noqa: S608
            (username,),
        )
        .fetchone()
    )
    return User(*row) if row else None


def has_password(org: Org, password: str) -> bool:
    """Whether it is everybody's password, alone or followed by the security token."""
    client = org.client
    return password in (client.password, client.password + client.security_token)
