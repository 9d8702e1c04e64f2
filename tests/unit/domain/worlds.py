"""Small worlds for the merge: literals in, frames out."""

from datetime import UTC, datetime

import pandas as pd

from include.domain import frames, ids
from include.domain.values import SalesforceObject

AT = datetime(2026, 11, 20, 18, 3, tzinfo=UTC)
FIELD = "HasOptedOutOfEmail"
BOTH = tuple(SalesforceObject)


def record_id(number, prefix="003"):
    return ids.to_18(f"{prefix}5e{number:010d}")


def typed(model, rows):
    columns = model.to_schema().columns
    return (
        frames.empty(model)
        if not rows
        else pd.DataFrame(
            {
                name: pd.array([row.get(name) for row in rows], dtype=column.dtype.type)
                for name, column in columns.items()
            }
        )
    )


def person(person_id, salesforce_id, opted_out, **more):
    return {
        "person_id": person_id,
        "salesforce_id": salesforce_id,
        "is_opted_out": opted_out,
        "opted_out_at": AT if opted_out else None,
        "act_id": person_id * 10 if opted_out else None,
        "origin": "Clicked Link" if opted_out else None,
    } | more


def record(salesforce_id, opted_out, **more):
    return {
        "record_id": salesforce_id,
        "object": "Lead" if salesforce_id.startswith("00Q") else "Contact",
        "is_opted_out": opted_out,
        "is_deleted": False,
        "is_converted": False,
        "last_modified_at": AT,
        "last_modified_by": "005000000000001AAA",
    } | more


def link(person_id, salesforce_id, base, **more):
    return {
        "person_id": person_id,
        "record_id": salesforce_id,
        "base": base,
        "state": "active",
        "is_visible": True,
    } | more


def people(*rows):
    return frames.People.validate(typed(frames.People, rows))


def records(*rows):
    return frames.Records.validate(typed(frames.Records, rows))


def links(*rows):
    return frames.Links.validate(typed(frames.Links, rows))
