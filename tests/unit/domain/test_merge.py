"""What must be true in any world: properties over generated ones, night after night.

Larger worlds, against a second reading of the rules, are in tests/property.
"""

from datetime import timedelta

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.conflicts import Choices
from include.domain.merge import merge
from tests.unit.domain.worlds import (
    BOTH_FIELDS,
    CHANGED,
    EMAIL,
    IN,
    NEW,
    NOW,
    OUT,
    SALES,
    WINS,
    A,
    Row,
    ago,
    contact,
    decide,
    evidence,
    extract,
    lead,
    link,
    merged,
    person,
    plain,
    record,
    told,
    unsubscribe,
)

FLAG = st.booleans()
VALUE = st.sampled_from([IN, OUT, "hidden"])
BASE = st.sampled_from([IN, OUT, NEW])
# a merge costs the same for one person as for many: few worlds, each with many small groups
PEOPLE = st.lists(st.tuples(FLAG, st.integers(0, 17), BASE, BASE), min_size=1, max_size=30)
# email, sales, whether it is returned, and whether it was merged into the record two before
RECORDS = st.lists(st.tuples(VALUE, VALUE, FLAG, FLAG), min_size=18, max_size=18)
WORLD = st.tuples(PEOPLE, RECORDS, st.sampled_from([(EMAIL,), BOTH_FIELDS]))
FEW = settings(max_examples=8, deadline=None)


def record_id(number):
    """Of three records the second is a Lead, and the third may be merged into the first."""
    return lead(number + 1) if number % 3 == 1 else contact(number + 1)


class State:
    """What there is; a night changes it as the loads and `close` do."""

    def __init__(self, world):
        people, records, self.fields = world
        self.people = {n: record_id(of) for n, (_, of, _, _) in enumerate(people, 1)}
        self.opted_out = {n for n, (is_out, *_) in enumerate(people, 1) if is_out}
        self.records = {
            record_id(n): {EMAIL: email, SALES: sales, "into": self._survivor(n) if goes else None}
            for n, (email, sales, shown, goes) in enumerate(records)
            if shown or n % 3 == 0
        }
        self.links = {
            (n, record_id(of), field): base
            for n, (_, of, email, sales) in enumerate(people, 1)
            for field, base in zip(BOTH_FIELDS, (email, sales), strict=True)
            if base is not NEW
        }
        self.retired = set()

    @staticmethod
    def _survivor(number):
        return record_id(number - 2) if number % 3 == 2 else None

    def rows(self) -> list[Row]:
        return [
            *(person(n, of) for n, of in self.people.items()),
            *(unsubscribe(n) for n in self.opted_out),
            *(self._record(record_id, cells) for record_id, cells in self.records.items()),
            *(
                link(n, of, base, field, state="retired" if key in self.retired else "active")
                for key, base in self.links.items()
                for n, of, field in [key]
            ),
        ]

    @staticmethod
    def _record(record_id, cells):
        flags = [None if cells[f] == "hidden" else cells[f] for f in BOTH_FIELDS]
        if cells["into"]:
            return merged(record_id, cells["into"], flags[0], sales=flags[1])
        return record(record_id, *flags)

    def decide(self, rule=WINS):
        return decide(*self.rows(), fields=self.fields, rule=rule)

    def night(self, rule=WINS):
        result = self.decide(rule)
        for row in result.decisions.to_dict("records"):
            self._write(row)
        for row in result.relinks.to_dict("records"):
            self.people[row["person_id"]] = row["to_record_id"]
        for person_id, of, _, field in result.retired.itertuples(index=False):
            self.links.setdefault((person_id, of, field), NEW)
            self.retired.add((person_id, of, field))
        return result

    def _write(self, row):
        if pd.notna(row["target_store"]):
            assert row["target_store"]  # nothing here has evidence
            self.opted_out.add(row["person_id"])
        if pd.notna(row["target_salesforce"]):
            self.records[row["record_id"]][row["field"]] = row["target_salesforce"]
        if pd.notna(row["new_base"]):
            key = row["person_id"], row["record_id"], row["field"]
            self.links[key] = plain(row["new_base"])


def expected(state):
    """The oracle: plain OR over a record, its persons, and what was merged into it."""
    home = {r: cells["into"] or r for r, cells in state.records.items()}
    says = dict.fromkeys([*home.values(), *state.people.values()], False)
    for of, cells in state.records.items():
        is_linked = of in state.people.values() or cells["into"] is None
        says[home[of]] |= is_linked and any(cells[f] is OUT for f in state.fields)
    for n, of in state.people.items():
        lives = home.get(of, of)
        says[lives] |= n in state.opted_out
        for field in state.fields:
            unread = of not in state.records or state.records[of][field] == "hidden"
            says[lives] |= unread and state.links.get((n, of, field)) is OUT
    return {n: says[home.get(of, of)] for n, of in state.people.items()}


@FEW
@given(WORLD)
def test_no_opt_out_is_lost_and_a_second_night_decides_nothing(world):
    state = State(world)
    wanted = expected(state)
    state.night()
    for n, of in state.people.items():
        assert (n in state.opted_out) == wanted[n]
        flags = [state.records[of][f] for f in state.fields] if of in state.records else []
        assert set(flags) <= {wanted[n], "hidden"}
    second = state.decide()
    assert set(second.decisions["code"]) <= {"NOT_VISIBLE"}
    assert second.relinks.empty


@FEW
@given(WORLD)
def test_after_a_night_both_sides_and_the_base_agree(world):
    state = State(world)
    state.night()
    for (n, of, field), base in state.links.items():
        is_chosen = field in state.fields and (n, of, field) not in state.retired
        if is_chosen and of in state.records and state.records[of][field] != "hidden":
            assert base == state.records[of][field] == (n in state.opted_out)


@FEW
@given(WORLD)
def test_nothing_is_ever_cleared_without_evidence(world):
    decisions = State(world).decide().decisions
    assert decisions["target_store"].dropna().all()
    assert decisions["target_salesforce"].dropna().all()


@FEW
@given(WORLD, st.sampled_from([WINS, CHANGED]))
def test_what_cannot_be_read_is_never_written(world, rule):
    state = State(world)
    for row in state.decide(rule).decisions.dropna(subset=["target_salesforce"]).to_dict("records"):
        assert state.records[row["record_id"]][row["field"]] in (IN, OUT)
        assert state.records[row["record_id"]]["into"] is None


@FEW
@given(WORLD, st.sampled_from([WINS, CHANGED]))
def test_the_store_is_written_at_most_once_per_person(world, rule):
    decisions = State(world).decide(rule).decisions
    assert decisions.dropna(subset=["target_store"])["person_id"].is_unique


@FEW
@given(WORLD, st.data())
def test_hiding_a_field_never_turns_an_opt_out_into_a_clear(world, data):
    state = State(world)
    before = expected(state)
    of = data.draw(st.sampled_from(list(state.records)))
    if state.records[of][EMAIL] is IN:
        state.records[of][EMAIL] = "hidden"
    state.night()
    assert all(n in state.opted_out for n, is_out in before.items() if is_out)


@FEW
@given(WORLD, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(world, random):
    state = State(world)
    rows = [*state.rows(), *(evidence(n) for n in state.people)]
    ordered = decide(*rows, fields=state.fields)
    random.shuffle(rows)
    shuffled = decide(*rows, fields=state.fields)
    for frame in ("decisions", "judgements", "visibility", "unlinked"):
        columns = list(getattr(ordered, frame).columns[:3])
        one, other = (
            getattr(r, frame).sort_values(columns, ignore_index=True) for r in (ordered, shuffled)
        )
        pd.testing.assert_frame_equal(one, other)


@FEW
@given(WORLD, st.sampled_from([WINS, CHANGED]))
def test_valid_evidence_of_everybody_clears_everything_that_can_be_read(world, rule):
    state = State(world)
    consents = [evidence(n, at=ago(hours=1)) for n in state.people]
    result = decide(*state.rows(), *consents, fields=state.fields, rule=rule)
    known = {record_id for record_id, cells in state.records.items() if not cells["into"]}
    for row in result.judgements.to_dict("records"):
        of = state.people[row["person_id"]]
        of = state.records.get(of, {}).get("into") or of
        readable = of in known and "hidden" not in {state.records[of][f] for f in state.fields}
        assert row["verdict"] == ("accepted" if readable else "waiting")


@FEW
@given(WORLD)
def test_the_clock_of_the_read_is_the_only_clock(world):
    state = State(world)
    assert told(state.decide()) == told(
        decide(*state.rows(), fields=state.fields, read_at=NOW + timedelta(days=400))
    )


def test_an_empty_store_and_an_empty_org_agree():
    result = decide()
    assert result.decisions.empty
    assert result.judgements.empty
    assert result.counts == {}


def test_the_merge_changes_none_of_its_frames():
    state = [person(1), unsubscribe(1), record(A, OUT), link(1, A, IN), evidence(1)]
    frames, again = extract(*state), extract(*state)
    choices = Choices(fields=(EMAIL,))
    merge(frames, choices, readable={EMAIL: ["Contact"]}, read_at=NOW)
    for name in ("people", "opt_outs", "resubscribes", "records", "links", "times"):
        pd.testing.assert_frame_equal(getattr(frames, name), getattr(again, name))
