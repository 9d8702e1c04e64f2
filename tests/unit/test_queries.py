"""No value becomes part of the text of SQL or SOQL: it is bound, or was checked before."""

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
    "include/salesforce/administration.py": {"columns"},
    "include/salesforce/client.py": {"obj.value", "checked_field(field)"},
    "include/salesforce/organization.py": {
        "parent", "checked_field(field)", "since.astimezone(UTC)", "ids",
    },
    "include/salesforce/permission_sets.py": {"set_id", "user_id"},  # as Salesforce told them
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
        yield from (ast.unparse(part) for part in parts_of(node) if not is_text(part))


def parts_of(node: ast.AST) -> list[ast.AST]:
    """Return what a query is put together from; nothing if it is none, or one constant."""
    if isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.FormattedValue) else p for p in node.values]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", "").startswith("format"):
        parts = [node.func.value, *node.args, *(each.value for each in node.keywords)]
    else:
        return []
    return parts if any(is_text(p) and QUERY.search(p.value) for p in parts) else []


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


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
