"""Make people in the FAB auth manager: python -m tests.pages.fab_people ROLES PASSWORD.

`Support` is a role of this installation: a viewer who may see addresses. A process of its own,
because Airflow reads its configuration once.
"""

import json
import sys

ADDRESSES = "Opt-out addresses"


def main(roles: str, password: str) -> None:
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        viewer = manager.find_role("Viewer")
        support = manager.add_role("Support")
        for permission in viewer.permissions:
            manager.add_permission_to_role(support, permission)
        may_read = manager.create_permission("can_read", ADDRESSES)
        manager.add_permission_to_role(support, may_read)
        for name, role in json.loads(roles).items():
            assert manager.add_user(
                name, name, name, f"{name}@example.com", manager.find_role(role), password
            ), name


if __name__ == "__main__":
    main(*sys.argv[1:])
