# SPDX-License-Identifier: EUPL-1.2
"""The city's registry `city.json`: the city (city.py) as people write it, strictly checked.

An id used twice or a reference to nothing is a ConfigError that names the place, and so is what strict_json refuses.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloud_ingest.city import (
    DEFAULT_DEBOUNCE_S,
    DEFAULT_DEPTH_CM,
    DEFAULT_SPEEDS_KMH,
    DRY_IS_LOW,
    STATION_KINDS,
    Area,
    City,
    Name,
    Node,
    Rule,
    Station,
    Tree,
)
from cloud_ingest.errors import ConfigError
from cloud_ingest.instruments import INSTRUMENTS
from cloud_ingest.strict_json import Table, number, read
from cloud_ingest.whereabouts import impossible
from decoders.eui import EUI
from decoders.quantities import QUANTITIES

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DEV_EUI = re.compile(EUI)


def load(path: Path) -> City:
    """Read and check the registry at ``path``; raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "is not UTF-8") from error
    return parse(text, str(path))


def parse(text: str, where: str = "city.json") -> City:
    """Build the city from JSON ``text``; raises ConfigError."""
    data = read(text, where)
    top = Table(data, where, ("name", "center", "zoom", "reference_areas", "trees", "nodes"), ("stations",))
    areas = [_area(item) for item in top.tables("reference_areas", _AREA_KEYS)]
    trees = [_tree(item) for item in top.tables("trees", _TREE_KEYS)]
    stations = [_station(item) for item in top.tables("stations", *_STATION_KEYS)] if "stations" in top.data else []
    nodes = sorted((_node(item) for item in top.tables("nodes", *_NODE_KEYS)), key=lambda node: node.since)
    city = City(
        _name(top),
        _point(top.value("center"), top.at("center")),
        top.number("zoom", 0, 24),
        _by_id(areas, where, "reference_areas"),
        _by_id(trees, where, "trees"),
        _by_id(stations, where, "stations"),
        {node.dev_eui: node for node in nodes},
        {node.dev_eui: tuple(one for one in nodes if one.dev_eui == node.dev_eui) for node in nodes},
    )
    _check_references(city, nodes, where)
    return city


_AREA_KEYS = ("id", "name", "polygon", "rule", "litres_per_tree")
_TREE_KEYS = ("id", "name", "latin", "planted", "area", "lon", "lat")
_STATION_KEYS = (("id", "kind", "name", "lon", "lat"), ("speeds_kmh",))
_NODE_KEYS = (("dev_eui", "interval_s"), ("tree", "station", "depth_cm", "since", "instruments"))


def _area(item: Table) -> Area:
    ring = item.value("polygon")
    if not isinstance(ring, list) or len(ring) < 4 or ring[0] != ring[-1]:
        raise ConfigError(item.at("polygon"), "must be a closed ring of at least four [lon, lat] points")
    points = tuple(_point(point, item.at("polygon")) for point in ring)
    return Area(
        item.matching("id", _ID, "an id of letters, digits, '.', '_' or '-'"),
        _name(item),
        points,
        _rule(Table(item.value("rule"), item.at("rule"), ("quantity", "act", "clear"), ("debounce_s",))),
        item.whole("litres_per_tree", 1, 10_000),
    )


def _rule(item: Table) -> Rule:
    quantity = item.value("quantity")
    known = [name for name in DRY_IS_LOW if name in QUANTITIES]
    if quantity not in known:
        raise ConfigError(item.at("quantity"), f"must be one of {', '.join(known)}, not {quantity!r}")
    act, clear = item.number("act", 0, 2000), item.number("clear", 0, 2000)
    if (act >= clear) if DRY_IS_LOW[quantity] else (act <= clear):
        order = "below" if DRY_IS_LOW[quantity] else "above"
        raise ConfigError(item.where, f"for {quantity}, 'act' must be {order} 'clear'")
    return Rule(quantity, act, clear, item.whole("debounce_s", 0, 7 * 86400, DEFAULT_DEBOUNCE_S))


def _tree(item: Table) -> Tree:
    return Tree(
        item.matching("id", _ID, "an id of letters, digits, '.', '_' or '-'"),
        _name(item),
        item.text("latin"),
        item.whole("planted", 1000, 9999),
        item.text("area"),
        item.number("lon", -180, 180),
        item.number("lat", -90, 90),
    )


def _station(item: Table) -> Station:
    if item.value("kind") not in STATION_KINDS:
        raise ConfigError(item.at("kind"), f"must be one of {', '.join(STATION_KINDS)}, not {item.value('kind')!r}")
    return Station(
        item.matching("id", _ID, "an id of letters, digits, '.', '_' or '-'"),
        item.value("kind"),
        _name(item),
        item.number("lon", -180, 180),
        item.number("lat", -90, 90),
        _speeds(item),
    )


def _speeds(item: Table) -> tuple[int, int]:
    if "speeds_kmh" not in item.data:
        return DEFAULT_SPEEDS_KMH
    if item.value("kind") != "traffic":
        raise ConfigError(item.at("speeds_kmh"), "is of a traffic station")
    found = item.value("speeds_kmh")
    whole = isinstance(found, list) and len(found) == 2 and all(type(speed) is int for speed in found)
    if not whole or not 5 <= found[0] <= found[1] <= 250:
        raise ConfigError(item.at("speeds_kmh"), f"must be two whole numbers of km/h such as [30, 50], not {found!r}")
    return found[0], found[1]


def _node(item: Table) -> Node:
    sites = [key for key in ("tree", "station") if key in item.data]
    if len(sites) != 1:
        raise ConfigError(item.where, "must have either 'tree' or 'station'")
    if sites == ["station"] and "depth_cm" in item.data:
        raise ConfigError(item.at("depth_cm"), "is of a tree's soil probe; a station has none")
    return Node(
        item.matching("dev_eui", _DEV_EUI, "16 hex digits in lower case"),
        item.text(sites[0]),
        item.whole("interval_s", 1, 7 * 86400),
        item.whole("depth_cm", 1, 1000, DEFAULT_DEPTH_CM),
        _since(item),
        _instruments(item),
    )


def _instruments(item: Table) -> tuple[str, ...]:
    names = item.data.get("instruments", [])
    if not isinstance(names, list) or not all(name in INSTRUMENTS for name in names):
        raise ConfigError(item.at("instruments"), f"must be a list of some of {', '.join(INSTRUMENTS)}, not {names!r}")
    return tuple(names)


def _since(item: Table) -> int:
    if "since" not in item.data:
        return 0
    text = item.data["since"]
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return int(moment.astimezone(UTC).timestamp())
    except (TypeError, ValueError, OverflowError):
        pass
    raise ConfigError(item.at("since"), f"must be a time with its zone such as 2026-07-01T12:00:00Z, not {text!r}")


def _name(item: Table) -> Name:
    table = Table(item.value("name"), item.at("name"), ("de", "en"))
    return Name(table.text("de"), table.text("en"))


def _point(value: Any, where: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ConfigError(where, "must be made of [lon, lat] pairs")
    return (number(value[0], -180, 180, where), number(value[1], -90, 90, where))


def _by_id(items: list[Any], where: str, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        if item.id in found:
            raise ConfigError(where, f"{kind}: id {item.id!r} is used twice")
        found[item.id] = item
    return found


def _check_references(city: City, nodes: list[Node], where: str) -> None:
    for tree in city.trees.values():
        if tree.area not in city.areas:
            raise ConfigError(where, f"tree {tree.id!r} is in an area {tree.area!r} that does not exist")
    for twin in city.trees.keys() & city.stations.keys():
        raise ConfigError(where, f"id {twin!r} is a tree's and a station's; it must be one's")
    for node in nodes:
        if node.site not in city.trees.keys() | city.stations.keys():
            raise ConfigError(where, f"node {node.dev_eui} is at a tree or station {node.site!r} that does not exist")
    for dev_eui, places in city.places.items():
        if len({node.since for node in places}) < len(places):
            raise ConfigError(where, f"nodes: dev_eui {dev_eui} is used twice; a node that moved needs 'since'")
    taken: set[str] = set()
    for node in city.nodes.values():
        if node.site in taken:
            raise ConfigError(where, f"{node.site!r} has two nodes; one is allowed")
        taken.add(node.site)
    astray = impossible(city.center, city.sites())
    if astray is not None:
        raise ConfigError(where, astray)
