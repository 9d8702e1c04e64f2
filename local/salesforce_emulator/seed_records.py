"""Accounts, Contacts and Leads of a new org: a million of them in seconds.

Everything is picked from lists made beforehand: of names, of Ids, of texts of times.
"""

from __future__ import annotations

import random
import unicodedata
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from local.salesforce_emulator.identity import HUMAN_USER_IDS
from local.salesforce_emulator.ids import make_ids
from local.salesforce_emulator.names import COMPANIES, FIRST_NAMES, LAST_NAMES, STATUSES, TITLES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from local.salesforce_emulator.database import Database

    Row = tuple[object, ...]

_OPTED_OUT = 0.06
_WITHOUT_EMAIL = 0.02
_SHARED_EMAIL = 0.02
_CONTACTS_PER_ACCOUNT = 8
_CHUNK = 20_000
_FIRST_HOUR = datetime(2021, 1, 4, 8, tzinfo=UTC)
_CREATED_HOURS = 4 * 365 * 24  # ends well before today: no record is stamped in the future
_MODIFIED_HOURS = 4_000

_STAMPS = ("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp")
_PERSON = (
    "Id", "FirstName", "LastName", "Email", "Phone", "Title", "HasOptedOutOfEmail", "OwnerId",
    *_STAMPS,
)  # fmt: skip


def seed_records(
    database: Database, connection: sqlite3.Connection, contacts: int, leads: int, seed: int
) -> None:
    """Insert the records; the same numbers and seed make the same ones."""
    rng = random.Random(seed)  # noqa: S311 - repeatable data, not a secret
    accounts = _seed_accounts(database, connection, rng, contacts // _CONTACTS_PER_ACCOUNT + 1)
    numbers = database.next_numbers(connection, "003", contacts)
    _insert(connection, "Contact", (*_PERSON, "AccountId"), _contacts(rng, numbers, accounts))
    numbers = database.next_numbers(connection, "00Q", leads)
    columns = (*_PERSON, "Company", "Status")
    _insert(connection, "Lead", columns, _leads(rng, numbers, contacts))


def _insert(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Iterator[Row]
) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join("?" * len(columns))
    connection.executemany(f'insert into "{table}" ({names}) values ({marks})', rows)  # noqa: S608


def _seed_accounts(
    database: Database, connection: sqlite3.Connection, rng: random.Random, count: int
) -> list[str]:
    ids = make_ids("001", database.next_numbers(connection, "001", count))
    human, first = HUMAN_USER_IDS[0], _hours()[0] + _minutes()[0]
    names = rng.choices(COMPANIES, k=count)
    rows = (
        (record_id, f"{name} {number}", human, first, human, first, human, first)
        for number, (record_id, name) in enumerate(zip(ids, names, strict=True))
    )
    _insert(connection, "Account", ("Id", "Name", "OwnerId", *_STAMPS), rows)
    return ids


def _contacts(rng: random.Random, numbers: range, accounts: list[str]) -> Iterator[Row]:
    for some in _chunks(numbers):
        people = _people(rng, make_ids("003", some), list(some))
        of = rng.choices(accounts, k=len(some))
        yield from ((*person, account) for person, account in zip(people, of, strict=True))


def _leads(rng: random.Random, numbers: range, contacts: int) -> Iterator[Row]:
    for some in _chunks(numbers):
        serials = [_serial(rng, number, contacts) for number in some]
        people = _people(rng, make_ids("00Q", some), serials)
        companies, statuses = (rng.choices(each, k=len(some)) for each in (COMPANIES, STATUSES))
        for number, person, company, status in zip(some, people, companies, statuses, strict=True):
            yield (*person, f"{company} {number % 97}", status)


def _serial(rng: random.Random, number: int, contacts: int) -> int:
    """Real orgs hold the same person as a Contact and as a Lead."""
    if contacts and rng.random() < _SHARED_EMAIL:
        return rng.randint(1, contacts)
    return contacts + number


def _chunks(numbers: range) -> Iterator[range]:
    for start in range(0, len(numbers), _CHUNK):
        yield numbers[start : start + _CHUNK]


def _people(rng: random.Random, ids: list[str], serials: list[int]) -> Iterator[Row]:
    """Yield the columns both objects share; name and address follow from the serial number."""
    count = len(ids)
    hours, minutes = _hours(), _minutes()
    opted_out = rng.choices((0, 1), cum_weights=(1 - _OPTED_OUT, 1), k=count)
    reachable = rng.choices((True, False), cum_weights=(1 - _WITHOUT_EMAIL, 1), k=count)
    titles = rng.choices(TITLES, k=count)
    created = rng.choices(range(_CREATED_HOURS), k=count)
    later = rng.choices(range(_MODIFIED_HOURS), k=count)
    within = rng.choices(minutes, k=count)
    for record_id, serial, out, mails, title, hour, more, rest in zip(
        ids, serials, opted_out, reachable, titles, created, later, within, strict=True
    ):
        first, last, plain = _name(serial % _NAMES)
        human = HUMAN_USER_IDS[serial % 2]
        email = f"{plain}.{serial}@{_DOMAINS[serial % 3]}" if mails else None
        modified = hours[hour + more] + rest
        yield (
            record_id, first, last, email, f"+1 555 {serial % 10_000_000:07d}", title, out, human,
            hours[hour] + rest, human, modified, human, modified,
        )  # fmt: skip


_NAMES = len(FIRST_NAMES) * len(LAST_NAMES)
_DOMAINS = ("example.org", "example.com", "example.com")


@cache
def _name(number: int) -> tuple[str, str, str]:
    first = FIRST_NAMES[number * 31 % len(FIRST_NAMES)]
    last = LAST_NAMES[number * 17 % len(LAST_NAMES)]
    return first, last, f"{_ascii(first)}.{_ascii(last)}"


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum()) or "person"


@cache
def _hours() -> list[str]:
    """Return the start of every stored time, up to its hour."""
    starts = (_FIRST_HOUR + timedelta(hours=n) for n in range(_CREATED_HOURS + _MODIFIED_HOURS))
    return [at.strftime("%Y-%m-%dT%H") for at in starts]


@cache
def _minutes() -> list[str]:
    """Return the end of every stored time, from its minute on."""
    return [f":{second // 60:02d}:{second % 60:02d}.000Z" for second in range(3_600)]
