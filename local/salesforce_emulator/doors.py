"""The ports of a running server, which can be closed for a while: connections are then refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Doors:
    """What the server gives the org so that an order can close its ports; at first nothing."""

    def __init__(self) -> None:
        self._close_for: Callable[[float], None] | None = None

    def hang(self, close_for: Callable[[float], None]) -> None:
        """Take the server's way of closing its ports, callable from any thread."""
        self._close_for = close_for

    def close_for(self, seconds: float) -> None:
        """Close the ports once this answer is sent, and open them again after ``seconds``."""
        if self._close_for is not None:
            self._close_for(seconds)
