"""An unsubscribe in the store reaches Salesforce within seconds.

**wait_for_unsubscribes → push**

1. `wait_for_unsubscribes` waits in the triggerer, without a worker, until somebody opts out, asks
   for mails again or gets a Salesforce Id. After 15 minutes it ends all the same: the sweep.
2. `push` looks at these people and their records, decides by the rules of the night, and writes. It
   goes on until nothing has changed for a minute, so a busy hour pays for one start.

There is always one run: the next one starts when this one ends. Switch it on next to the nightly
sync, which repairs what a push could not do.

**Green** tells that everybody who was due was looked at. What one record refused waits in
`opt_out_sync.v_push_outbox` for its next attempt, and stands in `opt_out_sync.v_open_failures` with
its age: it makes no run red. While Salesforce is down, or the org's requests run out, pushes pause:
`opt_out_sync.push_pause` says why and until when.

**Red** tells that a person must look: the login, the org, a request that Salesforce refuses. The
log of `push` says what to do; pushes are tried again after a pause.

**Nothing is pushed while the sync is paused.** While it is only disabled, opt-outs still reach the
standard field *Email Opt Out*; nothing is cleared.
"""

from datetime import timedelta

import pendulum
import unsubscribe_sync_push as pushes
from airflow.sdk import dag, task
from unsubscribe_sync_defaults import DEFAULT_ARGS


@dag(
    schedule="@continuous",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS
    | {
        "retry_delay": timedelta(seconds=2),
        "max_retry_delay": timedelta(minutes=1),
        "execution_timeout": None,  # the sensor waits, and the push limits itself
    },
    doc_md=__doc__,
    description="Bring each unsubscribe to Salesforce within seconds",
    tags=["opt-out-sync", "push"],
)
def unsubscribe_push():
    """Wire the two tasks."""
    waited = pushes.UnsubscribesSensor(
        task_id="wait_for_unsubscribes",
        doc_md="Wait in the triggerer until somebody is due, for 15 minutes at most.",
    )
    waited >> task(multiple_outputs=False, execution_timeout=timedelta(minutes=30))(pushes.push)()


unsubscribe_push()
