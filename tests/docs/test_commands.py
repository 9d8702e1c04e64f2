"""What the pages tell somebody to type exists, and is all there is."""

import re
import shlex

import pytest

from include import cli
from local.demo import __main__ as demo
from tests.docs.commands import commands, options_of
from tests.docs.pages import PAGES, ROOT, code_spans, page, rows, shell_lines

MAKEFILE = page("Makefile")
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))
TYPED = [
    *shell_lines(),
    *((path.name, span) for path in PAGES for span in code_spans(path.read_text(encoding="utf-8"))),
]
MADE = [(name, shlex.split(line)[1:]) for name, line in TYPED if line.startswith("make ")]
OF_THE_PROJECT = [
    (name, line)
    for name, line in dict.fromkeys(TYPED)
    if "python -m include.cli " in line or "-m local.demo" in line
]


def test_every_make_command_of_the_pages_exists():
    assert MADE
    for name, words in MADE:
        targets = {word for word in words if "=" not in word}
        assert targets <= TARGETS, name


def test_every_variable_given_to_make_is_read_by_it():
    variables = {word.split("=")[0] for _, words in MADE for word in words if "=" in word}
    assert {"ONCE", "TESTS"} <= variables
    for variable in variables:
        assert f"$({variable})" in MAKEFILE


def test_every_target_is_described_where_its_readers_look():
    written = {word for _, words in MADE for word in words}
    assert TARGETS - written <= {"help", "setup"}  # `make` alone; called by every other one
    assert {"demo", "demo-reset", "test"} <= {
        word for name, words in MADE for word in words if name == "README.md"
    }


@pytest.mark.parametrize(("name", "line"), OF_THE_PROJECT)
def test_every_command_of_the_project_is_understood(name, line):
    words = shlex.split(line)
    module = words.index("-m") + 1
    arguments = words[module + 1 :]
    parser = cli.parser() if words[module] == "include.cli" else demo._parser()
    assert callable(parser.parse_args(arguments).command), name


def commands_page() -> dict[str, set[str]]:
    """Return by command the options that its row names."""
    found = {}
    for cells in rows(page("docs/commands.md")):
        words = shlex.split(cells[0].strip("`"))[3:]
        name = next(n for n, _ in commands() if words[: len(n.split())] == n.split())
        spans = code_spans(" ".join(cells[1:]))
        found[name] = {span for span in spans if span.startswith("--")}
    return found


@pytest.mark.parametrize(("name", "parser"), commands(), ids=[name for name, _ in commands()])
def test_every_command_is_documented_with_all_its_options(name, parser):
    assert commands_page()[name] == options_of(parser) - {"-h", "--help"}


def test_ci_runs_what_the_pages_tell_people_to_run():
    commands = re.findall(r"^make (\S+)$", page(".ci/run"), re.MULTILINE)
    assert commands == ["check", "test"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
