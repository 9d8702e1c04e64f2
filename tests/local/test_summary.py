from pathlib import Path

from include.domain.conflicts import Code
from local.demo.agreement import Agreement
from local.demo.config import Config
from local.demo.night import Decided, Example, Night
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
    assert "Opt-outs written to the store: 23, to Salesforce: 41. None was taken back." in told
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


def test_every_code_of_the_sync_has_a_meaning():
    assert {code.value for code in Code} - set(MEANINGS) == {
        "AGREED",  # counted, never listed
        "UNREADABLE_FIELD",  # likewise
        "BOTH_CLEARED",  # cannot happen in this store
    }


def test_the_page_names_the_address_and_three_commands():
    config = Config(Path("/somewhere/.local"), 8085, 18080, 18443)
    page = "\n".join(where_to_look(config, "postgresql+psycopg2://postgres@/opt_out?host=/x"))
    assert "http://127.0.0.1:8085/dags/unsubscribe_nightly_sync" in page
    assert "OPT_OUT_SYNC_DATABASE_URL='postgresql://postgres@/opt_out?host=/x'" in page
    proposals = "\n".join(what_to_try(7, "0035g00000AAAAAAAA"))
    for command in ("unsubscribe 7", "tick 0035g00000AAAAAAAA", "hide Lead", "show Lead"):
        assert f".venv/bin/python -m local.demo {command}" in proposals
