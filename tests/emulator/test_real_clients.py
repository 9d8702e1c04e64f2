"""Unmodified clients, over TLS with the private authority."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from simple_salesforce import Salesforce, format_external_id
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

from local.salesforce_emulator.testing import RunningEmulator

OPT_OUT = "HasOptedOutOfEmail"

HOOK = """
import json
from airflow.providers.salesforce.hooks.salesforce import SalesforceHook

hook = SalesforceHook("emulated")
ok, message = hook.test_connection()
answer = hook.make_query("SELECT Id, LastName FROM Contact", include_deleted=True)
fields = hook.get_available_fields("Lead")
first = answer["records"][0]["Id"]
client = hook.get_conn()
status = client.Contact.update(first, {"HasOptedOutOfEmail": True})
bulk = client.bulk2.Contact.query("SELECT Id FROM Contact", wait=0.2)
pages = [page for page in bulk]
print("RESULT " + json.dumps({
    "ok": ok, "total": answer["totalSize"], "rows": len(answer["records"]), "fields": fields,
    "first": first, "status": status, "bulk": sum(p.count(chr(10)) - 1 for p in pages),
    "usage": client.api_usage["api-usage"].used > 0,
}))
"""


OPERATOR = """
import json, sys
from airflow.providers.salesforce.operators.bulk import SalesforceBulkOperator

results = {}
for operation, rows, more in json.loads(sys.argv[1]):
    operator = SalesforceBulkOperator(
        task_id="bulk", operation=operation, object_name="Contact", payload=rows,
        salesforce_conn_id="emulated", **more,
    )
    results[operation] = operator.execute({})
print("RESULT " + json.dumps(results))
"""


def test_simple_salesforce_queries_and_pages(
    emulator: RunningEmulator, salesforce: Salesforce
) -> None:
    assert salesforce.sf_instance == f"127.0.0.1:{emulator.tls_port}"
    everything = salesforce.query_all("SELECT Id, Email FROM Contact", include_deleted=True)
    assert everything["totalSize"] == len(emulator.records("Contact"))
    assert salesforce.api_usage["api-usage"].total == 100_000
    assert salesforce.limits()["DailyApiRequests"]["Max"] == 100_000


def test_simple_salesforce_reads_and_writes_records(
    emulator: RunningEmulator, salesforce: Salesforce
) -> None:
    record_id = next(each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"])
    assert salesforce.Contact.update(record_id, {OPT_OUT: True}) == 204
    assert salesforce.Contact.get(record_id)[OPT_OUT] is True
    assert salesforce.Contact.describe()["keyPrefix"] == "003"
    results = salesforce.restful(
        "composite/sobjects",
        method="PATCH",
        json={"records": [{"attributes": {"type": "Contact"}, "Id": record_id, OPT_OUT: False}]},
    )
    assert results == [{"id": record_id, "success": True, "errors": []}]


def test_simple_salesforce_understands_the_errors(salesforce: Salesforce) -> None:
    with pytest.raises(SalesforceMalformedRequest) as refused:
        salesforce.query("SELECT Nothing__c FROM Contact")
    assert refused.value.content[0]["errorCode"] == "INVALID_FIELD"
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.Contact.get("003000000000001AAA")


def test_simple_salesforce_runs_bulk_jobs(
    emulator: RunningEmulator, salesforce: Salesforce
) -> None:
    contacts = [each["Id"] for each in emulator.records("Contact") if not each["IsDeleted"]]
    pages = list(salesforce.bulk2.Contact.query_all("SELECT Id FROM Contact", max_records=50))
    assert sum(page.count("\n") - 1 for page in pages) == len(emulator.records("Contact"))
    rows = [{"Id": each, OPT_OUT: True} for each in [*contacts[:4], "003000000000001AAA"]]
    (outcome,) = salesforce.bulk2.Contact.update(records=rows, wait=0.2)
    assert (outcome["numberRecordsProcessed"], outcome["numberRecordsFailed"]) == (5, 1)
    failed = salesforce.bulk2.Contact.get_failed_records(outcome["job_id"])
    assert "INVALID_CROSS_REFERENCE_KEY" in failed
    assert all(emulator.record(each)[OPT_OUT] for each in contacts[:4])


def test_simple_salesforce_logs_in_again_when_its_session_ended(
    emulator: RunningEmulator, salesforce: Salesforce
) -> None:
    emulator.revoke_sessions()
    assert salesforce.query("SELECT COUNT() FROM Organization")["totalSize"] == 1


def test_simple_salesforce_reports_a_wrong_secret(
    emulator: RunningEmulator, salesforce: Salesforce
) -> None:
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid_client"):
        Salesforce(
            consumer_key=emulator.client_id,
            consumer_secret="wrong",
            domain=emulator.login_domain,
        )


def test_the_airflow_hook_needs_nothing_but_a_connection(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    seen = run_in_airflow(emulator, tmp_path, HOOK)
    total = len(emulator.records("Contact"))
    alive = len([each for each in emulator.records("Contact") if not each["IsDeleted"]])
    assert seen["ok"] is True
    assert (seen["total"], seen["rows"], seen["status"]) == (total, total, 204)
    assert OPT_OUT in seen["fields"]
    assert seen["bulk"] == alive
    assert seen["usage"] is True
    assert emulator.record(seen["first"])[OPT_OUT] is True


def run_in_airflow(
    emulator: RunningEmulator, folder: Path, program: str, *arguments: str
) -> dict[str, Any]:
    """Run a program which has nothing but an Airflow Connection and the private authority."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CONN_EMULATED": emulator.airflow_connection,
        "REQUESTS_CA_BUNDLE": str(emulator.ca_bundle),
    }
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ended.returncode == 0, ended.stderr
    line = next(each for each in ended.stdout.splitlines() if each.startswith("RESULT "))
    seen: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return seen


def test_the_bulk_operator_of_airflow_runs_every_operation(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    """Bulk API 1.0 in JSON, over TLS, from a Connection alone; a locked row is tried again."""
    first, second, third = (each["Id"] for each in emulator.records("Contact")[:3])
    emulator.add_fault(action="row_error", code="UNABLE_TO_LOCK_ROW", ids=[second], times=1)
    retries = {"max_retries": 1, "bulk_retry_delay": 0.1, "batch_size": 2}
    runs = [
        ("insert", [{"LastName": "Made"}, {"FirstName": "Nobody"}], {}),
        ("update", [{"Id": first, OPT_OUT: True}, {"Id": second, OPT_OUT: True}], retries),
        (
            "upsert",
            [{"LastName": "By mail", "Email": "m@example.net"}],
            {"external_id_field": "Email"},
        ),
        ("delete", [{"Id": third}], {}),
    ]
    seen = run_in_airflow(emulator, tmp_path, OPERATOR, json.dumps(runs))
    made, refused = seen["insert"]
    assert emulator.record(made["id"])["LastName"] == "Made"
    assert refused["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert [each["success"] for each in seen["update"]] == [True, True]
    assert emulator.record(second)[OPT_OUT] is True
    assert seen["upsert"][0]["created"] is True
    assert emulator.record(third)["IsDeleted"] is True


def test_simple_salesforce_makes_finds_and_removes_records(
    emulator: RunningEmulator, salesforce: Salesforce
) -> None:
    made = salesforce.Account.create({"Name": "Sitwell-Bluth"})
    assert made["success"] is True
    contact = salesforce.Contact.create({"LastName": "S", "AccountId": made["id"]})["id"]
    soql = f"SELECT Account.Name, LastModifiedBy.Username FROM Contact WHERE Id = '{contact}'"
    (found,) = salesforce.query(soql)["records"]
    assert found["Account"]["Name"] == "Sitwell-Bluth"
    key = format_external_id("Email", "o'x@example.net")
    assert salesforce.Contact.upsert(key, {"LastName": "T"}) == 201
    assert salesforce.Contact.upsert(key, {"LastName": "U"}) in (200, 204)
    assert salesforce.Contact.delete(contact) == 204
    now = datetime.now(UTC)
    deleted = salesforce.Contact.deleted(now - timedelta(minutes=5), now + timedelta(minutes=5))
    assert contact in {each["id"] for each in deleted["deletedRecords"]}


def test_simple_salesforce_runs_bulk_jobs_of_the_old_version(
    emulator: RunningEmulator, salesforce: Salesforce
) -> None:
    rows = salesforce.bulk.Contact.query("SELECT Id, LastName FROM Contact LIMIT 5")
    assert len(rows) == 5
    results = salesforce.bulk.Contact.update(
        [{"Id": row["Id"], OPT_OUT: True} for row in rows], batch_size=2, use_serial=True
    )
    assert [each["id"] for each in results] == [row["Id"] for row in rows]
    assert all(emulator.record(row["Id"])[OPT_OUT] for row in rows)
