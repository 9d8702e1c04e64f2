"""Constants of one deployment: `OPT_OUT_SYNC_*` environment variables, read when needed.

Secrets live in Airflow Connections, choices of the admin in versioned settings; neither is here.
"""

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from include.domain.errors import PermanentSyncError


class DeploymentError(PermanentSyncError):
    """An environment variable of this installation is missing or wrong."""


class Deployment(BaseSettings):
    """Where this installation keeps things.

    Attributes:
        staging: folder or object store for rows between tasks, as Airflow writes paths:
            `file:///var/lib/opt-out-sync`, `s3://connection@bucket/prefix`.
        push_linger_seconds: how long the outbox must be idle before a push ends.
        push_longest_seconds: how long a push runs at most; the next one goes on.
        shard_rows: how many people, or records of Salesforce, one shard of a night has; a night
            with less than twice as many is not cut. A shard of 1,500,000 takes some 0.9 GB.
    """

    model_config = SettingsConfigDict(env_prefix="OPT_OUT_SYNC_")

    staging: str = Field(min_length=1)
    push_linger_seconds: float = Field(default=60.0, ge=0, le=3_600)
    push_longest_seconds: float = Field(default=600.0, gt=0, le=3_600)
    shard_rows: int = Field(default=1_500_000, ge=1)

    @classmethod
    def from_environment(cls) -> "Deployment":
        """Read the constants.

        Raises:
            DeploymentError: one is missing or wrong; the message names it.
        """
        try:
            return cls.model_validate({})
        except ValidationError as error:
            names = ", ".join(f"OPT_OUT_SYNC_{str(e['loc'][0]).upper()}" for e in error.errors())
            raise DeploymentError(
                f"missing or wrong: {names}. Set it in the environment of every Airflow component"
            ) from None  # pydantic's message quotes the value


class Pages(BaseSettings):
    """What an installation may choose about its pages.

    Attributes:
        address_resource: name of the custom resource whose readers may see addresses; empty:
            whoever may read the Connection to the store.
    """

    model_config = SettingsConfigDict(env_prefix="OPT_OUT_SYNC_PAGES_")

    address_resource: str = ""

    @classmethod
    def from_environment(cls) -> "Pages":
        """Read the choices."""
        return cls.model_validate({})
