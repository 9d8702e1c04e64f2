"""Nothing about a person, and no secret, is written anywhere: all DAGs run and fail in Airflow.

Whatever the sync touches carries a canary: addresses and names on both sides, what somebody typed
about a consent, tokens, record Ids (the values of queries), and the words of every error that
Salesforce and the database answer with. Afterwards all that Airflow wrote is searched for them.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from include.domain.values import SalesforceObject
from include.store.database import connect
from include.sync.clock import utc_now
from local.demo.web import HttpError
from tests.dags.places import new_places, new_world
from tests.dags.running_airflow import running_airflow

NIGHT, PUSH, QUESTION = "unsubscribe_nightly_sync", "unsubscribe_push", "unsubscribe_held_clears"
TRIGGERER = {"triggerer": ["airflow", "triggerer", "--skip-serve-logs"]}
CANARY = "canary-words about canary@example.com"
ERROR = [{"errorCode": "SOME_CODE", "message": f"{CANARY}: SELECT Id WHERE Name = 'canary'"}]
# PostgreSQL quotes the row in its message, as it does where a constraint is violated.
QUOTE = """
CREATE FUNCTION public.quote_canary() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'canary-words: %', (SELECT email FROM engagement.person LIMIT 1); END $$
"""

pytestmark = pytest.mark.timeout(1500)


class Hook(BaseHTTPRequestHandler):
    """Where alerts arrive."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hook():
    server = HTTPServer(("127.0.0.1", 0), Hook)
    server.got = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def places(server_url, tmp_path_factory, hook):
    address = f"http://127.0.0.1:{hook.server_address[1]}/canary-hook"
    more = {
        "AIRFLOW_CONN_OPT_OUT_ALERTS_WEBHOOK": json.dumps(
            {"conn_type": "http", "password": address}
        ),
        "OPT_OUT_SYNC_PUSH_LINGER_SECONDS": "3",
        "OPT_OUT_SYNC_SWEEP_SECONDS": "15",
        "OPT_OUT_SYNC_SLOW_SECONDS": "45",
    }
    with new_places(server_url, tmp_path_factory.mktemp("canaries"), "canaries", more) as places:
        yield places


@pytest.fixture(scope="module")
def airflow(places):
    config, dags = places.config, {NIGHT, PUSH, QUESTION}
    with running_airflow(
        config.state, config.airflow_url, places.environment, dags, TRIGGERER
    ) as running:
        yield running


@pytest.fixture(scope="module")
def world(places, airflow, server_url, database_url):
    with new_world(places, server_url, database_url) as world:
        world.choose(enabled=True)
        for obj in SalesforceObject:
            for number, record in enumerate(world.org.records(obj)):
                if not record["IsDeleted"] and not record.get("IsConverted"):
                    name = {"FirstName": "canary-first", "LastName": f"canary-last-{number}"}
                    world.org.edit(record["Id"], Email=f"canary-{number}@example.com", **name)
        yield world


class Story:
    """What happens, in order; each step ends with the state that it must end with."""

    def __init__(self, airflow, world, metadata):
        self.airflow, self.world, self.org = airflow, world, world.org
        self.metadata, self.triggers = metadata, ""

    def tell(self):
        self.a_night_with_a_rejected_row_and_held_clears()
        self.an_approval_whose_clears_are_refused()
        self.nights_that_fail()
        self.pushes_that_fail()
        self.a_night_that_hangs()

    def a_night_with_a_rejected_row_and_held_clears(self):
        rejected = self.world.pair(True, False)[1]
        self.world.pair(False, True, SalesforceObject.LEAD)
        self.world.person("canary is no Id", opted_out=True)
        crowded = self.world.record(False)
        for _ in range(11):
            self.world.person(crowded)
        pairs = [self.world.pair(True, True) for _ in range(6)]
        for person, _ in pairs:
            self.world.sql(
                "SELECT engagement.record_act(:p, 'resubscribe', 'team', 'Manual', "
                "'canary-words on the phone', 'canary-actor', null, 'canary-case', null, now(), "
                "'canary-key-' || :p)",
                p=person,
            )
        self.org.add_fault(
            action="row_error", record_ids=[rejected], code="FIELD_CUSTOM_VALIDATION_EXCEPTION",
            message=CANARY, times=None,
        )  # fmt: skip
        self.airflow.api.unpause(NIGHT)  # which starts the last complete night at once
        self.airflow.wait_for(lambda: self.airflow.runs(NIGHT))
        self.ended(self.airflow.runs(NIGHT)[-1]["dag_run_id"], "report")
        self.org.clear_faults()

    def an_approval_whose_clears_are_refused(self):
        self.airflow.wait_for(lambda: self.airflow.runs(QUESTION))
        run_id = self.airflow.runs(QUESTION)[-1]["dag_run_id"]
        self.airflow.asks(QUESTION, run_id, "ask")
        self.org.add_fault(
            method="PATCH", path_contains="sobjects/Contact/", status=400, body=ERROR, times=None
        )
        self.airflow.answer(QUESTION, run_id, "ask", "Approve")
        self.ended(run_id, "close", dag_id=QUESTION)
        self.org.clear_faults()

    def nights_that_fail(self):
        """Each by another of the ways in which an error could quote what it is about."""
        self.night("extract.contact", path_contains="jobs/query", status=400, body=ERROR)
        self.night("preflight", path_contains="limits", status=403, body=ERROR)
        self.night("preflight", path_contains="oauth2/token", status=400,
                   body={"error": "invalid_client", "error_description": CANARY})  # fmt: skip
        # tried again, and then red like every night here, because of the crowded record
        self.night("report", path_contains="describe", status=200, body=CANARY, html=True, times=4)
        self.database_refuses("opt_out_sync.merge_audit", lambda: self.night("merge"))

    def pushes_that_fail(self):
        self.airflow.api.unpause(PUSH)
        self.pushed(lambda record: self.world.in_salesforce(record))
        self.org.add_fault(path_contains="composite", status=400, body=ERROR, times=None)
        failed = len(self.of_push("failed"))
        self.pushed(lambda record: len(self.of_push("failed")) > failed)
        self.org.clear_faults()
        failed = len(self.of_push("failed"))
        self.database_refuses(
            "opt_out_sync.write_attempt",
            lambda: self.pushed(lambda record: len(self.of_push("failed")) > failed),
        )
        self.airflow.pause(PUSH)

    def a_night_that_hangs(self):
        self.org.hold_jobs(True)
        self.late = self.airflow.trigger(NIGHT)

    def night(self, red, **fault):
        """A night that ends red because of one task."""
        if fault:
            self.org.add_fault(**{"action": "status", "times": None} | fault)
        self.ended(self.airflow.trigger(NIGHT), red)
        self.org.clear_faults()

    def ended(self, run_id, red, dag_id=NIGHT):
        assert self.airflow.ended(dag_id, run_id, 400) == "failed"
        assert self.airflow.states(dag_id, run_id)[red] == "failed"

    def of_push(self, state):
        return [run for run in self.airflow.runs(PUSH) if run["state"] == state]

    def pushed(self, came_true):
        """Somebody opts out while a push waits."""
        self.airflow.wait_for(
            lambda: any(
                self.airflow.states(PUSH, run["dag_run_id"]).get("wait_for_unsubscribes")
                == "deferred"
                for run in self.airflow.runs(PUSH)
            )
        )
        self.triggers += everything_in(self.metadata, "trigger")  # gone when it has fired
        person, record = self.world.pair(False, False)
        self.world.unsubscribe(person, at=utc_now())
        self.airflow.wait_for(lambda: came_true(record), 240)

    def database_refuses(self, table, during):
        self.world.sql(QUOTE)
        self.world.sql(
            f"CREATE TRIGGER quote_canary BEFORE INSERT ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION public.quote_canary()"
        )
        during()
        self.world.sql(f"DROP TRIGGER quote_canary ON {table}")
        self.world.sql("DROP FUNCTION public.quote_canary()")


def everything_in(database, table):
    """Every row of a table, as text."""
    with connect(database).begin() as conn:
        rows = conn.execute(text(f'SELECT to_jsonb(t)::text FROM "{table}" AS t')).scalars()
        return "\n".join(rows)


@pytest.fixture(scope="module")
def story(airflow, world, places, hook):
    """All of it, told once."""
    story = Story(airflow, world, places.metadata)
    story.tell()
    airflow.wait_for(lambda: [told for told in hook.got if story.late in told["text"]])
    world.org.hold_jobs(False)
    airflow.ended(NIGHT, story.late, 240)
    return story


@pytest.fixture(scope="module")
def secrets(story, places):
    """What must be nowhere: canaries, tokens, and the Ids that queries ask for."""
    org = places.org
    ids = {record["Id"][:15] for obj in SalesforceObject for record in org.records(obj)}
    token = org.log_in().partition("!")[2][:5]
    assert token == "AQEAQ"
    return {"canary", org.client_secret, f"!{token}", *ids}


def leaks(content, secrets):
    """Which of them a text has, with what stands around the first."""
    lowered = content.lower()
    found = [each for each in secrets if each.lower() in lowered]
    places = [lowered.index(each.lower()) for each in found]
    return [content[max(0, at - 200) : at + 200] for at in places[:3]]


def files(folder: Path):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_log_tells_of_anybody(story, places, secrets):
    written = [*files(places.config.airflow_home), *files(places.config.logs)]
    names = {path.name for path in written}
    assert {"scheduler.log", "triggerer.log", "api-server.log", "dag-processor.log"} <= names
    tasks = [path for path in written if "task_id=" in str(path)]
    assert {f"dag_id={dag}" for dag in (NIGHT, PUSH, QUESTION)} <= {
        part for path in tasks for part in path.parts
    }
    assert len(tasks) > 50
    found = {
        str(path): told
        for path in written
        if (told := leaks(path.read_text(encoding="utf-8", errors="replace"), secrets))
    }
    assert found == {}


def test_no_table_of_airflow_tells_of_anybody(story, places, secrets):
    """XCom, rendered templates, triggers, DAG documentation, serialised DAGs, and all others."""
    with connect(places.metadata).begin() as conn:
        query = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = conn.execute(query).scalars().all()
    rows = {table: everything_in(places.metadata, table) for table in tables}
    rows["trigger"] += story.triggers
    found = {table: told for table, whole in rows.items() if (told := leaks(whole, secrets))}
    assert found == {}
    seen = {"xcom", "rendered_task_instance_fields", "trigger", "serialized_dag", "dag_code",
            "hitl_detail", "task_instance", "dag_run", "log", "callback", "deadline"}  # fmt: skip
    assert {table for table in seen if not rows[table]} == set()


def test_staged_files_have_no_address_no_name_and_are_for_their_owner_only(story, places):
    staged = files(places.config.staging)
    assert len(staged) > 10
    for path in staged:
        folders = [each for each in path.parents if each.is_relative_to(places.config.staging)]
        assert any(not each.stat().st_mode & 0o077 for each in folders), path
        content = str(pq.read_table(path).to_pydict()) if path.suffix == ".parquet" else ""
        assert "canary@" not in content, path
        assert "canary-" not in content, path


def test_no_answer_of_the_api_tells_of_anybody(story, airflow, secrets):
    """What the pages of Airflow show, its error pages included."""
    for dag_id in (NIGHT, PUSH, QUESTION):
        answers = [json.dumps(airflow.call("GET", f"dags/{dag_id}/details"))]
        for run in airflow.runs(dag_id):
            tasks = airflow.call("GET", f"dags/{dag_id}/dagRuns/{run['dag_run_id']}/taskInstances")
            answers.append(json.dumps(tasks))
        assert leaks("\n".join(answers), secrets) == []
    with pytest.raises(HttpError) as refused:
        airflow.call("GET", "dags/nothing/details")
    assert leaks(str(refused.value), secrets) == []


def test_what_is_told_to_a_webhook_tells_of_nobody(story, hook, secrets):
    kinds = {told["kind"] for told in hook.got}
    assert {"red", "failed", "brake", "slow"} <= kinds
    assert leaks(json.dumps(hook.got), secrets) == []


def test_a_night_that_hangs_is_told_by_its_deadline(story, hook):
    sentences = [told["text"] for told in hook.got if story.late in told["text"]]
    assert sentences == [
        f"Opt-out sync: The run {story.late} of DAG {NIGHT} has not ended in time: look at its "
        "running or waiting task."
    ]


def test_the_audit_does_tell_what_failed_and_for_whom(story, world):
    """The proof that the story was told, and that the search finds: there it is written down."""
    assert leaks(str(world.sql("SELECT * FROM engagement.person")), {"canary"})
    assert leaks(str(world.sql("SELECT reason FROM engagement.unsubscribe")), {"canary"})
    assert leaks(json.dumps(world.org.records("Contact")), {"canary-last"})
    failed = world.sql(
        "SELECT DISTINCT code FROM opt_out_sync.write_attempt WHERE outcome = 'failed'"
    )
    codes = {row.code for row in failed}
    assert "FIELD_CUSTOM_VALIDATION_EXCEPTION" in codes
    assert len(codes) >= 2
    words = world.sql("SELECT to_jsonb(w)::text AS w FROM opt_out_sync.write_attempt AS w")
    assert not any("canary" in row.w for row in words)
