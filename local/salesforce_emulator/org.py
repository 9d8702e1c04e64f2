"""The emulated org: everything a request handler may need, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from local.salesforce_emulator import clock
from local.salesforce_emulator.bulk1.batches import BatchStore
from local.salesforce_emulator.bulk_worker import Jobs
from local.salesforce_emulator.connection import DEFAULT_PASSWORD, DEFAULT_SECURITY_TOKEN
from local.salesforce_emulator.database import Database
from local.salesforce_emulator.definitions import Definitions
from local.salesforce_emulator.doors import Doors
from local.salesforce_emulator.faults import Faults
from local.salesforce_emulator.identity import INTEGRATION_USER_ID
from local.salesforce_emulator.journal import Journal
from local.salesforce_emulator.limits import Limits
from local.salesforce_emulator.metadata.deploys import Deploys
from local.salesforce_emulator.oauth_grants import RefreshTokens
from local.salesforce_emulator.options import Options
from local.salesforce_emulator.query import Cursors
from local.salesforce_emulator.rules import RuleBook
from local.salesforce_emulator.schema import Schema
from local.salesforce_emulator.seed import SeedPlan, seed_org
from local.salesforce_emulator.sessions import LIFETIME_SECONDS, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from starlette.responses import Response

    from local.salesforce_emulator.objects import ObjectType
    from local.salesforce_emulator.web import Call

    PartAnswerer = Callable[[Call, str, str, Any, Mapping[str, str]], Response]


@dataclass(frozen=True, slots=True)
class Client:
    """The connected app which may log in, and what else opens this org.

    ``certificate`` is the public half, in PEM, of what signs JWT assertions. Everybody has the
    same password; a login from outside follows it with the security token.
    """

    client_id: str
    client_secret: str
    certificate: str | None = None
    password: str = DEFAULT_PASSWORD
    security_token: str = DEFAULT_SECURITY_TOKEN


class Org:
    """One org; its records, fields, access and jobs outlive the process, the rest does not."""

    def __init__(self, path: Path, client: Client, plan: SeedPlan) -> None:
        self.client = client
        self.database = Database(path)
        if self.database.is_new:
            seed_org(self.database, plan)
        self.definitions = Definitions(self.database)
        self.definitions_changed_at = clock.now()
        self._schemas: dict[str, Schema] = {}
        self.schema = self.schema_of(INTEGRATION_USER_ID)
        self.sessions = Sessions()
        self.refresh_tokens = RefreshTokens()
        self.deploys = Deploys()
        self.limits = Limits()
        self.faults = Faults()
        self.journal = Journal()
        self.cursors = Cursors()
        self.options = Options()
        self.rules = RuleBook()
        self.rules.load(self.database.read())
        self.doors = Doors()
        self.jobs = Jobs(self)
        self.batches = BatchStore(self.database, self.jobs.store)
        self.answer_part: PartAnswerer = _unserved
        self.jobs.begin()

    def schema_of(self, user_id: str) -> Schema:
        """Return the org as a user sees it."""
        found = self._schemas.get(user_id)
        if found is None:
            found = Schema(self.database, user_id, self.definitions)
            self._schemas[user_id] = found
        return found

    def reload(self) -> None:
        """Notice new fields and rights."""
        self.definitions.load()
        self.definitions_changed_at = clock.now()
        for schema in list(self._schemas.values()):
            schema.load()

    def after_save(self, object_type: ObjectType) -> None:
        """Notice what changed when administrators' objects were saved."""
        if object_type.is_setup:
            self.reload()

    def snapshot(self) -> None:
        """Copy records, fields, access and jobs aside."""
        self.database.snapshot()

    def restore(self) -> None:
        """Bring the copy back and forget faults, cursors, counts and what limits were spent.

        Raises:
            FileNotFoundError: no copy was made.
        """
        self.jobs.hold(False)
        self.database.restore()
        self.reload()
        self.rules.load(self.database.read())
        self.rules.unlock()
        self.faults.clear()
        self.journal.reset()
        self.limits.reset()
        self.cursors.clear()
        self.options.reset()
        self.deploys.forget_queue()
        self.sessions.lifetime_seconds = LIFETIME_SECONDS
        clock.set_offset(timedelta(0))

    def close(self) -> None:
        """Finish the job in hand and close the file."""
        self.jobs.close()
        self.database.close()


def _unserved(*_part: object) -> Response:
    """Stand in until an application serves the org, and with it the parts of requests."""
    raise RuntimeError("no application serves this org")
