"""What a push works with, the same for every batch of a run."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import Engine

from include.audit import writes
from include.audit.runs import Run
from include.domain.ids import OBJECT_OF_PREFIX
from include.domain.values import SalesforceObject
from include.salesforce.client import SalesforceClient
from include.sync.clock import Clock
from include.sync.preflight import Access


@dataclass(frozen=True, slots=True)
class Work:
    """The two systems, the run and what it may do.

    Attributes:
        engine: the store.
        client: Salesforce.
        run: of the push, under the settings that it obeys.
        is_enabled: false while the nightly sync is disabled: boxes are ticked, nothing else.
        access: what can be read and written.
        clock: tells the time.
        spread: a number from 0 to 1, by chance.
    """

    engine: Engine
    client: SalesforceClient
    run: Run
    is_enabled: bool
    access: Access
    clock: Clock
    spread: Callable[[], float]

    def writable(self, rows: pd.DataFrame) -> pd.Series:
        """Tell of each row whether its field may be written on its object."""
        return pd.Series(
            [
                self.access.fields[field][SalesforceObject(obj)].updateable
                for field, obj in zip(rows["field"], rows["object"], strict=True)
            ],
            index=rows.index,
            dtype=bool,
        )

    def is_unreadable(self, record_id: str) -> bool:
        """Tell whether some opt-out field of a record's object cannot be read."""
        obj = OBJECT_OF_PREFIX.get(record_id[:3])
        fields = self.run.settings.settings.opt_out_fields
        return obj is not None and not all(
            self.access.fields[field][obj].readable for field in fields
        )

    @staticmethod
    def nothing_written() -> pd.DataFrame:
        """Return outcomes without a row."""
        return pd.DataFrame(columns=list(writes.OUTCOMES.names))
