from datetime import timedelta

import psycopg2.extensions
import pytest
from pydantic import ValidationError
from sqlalchemy import Engine

from include.audit import settings
from include.audit.settings import FieldMode, Settings, UnknownSettingsVersionError
from include.store.database import connect, libpq_uri, transaction
from tests.database.world import NOW


def test_a_new_installation_does_nothing_until_it_is_enabled(engine: Engine) -> None:
    with transaction(engine) as conn:
        first = settings.current(conn)
    assert (first.version, first.settings) == (1, Settings())
    assert not first.settings.enabled
    assert first.settings.opt_out_field == "HasOptedOutOfEmail"


def test_every_save_is_a_version_with_its_author(engine: Engine) -> None:
    chosen = Settings(field_mode=FieldMode.SALES_OPT_OUT, sales_opt_out_field="Opt__c")
    with transaction(engine) as conn:
        saved = settings.save(conn, chosen, saved_by="Ada", note="why", now=NOW)
        again = settings.save(
            conn, chosen, saved_by="Bob", note="same", now=NOW + timedelta(days=1)
        )
        assert again == saved == settings.current(conn) == settings.load(conn, 2)
        assert [version.version for version in settings.history(conn)] == [2, 1]
    assert (saved.saved_by, saved.note, saved.saved_at) == ("Ada", "why", NOW)
    assert saved.settings.opt_out_field == "Opt__c"


def test_a_version_that_was_never_saved_is_named(engine: Engine) -> None:
    with transaction(engine) as conn, pytest.raises(UnknownSettingsVersionError, match="7"):
        settings.load(conn, 7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sales_opt_out_field": "HasOptedOutOfEmail"},
        {"sales_opt_out_field": "A__c, Email"},
        {"sales_opt_out_field": "x" * 78 + "__c"},
        {"max_open_failures": -1},
        {"max_open_failures": 1_000_001},
        {"api_reserve": 1_000_001},
        {"bulk_threshold": 10_001},
        {"synced_scopes": ("sender",)},
        {"conflict_rule": "latest_change"},
        {"colour": "green"},
    ],
)
def test_a_choice_that_does_not_exist_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)


def test_a_scope_counts_once() -> None:
    assert Settings(synced_scopes=("team", "sender", "team")).synced_scopes == ("team", "sender")


@pytest.mark.parametrize("host", ["::1", "fe80::1%eth0"])
def test_an_address_of_ipv6_reaches_the_bulk_driver(host: str) -> None:
    uri = libpq_uri(connect(f"postgresql://ada:secret@[{host}]:5433/store"))
    read = psycopg2.extensions.parse_dsn(uri)
    assert (read["host"], read["port"], read["dbname"]) == (host, "5433", "store")
