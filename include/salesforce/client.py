"""Everything the sync asks of Salesforce, in its own words."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from include.domain.ids import to_18
from include.domain.values import SalesforceObject
from include.salesforce.bulk_ingest import MAX_ROWS_PER_JOB, BulkIngest
from include.salesforce.bulk_jobs import Polling
from include.salesforce.bulk_query import BulkQuery
from include.salesforce.collections import Collections
from include.salesforce.describe import FieldAccess, read_field_access
from include.salesforce.jobs import JobJournal
from include.salesforce.limits import ApiBudget, read_budget
from include.salesforce.records import checked_field, normalised
from include.salesforce.session import SalesforceSession

if TYPE_CHECKING:
    from upath import UPath


class SalesforceClient:
    """Reads and writes opt-out flags of Contacts and Leads through one session."""

    def __init__(
        self,
        session: SalesforceSession,
        *,
        polling: Polling = Polling(),  # noqa: B008  frozen
        page_rows: int = 250_000,
        rows_per_job: int = MAX_ROWS_PER_JOB,
    ) -> None:
        """Wrap a session.

        Args:
            session: logged in lazily.
            polling: how Bulk jobs are waited for.
            page_rows: records per page of an extract; a page of 250,000 takes about 100 MB.
            rows_per_job: records per Bulk job of a write.
        """
        self._session = session
        self._polling = polling
        self._page_rows = page_rows
        self._rows_per_job = rows_per_job

    def organization_id(self) -> str:
        """Return the 18-character Id of the org, which tells production from sandbox."""
        answer = self._session.json(
            "GET", "query", repeatable=True, params={"q": "SELECT Id FROM Organization"}
        )
        return to_18(answer["records"][0]["Id"])

    def api_budget(self) -> ApiBudget:
        """Return the org's API requests of the last 24 hours: used, allowed, remaining."""
        return read_budget(self._session)

    def field_access(self, obj: SalesforceObject, field: str) -> FieldAccess:
        """Tell whether the integration user sees `field` and may change it.

        Neither, where it may not read the object at all.

        Raises:
            FieldSpellingError: the field is visible and spelled in another case.
            InvalidFieldNameError: not an API name.
        """
        return read_field_access(self._session, obj, field)

    def extract_records(
        self, obj: SalesforceObject, field: str | None, destination: "UPath", jobs: JobJournal
    ) -> int:
        """Write all records of an object to one Parquet file and return how many.

        One row per record, deleted and merged ones included, in no order; `RECORDS_SCHEMA` of
        `records`: record_id (18 characters, unique), object, is_opted_out (null only when `field`
        is None), is_deleted, master_record_id, is_converted (false for a Contact),
        converted_contact_id, last_modified_at (UTC, whole seconds), last_modified_by.

        The file appears only when it is whole; doing it again replaces it.

        Args:
            obj: Contact or Lead.
            field: API name of the opt-out field; None where it is unreadable.
            destination: the file.
            jobs: learns of the job before it is waited for.

        Raises:
            FieldNotVisibleError: the field is hidden or unknown.
            IncompleteJobError: counts do not add up, or the job did not end in time.
            JobFailedError: Salesforce refused the query.
            JobInterruptedError: Salesforce gave the query up for a reason that passes.
        """
        query = BulkQuery(self._session, obj, field, self._polling, self._page_rows)
        return query.extract(destination, jobs)

    def write_flags(
        self,
        obj: SalesforceObject,
        field: str,
        record_ids: Sequence[str],
        value: bool,
        jobs: JobJournal,
        *,
        bulk_threshold: int = 2000,
    ) -> Iterator[pd.DataFrame]:
        """Set a flag on records and yield what became of them, as it becomes known.

        Nothing is sent before the first frame is asked for, and nothing further while a frame is
        being recorded. Opt-outs may be written again: the same value twice is the same state.

        Args:
            obj: the object of all records.
            field: API name of the flag.
            record_ids: 15 or 18 characters; each record is sent once.
            value: true opts out. False is never sent by Bulk, nor repeated after a lost reply:
                the records are read instead.
            jobs: learns of each Bulk job before its upload.
            bulk_threshold: more records than this go by Bulk jobs.

        Returns:
            Frames with one row per record: record_id (str, 18 characters), succeeded (bool), and
            null unless it failed: failure_class (`FailureClass`), code (Salesforce's status
            code), fix (a plain sentence); job_id (null for collections).
            A field that is hidden fails the rows, with code INVALID_FIELD.

        Raises:
            IncompleteJobError: Salesforce's results do not cover exactly what was sent.
            SalesforceUnavailableError: no answer; frames already yielded stand.
            InvalidFieldNameError: not an API name.
            ValueError: an Id is none.
        """
        name, ids = checked_field(field), normalised(record_ids)
        if value and len(ids) > bulk_threshold:
            ingest = BulkIngest(self._session, obj, name, value, self._polling, self._rows_per_job)
            yield from ingest.write(ids, jobs)
        else:
            yield from Collections(self._session, obj, name).write(ids, value)

    def read_flags(
        self, obj: SalesforceObject, field: str, record_ids: Sequence[str]
    ) -> pd.DataFrame:
        """Read a flag of records as it is now, 2,000 per request.

        Returns:
            One row per record asked for, each once, in that order: record_id (18 characters),
            is_opted_out (nullable boolean, null where Salesforce returned no such record).

        Raises:
            FieldNotVisibleError: the field is hidden or unknown.
            InvalidFieldNameError: not an API name.
            ValueError: an Id is none.
        """
        ids = normalised(record_ids)
        flags = Collections(self._session, obj, checked_field(field)).read(ids)
        return pd.DataFrame({"record_id": ids, "is_opted_out": flags})
