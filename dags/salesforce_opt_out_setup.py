"""Sets a Salesforce org up for the opt-out sync: field, access, page layouts, history.

**plan → install_field → grant_access → add_to_layouts → track_history → verify**

Started by hand. It plans only, unless *Plan only* is switched off: the log of `plan` says what
there is, what would be changed, how each change is undone, and which permission is missing.

1. `install_field` creates the custom checkbox on Contact and Lead, if the chosen fields include it
   and it is missing. A checkbox of the original product is adopted instead.
2. `grant_access` completes the permission set `Opt_Out_Sync` and gives it to the integration user.
3. `add_to_layouts` shows the fields on the chosen page layouts, last in their column: nothing that
   is there moves.
4. `track_history` lets Salesforce keep a history of the fields, if that is asked for.
5. `verify` looks again, at the fields as the integration user.

Example, in *Trigger*: plan first with everything as it is; then the same with
`{"plan_only": false, "field_mode": "both", "layouts": ["Contact-Contact Layout"]}`.

**Who does it**: the user of the Connection in `admin_connection`. The integration user needs none
of the permissions that this takes; give an administrator a Connection of their own, and delete it
afterwards.

**When it is red**: the log of the red task says what to do in one sentence. Each task looks before
it changes anything, so clear it and what follows, or start the DAG again.
"""

import pendulum
import unsubscribe_sync_setup as setup
from airflow.sdk import Param, dag, task
from unsubscribe_sync_defaults import DEFAULT_ARGS


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,  # two setups of one org would race for the same page layout
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
    description="Install the opt-out field and the access to it in a Salesforce org",
    tags=["opt-out-sync", "setup"],
    params={
        "plan_only": Param(
            True,
            type="boolean",
            title="Plan only",
            description="Say what would be changed, and change nothing.",
        ),
        "field_mode": Param(
            "as the settings",
            type="string",
            enum=["as the settings", "email_opt_out", "sales_opt_out", "both"],
            title="Opt-out fields",
            description="Which checkboxes: the standard Email Opt Out, a custom one for sales, or "
            "both. The name and the label of the custom one are settings.",
        ),
        "layouts": Param(
            [],
            type="array",
            items={"type": "string"},
            title="Page layouts",
            description="Which page layouts show the fields, one a line, as the plan names them: "
            "Contact-Contact Layout. Empty: none is touched.",
        ),
        "track_history": Param(
            False,
            type="boolean",
            title="Field history",
            description="Let Salesforce keep a history of the fields: it dates each opt-out.",
        ),
        "admin_connection": Param(
            "salesforce",
            type="string",
            minLength=1,
            title="Connection of the administrator",
            description="The Airflow Connection of the user who changes the org. It needs the "
            "permissions Customize Application, Modify Metadata Through Metadata API Functions, "
            "View Setup and Configuration, Manage Profiles and Permission Sets, Assign Permission "
            "Sets.",
        ),
    },
)
def salesforce_opt_out_setup():
    """Wire the steps."""
    (
        task(setup.plan)()
        >> task.short_circuit(setup.unless_plan_only)()
        >> task(setup.install_field)()
        >> task(setup.grant_access)()
        >> task(setup.add_to_layouts)()
        >> task(setup.track_history)()
        >> task(setup.verify)()
    )


salesforce_opt_out_setup()
