"""The command line of one database, and what it said."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
from sqlalchemy import Engine

from include import cli
from tests.database.world import CANARY
from tests.sync.conftest import shared_emulator, world

__all__ = ["shared_emulator", "world"]
ADDRESSES = (CANARY, "canary@example.com")


class Answer(NamedTuple):
    """What a command said and how it ended."""

    status: int
    out: str
    err: str


Say = Callable[..., Answer]
SayAs = Callable[[Engine], Say]


@pytest.fixture
def say_as(capsys: pytest.CaptureFixture[str]) -> SayAs:
    """Run a command as whoever an engine logs in as; no command ever shows an address."""

    def run(engine: Engine, *arguments: object) -> Answer:
        url = engine.url.render_as_string(hide_password=False)
        capsys.readouterr()
        status = cli.main(["--database-url", url, *map(str, arguments)])
        answer = Answer(status, *capsys.readouterr())
        assert not any(address in answer.out + answer.err for address in ADDRESSES)
        return answer

    return lambda engine: partial(run, engine)


@pytest.fixture
def say(engine: Engine, say_as: SayAs) -> Say:
    """Run a command on this test's database."""
    return say_as(engine)
