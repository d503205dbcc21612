# SPDX-License-Identifier: EUPL-1.2
"""From rows of the store to the JSON of SensorThings entities, with their control information (`@iot.*`)."""

import json
from dataclasses import dataclass
from typing import Any

from cloud_ingest.api.answers import iso
from cloud_ingest.api.entities import Entity, Property
from cloud_ingest.api.odata import Query
from cloud_ingest.errors import QueryError


@dataclass
class Read:
    """One entity: its JSON, its own address, the keys its navigations start from, and how many entities its JSON has,
    those expanded in it included."""

    json: dict[str, Any]
    link: str
    keys: dict[str, Any]
    size: int = 1


class Columns:
    """What to select for ``query`` and how to turn a row into JSON."""

    def __init__(self, entity: Entity, query: Query, alias: str) -> None:
        self._entity = entity
        self._select = query.select
        self._properties = [p for p in entity.properties if self._wanted(p.name)]
        used = (entity.navigation(name) for name in query.expand)
        self._keys = sorted({navigation.key for navigation in used if navigation})
        parts = [entity.id, *(entity.keys[key] for key in self._keys)]
        for found in self._properties:
            parts += [found.sql, found.end] if found.kind == "interval" else [found.sql]
        self.sql = ", ".join(part.format(t=alias) for part in parts)
        for name in query.select or ():
            if name != "id" and not entity.property(name) and not entity.navigation(name):
                raise QueryError(f"{entity.name} have no {name!r} to select")

    def read(self, row: Any, root: str) -> Read:
        values = iter(row)
        number = next(values)
        link = f"{root}/{self._entity.name}({number})"
        keys = {key: next(values) for key in self._keys}
        body: dict[str, Any] = {}
        if self._wanted("id"):
            body = {"@iot.id": number, "@iot.selfLink": link}
        for found in self._properties:
            value = _value(found, values)
            if value is not None or not found.omit_null or self._select is not None:
                body[found.name] = value
        for navigation in self._entity.navigations:
            if self._wanted(navigation.name):
                body[f"{navigation.name}@iot.navigationLink"] = f"{link}/{navigation.name}"
        return Read(body, link, keys)

    def _wanted(self, name: str) -> bool:
        return self._select is None or name in self._select


def _value(found: Property, values: Any) -> Any:
    value = next(values)
    if found.kind == "interval":
        end = next(values)
        return None if value is None else f"{iso(value)}/{iso(end)}"
    if value is None:
        return None
    if found.kind == "time":
        return iso(value)
    if found.kind == "json":
        return json.loads(value)
    if found.kind == "number" and float(value).is_integer():
        return int(value)
    return value
