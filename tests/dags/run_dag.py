"""Run one DAG to its end in this process and print the state of every task as JSON.

    python -m tests.dags.run_dag DAG_ID [CONF]

A process of its own, because Airflow reads its configuration once, when it is first imported.
"""

import json
import sys
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).parents[2] / "dags"


def main(dag_id: str, conf: str = "{}") -> None:
    dag = DagBag(DAGS).dags[dag_id]
    dag.deadline = None  # `test` looks a deadline up by what is not its id yet; see test_backfill
    run = dag.test(run_conf=json.loads(conf))
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    print(json.dumps({"run": str(run.state), "tasks": states}))


main(*sys.argv[1:])
