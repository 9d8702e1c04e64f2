"""Unmodified clients, over TLS with the private authority."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from simple_salesforce import Salesforce
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


@pytest.fixture
def salesforce(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> Salesforce:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(emulator.ca_bundle))
    return Salesforce(
        consumer_key=emulator.client_id,
        consumer_secret=emulator.client_secret,
        domain=emulator.login_domain,
        version=emulator.api_version,
    )


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
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONN_EMULATED": emulator.airflow_connection,
        "REQUESTS_CA_BUNDLE": str(emulator.ca_bundle),
    }
    ended = subprocess.run(
        [sys.executable, "-c", HOOK], env=environment, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    line = next(each for each in ended.stdout.splitlines() if each.startswith("RESULT "))
    seen = json.loads(line.removeprefix("RESULT "))
    total = len(emulator.records("Contact"))
    alive = len([each for each in emulator.records("Contact") if not each["IsDeleted"]])
    assert seen["ok"] is True
    assert (seen["total"], seen["rows"], seen["status"]) == (total, total, 204)
    assert OPT_OUT in seen["fields"]
    assert seen["bulk"] == alive
    assert seen["usage"] is True
    assert emulator.record(seen["first"])[OPT_OUT] is True
