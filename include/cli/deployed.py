"""Where the deployment keeps things, for commands that run outside Airflow."""

import re

from upath import UPath

from include.cli.arguments import RefusedError
from include.deployment import Deployment

OF_A_CONNECTION = re.compile(r"\w+://[^/]+@")  # as Airflow writes s3://connection@bucket/prefix


def staging() -> UPath:
    """Return where rows rest between tasks (`OPT_OUT_SYNC_STAGING`).

    Raises:
        RefusedError: it cannot be reached from a command line.
        DeploymentError: it is not set.
    """
    path = Deployment.from_environment().staging
    if OF_A_CONNECTION.match(path):
        raise RefusedError(
            "OPT_OUT_SYNC_STAGING names a Connection, which only Airflow knows: set it to the same "
            "place without connection@ for this command, with credentials of this machine"
        )
    try:
        return UPath(path)
    except (ValueError, ImportError):
        raise RefusedError(
            "OPT_OUT_SYNC_STAGING cannot be reached from here: its kind of storage is not installed"
        ) from None
