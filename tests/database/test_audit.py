from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine, text

from include.audit import decisions, links, runs, settings, summary, writes
from include.audit.jobs import DatabaseJobJournal
from include.audit.runs import Run, StaleAttemptError
from include.audit.summary import SummaryRow
from include.domain.values import Outcome, Side
from include.store.database import transaction
from include.store.errors import StoreRefusedError
from tests.database import world
from tests.database.world import FIELD, INTERVAL, NOW, ORG, open_run, record

SECOND = timedelta(seconds=1)
FAILED = {"failure_class": "validation", "code": "FIELD_INTEGRITY_EXCEPTION", "fix": "Mend it."}


def decide(engine: Engine, run: Run, persons: list[int], **columns: object) -> int:
    with transaction(engine) as conn:
        return decisions.record_decisions(conn, run, world.decisions(persons, **columns), now=NOW)


def write(
    engine: Engine, run: Run, persons: list[int], outcome: str, after: int = 1, **columns: object
) -> int:
    frame = world.outcomes(persons, outcome, **columns)
    with transaction(engine) as conn:
        return writes.record_outcomes(conn, run, frame, now=NOW + after * SECOND)


def bases(engine: Engine) -> dict[int, bool | None]:
    frame = links.read_links(engine, ORG, FIELD)
    return {row.person_id: None if row.base is pd.NA else row.base for row in frame.itertuples()}


def move(engine: Engine, run: Run) -> int:
    with transaction(engine) as conn:
        return links.move_bases(conn, run, now=NOW)


def close(engine: Engine, run: Run) -> None:
    with transaction(engine) as conn:
        runs.close(conn, run, {}, now=NOW)


def test_decisions_keep_every_input_and_are_recorded_once(engine: Engine) -> None:
    run = open_run(engine)
    inputs = {
        "base": False,
        "store_opted_out_at": NOW,
        "store_origin": "Clicked Link",
        "salesforce_modified_at": NOW - SECOND,
        "salesforce_modified_by": "005000000000001AAA",
        "cause": "act 7",
        "base_since": NOW - 2 * SECOND,
        "store_act_id": 7,
        "salesforce_opted_out_after": NOW - 3 * SECOND,
        "salesforce_opted_out_before": NOW - 2 * SECOND,
        "salesforce_time_source": "history",
        "evidence_id": 8,
        "shared_with": 9,
        "account_id": "001000000000001AAA",
    }
    assert decide(engine, run, [1, 2], **inputs) == 2
    assert decide(engine, run, [1, 2], **inputs) == 0
    with transaction(engine) as conn:
        row = conn.execute(text("SELECT * FROM opt_out_sync.merge_audit LIMIT 1")).mappings().one()
    assert {name: row[name] for name in inputs} == inputs
    assert (row["sync_run_id"], row["org_id"], row["decided_at"]) == (run.id, ORG, NOW)
    assert row["target_store"] is None


def test_a_person_without_a_record_is_decided_once_too(engine: Engine) -> None:
    run = open_run(engine)
    nowhere = {"record_id": None, "object": None, "field": None, "target_salesforce": None}
    assert decide(engine, run, [1], **nowhere) == 1
    assert decide(engine, run, [1], **nowhere) == 0
    assert move(engine, run) == 0


def test_a_column_nobody_knows_is_a_mistake(engine: Engine) -> None:
    run = open_run(engine)
    with pytest.raises(ValueError, match="unknown columns: adress"):
        decide(engine, run, [1], adress="x")


@pytest.mark.parametrize("table", ["merge_audit", "write_attempt", "settings_version"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_evidence_cannot_be_changed(engine: Engine, table: str, change: str) -> None:
    run = open_run(engine)
    decide(engine, run, [1])
    write(engine, run, [1], "applied")
    column = {"settings_version": "note = 'x'"}.get(table, "code = 'x'")
    statement = change.format(f"opt_out_sync.{table}", column)
    with pytest.raises(StoreRefusedError, match="insert-only"), transaction(engine) as conn:
        conn.execute(text(statement))


@pytest.mark.parametrize("partition", ["2026_11", "default"])
@pytest.mark.parametrize("change", ["UPDATE {} SET code = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_evidence_cannot_be_changed_through_a_partition(
    engine: Engine, partition: str, change: str
) -> None:
    run = open_run(engine)
    at = NOW if partition == "2026_11" else NOW + timedelta(days=90)
    with transaction(engine) as conn:
        decisions.record_decisions(conn, run, world.decisions([1]), now=at)
    with pytest.raises(StoreRefusedError, match="insert-only"), transaction(engine) as conn:
        conn.execute(text(change.format(f"opt_out_sync.merge_audit_{partition}")))


def test_a_failure_has_to_be_explained(engine: Engine) -> None:
    run = open_run(engine)
    with pytest.raises(StoreRefusedError, match="write_attempt_failure_is_explained"):
        write(engine, run, [1], "failed")


def test_outcomes_are_recorded_once_and_the_newest_counts(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, [1, 2, 3])
    assert write(engine, run, [1, 2], "applied") == 2
    assert write(engine, run, [1, 2], "applied") == 0
    assert write(engine, run, [1], "confirmed", after=2) == 1
    with transaction(engine) as conn:
        known = writes.rows_with_outcome(conn, run, Side.SALESFORCE)
        waiting = writes.applied(conn, run, Side.SALESFORCE)
        assert len(writes.pending_writes(conn, run, Side.SALESFORCE)) == 1
        assert writes.rows_with_outcome(conn, run, Side.STORE).empty
    assert dict(zip(known.person_id, known.outcome, strict=True)) == {1: "confirmed", 2: "applied"}
    assert list(zip(waiting.person_id, waiting.record_id, strict=True)) == [(2, record(2))]
    assert waiting.target.all()


def test_a_write_is_pending_until_anything_is_known_about_it(engine: Engine) -> None:
    run = open_run(engine)
    inputs = {"account_id": "001000000000001AAA", "evidence_id": 9, "salesforce_modified_at": NOW}
    decide(engine, run, [3, 2, 1], cause="act 7", **inputs)
    decide(engine, run, [4], target_store=True, target_salesforce=None)
    decide(engine, run, [5], target_salesforce=None)
    write(engine, run, [1], "failed", **FAILED)
    write(engine, run, [2], "applied", side="store")
    with transaction(engine) as conn:
        pending = writes.pending_writes(conn, run, Side.SALESFORCE)
        in_store = writes.pending_writes(conn, run, Side.STORE)
    assert pending.to_dict("records") == [
        {
            "person_id": person,
            "record_id": record(person),
            "object": "Contact",
            "field": FIELD,
            "account_id": "001000000000001AAA",
            "target": True,
            "cause": "act 7",
            "evidence_id": 9,
            "salesforce_modified_at": NOW,
        }
        for person in (2, 3)
    ]
    assert in_store.person_id.tolist() == [4]
    write(engine, run, [2, 3], "applied")
    write(engine, run, [4], "applied", side="store")
    with transaction(engine) as conn:
        for side in Side:
            empty = writes.pending_writes(conn, run, side)
            assert empty.empty
            assert empty.dtypes.to_dict() == pending.dtypes.to_dict()


def test_another_runs_outcome_leaves_a_write_pending(engine: Engine) -> None:
    first = open_run(engine)
    write(engine, first, [1], "applied")
    second = open_run(engine, now=NOW + SECOND)
    decide(engine, second, [1])
    with transaction(engine) as conn:
        assert len(writes.pending_writes(conn, second, Side.SALESFORCE)) == 1


def test_the_newest_outcome_is_the_last_one_recorded_whatever_the_clocks_say(
    engine: Engine,
) -> None:
    run = open_run(engine)
    decide(engine, run, [1])
    write(engine, run, [1], "applied", after=30)  # by a worker whose clock is ahead
    write(engine, run, [1], "failed", after=1, **FAILED)
    with transaction(engine) as conn:
        known = writes.rows_with_outcome(conn, run, Side.SALESFORCE)
        (row,) = summary.night_summary(conn, run.id)
    assert known.outcome.tolist() == ["failed"]
    assert row.outcome == Outcome.FAILED
    assert (night(engine).applied, night(engine).failed) == (0, 1)
    assert open_failures(engine) == 1


def test_a_failure_is_mended_by_what_was_recorded_after_it(engine: Engine) -> None:
    run = open_run(engine)
    write(engine, run, [1], "failed", after=30, **FAILED)
    write(engine, run, [1], "confirmed", after=2)
    assert open_failures(engine) == 0
    write(engine, run, [1], "failed", after=40, **FAILED)
    with transaction(engine) as conn:
        row = conn.execute(text("SELECT * FROM opt_out_sync.v_open_failures")).one()
    assert row.first_failed_at == NOW + 40 * SECOND


def test_a_base_follows_the_last_decision_and_its_newest_outcome(engine: Engine) -> None:
    run = open_run(engine)
    with transaction(engine) as conn:
        for new_base, after in ((False, 30), (True, 1)):
            frame = world.decisions([1], target_salesforce=None, new_base=new_base)
            decisions.record_decisions(conn, run, frame, now=NOW + after * SECOND)
    decide(engine, run, [2])
    write(engine, run, [2], "confirmed", after=30)
    write(engine, run, [2], "failed", after=1, **FAILED)
    move(engine, run)
    assert bases(engine) == {1: True, 2: None}


def test_a_base_moves_when_both_sides_were_seen_to_agree(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, [1], target_salesforce=None, new_base=True)
    decide(engine, run, [2], target_salesforce=None, new_base=False)
    decide(engine, run, [3], target_salesforce=None, new_base=None)
    assert move(engine, run) == 2
    assert bases(engine) == {1: True, 2: False, 3: None}
    assert move(engine, run) == 0


@pytest.mark.parametrize(
    ("outcome", "columns", "base"),
    [("confirmed", {}, True), ("applied", {}, None), ("failed", FAILED, None), ("held", {}, None)],
)
def test_a_base_moves_only_when_the_write_was_read_back(
    engine: Engine, outcome: str, columns: dict[str, str], base: bool | None
) -> None:
    run = open_run(engine)
    decide(engine, run, [1])
    write(engine, run, [1], "applied")
    write(engine, run, [1], outcome, after=2, **columns)
    assert move(engine, run) == (base is True)
    assert bases(engine) == {1: base}


def test_a_base_waits_until_both_writes_were_read_back(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, [1, 2], target_store=True)
    write(engine, run, [1, 2], "confirmed")
    write(engine, run, [2], "confirmed", side="store")
    assert move(engine, run) == 1
    assert bases(engine) == {1: None, 2: True}


def test_a_base_says_since_when_and_by_which_run(engine: Engine) -> None:
    first = open_run(engine, "one")
    decide(engine, first, [1], target_salesforce=None, new_base=False)
    move(engine, first)
    close(engine, first)
    second = open_run(engine, "two", NOW + SECOND)
    with transaction(engine) as conn:
        frame = world.decisions([1], target_salesforce=None, new_base=True)
        decisions.record_decisions(conn, second, frame, now=NOW + SECOND)
        links.move_bases(conn, second, now=NOW + SECOND)
        link = conn.execute(text("SELECT * FROM opt_out_sync.link")).one()
    assert (link.base, link.base_run_id, link.base_since) == (True, second.id, NOW + SECOND)
    assert link.first_seen_at == NOW


def test_a_plan_moves_no_base(engine: Engine) -> None:
    run = open_run(engine, plan_only=True)
    decide(engine, run, [1], target_salesforce=None, new_base=True)
    assert move(engine, run) == 0
    assert bases(engine) == {}


def test_links_of_another_field_are_not_read(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, [1], target_salesforce=None)
    move(engine, run)
    assert len(links.read_links(engine, ORG, FIELD)) == 1
    assert links.read_links(engine, ORG, "Sales_Opt_Out__c").empty
    assert links.read_links(engine, "00D000000000002AAA", FIELD).empty


def seen(engine: Engine, run: Run, days: int = 0, **columns: bool) -> int:
    values = {"is_visible": True, "is_deleted": False} | columns
    frame = world.decisions([1])[["person_id", "record_id", "object", "field"]]
    with transaction(engine) as conn:
        return links.record_visibility(
            conn, run, frame.assign(**values), now=NOW + timedelta(days=days)
        )


def only_link(engine: Engine) -> tuple[str, bool, object]:
    row = links.read_links(engine, ORG, FIELD).iloc[0]
    return row["state"], bool(row["is_visible"]), None if row["base"] is pd.NA else row["base"]


def test_a_deleted_record_ends_the_link_and_an_undeleted_one_revives_it(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, [1], target_salesforce=None)
    move(engine, run)
    assert seen(engine, run) == 0
    assert seen(engine, run, is_visible=True, is_deleted=True) == 1
    assert only_link(engine) == ("gone", False, True)
    assert seen(engine, run) == 1
    assert only_link(engine) == ("active", True, True)


def test_an_invisible_record_is_gone_after_thirty_days(engine: Engine) -> None:
    run = open_run(engine)
    assert seen(engine, run, is_visible=False) == 1
    assert only_link(engine) == ("active", False, None)
    assert seen(engine, run, days=29, is_visible=False) == 0
    assert only_link(engine) == ("active", False, None)
    assert seen(engine, run, days=30, is_visible=False) == 1
    assert only_link(engine) == ("gone", False, None)


def test_people_who_cannot_be_linked_are_reported_when_they_change(engine: Engine) -> None:
    run = open_run(engine)

    def report(*rows: tuple[int, str | None, str]) -> list[int]:
        frame = pd.DataFrame(rows, columns=["person_id", "salesforce_id", "code"])
        with transaction(engine) as conn:
            changed = decisions.record_unlinked(conn, run, frame, now=NOW)
        assert list(changed.columns) == ["person_id", "salesforce_id", "code"]
        return sorted(changed["person_id"])

    missing, bad = (1, None, "NO_SALESFORCE_ID"), (2, "nonsense", "BAD_SALESFORCE_ID")
    assert report(missing, bad) == [1, 2]
    assert report(missing, bad) == []
    assert report(missing, (2, "other nonsense", "BAD_SALESFORCE_ID")) == [2]
    assert report(missing) == []
    assert report(missing, bad) == [2]
    assert report() == []


def test_a_job_is_written_down_at_each_stage(engine: Engine) -> None:
    run = open_run(engine)
    journal = DatabaseJobJournal(engine, run, clock=lambda: NOW)
    key = journal.planned("Contact", "update")
    journal.created(key, "750000000000001AAA")
    journal.finished(key, "JobComplete", 10, 2)
    with transaction(engine) as conn:
        job = conn.execute(text("SELECT * FROM opt_out_sync.salesforce_job")).one()
    assert (job.sync_run_id, job.step, job.object, job.operation) == (
        run.id,
        "preflight",
        "Contact",
        "update",
    )
    assert (job.job_id, job.state, job.processed, job.failed) == (
        "750000000000001AAA",
        "JobComplete",
        10,
        2,
    )


def test_a_replaced_attempt_may_not_even_plan_a_job(engine: Engine) -> None:
    journal = DatabaseJobJournal(engine, open_run(engine), clock=lambda: NOW)
    open_run(engine, now=NOW + SECOND)
    with pytest.raises(StaleAttemptError):
        journal.planned("Contact", "update")


def test_a_night_is_summed_up_by_code_direction_and_outcome(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, [1, 2])
    decide(engine, run, [3], target_salesforce=None, code="BOTH_OPTED_OUT")
    write(engine, run, [1], "applied")
    write(engine, run, [1], "confirmed", after=2)
    with transaction(engine) as conn:
        rows = summary.night_summary(conn, run.id)
    assert rows == [
        SummaryRow("BOTH_OPTED_OUT", None, None, None, 1),
        SummaryRow("UNSUBSCRIBED_IN_STORE", Side.SALESFORCE, True, Outcome.CONFIRMED, 1),
        SummaryRow("UNSUBSCRIBED_IN_STORE", Side.SALESFORCE, True, None, 1),
    ]


def clear_store(engine: Engine, run: Run, person: int, outcome: str) -> None:
    """Decide and write the clear of a person without a record."""
    nowhere = {"record_id": None, "object": None, "field": None}
    decide(engine, run, [person], **nowhere, target_store=False, target_salesforce=None)
    failed = FAILED if outcome == "failed" else {}
    write(engine, run, [person], outcome, **nowhere, side="store", target=False, **failed)


def test_a_person_without_a_record_has_a_write_too(engine: Engine) -> None:
    run = open_run(engine)
    nowhere = {"record_id": None, "object": None, "field": None}
    decide(engine, run, [1, 2], **nowhere, target_store=False, target_salesforce=None)
    with transaction(engine) as conn:
        pending = writes.pending_writes(conn, run, Side.STORE)
    assert (pending.person_id.tolist(), pending.target.tolist()) == ([1, 2], [False, False])
    assert pending[["record_id", "object", "field"]].isna().all(axis=None)
    done = {**nowhere, "side": "store", "target": False}
    assert write(engine, run, [1], "applied", **done) == 1
    assert write(engine, run, [1], "applied", **done) == 0
    with transaction(engine) as conn:
        assert writes.pending_writes(conn, run, Side.STORE).person_id.tolist() == [2]
        assert writes.applied(conn, run, Side.STORE).person_id.tolist() == [1]
        (applied, waiting) = summary.night_summary(conn, run.id)
    assert (applied.outcome, applied.links) == (Outcome.APPLIED, 1)
    assert (waiting.outcome, waiting.links) == (None, 1)


def test_a_write_to_salesforce_needs_a_record(engine: Engine) -> None:
    run = open_run(engine)
    with pytest.raises(StoreRefusedError, match="write_attempt_salesforce_has_a_record"):
        write(engine, run, [1], "applied", record_id=None)


def test_opt_outs_and_clears_are_asked_for_apart(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, [1])
    decide(engine, run, [2], target_salesforce=False, new_base=False)
    with transaction(engine) as conn:
        asked = {
            value: writes.pending_writes(conn, run, Side.SALESFORCE, value=value).person_id.tolist()
            for value in (None, True, False)
        }
    assert asked == {None: [1, 2], True: [1], False: [2]}


def test_the_sentence_tells_clears_from_opt_outs(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, [1, 2])
    decide(engine, run, [3], target_store=True, target_salesforce=None)
    with transaction(engine) as conn:
        plain = summary.night_sentence(conn, run.id)
    assert plain == (
        "1 opt-outs to the store, 2 to Salesforce, 0 of them failed; 3 decisions in all."
    )
    decide(engine, run, [4, 5], target_store=False, target_salesforce=False)
    write(engine, run, [4], "held", target=False)
    write(engine, run, [5], "failed", side="store", target=False, **FAILED)
    with transaction(engine) as conn:
        sentence = summary.night_sentence(conn, run.id)
    assert sentence == (
        "1 opt-outs to the store, 2 to Salesforce, 2 clears to the store, 2 to Salesforce "
        "(1 of them held), 1 of them failed; 5 decisions in all."
    )


def test_only_clears_that_were_written_since_then_count_as_recent(engine: Engine) -> None:
    run = open_run(engine)
    write(engine, run, [1], "applied", target=False)
    write(engine, run, [1], "applied", target=False, side="store")  # one link, both sides
    write(engine, run, [1], "confirmed", after=2, target=False)
    clear_store(engine, run, 2, "applied")
    write(engine, run, [3], "held", target=False)
    write(engine, run, [4], "failed", target=False, **FAILED)
    write(engine, run, [5], "applied")
    write(engine, run, [6], "applied", after=-10, target=False)
    with transaction(engine) as conn:
        assert writes.recent_clears(conn, ORG, NOW) == 2
        assert writes.recent_clears(conn, ORG, NOW - 60 * SECOND) == 3
        assert writes.recent_clears(conn, "00D000000000002AAA", NOW) == 0


def open_failures(engine: Engine) -> int:
    with transaction(engine) as conn:
        return writes.open_failures(conn, ORG)


def test_a_failure_stays_open_until_a_later_night_no_longer_meets_it(engine: Engine) -> None:
    first = open_run(engine, "one")
    decide(engine, first, [1, 2])
    write(engine, first, [1, 2], "failed", **FAILED)
    assert open_failures(engine) == 2
    close(engine, first)
    assert open_failures(engine) == 2
    second = open_run(engine, "two")
    write(engine, second, [1], "failed", after=60, **FAILED)
    assert open_failures(engine) == 2
    close(engine, second)  # person 2's link was compared again and needed nothing
    with transaction(engine) as conn:
        row = conn.execute(text("SELECT * FROM opt_out_sync.v_open_failures")).one()
        assert writes.open_failures(conn, "00D000000000002AAA") == 0
    assert (row.person_id, row.first_failed_at, row.failing_for) == (1, NOW + SECOND, 59 * SECOND)
    assert row.fix == "Mend it."


def test_a_failure_that_a_retry_mends_is_closed(engine: Engine) -> None:
    run = open_run(engine)
    write(engine, run, [1], "failed", **FAILED)
    write(engine, run, [1], "confirmed", after=2)
    assert open_failures(engine) == 0


def test_a_failed_clear_without_a_record_says_since_when(engine: Engine) -> None:
    clear_store(engine, open_run(engine), 1, "failed")
    with transaction(engine) as conn:
        row = conn.execute(text("SELECT * FROM opt_out_sync.v_open_failures")).one()
    assert (row.person_id, row.record_id, row.first_failed_at) == (1, None, NOW + SECOND)


def test_what_is_held_did_not_fail(engine: Engine) -> None:
    run = open_run(engine)
    write(engine, run, [1], "failed", target=False, **FAILED)
    write(engine, run, [1], "held", after=2, target=False)
    assert open_failures(engine) == 0


def night(engine: Engine) -> Any:
    with transaction(engine) as conn:
        return conn.execute(text("SELECT * FROM opt_out_sync.v_night")).one()


def test_a_plan_or_a_skip_hides_no_night(engine: Engine) -> None:
    real = open_run(engine)
    decide(engine, real, [1])
    write(engine, real, [1], "confirmed")
    close(engine, real)
    plan = open_run(engine, "plan", NOW + 2 * SECOND, plan_only=True)
    decide(engine, plan, [2, 3])
    close(engine, plan)
    with transaction(engine) as conn:
        chosen = settings.Settings(paused=True)
        settings.save(conn, chosen, saved_by="Ada", note="why", now=NOW)
    skipped = {"airflow_run_id": "skip", "interval": INTERVAL, "reason": "paused"}
    runs.skip(engine, **skipped, now=NOW + 3 * SECOND)
    row = night(engine)
    assert (row.attempts, row.state, row.reason, row.plan_only) == (3, "closed", None, False)
    assert (row.started_at, row.closed_at, row.settings_version) == (NOW, NOW, 1)
    assert (row.decisions, row.opt_outs_to_salesforce, row.applied) == (1, 1, 1)


def test_a_night_of_nothing_but_a_plan_is_that_plan(engine: Engine) -> None:
    plan = open_run(engine, plan_only=True)
    decide(engine, plan, [2, 3])
    close(engine, plan)
    row = night(engine)
    assert (row.state, row.plan_only, row.decisions) == ("planned", True, 2)


def test_a_night_that_is_open_again_has_no_end_yet(engine: Engine) -> None:
    open_run(engine)
    open_run(engine, now=NOW + SECOND)
    row = night(engine)
    assert (row.state, row.started_at, row.closed_at) == ("open", NOW, None)


def test_a_night_with_two_attempts_is_one_row(engine: Engine) -> None:
    first = open_run(engine)
    decide(engine, first, [1, 2, 3])
    write(engine, first, [1], "confirmed")
    write(engine, first, [2], "failed", **FAILED)
    second = open_run(engine, now=NOW + SECOND)
    decide(engine, second, [2, 3])
    write(engine, second, [2, 3], "confirmed", after=60)
    close(engine, second)
    row = night(engine)
    assert (row.attempts, row.state, row.decisions) == (2, "closed", 3)
    assert (row.opt_outs_to_store, row.opt_outs_to_salesforce) == (0, 3)
    assert (row.applied, row.failed, row.settings_version) == (3, 0, 1)


def replay(
    engine: Engine, at: int, *, airflow_run_id: str = "again", plan_only: bool = False
) -> Run:
    run = runs.open_run(
        engine,
        kind="replay",
        airflow_run_id=airflow_run_id,
        interval=INTERVAL,
        plan_only=plan_only,
        now=NOW + at * SECOND,
    )
    return runs.bind_org(engine, run, ORG, now=NOW + at * SECOND)


def test_a_night_that_was_only_replayed_was_missed(engine: Engine) -> None:
    run = replay(engine, 0)
    decide(engine, run, [1, 2])
    write(engine, run, [1], "confirmed")
    write(engine, run, [2], "failed", **FAILED)
    close(engine, run)
    row = night(engine)
    assert (row.state, row.attempts, row.replays) == ("missed", 0, 1)
    assert (row.started_at, row.closed_at, row.settings_version) == (None, None, None)
    assert (row.decisions, row.applied, row.failed, row.plan_only) == (2, 1, 1, False)


def test_a_replay_while_the_sync_is_off_is_no_night(engine: Engine) -> None:
    real = open_run(engine)
    close(engine, real)
    skipped = {"airflow_run_id": "again", "interval": INTERVAL, "reason": "paused"}
    runs.skip(engine, kind="replay", **skipped, now=NOW + SECOND)
    row = night(engine)
    assert (row.attempts, row.replays, row.state, row.reason) == (1, 1, "closed", None)


def test_a_night_is_shown_as_it_ended_and_sums_what_its_replays_applied(engine: Engine) -> None:
    live = open_run(engine)
    decide(engine, live, [1, 2, 3])
    write(engine, live, [1], "confirmed")
    write(engine, live, [2, 3], "failed", **FAILED)
    close(engine, live)
    planned = replay(engine, 10, airflow_run_id="plan", plan_only=True)
    decide(engine, planned, [7])
    close(engine, planned)
    run = replay(engine, 20)
    decide(engine, run, [1], target_store=False, target_salesforce=False)  # consent since
    decide(engine, run, [2, 4])
    decide(engine, run, [3], target_salesforce=None)  # somebody else ticked it
    write(engine, run, [1], "confirmed", after=30, target=False)
    write(engine, run, [2, 4], "confirmed", after=30)
    close(engine, run)
    row = night(engine)
    assert (row.attempts, row.replays, row.state) == (1, 2, "closed")
    assert (row.closed_at, row.decisions) == (NOW, 4)
    # of person 1 both stay true, of person 3 only what was decided last
    assert (row.opt_outs_to_salesforce, row.clears_to_salesforce) == (3, 1)
    assert (row.applied, row.failed) == (4, 1)  # that of person 3 was not tried again


def superseded(engine: Engine, run: Run) -> dict[int, int | None]:
    """By person, whose decision the one of a run replaces: the run of that one."""
    query = (
        "SELECT a.person_id, b.sync_run_id FROM opt_out_sync.merge_audit AS a "
        "LEFT JOIN opt_out_sync.merge_audit AS b ON b.id = a.supersedes "
        "WHERE a.sync_run_id = :run"
    )
    with transaction(engine) as conn:
        return {
            row.person_id: row.sync_run_id for row in conn.execute(text(query), {"run": run.id})
        }


def test_a_decision_names_the_one_of_the_attempt_before_that_it_replaces(engine: Engine) -> None:
    first = open_run(engine)
    decide(engine, first, [1, 2, 3])
    runs.fail(engine, first.id, "the load failed", now=NOW)
    second = open_run(engine, now=NOW + 10 * SECOND)
    decide(engine, second, [1])
    decide(engine, second, [2], code="BOTH_OPTED_OUT", target_salesforce=None)
    decide(engine, second, [4])
    assert superseded(engine, first) == {1: None, 2: None, 3: None}
    assert superseded(engine, second) == {1: None, 2: first.id, 4: None}
    close(engine, second)
    again = replay(engine, 20)
    decide(engine, again, [2, 3], target_salesforce=False)
    assert superseded(engine, again) == {2: second.id, 3: first.id}


def test_a_plan_replaces_nothing_and_nothing_replaces_a_plan(engine: Engine) -> None:
    plan = open_run(engine, "plan", plan_only=True)
    decide(engine, plan, [1])
    close(engine, plan)
    real = open_run(engine, now=NOW + SECOND)
    decide(engine, real, [1], code="BOTH_OPTED_OUT", target_salesforce=None)
    assert superseded(engine, real) == {1: None}
    close(engine, real)
    second_plan = open_run(engine, "plan2", NOW + 2 * SECOND, plan_only=True)
    decide(engine, second_plan, [1])
    assert superseded(engine, second_plan) == {1: None}


def test_a_night_counts_clears_and_what_is_held_apart(engine: Engine) -> None:
    run = open_run(engine)
    decide(engine, run, [1])
    decide(engine, run, [2, 3], target_store=False, target_salesforce=False)
    decide(engine, run, [4], target_store=False, target_salesforce=None)
    write(engine, run, [2, 3], "held", target=False)
    write(engine, run, [1], "confirmed")
    row = night(engine)
    assert (row.opt_outs_to_store, row.opt_outs_to_salesforce) == (0, 1)
    assert (row.clears_to_store, row.clears_to_salesforce) == (3, 2)
    assert (row.applied, row.failed, row.held) == (1, 0, 2)
