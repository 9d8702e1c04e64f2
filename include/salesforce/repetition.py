"""Repeats what failed for a reason that passes: exponentially slower, with jitter, not for ever."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how slowly something is repeated: exponential, with full jitter, in seconds."""

    attempts: int = 5
    first: float = 0.5
    longest: float = 30.0


class Repetition:
    """Repeats calls; inside a repeated call nothing else is repeated.

    So attempts add up instead of multiplying when a sequence of requests is repeated as a whole.
    """

    def __init__(self, backoff: Backoff, sleep: Callable[[float], None]) -> None:
        self._backoff = backoff
        self._sleep = sleep
        self._is_running = False

    def run(self, call: Callable[[], T], is_worth_it: Callable[[BaseException], bool]) -> T:
        """Call until it succeeds, fails for another reason, or the attempts are used up.

        Raises:
            BaseException: whatever the last attempt raised.
        """
        if self._is_running:
            return call()
        self._is_running = True
        try:
            return self._retrying(is_worth_it)(call)
        finally:
            self._is_running = False

    def _retrying(self, is_worth_it: Callable[[BaseException], bool]) -> Retrying:
        return Retrying(
            sleep=self._sleep,
            stop=stop_after_attempt(self._backoff.attempts),
            wait=self._pause,
            retry=retry_if_exception(is_worth_it),
            reraise=True,
        )

    def _pause(self, state: RetryCallState) -> float:
        """Return seconds until the next attempt: jittered, and not sooner than asked for."""
        backoff = self._backoff
        jittered = wait_random_exponential(multiplier=backoff.first, max=backoff.longest)(state)
        error = state.outcome.exception() if state.outcome else None
        asked_for = getattr(error, "retry_after", None) or 0.0
        log.info("Salesforce: attempt %d failed: %s", state.attempt_number, error)
        return min(max(jittered, asked_for), backoff.longest)
