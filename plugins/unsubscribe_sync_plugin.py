"""What Airflow has to know of these plugins beyond their names: it reads this when it starts."""

from airflow.plugins_manager import AirflowPlugin
from unsubscribe_sync_alerts import RunWasCreated


class UnsubscribeSyncPlugin(AirflowPlugin):
    """Registers the deadline of the night."""

    name = "unsubscribe_sync"
    deadline_references = [RunWasCreated]  # noqa: RUF012  as Airflow declares it
