"""The demo: everything on one machine, for a person who wants to see it work."""


class DemoError(Exception):
    """The demo cannot go on; the message is one sentence that says what to do."""
