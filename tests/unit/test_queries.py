"""SQL and SOQL never take a value into their text: it is bound, or quoted by somebody named here."""

import ast
import re
from pathlib import Path

import pytest

from include.domain.values import SalesforceObject
from include.salesforce.errors import InvalidFieldNameError
from include.salesforce.records import Selection, checked_field, normalised, select_all
from include.salesforce.rest_query import id_lists

ROOT = Path(__file__).parents[2]
QUERY = re.compile(
    r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|DROP|ANALYZE|COPY|WHERE|FROM|ORDER BY|SET)\b"
)
CONSTANT = re.compile(r"[A-Z_]+|'(.*)'\.join\([A-Z_]+\)")
MADE_BY_US = {
    # names of objects and fields: `checked_field`, members of SalesforceObject, or literals;
    # Ids: `normalised` lets nothing else through, `id_lists` quotes them
    "include/salesforce/history.py": {"parent", "ids", "names", "each"},
    "include/salesforce/records.py": {"columns", "selection.obj.value"},
    "include/salesforce/rest_query.py": {
        "select_all(selection)", "ids", "source", "successor", "each",
    },
    "include/salesforce/users.py": {"each"},
    # names of temporary tables and their columns: literals of this project
    "include/store/bulk.py": {"name", "columns", "table", "schema.names[0]"},
}  # fmt: skip


def interpolated(path: Path):
    """Yield the expressions that become part of a query's text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr) and is_query(node):
            yield from (ast.unparse(v.value) for v in node.values if not is_text(v))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
            pair = (node.left, node.right)
            if any(is_text(side) and QUERY.search(side.value) for side in pair):
                yield from (ast.unparse(side) for side in pair if not is_text(side))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("format", "format_map") and is_query(node.func.value):
                yield ast.unparse(node)


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def is_query(node: ast.AST) -> bool:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return any(is_text(part) and QUERY.search(part.value) for part in parts)


FILES = sorted((ROOT / "include").rglob("*.py")) + sorted((ROOT / "plugins").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_query_is_made_of_constants_and_of_what_is_checked(path):
    allowed = MADE_BY_US.get(str(path.relative_to(ROOT)), set())
    for expression in interpolated(path):
        assert CONSTANT.fullmatch(expression) or expression in allowed, expression


def test_the_list_of_exceptions_is_no_longer_than_it_has_to_be():
    for name, allowed in MADE_BY_US.items():
        assert allowed <= {*interpolated(ROOT / name)}, name


@pytest.mark.parametrize(
    "name", ["a b", "x'", "x FROM User--", "x\n", "", "1x", "x)", "Ünlaut", "x;"]
)
def test_no_field_name_ends_the_query_it_stands_in(name):
    with pytest.raises(InvalidFieldNameError):
        checked_field(name)
    with pytest.raises(InvalidFieldNameError):
        select_all(Selection(SalesforceObject.CONTACT, (name,), person_accounts=False))


@pytest.mark.parametrize(
    "value", ["003000000000001' OR Name != '", "o'brien@example.com", "003\\", "", "003 000 000 00"]
)
def test_no_id_ends_the_string_it_stands_in(value):
    with pytest.raises(ValueError, match=r"."):
        list(id_lists(normalised([value])))
