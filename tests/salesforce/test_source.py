"""The source for Salesforce's own tools says exactly what the setup installs."""

import io
import time
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from simple_salesforce import Salesforce

from include.audit.settings import Settings
from include.domain.values import STANDARD_FIELD, SalesforceObject
from include.salesforce import source
from include.salesforce.administration import SalesforceAdministration
from include.salesforce.definitions import Checkbox, grants
from include.salesforce.metadata import Waiting
from include.salesforce.session import SalesforceSession
from local.salesforce_emulator.testing import RunningEmulator

FOLDER = Path(__file__).parents[2] / "salesforce"
DEFAULT = Checkbox(Settings().sales_opt_out_field, Settings().sales_opt_out_label)
METADATA = "{http://soap.sforce.com/2006/04/metadata}"
WRITE_IT = "python -m include.cli salesforce-source salesforce --defaults"


def test_the_folder_is_what_the_definitions_make_of_it():
    there = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in FOLDER.rglob("*")
        if path.is_file()
    }
    assert there == source.files(DEFAULT), f"write it again: {WRITE_IT}"


def test_another_name_and_label_make_other_files():
    made = source.files(Checkbox("No_Mail__c", "No <mail> & calls"))
    path = "force-app/main/default/objects/Lead/fields/No_Mail__c.field-meta.xml"
    field = ET.fromstring(made[path])
    assert field.findtext(f"{METADATA}label") == "No <mail> & calls"
    assert not any("Sales_Opt_Out" in each for each in made)


@pytest.fixture
def deployed(emulator: RunningEmulator, tmp_path: Path) -> Salesforce:
    """The source, converted as Salesforce's tools convert it, deployed by simple-salesforce."""
    client = Salesforce(
        consumer_key=emulator.client_id,
        consumer_secret=emulator.client_secret,
        domain=emulator.login_domain,
        version="65.0",
    )
    path = tmp_path / "deploy.zip"
    path.write_bytes(converted(source.files(DEFAULT)))
    deploy_id = client.deploy(str(path), sandbox=False)["asyncId"]
    for _ in range(100):
        state = client.checkDeployStatus(deploy_id)["state"]
        if state != "InProgress":
            break
        time.sleep(0.1)
    assert state == "Succeeded"
    return client


def converted(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("package.xml", "<Package><version>65.0</version></Package>")
        for obj in SalesforceObject:
            archive.writestr(f"objects/{obj}.object", an_object(files, obj))
        name = "permissionsets/Opt_Out_Sync.permissionset"
        archive.writestr(name, files[f"force-app/main/default/{name}-meta.xml"])
    return buffer.getvalue()


def an_object(files: dict[str, bytes], obj: str) -> bytes:
    """The files of an object in one: of both folders, the history's last."""
    root = ET.fromstring(files[f"history/main/default/objects/{obj}/{obj}.object-meta.xml"])
    for path in sorted(files, key=lambda each: each.startswith("history")):
        if f"/{obj}/fields/" in path:
            field = ET.fromstring(files[path])
            field.tag = f"{METADATA}fields"
            root.append(field)
    return ET.tostring(root)


def test_what_the_source_installs_leaves_the_setup_only_the_assignment(
    deployed: Salesforce, emulator: RunningEmulator, session: SalesforceSession
):
    administration = SalesforceAdministration(session, waiting=Waiting(first=0.02))
    user_id = emulator.control("GET", "health")["integration_user_id"]
    wanted = grants([STANDARD_FIELD, DEFAULT.name])
    _, lack = administration.lacking(user_id, wanted)
    assert (lack.the_set, lack.api, lack.objects, lack.fields) == (False, False, (), ())
    assert lack.assignment
    for found in administration.objects().values():
        assert found.keeps_history
        assert found.fields[STANDARD_FIELD.lower()].is_tracked
        assert found.fields[DEFAULT.name.lower()].is_tracked


def test_the_source_and_the_setup_make_the_same_field(
    deployed: Salesforce, emulator: RunningEmulator, session: SalesforceSession
):
    by_source = deployed.mdapi.CustomField.read([f"Contact.{DEFAULT.name}"])
    emulator.reset()
    administration = SalesforceAdministration(session, waiting=Waiting(first=0.02))
    administration.create_checkboxes(DEFAULT, list(SalesforceObject))
    by_setup = deployed.mdapi.CustomField.read([f"Contact.{DEFAULT.name}"])
    for name in ("label", "type", "defaultValue", "description", "inlineHelpText"):
        assert by_source[name] == by_setup[name]
