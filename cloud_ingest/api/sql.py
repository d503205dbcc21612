# SPDX-License-Identifier: EUPL-1.2
"""From a parsed query to parameterised SQL: the caller's names are looked up and values bound, never pasted."""

from dataclasses import dataclass, field
from typing import Any

from cloud_ingest.api.entities import ENTITIES, Entity, Navigation, Property
from cloud_ingest.api.odata import Compare, Expression, Instant, Junction, Literal, Not, Order, Path, Value, instant
from cloud_ingest.errors import QueryError

_MAX_HOPS = 4
# A condition over two to-many ways multiplies their rows; over Observations twice it would be all readings by all.
_MAX_MANY = 2
_LARGE = "Observations"
_SQL_OP = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_MIRRORED = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}


@dataclass(frozen=True)
class _Operand:
    """A property in SQL. ``kind`` is a Property's or 'id' or, for a path into JSON, 'member'."""

    name: str
    kind: str
    sql: str
    args: tuple[Any, ...] = ()
    end: str = ""


@dataclass
class Select:
    """Compiles the filter and order of one collection over ``entity``, whose alias is ``alias``."""

    entity: Entity
    alias: str = "t"
    distinct: bool = False
    _joins: dict[tuple[str, ...], tuple[str, Entity]] = field(default_factory=dict)
    _join_sql: list[str] = field(default_factory=list)
    _many: int = 0

    @property
    def source(self) -> str:
        """What stands behind FROM; complete after all filters and orders were compiled."""
        return " ".join([self.entity.table.format(t=self.alias), *self._join_sql])

    def where(self, expression: Expression) -> tuple[str, list[Any]]:
        """A condition and its arguments; raises QueryError."""
        if isinstance(expression, Junction):
            parts = [self.where(term) for term in expression.terms]
            joined = f" {expression.op.upper()} ".join(sql for sql, _ in parts)
            return f"({joined})", [arg for _, args in parts for arg in args]
        if isinstance(expression, Not):
            sql, args = self.where(expression.term)
            return f"(NOT coalesce({sql}, 0))", args  # OData: a comparison with null is false, and its opposite true
        return self._compare(expression)

    def order(self, orders: tuple[Order, ...]) -> tuple[str, list[Any]]:
        """The terms of ORDER BY, made unique by the order of storage."""
        terms: list[str] = []
        args: list[Any] = []
        for order in orders:
            operand = self._operand(order.path, to_many=False)
            if operand.kind == "json":
                raise QueryError(f"cannot order by {operand.name}: it is not a single value")
            terms.append(operand.sql + (" DESC" if order.descending else ""))
            args += operand.args
        tail = " DESC" if orders and orders[-1].descending else ""
        return ", ".join(terms + [term.format(t=self.alias) + tail for term in self.entity.order]), args

    def _compare(self, compare: Compare) -> tuple[str, list[Any]]:
        op, left, right = compare
        if isinstance(left, Literal):
            op, left, right = _MIRRORED[op], right, left
        if isinstance(left, Literal):
            raise QueryError("a comparison needs a property on one side")
        operand = self._operand(left, to_many=True)
        if isinstance(right, Path):
            return _compare_two(op, operand, self._operand(right, to_many=True))
        return _compare_value(op, operand, right.value)

    def _operand(self, path: Path, to_many: bool) -> _Operand:
        entity, alias = self.entity, self.alias
        segments = path.segments
        for hop, name in enumerate(segments):
            navigation = entity.navigation(name)
            if navigation is None:
                return _property(entity, alias, segments[hop:], "/".join(segments))
            if navigation.many and not to_many:
                raise QueryError(f"cannot order by {'/'.join(segments)}: {name} are many")
            if hop >= _MAX_HOPS:
                raise QueryError(f"{'/'.join(segments)} is too long a way")
            alias, entity = self._join(segments[: hop + 1], entity, alias, navigation)
        raise QueryError(f"{'/'.join(segments)} is not a property")

    def _join(self, way: tuple[str, ...], entity: Entity, alias: str, navigation: Navigation) -> tuple[str, Entity]:
        if way not in self._joins:
            target, name = ENTITIES[navigation.target], f"{self.alias}{len(self._joins)}"
            link = navigation.link.format(t=name, p=entity.keys[navigation.key].format(t=alias))
            self._bound(way, navigation)
            self._join_sql.append(f"LEFT JOIN {target.table.format(t=name)} ON {link}")
            self._joins[way] = (name, target)
            self.distinct |= navigation.many
        return self._joins[way]

    def _bound(self, way: tuple[str, ...], navigation: Navigation) -> None:
        if not navigation.many:
            return
        self._many += 1
        large = [self.entity.name, navigation.target, *(entity.name for _, entity in self._joins.values())]
        if self._many > _MAX_MANY or (navigation.target == _LARGE and large.count(_LARGE) > 1):
            raise QueryError(
                f"{'/'.join(way)}: a filter over so many combinations is not offered; use fewer to-many ways"
            )


def _property(entity: Entity, alias: str, segments: tuple[str, ...], name: str) -> _Operand:
    if segments == ("id",):
        return _Operand(name, "id", entity.id.format(t=alias))
    found = entity.property(segments[0])
    if found is None:
        raise QueryError(f"{entity.name} have no {segments[0]!r}")
    if len(segments) == 1:
        return _Operand(name, found.kind, found.sql.format(t=alias), (), found.end.format(t=alias))
    if found.kind != "json":
        raise QueryError(f"{segments[0]} has no members")
    way = "$" + "".join(f'."{segment}"' for segment in segments[1:])
    return _member(name, found, alias, way)


def _member(name: str, found: Property, alias: str, way: str) -> _Operand:
    return _Operand(name, "member", f"json_extract({found.sql.format(t=alias)}, ?)", (way,))


def _compare_two(op: str, left: _Operand, right: _Operand) -> tuple[str, list[Any]]:
    numbers, scalars = ("number", "id"), ("text", "number", "time", "id")
    alike = left.kind == right.kind or (left.kind in numbers and right.kind in numbers)
    if left.kind not in scalars or not alike:
        raise QueryError(f"cannot compare {left.name} with {right.name}")
    return f"({left.sql} {_SQL_OP[op]} {right.sql})", [*left.args, *right.args]


def _compare_value(op: str, operand: _Operand, value: Value) -> tuple[str, list[Any]]:
    sql, args = operand.sql, list(operand.args)
    if operand.kind == "json":
        raise QueryError(f"{operand.name} is not a single value; name a member of it")
    if value is None:
        if op not in ("eq", "ne"):
            raise QueryError("null can only be compared with eq and ne")
        return f"({sql} IS {'' if op == 'eq' else 'NOT '}NULL)", args
    if operand.kind in ("time", "interval"):
        moment = _moment(operand, value)
        return (
            (_interval(op, operand), [moment, moment])
            if operand.kind == "interval"
            else (
                f"({sql} {_SQL_OP[op]} ?)",
                [moment],
            )
        )
    if isinstance(value, Instant):
        raise QueryError(f"{operand.name} is not a time")
    if operand.kind == "member":
        kinds = "'text'" if isinstance(value, str) else "'integer', 'real'"
        return f"(typeof({sql}) IN ({kinds}) AND {sql} {_SQL_OP[op]} ?)", [*args, *args, value]
    if isinstance(value, bool):
        raise QueryError(f"{operand.name} is neither true nor false")
    if isinstance(value, str) and operand.kind in ("number", "id"):
        return f"(CAST({sql} AS TEXT) {_SQL_OP[op]} ?)", [*args, value]
    if not isinstance(value, str) and operand.kind == "text":
        return f"({sql} {_SQL_OP[op]} CAST(? AS TEXT))", [*args, value]
    return f"({sql} {_SQL_OP[op]} ?)", [*args, value]


def _moment(operand: _Operand, value: Value) -> float:
    if isinstance(value, Instant):
        return value.unix_s
    if isinstance(value, str):
        return instant(value)
    raise QueryError(f"{operand.name} is a time; compare it with one such as 2026-07-01T12:00:00Z")


def _interval(op: str, operand: _Operand) -> str:
    """Both ends against one instant: before means it ended before, after that it began after."""
    start, end = operand.sql, operand.end
    ends = {
        "eq": f"({start} = ? AND {end} = ?)",
        "ne": f"({start} <> ? OR {end} <> ?)",
        "lt": f"({end} < ? AND {start} < ?)",
        "le": f"({end} <= ? AND {start} <= ?)",
        "gt": f"({start} > ? AND {end} > ?)",
        "ge": f"({start} >= ? AND {end} >= ?)",
    }
    return ends[op]
