"""Bulk jobs against a scripted wire: deadlines, lost replies, results that do not add up."""

import traceback
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import requests
from upath import UPath

from include.domain.ids import to_18
from include.domain.values import SalesforceObject
from include.salesforce.bulk_jobs import Polling
from include.salesforce.client import SalesforceClient
from include.salesforce.errors import (
    ApiLimitError,
    FieldNotVisibleError,
    IncompleteJobError,
    JobFailedError,
    JobInterruptedError,
    SalesforceUnavailableError,
)
from include.salesforce.records import records_schema
from tests.salesforce.scripted import Answer, ListJournal, ScriptedSalesforce, error

CONTACT = SalesforceObject.CONTACT
IDS = [to_18(f"003{number:012d}") for number in range(4)]
USER = to_18("00500000000USER")
HEADER = '"Flag__c","Id","IsDeleted","MasterRecordId","LastModifiedDate","LastModifiedById"\n'
LOST = requests.ConnectionError("Connection aborted")


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)

    def polling(self, deadline: float = 60.0) -> Polling:
        return Polling(deadline=deadline, grace=2.0, clock=lambda: self.now, sleep=self.sleep)


def job(state: str, processed: int = 0, failed: int = 0, message: str | None = None) -> Answer:
    document = {
        "id": "750000000000001AAA",
        "state": state,
        "numberRecordsProcessed": processed,
        "numberRecordsFailed": failed,
    }
    return Answer(body=document | ({"errorMessage": message} if message else {}))


def rows(ids: list[str]) -> bytes:
    lines = (f'"true","{each}","false","","2026-11-22T20:00:00.000Z","{USER}"\n' for each in ids)
    return (HEADER + "".join(lines)).encode()


def page(ids: list[str], locator: str = "null", **damage: object) -> Answer:
    headers = {"Sforce-NumberOfRecords": str(len(ids)), "Sforce-Locator": locator}
    return Answer(body=damage.get("body", rows(ids)), headers=headers)


def extract(
    salesforce: ScriptedSalesforce,
    folder: Path,
    journal: ListJournal | None = None,
    polling: Polling | None = None,
) -> list[str]:
    destination = UPath(folder / "night" / "contacts.parquet")
    client = SalesforceClient(salesforce.session, polling=polling or Clock().polling())
    count = client.extract_records(
        CONTACT, ["Flag__c"], destination, journal or ListJournal(), person_accounts=False
    )
    table = pq.read_table(str(destination))
    assert table.schema == records_schema(["Flag__c"])
    assert table.num_rows == count
    assert [each.name for each in destination.parent.iterdir()] == ["contacts.parquet"]
    return table["record_id"].to_pylist()


CREATED = job("UploadComplete")


def test_pages_become_one_file(tmp_path: Path) -> None:
    salesforce = ScriptedSalesforce(
        CREATED, job("JobComplete", 3), page(IDS[:2], "MjAw"), page(IDS[2:3])
    )
    journal = ListJournal()

    assert extract(salesforce, tmp_path, journal) == IDS[:3]

    assert "locator=MjAw" in str(salesforce.wire.sent[3].url)
    assert journal.entries == [
        ("planned", 1, "Contact", "queryAll"),
        ("created", 1, "750000000000001AAA"),
        ("finished", 1, "JobComplete", 3, 0),
    ]


def test_an_empty_org_is_an_empty_file(tmp_path: Path) -> None:
    salesforce = ScriptedSalesforce(CREATED, job("JobComplete"), page([]))

    assert extract(salesforce, tmp_path) == []


def test_polling_starts_fast_slows_down_and_survives_a_lost_session(tmp_path: Path) -> None:
    clock = Clock()
    salesforce = ScriptedSalesforce(
        CREATED,
        *[job("InProgress")] * 6,
        error(401, "INVALID_SESSION_ID"),
        *[job("InProgress")] * 6,
        job("JobComplete", 1),
        page(IDS[:1]),
    )

    assert extract(salesforce, tmp_path, polling=clock.polling()) == IDS[:1]

    assert salesforce.logins == 2
    assert clock.pauses[0] == 0.2
    assert clock.pauses == sorted(clock.pauses)
    assert clock.pauses[-1] == 5.0
    assert sum(each.method == "POST" for each in salesforce.wire.sent) == 1, "same job"


def test_a_query_that_does_not_end_is_aborted_at_our_deadline(tmp_path: Path) -> None:
    clock, journal = Clock(), ListJournal()
    salesforce = ScriptedSalesforce(
        CREATED, *[job("InProgress")] * 4, job("Aborted"), job("Aborted")
    )

    with pytest.raises(IncompleteJobError, match="in time"):
        extract(salesforce, tmp_path, journal, clock.polling(deadline=0.7))

    assert clock.now == pytest.approx(0.7)
    assert salesforce.wire.sent[-2].body == b'{"state": "Aborted"}'
    assert journal.entries[-1] == ("finished", 1, "Aborted", 0, 0)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("INVALID_FIELD: \nSELECT Flag__c FROM Contact\nann@example.com", FieldNotVisibleError),
        ("InvalidBatch : Field name not found : Flag__c", FieldNotVisibleError),
        ("QUERY_TIMEOUT: too slow", JobInterruptedError),
        ("REQUEST_LIMIT_EXCEEDED: no more", ApiLimitError),
        ("MALFORMED_QUERY: ann@example.com", JobFailedError),
    ],
)
def test_a_failed_query_is_named_by_its_code(
    tmp_path: Path, message: str, kind: type[Exception]
) -> None:
    salesforce = ScriptedSalesforce(CREATED, job("Failed", message=message))
    journal = ListJournal()

    with pytest.raises(kind) as caught:
        extract(salesforce, tmp_path, journal)

    assert "ann@example.com" not in "".join(traceback.format_exception(caught.value))
    assert journal.entries[-1][:3] == ("finished", 1, "Failed")


@pytest.mark.parametrize("damaged", [
    page(IDS[:2], body=rows(IDS[:1])),  # a row less than announced
    page(IDS[:2], body=rows(IDS[:2])[:-30]),  # cut inside the last row
    page(IDS[:2], body=rows(IDS[:2])[:-10]),  # cut inside the last value
    page(IDS[:2], body=b"<html>"),
    Answer(body=rows(IDS[:2]), headers={"Sforce-NumberOfRecords": "2"}),
    Answer(body=rows(IDS[:2]), headers={"Sforce-Locator": "null"}),
    Answer(
        body=rows(IDS[:2]),
        headers={"Sforce-NumberOfRecords": "2", "Sforce-Locator": "null"},
        breaks_off=True,
    ),
    Answer(503),
])  # fmt: skip
def test_a_damaged_page_is_read_again(tmp_path: Path, damaged: Answer) -> None:
    salesforce = ScriptedSalesforce(CREATED, job("JobComplete", 2), damaged, page(IDS[:2]))

    assert extract(salesforce, tmp_path) == IDS[:2]


def test_a_page_that_stays_damaged_leaves_no_file(tmp_path: Path) -> None:
    salesforce = ScriptedSalesforce(
        CREATED,
        job("JobComplete", 4),
        page(IDS[:2], "next"),
        *[page(IDS[2:], body=rows(IDS[2:3]))] * 3,
    )

    with pytest.raises(IncompleteJobError):
        extract(salesforce, tmp_path)

    assert list((tmp_path / "night").iterdir()) == []


@pytest.mark.parametrize(
    "pages",
    [
        [page(IDS[:2])],  # a page less than the job processed
        [page(IDS[:2], "next"), page(IDS[:2])],  # a page twice: the count is right
        [page(IDS[:2], "next"), page(IDS[2:], "next")],  # for ever
    ],
)
def test_pages_that_do_not_make_up_the_job_are_refused(tmp_path: Path, pages: list[Answer]) -> None:
    salesforce = ScriptedSalesforce(CREATED, job("JobComplete", 4), *pages)

    with pytest.raises(IncompleteJobError):
        extract(salesforce, tmp_path)

    assert list((tmp_path / "night").iterdir()) == []


# --- ingest ---------------------------------------------------------------------------------

OPEN, UPLOADED = job("Open"), Answer(201, b"")
FAILED_HEADER = '"sf__Id","sf__Error",Id,Flag__c\n'


def results(
    successful: list[str],
    failed: dict[str, str] | None = None,
    unprocessed: list[str] = (),  # type: ignore[assignment]
) -> list[Answer]:
    failed_rows = "".join(f'"","{text}","{each}","true"\n' for each, text in (failed or {}).items())
    good_rows = "".join(f'"{each}","false","{each}","true"\n' for each in successful)
    return [
        Answer(body=(FAILED_HEADER + failed_rows).encode()),
        Answer(body=('"sf__Id","sf__Created",Id,Flag__c\n' + good_rows).encode()),
        Answer(body=("Id,Flag__c\n" + "".join(f"{each},true\n" for each in unprocessed)).encode()),
    ]


def opt_out(
    salesforce: ScriptedSalesforce,
    ids: list[str],
    journal: ListJournal | None = None,
    polling: Polling | None = None,
) -> dict[str, str | None]:
    """Write by Bulk; returns the code of each record, null where it succeeded."""
    client = SalesforceClient(salesforce.session, polling=polling or Clock().polling())
    (frame,) = client.write_flags(
        CONTACT, "Flag__c", ids, journal or ListJournal(), bulk_threshold=0
    )
    assert (frame["job_id"] == "750000000000001AAA").all()
    codes = frame["code"].astype(object).where(frame["code"].notna(), None)
    return dict(zip(frame["record_id"], codes, strict=True))


def test_successful_failed_and_unprocessed_rows_make_up_what_was_sent() -> None:
    salesforce = ScriptedSalesforce(
        OPEN, UPLOADED, job("UploadComplete"), job("Failed", 2, 1, "TooManyLockFailure"),
        *results(IDS[:1], {IDS[1]: "ENTITY_IS_DELETED:entity is deleted:--"}, IDS[2:]),
    )  # fmt: skip
    journal = ListJournal()

    assert opt_out(salesforce, IDS, journal) == {
        IDS[0]: None,
        IDS[1]: "ENTITY_IS_DELETED",
        IDS[2]: "UNPROCESSED",
        IDS[3]: "UNPROCESSED",
    }
    upload = salesforce.wire.sent[1]
    assert upload.body == ("Id,Flag__c\n" + "".join(f"{each},true\n" for each in IDS)).encode()
    assert journal.entries == [
        ("planned", 1, "Contact", "update"),
        ("created", 1, "750000000000001AAA"),
        ("finished", 1, "Failed", 2, 1),
    ]


def test_a_field_hidden_from_the_job_fails_its_rows_as_permission() -> None:
    salesforce = ScriptedSalesforce(
        OPEN, UPLOADED, job("UploadComplete"),
        job("Failed", message="InvalidBatch : Field name not found : Flag__c"),
        *results([], {}, IDS),
    )  # fmt: skip

    assert set(opt_out(salesforce, IDS).values()) == {"INVALID_FIELD"}


def test_a_lost_upload_is_done_again_in_a_new_job_and_the_old_one_aborted() -> None:
    salesforce = ScriptedSalesforce(
        OPEN, LOST, job("Aborted"), job("Aborted"),
        OPEN, UPLOADED, job("UploadComplete"), job("JobComplete", 4), *results(IDS),
    )  # fmt: skip
    journal = ListJournal()

    assert set(opt_out(salesforce, IDS, journal).values()) == {None}

    assert journal.steps == ["planned", "created", "finished"] * 2
    assert journal.entries[2] == ("finished", 1, "Aborted", 0, 0)
    uploads = [each for each in salesforce.wire.sent if each.method == "PUT"]
    assert [each.body for each in uploads] == [uploads[0].body] * 2


@pytest.mark.parametrize(
    ("found", "asked_again"), [(job("InProgress"), False), (job("Open"), True)]
)
def test_after_a_lost_reply_to_upload_complete_the_job_itself_is_asked(
    found: Answer, asked_again: bool
) -> None:
    again = [job("UploadComplete")] if asked_again else []
    salesforce = ScriptedSalesforce(
        OPEN, UPLOADED, LOST, found, *again, job("JobComplete", 4), *results(IDS)
    )

    assert set(opt_out(salesforce, IDS).values()) == {None}

    sent = [each for each in salesforce.wire.sent if each.method == "PATCH"]
    assert len(sent) == (2 if asked_again else 1)


def test_a_job_that_does_not_end_is_aborted_and_what_it_did_is_read() -> None:
    clock = Clock()
    salesforce = ScriptedSalesforce(
        OPEN, UPLOADED, job("UploadComplete"), *[job("InProgress", 2)] * 4,
        job("Aborted"), job("Aborted", 2), *results(IDS[:2], {}, IDS[2:]),
    )  # fmt: skip

    codes = opt_out(salesforce, IDS, polling=clock.polling(deadline=0.7))

    assert list(codes.values()) == [None, None, "UNPROCESSED", "UNPROCESSED"]


def test_a_job_that_completes_while_it_is_aborted_is_complete() -> None:
    salesforce = ScriptedSalesforce(
        OPEN, UPLOADED, job("UploadComplete"), *[job("InProgress", 2)] * 4,
        error(400, "INVALIDJOBSTATE"), job("JobComplete", 4), *results(IDS),
    )  # fmt: skip

    codes = opt_out(salesforce, IDS, polling=Clock().polling(deadline=0.7))

    assert set(codes.values()) == {None}


def test_a_job_that_not_even_aborting_ends_is_reported() -> None:
    journal = ListJournal()
    salesforce = ScriptedSalesforce(
        OPEN, UPLOADED, job("UploadComplete"), *[job("InProgress", 2)] * 20
    )

    with pytest.raises(IncompleteJobError, match="neither ends"):
        opt_out(salesforce, IDS, journal, Clock().polling(deadline=0.7))

    assert journal.steps == ["planned", "created"], "the journal still says: not finished"


def test_results_that_do_not_add_up_are_read_again_and_never_sent_again() -> None:
    salesforce = ScriptedSalesforce(
        OPEN, UPLOADED, job("UploadComplete"), job("JobComplete", 4),
        *results(IDS[:3]), *results(IDS),
    )  # fmt: skip

    assert set(opt_out(salesforce, IDS).values()) == {None}
    assert sum(each.method == "PUT" for each in salesforce.wire.sent) == 1


def test_results_that_never_add_up_are_an_error() -> None:
    salesforce = ScriptedSalesforce(
        OPEN, UPLOADED, job("UploadComplete"), job("JobComplete", 4), *results(IDS[:3]) * 3
    )

    with pytest.raises(IncompleteJobError):
        opt_out(salesforce, IDS)


def test_the_rows_of_a_result_are_matched_by_id_whatever_their_order_and_text() -> None:
    text = 'FIELD_CUSTOM_VALIDATION_EXCEPTION:""Ann"",\nsecond line: ünï:Email --'
    salesforce = ScriptedSalesforce(
        OPEN, UPLOADED, job("UploadComplete"), job("JobComplete", 4, 2),
        *results([IDS[3], IDS[0]], {IDS[2]: text, IDS[1]: text}),
    )  # fmt: skip

    assert list(opt_out(salesforce, IDS).values()) == [
        None,
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        None,
    ]


def test_many_records_are_split_by_rows_and_no_record_is_lost() -> None:
    """simple-salesforce's automatic batches lose a last batch of one row."""
    one_job = [OPEN, UPLOADED, job("UploadComplete"), job("JobComplete", 2)]
    salesforce = ScriptedSalesforce(
        *one_job, *results(IDS[:2]),
        OPEN, UPLOADED, job("UploadComplete"), job("JobComplete", 1), *results(IDS[2:3]),
    )  # fmt: skip
    client = SalesforceClient(salesforce.session, polling=Clock().polling(), rows_per_job=2)

    frames = list(client.write_flags(CONTACT, "Flag__c", IDS[:3], ListJournal(), bulk_threshold=2))

    assert [frame["record_id"].tolist() for frame in frames] == [IDS[:2], IDS[2:3]]


def test_when_salesforce_stays_away_during_the_poll_the_journal_still_knows_the_job() -> None:
    journal = ListJournal()
    salesforce = ScriptedSalesforce(OPEN, UPLOADED, job("UploadComplete"), *[Answer(503)] * 3)

    with pytest.raises(SalesforceUnavailableError):
        opt_out(salesforce, IDS, journal)

    assert journal.entries[-1] == ("created", 1, "750000000000001AAA")
