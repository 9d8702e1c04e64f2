"""The error tree: every error a task may raise is one of two kinds.

OptOutSyncError
├── TransientSyncError   a retry helps: a lock, a limit, a lost connection
└── PermanentSyncError   a human must look: a wrong password, a missing field

Messages never contain an email address, a token or a payload: they end up in logs.
"""


class OptOutSyncError(Exception):
    """Base of all errors of this project."""


class TransientSyncError(OptOutSyncError):
    """The same call may succeed later without anybody doing anything."""


class PermanentSyncError(OptOutSyncError):
    """Retrying cannot help: the message says what to change."""
