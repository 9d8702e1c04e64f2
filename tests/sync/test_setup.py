"""An org is set up step by step, by an administrator, for an integration user who may do nothing.

What was installed is read with clients that are not ours: simple-salesforce, and zeep behind its
`mdapi`.
"""

import json
import os
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.providers.salesforce.hooks.salesforce import SalesforceHook
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from sqlalchemy import Engine

from include.audit import settings
from include.audit.settings import FieldMode
from include.domain.values import STANDARD_FIELD, SalesforceObject
from include.salesforce.administration import SalesforceAdministration
from include.salesforce.client import SalesforceClient
from include.salesforce.definitions import Checkbox
from include.salesforce.errors import DeployFailedError, MissingPermissionError
from include.salesforce.metadata import Waiting
from include.salesforce.session import Backoff, SalesforceSession
from include.sync import setup
from include.sync.clock import utc_now
from include.sync.setup.planning import UnknownLayoutError
from include.sync.setup.steps import LayoutContestedError, require_permitted
from include.sync.setup.wish import TwoOrgsError, UnknownSetupParameterError, Wish
from local.salesforce_emulator.connection import DEFAULT_PASSWORD, DEFAULT_SECURITY_TOKEN
from local.salesforce_emulator.identity import ADMIN_USERNAME
from local.salesforce_emulator.testing import RunningEmulator

BOX = "Sales_Opt_Out__c"
CONTACT_LAYOUT, SALES_LAYOUT = "Contact-Contact Layout", "Contact-Contact (Sales) Layout"
LEAD_LAYOUT = "Lead-Lead Layout"
SETUP_PERMISSIONS = (
    "ModifyMetadata",
    "ModifyAllData",
    "CustomizeApplication",
    "ViewSetup",
    "ManageProfilesPermissionsets",
    "AssignPermissionSets",
    "ViewAllData",
)
EVERYTHING = Wish(
    FieldMode.BOTH,
    Checkbox(BOX, "Sales Opt Out"),
    layouts=(CONTACT_LAYOUT, LEAD_LAYOUT),
    track_history=True,
)


def admin_connection(org: RunningEmulator) -> str:
    """The Connection of a person: what the integration user may do is what the setup gives it."""
    extra = {
        "consumer_key": org.client_id,
        "consumer_secret": org.client_secret,
        "domain": org.login_domain,
    }
    return json.dumps(
        {
            "conn_type": "salesforce",
            "login": ADMIN_USERNAME,
            "password": DEFAULT_PASSWORD + DEFAULT_SECURITY_TOKEN,
            "extra": extra,
        }
    )


def session(connection: str) -> SalesforceSession:
    return SalesforceSession(
        lambda http: SalesforceHook(connection, session=http).get_conn(),
        backoff=Backoff(attempts=3, first=0.01, longest=0.02),
    )


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Setup:
    """The setup, and the org as other clients see it."""

    engine: Engine
    org: RunningEmulator
    seen: setup.Org
    them: Salesforce  # as the administrator
    us: Salesforce  # as the integration user

    def run(self, wish: Wish = EVERYTHING) -> list[str]:
        require_permitted(self.engine, self.seen, wish)
        return [
            *setup.install_field(self.engine, self.seen, wish, clock=utc_now),
            *setup.grant_access(self.engine, self.seen, wish),
            *setup.add_to_layouts(self.engine, self.seen, wish),
            *setup.track_history(self.engine, self.seen, wish),
            *setup.verify(self.engine, self.seen, wish),
        ]

    def plan(self, wish: Wish = EVERYTHING) -> list[str]:
        return setup.look(self.engine, self.seen, wish).lines()

    def described(self, obj: str) -> dict[str, Any]:
        return {each["name"]: each for each in getattr(self.us, obj).describe()["fields"]}

    def fields_of_layout(self, name: str) -> list[list[list[str]]]:
        """Fields by section and column, as zeep reads them."""
        layout = self.them.mdapi.Layout.read([name])
        return [
            [[item.field for item in column.layoutItems] for column in section.layoutColumns]
            for section in layout.layoutSections
        ]

    def chosen(self) -> settings.SettingsVersion:
        with self.engine.begin() as conn:
            return settings.current(conn)

    def rows(self, soql: str) -> list[dict[str, Any]]:
        return list(self.them.query(soql)["records"])


@pytest.fixture
def fresh(engine: Engine, shared_emulator: RunningEmulator, monkeypatch) -> Any:
    """An org as Salesforce ships it: the fields hidden, the integration user without any right."""
    org = shared_emulator
    org.reset()
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE", org.airflow_connection)
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE_ADMIN", admin_connection(org))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(org.own_ca))
    for permission in SETUP_PERMISSIONS:
        org.set_user_permission(permission, granted=False)
    for obj in SalesforceObject:
        org.set_field_access(obj, STANDARD_FIELD, readable=False, updateable=False)
        org.set_object_access(obj, readable=False)
    administration = SalesforceAdministration(
        session("salesforce_admin"), waiting=Waiting(first=0.02)
    )
    client = SalesforceClient(session("salesforce"))
    common = {"consumer_key": org.client_id, "consumer_secret": org.client_secret}
    them = Salesforce(
        username=ADMIN_USERNAME,
        password=DEFAULT_PASSWORD + DEFAULT_SECURITY_TOKEN,
        domain=org.login_domain,
        version="65.0",
        **common,
    )
    us = Salesforce(domain=org.login_domain, version="65.0", **common)
    yield Setup(engine, org, setup.Org(administration, client), them, us)
    org.reset()


# -- a fresh org


def test_a_plan_says_what_there_is_and_what_would_be_done(fresh):
    lines = fresh.plan()
    assert f"{BOX} of Contact: not there." in lines
    assert f"{STANDARD_FIELD} of Lead: there, hidden from the integration user." in lines
    assert f"Page layouts: {SALES_LAYOUT}, {CONTACT_LAYOUT}, {LEAD_LAYOUT}." in lines
    planned = [each for each in lines if each.startswith("Planned: ")]
    assert planned[0] == (
        f"Planned: create the checkbox {BOX} (Sales Opt Out) on Contact. To undo: delete it, its "
        "values go with it: Setup > Object Manager > Contact > Fields & Relationships > Sales Opt "
        "Out > Delete."
    )
    done = [each.replace("Done: ", "Planned: ") for each in fresh.run()]
    assert planned == done[:-2]  # behind them `verify` says what it saw


def test_a_plan_changes_nothing(fresh):
    fresh.org.reset_requests()
    fresh.plan()
    written = {each for each in fresh.org.request_counts() if not each.startswith("GET ")}
    assert written == {"POST /login", "POST /services/Soap/m/{version}"}
    assert fresh.rows("SELECT Id FROM PermissionSet WHERE Name = 'Opt_Out_Sync'") == []
    assert BOX not in fresh.org.records("Contact")[0]
    assert STANDARD_FIELD not in str(fresh.fields_of_layout(CONTACT_LAYOUT))
    assert fresh.them.mdapi.CustomObject.read(["Contact"]).enableHistory is False


def test_a_fresh_org_is_set_up_and_other_clients_see_it(fresh):
    before = fresh.fields_of_layout(CONTACT_LAYOUT)
    lines = fresh.run()
    assert lines[-2].startswith("The integration user can read and write")
    for obj in SalesforceObject:
        fields = fresh.described(obj)
        assert fields[BOX]["type"] == "boolean"
        assert fields[BOX]["updateable"]
        assert fields[BOX]["label"] == "Sales Opt Out"
        assert fields[STANDARD_FIELD]["updateable"]
        for name in (BOX, STANDARD_FIELD):
            assert fresh.them.mdapi.CustomField.read([f"{obj}.{name}"]).trackHistory is True
    contact = fresh.org.records("Contact")[0]["Id"]
    fresh.us.Contact.update(contact, {BOX: True, STANDARD_FIELD: True})
    after = fresh.fields_of_layout(CONTACT_LAYOUT)
    assert after[0][1] == [*before[0][1], STANDARD_FIELD, BOX]  # last in the column of the address
    assert [after[0][0], *after[1:]] == [before[0][0], *before[1:]]
    assert SALES_LAYOUT not in " ".join(lines)


def test_the_permission_set_permits_what_is_needed_and_no_more(fresh):
    fresh.run()
    (found,) = fresh.rows(
        "SELECT Id, Label, PermissionsApiEnabled, PermissionsModifyAllData "
        "FROM PermissionSet WHERE Name = 'Opt_Out_Sync'"
    )
    assert (found["Label"], found["PermissionsApiEnabled"]) == ("Opt-Out Sync", True)
    assert not found["PermissionsModifyAllData"]
    objects = fresh.rows(
        "SELECT SobjectType, PermissionsRead, PermissionsEdit, PermissionsViewAllRecords, "
        "PermissionsCreate, PermissionsDelete, PermissionsModifyAllRecords FROM ObjectPermissions "
        f"WHERE ParentId = '{found['Id']}' ORDER BY SobjectType"
    )
    granted = [[each[name] for name in each if name != "attributes"] for each in objects]
    assert granted == [[obj, True, True, True, False, False, False] for obj in ("Contact", "Lead")]
    fields = fresh.rows(f"SELECT Field FROM FieldPermissions WHERE ParentId = '{found['Id']}'")
    assert sorted(each["Field"] for each in fields) == sorted(
        f"{obj}.{name}" for obj in SalesforceObject for name in (STANDARD_FIELD, BOX)
    )


def test_with_person_accounts_the_permission_set_covers_accounts(fresh):
    fresh.org.enable_person_accounts()
    lines = fresh.run(Wish(FieldMode.EMAIL_OPT_OUT, EVERYTHING.checkbox))
    assert any("read Account (all records) and edit it" in each for each in lines)


def test_the_standard_mode_installs_no_field(fresh):
    lines = fresh.run(Wish(FieldMode.EMAIL_OPT_OUT, EVERYTHING.checkbox))
    assert lines[0] == f"Nothing to do: email_opt_out needs no checkbox but {STANDARD_FIELD}."
    assert BOX not in fresh.org.records("Contact")[0]
    assert fresh.described("Contact")[STANDARD_FIELD]["updateable"]


def test_a_layout_whose_name_has_special_characters_is_found(fresh):
    wish = Wish(FieldMode.EMAIL_OPT_OUT, EVERYTHING.checkbox, layouts=(SALES_LAYOUT,))
    fresh.run(wish)
    assert STANDARD_FIELD in fresh.fields_of_layout(SALES_LAYOUT)[0][1]


# -- twice, half-way, killed


def test_the_second_time_there_is_nothing_to_do(fresh):
    fresh.run()
    layout = fresh.fields_of_layout(CONTACT_LAYOUT)
    versions = fresh.chosen().version
    lines = fresh.run()
    assert [each.partition(":")[0] for each in lines[:-2]] == ["Nothing to do"] * 5
    assert fresh.fields_of_layout(CONTACT_LAYOUT) == layout
    assert fresh.chosen().version == versions
    assert fresh.plan()[-1] == "Nothing to do: everything is as it should be."


def test_a_half_installed_org_is_completed_and_what_is_there_stays(fresh):
    field = fresh.them.mdapi.CustomField(
        fullName=f"Lead.{BOX}", label="Kein Vertrieb", type="Checkbox", defaultValue="false"
    )
    fresh.them.mdapi.CustomField.create([field])
    made = fresh.them.PermissionSet.create({"Name": "Opt_Out_Sync", "Label": "Ours"})
    fresh.them.ObjectPermissions.create(
        {"ParentId": made["id"], "SobjectType": "Account", "PermissionsRead": True}
    )
    fresh.them.ObjectPermissions.create(
        {"ParentId": made["id"], "SobjectType": "Lead", "PermissionsRead": True}
    )
    fresh.them.FieldPermissions.create(
        {
            "ParentId": made["id"],
            "SobjectType": "Lead",
            "Field": f"Lead.{STANDARD_FIELD}",
            "PermissionsRead": True,
        }
    )
    fresh.run()
    assert fresh.them.mdapi.CustomField.read([f"Lead.{BOX}"]).label == "Kein Vertrieb"
    (found,) = fresh.rows("SELECT Id, Label FROM PermissionSet WHERE Name = 'Opt_Out_Sync'")
    assert (found["Id"], found["Label"]) == (made["id"], "Ours")
    kept = fresh.rows(
        f"SELECT Id FROM ObjectPermissions WHERE ParentId = '{made['id']}' "
        "AND SobjectType = 'Account'"
    )
    assert len(kept) == 1
    assert fresh.described("Lead")[STANDARD_FIELD]["updateable"]


DEPLOY = "/Soap/m/"
POINTS = [DEPLOY, "sobjects/PermissionSet", "sobjects/FieldPermissions", "Assignment"]


@pytest.mark.parametrize("lost", [False, True], ids=["before", "reply lost"])
@pytest.mark.parametrize("point", POINTS)
def test_a_setup_that_breaks_anywhere_is_completed_by_the_next_try(fresh, point, lost):
    """The connection breaks before or after Salesforce did what was asked."""
    fresh.org.add_fault(
        method="POST", path_contains=point, action="reset_after" if lost else "reset", times=8,
        after=0 if point != "Soap" else 4,
    )  # fmt: skip
    with pytest.raises(Exception, match="no answer from Salesforce"):
        fresh.run()
    fresh.org.clear_faults()
    fresh.run()
    assert fresh.plan()[-1] == "Nothing to do: everything is as it should be."
    assert len(fresh.rows("SELECT Id FROM PermissionSet WHERE Name = 'Opt_Out_Sync'")) == 1


class StoppingWire(HTTPAdapter):
    """Ends the process at the nth effect on the org: just before it, or just after."""

    def __init__(self, stop_at: int | None, after: bool) -> None:
        super().__init__()
        self._stop_at, self._after, self.effects = stop_at, after, []

    def send(self, request, **options):
        if not self._is_effect(request):
            return super().send(request, **options)
        self.effects.append(request.path_url)
        is_now = len(self.effects) - 1 == self._stop_at
        if is_now and not self._after:
            raise Killed
        answer = super().send(request, **options)
        if is_now:
            raise Killed
        return answer

    @staticmethod
    def _is_effect(request):
        is_soap = "/Soap/m/" in request.path_url
        return b":deploy>" in request.body if is_soap else request.method in {"POST", "PATCH"}


def watched(wire: StoppingWire) -> SalesforceAdministration:
    def log_in(http):
        logged_in = SalesforceHook("salesforce_admin", session=http).get_conn()
        http.mount("https://", wire)  # a login changes nothing
        return logged_in

    return SalesforceAdministration(SalesforceSession(log_in), waiting=Waiting(first=0.02))


EFFECTS = 12
"""The field; the set, two objects, four fields, an assignment; two layouts; the history."""
EVERY = int(os.environ.get("OPT_OUT_SYNC_KILL_EVERY", "3"))
"""Each kill costs seconds: CI's long profile kills at every effect, the short at some."""
KILLS = [(effect, after) for after in (True, False) for effect in range(EFFECTS)][::EVERY]


def test_every_effect_of_a_setup_is_known(fresh):
    wire = StoppingWire(None, after=False)
    fresh.seen = setup.Org(watched(wire), fresh.seen.client)
    fresh.run()
    assert len(wire.effects) == EFFECTS
    assert len([each for each in wire.effects if "Soap" in each]) == 4


@pytest.mark.parametrize(("effect", "after"), KILLS)
def test_a_setup_that_is_killed_at_any_effect_is_completed_by_the_next_one(fresh, effect, after):
    alive = fresh.seen
    fresh.seen = setup.Org(watched(StoppingWire(effect, after)), alive.client)
    with pytest.raises(Killed):
        fresh.run()
    fresh.seen = alive
    fresh.run()
    assert fresh.plan()[-1] == "Nothing to do: everything is as it should be."
    assert len(fresh.rows("SELECT Id FROM PermissionSet WHERE Name = 'Opt_Out_Sync'")) == 1
    assert str(fresh.fields_of_layout(LEAD_LAYOUT)).count(BOX) == 1


# -- a field that is there


@pytest.mark.parametrize("label", ["Marketo Sales Opt Out", "MSE - Opt Out", "mse - opt out"])
def test_the_field_of_the_original_product_is_adopted(fresh, label):
    for obj in SalesforceObject:
        fresh.org.install_checkbox(obj, "mkto_si__Sales_Opt_Out__c", label)
    assert any(
        each.startswith("Planned: use the checkbox mkto_si__Sales_Opt_Out__c")
        for each in fresh.plan()
    )
    assert fresh.chosen().version == 1
    fresh.run()
    chosen = fresh.chosen()
    assert chosen.settings.sales_opt_out_field == "mkto_si__Sales_Opt_Out__c"
    assert (chosen.saved_by, chosen.version) == ("salesforce_opt_out_setup", 2)
    assert BOX not in fresh.org.records("Contact")[0]
    assert fresh.described("Lead")["mkto_si__Sales_Opt_Out__c"]["updateable"]


def test_an_adopted_field_without_a_package_is_created_where_it_is_missing(fresh):
    fresh.org.install_checkbox("Contact", "Marketo_Opt_Out__c", "Marketo Sales Opt Out")
    fresh.run()
    assert fresh.described("Lead")["Marketo_Opt_Out__c"]["label"] == "Marketo Sales Opt Out"


def test_a_field_in_another_case_is_adopted_as_salesforce_spells_it(fresh):
    for obj in SalesforceObject:
        fresh.org.install_checkbox(obj, "SALES_Opt_Out__c", "Whatever")
    fresh.run()
    assert fresh.chosen().settings.sales_opt_out_field == "SALES_Opt_Out__c"


@pytest.mark.parametrize("kind", ["Text", "Date"])
def test_a_field_of_that_name_and_another_type_is_refused_and_nothing_is_changed(fresh, kind):
    more = {"length": 20} if kind == "Text" else {}
    fresh.org.install_field("Lead", fullName=BOX, type=kind, label="Something", **more)
    with pytest.raises(setup.FieldConflictError, match=f"{BOX} of Lead is {kind} and an opt-out"):
        fresh.run()
    with pytest.raises(setup.FieldConflictError):
        setup.install_field(fresh.engine, fresh.seen, EVERYTHING, clock=utc_now)
    assert BOX not in fresh.org.records("Contact")[0]
    assert fresh.rows("SELECT Id FROM PermissionSet WHERE Name = 'Opt_Out_Sync'") == []


# -- somebody else is at work


class Busy(SalesforceAdministration):
    """Somebody saves a layout, with a client of their own, each time before we look again."""

    times = 1
    edit: Any = None
    reads = 0

    def read_layouts(self, full_names):
        self.reads += 1
        if self.reads % 2 == 0 and self.times > 0:
            self.times -= 1
            self.edit()
        return super().read_layouts(full_names)


@pytest.fixture
def busy(fresh):
    def edit():
        layout = fresh.them.mdapi.Layout.read([LEAD_LAYOUT])
        section = layout.layoutSections[1]
        section.label += "!"
        columns = section.layoutColumns[0]
        if all(item.field != "Salutation" for item in columns.layoutItems):
            columns.layoutItems.append({"behavior": "Edit", "field": "Salutation"})
        fresh.them.mdapi.Layout.update([layout])

    administration = Busy(session("salesforce_admin"), waiting=Waiting(first=0.02))
    administration.edit = edit
    fresh.seen = setup.Org(administration, fresh.seen.client)
    return administration


ONLY_THE_LAYOUT = Wish(FieldMode.EMAIL_OPT_OUT, EVERYTHING.checkbox, layouts=(LEAD_LAYOUT,))


def test_a_layout_that_was_edited_meanwhile_keeps_the_edit(fresh, busy):
    setup.add_to_layouts(fresh.engine, fresh.seen, ONLY_THE_LAYOUT)
    sections = fresh.fields_of_layout(LEAD_LAYOUT)
    assert STANDARD_FIELD in sections[0][1]
    assert len(sections[1][0]) == 2  # what they added
    assert fresh.them.mdapi.Layout.read([LEAD_LAYOUT]).layoutSections[1].label.endswith("!")


def test_a_layout_that_is_edited_again_and_again_is_left_to_its_editor(fresh, busy):
    busy.times = 99
    with pytest.raises(LayoutContestedError, match="somebody is editing the page layout Lead-Lead"):
        setup.add_to_layouts(fresh.engine, fresh.seen, ONLY_THE_LAYOUT)
    assert STANDARD_FIELD not in fresh.fields_of_layout(LEAD_LAYOUT)[0][1]


# -- what stops it


def test_an_unknown_layout_stops_it_before_anything_is_changed(fresh):
    wish = Wish(FieldMode.BOTH, EVERYTHING.checkbox, layouts=("Contact-Nothing",))
    with pytest.raises(UnknownLayoutError, match="there is no page layout Contact-Nothing"):
        fresh.run(wish)
    assert BOX not in fresh.org.records("Contact")[0]


@pytest.mark.parametrize(
    ("permission", "label"),
    [
        ("CustomizeApplication", "Customize Application"),
        ("ManageProfilesPermissionsets", "Manage Profiles and Permission Sets"),
        ("AssignPermissionSets", "Assign Permission Sets"),
        ("ViewSetup", "View Setup and Configuration"),
    ],
)
def test_a_missing_permission_stops_it_before_anything_is_changed(fresh, permission, label):
    fresh.org.set_user_permission(permission, granted=False, user="human")
    with pytest.raises(MissingPermissionError, match=f"lacks {label}"):
        fresh.run()
    assert BOX not in fresh.org.records("Contact")[0]


def test_the_integration_user_alone_may_not_even_look(fresh):
    fresh.seen = setup.Org(SalesforceAdministration(session("salesforce")), fresh.seen.client)
    with pytest.raises(MissingPermissionError, match="Modify Metadata Through Metadata API"):
        fresh.plan()


@pytest.mark.parametrize(
    ("permission", "step", "error"),
    [
        ("CustomizeApplication", "install_field", DeployFailedError),
        ("ManageProfilesPermissionsets", "grant_access", MissingPermissionError),
        ("AssignPermissionSets", "grant_access", MissingPermissionError),
        ("CustomizeApplication", "track_history", DeployFailedError),
        ("CustomizeApplication", "add_to_layouts", DeployFailedError),
    ],
)
def test_a_step_whose_permission_was_taken_meanwhile_says_so(fresh, permission, step, error):
    fresh.org.set_user_permission(permission, granted=False, user="human")
    wish = Wish(FieldMode.EMAIL_OPT_OUT, EVERYTHING.checkbox, (LEAD_LAYOUT,), track_history=True)
    if step == "install_field":
        wish = EVERYTHING
    more = {"clock": utc_now} if step == "install_field" else {}
    with pytest.raises(error):
        getattr(setup, step)(fresh.engine, fresh.seen, wish, **more)


def test_verify_says_what_is_missing_and_where_to_mend_it(fresh):
    with pytest.raises(setup.NotInstalledError) as caught:
        setup.verify(fresh.engine, fresh.seen, EVERYTHING)
    sentence = str(caught.value)
    assert f"{STANDARD_FIELD} of Contact cannot be read" in sentence
    assert "Permission Sets > Opt-Out Sync > Object Settings > Leads" in sentence
    assert "the permission set is not complete" in sentence
    assert f"{LEAD_LAYOUT} does not show {BOX}" in sentence


def test_verify_tells_when_the_settings_mean_other_fields(fresh):
    lines = fresh.run()
    assert lines[-1] == (
        "The settings still say email_opt_out: python -m include.cli settings set --field-mode "
        "both --by NAME --note WHY"
    )


def test_two_connections_to_two_orgs_change_nothing(fresh, tmp_path, monkeypatch):
    class Elsewhere(SalesforceAdministration):
        def organization_id(self):
            return "00D000000000099AAA"

    fresh.seen = setup.Org(Elsewhere(session("salesforce_admin")), fresh.seen.client)
    with pytest.raises(TwoOrgsError, match="leads to Salesforce org 00D000000000099AAA"):
        fresh.run()


def test_a_parameter_that_nobody_reads_is_refused(fresh):
    given = {"field_mode": "both", "layouts": [], "track_history": False, "plan_onyl": True}
    with pytest.raises(UnknownSetupParameterError, match="plan_onyl"):
        setup.wish(fresh.engine, given)


def test_a_wish_is_read_from_the_parameters_and_the_settings(fresh):
    given = {
        "field_mode": "as the settings",
        "layouts": [" Contact-Contact %28Sales%29 Layout ", "", CONTACT_LAYOUT, CONTACT_LAYOUT],
        "track_history": True,
    }
    assert setup.wish(fresh.engine, given) == Wish(
        FieldMode.EMAIL_OPT_OUT,
        Checkbox(BOX, "Sales Opt Out"),
        (SALES_LAYOUT, CONTACT_LAYOUT),
        track_history=True,
    )
