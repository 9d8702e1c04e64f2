"""Complete what was read by what earlier runs know, and deal it out to shards.

Below twice the size of a shard there is one, and nothing is copied. Memory holds a number per
person and a piece of each shard, whatever a row holds.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine
from upath import UPath

from include.audit import links, past_nights, runs
from include.audit.runs import Run
from include.domain.shards import Census, Shards, number_of_shards
from include.domain.values import SalesforceObject
from include.store.bulk import parquet_file
from include.store.database import transaction
from include.sync.clock import Clock
from include.sync.nightly import inputs
from include.sync.nightly.steps import Counts, finish, stage_of
from include.sync.preflight import access_of
from include.sync.staging import Stage, full_disks_named

ROWS_WAITING = 1_000_000  # of all shards, collected before they are written

Deal = Callable[[pd.DataFrame], npt.NDArray[np.intp]]


@full_disks_named()
def split(
    engine: Engine, staging: UPath, sync_run_id: int, *, shard_rows: int, clock: Clock
) -> Counts:
    """Stage the links and what is to be judged, and deal everything out to shards.

    Args:
        engine: the store.
        staging: where rows rest.
        sync_run_id: of the run.
        shard_rows: how many people, or records, a shard has; with less than twice as many there is
            one.
        clock: tells the time.

    Returns:
        `shards`, how many there are, and how many `links` and `unjudged` resubscribes. The number
        stays what it was when the step is repeated after it finished.
    """
    run = runs.enter(engine, sync_run_id, "split", now=clock())
    if run.finished is not None:
        return run.finished
    stage = stage_of(staging, run)
    known = links.extract_links(engine, run.org, stage.prepare(inputs.LINKS))
    stage.complete(inputs.LINKS, known, clock())
    unjudged = inputs.stage_unjudged(engine, stage, clock())
    _stage_scope(engine, stage, run, clock())
    access = access_of(engine, run.id)
    objects = [obj for obj in SalesforceObject if access.fields_of(obj)]
    rows = max(stage.rows(inputs.PEOPLE), sum(stage.rows(obj) for obj in objects))
    count = number_of_shards(rows, shard_rows)
    if count > 1:
        _deal_out(stage, objects, count, clock())
    return finish(engine, run, {"shards": count, "links": known, "unjudged": unjudged}, clock)


def _stage_scope(engine: Engine, stage: Stage, run: Run, now: datetime) -> None:
    """Find whom a replay is about by what the database knows, and stage them; else nobody."""
    if run.kind != "replay" or run.interval_start is None or run.interval_end is None:
        return
    with transaction(engine) as conn:
        people = past_nights.people_of_interval(conn, run, run.interval_start, run.interval_end)
    stage.write(inputs.SCOPE, pd.DataFrame({"person_id": sorted(people)}, dtype="int64"), now)


def _deal_out(stage: Stage, objects: list[SalesforceObject], count: int, now: datetime) -> None:
    shards = _census(stage, objects).dealt(count)
    stages = [stage.of_shard(number, count) for number in range(count)]
    of_records, of_people = partial(_of_records, shards), partial(_of_people, shards)
    deals: dict[str, Deal] = {
        **dict.fromkeys(objects, of_records),
        **dict.fromkeys((inputs.PEOPLE, inputs.OPT_OUTS, inputs.UNJUDGED), of_people),
        inputs.LINKS: shards.of_links,
    }
    for name, deal in deals.items():
        with _dealt(stages, name, stage.schema(name), now) as pieces:
            for batch in stage.batches(name):
                pieces.add(batch, deal(_frame(batch)))


def _census(stage: Stage, objects: list[SalesforceObject]) -> Census:
    census = Census()
    for batch in stage.batches(inputs.PEOPLE):
        census.add_people(_frame(batch))
    for obj in objects:
        for batch in stage.batches(obj, Census.OF_RECORDS):
            census.add_records(_frame(batch))
    for batch in stage.batches(inputs.LINKS, Census.OF_LINKS):
        census.add_links(_frame(batch))
    return census


def _of_people(shards: Shards, rows: pd.DataFrame) -> npt.NDArray[np.intp]:
    return shards.of_people(rows["person_id"])


def _of_records(shards: Shards, rows: pd.DataFrame) -> npt.NDArray[np.intp]:
    return shards.of_records(rows["record_id"])


def _frame(batch: pa.RecordBatch) -> pd.DataFrame:
    frame: pd.DataFrame = batch.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


class _Pieces:
    """Rows on their way into the files of their shards."""

    def __init__(self, writers: list[pq.ParquetWriter]) -> None:
        self._writers = writers
        self._waiting: list[list[pa.RecordBatch]] = [[] for _ in writers]
        self._most = ROWS_WAITING // len(writers)
        self.rows = [0] * len(writers)

    def add(self, batch: pa.RecordBatch, shard: npt.NDArray[np.intp]) -> None:
        """Give every row to its shard, in the order in which they come."""
        order = np.argsort(shard, kind="stable")
        ends = np.searchsorted(shard[order], np.arange(len(self._writers) + 1))
        for number, (start, end) in enumerate(pairwise(ends)):
            # Copied, so that what waits holds no other shard's rows.
            self._waiting[number].append(batch.take(pa.array(order[start:end])))
            if sum(each.num_rows for each in self._waiting[number]) >= self._most:
                self._write(number)

    def write(self) -> None:
        """Write what still waits."""
        for number in range(len(self._writers)):
            self._write(number)

    def _write(self, number: int) -> None:
        waiting, self._waiting[number] = self._waiting[number], []
        if waiting:
            table = pa.Table.from_batches(waiting)
            self._writers[number].write_table(table)
            self.rows[number] += table.num_rows


@contextmanager
def _dealt(stages: list[Stage], name: str, schema: pa.Schema, now: datetime) -> Iterator[_Pieces]:
    """Write one file for each shard; they are complete when the block ends without an error."""
    with ExitStack() as stack:
        pieces = _Pieces(
            [stack.enter_context(parquet_file(schema, each.prepare(name))) for each in stages]
        )
        yield pieces
        pieces.write()
    for stage, rows in zip(stages, pieces.rows, strict=True):
        stage.complete(name, rows, now)
