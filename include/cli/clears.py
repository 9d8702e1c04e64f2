"""`held` and `release`: what waits for a person before it is written."""

import argparse
from datetime import UTC, datetime, timedelta

import pandas as pd
from sqlalchemy import Engine

from include.audit import held, links, orgs
from include.cli.arguments import Commands, add_author, identifier
from include.cli.printing import counted, print_table, utc
from include.store.database import transaction

SHOWN = 50


def add_to(commands: Commands) -> None:
    """Add the commands."""
    commands.add_parser("held", help="clears that wait for approval").set_defaults(command=_held)
    release = commands.add_parser(
        "release", help="let Salesforce be written again for a person (after TUG_OF_WAR)"
    )
    release.set_defaults(command=_release)
    release.add_argument("person", type=identifier, metavar="PERSON", help="id of the person")
    add_author(release)


def _held(engine: Engine, _: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        found = [held.open_held(conn, org_id) for org_id in orgs.known(conn)]
    waiting = pd.concat([rows for rows in found if not rows.empty] or [pd.DataFrame()])
    if waiting.empty:
        print("Nothing is held.")
        return
    waiting = waiting.assign(code=waiting["code"].fillna("-")).sort_values("held_at")
    _print_codes(waiting, datetime.now(UTC))
    print()
    rows = [("held at", "person", "object", "record", "field", "code"), *_rows(waiting)]
    print_table(rows)
    if len(waiting) > SHOWN:
        print(f"The oldest {SHOWN} of {len(waiting):,}: opt_out_sync.v_held_clears has all.")
    print("\nA person is asked in Airflow (Required Actions) after the night.")


def _print_codes(waiting: pd.DataFrame, now: datetime) -> None:
    rows: list[tuple[str, ...]] = [("code", "clears", "people", "oldest", "newest")]
    for code, group in waiting.groupby("code", sort=True):
        ages = [_age(now - moment) for moment in (group["held_at"].min(), group["held_at"].max())]
        rows.append((str(code), f"{len(group):,}", f"{group['person_id'].nunique():,}", *ages))
    print_table(rows)


def _rows(waiting: pd.DataFrame) -> list[tuple[str, ...]]:
    columns = ["person_id", "object", "record_id", "field", "code"]
    shown = waiting.head(SHOWN)
    texts = shown[columns].astype("object").where(shown[columns].notna(), "-").astype("str")
    moments = [utc(moment) for moment in shown["held_at"]]
    return list(zip(moments, *(texts[name] for name in columns), strict=True))


def _age(age: timedelta) -> str:
    minutes = max(0, int(age.total_seconds() // 60))
    hours, days = minutes // 60, minutes // (24 * 60)
    if days:
        return counted(days, "day")
    return counted(hours, "hour") if hours else counted(minutes, "minute")


def _release(engine: Engine, options: argparse.Namespace) -> None:
    with transaction(engine) as conn:
        released = links.release(
            conn, options.person, by=options.by, note=options.note, now=datetime.now(UTC)
        )
    if released:
        print(f"Released {counted(released, 'link')}: the next run writes to Salesforce again.")
    else:
        print(f"Nothing to release: nobody undoes what is written for person {options.person}.")
