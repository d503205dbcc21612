# SPDX-License-Identifier: EUPL-1.2
"""OGC SensorThings API 1.1 (18-088), reading: resource paths and query options under `/v1.1`.

A path is walked to one collection or one entity, the query is compiled, and each level of $expand is one more statement
for all parents at once, or for so many of them that its rows stay within MAX_ENTITIES.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from cloud_ingest.api.entities import ENTITIES, Entity, Navigation
from cloud_ingest.api.odata import Query, parse_query
from cloud_ingest.api.readers import Snapshot
from cloud_ingest.api.rows import Columns, Read
from cloud_ingest.api.sql import Select
from cloud_ingest.errors import NoSuchEntity, QueryError

# An answer's entities, each as often as it is in it: one row may stand in a thousand expansions. About 20 MB of JSON.
MAX_ENTITIES = 20_000

_SEGMENT = re.compile(r"([A-Za-z]+)(?:\((\d{1,16})\))?", re.ASCII)
_CONFORMANCE = (
    "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel",
    "http://www.opengis.net/spec/iot_sensing/1.1/req/resource-path/resource-path-to-entities",
    "http://www.opengis.net/spec/iot_sensing/1.1/req/request-data",
)


@dataclass(frozen=True)
class _Rows:
    """Entities of ``entity`` for which ``condition`` (in alias t) holds; ``one`` when the path names a single one."""

    entity: Entity
    condition: str = "1"
    args: tuple[Any, ...] = ()
    one: bool = False


class Raw(str):
    """A $value: plain text instead of JSON."""


class SensorThings:
    """Answers paths below ``root``, the address of the service such as `https://city.example/v1.1`."""

    def __init__(self, db: Snapshot, root: str) -> None:
        self._db = db
        self._root = root

    async def get(self, path: str, query_string: str) -> Any:
        """The JSON of a path, a Raw text, or None for a property without a value.

        Raises QueryError and NoSuchEntity."""
        segments = [segment for segment in path.split("/") if segment]
        if not segments:
            return self._service()
        rows, rest = await self._walk(segments)
        if rest == ["$ref"]:
            return await self._references(rows, query_string, path)
        query = parse_query(query_string)
        if rest:
            return await self._property(rows, rest)
        if rows.one:
            found = await self._fetch(rows, replace(query, skip=0, after=None), 1)
            if not found:
                raise NoSuchEntity(path)
            return found[0]
        return await self._collection(rows, query, path)

    def _service(self) -> dict[str, Any]:
        return {
            "value": [{"name": name, "url": f"{self._root}/{name}"} for name in ENTITIES],
            "serverSettings": {"conformance": list(_CONFORMANCE)},
        }

    async def _walk(self, segments: list[str]) -> tuple[_Rows, list[str]]:
        """Follow the path as far as it names entities; what is left names a property, $value or $ref."""
        rows: _Rows | None = None
        for position, segment in enumerate(segments):
            match = _SEGMENT.fullmatch(segment)
            name, number = (match[1], match[2]) if match else (segment, None)
            if rows is None:
                if name not in ENTITIES:
                    raise NoSuchEntity(f"{name!r}")
                rows = _Rows(ENTITIES[name])
            else:
                navigation = rows.entity.navigation(name) if rows.one else None
                if navigation is None or (number is not None and not navigation.many):
                    return rows, segments[position:]
                rows = await self._navigate(rows, navigation, "/".join(segments[:position]))
            if number is not None:
                rows = _with_id(rows, int(number))
        assert rows is not None
        return rows, []

    async def _navigate(self, rows: _Rows, navigation: Navigation, way: str) -> _Rows:
        key = rows.entity.keys[navigation.key].format(t="t")
        source = rows.entity.table.format(t="t")
        row = await self._db.row(f"SELECT {key} FROM {source} WHERE {rows.condition}", rows.args)
        if row is None:
            raise NoSuchEntity(way)
        link = navigation.link.format(t="t", p="?")
        return _Rows(ENTITIES[navigation.target], link, (row[0],), not navigation.many)

    async def _property(self, rows: _Rows, rest: list[str]) -> Any:
        found = rows.entity.property(rest[0])
        if found is None or not rows.one or rest[1:] not in ([], ["$value"]):
            raise NoSuchEntity("/".join(rest))
        entities = await self._fetch(rows, Query(select=(rest[0],)), 1)
        if not entities:
            raise NoSuchEntity(rows.entity.name)
        value = entities[0].get(found.name)
        if value is None:
            return None
        if rest[1:]:
            return Raw(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        return {found.name: value}

    async def _references(self, rows: _Rows, query_string: str, path: str) -> dict[str, Any]:
        query = replace(parse_query(query_string), select=("id",), expand={})
        if rows.one:
            raise NoSuchEntity("$ref of a single entity")
        page = await self._collection(rows, query, path)
        page["value"] = [{"@iot.selfLink": entity["@iot.selfLink"]} for entity in page["value"]]
        return page

    async def _collection(self, rows: _Rows, query: Query, path: str) -> dict[str, Any]:
        page: dict[str, Any] = {}
        if query.count:
            page["@iot.count"] = await self._count(rows, query)
        found = await self._fetch(rows, query, query.limit + 1) if query.limit else []
        if len(found) > query.limit:
            found.pop()
            page["@iot.nextLink"] = self._next_link(f"{self._root}/{quote(path.strip('/'), safe='/()$')}", query, found)
        page["value"] = found
        return page

    def _next_link(self, address: str, query: Query, page: list[dict[str, Any]]) -> str:
        """By key where the order is that of storage (any depth costs the same), else by $skip."""
        texts = {name: text for name, text in query.texts.items() if name not in ("$skip", "$skiptoken")}
        if not query.orderby and page and "@iot.id" in page[-1]:
            texts["$skiptoken"] = str(page[-1]["@iot.id"])
        else:
            texts["$skip"] = str(query.skip + query.limit)
            if query.after is not None:
                texts["$skiptoken"] = str(query.after)
        return f"{address}?{urlencode(texts, quote_via=quote, safe='$(),/=;')}"

    async def _count(self, rows: _Rows, query: Query) -> int:
        select = Select(rows.entity)
        condition, args = _condition(select, rows, replace(query, after=None))
        what = f"count(DISTINCT {rows.entity.id.format(t='t')})" if select.distinct else "count(*)"
        return int((await self._db.row(f"SELECT {what} FROM {select.source} WHERE {condition}", args))[0])

    async def _fetch(self, rows: _Rows, query: Query, at_most: int) -> list[dict[str, Any]]:
        select = Select(rows.entity)
        condition, args = _condition(select, rows, query)
        order, order_args = select.order(query.orderby)
        columns = Columns(rows.entity, query, "t")
        grouped = f" GROUP BY {rows.entity.id.format(t='t')}" if select.distinct else ""
        found = await self._db.rows(
            f"SELECT {columns.sql} FROM {select.source} WHERE {condition}{grouped} ORDER BY {order} LIMIT ? OFFSET ?",
            [*args, *order_args, at_most, query.skip],
        )
        entities = await self._read(columns, found)
        await self._expand(rows.entity, query, entities)
        return [entity.json for entity in entities]

    async def _read(self, columns: Columns, rows: list[Any]) -> list[Read]:
        """In a thread, so that a long page does not keep others waiting."""
        return await asyncio.to_thread(lambda: [columns.read(row, self._root) for row in rows])

    async def _expand(self, entity: Entity, query: Query, parents: list[Read]) -> None:
        for name, inner in query.expand.items():
            navigation = entity.navigation(name)
            if navigation is None:
                raise QueryError(f"{entity.name} have no {name!r} to expand")
            for parent in parents:
                parent.json.pop(f"{name}@iot.navigationLink", None)
            if navigation.many:
                await self._expand_many(navigation, inner, parents)
            else:
                await self._expand_one(navigation, inner, parents)
            _bound(parents)

    async def _expand_one(self, navigation: Navigation, query: Query, parents: list[Read]) -> None:
        target = ENTITIES[navigation.target]
        keys = json.dumps(sorted({parent.keys[navigation.key] for parent in parents}))
        columns = Columns(target, query, "t")
        link = navigation.link.format(t="t", p="p.value")
        found = await self._db.rows(
            f"SELECT p.value, {columns.sql} FROM json_each(?) p JOIN {target.table.format(t='t')} ON {link}", (keys,)
        )
        read = await self._read(columns, [row[1:] for row in found])
        children = {row[0]: child for row, child in zip(found, read, strict=True)}
        await self._expand(target, query, read)
        for parent in parents:
            child = children.get(parent.keys[navigation.key])
            parent.json[navigation.name] = child.json if child else None
            parent.size += child.size if child else 0

    async def _expand_many(self, navigation: Navigation, query: Query, parents: list[Read]) -> None:
        target = ENTITIES[navigation.target]
        keys = sorted({parent.keys[navigation.key] for parent in parents})
        select, outer = Select(target, "s"), Select(target, "t")
        inner_rows = _Rows(target, navigation.link.format(t="s", p="p.value"))
        condition, args = _condition(select, inner_rows, query)
        order, order_args = select.order(query.orderby)
        outer_order, outer_args = outer.order(query.orderby)
        columns = Columns(target, query, "t")
        key, inner_key = (", ".join(term.format(t=alias) for term in target.order) for alias in "ts")
        grouped = f" GROUP BY {inner_key}" if select.distinct else ""
        sql = (
            f"SELECT p.value, {columns.sql} FROM json_each(?) p CROSS JOIN {outer.source} WHERE ({key}) IN "
            f"(SELECT {inner_key} FROM {select.source} WHERE {condition}{grouped} ORDER BY {order} LIMIT ? OFFSET ?) "
            f"ORDER BY p.key, {outer_order}"
        )
        children: dict[Any, list[Read]] = {}
        total = 0
        for some_keys in _pieces(keys, query.limit):
            found = await self._db.rows(sql, [some_keys, *args, *order_args, query.limit + 1, query.skip, *outer_args])
            total += len(found)
            if total > MAX_ENTITIES + len(keys):  # one more than its page for each, to know whether there is a next
                raise _too_many()
            for row, child in zip(found, await self._read(columns, [row[1:] for row in found]), strict=True):
                children.setdefault(row[0], []).append(child)
        counts = await self._counts(navigation, query, json.dumps(keys)) if query.count else {}
        more = {parent_key for parent_key, some in children.items() if len(some) > query.limit}
        for parent_key in more:
            children[parent_key].pop()
        await self._expand(target, query, [child for some in children.values() for child in some])
        for parent in parents:
            parent_key = parent.keys[navigation.key]
            page = [child.json for child in children.get(parent_key, ())]
            parent.json[navigation.name] = page
            parent.size += sum(child.size for child in children.get(parent_key, ()))
            if query.count:
                parent.json[f"{navigation.name}@iot.count"] = counts.get(parent_key, 0)
            if parent_key in more and query.limit:
                address = f"{parent.link}/{navigation.name}"
                parent.json[f"{navigation.name}@iot.nextLink"] = self._next_link(address, query, page)

    async def _counts(self, navigation: Navigation, query: Query, keys: str) -> dict[Any, int]:
        target = ENTITIES[navigation.target]
        select = Select(target, "s")
        condition, args = _condition(select, _Rows(target, navigation.link.format(t="s", p="p.value")), query)
        what = f"count(DISTINCT {target.id.format(t='s')})" if select.distinct else "count(*)"
        found = await self._db.rows(
            f"SELECT p.value, (SELECT {what} FROM {select.source} WHERE {condition}) FROM json_each(?) p",
            [*args, keys],
        )
        return dict(map(tuple, found))


def _pieces(keys: list[Any], limit: int) -> Iterator[str]:
    """The keys as JSON lists, each of so many that a page for each stays within what an answer may have."""
    step = max(MAX_ENTITIES // (limit + 1), 1)
    for begin in range(0, len(keys), step):
        yield json.dumps(keys[begin : begin + step])


def _bound(parents: list[Read]) -> None:
    if sum(parent.size for parent in parents) > MAX_ENTITIES:
        raise _too_many()


def _too_many() -> QueryError:
    return QueryError(f"the answer would have more than {MAX_ENTITIES} entities; expand less or set a smaller $top")


def _with_id(rows: _Rows, number: int) -> _Rows:
    terms = rows.entity.order
    condition = " AND ".join(f"{term.format(t='t')} = ?" for term in terms)
    args = (*rows.args, *rows.entity.split_id(number))
    return _Rows(rows.entity, f"({rows.condition}) AND {condition}", args, True)


def _condition(select: Select, rows: _Rows, query: Query) -> tuple[str, list[Any]]:
    parts, args = [f"({rows.condition})"], list(rows.args)
    if query.after is not None:
        terms = rows.entity.order
        marks = ", ".join("?" for _ in terms)
        parts.append(f"({', '.join(term.format(t=select.alias) for term in terms)}) > ({marks})")
        args += rows.entity.split_id(query.after)
    if query.filter is not None:
        sql, more = select.where(query.filter)
        parts.append(sql)
        args += more
    return " AND ".join(parts), args
