"""SOQL: text to a syntax tree, with a real grammar.

Emulated: field lists, ``COUNT()``, ``WHERE``, ``ORDER BY``, ``LIMIT``, ``OFFSET``. The rest of SOQL
is refused as MALFORMED_QUERY where the grammar does not know it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken, VisitError

from local.salesforce_emulator.errors import SalesforceError

_MOST_CHARACTERS = 100_000  # [documented]
_MOST_OFFSET = 2_000  # [documented]

_GRAMMAR = r"""
query: "SELECT"i selection "FROM"i NAME [where] [order] [limit] [offset]
selection: NAME ("," NAME)*                      -> fields
         | "COUNT"i "(" ")"                      -> count
where: "WHERE"i condition
?condition: term | term ("AND"i term)+           -> conjunction
          | term ("OR"i term)+                   -> disjunction
?term: "(" condition ")" | "NOT"i term           -> negation
     | NAME OPERATOR literal                     -> comparison
     | NAME "LIKE"i STRING                       -> like
     | NAME "IN"i "(" literal ("," literal)* ")" -> member
     | NAME "NOT"i "IN"i "(" literal ("," literal)* ")" -> no_member
?literal: STRING | DATETIME | DATE | NUMBER | TRUE | FALSE | NULL | RELATIVE
order: "ORDER"i "BY"i sort ("," sort)*
sort: NAME [DIRECTION] ["NULLS"i PLACE]
limit: "LIMIT"i INTEGER
offset: "OFFSET"i INTEGER

OPERATOR: "!=" | "<>" | "<=" | ">=" | "=" | "<" | ">"
TRUE.2: "true"i
FALSE.2: "false"i
NULL.2: "null"i
DIRECTION.2: "ASC"i | "DESC"i
PLACE.2: "FIRST"i | "LAST"i
RELATIVE.3: "TODAY"i | "YESTERDAY"i | /LAST_N_DAYS:\d+/i
STRING: /'(\\.|[^'\\])*'/
DATETIME.4: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)/
DATE.3: /\d{4}-\d\d-\d\d/
NUMBER.2: /[+-]?\d+\.?\d*/
INTEGER.2: /\d+/
NAME: /[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*/i
%ignore /\s+/
"""


@dataclass(frozen=True, slots=True)
class Name:
    """A name in the query and where it stands: errors point at it."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A value, still as text; ``kind`` is STRING, DATETIME, DATE, NUMBER, TRUE, ..., RELATIVE."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """``field operator value``; the operators include LIKE."""

    field: Name
    operator: str
    value: Literal


@dataclass(frozen=True, slots=True)
class Membership:
    """``field IN (...)`` or ``field NOT IN (...)``."""

    field: Name
    values: tuple[Literal, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by AND or OR; mixing both needs parentheses [documented]."""

    word: str
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """``NOT condition``."""

    part: Condition


Condition = Comparison | Membership | Junction | Negation


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of ORDER BY; nulls come first unless said otherwise [documented]."""

    field: Name
    descending: bool
    nulls_last: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; ``fields`` empty means ``COUNT()``."""

    text: str
    fields: tuple[Name, ...]
    object_name: Name
    where: Condition | None
    order: tuple[Sort, ...]
    limit: int | None
    offset: int | None


def malformed(message: str) -> SalesforceError:
    """Return 400 MALFORMED_QUERY [recorded]."""
    return SalesforceError(400, "MALFORMED_QUERY", message)


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        SalesforceError: 400 MALFORMED_QUERY, ``unexpected token: SELEKT`` [recorded].
    """
    if len(text) > _MOST_CHARACTERS:
        raise SalesforceError(400, "QUERY_TOO_COMPLICATED", "Query is too long")  # [assumed code]
    try:
        query = _Builder().transform(_PARSER.parse(text))
    except UnexpectedInput as error:
        raise malformed(f"unexpected token: {_unexpected(text, error)}") from error
    except VisitError as error:
        if isinstance(error.orig_exc, SalesforceError):
            raise error.orig_exc from error
        raise
    return Query(text, *query)


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


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Turns the parse tree into the dataclasses above."""

    def query(self, fields: Any, source: Token, *rest: Any) -> tuple[Any, ...]:
        where, order, limit, offset = rest
        return fields, _name(source), where, order or (), limit, offset

    def fields(self, *names: Token) -> tuple[Name, ...]:
        return tuple(map(_name, names))

    def count(self) -> tuple[Name, ...]:
        return ()

    def where(self, condition: Condition) -> Condition:
        return condition

    def conjunction(self, *parts: Condition) -> Junction:
        return Junction("AND", parts)

    def disjunction(self, *parts: Condition) -> Junction:
        return Junction("OR", parts)

    def negation(self, part: Condition) -> Negation:
        return Negation(part)

    def comparison(self, field: Token, operator: Token, value: Token) -> Comparison:
        sign = "!=" if operator == "<>" else str(operator)
        return Comparison(_name(field), sign, _literal(value))

    def like(self, field: Token, value: Token) -> Comparison:
        return Comparison(_name(field), "LIKE", _literal(value))

    def member(self, field: Token, *values: Token) -> Membership:
        return Membership(_name(field), tuple(map(_literal, values)), negated=False)

    def no_member(self, field: Token, *values: Token) -> Membership:
        return Membership(_name(field), tuple(map(_literal, values)), negated=True)

    def order(self, *sorts: Sort) -> tuple[Sort, ...]:
        return sorts

    def sort(self, field: Token, direction: Token | None, place: Token | None) -> Sort:
        descending = direction is not None and direction.upper() == "DESC"
        return Sort(_name(field), descending, place is not None and place.upper() == "LAST")

    def limit(self, count: Token) -> int:
        return int(count)

    def offset(self, count: Token) -> int:
        if int(count) > _MOST_OFFSET:
            raise SalesforceError(
                400, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"
            )
        return int(count)


_PARSER = Lark(_GRAMMAR, start="query", parser="lalr", maybe_placeholders=True)
