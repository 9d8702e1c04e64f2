"""The commands as data: every leaf of the parser with its name."""

import argparse
from collections.abc import Iterator

from include import cli


def commands() -> list[tuple[str, argparse.ArgumentParser]]:
    """Return each command, such as `settings set`, with its parser."""
    return list(_leaves("", cli.parser()))


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def _leaves(
    name: str, parser: argparse.ArgumentParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        yield name, parser
    for action in below:
        for word, child in action.choices.items():
            yield from _leaves(f"{name} {word}".strip(), child)
