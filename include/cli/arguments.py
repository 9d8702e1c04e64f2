"""What the commands' arguments may be, each refusal one sentence that never repeats the value."""

import argparse
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeAlias

from sqlalchemy import Engine

Command: TypeAlias = Callable[[Engine, argparse.Namespace], None]
Commands: TypeAlias = "argparse._SubParsersAction[OneSentenceParser]"

BIGGEST_ID = 2**63 - 1
ADDRESS = re.compile(r"[^\s'\"]+@[^\s'\"]+")
# Control characters (a NUL byte, a line feed, an escape) and halves of characters.
UNSTORABLE = {"Cc", "Cs"}


class WrongInputError(Exception):
    """The command cannot be understood; the message is the one sentence to print."""


class RefusedError(Exception):
    """The command is understood and cannot be done now; the message says why."""


class OneSentenceParser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage around it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False} | options)

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        raise WrongInputError(f"{message} (see {self.prog} --help)")


def without_addresses(sentence: str) -> str:
    """Return a sentence without what somebody typed by mistake: an address instead of an id."""
    return ADDRESS.sub("(an address)", sentence)


def is_storable(value: str) -> bool:
    """Tell whether a text is one line that the database can keep and a terminal can show."""
    return not any(unicodedata.category(character) in UNSTORABLE for character in value)


def text(value: str) -> str:
    """One line of text that says something."""
    if not is_storable(value):
        raise argparse.ArgumentTypeError(
            "must be one line of plain text: it has a character that cannot be stored"
        )
    if not value.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return value.strip()


def identifier(value: str) -> int:
    """Id of a row: a person, a run."""
    if not re.fullmatch(r"[0-9]{1,19}", value) or not 1 <= int(value) <= BIGGEST_ID:
        raise argparse.ArgumentTypeError("must be an id: a whole number from 1 on")
    return int(value)


def whole_number(value: str) -> int:
    """Return a whole number, in any range: the setting knows its own."""
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        raise argparse.ArgumentTypeError("must be a whole number")
    return int(value)


def fraction(value: str) -> float:
    """Return a number, in any range: the setting knows its own."""
    try:
        return float(value)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a fraction, like 0.05") from None


def moment(value: str) -> datetime:
    """Return a time with its zone, in UTC."""
    try:
        given = datetime.fromisoformat(value)
        if given.tzinfo is not None:
            return given.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(
        "must be a time with its zone, like 2026-11-24T10:00:00Z or 2026-11-24T02:00:00-08:00"
    )


def add_switch(parser: argparse.ArgumentParser, name: str, *, on: str, off: str) -> None:
    """Add two options that exclude each other; neither leaves `name` None."""
    switch = parser.add_mutually_exclusive_group()
    switch.add_argument(on, dest=name, action="store_const", const=True)
    switch.add_argument(off, dest=name, action="store_const", const=False)


def add_author(parser: argparse.ArgumentParser) -> None:
    """Add who does it, and why."""
    parser.add_argument("--by", required=True, type=text, metavar="NAME", help="who decides it")
    parser.add_argument("--note", required=True, type=text, metavar="TEXT", help="why")
