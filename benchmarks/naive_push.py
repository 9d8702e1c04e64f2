"""The push as one writes it first, for `benchmarks/push.py`: a stock sensor, one record per call.

Airflow's own `SqlSensor` looks once a minute; then everybody who is opted out and was not told to
Salesforce is told, one after the other. It keeps no audit, knows no Leads, no groups, no errors.
"""

from datetime import datetime, timedelta
from typing import Any

import pendulum
import psycopg2
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.providers.common.sql.sensors.sql import SqlSensor
from airflow.sdk import BaseHook, dag, task

UNTOLD = """
SELECT p.id, p.salesforce_id FROM engagement.person AS p
JOIN engagement.unsubscribe AS u ON u.person_id = p.id
WHERE p.email = 'naive' AND NOT EXISTS (SELECT FROM naive_told AS t WHERE t.person_id = p.id)
"""


def _connect() -> Any:
    return psycopg2.connect(BaseHook.get_connection("engagement_store").get_uri())


class _PostgresHook(DbApiHook):
    """What the Postgres provider brings, as far as it is needed here."""

    conn_name_attr = "engagement_store"

    def get_conn(self) -> Any:
        return _connect()


class _Sensor(SqlSensor):
    def _get_hook(self) -> DbApiHook:
        return _PostgresHook()


@dag(
    schedule="@continuous",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
)
def naive_push() -> None:
    """Wire the two tasks."""

    @task
    def push() -> int:
        from airflow.providers.salesforce.hooks.salesforce import SalesforceHook

        contacts: Any = SalesforceHook("salesforce").get_conn().Contact
        with _connect() as store, store.cursor() as cursor:
            cursor.execute(UNTOLD)
            people = cursor.fetchall()
            for person_id, record_id in people:
                contacts.update(record_id, {"HasOptedOutOfEmail": True})
                told = (person_id, datetime.now().astimezone())
                cursor.execute("INSERT INTO naive_told VALUES (%s, %s)", told)
                store.commit()
        return len(people)

    waited = _Sensor(
        task_id="wait",
        conn_id="engagement_store",
        sql=f"SELECT EXISTS ({UNTOLD})",
        poke_interval=timedelta(seconds=60),
    )
    waited >> push()


naive_push()
