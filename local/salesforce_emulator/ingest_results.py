"""The two result files of a bulk ingest job."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from local.salesforce_emulator.errors import RowError

if TYPE_CHECKING:
    from contextlib import ExitStack
    from io import TextIOWrapper

    from local.salesforce_emulator.bulk_jobs import Job, JobStore
    from local.salesforce_emulator.ingest_rows import Columns
    from local.salesforce_emulator.saving import Outcome

_WORDS = {True: "true", False: "false"}
_FAILS_WITH_ID = 53.0  # since this version failed rows carry their Id [documented]


class Results:
    """Writes the uploaded header line verbatim after two columns [captured], then the rows."""

    def __init__(
        self, job: Job, store: JobStore, files: ExitStack, header: str, columns: Columns
    ) -> None:
        self._job = job
        self._columns = columns
        self._shows_id = float(job.version) >= _FAILS_WITH_ID
        self._success = self._open(store, files, "successfulResults", "sf__Created", header)
        self._failure = self._open(store, files, "failedResults", "sf__Error", header)
        self.processed = 0
        self.failed = 0

    def _open(self, store: JobStore, files: ExitStack, name: str, second: str, header: str) -> Any:
        file: TextIOWrapper = files.enter_context(
            store.file(self._job, name).open("w", encoding="utf-8", newline="")
        )
        between = self._job.delimiter
        file.write(f'"sf__Id"{between}"{second}"{between}{header}{self._job.newline}')
        return csv.writer(
            file,
            delimiter=between,
            lineterminator=self._job.newline,
            quoting=csv.QUOTE_ALL,
        )

    def add(self, rows: list[list[str]], outcomes: list[Outcome]) -> None:
        """Write one line per row."""
        self.processed += len(rows)
        pairs = list(zip(rows, outcomes, strict=True))
        failures = [
            (self._columns.record_id(row) if self._shows_id else "", outcome.as_sf_error(), *row)
            for row, outcome in pairs
            if isinstance(outcome, RowError)
        ]
        self.failed += len(failures)
        self._failure.writerows(failures)
        self._success.writerows(
            (outcome.record_id, _WORDS[outcome.created], *row)
            for row, outcome in pairs
            if not isinstance(outcome, RowError)
        )
