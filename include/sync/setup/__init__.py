"""Sets an org up for the sync: **look → install → grant → place → track → verify**.

Each step looks at the org first and does what is missing, so every step can be repeated, and a
setup that was killed goes on where it was. Nothing is ever removed or moved; each line of a result
says how to undo it.
"""

from include.sync.setup.planning import Plan, look
from include.sync.setup.steps import (
    add_to_layouts,
    grant_access,
    install_field,
    plan,
    require_permitted,
    track_history,
)
from include.sync.setup.target import FieldConflictError
from include.sync.setup.verify import NotInstalledError, verify
from include.sync.setup.wish import Org, Wish, wish

__all__ = [
    "FieldConflictError",
    "NotInstalledError",
    "Org",
    "Plan",
    "Wish",
    "add_to_layouts",
    "grant_access",
    "install_field",
    "look",
    "plan",
    "require_permitted",
    "track_history",
    "verify",
    "wish",
]
