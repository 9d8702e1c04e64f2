"""The runbook quotes what the code says, and leaves no error out."""

import ast
import importlib
import pkgutil
import re

import pytest
from airflow.cli.cli_config import BACKFILL_COMMANDS
from sqlalchemy import text

import include
from include.domain.errors import OptOutSyncError, PermanentSyncError, TransientSyncError
from include.domain.values import FailureClass
from include.sync.push import trouble
from tests.docs.commands import commands, options_of
from tests.docs.pages import ROOT, code_spans, page, rows, section

RUNBOOK = page("docs/runbook.md")
DOTS = "…"


def flattened(node):
    """Return a string as somebody reads it, with dots in the place of values."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else DOTS for part in node.values
    )


def said_by_the_code():
    for path in [*(ROOT / "include").rglob("*.py"), *(ROOT / "plugins").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr) or (
                isinstance(node, ast.Constant) and isinstance(node.value, str)
            ):
                yield flattened(node)


SAID = set(said_by_the_code())
SENTENCES = sorted(
    {span for row in rows(RUNBOOK) for cell in row[:-1] for span in code_spans(cell) if " " in span}
)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_every_quoted_sentence_is_in_the_code(sentence):
    parts = [re.escape(part) for part in sentence.split(DOTS)]
    pattern = re.compile(r"[^\n]*?".join(parts))
    assert any(pattern.search(said) for said in SAID)


def concrete(kind):
    for child in kind.__subclasses__():
        yield from concrete(child)
        if child.__module__.startswith("include."):
            yield child


def test_every_error_of_the_product_is_explained():
    for module in pkgutil.walk_packages(include.__path__, "include."):
        if not module.name.startswith("include.migrations."):  # alembic runs those itself
            importlib.import_module(module.name)
    kinds = {OptOutSyncError, PermanentSyncError, TransientSyncError}
    errors = {error.__name__ for error in concrete(OptOutSyncError)} - {k.__name__ for k in kinds}
    explained = {span for span in code_spans(RUNBOOK) if re.fullmatch(r"\w+Error", span)}
    assert explained == errors


def test_every_option_that_the_runbook_names_exists():
    named = set(re.findall(r"--[a-z-]+-[a-z-]+", RUNBOOK))
    ours = {option for _, parser in commands() for option in options_of(parser)}
    create = next(command for command in BACKFILL_COMMANDS if command.name == "create")
    of_airflow = {flag for option in create.args for flag in option.flags}
    of_postgresql = {"--exit-on-error", "--single-transaction"}  # tests/cli/test_recipes.py
    assert named <= ours | of_airflow | of_postgresql


def test_every_pause_of_the_push_that_ends_by_itself_is_explained():
    codes = {trouble.code_of(kind.__new__(kind)) for kind in trouble.PASSING}
    assert codes | {trouble.LOW_BUDGET} <= {*code_spans(section(RUNBOOK, "The push"))}


def test_every_class_of_a_push_that_failed_is_explained():
    assert {each.value for each in FailureClass} <= {*code_spans(section(RUNBOOK, "The push"))}


def test_every_query_of_the_runbook_is_answered(engine):
    blocks = re.findall(r"```sql\n(.*?)```", RUNBOOK, flags=re.DOTALL)
    typed = [span for span in code_spans(RUNBOOK) if span.startswith("SELECT ")]
    queries = [*";".join(blocks).split(";"), *typed]
    assert len(queries) > 10
    with engine.begin() as conn:
        for query in queries:
            if query.strip():
                conn.execute(text(query))
