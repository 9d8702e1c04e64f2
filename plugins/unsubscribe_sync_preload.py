"""What starts tasks, with what they need imported already: Airflow's scheduler, or a Celery worker.

    python -m plugins.unsubscribe_sync_preload scheduler
    python -m plugins.unsubscribe_sync_preload celery worker

A task of the LocalExecutor is a fork of the scheduler, one of the CeleryExecutor a fork of its
worker. What is imported here is there at once in every task: a push begins a second earlier, and a
night of ten tasks takes half the time on a small machine. Restart them after an upgrade of this
project, as after any other.

`--libraries-only` in front of the command leaves this project out, for whoever is changing it: then
an edited file counts from the next task on.
"""

import runpy
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

LIBRARIES: Final = (
    "adbc_driver_postgresql.dbapi",
    "airflow.dag_processing.dagbag",
    "airflow.providers.salesforce.hooks.salesforce",
    "airflow.providers.standard.decorators.python",
    "airflow.sdk.bases.sensor",
    "airflow.sdk.definitions.connection",
    "airflow.sdk.definitions.decorators",
    "airflow.sdk.definitions.retry_policy",
    "airflow.sdk.observability.stats",
    "pandas",
    "pandera.pandas",
    "psycopg2",
    "pyarrow.csv",
    "pyarrow.parquet",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "upath",
)
PROJECT: Final = (
    "include.deployment",
    "include.sync.alerts",
    "include.sync.nightly",
    "include.sync.push",
)
ONLY_LIBRARIES: Final = "--libraries-only"


def main(arguments: list[str]) -> None:
    """Import, then become Airflow."""
    only_libraries = arguments[:1] == [ONLY_LIBRARIES]
    preload(LIBRARIES if only_libraries else (*LIBRARIES, *PROJECT))
    sys.argv = ["airflow", *arguments[only_libraries:]]
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


def preload(modules: Sequence[str]) -> None:
    """Import what tasks need, and what that imports only when it is first used."""
    for module in modules:
        import_module(module)
    _use_pandera_once()


def _use_pandera_once() -> None:
    """Check nothing: pandera imports most of itself only when it is first used."""
    import pandas as pd
    import pandera.pandas as pa

    pa.DataFrameSchema({}).validate(pd.DataFrame())


if __name__ == "__main__":
    main(sys.argv[1:])
