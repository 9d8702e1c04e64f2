"""Where in Salesforce's Setup an admin does by hand what the setup DAG does: exact menu paths.

Lightning Experience, in English, as of API version 65; `>` goes one level deeper.
"""

from typing import Final

PERMISSION_SET_LABEL: Final = "Opt-Out Sync"

_OBJECTS: Final = "Setup > Object Manager"
_SETS: Final = f"Setup > Users > Permission Sets > {PERMISSION_SET_LABEL}"
_PLURALS: Final = {"Contact": "Contacts", "Lead": "Leads", "Account": "Accounts"}


def new_field(obj: str, label: str) -> str:
    """Where a checkbox is added to an object."""
    return f"{_OBJECTS} > {obj} > Fields & Relationships > New > Checkbox, named {label}"


def fields(obj: str) -> str:
    """Where the fields of an object are listed."""
    return f"{_OBJECTS} > {obj} > Fields & Relationships"


def field_access(obj: str, label: str) -> str:
    """Where the permission set permits to read and edit a field."""
    return f"{object_access(obj)} > Field Permissions > {label}"


def object_access(obj: str) -> str:
    """Where the permission set permits to read and edit records of an object."""
    return f"{_SETS} > Object Settings > {_PLURALS.get(obj, obj)} > Edit"


def permission_set() -> str:
    """Where the permission set is."""
    return _SETS


def system_permissions() -> str:
    """Where the permission set gets permissions such as API Enabled."""
    return f"{_SETS} > System Permissions > Edit"


def assignment() -> str:
    """Where the permission set is given to a user."""
    return f"{_SETS} > Manage Assignments > Add Assignment"


def layout(obj: str, name: str) -> str:
    """Where a page layout is edited."""
    return f"{_OBJECTS} > {obj} > Page Layouts > {name}"


def history(obj: str) -> str:
    """Where an admin chooses the fields of which a history is kept."""
    return f"{_OBJECTS} > {obj} > Fields & Relationships > Set History Tracking"
