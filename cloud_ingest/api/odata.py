# SPDX-License-Identifier: EUPL-1.2
"""SensorThings query options as values: a hand-written recursive descent parser; no SQL here.

OGC 18-088 "Requesting Data": $filter, $orderby, $select, $expand, $top, $skip, $count. Anything else is a QueryError
that says what was not understood. Depth and length are bounded, so no text can exhaust us.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qsl

from cloud_ingest.errors import QueryError

DEFAULT_TOP, MAX_TOP = 100, 1000
_MAX_LENGTH = 8000
_MAX_DEPTH = 40
_MAX_EXPANDS = 30
MAX_EXPAND_DEPTH = 6
_MAX_ORDERS = 10
_MAX_INT = 1 << 53

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*')
    | (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w-])
    | (?P<option>\$[A-Za-z]+)
    | (?P<name>[A-Za-z_@][\w.@-]*)
    | (?P<mark>[(),/;=])
    )""",
    re.VERBOSE | re.ASCII,
)
_COMPARISONS = ("eq", "ne", "gt", "ge", "lt", "le")


_T = TypeVar("_T")


class Instant(NamedTuple):
    """A point in time in Unix seconds."""

    unix_s: float


Value = str | int | float | bool | Instant | None


class Path(NamedTuple):
    """A property, perhaps behind navigation: ``("Datastream", "Thing", "name")``. ``@iot.id`` is written ``id``."""

    segments: tuple[str, ...]


class Literal(NamedTuple):
    value: Value


class Compare(NamedTuple):
    op: str
    left: Path | Literal
    right: Path | Literal


class Not(NamedTuple):
    term: "Expression"


class Junction(NamedTuple):
    """``op`` is 'and' or 'or'."""

    op: str
    terms: tuple["Expression", ...]


Expression = Compare | Not | Junction


class Order(NamedTuple):
    path: Path
    descending: bool


@dataclass(frozen=True)
class Query:
    """The options of one collection; ``expand`` maps a navigation property to the options of what is behind it.

    ``texts`` keeps each option as it was written, for links to the next page."""

    top: int | None = None
    skip: int = 0
    count: bool = False
    orderby: tuple[Order, ...] = ()
    select: tuple[str, ...] | None = None
    expand: dict[str, "Query"] = field(default_factory=dict)
    filter: Expression | None = None
    after: int | None = None
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def limit(self) -> int:
        return DEFAULT_TOP if self.top is None else min(self.top, MAX_TOP)


def parse_query(query_string: str) -> Query:
    """The options of a URL's query string; raises QueryError."""
    if len(query_string) > _MAX_LENGTH:
        raise QueryError(f"the query is longer than {_MAX_LENGTH} characters")
    query = Query()
    for name, text in parse_qsl(query_string, keep_blank_values=True):
        if name in query.texts:
            raise QueryError(f"{name} is given twice")
        parser = _Parser(text)
        query = parser.option(query, name)
        parser.end()
    return query


def parse_filter(text: str) -> Expression:
    """One $filter expression; raises QueryError."""
    parser = _Parser(text)
    expression = parser.expression()
    parser.end()
    return expression


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._expands = 0
        self._expand_depth = 0
        self._kind, self._token, self._next = self._scan(0)

    def end(self) -> None:
        if self._kind != "end":
            raise self._unexpected("the end")

    def option(self, query: Query, name: str) -> Query:
        begin = self._at
        match name:
            case "$top":
                query = replace(query, top=self._whole(name))
            case "$skip":
                query = replace(query, skip=self._whole(name))
            case "$skiptoken":
                query = replace(query, after=self._whole(name))
            case "$count":
                query = replace(query, count=self._boolean(name))
            case "$orderby":
                query = replace(query, orderby=tuple(self._list(self._order)))
                if len(query.orderby) > _MAX_ORDERS:
                    raise QueryError(f"$orderby names more than {_MAX_ORDERS} things")
            case "$select":
                query = replace(query, select=tuple(self._list(self._selected)))
            case "$expand":
                query = replace(query, expand=self._expand())
            case "$filter":
                query = replace(query, filter=self.expression())
            case _:
                raise QueryError(f"{name!r} is not an option we know")
        return replace(query, texts={**query.texts, name: self._text[begin : self._at].strip()})

    def expression(self) -> Expression:
        """or-terms of and-terms of comparisons, 'not' and parentheses."""
        return self._junction("or", lambda: self._junction("and", self._term))

    def _junction(self, word: str, part: Callable[[], Expression]) -> Expression:
        terms = [part()]
        while self._kind == "name" and self._token == word:
            self._step()
            terms.append(part())
        return terms[0] if len(terms) == 1 else Junction(word, tuple(terms))

    def _term(self) -> Expression:
        self._enter()
        try:
            if self._kind == "name" and self._token == "not":
                self._step()
                return Not(self._term())
            if self._take("("):
                inside = self.expression()
                self._demand(")")
                return inside
            left = self._operand()
            if self._kind != "name" or self._token not in _COMPARISONS:
                raise self._unexpected(f"one of {', '.join(_COMPARISONS)}")
            return Compare(self._step(), left, self._operand())
        finally:
            self._depth -= 1

    def _operand(self) -> Path | Literal:
        kind = self._kind
        if kind == "text":
            return Literal(self._step()[1:-1].replace("''", "'"))
        if kind == "time":
            return Literal(Instant(instant(self._step())))
        if kind == "number":
            text = self._step()
            whole = int(text) if re.fullmatch(r"-?\d+", text) and len(text) < 17 else None
            return Literal(float(text) if whole is None else whole)
        if kind == "name" and self._token in ("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[self._step()])
        return self._path()

    def _path(self) -> Path:
        segments = [self._name()]
        while self._take("/"):
            segments.append(self._name())
        if self._token == "(" and self._kind == "mark":
            raise QueryError(f"function {segments[-1]!r} is not offered")
        return Path(tuple(segments))

    def _order(self) -> Order:
        path = self._path()
        if self._kind == "name" and self._token.lower() in ("asc", "desc"):  # frost-sta-client writes them large
            return Order(path, self._step().lower() == "desc")
        return Order(path, False)

    def _selected(self) -> str:
        return self._name()

    def _expand(self) -> dict[str, Query]:
        found: dict[str, Query] = {}
        for name, query in self._list(self._expanded):
            if name in found:
                query = _merged(name, found[name], query)
            found[name] = query
        return found

    def _expanded(self) -> tuple[str, Query]:
        self._enter()
        self._expands += 1
        self._expand_depth += 1
        if self._expands > _MAX_EXPANDS:
            raise QueryError(f"$expand names more than {_MAX_EXPANDS} things")
        if self._expand_depth > MAX_EXPAND_DEPTH:
            raise QueryError(f"$expand is nested more than {MAX_EXPAND_DEPTH} deep")
        try:
            name = self._name()
            if self._take("/"):
                begin = self._at
                inner, query = self._expanded()
                return name, Query(expand={inner: query}, texts={"$expand": self._text[begin : self._at].strip()})
            query = Query()
            if self._take("("):
                while True:
                    option = self._step() if self._kind == "option" else ""
                    if not option:
                        raise self._unexpected("an option such as $top")
                    if option in query.texts:
                        raise QueryError(f"{option} is given twice")
                    self._demand("=")
                    query = self.option(query, option)
                    if not self._take(";"):
                        break
                self._demand(")")
            return name, query
        finally:
            self._depth -= 1
            self._expand_depth -= 1

    def _list(self, part: Callable[[], _T]) -> list[_T]:
        items = [part()]
        while self._take(","):
            items.append(part())
        return items

    def _name(self) -> str:
        if self._kind != "name":
            raise self._unexpected("a name")
        name = self._step()
        return "id" if name == "@iot.id" else name

    def _whole(self, name: str) -> int:
        if self._kind != "number" or not re.fullmatch(r"\d{1,16}", self._token) or int(self._token) > _MAX_INT:
            raise QueryError(f"{name} must be a whole number, not {self._token!r}")
        return int(self._step())

    def _boolean(self, name: str) -> bool:
        if self._token not in ("true", "false"):
            raise QueryError(f"{name} must be true or false, not {self._token!r}")
        return self._step() == "true"

    def _take(self, mark: str) -> bool:
        if self._kind == "mark" and self._token == mark:
            self._step()
            return True
        return False

    def _demand(self, mark: str) -> None:
        if not self._take(mark):
            raise self._unexpected(f"'{mark}'")

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise QueryError(f"nested more than {_MAX_DEPTH} deep")

    def _step(self) -> str:
        token = self._token
        self._at = self._next
        self._kind, self._token, self._next = self._scan(self._at)
        return token

    def _scan(self, at: int) -> tuple[str, str, int]:
        match = _TOKEN.match(self._text, at)
        if match:
            assert match.lastgroup is not None
            return match.lastgroup, match[match.lastgroup], match.end()
        if self._text[at:].strip():
            raise QueryError(f"cannot read {self._text[at : at + 30].strip()!r}")
        return "end", "", len(self._text)

    def _unexpected(self, wanted: str) -> QueryError:
        return QueryError(
            f"expected {wanted}, found {self._token!r}" if self._token else f"expected {wanted} at the end"
        )


def instant(text: str) -> float:
    """Unix seconds of an ISO 8601 time with an offset; raises QueryError."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise QueryError(f"{text!r} needs a time zone, such as Z")
        return moment.astimezone(UTC).timestamp()  # overflows beyond the years 1 to 9999
    except (ValueError, OverflowError) as error:
        raise QueryError(f"{text!r} is not a time such as 2026-07-01T12:00:00Z") from error


def _merged(name: str, one: Query, other: Query) -> Query:
    """`A/B,A/C` is one expansion of A; anything beyond that would be ambiguous."""
    if (one.texts.keys() | other.texts.keys()) - {"$expand"} or one.expand.keys() & other.expand.keys():
        raise QueryError(f"$expand names {name} twice")
    texts = [query.texts["$expand"] for query in (one, other) if "$expand" in query.texts]
    return replace(one, expand={**one.expand, **other.expand}, texts={"$expand": ",".join(texts)} if texts else {})
