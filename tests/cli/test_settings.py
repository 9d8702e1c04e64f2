import threading

import pytest
from sqlalchemy import Engine

from include import cli
from include.audit import settings
from include.audit.settings import FieldMode, Settings
from include.store.database import transaction
from tests.cli.conftest import Say
from tests.database.test_runs import wait_until_somebody_waits_for_a_lock
from tests.database.world import NOW

BY = ["--by", "Ada", "--note", "go live"]


def current(engine: Engine) -> Settings:
    with transaction(engine) as conn:
        return settings.current(conn).settings


def test_two_who_save_at_the_same_moment_lose_nothing(engine: Engine) -> None:
    """A pause that is being saved survives another change, which waits for it."""
    url = engine.url.render_as_string(hide_password=False)
    arguments = ["--database-url", url, "settings", "set", "--bulk-threshold", "5", *BY]
    other = threading.Thread(target=cli.main, args=(arguments,))
    with transaction(engine) as conn:
        before = settings.locked_current(conn).settings
        other.start()
        wait_until_somebody_waits_for_a_lock(engine)
        paused = before.model_copy(update={"paused": True})
        settings.save(conn, paused, saved_by="Ada", note="stop", now=NOW)
    other.join()
    assert current(engine) == Settings(paused=True, bulk_threshold=5)


def test_settings_are_saved_shown_and_looked_back_on(engine: Engine, say: Say) -> None:
    assert say("settings", "set", "--enable", "--max-open-failures", 5, *BY).status == 0
    shown = say("settings", "show").out
    assert "by Ada: go live" in shown
    assert dict(line.split(maxsplit=1) for line in shown.splitlines()[2:])["max_open_failures"] == (
        "5"
    )
    assert current(engine) == Settings(enabled=True, max_open_failures=5)
    assert say("settings", "set", "--disable", *BY).status == 0
    history = say("settings", "history").out
    assert "enabled=yes, max_open_failures=5" in history
    assert "enabled=no" in history


def test_every_setting_can_be_saved(engine: Engine, say: Say) -> None:
    chosen = {
        "enabled": (["--enable"], True),
        "paused": (["--pause"], True),
        "field_mode": (["--field-mode", "both"], FieldMode.BOTH),
        "sales_opt_out_field": (["--sales-field", "No_Sales__c"], "No_Sales__c"),
        "sales_opt_out_label": (["--sales-label", "No Sales"], "No Sales"),
        "conflict_rule": (["--rule", "changed_side"], "changed_side"),
        "max_open_failures": (["--max-open-failures", "1"], 1),
        "bulk_threshold": (["--bulk-threshold", "2"], 2),
        "api_reserve": (["--api-reserve", "3"], 3),
        "synced_scopes": (["--scopes", "team", "sender"], ("team", "sender")),
        "bounces_sync": (["--sync-bounces"], True),
        "clock_skew_seconds": (["--clock-skew", "4"], 4),
        "evidence_days": (["--evidence-days", "5"], 5),
        "held_clears_minimum": (["--held-minimum", "6"], 6),
        "held_clears_fraction": (["--held-fraction", "0.7"], 0.7),
        "alert_writes_minimum": (["--alert-writes-minimum", "8"], 8),
        "alert_writes_fraction": (["--alert-writes-fraction", "0.9"], 0.9),
        "alert_drop_fraction": (["--alert-drop-fraction", "0.11"], 0.11),
        "alert_hidden_fraction": (["--alert-hidden-fraction", "0.12"], 0.12),
        "audit_keep_months": (["--audit-keep-months", "36"], 36),
    }
    assert chosen.keys() == Settings.model_fields.keys()
    options = [word for words, _ in chosen.values() for word in words]
    shown = say("settings", "set", *options, *BY)
    assert shown.status == 0
    assert current(engine).model_dump() == {name: value for name, (_, value) in chosen.items()}
    assert "HasOptedOutOfEmail, No_Sales__c" in shown.out


def test_what_is_not_named_stays(engine: Engine, say: Say) -> None:
    say("settings", "set", "--clock-skew", 60, "--sync-bounces", *BY)
    say("settings", "set", "--rule", "changed_side", *BY)
    assert current(engine) == Settings(
        clock_skew_seconds=60, bounces_sync=True, conflict_rule="changed_side"
    )


def test_saving_what_is_already_so_says_so(say: Say) -> None:
    answer = say("settings", "set", "--disable", *BY)
    assert answer == (0, "Nothing to change: version 1 already says so.\n", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["settings", "set", "--enable"], "required: --by, --note"),
        (["settings", "set", "--enable", "--disable", *BY], "not allowed with argument"),
        (["settings", "set", "--field-mode", "all", *BY], "'email_opt_out', 'sales_opt_out'"),
        (["settings", "set", "--rule", "newest", *BY], "'opt_out_wins', 'changed_side'"),
        (["settings", "set", "--sales-field", "Opt", *BY], "custom field, like Sales_Opt_Out__c"),
        (["settings", "set", "--max-open-failures", "-1", *BY], "a whole number from 0 to"),
        (["settings", "set", "--max-open-failures", "9" * 17, *BY], "a whole number from 0 to"),
        (["settings", "set", "--clock-skew", "five", *BY], "--clock-skew: must be a whole number"),
        (["settings", "set", "--clock-skew", "86401", *BY], "a whole number from 0 to 86400"),
        (["settings", "set", "--evidence-days", "91", *BY], "a whole number from 1 to 90"),
        (["settings", "set", "--held-fraction", "1.1", *BY], "a fraction from 0 to 1"),
        (["settings", "set", "--held-fraction", "nan", *BY], "a fraction from 0 to 1"),
        (["settings", "set", "--held-fraction", "few", *BY], "must be a fraction, like 0.05"),
        (["settings", "set", "--scopes", "sender", *BY], "must contain team"),
        (["settings", "set", "--scopes", "team", "nobody", *BY], "must be 'team' or 'sender'"),
        (["settings", "set", "--enable", "--by", " ", "--note", "x"], "must not be empty"),
        (["settings", "sing"], "invalid choice: 'sing'"),
        ([], "required: COMMAND"),
    ],
)
def test_wrong_input_gives_one_sentence_and_status_two(
    engine: Engine, say: Say, arguments: list[str], sentence: str
) -> None:
    status, out, err = say(*arguments)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert current(engine) == Settings()


@pytest.mark.parametrize("text", ["a\0b", "two\nlines", "\x1b[31mred", "half \udce9"])
@pytest.mark.parametrize("option", ["--by", "--note", "--sales-field"])
def test_text_that_cannot_be_stored_is_refused(say: Say, option: str, text: str) -> None:
    arguments = {"--by": "Ada", "--note": "why", "--sales-field": "A__c"} | {option: text}
    status, out, err = say("settings", "set", *(w for pair in arguments.items() for w in pair))
    assert (status, out) == (2, "")
    assert f"{option}: must be one line of plain text" in err
    assert err.count("\n") == 1


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
    "url",
    [
        "secret",
        "postgresql://secret:secret@host:secret/db",
        "postgresql://u:secret@[::1/db",
        "postgresql://u:secret\0@host/db",
        "postgresql://u:secret\udce9@host/db",
    ],
)
def test_a_broken_url_is_not_repeated(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert cli.main(["--database-url", url, "settings", "show"]) == 2
    error = capsys.readouterr().err
    assert "secret" not in error
    assert error.count("\n") == 1


def test_an_address_typed_by_mistake_is_not_repeated(say: Say) -> None:
    status, _, err = say("settings", "show", "ada@example.com")
    assert status == 2
    assert "unrecognized arguments: (an address)" in err


def test_an_empty_database_is_migrated_from_the_command_line(
    empty_engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    database = ["--database-url", empty_engine.url.render_as_string(hide_password=False)]
    assert cli.main([*database, "settings", "show"]) == 1
    assert "run python -m include.cli migrate" in capsys.readouterr().err
    assert cli.main([*database, "migrate"]) == 0
    assert cli.main([*database, "settings", "show"]) == 0
