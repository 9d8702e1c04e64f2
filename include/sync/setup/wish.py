"""What an admin asks the setup for, and the org it is asked of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from sqlalchemy import Engine

from include.audit import runs, settings
from include.audit.settings import FieldMode
from include.domain.errors import PermanentSyncError
from include.domain.values import STANDARD_FIELD
from include.salesforce.administration import SalesforceAdministration
from include.salesforce.client import SalesforceClient
from include.salesforce.definitions import Checkbox
from include.store.database import transaction

AS_THE_SETTINGS: Final = "as the settings"
PARAMETERS: Final = frozenset(
    {"plan_only", "field_mode", "layouts", "track_history", "admin_connection"}
)


class UnknownSetupParameterError(PermanentSyncError):
    """The setup was started with a parameter that does not exist."""


class TwoOrgsError(PermanentSyncError):
    """The two Connections lead to different orgs."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the org is to have.

    Attributes:
        mode: which opt-out fields.
        checkbox: the custom one, as the settings name it.
        layouts: full names of the page layouts that are to show the fields; may be empty.
        track_history: whether Salesforce keeps a history of the fields.
    """

    mode: FieldMode
    checkbox: Checkbox
    layouts: tuple[str, ...] = ()
    track_history: bool = False

    @property
    def wants_checkbox(self) -> bool:
        """Whether the custom checkbox is needed."""
        return self.mode is not FieldMode.EMAIL_OPT_OUT

    def fields(self, checkbox: str) -> tuple[str, ...]:
        """Return the opt-out fields, the custom one under the name it has in the org."""
        standard = () if self.mode is FieldMode.SALES_OPT_OUT else (STANDARD_FIELD,)
        return (*standard, checkbox) if self.wants_checkbox else standard


@dataclass(frozen=True, slots=True)
class Org:
    """One org, seen by two users.

    Attributes:
        administration: as a user who may change the org.
        client: as the integration user, who needs only what the setup grants.
    """

    administration: SalesforceAdministration
    client: SalesforceClient


def wish(engine: Engine, parameters: Mapping[str, Any]) -> Wish:
    """Read a wish from the parameters of a run and the settings.

    Raises:
        UnknownSetupParameterError: a parameter that nobody reads.
    """
    unknown = sorted(parameters.keys() - PARAMETERS)
    if unknown:
        raise UnknownSetupParameterError(
            f"unknown parameter {', '.join(unknown)}: the setup knows "
            f"{', '.join(sorted(PARAMETERS))}"
        )
    with transaction(engine) as conn:
        chosen = settings.current(conn).settings
    mode = parameters["field_mode"]
    names = (unquote(str(each)).strip() for each in parameters["layouts"] or ())
    return Wish(
        mode=chosen.field_mode if mode == AS_THE_SETTINGS else FieldMode(mode),
        checkbox=Checkbox(chosen.sales_opt_out_field, chosen.sales_opt_out_label),
        layouts=tuple(dict.fromkeys(each for each in names if each)),
        track_history=bool(parameters["track_history"]),
    )


def require_one_org(engine: Engine, org: Org) -> str:
    """Return the Id of the org: the same for both users, and the one of this database.

    Raises:
        TwoOrgsError: the Connections lead to different orgs.
        WrongOrgError: this database belongs to another org.
    """
    found, ours = org.administration.organization_id(), org.client.organization_id()
    if found != ours:
        raise TwoOrgsError(
            f"the Connection of the setup leads to Salesforce org {found}, the one of the sync to "
            f"{ours}: nothing was changed; correct one of them"
        )
    with transaction(engine) as conn:
        runs.require_org(conn, found)
    return found
