"""The engagement store of a world: which opt-outs stand, and what a merge gets to see of a world.

The rules are those of the store's SQL, one act at a time. An opt-out by the sync itself ends with
any clear recorded after the value behind it was read; a person's own ends by a clear that names
later evidence of theirs, a complaint only if that is their own opt-in; a clear that names anything
else ends what its plan knew, but nothing that the person did themselves.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.property.worlds import (
    BY_THE_PERSON,
    OBJECTS,
    OPT_IN_BY_THE_PERSON,
    SYNC,
    US,
    Act,
    Record,
    Setting,
    World,
)

Row = dict[str, Any]
CAUSE = re.compile(r"salesforce:(?P<record>\w{18}):(?P<field>\w+)(?:@(?P<at>[-0-9T:]+Z))?$")


@dataclass
class Seen:
    """What one merge sees: rows of the six frames, and the setting."""

    setting: Setting
    number: int = 0
    people: list[Row] = field(default_factory=list)
    opt_outs: list[Row] = field(default_factory=list)
    resubscribes: list[Row] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)
    links: list[Row] = field(default_factory=list)
    times: list[Row] = field(default_factory=list)

    def readable(self, name: str) -> list[str]:
        return [obj for obj in OBJECTS if (obj, name) not in self.setting.unreadable]


# Acts ----------------------------------------------------------------------------------------


def act_of(world: World, act_id: int) -> Act | None:
    return next((act for act in world.acts if act.id == act_id), None)


def named_act(world: World, cause: str | None) -> Act | None:
    """Return the act that a cause names, if it names one that exists."""
    if not cause or not cause.startswith("act:"):
        return None
    return act_of(world, int(cause.removeprefix("act:")))


def moment_in(cause: str | None) -> datetime | None:
    """Return the latest possible moment of an opt-out that was seen in Salesforce."""
    match = CAUSE.match(cause or "")
    at = match["at"] if match else None
    return datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if at else None


def time_of(world: World, act: Act) -> datetime:
    """Return when an opt-out was: an own one at its time, the sync's at the time of its cause."""
    if act.origin != SYNC:
        return act.at
    cause = named_act(world, act.caused_by)
    return cause.at if cause else moment_in(act.caused_by) or act.occurred_at


def is_ended(world: World, opt_out: Act, clear: Act) -> bool:
    if opt_out.origin == SYNC:
        return opt_out.occurred_at <= clear.recorded_at
    cause = named_act(world, clear.caused_by)
    if cause is not None and cause.is_evidence and cause.person == opt_out.person:
        is_strong = opt_out.origin != "Complaint" or cause.origin in OPT_IN_BY_THE_PERSON
        return is_strong and is_older(opt_out, cause)
    return opt_out.id in clear.ends and opt_out.origin not in BY_THE_PERSON


def is_older(opt_out: Act, cause: Act) -> bool:
    return (opt_out.at, opt_out.id) < (cause.at, cause.id)


def clears_of(world: World, person_id: int) -> list[Act]:
    return [
        act
        for act in world.acts
        if act.person == person_id and act.kind == "resubscribe" and act.origin == SYNC
    ]


def standing(world: World, person_id: int) -> list[Act]:
    """List the unsubscribes of a person, of all scopes, that no clear ends."""
    clears = clears_of(world, person_id)
    return [
        act
        for act in world.acts
        if act.person == person_id
        and act.kind == "unsubscribe"
        and not any(is_ended(world, act, clear) for clear in clears)
    ]


def is_in_scope(act: Act, setting: Setting) -> bool:
    return act.scope in setting.scopes and (setting.bounces or act.origin != "Bounce")


def is_opted_out(world: World, person_id: int) -> bool:
    return any(is_in_scope(act, world.setting) for act in standing(world, person_id))


# What a merge sees ---------------------------------------------------------------------------


def see(world: World, only: Collection[int] | None = None) -> Seen:
    """Read a world as the extract does; `only` reads those people, as a push or a rerun does."""
    people = [p for p in world.people.values() if only is None or p.id in only]
    seen = Seen(world.setting, world.number)
    seen.people = [{"person_id": p.id, "salesforce_id": p.salesforce_id} for p in people]
    for person in people:
        stands = standing(world, person.id)
        seen.opt_outs += [_opt_out_row(world, act) for act in stands]
        seen.resubscribes += _resubscribe_rows(world, person.id, stands)
    visible = [record for record in world.records.values() if not record.is_hidden]
    seen.records = [_record_row(world, record) for record in visible]
    seen.links = [
        _link_row(link) for link in world.links.values() if only is None or link.person in only
    ]
    seen.times = [row for record in visible for row in _time_rows(world, record)]
    return seen


def _opt_out_row(world: World, act: Act) -> Row:
    return {
        "act_id": act.id,
        "person_id": act.person,
        "at": time_of(world, act),
        "scope": act.scope,
        "origin": act.origin,
        "caused_by": act.caused_by,
    }


def _resubscribe_rows(world: World, person_id: int, stands: list[Act]) -> list[Row]:
    own = [a for a in world.acts if a.person == person_id and a.kind == "resubscribe"]
    named = {act.caused_by for act in own if act.origin == SYNC}
    own = sorted((a for a in own if a.origin != SYNC), key=lambda a: (a.at, a.id))
    accepted = [act for act in own if f"act:{act.id}" in named]
    waiting = [a for a in own if a.is_evidence and a not in accepted and a.id not in world.refused]
    newest = max(((time_of(world, u), u.id) for u in stands), default=None)
    plain = [a for a in own if not a.is_evidence and newest and (a.at, a.id) > newest]
    strength = {(act.is_evidence, act.origin in OPT_IN_BY_THE_PERSON): act for act in accepted}
    newest_accepted = strength.values()  # acts are sorted: the last of each strength stays
    shown = [*newest_accepted, *waiting, *(a for a in plain if a not in accepted)]
    return [_resubscribe_row(act, act in accepted) for act in shown]


def _resubscribe_row(act: Act, is_accepted: bool) -> Row:
    return {
        "act_id": act.id,
        "person_id": act.person,
        "at": act.at,
        "recorded_at": act.recorded_at,
        "origin": act.origin,
        "is_evidence": act.is_evidence,
        "is_accepted": is_accepted,
        "was_held": act.was_held,
    }


def _record_row(world: World, record: Record) -> Row:
    flags = {
        name: None if (record.object, name) in world.setting.unreadable else flag
        for name, flag in record.flags.items()
    }
    return {
        "record_id": record.id,
        "object": record.object,
        "is_deleted": record.is_deleted,
        "master_record_id": record.master,
        "is_converted": record.is_converted,
        "converted_contact_id": record.contact,
        "is_person_account": record.account is not None,
        "account_id": record.account,
        "last_modified_at": record.modified_at,
        "last_modified_by": record.modified_by,
    } | flags


def _link_row(link: Any) -> Row:
    return {
        "person_id": link.person,
        "record_id": link.record,
        "object": "Lead" if link.record.startswith("00Q") else "Contact",
        "field": link.field,
        "base": link.base,
        "base_since": link.base_since,
        "state": link.state,
        "is_visible": link.is_visible,
        "evidence_id": link.evidence,
        "flips": link.flips,
    }


def _time_rows(world: World, record: Record) -> list[Row]:
    """Date opt-outs exactly: a colleague's by history, our own write by the act it carried."""
    rows = []
    for name, flag in record.flags.items():
        if not flag or (record.object, name) in world.setting.unreadable:
            continue
        carried = act_of(world, world.own_writes.get((record.id, name), -1))
        at, is_true, by = record.history.get(name, (None, False, None))
        row = {"record_id": record.id, "field": name}
        is_ours = by == US if is_true else record.modified_by == US
        if is_ours and carried is not None:
            rows.append(row | {"at": carried.at, "act_id": carried.id})
        elif is_true:
            rows.append(row | {"at": at, "act_id": None})
    return rows
