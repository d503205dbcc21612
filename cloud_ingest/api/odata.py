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

from cloud_ingest.api.odata_tokens import Tokens
from cloud_ingest.errors import QueryError

DEFAULT_TOP, MAX_TOP = 100, 1000
_MAX_LENGTH = 8000
_MAX_DEPTH = 40
_MAX_EXPANDS = 30
MAX_EXPAND_DEPTH = 6
_MAX_ORDERS = 10
_COMPARISONS = ("eq", "ne", "gt", "ge", "lt", "le")
_DIRECTIONS = ("asc", "desc")  # in any case: frost-sta-client writes them large


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


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = Tokens(text)
        self._depth = 0
        self._expands = 0
        self._expand_depth = 0

    def end(self) -> None:
        self._tokens.end()

    def option(self, query: Query, name: str) -> Query:
        begin = self._tokens.at
        match name:
            case "$top":
                query = replace(query, top=self._tokens.whole(name))
            case "$skip":
                query = replace(query, skip=self._tokens.whole(name))
            case "$skiptoken":
                query = replace(query, after=self._tokens.whole(name))
            case "$count":
                query = replace(query, count=self._tokens.boolean(name))
            case "$orderby":
                query = replace(query, orderby=tuple(self._list(self._order)))
                if len(query.orderby) > _MAX_ORDERS:
                    raise QueryError(f"$orderby names more than {_MAX_ORDERS} things")
            case "$select":
                query = replace(query, select=tuple(self._list(self._tokens.name)))
            case "$expand":
                query = replace(query, expand=self._expand())
            case "$filter":
                query = replace(query, filter=self.expression())
            case _:
                raise QueryError(f"{name!r} is not an option we know")
        return replace(query, texts={**query.texts, name: self._tokens.since(begin)})

    def expression(self) -> Expression:
        """or-terms of and-terms of comparisons, 'not' and parentheses."""
        return self._junction("or", lambda: self._junction("and", self._term))

    def _junction(self, word: str, part: Callable[[], Expression]) -> Expression:
        terms = [part()]
        while self._tokens.word(word):
            self._tokens.step()
            terms.append(part())
        return terms[0] if len(terms) == 1 else Junction(word, tuple(terms))

    def _term(self) -> Expression:
        self._enter()
        try:
            if self._tokens.word("not"):
                self._tokens.step()
                return Not(self._term())
            if self._tokens.take("("):
                inside = self.expression()
                self._tokens.demand(")")
                return inside
            left = self._operand()
            if not self._tokens.word(*_COMPARISONS):
                raise self._tokens.unexpected(f"one of {', '.join(_COMPARISONS)}")
            return Compare(self._tokens.step(), left, self._operand())
        finally:
            self._depth -= 1

    def _operand(self) -> Path | Literal:
        kind = self._tokens.kind
        if kind == "text":
            return Literal(self._tokens.step()[1:-1].replace("''", "'"))
        if kind == "time":
            return Literal(Instant(instant(self._tokens.step())))
        if kind == "number":
            text = self._tokens.step()
            whole = int(text) if re.fullmatch(r"-?\d+", text) and len(text) < 17 else None
            return Literal(float(text) if whole is None else whole)
        if self._tokens.word("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[self._tokens.step()])
        return self._path()

    def _path(self) -> Path:
        segments = [self._tokens.name()]
        while self._tokens.take("/"):
            segments.append(self._tokens.name())
        if self._tokens.token == "(" and self._tokens.kind == "mark":
            raise QueryError(f"function {segments[-1]!r} is not offered")
        return Path(tuple(segments))

    def _order(self) -> Order:
        path = self._path()
        if self._tokens.kind == "name" and self._tokens.token.lower() in _DIRECTIONS:
            return Order(path, self._tokens.step().lower() == "desc")
        return Order(path, False)

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
            name = self._tokens.name()
            if self._tokens.take("/"):
                begin = self._tokens.at
                inner, query = self._expanded()
                return name, Query(expand={inner: query}, texts={"$expand": self._tokens.since(begin)})
            query = Query()
            if self._tokens.take("("):
                while True:
                    option = self._tokens.step() if self._tokens.kind == "option" else ""
                    if not option:
                        raise self._tokens.unexpected("an option such as $top")
                    if option in query.texts:
                        raise QueryError(f"{option} is given twice")
                    self._tokens.demand("=")
                    query = self.option(query, option)
                    if not self._tokens.take(";"):
                        break
                self._tokens.demand(")")
            return name, query
        finally:
            self._depth -= 1
            self._expand_depth -= 1

    def _list(self, part: Callable[[], _T]) -> list[_T]:
        items = [part()]
        while self._tokens.take(","):
            items.append(part())
        return items

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise QueryError(f"nested more than {_MAX_DEPTH} deep")


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
