"""A person decides when a night would clear more opt-outs than is normal.

**open → ask → decide → clear → verify → close**, or **reject**, or **time_out**

Runs after every night. When nothing waits for a person, it ends at once, green.

1. `open` looks for held clears: `opt_out_sync.v_held_clears`.
2. `ask` shows how many there are and why, and waits a day for **Approve** or **Reject**: the bell,
   *Required Actions*. Waiting takes no worker and blocks no night.
3. Approved: `decide` reads both sides again and decides on what it finds then. Whoever has opted
   out since stays opted out. `clear`, `verify` and `close` are those of a night.
4. Rejected: `reject` refuses the consents. A new consent is judged anew.
5. No answer: `time_out` leaves everything as it is; the next night asks again.

**Green** tells that an answer, or its absence, was carried out: the task that is not skipped says
which. **Red** tells that a step failed: its log says what to do. Clear it, downstream included;
or clear `decide` to begin the approved clears again.
"""

from functools import partial

import pendulum
import unsubscribe_sync_held_clears as held_clears
from airflow.sdk import Asset, dag, task
from unsubscribe_sync_defaults import DEFAULT_ARGS, TurnPolicy

ASKED_AT = "{{ ti.xcom_pull(task_ids='open')['asked_at'] }}"

step = partial(task, multiple_outputs=False)  # counts stay one XCom
# Waits without a worker for a night that runs, or that died without a word (its lease: 30 minutes).
opening = partial(step, retries=TurnPolicy.RETRIES, retry_policy=TurnPolicy(tries=8))


@dag(
    # Every close of a night, plans and repeated ones too: what is held decides, not who woke us.
    schedule=[Asset("opt_outs")],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,  # one question at a time: the next run finds what the answer has left
    is_paused_upon_creation=False,  # does nothing by itself, and a question must not go unseen
    default_args=DEFAULT_ARGS,
    user_defined_macros={"question": held_clears.question},
    doc_md=__doc__,
    description="Ask a person about a mass clear, and do what the answer says",
    tags=["opt-out-sync", "held-clears"],
)
def unsubscribe_held_clears():
    """Wire the three ways."""
    found = task.short_circuit(
        task_id="open", multiple_outputs=False, ignore_downstream_trigger_rules=False
    )(held_clears.find_waiting)()
    ask = held_clears.HeldClearsQuestion(
        task_id="ask",
        subject="Clear {{ ti.xcom_pull(task_ids='open')['clears'] }} opt-outs?",
        body="{{ question(ti.xcom_pull(task_ids='open')) }}",
        response_timeout=held_clears.ANSWER_WITHIN,
        ways={
            held_clears.APPROVED: "decide",
            held_clears.REJECTED: "reject",
            held_clears.TIMED_OUT: "time_out",
        },
        retries=0,  # a retry would ask again
        doc_md="Wait for a person to approve or reject.",
    )
    decided = opening(held_clears.decide)(asked_at=ASKED_AT)
    cleared = step(held_clears.clear)(decided)
    verified = step(held_clears.verify)(decided)
    closed = step(held_clears.close)(decided, ASKED_AT)
    found >> ask >> decided >> cleared >> verified >> closed
    ask >> opening(held_clears.reject)(asked_at=ASKED_AT)
    ask >> opening(held_clears.time_out)(asked_at=ASKED_AT)


unsubscribe_held_clears()
