import asyncio
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from local.salesforce_emulator.__main__ import main
from local.salesforce_emulator.app import create_app
from local.salesforce_emulator.certificates import ensure_certificates
from local.salesforce_emulator.org import Client, Org
from local.salesforce_emulator.seed import SeedPlan
from local.salesforce_emulator.testing import (
    Api,
    Size,
    free_ports,
    longest_start,
    running_emulator,
    start_emulator,
    stop_emulator,
)

SMALL = Size(contacts=30, leads=10)


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.salesforce_emulator", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_even_with_open_connections(
    tmp_path: Path, number: signal.Signals
) -> None:
    emulator = start_emulator(tmp_path, SMALL)
    api = Api(emulator)
    assert api.get("limits").status_code == 200
    emulator.process.send_signal(number)
    assert emulator.process.wait(10) == 0
    assert "Traceback" not in (tmp_path / "emulator.log").read_text()


def test_a_killed_emulator_finds_its_data_again(tmp_path: Path) -> None:
    first = start_emulator(tmp_path, SMALL)
    first.install_checkbox("Contact", "Sales_Opt_Out__c", "Sales Opt Out")
    first.set_field_access("Lead", "HasOptedOutOfEmail", readable=False, updateable=False)
    first.set_object_access("Account", readable=False)
    record_id = first.records("Contact")[3]["Id"]
    first.edit(record_id, Sales_Opt_Out__c=True)
    before = {sobject: first.records(sobject) for sobject in ("Contact", "Lead")}
    first.process.kill()
    first.process.wait(10)
    with running_emulator(tmp_path, Size(contacts=999, leads=999)) as second:
        assert {sobject: second.records(sobject) for sobject in ("Contact", "Lead")} == before
        api = Api(second)
        fields = api.get("sobjects/Lead/describe").json()["fields"]
        assert "HasOptedOutOfEmail" not in {field["name"] for field in fields}
        assert api.get("sobjects/Account/describe").status_code == 404


def test_another_program_may_look_into_its_database_while_it_runs(tmp_path: Path) -> None:
    with running_emulator(tmp_path, SMALL) as emulator:
        with closing(sqlite3.connect(emulator.database)) as database, database:
            database.execute("CREATE TABLE note (text text)")
        record_id = emulator.records("Lead")[0]["Id"]
        saved = Api(emulator).call("PATCH", f"sobjects/Lead/{record_id}", json={"Phone": "1"})
        assert saved.status_code == 204
        assert emulator.record(record_id)["Phone"] == "1"


def test_tracking_and_person_accounts_outlive_the_process(tmp_path: Path) -> None:
    first = start_emulator(tmp_path, SMALL)
    first.enable_person_accounts()
    contact = next(each["Id"] for each in first.records("Contact") if not each["IsDeleted"])
    account = first.make_person_account(contact)
    first.track_history("Account", "PersonHasOptedOutOfEmail")
    opted_out = first.record(contact)["HasOptedOutOfEmail"]
    first.process.kill()
    first.process.wait(10)
    with running_emulator(tmp_path, SMALL) as second:
        second.edit(account, PersonHasOptedOutOfEmail=not opted_out)
        assert second.record(contact)["HasOptedOutOfEmail"] is not opted_out
        assert [each["AccountId"] for each in second.records("AccountHistory")] == [account]


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("pragma user_version = 1", "is of version 1, not 3"),
        ("pragma application_id = 0", "is a database of something else or of long ago"),
    ],
)
def test_a_database_of_another_kind_or_version_is_refused_in_one_sentence(
    tmp_path: Path, script: str, sentence: str
) -> None:
    with running_emulator(tmp_path, SMALL) as emulator:
        database = emulator.database
    with closing(sqlite3.connect(database)) as file:
        file.execute(script)
    http_port, tls_port = free_ports(2)
    ended = command("--http-port", http_port, "--tls-port", tls_port, "--database", database)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"{database} {sentence}; name another file, or delete it to start with a new org.\n"
    )


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Sir or Madam, " * 100)
    http_port, tls_port = free_ports(2)
    ended = command("--http-port", http_port, "--tls-port", tls_port, "--database", letter)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "is not a database" in ended.stderr
    assert letter.read_text().startswith("Dear Sir")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--contacts", "-1"),
        ("--leads", "many"),
        ("--http-port", "0"),
        ("--tls-port", "70000"),
        ("--latency", "slow"),
    ],
)
def test_nonsense_on_the_command_line_is_refused_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, str]
) -> None:
    ended = command("--database", tmp_path / "x.db", *arguments)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("python -m local.salesforce_emulator: error:")
    assert not (tmp_path / "x.db").exists()


def test_a_job_cut_off_by_a_kill_is_finished_after_the_restart(tmp_path: Path) -> None:
    first = start_emulator(tmp_path, SMALL)
    api = Api(first)
    first.hold_jobs(True)
    record_id = first.records("Contact")[0]["Id"]
    document = {"operation": "update", "object": "Contact"}
    job_id = api.call("POST", "jobs/ingest", json=document).json()["id"]
    api.call("PUT", f"jobs/ingest/{job_id}/batches", data=f"Id,Title\n{record_id},Survivor\n")
    api.call("PATCH", f"jobs/ingest/{job_id}", json={"state": "UploadComplete"})
    first.process.kill()
    first.process.wait(10)
    with running_emulator(tmp_path, SMALL) as second:
        deadline = time.monotonic() + 10
        while second.record(record_id)["Title"] != "Survivor":
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_same_seed_makes_the_same_records(tmp_path: Path) -> None:
    seen = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        with running_emulator(tmp_path / name, Size(20, 10, seed)) as emulator:
            seen.append([emulator.records(sobject) for sobject in ("Contact", "Lead")])
    assert seen[0] == seen[1] != seen[2]


def test_about_six_in_a_hundred_are_opted_out_and_five_thousand_start_fast(
    tmp_path: Path,
) -> None:
    with running_emulator(tmp_path, Size(3_500, 1_500)) as emulator:
        flags = [
            record["HasOptedOutOfEmail"]
            for sobject in ("Contact", "Lead")
            for record in emulator.records(sobject)
        ]
    assert len(flags) == 5_000
    assert 0.04 < sum(flags) / len(flags) < 0.08


def test_a_taken_port_is_named_in_one_sentence(tmp_path: Path) -> None:
    with running_emulator(tmp_path, SMALL) as emulator:
        (free,) = free_ports(1)
        ended = command(
            "--http-port", free, "--tls-port", emulator.tls_port, "--database", tmp_path / "x.db"
        )
    assert ended.returncode == 1
    assert ended.stderr == (
        f"Port {emulator.tls_port} of 127.0.0.1 is in use; choose another one.\n"
    )
    assert not (tmp_path / "x.db").exists()


def test_help_says_how_to_log_in() -> None:
    ended = command("--help")
    assert ended.returncode == 0
    assert "grant_type=client_credentials" in ended.stdout
    assert "--database" in ended.stdout


def test_it_prints_how_to_log_in(tmp_path: Path) -> None:
    with running_emulator(tmp_path, SMALL) as emulator:
        text = (tmp_path / "emulator.log").read_text()
    assert "curl -d grant_type=client_credentials -u 'emulator-client:emulator-secret'" in text
    assert f"{emulator.http_url}/services/oauth2/token" in text
    assert emulator.airflow_connection in text
    assert str(emulator.ca_bundle) in text


def test_both_ports_listen_on_loopback_only(tmp_path: Path) -> None:
    with running_emulator(tmp_path, SMALL) as emulator:
        ports = {emulator.http_port, emulator.tls_port}
        listening = set()
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            host, port = address.split(":")
            if state == "0A" and int(port, 16) in ports:
                listening.add((host, int(port, 16)))
        assert listening == {("0100007F", port) for port in ports}


def test_it_listens_elsewhere_when_told(tmp_path: Path) -> None:
    ports = free_ports(2)
    started = subprocess.Popen(
        [
            sys.executable, "-m", "local.salesforce_emulator", "--host", "127.0.0.2",
            "--http-port", str(ports[0]), "--tls-port", str(ports[1]),
            "--database", str(tmp_path / "x.db"), "--contacts", "3", "--leads", "3",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert answers(f"http://127.0.0.2:{ports[0]}/services/data")
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{ports[0]}/services/data", timeout=5)
    finally:
        started.terminate()
        started.wait(10)


def answers(url: str) -> bool:
    for _ in range(400):
        with suppress(requests.ConnectionError):
            return requests.get(url, timeout=5).ok
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(("client", "status"), [("127.0.0.1", 200), ("192.0.2.7", 404)])
def test_only_this_machine_may_control_the_org(tmp_path: Path, client: str, status: int) -> None:
    org = Org(tmp_path / "x.db", Client("id", "secret"), SeedPlan(1, 1, 1))
    path = "/__emulator__/health"
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": path, "scheme": "http",
        "raw_path": path.encode(), "query_string": b"", "headers": [], "client": (client, 5),
        "server": ("127.0.0.1", 80), "root_path": "",
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(create_app(org)(scope, receive, send))
    org.close()
    assert sent[0]["status"] == status


def test_the_bundle_trusts_the_emulator_and_what_was_trusted_before(tmp_path: Path) -> None:
    environment = {"REQUESTS_CA_BUNDLE": ""}
    with running_emulator(tmp_path, SMALL, environment=environment) as emulator:
        trusted = ssl.create_default_context(cafile=str(emulator.ca_bundle)).get_ca_certs()
        assert len(trusted) > 50
        session = requests.Session()
        session.trust_env = False
        health = f"{emulator.tls_url}/__emulator__/health"
        assert session.get(health, verify=str(emulator.ca_bundle), timeout=10).ok
        with pytest.raises(requests.exceptions.SSLError):
            session.get(health, timeout=10)


def test_valid_certificates_are_kept_and_expiring_ones_replaced(tmp_path: Path) -> None:
    first = ensure_certificates(tmp_path).server.read_bytes()
    assert ensure_certificates(tmp_path).server.read_bytes() == first
    later = datetime.now(UTC) + timedelta(days=395)
    assert ensure_certificates(tmp_path, later).server.read_bytes() != first
    (tmp_path / "server.pem").write_text("garbage")
    assert b"BEGIN CERTIFICATE" in ensure_certificates(tmp_path).server.read_bytes()


def test_a_large_org_is_given_more_time_to_start() -> None:
    """A million records take minutes to seed; a small org that does not answer is broken."""
    assert longest_start(Size(contacts=30, leads=10)) < 61
    assert longest_start(Size(contacts=800_000, leads=200_000)) >= 5 * 60


def test_stopping_twice_changes_nothing(tmp_path: Path) -> None:
    emulator = start_emulator(tmp_path, SMALL)
    assert stop_emulator(emulator) == stop_emulator(emulator) == 0


@pytest.mark.parametrize(
    "option", ["--http-port=99999", "--tls-port=abc", "--contacts=-5", "--leads=many"]
)
def test_nonsense_is_refused_in_one_sentence(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main([option, "--database", str(tmp_path / "salesforce.db")])
    assert refused.value.code == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith(("is no port (1 to 65535)", "is no number of records"))
    )
