"""Whole nights between a real PostgreSQL and the emulated org."""

from datetime import datetime

import pytest

from include.audit.runs import WrongOrgError
from include.domain.errors import PermanentSyncError
from include.domain.ids import to_18
from include.domain.values import SalesforceObject
from include.salesforce.errors import (
    FieldSpellingError,
    LoginError,
    SalesforceUnavailableError,
)
from include.sync.choices import ChoicesChangedError
from include.sync.clock import utc_now
from include.sync.nightly.close import OpenWritesError
from include.sync.preflight import (
    NoApiBudgetError,
    Trigger,
    UnknownParameterError,
    preflight,
    require_known,
)
from include.sync.report import NightFailedError, NightNeedsAttentionError
from tests.docs.pages import page
from tests.sync.world import FIELD

CONTACT, LEAD = SalesforceObject


def test_after_a_night_both_sides_agree_and_a_second_one_decides_nothing(world):
    pairs = [
        world.pair(store, salesforce, obj)
        for store in (False, True)
        for salesforce in (False, True)
        for obj in SalesforceObject
    ]
    first = world.night()
    wanted = [False, False, True, True, True, True, True, True]  # plain OR
    assert [world.agreed(*pair) for pair in pairs] == wanted
    assert [world.base(person) for person, _ in pairs] == wanted
    assert set(world.codes(first).values()) == {"FIRST_SEEN_AGREED", "FIRST_SEEN_OPT_OUT"}
    assert world.codes(world.night()) == {}


def test_a_change_on_either_side_is_carried_over_by_the_next_night(world):
    in_store, in_salesforce = world.pair(False, False), world.pair(False, False, LEAD)
    world.night()
    world.unsubscribe(in_store[0])
    world.org.edit(in_salesforce[1], **{FIELD: True})
    night = world.night()
    assert world.codes(night) == {
        in_store[0]: "UNSUBSCRIBED_IN_STORE",
        in_salesforce[0]: "OPTED_OUT_IN_SALESFORCE",
    }
    assert world.agreed(*in_store)
    assert world.agreed(*in_salesforce)


def test_a_box_cleared_in_salesforce_is_set_again_and_told(world):
    person, record = world.pair(True, True)
    world.night()
    world.org.edit(record, **{FIELD: False})
    night = world.night()
    assert world.agreed(person, record)
    decision = world.decisions(night).iloc[0]
    assert decision["code"] == "CLEARED_IN_SALESFORCE_ONLY"
    assert decision["salesforce_modified_by"].startswith("005")
    assert "a clear on one side is no permission to mail" in decision["reason"]


def test_an_act_of_the_sync_names_its_cause_and_is_recorded_once(world):
    person, record = world.pair(False, True)
    _, sync_run_id = world.open_night()
    for step in world.steps(sync_run_id).values():
        step()
        step()  # every step can be repeated
    acts = world.sql("SELECT * FROM engagement.unsubscribe WHERE person_id = :p", p=person)
    edited = datetime.fromisoformat(world.org.record(record)["LastModifiedDate"])
    assert [(act.origin, act.caused_by) for act in acts] == [
        ("Salesforce Sync", f"salesforce:{record}:{FIELD}@{edited:%Y-%m-%dT%H:%M:%SZ}")
    ]
    assert acts[0].occurred_at <= acts[0].recorded_at
    assert [o.outcome for o in world.outcomes(sync_run_id)] == ["applied", "confirmed"]


def test_every_write_is_applied_and_then_confirmed_by_reading_it_back(world):
    person, _ = world.pair(True, False)
    assert [(o.person_id, o.side, o.outcome) for o in world.outcomes(world.night())] == [
        (person, "salesforce", "applied"),
        (person, "salesforce", "confirmed"),
    ]


def test_more_than_the_threshold_goes_by_a_bulk_job(world):
    world.choose(bulk_threshold=1)
    pairs = [world.pair(True, False) for _ in range(3)]
    night = world.night()
    assert all(world.agreed(*pair) for pair in pairs)
    jobs = world.sql(
        "SELECT operation, state, processed, failed FROM opt_out_sync.salesforce_job "
        "WHERE sync_run_id = :n AND operation = 'update'",
        n=night,
    )
    assert [tuple(job) for job in jobs] == [("update", "JobComplete", 3, 0)]


def test_a_plan_only_night_writes_nothing_and_plans_what_the_real_one_does(world):
    pairs = [world.pair(True, False), world.pair(False, True, LEAD), world.pair(False, False)]
    unlinked = world.person("nonsense")
    attempt, planned = world.work(plan_only=True)
    assert world.report(attempt).startswith("Plan only, nothing was written. Planned: 1 opt-outs")
    assert [world.agreed(*pair) for pair in pairs] == [None, None, False]
    assert world.outcomes(planned) == []
    assert world.base(pairs[2][0]) is None
    assert world.sql("SELECT * FROM opt_out_sync.unlinked_person") == []
    real = world.codes(world.night())
    assert real[unlinked] == "BAD_SALESFORCE_ID"
    assert world.codes(planned) == real


def test_people_without_a_usable_id_are_told_once(world):
    without, malformed, fine = (
        world.person(None, True),
        world.person("003", False),
        world.person(None),
    )
    assert world.codes(world.night()) == {
        without: "NO_SALESFORCE_ID",
        malformed: "BAD_SALESFORCE_ID",
    }
    assert world.codes(world.night()) == {}
    assert world.base(fine) is None


def test_an_id_of_15_characters_is_linked(world):
    record = world.record(False)
    person = world.person(record[:15], True)
    world.night()
    assert world.agreed(person, record)


def test_the_custom_field_is_synced_when_it_is_chosen(world):
    name = "Sales_Opt_Out__c"
    for obj in SalesforceObject:
        world.org.install_checkbox(obj, name, "Sales opt-out")
    world.choose(field_mode="sales_opt_out")
    person, record = world.pair(True, False)
    world.night()
    assert world.org.record(record)[name] is True
    assert world.org.record(record)[FIELD] is False
    assert world.in_store(person)


# -- switched off


@pytest.mark.parametrize(
    ("choice", "sentence"), [({"enabled": False}, "is disabled"), ({"paused": True}, "is paused")]
)
def test_a_night_that_is_switched_off_does_nothing_and_says_so(world, choice, sentence):
    person, record = world.pair(True, False)
    world.choose(**choice)
    world.org.reset_requests()
    attempt, sync_run_id = world.work()
    assert sync_run_id is None
    assert sentence in world.report(attempt)
    assert world.agreed(person, record) is None
    assert sum(world.org.request_counts().values()) == 0
    assert [r.state for r in world.sql("SELECT state FROM opt_out_sync.sync_run")] == ["skipped"]


# -- fields and records that cannot be used


def test_a_field_hidden_on_lead_costs_leads_and_makes_the_night_red(world):
    contact, lead = world.pair(True, False), world.pair(True, False, LEAD)
    world.org.set_field_access(LEAD, FIELD, readable=False, updateable=False)
    attempt, sync_run_id = world.work()
    assert world.agreed(*contact)
    assert not world.in_salesforce(lead[1])
    assert world.in_store(lead[0])
    assert world.codes(sync_run_id) == {contact[0]: "FIRST_SEEN_OPT_OUT"}
    with pytest.raises(NightNeedsAttentionError, match=f"{FIELD} of Lead cannot be read"):
        world.report(attempt)
    (shown,) = world.sql("SELECT state, reason FROM opt_out_sync.v_night")
    assert shown.state == "closed"
    assert f"{FIELD} of Lead cannot be read" in shown.reason
    world.org.restore()
    world.night()
    assert world.sql("SELECT reason FROM opt_out_sync.v_night")[0].reason is None
    assert world.agreed(*lead)


def test_an_object_that_the_integration_user_may_not_read_costs_that_object_only(world):
    contact, lead = world.pair(True, False), world.pair(True, False, LEAD)
    world.org.set_object_access(LEAD, readable=False)
    attempt, sync_run_id = world.work()
    assert world.agreed(*contact)
    assert world.codes(sync_run_id) == {contact[0]: "FIRST_SEEN_OPT_OUT"}
    with pytest.raises(NightNeedsAttentionError, match="of Lead cannot be read"):
        world.report(attempt)
    world.org.restore()
    world.night()
    assert world.agreed(*lead)


def test_a_field_spelled_in_another_case_is_refused_with_the_right_spelling(world):
    for obj in SalesforceObject:
        world.org.install_checkbox(obj, "Sales_Opt_Out__c", "Sales opt-out")
    world.choose(field_mode="sales_opt_out", sales_opt_out_field="sales_opt_out__c")
    with pytest.raises(FieldSpellingError, match="spells the field Sales_Opt_Out__c"):
        world.open_night()


def test_a_hidden_field_on_both_objects_decides_nothing(world):
    world.pair(True, False), world.pair(False, True)
    for obj in SalesforceObject:
        world.org.set_field_access(obj, FIELD, readable=False, updateable=False)
    attempt, sync_run_id = world.work()
    assert world.codes(sync_run_id) == {}
    with pytest.raises(NightNeedsAttentionError, match="of Contact cannot be read"):
        world.report(attempt)


def test_writes_to_a_read_only_field_wait_and_are_listed_with_their_fix(world):
    to_salesforce, to_store = world.pair(True, False), world.pair(False, True)
    world.org.set_field_access(CONTACT, FIELD, readable=True, updateable=False)
    attempt, sync_run_id = world.work()
    assert world.in_store(to_store[0])
    failed = next(o for o in world.outcomes(sync_run_id) if o.outcome == "failed")
    assert (failed.person_id, failed.failure_class, failed.code) == (
        to_salesforce[0],
        "permission",
        "READ_ONLY_FIELD",
    )
    with pytest.raises(NightNeedsAttentionError, match="1 writes are still open"):
        world.report(attempt)
    world.org.restore()
    world.night()  # green again: the next night tried again
    assert world.agreed(*to_salesforce)


def test_a_rejected_row_neither_blocks_the_night_nor_hides(world):
    pairs = [world.pair(True, False) for _ in range(3)]
    world.org.add_fault(
        method="PATCH",
        path_contains="composite/sobjects",
        action="row_error",
        code="FIELD_CUSTOM_VALIDATION_EXCEPTION",
        times=1,
    )
    attempt, sync_run_id = world.work()
    outcomes = [o for o in world.outcomes(sync_run_id) if o.outcome == "failed"]
    assert [o.code for o in outcomes] == ["FIELD_CUSTOM_VALIDATION_EXCEPTION"]
    assert sum(world.agreed(*pair) is True for pair in pairs) == 2
    assert world.base(outcomes[0].person_id) is None
    with pytest.raises(NightNeedsAttentionError, match="v_open_failures"):
        world.report(attempt)
    world.night()
    assert all(world.agreed(*pair) for pair in pairs)


def test_the_setting_says_how_many_open_failures_are_tolerated(world):
    world.choose(max_open_failures=1)
    world.pair(True, False)
    world.org.set_field_access(CONTACT, FIELD, readable=True, updateable=True)
    world.org.add_fault(
        method="PATCH",
        path_contains="composite/sobjects",
        action="row_error",
        code="FIELD_CUSTOM_VALIDATION_EXCEPTION",
        times=1,
    )
    attempt, _ = world.work()
    assert "1 of them failed" in world.report(attempt)


def test_a_deleted_record_and_a_person_without_record_cause_no_write(world):
    person, record = world.pair(True, False)
    world.org.delete(record)
    nobody = world.person("0035e00000ZZZZZ", True)
    night = world.night()
    assert world.codes(night) == {person: "DELETED_IN_SALESFORCE", nobody: "NOT_VISIBLE"}
    assert world.outcomes(night) == []
    assert world.codes(world.night()) == {}
    world.org.undelete(record)
    world.night()
    assert world.agreed(person, record)


def test_an_opt_out_on_a_converted_lead_reaches_the_store(world):
    person, lead = world.pair(False, True, LEAD)
    world.org.convert_lead(lead)
    assert world.codes(world.night()) == {person: "CARRIED_OVER_CONVERSION"}
    assert world.in_store(person)
    assert world.codes(world.night()) == {}


def test_a_value_that_somebody_flips_back_at_once_is_not_confirmed(world):
    person, record = world.pair(True, False)
    attempt, sync_run_id = world.open_night()
    for name, step in world.steps(sync_run_id).items():
        if name == "verify":
            world.org.edit(record, **{FIELD: False})
        step()
    assert [o.code for o in world.outcomes(sync_run_id)] == [None, "CHANGED_AFTER_WRITE"]
    assert world.base(person) is None
    with pytest.raises(NightNeedsAttentionError):
        world.report(attempt)
    world.night()
    assert world.agreed(person, record)


def test_a_locked_record_is_tried_once_more_in_the_same_night(world):
    pairs = [world.pair(True, False) for _ in range(3)]
    world.org.add_fault(
        method="PATCH",
        path_contains="composite/sobjects",
        action="row_error",
        code="UNABLE_TO_LOCK_ROW",
        times=2,
    )
    outcomes = world.outcomes(world.night())
    assert all(world.agreed(*pair) for pair in pairs)
    assert [o.outcome for o in outcomes] == ["applied", "confirmed"] * 3


def test_a_person_erased_while_the_night_runs_needs_no_opt_out_any_more(world):
    person, _ = world.pair(False, True)
    attempt, sync_run_id = world.open_night()
    for name, step in world.steps(sync_run_id).items():
        if name == "load.store":
            world.sql("DELETE FROM engagement.person WHERE id = :p", p=person)
        step()
    assert [o.outcome for o in world.outcomes(sync_run_id)] == ["superseded"]
    world.report(attempt)


def test_an_opt_out_whose_record_is_not_returned_is_listed_and_told_once(world):
    person = world.person(to_18("003000000000zzz"), opted_out=True)
    attempt, sync_run_id = world.work()
    assert world.codes(sync_run_id) == {person: "NOT_VISIBLE"}
    assert "Salesforce did not return the Contact" in world.decisions(sync_run_id).iloc[0]["reason"]
    assert "1 people have no Salesforce record" in world.report(attempt)
    assert world.codes(world.night()) == {}
    listed = world.sql("SELECT person_id, code FROM opt_out_sync.unlinked_person")
    assert [tuple(row) for row in listed] == [(person, "NOT_VISIBLE")]


def test_nobody_is_forgotten_while_their_object_cannot_be_read(world):
    person, lead = world.pair(True, False, LEAD)
    world.org.delete(lead)
    world.night()
    world.org.set_field_access(LEAD, FIELD, readable=False, updateable=False)
    world.work()
    world.org.restore()
    assert world.codes(world.night()) == {}
    assert [row.person_id for row in world.sql("SELECT * FROM opt_out_sync.unlinked_person")] == [
        person
    ]


def test_a_misspelt_parameter_starts_no_night():
    with pytest.raises(UnknownParameterError, match="unknown parameter plan_onyl"):
        require_known({"plan_only": False, "plan_onyl": True})
    require_known({"plan_only": True})


def test_losing_many_records_at_once_makes_the_night_red(world):
    records = [world.record(False) for _ in range(8)]
    for record in records:
        world.person(record)
    world.night()
    attempt, sync_run_id = world.open_night()
    for name, step in world.steps(sync_run_id).items():
        if name == "split":
            world.lose(sync_run_id, records[:6])
        step()
    with pytest.raises(NightNeedsAttentionError, match="6 of 8 linked Contact records"):
        world.report(attempt)
    world.night()


# -- the admin changes their mind, or somebody plays with the tasks


@pytest.mark.parametrize(
    "choice", [{"enabled": False}, {"paused": True}, {"field_mode": "sales_opt_out"}]
)
@pytest.mark.parametrize("before", ["load.store", "load.salesforce"])
def test_nothing_more_is_written_once_the_admin_changes_their_mind(world, choice, before):
    to_store, to_salesforce = world.pair(False, True), world.pair(True, False)
    attempt, sync_run_id = world.open_night()
    steps = world.steps(sync_run_id)
    for name in list(steps)[: list(steps).index(before)]:
        steps[name]()
    world.choose(**choice)
    with pytest.raises(ChoicesChangedError, match="nothing more is written"):
        steps[before]()
    assert not world.in_salesforce(to_salesforce[1])
    assert world.in_store(to_store[0]) == (before == "load.salesforce")
    with pytest.raises(NightFailedError):
        world.report(attempt)
    world.choose(enabled=True, paused=False, field_mode="email_opt_out")
    world.night()
    assert world.agreed(*to_store)
    assert world.agreed(*to_salesforce)


def test_a_failed_night_that_is_resumed_while_the_sync_is_off_writes_nothing(world):
    _, record = world.pair(True, False)
    attempt, sync_run_id = world.open_night()
    steps = world.steps(sync_run_id)
    for name in list(steps)[: list(steps).index("load.salesforce")]:
        steps[name]()
    with pytest.raises(NightFailedError):
        world.report(attempt)
    world.choose(enabled=False)
    with pytest.raises(ChoicesChangedError):
        steps["load.salesforce"]()
    assert not world.in_salesforce(record)


def test_a_night_that_was_not_verified_does_not_close(world):
    world.pair(True, False)
    _, sync_run_id = world.open_night()
    for name, step in world.steps(sync_run_id).items():
        if name == "close":
            with pytest.raises(OpenWritesError, match="1 writes were not read back"):
                step()
        elif name != "verify":
            step()


def test_a_night_is_reported_by_the_attempt_that_this_preflight_opened(world):
    """Not by an earlier one that closed: a cleared night whose preflight fails must be red."""
    world.night()
    with pytest.raises(NightFailedError, match="preflight could not open the night"):
        world.report(None)


@pytest.mark.parametrize("step", ["extract.contact", "load.salesforce", "verify"])
def test_a_step_that_is_cleared_later_refuses_another_org(world, step):
    """A full-copy sandbox has the same record Ids, so only the org's own Id tells."""
    _, record = world.pair(True, False)
    _, sync_run_id = world.open_night()
    steps = world.steps(sync_run_id)
    for name in list(steps)[: list(steps).index(step)]:
        steps[name]()
    world.sql("UPDATE opt_out_sync.sync_run SET org_id = '00D000000000002EAU'")
    world.org.edit(record, **{FIELD: False})
    with pytest.raises(WrongOrgError, match="the Connection leads to"):
        steps[step]()
    assert not world.in_salesforce(record)


# -- Salesforce is away


def test_salesforce_being_down_fails_the_night_with_a_sentence_and_frees_the_lease(world):
    person, record = world.pair(True, False)
    world.org.add_fault(method="POST", path_contains="jobs/query", status=503, times=50)
    attempt, sync_run_id = world.open_night()
    steps = world.steps(sync_run_id)
    steps["extract.store"]()
    with pytest.raises(SalesforceUnavailableError):
        steps["extract.contact"]()
    with pytest.raises(NightFailedError, match="extract_contact did not finish"):
        world.report(attempt)
    world.org.restore()
    world.night()  # another run is not blocked
    assert world.agreed(person, record)


def test_a_night_whose_step_failed_can_be_resumed_by_clearing_that_task(world):
    person, record = world.pair(True, False)
    world.org.add_fault(method="POST", path_contains="jobs/query", status=503, times=50)
    attempt, sync_run_id = world.open_night()
    steps = world.steps(sync_run_id)
    with pytest.raises(SalesforceUnavailableError):
        steps["extract.contact"]()
    with pytest.raises(NightFailedError):
        world.report(attempt)
    world.org.restore()
    for step in steps.values():
        step()
    world.report(attempt)
    assert world.agreed(person, record)


def test_a_wrong_secret_is_permanent_and_says_which_connection_to_mend(world, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_SALESFORCE",
        world.org.airflow_connection.replace(world.org.client_secret, "wrong-secret"),
    )
    attempts = []
    with pytest.raises(LoginError, match="Connection") as refused:
        preflight(
            world.engine,
            world.client(),
            Trigger("manual__x", None, plan_only=False),
            clock=utc_now,
            announce=attempts.append,
        )
    assert isinstance(refused.value, PermanentSyncError)
    assert "wrong-secret" not in str(refused.value)
    with pytest.raises(NightFailedError, match="refused the login"):
        world.report(*attempts)


def test_the_reserve_of_api_requests_is_kept(world):
    world.org.set_limits(daily_api_requests=1000, used=900)
    with pytest.raises(NoApiBudgetError, match="in reserve"):
        world.open_night()


def test_a_night_without_outcomes_does_not_close(world):
    world.pair(True, False)
    _, sync_run_id = world.open_night()
    steps = world.steps(sync_run_id)
    for name, step in steps.items():
        if name not in ("load.salesforce", "close"):
            step()
    with pytest.raises(OpenWritesError, match="1 planned writes have no outcome"):
        steps["close"]()


def test_no_address_is_staged_or_audited(world):
    world.pair(True, False), world.person(None, True)
    world.night()
    staged = b"".join(f.read_bytes() for f in world.staging.rglob("*") if f.is_file())
    assert b"canary" not in staged
    for table in ("merge_audit", "write_attempt", "sync_run", "sync_step", "unlinked_person"):
        assert "canary" not in str(world.sql(f"SELECT * FROM opt_out_sync.{table}"))


def test_a_record_with_many_persons_is_told_by_number_and_found_by_the_query_of_the_runbook(world):
    crowded = world.record(False)
    for _ in range(11):
        world.person(crowded)
    attempt, _ = world.work()
    with pytest.raises(
        NightNeedsAttentionError, match="1 Salesforce records have more than"
    ) as red:
        world.report(attempt)
    assert crowded[:15] not in str(red.value)
    runbook = page("docs/runbook.md")
    query = "SELECT record_id, count" + runbook.partition("SELECT record_id, count")[2]
    (row,) = world.sql(query.partition(";")[0])
    assert tuple(row) == (crowded, 11)
