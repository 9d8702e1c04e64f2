"""The question about held clears, and the bodies of the tasks after its answer.

Nothing about who answered leaves Airflow's own record of it.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import unsubscribe_sync_connections as connections
from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import BranchMixIn

if TYPE_CHECKING:
    from airflow.sdk import Context

Counts = dict[str, Any]

ANSWER_WITHIN: Final = timedelta(hours=24)
APPROVED, REJECTED, TIMED_OUT = "approved", "rejected", "timed_out"


class HeldClearsQuestion(ApprovalOperator, BranchMixIn):
    """Asks once and follows one of three ways: approved, rejected, or nobody answered.

    `ApprovalOperator` alone takes silence for its default, and its result names who answered. This
    one tells silence apart, and its only result is which way was taken.

    Args:
        ways: by word (`approved`, `rejected`, `timed_out`), the task that follows.
        options: of `ApprovalOperator`.
    """

    def __init__(self, *, ways: Mapping[str, str], **options: Any) -> None:
        super().__init__(defaults=ApprovalOperator.REJECT, **options)
        self.ways = dict(ways)

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> None:
        """Turn the answer into a word, and skip the ways not taken."""
        chosen = HITLOperator.execute_complete(self, context, event)["chosen_options"]
        answer = _word(chosen, is_timed_out=bool(event.get("timedout")))
        self.log.info("The question was %s", answer.replace("_", " "))
        self.do_branch(context, self.ways[answer])


def question(found: Mapping[str, Any]) -> str:
    """Return in Markdown what a person has to know: how many, why, and whom to look at."""
    codes = "\n".join(f"| `{code}` | {count:,} |" for code, count in found["codes"].items())
    sample: Collection[int] = found["sample"]
    first = f"The first {len(sample):,}" if found["people"] > len(sample) else "They"
    return (
        f"{found['clears']:,} opt-outs of {found['people']:,} people are ready to be cleared: that "
        "is more than the settings let through in a day.\n\n"
        f"| why | clears |\n|---|---|\n{codes}\n\n"
        f"{first}, by person id: {', '.join(str(person) for person in sample)}.\n\n"
        "`opt_out_sync.v_held_clears` lists them all (those without a resolution), and "
        "`opt_out_sync.v_person_timeline` tells each person's story.\n\n"
        "- **Approve**: each is decided again on what both sides say then, and cleared if it is "
        "still right.\n"
        "- **Reject**: the opt-outs stay, and the consents are refused.\n"
        "- No answer within a day: nothing changes, and the next night asks again."
    )


def find_waiting() -> Counts | None:
    """Look for clears that wait for a person: how many, why, and the first person ids."""
    from include.sync import held_clears

    return held_clears.waiting(connections.store(), clock=connections.clock())


def decide(run_id: str, asked_at: str) -> int:
    """Take the lease and decide the approved clears again, on values read now."""
    from include.sync import held_clears

    return held_clears.decide(
        connections.store(),
        connections.salesforce(),
        connections.staging(),
        run_id,
        asked_at=datetime.fromisoformat(asked_at),
        clock=connections.clock(),
    )


def clear(sync_run_id: int) -> Counts:
    """Carry out what was decided, one record at a time, while it is still true."""
    from include.sync import held_clears

    return held_clears.clear(
        connections.store(),
        connections.salesforce(),
        connections.staging(),
        sync_run_id,
        clock=connections.clock(),
    )


def verify(sync_run_id: int) -> Counts:
    """Read back what was cleared: only what is seen counts as confirmed."""
    from include.sync import held_clears

    return held_clears.verify(
        connections.store(), connections.salesforce(), sync_run_id, clock=connections.clock()
    )


def close(sync_run_id: int, asked_at: str) -> Counts:
    """Close the run: the bases move, and what was not cleared is superseded."""
    from include.sync import held_clears

    return held_clears.close(
        connections.store(),
        connections.staging(),
        sync_run_id,
        asked_at=datetime.fromisoformat(asked_at),
        clock=connections.clock(),
    )


def reject(run_id: str, asked_at: str) -> Counts:
    """Refuse the consent behind the clears: the opt-outs stay."""
    from include.sync import held_clears

    return held_clears.reject(
        connections.store(),
        run_id,
        asked_at=datetime.fromisoformat(asked_at),
        clock=connections.clock(),
    )


def time_out(run_id: str, asked_at: str) -> Counts:
    """Note that nobody answered: nothing changes, and the next night asks again."""
    from include.sync import held_clears

    return held_clears.time_out(
        connections.store(),
        run_id,
        asked_at=datetime.fromisoformat(asked_at),
        clock=connections.clock(),
    )


def _word(chosen: Collection[str], *, is_timed_out: bool) -> str:
    if is_timed_out:
        return TIMED_OUT
    return APPROVED if ApprovalOperator.APPROVE in chosen else REJECTED
