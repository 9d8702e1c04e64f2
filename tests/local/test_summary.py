import shlex
from pathlib import Path

from include.cli.program import parser
from include.domain.conflicts import Code
from local.demo.agreement import Agreement
from local.demo.config import Config
from local.demo.night import Decided, Example, Judged, Night, ToTry
from local.demo.summary import (
    MEANINGS,
    Told,
    check_sentence,
    night_summary,
    what_to_try,
    where_to_look,
)

AGREEMENT = Agreement(compared=4290, opted_out=380, differing=[])
NIGHT = Night(
    id=1,
    state="closed",
    reason=None,
    seconds=9.4,
    decided=[
        Decided("OPTED_OUT_IN_SALESFORCE", True, None, 23),
        Decided("UNSUBSCRIBED_IN_STORE", None, True, 41),
        Decided("BOTH_OPTED_OUT", None, None, 9),
    ],
    examples=[Example("UNSUBSCRIBED_IN_STORE", 7, "Contact", "003A", "The person said no.")],
)
QUIET = Night(id=2, state="closed", reason=None, seconds=3, decided=[], examples=[])


def text(night: Night | None, earlier: Night | None = None, *failures: str) -> str:
    names = {"003A": "Zoë Müller"}
    return "\n".join(night_summary(Told(night, earlier, AGREEMENT, failures, names)))


def test_a_night_is_told_by_code_and_direction_with_its_sentences():
    told = text(NIGHT)
    assert "Opt-outs written to the store: 23, to Salesforce: 41." in told
    assert "No opt-out was taken back." in told
    assert "    23  store       OPTED_OUT_IN_SALESFORCE" in told
    assert "    41  Salesforce  UNSUBSCRIBED_IN_STORE" in told
    assert "     9  -           BOTH_OPTED_OUT" in told
    assert "Zoë Müller: Contact 003A, person 7" in told
    assert "“The person said no.”" in told


def test_a_night_without_work_says_so_and_shows_the_last_one_with_work():
    told = text(QUIET, NIGHT)
    assert "found nothing to do: both sides were in agreement" in told
    assert "The last night with work was run 1" in told
    assert "UNSUBSCRIBED_IN_STORE" in told


def test_the_first_night_may_find_nothing():
    assert "found nothing to do" in text(QUIET)


def test_a_night_that_did_not_close_says_why():
    stopped = Night(3, "failed", "Salesforce did not answer.", 3, [], [])
    told = text(stopped, NIGHT)
    assert "Run 3 is failed: Salesforce did not answer." in told
    assert "in agreement" not in told


def test_a_red_night_says_why_and_does_not_claim_agreement():
    told = text(QUIET, None, "report failed: the field of Lead cannot be read.")
    assert "The night is red. report failed: the field of Lead cannot be read." in told
    assert "in agreement" not in told


def test_a_night_that_never_opened_still_has_its_failure():
    assert "The night is red. preflight failed: no login." in text(
        None, None, "preflight failed: no login."
    )


def test_agreement_is_said_as_it_is():
    assert check_sentence(AGREEMENT).startswith("Checked without the sync: all 4,290 people")
    differing = Agreement(compared=10, opted_out=1, differing=[3, 4])
    assert check_sentence(differing).startswith("2 of 10 people differ")
    assert "3, 4" in check_sentence(differing)


def clearing(*, is_held: bool) -> Night:
    decided = [
        Decided("RESUBSCRIBED", False, False, 2, is_held=is_held),
        Decided("RESUBSCRIBED", None, False, 1, is_held=is_held),
        Decided("SHARED_RECORD", True, True, 4),
    ]
    reason = "Refused: the person complained (act:9)."
    judged = [Judged("refused", "COMPLAINT", person, reason) for person in (12, 13)]
    return Night(4, "closed", None, 3, decided, [], judged)


def test_a_clear_is_a_direction_of_its_own():
    told = text(clearing(is_held=False))
    assert "Opt-outs written to the store: 4, to Salesforce: 4." in told
    assert "Opt-outs taken back in the store: 2, in Salesforce: 3." in told
    assert "     2  clear both        RESUBSCRIBED" in told
    assert "     1  clear Salesforce  RESUBSCRIBED" in told
    assert "     4  both              SHARED_RECORD" in told


def test_a_held_clear_is_not_told_as_written():
    told = text(clearing(is_held=True))
    assert "No opt-out was taken back." in told
    assert "clear both (held)" in told


def test_what_became_of_a_consent_is_told_with_its_reason():
    told = text(clearing(is_held=False))
    assert "May these people be mailed again?" in told
    assert "  COMPLAINT: person 12, 13\n    “Refused: the person complained (act:9).”" in told
    assert "mailed again" not in text(NIGHT)


def test_every_code_of_the_sync_has_a_meaning_that_fits_its_line():
    assert set(MEANINGS) == {code.value for code in Code}
    assert max(map(len, MEANINGS.values())) <= 46


def test_the_page_names_the_addresses_and_the_commands():
    config = Config(Path("/somewhere/.local"), 8085, 18080, 18443)
    page = "\n".join(where_to_look(config, "postgresql+psycopg2://postgres@/opt_out?host=/x"))
    assert "http://127.0.0.1:8085/dags/unsubscribe_nightly_sync" in page
    assert "OPT_OUT_SYNC_DATABASE_URL='postgresql://postgres@/opt_out?host=/x'" in page
    proposals = "\n".join(what_to_try(ToTry(7, "0035g00000AAAAAAAA", 8, 9, 10), config))
    for command in ("unsubscribe 7", "tick 0035g00000AAAAAAAA", "hide Lead", "show Lead"):
        assert f".venv/bin/python -m local.demo {command}" in proposals
    assert "http://127.0.0.1:8085/required_actions" in proposals


def test_the_proposed_commands_of_the_sync_are_understood():
    config = Config(Path("/somewhere/.local"), 8085, 18080, 18443)
    page = "\n".join(what_to_try(ToTry(7, "0035g00000AAAAAAAA", 8, 9, 10), config))
    written = page.replace("\\\n", "").splitlines()
    commands = [line.split("-m include.cli ")[1] for line in written if "-m include.cli " in line]
    for command in commands:
        parser().parse_args(shlex.split(command.split(" && ")[0]))
    told = [command.split()[:2] for command in commands]
    assert told == [
        ["explain", "10"],
        ["resubscribe", "8"],
        ["settings", "set"],
        ["resubscribe", "9"],
    ]
