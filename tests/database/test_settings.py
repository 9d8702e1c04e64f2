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
    assert first.settings.opt_out_fields == ("HasOptedOutOfEmail",)


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
    assert saved.settings.opt_out_fields == ("Opt__c",)


def test_a_version_that_was_never_saved_is_named(engine: Engine) -> None:
    with transaction(engine) as conn, pytest.raises(UnknownSettingsVersionError, match="7"):
        settings.load(conn, 7)


CUSTOM_FIELD = "must be the API name of a custom field"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"sales_opt_out_field": "HasOptedOutOfEmail"}, CUSTOM_FIELD),
        ({"sales_opt_out_field": "A__c, Email"}, f"{CUSTOM_FIELD}, like Sales_Opt_Out__c: letters"),
        ({"sales_opt_out_field": "x" * 78 + "__c"}, f"{CUSTOM_FIELD}: it has at most 80"),
        ({"max_open_failures": -1}, "must be a whole number from 0 to 1000000"),
        ({"max_open_failures": 1_000_001}, "must be a whole number from 0 to 1000000"),
        ({"max_open_failures": "few"}, "must be a whole number from 0 to 1000000"),
        ({"api_reserve": 1_000_001}, "must be a whole number from 0 to 1000000"),
        ({"bulk_threshold": 10_001}, "must be a whole number from 1 to 10000"),
        ({"clock_skew_seconds": 86_401}, "must be a whole number from 0 to 86400"),
        ({"evidence_days": 0}, "must be a whole number from 1 to 90"),
        ({"held_clears_minimum": -1}, "must be a whole number from 0 to 1000000"),
        ({"held_clears_fraction": 1.1}, "must be a fraction from 0 to 1"),
        ({"held_clears_fraction": float("nan")}, "must be a fraction from 0 to 1"),
        ({"alert_writes_fraction": -0.1}, "must be a fraction from 0 to 1"),
        ({"alert_drop_fraction": "half"}, "must be a fraction from 0 to 1"),
        ({"alert_hidden_fraction": 2}, "must be a fraction from 0 to 1"),
        ({"audit_keep_months": 23}, "must be 0, which keeps everything, or 24 or more months"),
        ({"audit_keep_months": -1}, "must be a whole number from 0 to 1200"),
        ({"enabled": "perhaps"}, "must be true or false"),
        ({"synced_scopes": ("sender",)}, "must contain team"),
        ({"synced_scopes": ("team", "world")}, "must be 'team' or 'sender'"),
        ({"field_mode": "all"}, "must be 'email_opt_out', 'sales_opt_out' or 'both'"),
        ({"conflict_rule": "latest_change"}, "must be 'opt_out_wins' or 'changed_side'"),
        ({"colour": "green"}, "not permitted"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused_in_a_plain_sentence(
    wrong: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(wrong)
    (error,) = caught.value.errors()
    assert error["loc"] == tuple(wrong)
    assert sentence in error["msg"]


def test_the_standard_field_comes_first() -> None:
    chosen = {
        mode: Settings(field_mode=mode, sales_opt_out_field="Opt__c").opt_out_fields
        for mode in FieldMode
    }
    assert chosen == {
        FieldMode.EMAIL_OPT_OUT: ("HasOptedOutOfEmail",),
        FieldMode.SALES_OPT_OUT: ("Opt__c",),
        FieldMode.BOTH: ("HasOptedOutOfEmail", "Opt__c"),
    }


def test_a_scope_counts_once() -> None:
    assert Settings(synced_scopes=("team", "sender", "team")).synced_scopes == ("team", "sender")


@pytest.mark.parametrize("host", ["::1", "fe80::1%eth0"])
def test_an_address_of_ipv6_reaches_the_bulk_driver(host: str) -> None:
    uri = libpq_uri(connect(f"postgresql://ada:secret@[{host}]:5433/store"))
    read = psycopg2.extensions.parse_dsn(uri)
    assert (read["host"], read["port"], read["dbname"]) == (host, "5433", "store")
