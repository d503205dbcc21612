# SPDX-License-Identifier: EUPL-1.2
"""How the city stands at one moment: every tree's probe, every reference area, every open alert."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from cloud_ingest import instruments, suspects
from cloud_ingest.alerts import area_value
from cloud_ingest.api.readers import Snapshot as Db
from cloud_ingest.city import Area, City, Node, Station, Tree
from cloud_ingest.disclosure import COUNTS, SUPPRESSED
from cloud_ingest.judge import probe_of
from cloud_ingest.quality import CLOCK_TOLERANCE_S, STUCK, Snapshot, is_silent, state
from cloud_ingest.station_judge import JUDGED
from cloud_ingest.station_quality import FLAT

# What is told of a station at a glance, in this order; SensorThings has everything.
SHOWN = {
    "air": ("pm2_5", "pm10", "co2", "air_temperature", "relative_humidity", "air_pressure", "voc_index", "nox_index"),
    "traffic": COUNTS,
}


@dataclass(frozen=True)
class Alert:
    area: str
    value: float
    threshold: float
    litres: int
    dry_since: int
    opened_at: int


@dataclass(frozen=True)
class TreeState:
    """``sensor`` is the probe's state or 'none'; ``state`` green, dry or grey."""

    tree: Tree
    thing: int | None
    sensor: str
    snapshot: Snapshot
    state: str


@dataclass(frozen=True)
class AreaState:
    """``sensors`` counts the probes by state; ``value`` is None when none is well."""

    area: Area
    value: float | None
    state: str
    alert: Alert | None
    sensors: dict[str, int]
    trees: list[TreeState]

    @property
    def sensor_lost(self) -> bool:
        return self.alert is not None and self.state == "grey"


class Newest(NamedTuple):
    """The newest reading of a series; ``suspect``: why it is doubted."""

    at: int
    value: float | None
    unit: str
    flag: str | None
    time_quality: str | None
    suspect: tuple[str, ...]


async def situation(db: Db, city: City, now: float) -> list[AreaState]:
    """All areas of the registry, in its order, as of ``now``."""
    things = dict(map(tuple, await db.rows("SELECT site, id FROM things")))
    snapshots = {row[0]: Snapshot.from_json(row[1]) for row in await db.rows("SELECT thing, snapshot FROM probes")}
    rows = await db.rows(
        "SELECT area, value, threshold, litres, dry_since, opened_at FROM alerts WHERE closed_at IS NULL"
    )
    alerts = {row[0]: Alert(*row) for row in rows}
    nodes = {node.site: node for node in city.nodes.values()}
    by_area: dict[str, list[Tree]] = {area_id: [] for area_id in city.areas}
    for tree in city.trees.values():
        by_area[tree.area].append(tree)
    found = []
    for area in city.areas.values():
        trees = by_area[area.id]
        probes = {tree.id: probe_of(nodes[tree.id]) for tree in trees if tree.id in nodes}
        seen = {tree_id: snapshots.get(things.get(tree_id), Snapshot()) for tree_id in probes}
        states = {tree_id: state(seen[tree_id], probe, now) for tree_id, probe in probes.items()}
        value = area_value(probes, seen, now)
        alert = alerts.get(area.id)
        area_state = "grey" if value is None else "dry" if alert else "green"
        tree_states = [
            TreeState(
                tree,
                things.get(tree.id),
                states.get(tree.id, "none"),
                seen.get(tree.id, Snapshot()),
                area_state if states.get(tree.id, "ok") == "ok" else "grey",
            )
            for tree in trees
        ]
        found.append(AreaState(area, value, area_state, alert, dict(Counter(states.values())), tree_states))
    return found


@dataclass(frozen=True)
class StationState:
    """``sensors``: the state of each instrument that ever measured, by its name; ``sensor`` that of them together.

    ``interval_s``: of its node, if it has one.
    """

    station: Station
    interval_s: int | None
    thing: int | None
    sensor: str
    sensors: dict[str, str]


async def station_states(db: Db, city: City, now: float, newest: dict[int, dict[str, Newest]]) -> list[StationState]:
    """All stations in the registry's order. One is well while one of its instruments is."""
    things = dict(map(tuple, await db.rows("SELECT site, id FROM things")))
    nodes = {node.site: node for node in city.nodes.values()}
    found = []
    for station in city.stations.values():
        node, thing = nodes.get(station.id), things.get(station.id)
        readings = newest.get(thing, {}) if thing is not None else {}
        sensors = {} if node is None else _sensor_states(node, readings, now)
        together = next((one for one in ("ok", "fault", "stuck") if one in sensors.values()), "silent")
        interval_s = None if node is None else node.interval_s
        found.append(StationState(station, interval_s, thing, "none" if node is None else together, sensors))
    return found


def _sensor_states(node: Node, readings: dict[str, Newest], now: float) -> dict[str, str]:
    by_name: dict[str, list[Newest]] = {}
    for quantity, reading in readings.items():
        if quantity in JUDGED:
            by_name.setdefault(instruments.of(quantity, node.instruments).name, []).append(reading)
    return {name: _sensor_state(measured, node, now) for name, measured in by_name.items()}


def _sensor_state(measured: list[Newest], node: Node, now: float) -> str:
    """Of an instrument by the newest readings of its quantities; words as of trees' probes."""
    last = max(reading.at for reading in measured)
    if is_silent(last, probe_of(node).silent_after_s, now):
        return "silent"
    newest = [reading for reading in measured if reading.at == last]
    if all(reading.flag not in (None, SUPPRESSED) for reading in newest):
        return "fault"
    return "stuck" if any(not {STUCK, FLAT}.isdisjoint(reading.suspect) for reading in newest) else "ok"


async def latest(db: Db, now: float) -> dict[int, dict[str, Newest]]:
    """The newest reading until ``now`` of each quantity at each thing: thing -> quantity -> reading."""
    end = now + CLOCK_TOLERANCE_S
    rows = await db.rows(
        "SELECT d.thing, d.quantity, o.at, CASE WHEN o.flag IS NULL THEN o.result END, d.unit, o.flag, o.time_quality, "
        f"CASE WHEN {suspects.any_sql('o.datastream', 'o.at')} THEN {suspects.list_sql('o.datastream', 'o.at')} END "
        "FROM latest l JOIN datastreams d ON d.id = l.datastream JOIN observations o ON o.datastream = l.datastream "
        "AND o.at = CASE WHEN l.at <= ? THEN l.at "
        "ELSE (SELECT max(at) FROM observations WHERE datastream = l.datastream AND at <= ?) END ORDER BY o.at",
        (end, end),
    )
    found: dict[int, dict[str, Newest]] = {}
    for thing, quantity, at, value, unit, flag, time_quality, suspect in rows:
        reasons = tuple(json.loads(suspect)) if suspect else ()
        found.setdefault(thing, {})[quantity] = Newest(at, value, unit, flag, time_quality, reasons)
    return found
