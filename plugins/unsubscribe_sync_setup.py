"""The bodies of the tasks that set an org up: Connections in, use case called, sentences out.

The sentences are about fields, layouts and permissions; none is about a person.
"""

from typing import Any

import unsubscribe_sync_connections as connections

Parameters = dict[str, Any]


def plan(params: Parameters) -> list[str]:
    """Say what there is and what would be changed; stop here if a permission is missing."""
    from include.sync import setup

    wish = setup.wish(connections.store(), params)
    org = _org(params)
    if params["plan_only"]:
        return setup.plan(connections.store(), org, wish)
    return setup.require_permitted(connections.store(), org, wish)


def unless_plan_only(params: Parameters) -> bool:
    """Go on only if more than a plan was asked for."""
    return not params["plan_only"]


def install_field(params: Parameters) -> list[str]:
    """Create the custom checkbox on Contact and Lead, or adopt the one that is there."""
    from include.sync import setup

    wish = setup.wish(connections.store(), params)
    return setup.install_field(connections.store(), _org(params), wish, clock=connections.clock())


def grant_access(params: Parameters) -> list[str]:
    """Complete the permission set Opt_Out_Sync and give it to the integration user."""
    from include.sync import setup

    return setup.grant_access(
        connections.store(), _org(params), setup.wish(connections.store(), params)
    )


def add_to_layouts(params: Parameters) -> list[str]:
    """Show the opt-out fields on the chosen page layouts, after what is there."""
    from include.sync import setup

    return setup.add_to_layouts(
        connections.store(), _org(params), setup.wish(connections.store(), params)
    )


def track_history(params: Parameters) -> list[str]:
    """Let Salesforce keep a history of the opt-out fields, if that is asked for."""
    from include.sync import setup

    return setup.track_history(
        connections.store(), _org(params), setup.wish(connections.store(), params)
    )


def verify(params: Parameters) -> list[str]:
    """Look again, at the fields as the integration user."""
    from include.sync import setup

    return setup.verify(connections.store(), _org(params), setup.wish(connections.store(), params))


def _org(params: Parameters) -> Any:
    from include.sync.setup import Org

    administration = connections.salesforce_administration(params["admin_connection"])
    return Org(administration, connections.salesforce())
