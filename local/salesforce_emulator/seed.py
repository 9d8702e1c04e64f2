"""The org's first records: the same for the same seed, realistic enough to find encoding bugs."""

from __future__ import annotations

import random
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from local.salesforce_emulator.clock import to_stored
from local.salesforce_emulator.database import create_tables
from local.salesforce_emulator.ids import make_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from local.salesforce_emulator.database import Database

ORGANIZATION_ID = make_id("00D", 7_160_421)
INTEGRATION_USER_ID = make_id("005", 1)
HUMAN_USER_IDS = (make_id("005", 2), make_id("005", 3))

_OPTED_OUT = 0.06
_WITHOUT_EMAIL = 0.02
_SHARED_EMAIL = 0.02
_CONTACTS_PER_ACCOUNT = 8
_FIRST_DAY = datetime(2021, 1, 4, 8, tzinfo=UTC)
_DAYS = 4 * 365  # ends well before today: no record is stamped in the future

_FIRST_NAMES = (
    "Ada", "Agnieszka", "Ahmed", "Aiko", "Aleksandr", "Ana", "Anders", "Ángela", "Björn", "Camille",
    "Chidi", "Chloé", "Daniel", "Đorđe", "Élodie", "Emma", "Fatima", "François", "Giulia", "Grace",
    "Hana", "Ingrid", "Ivan", "João", "José", "Jürgen", "Kwame", "Lakshmi", "Liam", "Łukasz",
    "Maria", "Mei", "Mohammed", "Nadia", "Noah", "Olivia", "Óscar", "Priya", "Rafael", "Renée",
    "Sean", "Sofía", "Søren", "Tomáš", "Ulla", "Victor", "Wei", "Yusuf", "Zoë", "Žofie",
    "美咲", "伟", "Ольга", "Δημήτρης",
)  # fmt: skip
_LAST_NAMES = (
    "Adeyemi", "Andersson", "Bianchi", "Brown", "Çelik", "Chen", "Dąbrowski", "D'Angelo", "Dubois",
    "Fernández", "Fischer", "García", "Gonçalves", "Haddad", "Hansen", "Ibrahim", "Ivanova",
    "Johnson", "Jönsson", "Kim", "Kowalska", "Lefèvre", "Lindqvist", "López", "Martin", "Meyer",
    "Møller", "Müller", "Nakamura", "Nguyễn", "Novák", "O'Brien", "Okafor", "Patel", "Peña",
    "Petrović", "Rossi", "Sánchez", "Schmidt", "Sharma", "Silva", "Smith", "Søndergaard", "Tanaka",
    "Van der Berg", "Wang", "Weiß", "Williams", "Yilmaz", "Zhou",
)  # fmt: skip
_COMPANIES = (
    "Acme", "Borealis", "Brightwater", "Café Lumière", "Dünya Lojistik", "Evergreen",
    "Fjord & Sons", "Globex", "Harbor, Inc.", "Initech", "Juniper Labs", "Kestrel",
    "Lakeside \"West\"",
    "Meridian", "Northwind", "Olivetti Rossi", "Pioneer", "Quartz", "Redwood", "Système U",
    "Tailspin", "Umbra",
)  # fmt: skip
_STATUSES = ("Open - Not Contacted", "Working - Contacted", "Closed - Not Converted")
_TITLES = ("CEO", "VP Sales", "Buyer", "Engineer", "Office Manager", None)


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """How many records to make, from which seed."""

    contacts: int
    leads: int
    seed: int


def seed_org(database: Database, plan: SeedPlan) -> None:
    """Fill an empty database; one transaction, so a killed start leaves nothing half done."""
    rng = random.Random(plan.seed)  # noqa: S311 - repeatable data, not a secret
    with database.write() as connection:
        create_tables(connection)
        _seed_organization(connection)
        accounts = _seed_accounts(database, connection, rng, plan)
        contact_numbers = database.next_numbers(connection, "003", plan.contacts)
        _insert(connection, "Contact", _CONTACT_COLUMNS, _contacts(rng, contact_numbers, accounts))
        lead_numbers = database.next_numbers(connection, "00Q", plan.leads)
        _insert(connection, "Lead", _LEAD_COLUMNS, _leads(rng, lead_numbers, plan.contacts))


def _seed_organization(connection: sqlite3.Connection) -> None:
    stamps = _stamps(to_stored(_FIRST_DAY), to_stored(_FIRST_DAY), INTEGRATION_USER_ID)
    organization = (ORGANIZATION_ID, "Emulated Org", 1, "EMU1S", "Developer Edition", *stamps)
    _insert(
        connection,
        "Organization",
        ("Id", "Name", "IsSandbox", "InstanceName", "OrganizationType", *_STAMPS),
        iter([organization]),
    )
    people = (
        (INTEGRATION_USER_ID, "opt-out-sync@emulated.example", "Integration", "Opt-Out Sync"),
        (HUMAN_USER_IDS[0], "rosa.human@emulated.example", "Rosa", "Human"),
        (HUMAN_USER_IDS[1], "ravi.human@emulated.example", "Ravi", "Human"),
    )
    users = ((user, name, first, last, name, 1, *stamps) for user, name, first, last in people)
    columns = ("Id", "Username", "FirstName", "LastName", "Email", "IsActive", *_STAMPS)
    _insert(connection, "User", columns, users)


_STAMPS = ("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp")
_PERSON_COLUMNS = (
    "Id", "FirstName", "LastName", "Email", "Phone", "Title", "HasOptedOutOfEmail", "OwnerId",
    *_STAMPS,
)  # fmt: skip
_CONTACT_COLUMNS = (*_PERSON_COLUMNS, "AccountId")
_LEAD_COLUMNS = (*_PERSON_COLUMNS, "Company", "Status")


def _insert(
    connection: sqlite3.Connection,
    table: str,
    columns: tuple[str, ...],
    rows: Iterator[tuple[object, ...]],
) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join("?" * len(columns))
    connection.executemany(f'insert into "{table}" ({names}) values ({marks})', rows)  # noqa: S608


def _seed_accounts(
    database: Database, connection: sqlite3.Connection, rng: random.Random, plan: SeedPlan
) -> list[str]:
    count = plan.contacts // _CONTACTS_PER_ACCOUNT + 1
    ids = [make_id("001", n) for n in database.next_numbers(connection, "001", count)]
    stamps = _stamps(to_stored(_FIRST_DAY), to_stored(_FIRST_DAY), HUMAN_USER_IDS[0])
    rows = (
        (record_id, f"{rng.choice(_COMPANIES)} {number}", HUMAN_USER_IDS[0], *stamps)
        for number, record_id in enumerate(ids)
    )
    _insert(connection, "Account", ("Id", "Name", "OwnerId", *_STAMPS), rows)
    return ids


def _contacts(
    rng: random.Random, numbers: range, accounts: list[str]
) -> Iterator[tuple[object, ...]]:
    for number in numbers:
        yield (*_person(rng, make_id("003", number), number), rng.choice(accounts))


def _leads(rng: random.Random, numbers: range, contacts: int) -> Iterator[tuple[object, ...]]:
    for number in numbers:
        # Real orgs hold the same person as a Contact and as a Lead.
        shared = contacts and rng.random() < _SHARED_EMAIL
        serial = rng.randint(1, contacts) if shared else contacts + number
        company = f"{rng.choice(_COMPANIES)} {number % 97}"
        yield (
            *_person(rng, make_id("00Q", number), serial),
            company,
            rng.choice(_STATUSES),
        )


def _person(rng: random.Random, record_id: str, serial: int) -> tuple[object, ...]:
    """Return the columns both objects share; the name and address follow from the serial number."""
    first = _FIRST_NAMES[serial * 31 % len(_FIRST_NAMES)]
    last = _LAST_NAMES[serial * 17 % len(_LAST_NAMES)]
    created = _FIRST_DAY + timedelta(days=rng.randrange(_DAYS), seconds=rng.randrange(36_000))
    modified = created + timedelta(hours=rng.randrange(4_000))
    return (
        record_id,
        first,
        last,
        None if rng.random() < _WITHOUT_EMAIL else _address(first, last, serial),
        f"+1 555 {serial % 10_000_000:07d}",
        rng.choice(_TITLES),
        int(rng.random() < _OPTED_OUT),
        HUMAN_USER_IDS[serial % 2],
        *_stamps(to_stored(created), to_stored(modified), HUMAN_USER_IDS[serial % 2]),
    )


def _stamps(created: str, modified: str, user_id: str) -> tuple[str, ...]:
    return created, user_id, modified, user_id, modified


def _address(first: str, last: str, serial: int) -> str:
    domain = "example.com" if serial % 3 else "example.org"
    return f"{_ascii(first)}.{_ascii(last)}.{serial}@{domain}"


@cache
def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum()) or "person"
