"""`salesforce-source` writes what the settings say."""

from pathlib import Path

from tests.cli.conftest import Say

BY = ["--by", "Ada", "--note", "own words"]
FIELD = "force-app/main/default/objects/Lead/fields/No_Mail__c.field-meta.xml"


def test_the_source_has_the_name_and_the_label_of_the_settings(say: Say, tmp_path: Path) -> None:
    assert say("settings", "set", "--sales-field", "No_Mail__c", *BY).status == 0
    assert say("settings", "set", "--sales-label", "No mail, please", *BY).status == 0
    answer = say("salesforce-source", tmp_path / "org")
    assert (answer.status, "No_Mail__c (No mail, please)" in answer.out) == (0, True)
    assert "<label>No mail, please</label>" in (tmp_path / "org" / FIELD).read_text()
    again = say("salesforce-source", tmp_path / "org")
    assert again.out == answer.out


def test_the_defaults_are_written_without_looking_at_the_settings(say: Say, tmp_path: Path) -> None:
    assert say("settings", "set", "--sales-field", "No_Mail__c", *BY).status == 0
    answer = say("salesforce-source", tmp_path, "--defaults")
    assert "Sales_Opt_Out__c (Sales Opt Out)" in answer.out


def test_a_folder_that_cannot_be_written_is_one_sentence(say: Say, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    answer = say("salesforce-source", tmp_path / "file")
    assert (answer.status, answer.err) == (
        1,
        "opt-out-sync: the folder cannot be written (Not a directory)\n",
    )


def test_a_label_must_be_one_that_salesforce_takes(say: Say) -> None:
    answer = say("settings", "set", "--sales-label", "x" * 41, *BY)
    assert answer.status == 2
    assert "sales_opt_out_label: must be the label of a field" in answer.err
