"""Every night at 8 pm Pacific the store and Salesforce agree again on who has opted out.

**extract → split → decide → merge → load → verify → close → report**

1. `preflight` takes the lease (one night at a time) and checks what can be read and written.
2. `extract` stages the store's opt-outs and the opt-out fields of every Contact and Lead.
3. `split` adds what earlier nights know; three million people and more are dealt out to shards.
4. `decide` compares everything with everything and decides each group by the conflict rules, shard
   by shard; `merge` records all of it, or nothing.
5. `load` writes the opt-outs, first the store, then Salesforce; last what evidence clears.
6. `verify` reads back what was written; `close` moves the bases; `report` decides the colour.

Every night is a full comparison, so a missed night needs nothing: the next one covers it.

**Run it by hand**: *Trigger*, with `plan_only` to decide and explain everything and write nothing.

**When it is red**: the log of `report` says what to do in one sentence. A night can be closed and
red: everything possible was done, and something is left for a person (a hidden field, a rejected
record). `opt_out_sync.v_open_failures` lists each such write with its fix. To run a failed night
again, clear it from `preflight`; every step can be repeated.

**When it is green and did nothing**: the sync is switched off; the log of `report` says so.
"""

from functools import partial

import pendulum
import unsubscribe_sync_alerts as alerts
import unsubscribe_sync_night as night
from airflow.sdk import Asset, CronDataIntervalTimetable, Param, TriggerRule, dag, task, task_group
from unsubscribe_sync_defaults import DEFAULT_ARGS, TurnPolicy

TIME_ZONE = "America/Los_Angeles"

# Read where it is needed instead of passed from task to task: the graph shows the night, not XCom.
SYNC_RUN_ID = "{{ ti.xcom_pull(task_ids='preflight') }}"
ATTEMPT = f"{{{{ ti.xcom_pull(task_ids='preflight', key='{night.ATTEMPT}') }}}}"

step = partial(task, multiple_outputs=False)  # counts stay one XCom


@dag(
    schedule=CronDataIntervalTimetable("0 20 * * *", timezone=TIME_ZONE),
    start_date=pendulum.datetime(2026, 1, 1, tz=TIME_ZONE),
    catchup=False,
    max_active_runs=1,
    # A night that has begun goes on before another one begins.
    default_args=DEFAULT_ARGS | {"weight_rule": "upstream"},
    render_template_as_native_obj=True,  # so that a run id stays a number
    deadline=alerts.deadline(),
    doc_md=__doc__,
    description="Agree again on who has opted out, in both directions",
    tags=["opt-out-sync", "nightly"],
    params={
        "plan_only": Param(
            False,
            type="boolean",
            title="Plan only",
            description="Decide and explain every link, but write nothing on either side.",
        ),
    },
)
def unsubscribe_nightly_sync():
    """Wire the night."""
    # A skipped preflight skips the night, but never `report`: it says why nothing was done.
    # Its retries outlast the lease (30 minutes) of a night that died without a word, and the turns
    # of the nights of a backfill.
    preflight = task.short_circuit(
        ignore_downstream_trigger_rules=False,
        retries=TurnPolicy.RETRIES,
        retry_policy=TurnPolicy(tries=8),
    )(night.preflight)
    records = step(night.extract_records)
    # Airflow does not take the docs of a mapped task from its function.
    decide = step(max_active_tis_per_dagrun=night.SHARDS_AT_ONCE, doc_md=night.decide.__doc__)
    report = task(trigger_rule=TriggerRule.ALL_DONE)(night.report)

    @task_group
    def extract():
        """Read both sides completely."""
        step(task_id="store")(night.extract_store)(SYNC_RUN_ID)
        records.override(task_id="contact")(SYNC_RUN_ID, "Contact")
        records.override(task_id="lead")(SYNC_RUN_ID, "Lead")

    @task_group
    def load():
        """Write the opt-outs, the store first; then what evidence clears."""
        store = step(task_id="store")(night.load_store)(SYNC_RUN_ID)
        salesforce = step(task_id="salesforce")(night.load_salesforce)(SYNC_RUN_ID)
        clears = step(task_id="clears")(night.load_clears)(SYNC_RUN_ID)
        store >> salesforce >> clears

    (
        preflight()
        >> (extracted := extract())
        >> (shards := task(night.split)(SYNC_RUN_ID))
        >> decide(night.decide).partial(sync_run_id=SYNC_RUN_ID).expand(shard=shards)
        >> step(night.merge)(SYNC_RUN_ID)
        >> load()
        >> step(night.verify)(SYNC_RUN_ID)
        >> step(outlets=[Asset("opt_outs")])(night.close)(SYNC_RUN_ID)
        >> (reported := report(ATTEMPT))
    )
    # When one extract fails, the steps after it fail at once: report waits for the other extracts.
    extracted >> reported


unsubscribe_nightly_sync()
