"""Login, session and limits against the emulator, by the real SalesforceHook over TLS."""

import traceback
from collections.abc import Callable

import certifi
import pytest
import requests
from simple_salesforce.api import Salesforce

from include.domain.errors import PermanentSyncError
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.salesforce.describe import FieldAccess
from include.salesforce.errors import (
    ApiLimitError,
    FieldSpellingError,
    FieldTypeError,
    InsecureConnectionError,
    LoginError,
    SalesforceRequestError,
    SalesforceUnavailableError,
)
from include.salesforce.limits import ApiBudget
from include.salesforce.session import SalesforceSession
from local.salesforce_emulator.testing import RunningEmulator, free_ports
from tests.salesforce.conftest import QUICK
from tests.salesforce.scripted import Answer, ScriptedSalesforce

CONTACT, LEAD = SalesforceObject.CONTACT, SalesforceObject.LEAD
FIELD = "HasOptedOutOfEmail"
LONG_AGO = {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}


def logins(emulator: RunningEmulator) -> int:
    return sum(n for key, n in emulator.request_counts().items() if "/services/data" not in key)


def test_one_connection_is_all_it_takes(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    organization_id = client.organization_id()

    assert organization_id == emulator.control("GET", "health")["organization_id"]
    assert len(organization_id) == 18
    assert logins(emulator) == 1


def test_a_login_names_its_org_so_nothing_else_is_asked(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    assert client.organization_id() == client.organization_id() == client.organization().id

    assert sum(emulator.request_counts().values()) == logins(emulator) + 1


def test_the_budget_is_the_orgs(
    emulator: RunningEmulator, client: SalesforceClient, session: SalesforceSession
) -> None:
    emulator.set_limits(daily_api_requests=5_000, used=40)

    budget = client.api_budget()

    assert budget == ApiBudget(used=41, allowed=5_000) == session.usage
    assert budget.remaining == 4_959


def test_a_used_up_limit_is_named_and_not_hammered(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    client.organization_id()
    emulator.set_limits(daily_api_requests=100, used=100)
    emulator.reset_requests()

    with pytest.raises(ApiLimitError, match="REQUEST_LIMIT_EXCEEDED"):
        client.field_access(CONTACT, FIELD)

    assert sum(emulator.request_counts().values()) == 1


def test_a_wrong_secret_is_told_once_and_kept_secret(
    emulator: RunningEmulator, client: SalesforceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = emulator.airflow_connection.replace(emulator.client_secret, "canary-5up3r-s3cret")
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", wrong)

    with pytest.raises(LoginError, match="invalid_client") as caught:
        client.organization_id()

    text = "".join(traceback.format_exception(caught.value))
    assert "Connection" in text
    assert "canary" not in text
    assert logins(emulator) == 1


@pytest.mark.parametrize("extra", ['{"consumer_key": "key"}', "{}"])
def test_a_connection_without_a_complete_login_is_named(
    emulator: RunningEmulator,
    client: SalesforceClient,
    monkeypatch: pytest.MonkeyPatch,
    extra: str,
) -> None:
    connection = f'{{"conn_type": "salesforce", "extra": {extra}}}'
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", connection)

    with pytest.raises(LoginError, match="consumer_secret"):
        client.organization_id()


@pytest.mark.parametrize(
    "body", ["<html>busy</html>", [{"errorCode": "SERVER_UNAVAILABLE"}], {"error": "busy"}]
)
def test_a_login_service_that_is_busy_is_asked_again(
    emulator: RunningEmulator, client: SalesforceClient, body: object
) -> None:
    """simple-salesforce reads every one of these as a wrong password, or breaks on it."""
    emulator.add_fault(path_contains="login", status=503, body=body, times=2)

    assert client.organization_id()


def test_what_salesforce_says_about_a_user_is_not_repeated(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    body = {"error": "inactive_user", "error_description": "ann@example.com is inactive"}
    emulator.add_fault(path_contains="login", status=400, body=body)

    with pytest.raises(LoginError, match="inactive_user") as caught:
        client.organization_id()

    assert "ann@example.com" not in "".join(traceback.format_exception(caught.value))


def test_a_certificate_nobody_vouches_for_is_refused(
    client: SalesforceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())

    with pytest.raises(InsecureConnectionError, match="certificate"):
        client.organization_id()


def test_a_ca_bundle_that_does_not_exist_is_named(
    client: SalesforceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")

    with pytest.raises(InsecureConnectionError, match="REQUESTS_CA_BUNDLE"):
        client.organization_id()


def test_nobody_at_home_is_unavailable(
    emulator: RunningEmulator, client: SalesforceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    elsewhere = emulator.airflow_connection.replace(str(emulator.tls_port), str(port))
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", elsewhere)

    with pytest.raises(SalesforceUnavailableError) as caught:
        client.organization_id()

    assert not caught.value.was_sent


def test_an_ended_session_is_renewed_once_and_goes_unnoticed(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    first = client.api_budget()
    emulator.revoke_sessions()

    assert client.api_budget().allowed == first.allowed
    assert logins(emulator) == 2


@pytest.mark.parametrize("expires", [False, True])
def test_a_conditional_write_stays_conditional_when_the_session_ends(
    emulator: RunningEmulator, session: SalesforceSession, expires: bool
) -> None:
    record = emulator.records("Contact")[5]
    path = f"sobjects/Contact/{record['Id']}"
    if expires:
        emulator.add_fault(method="PATCH", path_contains=path, action="expire_session")

    with pytest.raises(SalesforceRequestError) as caught:
        session.request(
            "PATCH",
            path,
            repeatable=False,
            headers=LONG_AGO,
            json={FIELD: not record[FIELD]},
        )

    assert caught.value.status == 412
    assert emulator.record(record["Id"])[FIELD] == record[FIELD]


def test_a_field_of_another_type_is_no_opt_out_whatever_it_holds(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    emulator.install_field("Lead", fullName="X__c", type="Text", label="X", length=20)
    with pytest.raises(FieldTypeError, match="X__c of Lead is of type string"):
        client.field_access(LEAD, "X__c")


@pytest.mark.parametrize(("readable", "updateable"), [(True, True), (True, False), (False, False)])
def test_field_access_is_what_field_level_security_says(
    emulator: RunningEmulator, client: SalesforceClient, readable: bool, updateable: bool
) -> None:
    emulator.set_field_access("Lead", FIELD, readable=readable, updateable=updateable)

    assert client.field_access(LEAD, FIELD) == FieldAccess(readable, updateable)


def test_a_field_spelled_in_another_case_is_an_error_with_its_correction(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    """Salesforce would find it, but answers under its own spelling, where we do not look."""
    emulator.install_checkbox("Lead", "Sales_Opt_Out__c", "Sales Opt Out")

    with pytest.raises(FieldSpellingError) as caught:
        client.field_access(LEAD, "sales_opt_out__c")

    assert isinstance(caught.value, PermanentSyncError)
    assert str(caught.value) == (
        "Salesforce spells the field Sales_Opt_Out__c; the settings say sales_opt_out__c: correct "
        "it with python -m include.cli settings set --sales-field Sales_Opt_Out__c --by NAME "
        "--note WHY"
    )
    assert client.field_access(LEAD, "Sales_Opt_Out__c") == FieldAccess(True, True)


def test_a_hidden_field_has_no_spelling(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    emulator.set_field_access("Lead", FIELD, readable=False, updateable=False)

    assert client.field_access(LEAD, FIELD.lower()) == FieldAccess(False, False)


def test_a_field_that_is_not_installed_is_neither_readable_nor_updateable(
    client: SalesforceClient,
) -> None:
    assert client.field_access(CONTACT, "Not_There__c") == FieldAccess(False, False)


def test_an_object_the_user_cannot_see_costs_that_object_only(
    emulator: RunningEmulator, client: SalesforceClient
) -> None:
    emulator.set_object_access("Lead", readable=False)

    assert client.field_access(LEAD, FIELD) == FieldAccess(False, False)
    assert client.field_access(CONTACT, FIELD) == FieldAccess(True, True)


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b"<html>no such page</html>"), (403, [{"errorCode": "API_DISABLED_FOR_ORG"}])],
)
def test_any_other_refusal_of_describe_is_an_error(status: int, body: object) -> None:
    """A proxy's 404 says nothing about what the integration user may see."""
    salesforce = ScriptedSalesforce(Answer(status, body))

    with pytest.raises(SalesforceRequestError) as caught:
        SalesforceClient(salesforce.session).field_access(LEAD, FIELD)

    assert caught.value.status == status


@pytest.mark.parametrize("action", [{"status": 503}, {"action": "reset"}, {"action": "truncate"}])
def test_faults_that_pass_are_outlived(
    emulator: RunningEmulator, client: SalesforceClient, action: dict[str, object]
) -> None:
    emulator.add_fault(path_contains="/describe", times=3, **action)

    assert client.field_access(CONTACT, FIELD).readable


def test_a_request_without_an_answer_ends_at_the_timeout(
    emulator: RunningEmulator, log_in: Callable[[requests.Session], Salesforce]
) -> None:
    """A socket that accepts and says nothing: simple-salesforce would wait for ever."""
    import socket

    from include.salesforce.transport import Timeouts

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        elsewhere = emulator.airflow_connection.replace(str(emulator.tls_port), str(port))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_SALESFORCE", elsewhere)
            session = SalesforceSession(
                log_in, timeouts=Timeouts(connect=0.2, read=0.2), backoff=QUICK
            )
            with pytest.raises(SalesforceUnavailableError):
                session.request("GET", "limits", repeatable=True)
