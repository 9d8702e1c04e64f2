"""The night on bad days: nothing lost, no effect twice, every write told in the audit.

Everything is real: PostgreSQL, the emulator over TLS. Each test breaks something, lets Airflow's
retries do what they do, and asks the same three questions.
"""

from collections import Counter
from datetime import timedelta

import pytest
from unsubscribe_sync_defaults import DEFAULT_ARGS

from include.domain.errors import TransientSyncError
from include.domain.values import SalesforceObject
from include.salesforce.bulk_jobs import Polling
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import (
    ApiLimitError,
    IncompleteJobError,
    SalesforceUnavailableError,
)
from include.sync.clock import utc_now
from include.sync.nightly.steps import Again
from include.sync.report import NightNeedsAttentionError
from tests.sync.pushing import count_saves, saves
from tests.sync.world import World, salesforce_session

CONTACT, LEAD = SalesforceObject
COLLECTIONS, INGEST, QUERY = "composite/sobjects", "jobs/ingest", "jobs/query"
WAYS = pytest.mark.parametrize("threshold", [1, 2000], ids=["by a Bulk job", "by collections"])
BULK = pytest.mark.usefixtures("by_bulk_job")


@pytest.fixture
def by_bulk_job(world):
    world.choose(bulk_threshold=1)


class Work:
    """Opt-outs in both directions and a clear, whose effects are counted."""

    def __init__(self, world: World, to_salesforce: int = 6):
        self.world = world
        self.settled = [world.pair(False, False), world.pair(True, True)]
        self.cleared = world.pair(True, True)
        self.to_salesforce = [world.pair(True, False) for _ in range(to_salesforce)]
        self.to_store = [world.pair(False, True) for _ in range(2)]
        world.consent(self.cleared[0])
        count_saves(world.org)
        self._saved_before = saves(world.org)
        self._runs_before = world.sql("SELECT coalesce(max(id), 0) AS n FROM opt_out_sync.sync_run")

    def is_done_once(self, runs=1) -> None:
        """Ask the three questions."""
        self._nothing_is_lost()
        self._no_effect_came_twice()
        self._the_audit_tells_everything(runs)

    def _nothing_is_lost(self):
        world = self.world
        for pair in [*self.to_salesforce, *self.to_store, self.settled[1]]:
            assert world.agreed(*pair) is True
        assert world.agreed(*self.cleared) is False
        assert world.agreed(*self.settled[0]) is False

    def _no_effect_came_twice(self):
        written = [record for _, record in [*self.to_salesforce, self.cleared]]
        assert saves(self.world.org) - self._saved_before == Counter(written)
        people = [person for person, _ in [*self.to_store, self.cleared]]
        acts = self.world.sql(
            "SELECT person_id FROM engagement.unsubscribe WHERE origin = 'Salesforce Sync' "
            "AND person_id >= :first ORDER BY person_id",
            first=self.settled[0][0],
        )
        assert [act.person_id for act in acts] == sorted(people)

    def _the_audit_tells_everything(self, runs):
        """Each planned write was seen in the end, and nothing was written that was not planned."""
        for pair in [*self.to_salesforce, *self.to_store, self.cleared]:
            newest = self.world.sql(
                "SELECT DISTINCT ON (side) side, outcome FROM opt_out_sync.write_attempt "
                "WHERE person_id = :p ORDER BY side, id DESC",
                p=pair[0],
            )
            assert {row.outcome for row in newest} == {"confirmed"}
            assert self.world.base(pair[0]) is (pair != self.cleared)
        states = self.world.sql(
            "SELECT state FROM opt_out_sync.sync_run WHERE id > :n AND state IN ('open', 'closed')",
            n=self._runs_before[0].n,
        )
        assert [row.state for row in states] == ["closed"] * runs


def retried(step, tries=DEFAULT_ARGS["retries"] + 1, between=lambda error: None):
    """Run a task as Airflow does: again after what passes, `between` two tries."""
    for left in reversed(range(tries)):
        try:
            return step()
        except TransientSyncError as error:
            if not left:
                raise
            between(error)
    raise AssertionError("not reached")


def night(world, before=None, do=None, **options):
    """Run a whole night as Airflow does, breaking something before one of its tasks."""
    attempt, sync_run_id = world.open_night()
    for name, step in world.steps(sync_run_id).items():
        if name == before:
            do()
        retried(step, **options)
    return retried(lambda: world.report(attempt))


# -- Salesforce is away


@pytest.mark.parametrize("task", ["extract.contact", "load.salesforce", "load.clears", "verify"])
@WAYS
def test_ten_minutes_of_503_in_any_task_are_outlasted(world, task, threshold):
    """Nothing lost, no double effect, audit complete: and the night closes, in the same run."""
    world.choose(bulk_threshold=threshold)
    work, outage = Work(world), Outage(world)
    night(world, task, outage.begin, between=outage.time_passes)
    assert outage.lasted >= timedelta(minutes=10)
    work.is_done_once()


class Outage:
    """Salesforce answers 503 for ten minutes; between two tries passes what Airflow waits."""

    def __init__(self, world):
        self._org, self.lasted = world.org, timedelta(0)
        self._pause = DEFAULT_ARGS["retry_delay"]

    def begin(self):
        self._org.add_fault(status=503, html=True, times=None)

    def time_passes(self, error):
        self.lasted += self._pause
        longer = self._pause * DEFAULT_ARGS["retry_exponential_backoff"]
        self._pause = min(longer, DEFAULT_ARGS["max_retry_delay"])
        if self.lasted >= timedelta(minutes=10):
            self._org.clear_faults()


# -- a reply that is lost after Salesforce did what was asked


def test_a_reply_lost_after_a_collection_was_saved_is_answered_by_looking(world):
    """No double effect: what is set already is not sent again, also not by the retry."""
    work = Work(world)
    lose = lost_reply(world, method="PATCH", path_contains=COLLECTIONS)
    night(world, "load.salesforce", lose)
    work.is_done_once()


@pytest.mark.parametrize("request_", ["create", "upload", "complete", "poll", "results"])
@BULK
def test_a_reply_lost_anywhere_in_a_bulk_job_leads_to_one_effect(world, request_):
    """No double effect, and no job that nobody will ever complete is left open."""
    matching = {
        "create": {"method": "POST", "path_contains": INGEST},
        "upload": {"method": "PUT", "path_contains": "/batches"},
        "complete": {"method": "PATCH", "path_contains": INGEST},
        "poll": {"method": "GET", "path_contains": INGEST},
        "results": {"method": "GET", "path_contains": "successfulResults"},
    }
    work = Work(world)
    night(world, "load.salesforce", lost_reply(world, **matching[request_]))
    work.is_done_once()
    assert open_jobs(world) == []


@BULK
def test_a_reply_lost_while_a_bulk_query_is_made_reads_everything_all_the_same(world):
    """Nothing lost: an extract is whole or is not used."""
    work = Work(world)
    night(world, "extract.contact", lost_reply(world, method="POST", path_contains=QUERY))
    work.is_done_once()


def test_a_reply_lost_after_a_clear_is_answered_by_looking(world):
    """No double effect: the same clear is not sent again, so it cannot undo a newer opt-out."""
    work = Work(world)
    _, record = work.cleared
    night(world, "load.clears", lost_reply(world, method="PATCH", path_contains=record))
    work.is_done_once()


def lost_reply(world, **fault):
    return lambda: world.org.add_fault(action="reset_after", times=1, **fault)


def open_jobs(world):
    rows = world.client()._session.json("GET", "jobs/ingest", repeatable=True)["records"]
    return [job["id"] for job in rows if job["state"] == "Open"]


# -- the session


@pytest.mark.parametrize(
    "fault",
    [
        {"method": "POST", "path_contains": INGEST},
        {"method": "PUT", "path_contains": "/batches"},
        {"method": "PATCH", "path_contains": INGEST},
        {"method": "GET", "path_contains": INGEST, "after": 1},
        {"method": "GET", "path_contains": "failedResults"},
        {"method": "GET", "path_contains": QUERY, "after": 1},
    ],
    ids=["create", "upload", "complete", "poll", "results", "query"],
)
@BULK
def test_a_session_revoked_in_mid_job_is_renewed_and_the_job_goes_on(world, fault):
    """No double effect: the same job is gone on with, and no task needs a retry."""
    work = Work(world)
    attempt, sync_run_id = world.open_night()
    world.org.add_fault(action="expire_session", times=1, **fault)
    for step in world.steps(sync_run_id).values():
        step()
    world.report(attempt)
    work.is_done_once()
    made = world.sql("SELECT state FROM opt_out_sync.salesforce_job WHERE operation = 'update'")
    assert [job.state for job in made] == ["JobComplete"]


# -- the day's requests


def test_a_limit_reached_half_way_stops_the_night_and_its_retry_does_the_rest(world):
    """No double effect: what was written and recorded before the limit is not sent again."""
    work = Work(world)

    def reach():
        world.org.add_fault(
            method="PATCH", path_contains=COLLECTIONS, status=403,
            code="REQUEST_LIMIT_EXCEEDED", after=1, times=None,
        )  # fmt: skip

    seen = []

    def a_day_passes(error):
        seen.append(error)
        world.org.clear_faults()

    leads = [world.pair(True, False, LEAD) for _ in range(2)]
    night(world, "load.salesforce", reach, between=a_day_passes)
    assert [type(error) for error in seen] == [ApiLimitError]
    work.to_salesforce += leads
    work.is_done_once()


def test_a_limit_that_stays_fails_the_night_which_loses_nothing(world):
    """Nothing lost: what was written is recorded, the night is red, the next one does the rest."""
    work = Work(world)
    leads = [world.pair(True, False, LEAD) for _ in range(2)]
    work.to_salesforce += leads
    world.org.add_fault(
        method="PATCH", path_contains=COLLECTIONS, status=403, code="REQUEST_LIMIT_EXCEEDED",
        after=1, times=None,
    )  # fmt: skip
    with pytest.raises(ApiLimitError):
        night(world)
    newest = world.sql("SELECT max(id) AS id FROM opt_out_sync.sync_run")[0].id
    world.sql("UPDATE opt_out_sync.sync_run SET state = 'failed' WHERE id = :n", n=newest)
    assert len(saves(world.org)) == 6
    world.org.clear_faults()
    world.night()
    work._nothing_is_lost()
    work._no_effect_came_twice()


# -- jobs


@BULK
def test_a_bulk_job_that_fails_half_way_is_finished_within_the_night(world):
    """Nothing lost: the rows it never came to are sent again, and only they."""
    work = Work(world)
    night(
        world,
        "load.salesforce",
        lambda: world.org.add_fault(action="job_failed", operation="update", rows=2, times=1),
    )
    work.is_done_once()


@BULK
def test_a_bulk_job_that_is_stuck_is_aborted_and_its_rest_is_sent_again(world):
    """No double effect: its results are read before anything is sent again."""
    work = Work(world)
    world.client_of = quickly_impatient
    night(
        world,
        "load.salesforce",
        lambda: world.org.add_fault(action="job_stuck", operation="update", times=1),
    )
    work.is_done_once()


def test_a_query_job_that_is_stuck_is_aborted_and_asked_again(world):
    """Nothing lost: no half answer is used."""
    work = Work(world)
    world.client_of = quickly_impatient
    seen = []
    night(
        world,
        "extract.contact",
        lambda: world.org.add_fault(action="job_stuck", operation="queryAll", times=1),
        between=seen.append,
    )
    assert [type(error) for error in seen] == [IncompleteJobError]
    work.is_done_once()


def quickly_impatient(world):
    polling = Polling(first=0.02, longest=0.1, deadline=0.5, grace=10)
    return SalesforceClient(salesforce_session(), polling=polling)


# -- results


ALTERED = {
    "cut off": {"action": "truncate"},
    "without the last rows": {"action": "cut_rows", "rows": 1},
    "with rows twice": {"action": "repeat_rows"},
}


@pytest.mark.parametrize("altered", ALTERED)
@BULK
def test_results_of_a_write_that_do_not_add_up_are_read_again(world, altered):
    """Audit complete: no row is told applied, or failed, that Salesforce did not tell of."""
    work = Work(world)
    night(
        world,
        "load.salesforce",
        lambda: world.org.add_fault(
            method="GET", path_contains="successfulResults", times=2, **ALTERED[altered]
        ),
    )
    work.is_done_once()


@BULK
def test_results_of_a_write_that_never_add_up_stop_the_step_and_not_the_effect(world):
    """No double effect: a retry reads the results of the same job again."""
    work = Work(world)
    seen = []

    def mend(error):
        seen.append(error)
        world.org.clear_faults()

    night(
        world,
        "load.salesforce",
        lambda: world.org.add_fault(
            method="GET", path_contains="successfulResults", times=None, action="cut_rows"
        ),
        between=mend,
    )
    assert [type(error) for error in seen] == [IncompleteJobError]
    work.is_done_once()
    made = world.sql("SELECT state FROM opt_out_sync.salesforce_job WHERE operation = 'update'")
    assert [job.state for job in made] == ["JobComplete"]


@pytest.mark.parametrize("altered", ALTERED)
def test_an_extract_that_does_not_add_up_is_not_used(world, altered):
    """Nothing lost: a record that is missing from an answer is never taken for deleted."""
    work = Work(world)
    night(
        world,
        "extract.contact",
        lambda: world.org.add_fault(
            method="GET", path_contains="/results", times=1, **ALTERED[altered]
        ),
    )
    work.is_done_once()
    assert world.sql("SELECT * FROM opt_out_sync.link WHERE state <> 'active'") == []


def test_an_extract_that_never_adds_up_decides_nothing(world):
    """Nothing lost: the night fails before it has decided or written anything."""
    work = Work(world)
    world.org.add_fault(
        method="GET", path_contains="/results", times=None, action="cut_rows", rows=3
    )
    with pytest.raises((IncompleteJobError, SalesforceUnavailableError)):
        night(world)
    assert world.sql("SELECT * FROM opt_out_sync.merge_audit") == []
    assert not saves(world.org)
    world.org.clear_faults()
    world.sql("UPDATE opt_out_sync.sync_run SET state = 'failed'")
    world.night()
    work.is_done_once()


@BULK
def test_shuffled_results_are_matched_by_id(world):
    """Audit complete: each row has the outcome that Salesforce gave it, in whatever order."""
    work = Work(world)
    world.org.set_options(shuffle_unordered=11)
    (_, rejected), *_ = work.to_salesforce
    world.org.add_fault(
        action="row_error", ids=[rejected], code="FIELD_CUSTOM_VALIDATION_EXCEPTION", times=1
    )
    for name in ("successfulResults", "failedResults", "unprocessed", "/results"):
        world.org.add_fault(method="GET", path_contains=name, action="shuffle_rows", times=None)
    with pytest.raises(NightNeedsAttentionError, match="1 writes are still open"):
        night(world)
    failed = world.sql("SELECT record_id, code FROM opt_out_sync.v_open_failures")
    assert [tuple(row) for row in failed] == [(rejected, "FIELD_CUSTOM_VALIDATION_EXCEPTION")]
    world.org.clear_faults()
    world.night()
    work.is_done_once(runs=2)


# -- rows


@pytest.mark.parametrize("held", ["records", "clear"])
@WAYS
def test_a_record_that_somebody_holds_for_seconds_is_written_in_the_same_night(
    world, threshold, held
):
    """Nothing lost: the lock ends while the night waits, and the row is told applied, once."""
    world.choose(bulk_threshold=threshold)
    work = Work(world)
    pairs = work.to_salesforce[:2] if held == "records" else [work.cleared]
    world.org.lock_records(*(record for _, record in pairs))
    pauses = []

    def wait(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            world.org.unlock_records()

    world.again = Again(pauses=(1, 2, 3), sleep=wait)
    night(world)
    assert pauses == [1, 2]
    work.is_done_once()


@pytest.mark.parametrize("held", ["records", "clear"])
@WAYS
def test_a_record_that_stays_held_is_listed_and_the_next_night_tries_again(world, threshold, held):
    """Audit complete: the night closes, red, with the row, its class and its fix."""
    world.choose(bulk_threshold=threshold)
    work = Work(world)
    pairs = work.to_salesforce[:2] if held == "records" else [work.cleared]
    world.org.lock_records(*(record for _, record in pairs))
    with pytest.raises(NightNeedsAttentionError, match=f"{len(pairs)} writes are still open"):
        night(world)
    listed = world.sql(
        "SELECT person_id, failure_class, code, fix FROM opt_out_sync.v_open_failures ORDER BY 1"
    )
    assert [(row.person_id, row.failure_class, row.code) for row in listed] == [
        (person, "retry", "UNABLE_TO_LOCK_ROW") for person, _ in pairs
    ]
    assert all("Somebody was saving the record" in row.fix for row in listed)
    world.org.unlock_records()
    night(world)
    assert world.sql("SELECT * FROM opt_out_sync.v_open_failures") == []
    work.is_done_once(runs=2)


def test_who_opts_out_while_their_clear_waits_for_a_lock_stays_opted_out(world):
    """Nothing lost: before each further try it is asked whether the clear is still true."""
    person, record = world.pair(True, True)
    world.consent(person)
    world.org.lock_records(record)

    def opt_out(seconds):
        world.unsubscribe(person, at=utc_now())
        world.org.unlock_records()

    world.again = Again(pauses=(1,), sleep=opt_out)
    night(world)
    assert world.agreed(person, record) is True


REJECTIONS = {
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "validation",
    "DUPLICATES_DETECTED": "validation",
    "INSUFFICIENT_ACCESS_OR_READONLY": "permission",
    "ENTITY_IS_DELETED": "gone",
    "SOMETHING_NEW": "validation",
}


@pytest.mark.parametrize("code", REJECTIONS)
@WAYS
def test_a_row_that_waiting_does_not_help_is_sent_once_classed_and_tried_by_the_next_night(
    world, threshold, code
):
    """Audit complete: the night closes; it is red beyond the setting, green within it."""
    world.choose(bulk_threshold=threshold)
    work = Work(world)
    (person, record), *_ = work.to_salesforce
    world.again = Again(pauses=(1,), sleep=unexpected)
    world.org.add_fault(action="row_error", ids=[record], code=code, times=None)
    with pytest.raises(NightNeedsAttentionError, match="1 writes are still open"):
        night(world)
    (row,) = world.sql("SELECT * FROM opt_out_sync.v_open_failures")
    assert (row.person_id, row.failure_class, row.code) == (person, REJECTIONS[code], code)
    assert len(row.fix) > 20
    world.choose(max_open_failures=1)
    night(world)
    tried = world.sql(
        "SELECT sync_run_id FROM opt_out_sync.write_attempt WHERE person_id = :p", p=person
    )
    assert len({each.sync_run_id for each in tried}) == len(tried) == 2
    world.org.clear_faults()
    night(world)
    assert world.sql("SELECT * FROM opt_out_sync.v_open_failures") == []
    work.is_done_once(runs=3)


def unexpected(seconds):
    raise AssertionError("nobody waits for what does not pass")
