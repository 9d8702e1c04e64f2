"""What a login of the pages needs: the four roles together, and nothing that it owns."""

import pytest
from sqlalchemy import Engine, text

from include.audit import settings
from include.reports.checklist import State, checklist
from include.reports.compliance import Period, carried, summary
from include.reports.held import waiting
from include.reports.overview import overview
from include.reports.people import look_up, look_ups
from include.reports.person import story
from include.reports.preview import preview
from include.reports.search import find
from include.reports.tables import Table
from include.reports.versions import changes
from include.store.database import transaction
from include.store.errors import StoreRefusedError
from tests.reports import world
from tests.reports.world import DAY, HOUR, NOW, choose, night, push, read, unsubscribe

ROLES = ("opt_out_analyst", "opt_out_admin", "opt_out_support", "opt_out_sync_writer")
PERIOD = Period(NOW - 30 * DAY, NOW + DAY)


@pytest.fixture
def pages(engine: Engine, login) -> Engine:
    """A login with all four roles, in a world where something has happened."""
    choose(engine)
    (person,) = world.people(engine, 1)
    unsubscribe(engine, person, NOW - HOUR)
    push(engine, NOW - HOUR, [person])
    night(engine, people=[person])
    member = login(ROLES[0])
    with transaction(engine) as conn:
        for role in ROLES[1:]:
            conn.execute(text(f'GRANT {role} TO "{member.url.username}"'))
    return member


def test_a_login_with_the_four_roles_reads_every_report(pages: Engine, tmp_path) -> None:
    assert overview(pages, now=NOW).nights
    assert read(pages, summary, PERIOD, now=NOW).rows == 1
    assert len(read(pages, carried, PERIOD, now=NOW)) == 1
    assert len(story(pages, 1, now=NOW).events) == 6
    assert read(pages, look_up, "1", by="Ada", reason="x", with_address=True).candidates
    assert len(read(pages, look_ups)) == 1
    assert read(pages, changes)
    assert read(pages, waiting).clears == 0
    after = read(pages, changes)[0]
    assert after.version == 2
    assert checklist(pages, None, now=NOW).items[1].state is State.OK
    for table in Table:
        read(pages, find, table)


def test_a_login_with_the_four_roles_previews_settings(pages: Engine, tmp_path) -> None:
    after = read(pages, settings.current).settings.model_copy(
        update={"synced_scopes": ("team", "sender")}
    )
    assert preview(pages, tmp_path, after).people is None


def test_a_login_without_rights_is_told_which_it_needs(engine: Engine, login) -> None:
    found = checklist(login("opt_out_analyst"), None, now=NOW)
    assert [each.code for each in found.items] == ["STORE_RIGHTS", "SALESFORCE_LOGIN"]
    assert "opt_out_admin" in found.items[0].fix


def test_addresses_in_tables_take_a_login_that_may_read_them(pages: Engine) -> None:
    with pytest.raises(StoreRefusedError, match="42501"):
        read(pages, find, Table.DECISIONS, with_address=True)
