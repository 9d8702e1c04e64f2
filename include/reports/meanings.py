"""What a choice of the settings means, in plain sentences for whoever is about to save it."""

from collections.abc import Mapping
from typing import Final

from include.audit.settings import FieldMode, Settings
from include.domain.conflicts import ConflictRule
from include.reports.versions import differences


def meaning_of(mode: FieldMode) -> str:
    """Say in two sentences what a field choice means for the people in the org."""
    return _MODES[mode]


def meanings(before: Settings, after: Settings) -> list[str]:
    """Say what each choice that differs means; thresholds speak for themselves."""
    changed = [each for each in differences(before, after) if each.name in _MEANING]
    told = [_MEANING[each.name].get(each.after) for each in changed]
    return [sentences for sentences in told if sentences]


_MODES: Final = {
    FieldMode.EMAIL_OPT_OUT: (
        "The standard field Email Opt Out stops every email from Salesforce to the person, from "
        "marketing and support too. Whoever ticked it in Salesforce is opted out in the store."
    ),
    FieldMode.SALES_OPT_OUT: (
        "The sales field stops sales emails only: other teams may go on mailing the person. The "
        "standard field is neither read nor written any more."
    ),
    FieldMode.BOTH: (
        "Both fields carry the opt-out and are decided as one: a tick in either opts the person "
        "out in the store and in the other field, so all email from Salesforce stops."
    ),
}
_MEANING: Final[Mapping[str, Mapping[str, str]]] = {
    "enabled": {
        "yes": "Nights compare both sides and write; pushes write and clear.",
        "no": "Nights do nothing; a push still ticks the standard box, and nothing is cleared.",
    },
    "paused": {
        "yes": "Nothing is written anywhere; unsubscribes wait and are pushed afterwards.",
        "no": "What has waited is pushed at once.",
    },
    "field_mode": {mode.value: sentences for mode, sentences in _MODES.items()},
    "conflict_rule": {
        ConflictRule.OPT_OUT_WINS.value: (
            "An opt-out on either side wins; only a documented consent ends it."
        ),
        ConflictRule.CHANGED_SIDE.value: (
            "The side that changed last wins: clearing the box on one side clears the other. What "
            "the person did themselves still takes a documented consent."
        ),
    },
    "bounces_sync": {
        "yes": "Bounced addresses are opted out in Salesforce, too.",
        "no": "Bounces stay in the store.",
    },
    "synced_scopes": {
        "team": "Unsubscribes from one sender stay in the store.",
        "team, sender": "An unsubscribe from one sender opts the person out of everybody's mail.",
        "sender, team": "An unsubscribe from one sender opts the person out of everybody's mail.",
    },
}
