"""SOQL: text to a syntax tree, with a real grammar.

Emulated: field lists with paths and FIELDS(), aggregates and GROUP BY, ``WHERE`` with semi-joins,
``ORDER BY``, ``LIMIT``, ``OFFSET``. The rest of SOQL, sub-queries of children, HAVING, TYPEOF,
SOSL and security clauses among it, is refused as MALFORMED_QUERY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken, VisitError

from local.salesforce_emulator.errors import SalesforceError
from local.salesforce_emulator.soql_tree import (
    Aggregate,
    Comparison,
    Condition,
    FieldSet,
    Junction,
    Literal,
    Membership,
    Name,
    Negation,
    Query,
    SemiJoin,
    Sort,
)

if TYPE_CHECKING:
    from lark import Tree

__all__ = [
    "Aggregate", "Comparison", "Condition", "FieldSet", "Junction", "Literal", "Membership", "Name",
    "Negation", "Query", "SemiJoin", "Sort", "malformed", "parse",
]  # fmt: skip

_MOST_CHARACTERS = 100_000  # [documented]
_MOST_OFFSET = 2_000  # [documented]
_MOST_ROWS = 2**31 - 1
_DEEPEST = 50  # [assumed]

_GRAMMAR = r"""
query: SELECT selection FROM NAME [NAME] [where] [group] [order] [limit] [offset]
selection: COUNT_ALL                             -> count
         | _selected ("," _selected)*            -> fields
_selected: NAME | aggregate | field_set
aggregate: AGGREGATE "(" NAME ")" [NAME]
field_set: FIELDS "(" SCOPE ")"
where: WHERE condition
?condition: term | term (AND term)+              -> conjunction
          | term (OR term)+                      -> disjunction
?term: "(" condition ")" | NOT term              -> negation
     | NAME OPERATOR literal                     -> comparison
     | NAME LIKE STRING                          -> like
     | NAME [NOT] IN "(" literal ("," literal)* ")" -> member
     | NAME [NOT] IN "(" SELECT NAME FROM NAME [where] ")" -> semi_join
?literal: STRING | DATETIME | DATE | NUMBER | TRUE | FALSE | NULL | RELATIVE
group: GROUP BY NAME ("," NAME)*
order: ORDER BY sort ("," sort)*
sort: _sortable [DIRECTION] [NULLS PLACE]
_sortable: NAME | aggregate
limit: LIMIT INTEGER
offset: OFFSET INTEGER

COUNT_ALL.5: /COUNT\s*\(\s*\)/i
AGGREGATE.4: /(COUNT_DISTINCT|COUNT|MAX|MIN)(?=\s*\()/i
FIELDS.4: /FIELDS(?=\s*\()/i
SCOPE.3: /(ALL|STANDARD|CUSTOM)\b/i
SELECT.2: /SELECT\b/i
FROM.2: /FROM\b/i
WHERE.2: /WHERE\b/i
AND.2: /AND\b/i
OR.2: /OR\b/i
NOT.2: /NOT\b/i
LIKE.2: /LIKE\b/i
IN.2: /IN\b/i
GROUP.2: /GROUP\b/i
ORDER.2: /ORDER\b/i
BY.2: /BY\b/i
NULLS.2: /NULLS\b/i
LIMIT.2: /LIMIT\b/i
OFFSET.2: /OFFSET\b/i
OPERATOR: "!=" | "<>" | "<=" | ">=" | "=" | "<" | ">"
TRUE.2: /true\b/i
FALSE.2: /false\b/i
NULL.2: /null\b/i
DIRECTION.2: /(ASC|DESC)\b/i
PLACE.2: /(FIRST|LAST)\b/i
RELATIVE.3: /(TODAY|YESTERDAY|TOMORROW|(LAST|THIS|NEXT)_(WEEK|MONTH|YEAR)|LAST_90_DAYS)\b/i
    | /(LAST|NEXT)_N_(DAYS|WEEKS|MONTHS):\d{1,6}\b/i
STRING: /'(\\.|[^'\\])*'/
DATETIME.4: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)/
DATE.3: /\d{4}-\d\d-\d\d/
NUMBER.2: /[+-]?\d+\.?\d*/
INTEGER.2: /\d+/
NAME: /(?!(RESERVED)\b)[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*/i
%ignore /\s+/
"""
_KEYWORDS = (
    "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "LIKE", "IN", "GROUP", "ORDER", "BY", "NULLS",
    "LIMIT", "OFFSET", "FIELDS",
)  # fmt: skip


def malformed(message: str) -> SalesforceError:
    """Return 400 MALFORMED_QUERY [recorded]."""
    return SalesforceError(400, "MALFORMED_QUERY", message)


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        SalesforceError: 400 MALFORMED_QUERY, ``unexpected token: SELEKT`` [recorded].
    """
    _refuse_unreadable(text)
    try:
        tree = _PARSER.parse(text)
        _refuse_depth(tree)
        query = _Builder().transform(tree)
    except UnexpectedInput as error:
        raise malformed(f"unexpected token: {_unexpected(text, error)}") from error
    except VisitError as error:
        if isinstance(error.orig_exc, SalesforceError):
            raise error.orig_exc from error
        raise
    return Query(text, *query)


def _refuse_unreadable(text: str) -> None:
    if len(text) > _MOST_CHARACTERS:
        raise _too_complicated("Query is too long")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise malformed("the query is not text")


def _too_complicated(message: str) -> SalesforceError:
    return SalesforceError(400, "QUERY_TOO_COMPLICATED", message)  # [assumed code]


def _refuse_depth(tree: Tree[Token]) -> None:
    """Refuse conditions within conditions without end; walks without recursion itself."""
    level = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in node.children if not isinstance(child, str)]
        level = [child for child in level if child is not None]
        if not level:
            return
    raise _too_complicated("Query is nested too deeply")


def _unexpected(text: str, error: UnexpectedInput) -> str:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return "'<EOF>'"  # [assumed]
    if isinstance(error, UnexpectedToken):
        return str(error.token)
    if isinstance(error, UnexpectedCharacters):
        rest = text[error.pos_in_stream :].split()
        return rest[0] if rest else "'<EOF>'"
    return "'<EOF>'"


def _name(token: Token) -> Name:
    return Name(str(token), token.line or 1, token.column or 1)


def _literal(token: Token) -> Literal:
    return Literal(token.type, str(token))


def _without_words(children: tuple[Any, ...]) -> list[Any]:
    """Leave the keywords out, which carry nothing."""
    return [
        each for each in children if not (isinstance(each, Token) and each.type in _KEYWORDS)
    ]  # fmt: skip


def _count(token: Token) -> int:
    return min(int(token), _MOST_ROWS) if len(token) < 12 else _MOST_ROWS


class _Builder(Transformer[Token, Any]):
    """Turns the parse tree into the dataclasses of ``soql_tree``."""

    def query(self, children: list[Any]) -> tuple[Any, ...]:
        fields, source, alias, *rest = _without_words(tuple(children))
        where, groups, order, limit, offset = rest
        named = None if alias is None else str(alias)
        return fields, _name(source), named, where, groups or (), order or (), limit, offset

    def fields(self, children: list[Any]) -> tuple[Any, ...]:
        return tuple(_name(each) if isinstance(each, Token) else each for each in children)

    def count(self, _children: list[Any]) -> tuple[Name, ...]:
        return ()

    @v_args(inline=True)
    def aggregate(self, function: Token, field: Token, alias: Token | None) -> Aggregate:
        named = None if alias is None else str(alias)
        return Aggregate(function.upper(), _name(field), named)

    @v_args(inline=True)
    def field_set(self, _word: Token, scope: Token) -> FieldSet:
        return FieldSet(scope.upper())

    @v_args(inline=True)
    def where(self, _word: Token, condition: Condition) -> Condition:
        return condition

    def conjunction(self, children: list[Any]) -> Junction:
        return Junction("AND", tuple(_without_words(tuple(children))))

    def disjunction(self, children: list[Any]) -> Junction:
        return Junction("OR", tuple(_without_words(tuple(children))))

    @v_args(inline=True)
    def negation(self, _word: Token, part: Condition) -> Negation:
        return Negation(part)

    @v_args(inline=True)
    def comparison(self, field: Token, operator: Token, value: Token) -> Comparison:
        sign = "!=" if operator == "<>" else str(operator)
        return Comparison(_name(field), sign, _literal(value))

    @v_args(inline=True)
    def like(self, field: Token, _word: Token, value: Token) -> Comparison:
        return Comparison(_name(field), "LIKE", _literal(value))

    @v_args(inline=True)
    def member(self, field: Token, word: Token | None, _in: Token, *values: Token) -> Membership:
        return Membership(_name(field), tuple(map(_literal, values)), negated=word is not None)

    @v_args(inline=True)
    def semi_join(self, field: Token, word: Token | None, *rest: Any) -> SemiJoin:
        _in, _select, selected, _from, source, where = rest
        return SemiJoin(_name(field), _name(selected), _name(source), where, word is not None)

    def group(self, children: list[Any]) -> tuple[Name, ...]:
        return tuple(map(_name, _without_words(tuple(children))))

    def order(self, children: list[Any]) -> tuple[Sort, ...]:
        return tuple(_without_words(tuple(children)))

    @v_args(inline=True)
    def sort(
        self, key: Any, direction: Token | None, _nulls: Token | None, place: Token | None
    ) -> Sort:
        descending = direction is not None and direction.upper() == "DESC"
        nulls_last = place is not None and place.upper() == "LAST"
        return Sort(_name(key) if isinstance(key, Token) else key, descending, nulls_last)

    @v_args(inline=True)
    def limit(self, _word: Token, count: Token) -> int:
        return _count(count)

    @v_args(inline=True)
    def offset(self, _word: Token, count: Token) -> int:
        if _count(count) > _MOST_OFFSET:
            raise SalesforceError(
                400, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"
            )
        return _count(count)


# Words which cannot be names [documented].
_RESERVED = (
    "AND|ASC|DESC|EXCLUDES|FIRST|FROM|GROUP|HAVING|IN|INCLUDES|LAST|LIKE|LIMIT|NOT|NULL|NULLS|OR|"
    "SELECT|USING|WHERE|WITH"
)
_PARSER = Lark(
    _GRAMMAR.replace("RESERVED", _RESERVED), start="query", parser="lalr", maybe_placeholders=True
)
