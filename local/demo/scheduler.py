"""Airflow's scheduler with the libraries of the tasks imported already.

A task of the LocalExecutor is a fork of the scheduler, so what is imported here is there at once
in every task: a night of ten tasks takes half the time on a small machine. Only libraries: a task
still imports this project itself, so an edited file counts from the next task on.
"""

import runpy
import sys
from importlib import import_module

LIBRARIES = (
    "adbc_driver_postgresql.dbapi",
    "airflow.providers.salesforce.hooks.salesforce",
    "pandas",
    "pandera.pandas",
    "psycopg2",
    "pyarrow.csv",
    "pyarrow.parquet",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "upath",
)

if __name__ == "__main__":
    for library in LIBRARIES:
        import_module(library)
    sys.argv = ["airflow", "scheduler", *sys.argv[1:]]
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)
