# SPDX-License-Identifier: EUPL-1.2
"""What the city's own pages read: `/api/*`. The README has the shape of every answer."""

from typing import Any

from cloud_ingest.alerts import urgency
from cloud_ingest.api.answers import iso
from cloud_ingest.api.readers import Snapshot
from cloud_ingest.api.situation import SHOWN, AreaState, Newest, TreeState, latest, situation, station_states
from cloud_ingest.city import City, Rule
from cloud_ingest.disclosure import SUPPRESSED
from cloud_ingest.gaps import LOST_UPLINKS
from decoders.quantities import QUANTITIES


async def areas(db: Snapshot, city: City, now: float) -> dict[str, Any]:
    features = []
    for found in await situation(db, city, now):
        area, alert = found.area, found.alert
        features.append(
            {
                "type": "Feature",
                "id": area.id,
                "geometry": {"type": "Polygon", "coordinates": [area.polygon]},
                "properties": {
                    "id": area.id,
                    "name": area.name.as_json(),
                    "state": found.state,
                    **_rule(area.rule),
                    "value": _rounded(found.value),
                    "since": iso(alert.dry_since) if alert else None,
                    "litres": alert.litres if alert else 0,
                    "litres_per_tree": area.litres_per_tree,
                    "trees": len(found.trees),
                    "center": [round(degrees, 6) for degrees in area.center],
                    "sensors": found.sensors,
                    "reasons": _reasons(found),
                },
            }
        )
    return {"type": "FeatureCollection", "now": _moment(now), "city": _city(city), "features": features}


async def trees(db: Snapshot, city: City, now: float) -> dict[str, Any]:
    newest = await latest(db, now)
    features = []
    for area in await situation(db, city, now):
        for found in area.trees:
            tree = found.tree
            readings = newest.get(found.thing, {}) if found.thing is not None else {}
            features.append(
                {
                    "type": "Feature",
                    "id": tree.id,
                    "geometry": {"type": "Point", "coordinates": [tree.lon, tree.lat]},
                    "properties": {
                        "id": tree.id,
                        "name": tree.name.as_json(),
                        "latin": tree.latin,
                        "planted": tree.planted,
                        "area": tree.area,
                        "state": found.state,
                        "sensor": found.sensor,
                        "fault": found.snapshot.flag if found.sensor == "fault" else None,
                        "latest": {name: _reading(reading, now) for name, reading in sorted(readings.items())},
                    },
                }
            )
    return {"type": "FeatureCollection", "now": _moment(now), "features": features}


async def stations(db: Snapshot, city: City, now: float) -> dict[str, Any]:
    newest = await latest(db, now)
    features = []
    for found in await station_states(db, city, now, newest):
        station = found.station
        readings = newest.get(found.thing, {}) if found.thing is not None else {}
        features.append(
            {
                "type": "Feature",
                "id": station.id,
                "geometry": {"type": "Point", "coordinates": [station.lon, station.lat]},
                "properties": {
                    "id": station.id,
                    "kind": station.kind,
                    "name": station.name.as_json(),
                    "interval_s": found.interval_s,
                    **({"speeds_kmh": station.speeds_kmh} if station.kind == "traffic" else {}),
                    "sensor": found.sensor,
                    "sensors": found.sensors,
                    "latest": {name: _reading(readings[name], now) for name in SHOWN[station.kind] if name in readings},
                },
            }
        )
    return {"type": "FeatureCollection", "now": _moment(now), "features": features}


async def crew(db: Snapshot, city: City, now: float) -> dict[str, Any]:
    found = await situation(db, city, now)
    to_water = [_stop(area) for area in found if area.alert]
    to_water.sort(key=lambda stop: (-stop["urgency"], stop["why"]["since"]))
    ill = [_ill(area, tree) for area in found for tree in area.trees if tree.sensor in ("silent", "fault", "stuck")]
    litres = sum(stop["litres"] for stop in to_water)
    return {"now": _moment(now), "city": _city(city), "litres": litres, "areas": to_water, "sensors": ill}


async def status(db: Snapshot, city: City, now: float, time_source: str, broker: str) -> dict[str, Any]:
    counted = {(name, reason): value for name, reason, value in await db.rows("SELECT * FROM counters")}
    totals = await db.row(
        "SELECT (SELECT count(*) FROM alerts WHERE closed_at IS NULL), (SELECT count(*) FROM alerts), "
        f"(SELECT count(DISTINCT gateway_eui) FROM watermarks), (SELECT count(*) FROM gaps), ({LOST_UPLINKS})"
    )
    seen = await db.rows("SELECT DISTINCT dev_eui FROM datastreams")
    letters = await db.rows("SELECT reason, count(*) FROM dead_letters GROUP BY reason ORDER BY reason")
    return {
        "now": _moment(now),
        "time_source": time_source,
        "broker": broker,
        "readings": counted.get(("readings", "values"), 0),
        "faults": counted.get(("readings", "faults"), 0) - counted.get(("readings", "superseded_faults"), 0),
        "uplinks": counted.get(("uplinks", "applied"), 0),
        "duplicates": {
            "uplinks": counted.get(("uplinks", "duplicates"), 0),
            "readings": counted.get(("readings", "duplicates"), 0),
        },
        "nodes": {"registered": len(city.nodes), "seen": sum(row[0] in city.nodes for row in seen)},
        "gateways": totals[2],
        "alerts_open": totals[0],
        "alerts_total": totals[1],
        "dead_letters": dict(map(tuple, letters)),
        "gaps": totals[3],
        "uplinks_lost_at_gateways": totals[4],
    }


def _stop(found: AreaState) -> dict[str, Any]:
    area, alert = found.area, found.alert
    assert alert is not None
    value = alert.value if found.value is None else found.value
    rule = _rule(area.rule)
    return {
        "id": area.id,
        "name": area.name.as_json(),
        "state": found.state,
        "urgency": round(urgency(area.rule, value), 3),
        "why": {
            "quantity": rule["quantity"],
            "unit": rule["unit"],
            "value": _rounded(value),
            "threshold": alert.threshold,
            "direction": rule["direction"],
            "since": iso(alert.dry_since),
        },
        "opened": iso(alert.opened_at),
        "sensor_lost": found.sensor_lost,
        "litres": alert.litres,
        "litres_per_tree": area.litres_per_tree,
        "center": [round(degrees, 6) for degrees in area.center],
        "trees": [
            {
                "id": one.tree.id,
                "name": one.tree.name.as_json(),
                "latin": one.tree.latin,
                "lon": one.tree.lon,
                "lat": one.tree.lat,
                "sensor": one.sensor,
            }
            for one in found.trees
        ],
    }


def _ill(area: AreaState, found: TreeState) -> dict[str, Any]:
    tree = found.tree
    return {
        "tree": tree.id,
        "name": tree.name.as_json(),
        "area": tree.area,
        "area_name": area.area.name.as_json(),
        "lon": tree.lon,
        "lat": tree.lat,
        "sensor": found.sensor,
        "fault": found.snapshot.flag if found.sensor == "fault" else None,
        "last": iso(found.snapshot.at),
    }


def _reasons(found: AreaState) -> list[dict[str, Any]]:
    reasons: list[dict[str, Any]] = []
    if found.alert:
        rule = _rule(found.area.rule)
        value = found.alert.value if found.value is None else found.value
        reasons.append(
            {
                "code": "sensor_lost" if found.sensor_lost else "dry",
                "quantity": rule["quantity"],
                "unit": rule["unit"],
                "value": _rounded(value),
                "threshold": found.alert.threshold,
                "since": iso(found.alert.dry_since),
            }
        )
    if found.state == "grey":
        reasons.append({"code": "no_ok_sensor", "sensors": found.sensors})
    return reasons


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "quantity": rule.quantity,
        "unit": QUANTITIES[rule.quantity].unit,
        "act": rule.act,
        "clear": rule.clear,
        "direction": "below" if rule.dry_is_low else "above",
    }


def _reading(reading: Newest, now: float) -> dict[str, Any]:
    told: dict[str, Any] = {
        "value": reading.value,
        "unit": reading.unit,
        "at": iso(reading.at),
        "age_s": max(round(now - reading.at), 0),
        "fault": reading.flag,
    }
    if reading.time_quality is not None:
        told["time_uncertain"] = True
    if reading.suspect and reading.flag in (None, SUPPRESSED):
        told["suspect"] = list(reading.suspect)
    return {**told, "fault": None, "suppressed": True} if reading.flag == SUPPRESSED else told


def _city(city: City) -> dict[str, Any]:
    return {"name": city.name.as_json(), "center": city.center, "zoom": city.zoom}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _moment(now: float) -> str | None:
    """None while there is no present: a replay before its first reading."""
    return iso(now) if now else None
