"""Starts everything, runs one night, tells about it, and stays up."""

import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from include.audit import orgs, settings
from include.migrations.upgrade import upgrade
from include.store.database import connect, transaction
from local import postgres
from local.demo import DemoError, databases, night, push, summary
from local.demo.agreement import Agreement, check_agreement
from local.demo.airflow_api import COMPONENTS, AirflowApi, DagRun
from local.demo.airflow_env import airflow_environment
from local.demo.config import ROOT, Config, published
from local.demo.console import Console, Step
from local.demo.credentials import Credentials, load_or_create
from local.demo.databases import Databases
from local.demo.emulator import Emulator
from local.demo.load import REMARK, SEED, load
from local.demo.preflight import (
    guardian,
    only_one,
    require_free_ports,
    stop_what_was_left,
    terminal,
)
from local.salesforce_emulator.seed import ORGANIZATION_ID
from local.sample_data import CONTACTS, LEADS, expected_codes, expected_verdicts
from local.supervisor import Child, StopRequestedError, Supervisor

_START_SECONDS = 180
_DAGS = (*night.DAG_IDS, push.DAG_ID)

# All logs are files on this machine: nobody needs to serve them over HTTP.
_AIRFLOW = {
    "api-server": ("airflow", "api-server"),
    "scheduler": ("plugins.unsubscribe_sync_preload", "scheduler", "--skip-serve-logs"),
    "dag-processor": ("airflow", "dag-processor"),
    "triggerer": ("airflow", "triggerer", "--skip-serve-logs"),
}


@dataclass(frozen=True, slots=True)
class Demo:
    """What every part of the demo needs to know."""

    config: Config
    console: Console
    credentials: Credentials
    supervisor: Supervisor
    databases: Databases
    emulator: Emulator
    airflow: AirflowApi
    environment: Mapping[str, str]


def run(config: Config, *, once: bool, reset: bool) -> int:
    """Run the demo until a signal, or once; everything it started is stopped when this returns.

    Raises:
        DemoError, ChildDiedError, StopRequestedError: why it ended early.
    """
    console = Console()
    with ExitStack() as stack:
        stack.enter_context(only_one(config))
        _clear_the_way(config, console, reset=reset)
        require_free_ports(config)
        # Last of all, when nobody uses it any more:
        stack.callback(postgres.stop, config.postgres)
        supervisor = stack.enter_context(
            Supervisor(config.record, config.logs, guardian=guardian(), terminal=terminal())
        )
        stack.callback(console.say, "\nStopping everything ...")
        console.say("Starting the demo. Ctrl-C stops it, and everything it starts.\n")
        demo = _prepare(config, console, supervisor)
        _start_airflow(demo)
        is_well = _one_night(demo)
        _one_push(demo)
        if not once:
            _tell_what_next(demo)
            stack.enter_context(published(config, demo.databases.store))
            _stay_up(demo)
        return 0 if is_well else 1


def _stay_up(demo: Demo) -> None:
    demo.console.say(f"\nUp after {demo.console.elapsed:.0f} s. Ctrl-C stops everything.")
    try:
        demo.supervisor.wait_until(lambda: False, float("inf"), every=1.0)
    except StopRequestedError as stop:
        if stop.signal_number != signal.SIGINT:  # a Ctrl-C is how a demo is meant to end
            raise


def clean(config: Config) -> None:
    """Stop what a killed demo left, and remove the demo's state."""
    with only_one(config):
        _clear_the_way(config, Console(), reset=True)


def _clear_the_way(config: Config, console: Console, *, reset: bool) -> None:
    left = stop_what_was_left(config)
    if left:
        console.say(f"Stopped what an earlier demo left running: {', '.join(left)}.")
    if reset:
        postgres.stop(config.postgres)
        for path in config.state.iterdir():
            if path.name != "demo.lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _prepare(config: Config, console: Console, supervisor: Supervisor) -> Demo:
    credentials = load_or_create(config.secrets)
    with console.step("PostgreSQL (embedded)"), supervisor.shield():
        served = Databases.on(postgres.start(config.postgres))
    is_loaded = _is_loaded(config, served)
    if not is_loaded:
        config.emulator_database.unlink(missing_ok=True)
        served.recreate_store()
    demo = Demo(
        config=config,
        console=console,
        credentials=credentials,
        supervisor=supervisor,
        databases=served,
        emulator=Emulator(config.emulator_url),
        airflow=AirflowApi(config.airflow_url),
        environment=airflow_environment(
            config, credentials, metadata_url=served.airflow, store_url=served.store
        ),
    )
    migration = _begin_airflow_migration(demo)
    _start_emulator(demo)
    _migrate_store(demo)
    _load_sample(demo, is_loaded=is_loaded)
    _end_airflow_migration(demo, migration)
    return demo


def _is_loaded(config: Config, served: Databases) -> bool:
    is_complete = databases.sample_remark(served.store) == REMARK
    return is_complete and config.emulator_database.exists()


def _begin_airflow_migration(demo: Demo) -> Child | None:
    if databases.is_airflow_migrated(demo.databases.airflow):
        databases.end_dead_airflow_jobs(demo.databases.airflow)
        return None
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    return demo.supervisor.start("airflow-db-migrate", command, demo.environment)


def _end_airflow_migration(demo: Demo, migration: Child | None) -> None:
    if migration is None:
        return
    with demo.console.step("Airflow's own database"):
        if demo.supervisor.finish(migration, _START_SECONDS) != 0:
            raise DemoError(f"Airflow could not prepare its database: see {migration.log}")
        databases.note_airflow_migrated(demo.databases.airflow)


def _start_emulator(demo: Demo) -> None:
    config = demo.config
    command = [
        *(sys.executable, "-m", "local.salesforce_emulator"),
        *("--http-port", str(config.emulator_http_port)),
        *("--tls-port", str(config.emulator_tls_port)),
        *("--database", str(config.emulator_database)),
        *("--contacts", str(CONTACTS), "--leads", str(LEADS), "--seed", str(SEED)),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SALESFORCE_EMULATOR_CLIENT_ID": demo.credentials.client_id,
        "SALESFORCE_EMULATOR_CLIENT_SECRET": demo.credentials.client_secret,
    }
    with demo.console.step("Salesforce (emulated, over TLS)"):
        demo.supervisor.start("salesforce-emulator", command, environment)
        _require(demo, demo.supervisor.wait_until(demo.emulator.is_up, 60), "salesforce-emulator")


def _migrate_store(demo: Demo) -> None:
    with demo.console.step("Tables of store and sync") as step:
        engine = connect(demo.databases.store)
        upgrade(engine)
        with transaction(engine) as connection:
            _do_as_an_admin(connection, step)
        engine.dispose()


def _do_as_an_admin(connection: Connection, step: Step) -> None:
    """Enable the sync and confirm the org, once: what somebody chose later is left alone."""
    now = datetime.now(UTC)
    current = settings.current(connection)
    if current.saved_by == "installation":  # nobody has chosen anything yet
        step.note("sync enabled,")
        enabled = current.settings.model_copy(update={"enabled": True})
        settings.save(connection, enabled, saved_by="demo", note="Enabled by the demo.", now=now)
    if orgs.confirm(
        connection, ORGANIZATION_ID, by="demo", note="An emulated org: nobody is mailed.", now=now
    ):
        step.note("org confirmed,")


def _load_sample(demo: Demo, *, is_loaded: bool) -> None:
    with demo.console.step("Sample company") as step:
        if is_loaded:
            step.result = "there already"
            return
        company = load(demo.databases.store, demo.emulator, now=datetime.now(UTC))
        step.result = f"{len(company.people):,} people, {CONTACTS + LEADS:,} records"


def _start_airflow(demo: Demo) -> None:
    begun = datetime.now(UTC)
    with demo.console.step("Airflow") as step:
        for name, module_and_options in _AIRFLOW.items():
            command = [sys.executable, "-m", *module_and_options]
            demo.supervisor.start(f"airflow-{name}", command, demo.environment)
        told: set[str] = set()

        def is_healthy() -> bool:
            healthy = demo.airflow.healthy_components(begun)
            for name in healthy:
                if name not in told:
                    step.note(name.replace("_", "-") + ",")
            told.update(healthy)
            return {*COMPONENTS} <= told

        _require(demo, demo.supervisor.wait_until(is_healthy, _START_SECONDS), "Airflow")
    with demo.console.step("DAGs"):
        _wait_for_dags(demo)


def _wait_for_dags(demo: Demo) -> None:
    def is_there() -> bool:
        return all(map(demo.airflow.has_dag, _DAGS)) or bool(demo.airflow.import_errors())

    _require(demo, demo.supervisor.wait_until(is_there, 60), f"the DAGs {', '.join(_DAGS)}")
    if errors := demo.airflow.import_errors():
        raise DemoError("Airflow could not read a DAG file: " + "; ".join(errors))


def _one_night(demo: Demo) -> bool:
    with demo.console.step("One night") as step:
        runs = night.run_night(demo.airflow, demo.supervisor.wait_until)
        failures = night.describe_failures(demo.airflow, runs, demo.config)
        step.result = "failed" if failures else "done"
    agreement = check_agreement(demo.databases.store, demo.emulator)
    tell_night(demo.console, demo.databases.store, demo.emulator, runs, failures, agreement)
    complaints = _complaints(demo, agreement)
    for complaint in complaints:
        demo.console.say(f"\n!! {complaint}")
    return not failures and not complaints


def _one_push(demo: Demo) -> None:
    """Let two people unsubscribe, and tell when Salesforce knew."""
    demo.console.say()
    with demo.console.step("Two unsubscribes, pushed") as step:
        wait = demo.supervisor.wait_until
        told = list(push.show(demo.airflow, demo.databases.store, demo.emulator, wait))
        step.result = "done"
    demo.console.say(f"Between nights, DAG {push.DAG_ID} tells Salesforce who unsubscribed:")
    for line in told:
        demo.console.say(f"  {line}")


def tell_night(
    console: Console,
    store_url: str,
    emulator: Emulator,
    runs: Sequence[DagRun],
    failures: Sequence[str],
    agreement: Agreement,
) -> None:
    """Print the summary of the night that these Airflow runs were."""
    told = summary.Told(
        night=night.night_to_tell(store_url, [run.id for run in runs]),
        earlier=night.last_that_decided(store_url),
        agreement=agreement,
        failures=failures,
        names=emulator.names(),
    )
    console.say()
    for line in summary.night_summary(told):
        console.say(line)


def _complaints(demo: Demo, agreement: Agreement) -> list[str]:
    """Say what the night should have done and did not; nobody asks the sync itself."""
    complaints = []
    if agreement.differing or not agreement.compared:
        complaints.append(summary.check_sentence(agreement))
    nights, codes = night.codes_of_all_nights(demo.databases.store)
    if nights == 1 and codes != expected_codes():
        complaints.append(
            f"The first night decided {codes}, the sample company has {dict(expected_codes())}."
        )
    verdicts = night.verdicts_of_all_nights(demo.databases.store)
    if nights == 1 and verdicts != expected_verdicts():
        complaints.append(
            f"The first night judged {verdicts}, the sample company has "
            f"{dict(expected_verdicts())}."
        )
    return complaints


def _tell_what_next(demo: Demo) -> None:
    demo.console.say()
    for line in summary.where_to_look(demo.config, demo.databases.store):
        demo.console.say(line)
    demo.console.say()
    for line in summary.what_to_try(night.to_try(demo.databases.store), demo.config):
        demo.console.say(line)


def _require(demo: Demo, is_there: bool, what: str) -> None:
    if not is_there:
        raise DemoError(f"{what} did not start in time: see the logs in {demo.config.logs}")
