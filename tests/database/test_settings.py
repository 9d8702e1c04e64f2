import threading
from datetime import timedelta

import psycopg2.extensions
import pytest
from pydantic import ValidationError
from sqlalchemy import Engine

from include import cli
from include.audit import settings
from include.audit.settings import FieldMode, Settings, UnknownSettingsVersionError
from include.store.database import connect, libpq_uri, transaction
from tests.database.test_runs import wait_until_somebody_waits_for_a_lock
from tests.database.world import NOW

BY = ["--by", "Ada", "--note", "go live"]


def run(engine: Engine, *arguments: str) -> int:
    url = engine.url.render_as_string(hide_password=False)
    return cli.main(["--database-url", url, *arguments])


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


def test_two_who_save_at_the_same_moment_lose_nothing(engine: Engine) -> None:
    """A pause that is being saved survives another change, which waits for it."""
    arguments = ("settings", "set", "--bulk-threshold", "5", *BY)
    other = threading.Thread(target=run, args=(engine, *arguments))
    with transaction(engine) as conn:
        before = settings.locked_current(conn).settings
        other.start()
        wait_until_somebody_waits_for_a_lock(engine)
        paused = before.model_copy(update={"paused": True})
        settings.save(conn, paused, saved_by="Ada", note="stop", now=NOW)
    other.join()
    with transaction(engine) as conn:
        assert settings.current(conn).settings == Settings(paused=True, bulk_threshold=5)


def test_the_command_line_saves_and_shows(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(engine, "settings", "set", "--enable", "--max-open-failures", "5", *BY) == 0
    assert run(engine, "settings", "show") == 0
    shown = capsys.readouterr().out
    assert "by Ada: go live" in shown
    assert "max_open_failures    5" in shown
    with transaction(engine) as conn:
        current = settings.current(conn)
    assert current.settings == Settings(enabled=True, max_open_failures=5)
    assert run(engine, "settings", "set", "--disable", *BY) == 0
    assert run(engine, "settings", "history") == 0
    history = capsys.readouterr().out
    assert "enabled=yes, max_open_failures=5" in history
    assert "enabled=no" in history


def test_saving_what_is_already_so_says_so(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(engine, "settings", "set", "--disable", *BY) == 0
    assert capsys.readouterr().out == "Nothing to change: version 1 already says so.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["settings", "set", "--enable"], "required: --by, --note"),
        (["settings", "set", "--enable", "--disable", *BY], "not allowed with argument"),
        (["settings", "set", "--field-mode", "both", *BY], "'email_opt_out', 'sales_opt_out'"),
        (["settings", "set", "--sales-field", "Opt", *BY], "custom field, like Sales_Opt_Out__c"),
        (["settings", "set", "--max-open-failures", "-1", *BY], "greater than or equal to 0"),
        (["settings", "set", "--scopes", "sender", *BY], "must contain team"),
        (["settings", "set", "--enable", "--by", " ", "--note", "x"], "must not be empty"),
        (["settings", "sing"], "invalid choice: 'sing'"),
        ([], "required: COMMAND"),
    ],
)
def test_wrong_input_gives_one_sentence_and_status_two(
    engine: Engine, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert run(engine, *arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert sentence in output.err
    assert output.err.count("\n") == 1


def test_the_database_comes_from_the_environment(
    engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPT_OUT_SYNC_DATABASE_URL", raising=False)
    assert cli.main(["settings", "show"]) == 2
    assert "OPT_OUT_SYNC_DATABASE_URL" in capsys.readouterr().err
    url = engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("OPT_OUT_SYNC_DATABASE_URL", url)
    assert cli.main(["settings", "show"]) == 0


@pytest.mark.parametrize(
    "url", ["secret", "postgresql://secret:secret@host:secret/db", "postgresql://u:secret@[::1/db"]
)
def test_a_broken_url_is_not_repeated(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert cli.main(["--database-url", url, "settings", "show"]) == 2
    error = capsys.readouterr().err
    assert "secret" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("host", ["::1", "fe80::1%eth0"])
def test_an_address_of_ipv6_reaches_the_bulk_driver(host: str) -> None:
    uri = libpq_uri(connect(f"postgresql://ada:secret@[{host}]:5433/store"))
    read = psycopg2.extensions.parse_dsn(uri)
    assert (read["host"], read["port"], read["dbname"]) == (host, "5433", "store")


def test_an_empty_database_is_migrated_from_the_command_line(
    empty_engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(empty_engine, "settings", "show") == 1
    assert "run python -m include.cli migrate" in capsys.readouterr().err
    assert run(empty_engine, "migrate") == 0
    assert run(empty_engine, "settings", "show") == 0
