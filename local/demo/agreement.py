"""Do store and Salesforce agree? Looked up on both sides, without the sync's code or tables."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local.demo.databases import connect
from local.demo.emulator import Emulator
from local.sample_data import FIELD


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many people were compared with a record that lives, and who differs from it.

    Attributes:
        compared: people whose Id names a record that is neither deleted nor converted.
        opted_out: those who are opted out on both sides.
        differing: ids of people whose record says something else than the store.
    """

    compared: int
    opted_out: int
    differing: list[int]


def check_agreement(store_url: str, emulator: Emulator) -> Agreement:
    """Compare every person with the record that their Id names."""
    with connect(store_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT person_id, salesforce_id, is_opted_out FROM engagement.person_opt_out"
            " WHERE salesforce_id IS NOT NULL ORDER BY person_id"
        )
        people = cursor.fetchall()
    return compare(people, [*emulator.records("Contact"), *emulator.records("Lead")])


def compare(
    people: Iterable[tuple[int, str, bool]], records: Iterable[Mapping[str, Any]]
) -> Agreement:
    """Compare people (id, Salesforce Id, opted out) with records as the control API gives them."""
    flags = {
        form: bool(record[FIELD])
        for record in records
        if not record["IsDeleted"] and not record.get("IsConverted")
        for form in (record["Id"], record["Id"][:15])
    }
    counts: Counter[bool] = Counter()
    differing = []
    for person_id, salesforce_id, is_opted_out in people:
        flag = flags.get(salesforce_id)
        if flag is None:
            continue
        counts[flag and is_opted_out] += 1
        if flag is not is_opted_out:
            differing.append(person_id)
    return Agreement(counts.total(), counts[True], differing)
