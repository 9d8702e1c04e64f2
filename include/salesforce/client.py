"""Everything the sync asks of Salesforce, in its own words."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from include.domain.ids import to_18
from include.domain.values import SalesforceObject
from include.salesforce import history, rest_query
from include.salesforce.bulk_ingest import MAX_ROWS_PER_JOB, BulkIngest
from include.salesforce.bulk_jobs import Polling
from include.salesforce.bulk_query import BulkQuery
from include.salesforce.clears import Clear, ClearOutcome, checked_fields
from include.salesforce.collections import Collections
from include.salesforce.describe import FieldAccess, has_person_accounts, read_field_access
from include.salesforce.jobs import JobJournal
from include.salesforce.limits import ApiBudget, read_budget
from include.salesforce.opt_outs import OptOuts
from include.salesforce.organization import (
    Changes,
    Organization,
    read_changes,
    read_organization,
    read_organization_id,
    read_versions,
)
from include.salesforce.outcomes import outcomes
from include.salesforce.person_accounts import (
    ACCOUNT,
    account_field,
    accounts_of,
    is_writable,
    not_permitted,
    of_contacts,
)
from include.salesforce.records import Selection, checked_field, normalised
from include.salesforce.server_clock import read_clock_offset
from include.salesforce.session import SalesforceSession
from include.salesforce.users import read_names, read_user_id

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
        """Return the 18-character Id of the org, which tells production from sandbox.

        A login by OAuth names it, so nothing else is asked then.
        """
        return self._session.organization_id() or read_organization_id(self._session)

    def organization(self) -> Organization:
        """Return which org this is: Id, name, edition, instance, and whether it is a sandbox."""
        return read_organization(self._session)

    @property
    def api_version(self) -> str:
        """The version of the API that all requests use, like `65.0`."""
        return self._session.api_version

    def api_versions(self) -> list[str]:
        """Return the versions of the API that the org offers, oldest first."""
        return read_versions(self._session)

    def field_changes(
        self, obj: SalesforceObject, field: str, since: datetime
    ) -> list[Changes] | None:
        """Return who changed a field since a time, most changes first, by its tracked history.

        Returns:
            One entry per user; None where the history cannot be read.

        Raises:
            InvalidFieldNameError: not an API name.
        """
        return read_changes(self._session, obj.value, field, since)

    def user_id(self) -> str:
        """Return the 18-character Id of the integration user.

        Raises:
            UnknownUserError: Salesforce does not tell.
        """
        return read_user_id(self._session)

    def user_names(self, user_ids: Sequence[str]) -> dict[str, str]:
        """Return the names of users by 18-character Id, as far as Salesforce tells them."""
        return read_names(self._session, user_ids)

    @property
    def known_budget(self) -> ApiBudget | None:
        """The org's API requests as the last answer told them; null before the first one."""
        return self._session.usage

    def api_budget(self) -> ApiBudget:
        """Return the org's API requests of the last 24 hours: used, allowed, remaining."""
        return read_budget(self._session)

    def clock_offset(self, clock: Callable[[], datetime]) -> timedelta:
        """Return how far Salesforce's clock is certainly ahead of ours; negative: behind."""
        return read_clock_offset(self._session, clock)

    def field_access(self, obj: SalesforceObject, field: str) -> FieldAccess:
        """Tell whether the integration user sees `field` and may change it.

        Neither, where it may not read the object at all.

        Raises:
            FieldSpellingError: the field is visible and spelled in another case.
            InvalidFieldNameError: not an API name.
        """
        return read_field_access(self._session, obj, field)

    def count_opted_out(self, obj: SalesforceObject, field: str) -> int:
        """Count the living records of an object in which a flag is set.

        Raises:
            FieldNotVisibleError: the field is hidden or unknown.
            InvalidFieldNameError: not an API name.
        """
        soql = f"SELECT count() FROM {obj.value} WHERE {checked_field(field)} = true"  # noqa: S608
        answer = self._session.json("GET", "query", repeatable=True, params={"q": soql})
        return int(answer["totalSize"])

    def has_person_accounts(self) -> bool:
        """Tell whether the org has person accounts; false where Contacts are hidden."""
        return has_person_accounts(self._session)

    def extract_records(
        self,
        obj: SalesforceObject,
        fields: Sequence[str],
        destination: "UPath",
        jobs: JobJournal,
        *,
        person_accounts: bool,
    ) -> int:
        """Write all records of an object to one Parquet file and return how many.

        One row per record, deleted and merged ones included, in no order; `records_schema` of
        `records`: record_id (18 characters, unique), object, is_deleted, master_record_id,
        is_converted (false for a Contact), converted_contact_id, is_person_account, account_id
        (null unless it is one), last_modified_at (UTC, whole seconds), last_modified_by, and one
        boolean column per field of `fields`, under its API name, without nulls.

        The file appears only when it is whole; doing it again replaces it.

        Args:
            obj: Contact or Lead.
            fields: API names of the opt-out fields that can be read; may be empty.
            destination: the file.
            jobs: learns of the job before it is waited for.
            person_accounts: what `has_person_accounts` said.

        Raises:
            FieldNotVisibleError: a field is hidden or unknown.
            IncompleteJobError: counts do not add up, or the job did not end in time.
            JobFailedError: Salesforce refused the query.
            JobInterruptedError: Salesforce gave the query up for a reason that passes.
            InvalidFieldNameError: not an API name.
        """
        selection = Selection(obj, tuple(fields), person_accounts)
        query = BulkQuery(self._session, selection, self._polling, self._page_rows)
        return query.extract(destination, jobs)

    def read_records(
        self,
        obj: SalesforceObject,
        fields: Sequence[str],
        record_ids: Sequence[str],
        *,
        person_accounts: bool,
    ) -> pd.DataFrame:
        """Read records as they are now: a few in one request, many 2,000 per request.

        Returns:
            One row per record that exists, in no order, with the columns of `extract_records`,
            Arrow-backed; deleted and merged ones included, missing ones absent.

        Raises:
            FieldNotVisibleError: a field is hidden or unknown.
            IncompleteJobError: records are left out, damaged, or others than those asked for.
            InvalidFieldNameError: not an API name.
            ValueError: an Id is none.
        """
        selection = Selection(obj, tuple(fields), person_accounts)
        return rest_query.read_records(self._session, selection, normalised(record_ids))

    def read_predecessors(self, obj: SalesforceObject, record_ids: Sequence[str]) -> list[str]:
        """Name the records that were merged into some of these, or Leads converted to them.

        One or two requests per 200 records. Each hop of a chain takes a call of its own.

        Returns:
            Ids of 18 characters, each once, in no order.

        Raises:
            ValueError: an Id is none.
        """
        return rest_query.read_predecessors(self._session, obj, normalised(record_ids))

    def read_history(
        self,
        obj: SalesforceObject,
        fields: Sequence[str],
        record_ids: Sequence[str],
        *,
        person_accounts: bool,
    ) -> pd.DataFrame:
        """Read when opt-outs were last changed, 200 records per request.

        Returns:
            The newest change per record and field, in no order, Arrow-backed: record_id (18
            characters), field (API name), at (UTC, whole seconds, on Salesforce's clock),
            is_opted_out (what it was changed to), by (18-character Id of a user).

            No row where Salesforce knows of no change: the field is not tracked or was not at the
            time, the record was created with the value, or its history was purged or is not
            permitted. So no row is never a fact about the record. What was tracked with the Account
            of a person account is told of its Contact.

        Raises:
            IncompleteJobError: rows are left out or damaged.
            InvalidFieldNameError: not an API name.
            ValueError: an Id is none.
        """
        selection = Selection(obj, tuple(fields), person_accounts)
        return history.read_history(self._session, selection, normalised(record_ids))

    def write_flags(
        self,
        obj: SalesforceObject,
        field: str,
        record_ids: Sequence[str],
        jobs: JobJournal,
        *,
        bulk_threshold: int = 2000,
    ) -> Iterator[pd.DataFrame]:
        """Opt records out and yield what became of them, as it becomes known.

        Nothing is sent before the first frame is asked for, and nothing further while a frame is
        being recorded. It may be done again: the same value twice is the same state. Clears go by
        `clear_record` only.

        Args:
            obj: the object of all records.
            field: API name of the flag.
            record_ids: 15 or 18 characters; each record is sent once. No Contact of a person
                account: those go by `write_person_accounts`.
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
        ids = normalised(record_ids)
        yield from self._write(obj.value, checked_field(field), ids, jobs, bulk_threshold)

    def write_person_accounts(
        self,
        field: str,
        rows: pd.DataFrame,
        jobs: JobJournal,
        *,
        bulk_threshold: int = 2000,
    ) -> Iterator[pd.DataFrame]:
        """Opt Contacts out on their person accounts, as `write_flags` does other records.

        Args:
            field: API name of the flag on the Contact; the Account's name follows from it.
            rows: one row per Contact: record_id, account_id (15 or 18 characters).
            jobs: learns of each Bulk job before its upload.
            bulk_threshold: more Accounts than this go by Bulk jobs.

        Returns:
            The frames of `write_flags`; record_id names the Contact. What the integration user
            may not write has failure class permission and code PERSON_ACCOUNT.

        Raises:
            OptOutSyncError: as `write_flags`.
            FieldSpellingError: the Account spells the field in another case.
            ValueError: an Id is none.
        """
        name, accounts = account_field(checked_field(field)), accounts_of(rows)
        if accounts.empty:
            return
        if not is_writable(self._session, field):
            yield not_permitted(accounts)
            return
        ids = accounts["account_id"].drop_duplicates(ignore_index=True)
        for frame in self._write(ACCOUNT, name, ids, jobs, bulk_threshold):
            yield of_contacts(frame, accounts)

    def opt_out(self, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Opt records of any object out, 200 per request, and yield what became of them.

        For a few at a time: many of one field go by `write_flags`, as Bulk jobs. Nothing is sent
        before the first frame is asked for, and it may be done again.

        Args:
            rows: one row per record: `record_id`, `object` (Contact or Lead), `account_id` (null
                unless it is a person account: then that is written), `fields` (a tuple of API
                names, as the Contact or Lead has them).

        Returns:
            The frames of `write_flags`, without a job; a frame per request. One code speaks for
            all fields of a record.

        Raises:
            IncompleteJobError: Salesforce's results do not cover exactly what was sent.
            SalesforceUnavailableError, ApiLimitError, SessionExpiredError: no answer; frames
                already yielded stand. The error names the records that are `in_doubt`: nothing is
                sent twice unasked.
            SalesforceRequestError: Salesforce refuses the request as a whole.
            InvalidFieldNameError: not an API name.
            ValueError: an Id is none, or a record has two rows.
        """
        yield from OptOuts(self._session).write(rows)

    def clear_record(
        self,
        obj: SalesforceObject,
        record_id: str,
        fields: Sequence[str],
        *,
        unmodified_since: datetime,
        account_id: str | None = None,
    ) -> ClearOutcome:
        """Clear the opt-outs of one record, unless somebody edited it since it was read.

        One request clears all fields. It is sent again only where it certainly had no effect; when
        its reply is lost, the record is read instead. Doing it again with the same time ends as
        CHANGED_SINCE_READ once it has had an effect.

        Args:
            obj: Contact or Lead.
            record_id: 15 or 18 characters.
            fields: API names of the flags, at least one.
            unmodified_since: last_modified_at of the record as it was read; aware.
            account_id: of a person account: the clear is made there.

        Returns:
            Whether the flags are cleared, else why not: an edited record has failure class
            changed and code CHANGED_SINCE_READ; a lost reply, while the record still shows an
            opt-out, is retry and REPLY_LOST; an Account we may not write is permission and
            PERSON_ACCOUNT; everything else as in `write_flags`.

        Raises:
            SalesforceUnavailableError: no answer, also when the record was to be read; whether it
                was cleared is then unknown.
            ApiLimitError: the org's requests are used up; nothing was cleared.
            SalesforceRequestError: a refusal that is not about this record.
            InvalidFieldNameError: not an API name.
            ValueError: an Id is none, there are no fields, or the time has no zone.
        """
        clear = Clear(
            self._session,
            obj,
            to_18(record_id),
            to_18(account_id) if account_id is not None else None,
            checked_fields(fields),
        )
        return clear.send(unmodified_since)

    def read_flags(
        self, obj: SalesforceObject, fields: Sequence[str], record_ids: Sequence[str]
    ) -> pd.DataFrame:
        """Read flags of records as they are now, 2,000 per request.

        Returns:
            One row per record asked for, each once, in that order: record_id (18 characters) and
            one nullable boolean column per field, under its API name, null where Salesforce
            returned no such record.

        Raises:
            FieldNotVisibleError: a field is hidden or unknown.
            InvalidFieldNameError: not an API name.
            ValueError: an Id is none.
        """
        return Collections(self._session, obj.value).read(normalised(record_ids), fields)

    def _write(
        self, object_name: str, field: str, ids: pd.Series, jobs: JobJournal, bulk_threshold: int
    ) -> Iterator[pd.DataFrame]:
        ingest = BulkIngest(self._session, object_name, field, self._polling, self._rows_per_job)
        one_by_one = Collections(self._session, object_name)
        if jobs.is_resumed:
            for found in ingest.resume(ids, jobs):
                ids = ids[~ids.isin(found["record_id"])]
                yield found
            there = one_by_one.already_set(ids, field)
            yield outcomes(there, {})
            ids = ids[~ids.isin(there)]
        ids = ids.reset_index(drop=True)
        if len(ids) > bulk_threshold:
            yield from ingest.write(ids, jobs)
        else:
            yield from one_by_one.write(ids, field)
