"""Compare what the engine planned for a world with what the oracle allows, line by line."""

from collections.abc import Iterator

from tests.property import oracle
from tests.property.engine import Plan
from tests.property.oracle import AS_IT_IS, IN, OUT, Expectation, Group
from tests.property.store import Row, Seen

TUG_OF_WAR_AFTER = 3


def differences(seen: Seen, plan: Plan) -> list[str]:
    """List where a plan is none that the rules allow."""
    found = []
    expected = [oracle.expect(group) for group in oracle.groups(seen)]
    for one in expected:
        found += _of_outcome(one, plan)
        found += _of_verdicts(one, plan)
    found += _of_strangers(seen, expected, plan)
    return found


def _of_outcome(expected: Expectation, plan: Plan) -> list[str]:
    """A plan must be one of the allowed outcomes, the whole of it."""
    if {AS_IT_IS, OUT} <= expected.outcomes and not _clears(expected.group, plan):
        return []  # either is right, also for a part of the group
    tried = {name: list(_against(expected, plan, name)) for name in sorted(expected.outcomes)}
    if not all(tried.values()):
        return []
    return [
        f"{expected.group.people}: not '{name}': {line}"
        for name, lines in tried.items()
        for line in lines
    ]


def _clears(group: Group, plan: Plan) -> bool:
    people = [plan.store.get(person, set()) for person in group.people]
    boxes = [
        written for (record, _), written in plan.salesforce.items() if record == group.record_id
    ]
    return any(False in written for written in people + boxes)


def outcome_of(expected: Expectation, plan: Plan) -> str | None:
    """Return the allowed outcome that a plan is."""
    allowed = sorted(expected.outcomes)
    return next((name for name in allowed if not list(_against(expected, plan, name))), None)


def _against(expected: Expectation, plan: Plan, outcome: str) -> Iterator[str]:
    group = expected.group
    if outcome == OUT and not group.is_sure:
        yield from _each_for_itself(expected, plan)
        return
    for person in group.people:
        yield from _store(group, plan, person, outcome)
    for name in group.seen.setting.fields:
        yield from _salesforce(group, plan, name, outcome)
        for person in group.people:
            yield from _base(group, plan, person, name, outcome)
    yield from _other_boxes(group, plan, outcome)


def is_out_in_store(group: Group, person: int) -> bool:
    return bool(oracle.acts_of(group, person))


def _wanted(outcome: str, now: bool | None) -> set[bool]:
    """What is to be written over a value: what it is not yet, where it is known."""
    if outcome == AS_IT_IS or now is None or now == (outcome == OUT):
        return set()
    return {outcome == OUT}


def _store(group: Group, plan: Plan, person: int, outcome: str) -> Iterator[str]:
    now = is_out_in_store(group, person)
    written, wanted = plan.store.get(person, set()), _wanted(outcome, now)
    if written == wanted or (written == {True} and now and outcome == OUT and _left(plan, person)):
        return
    if not now and written == {True} and not group.is_sure:
        return  # perhaps it follows those whose Ids lead to the same nowhere
    if outcome == IN and not now and written == {False} and _has_accepted(group, plan, person):
        return  # the clear that accepts the evidence
    yield f"store of {person} {now}: {_show(wanted)} expected, {_show(written)} planned"


def _has_accepted(group: Group, plan: Plan, person: int) -> bool:
    return any(row["act_id"] in plan.accepted for row in oracle.evidence_of(group, person))


def _left(plan: Plan, person: int) -> bool:
    return any(row["person_id"] == person for row in plan.retired + plan.relinks)


def _salesforce(group: Group, plan: Plan, name: str, outcome: str) -> Iterator[str]:
    if group.record_id is None:
        return
    now = oracle.value(group, name)
    written = plan.salesforce.get((group.record_id, name), set())
    wanted = _wanted(outcome, now)
    if wanted == {True} and _is_tug(group, name):
        wanted = set()
    if written != wanted:
        yield f"{group.record_id} {name} {now}: {_show(wanted)} expected, {_show(written)} planned"


def _is_tug(group: Group, name: str) -> bool:
    """Whether something undid the group's box three times, whoever was linked to it then."""
    links = [oracle.link_of(group, person, group.record_id, name) for person in group.people]
    return any(link is not None and link["flips"] >= TUG_OF_WAR_AFTER for link in links)


def _base(group: Group, plan: Plan, person: int, name: str, outcome: str) -> Iterator[str]:
    if group.record_id is None:
        return
    now = oracle.value(group, name)
    moved = plan.bases.get((person, group.record_id, name))
    end = now if outcome == AS_IT_IS else outcome == OUT
    if now is None or not _is_confirmed(group, person, name, outcome):
        wanted: set[bool | None] = {None}
    else:
        wanted = {end, None} if _base_may_stay(group, person, name, end) else {end}
    if moved not in wanted:
        yield f"base of {person} {group.record_id} {name}: {wanted} expected, {moved} planned"


def _is_confirmed(group: Group, person: int, name: str, outcome: str) -> bool:
    """Whether both sides will be equal: not if they differ and stay so."""
    now, store = oracle.value(group, name), is_out_in_store(group, person)
    if outcome == AS_IT_IS:
        return now == store
    return not (outcome == OUT and not now and _is_tug(group, name))


def _base_may_stay(group: Group, person: int, name: str, end: bool | None) -> bool:
    link = oracle.link_of(group, person, group.record_id, name)
    is_waiting = oracle.is_all_known(group) is not True
    return (link is not None and link["base"] == end) or is_waiting


def _other_boxes(group: Group, plan: Plan, outcome: str) -> Iterator[str]:
    """A box outside the mode is cleared by evidence that answers it, and never ticked."""
    for (record_id, name), written in plan.salesforce.items():
        if record_id != group.record_id or name in group.seen.setting.fields:
            continue
        rows = [row for p in group.people for row in oracle.evidence_of(group, p)]
        answers = [oracle.clears_other_box(group, row, name) for row in rows]
        if written != {False} or outcome != IN or oracle.any_of(answers) is False:
            yield f"{record_id} {name}, outside the mode: {_show(written)} planned"


def _each_for_itself(expected: Expectation, plan: Plan) -> Iterator[str]:
    """People who perhaps belong together: whoever is opted out stays so, the others may follow."""
    group = expected.group
    for person in group.people:
        written = plan.store.get(person, set())
        own = [o for o in oracle.opt_outs(group) if o.person in (None, person)]
        must = not is_out_in_store(group, person) and any(
            o.counts and o.clock == "salesforce" and len(group.people) == 1 for o in own
        )
        if written not in ([{True}] if must else [set(), {True}]):
            yield f"store of {person}: {_show(written)} planned at the end of a chain"


def _of_verdicts(expected: Expectation, plan: Plan) -> list[str]:
    never = [act for act, may in expected.verdicts.items() if may is False]
    wrong = [act for act in never if act in plan.accepted]
    found = [f"evidence {act} is accepted, and must not be" for act in wrong]
    if outcome_of(expected, plan) == OUT:
        return found
    missing = [acts for acts in expected.one_of if acts and not plan.accepted & set(acts)]
    return found + [f"of the evidence {acts} none is accepted" for acts in missing]


def _of_strangers(seen: Seen, expected: list[Expectation], plan: Plan) -> list[str]:
    """Nothing is written to people and records that belong to no group."""
    people = {person for one in expected for person in one.group.people}
    records = {one.group.record_id for one in expected if one.group.record is not None}
    found = [f"store of {p}, a stranger" for p in plan.store if p not in people]
    found += [f"{r} {n}: no record to write" for r, n in plan.salesforce if r not in records]
    mixed = [key for key, written in plan.writes().items() if len(written) > 1]
    return found + [f"{key}: both values are planned" for key in mixed]


def _show(values: set[bool]) -> str:
    return " and ".join(sorted(str(v) for v in values)) or "nothing"


def target_rows(plan: Plan) -> list[Row]:
    """Return the decisions that write something."""
    targets = ("target_store", "target_salesforce")
    return [row for row in plan.decisions if any(row[name] is not None for name in targets)]
