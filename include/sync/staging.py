"""Where rows rest between tasks: Parquet files without addresses, one prefix per night and run.

A file is complete only with its manifest, which is written after it and counts its rows: a
half-written file of a killed task is never read.
"""

import errno
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from include.domain.errors import PermanentSyncError, TransientSyncError
from include.store.bulk import to_arrow, write_parquet
from include.whole_files import is_on_disk

log = logging.getLogger(__name__)

KEEP = timedelta(days=14)
ROWS_AT_ONCE = 250_000
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StagingIncompleteError(PermanentSyncError):
    """A file of an earlier step is missing or cut short: run the night again."""


class StagingFullError(TransientSyncError):
    """There is no room for staged rows, or for the answers of Salesforce on their way there."""


@contextmanager
def full_disks_named() -> Iterator[None]:
    """Say what to do when a disk is full while rows are staged.

    Raises:
        StagingFullError: make room.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StagingFullError(
            f"the staging location or the folder for temporary files cannot be written "
            f"({errno.errorcode[error.errno]}): make room on every worker, then clear the failed "
            "task"
        ) from error


@dataclass(frozen=True, slots=True)
class Stage:
    """The files of one run of one night below `root`, or of one shard of it.

    Attributes:
        root: `OPT_OUT_SYNC_STAGING`.
        night: which.
        sync_run_id: of the run.
        shard: name of the shard; empty: the whole.
    """

    root: UPath
    night: date
    sync_run_id: int
    shard: str = ""

    def of_shard(self, number: int, count: int) -> "Stage":
        """Return where a shard's files rest; the only one is the whole."""
        return self if count == 1 else replace(self, shard=f"shard={number}-of-{count}")

    @property
    def prefix(self) -> UPath:
        """The folder of this run."""
        folder = self.root / f"night={self.night.isoformat()}" / f"run={self.sync_run_id}"
        return folder / self.shard if self.shard else folder

    def prepare(self, name: str) -> UPath:
        """Return where to write the file `name`; an older manifest of it is taken away first."""
        _keep_private(self.prefix)  # each time: whoever made the folder may have been killed here
        self._manifest(name).unlink(missing_ok=True)
        return self.prefix / f"{name}.parquet"

    def complete(self, name: str, rows: int, at: datetime) -> None:
        """Declare the file `name` complete with so many rows. Repeating overwrites."""
        manifest = {"rows": rows, "completed_at": at.isoformat()}
        self._manifest(name).write_text(json.dumps(manifest))

    def write(
        self, name: str, frame: pd.DataFrame, at: datetime, schema: pa.Schema | None = None
    ) -> None:
        """Write a frame whole, with its manifest. Repeating overwrites.

        Args:
            name: of the file.
            frame: its rows.
            at: when.
            schema: its columns, where the frame's own types do not say enough: without a row, or
                where a column holds nothing.
        """
        if schema is None:
            table = pa.Table.from_pandas(frame, preserve_index=False)
        else:
            table = to_arrow(frame, schema)
        rows = write_parquet(table.to_batches(), table.schema, self.prepare(name))
        self.complete(name, rows, at)

    def read(self, name: str) -> pd.DataFrame:
        """Read a complete file as an Arrow-backed frame.

        Raises:
            StagingIncompleteError: the file has no manifest, or other rows than it says.
        """
        with self._open(name) as file:
            table = pq.read_table(file)
        self._require_whole(name, table.num_rows)
        return table.to_pandas(types_mapper=pd.ArrowDtype)  # type: ignore[no-any-return]

    def batches(self, name: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read a complete file, or some columns of it, piece by piece.

        Raises:
            StagingIncompleteError: as for `read`; before the first piece.
        """
        with self._open(name) as file:
            parquet = pq.ParquetFile(file)
            self._require_whole(name, parquet.metadata.num_rows)
            yield from parquet.iter_batches(ROWS_AT_ONCE, columns=columns)

    def rows(self, name: str) -> int:
        """Return how many rows a complete file has.

        Raises:
            StagingIncompleteError: it has no manifest.
        """
        return self._expected_rows(name)

    def schema(self, name: str) -> pa.Schema:
        """Return the columns of a file."""
        with self._open(name) as file:
            return pq.ParquetFile(file).schema_arrow

    def _require_whole(self, name: str, rows: int) -> None:
        if rows != self._expected_rows(name):
            raise StagingIncompleteError(
                f"staged file {name} of run {self.sync_run_id} is cut short"
            )

    def _open(self, name: str):  # type: ignore[no-untyped-def]  # the file type of any filesystem
        try:
            return (self.prefix / f"{name}.parquet").open("rb")
        except FileNotFoundError as error:
            raise self._missing(name) from error

    def _expected_rows(self, name: str) -> int:
        try:
            return int(json.loads(self._manifest(name).read_text())["rows"])
        except FileNotFoundError as error:
            raise self._missing(name) from error

    def _missing(self, name: str) -> StagingIncompleteError:
        return StagingIncompleteError(
            f"staged file {name} of run {self.sync_run_id} is not there; clear the night from its "
            "first task, and check that every worker reaches the same OPT_OUT_SYNC_STAGING"
        )

    def _manifest(self, name: str) -> UPath:
        return self.prefix / f"{name}.manifest.json"


def _keep_private(folder: UPath) -> None:
    """Make a folder on a disk, for its owner alone; an object store has rules of its own."""
    if is_on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        Path(folder.path).chmod(0o700)


def expire(root: UPath, tonight: date) -> int:
    """Delete the nights older than `KEEP` and return how many went. Repeating deletes nothing."""
    expired = [folder for folder in _nights(root) if tonight - _night_of(folder) > KEEP]
    for folder in expired:
        folder.fs.rm(folder.path, recursive=True)
    if expired:
        log.info("Deleted %d staged nights older than %d days", len(expired), KEEP.days)
    return len(expired)


def _nights(root: UPath) -> list[UPath]:
    # A prefix of an object store is there only as long as something lies below it.
    folders = root.iterdir() if root.exists() else ()
    return [folder for folder in folders if folder.name.startswith("night=")]


def _night_of(folder: UPath) -> date:
    return date.fromisoformat(folder.name.removeprefix("night="))
