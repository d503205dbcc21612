# SPDX-License-Identifier: EUPL-1.2
"""What SensorThings calls Things, ObservedProperties and Datastreams, as rows made from the registry."""

import json
import sqlite3

from cloud_ingest import instruments
from cloud_ingest.city import City, Station, Tree
from decoders.quantities import QUANTITIES

_PROPERTY_BASE = "https://qudt.org/vocab/quantitykind/"
_QUANTITY_KIND = {
    "soil_moisture": "VolumeFraction",
    "soil_water_tension": "Pressure",
    "soil_temperature": "Temperature",
    "surface_temperature": "Temperature",
    "battery_voltage": "Voltage",
    "node_temperature": "Temperature",
    "air_temperature": "Temperature",
    "relative_humidity": "RelativeHumidity",
    "air_pressure": "AtmosphericPressure",
    "co2": "MoleFraction",
    **dict.fromkeys(("pm1", "pm2_5", "pm4", "pm10"), "MassConcentration"),
    **dict.fromkeys((name for name in QUANTITIES if "_count" in name), "Count"),
}


def write_things(db: sqlite3.Connection, city: City) -> None:
    """Inside a transaction: things as the registry says; ids stay what they were."""
    db.executemany(
        "INSERT INTO things (site, kind, area, name, description, properties, lon, lat) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (site) DO UPDATE SET kind = excluded.kind, "
        "area = excluded.area, name = excluded.name, lon = excluded.lon, lat = excluded.lat, "
        "description = excluded.description, properties = excluded.properties",
        [_tree_row(city, tree) for tree in city.trees.values()]
        + [_station_row(station) for station in city.stations.values()],
    )


def datastream(db: sqlite3.Connection, thing: int, dev_eui: str, quantity: str, carried: tuple[str, ...]) -> int:
    """Inside a transaction: the id of a series, made if new; ``carried`` are the instruments of its node."""
    key = (thing, dev_eui, quantity)
    facts = QUANTITIES[quantity]
    sensor = instruments.of(quantity, carried)
    db.execute("INSERT OR IGNORE INTO sensors (name, description, metadata) VALUES (?, ?, ?)", sensor)
    db.execute(
        "INSERT OR IGNORE INTO observed_properties (name, definition, description, properties) VALUES (?, ?, ?, ?)",
        (
            quantity,
            _PROPERTY_BASE + _QUANTITY_KIND.get(quantity, "Dimensionless"),
            facts.en,
            json.dumps({"de": facts.de, "en": facts.en}, ensure_ascii=False),
        ),
    )
    db.execute(
        "INSERT OR IGNORE INTO datastreams (thing, dev_eui, quantity, unit, sensor, observed_property) "
        "SELECT ?, ?, ?, ?, s.id, p.id FROM sensors s, observed_properties p WHERE s.name = ? AND p.name = ?",
        (*key, facts.unit, sensor.name, quantity),
    )
    where = "WHERE thing = ? AND dev_eui = ? AND quantity = ?"
    return int(db.execute(f"SELECT id FROM datastreams {where}", key).fetchone()[0])


_ThingRow = tuple[str, str, str, str, str, str, float, float]


def _tree_row(city: City, tree: Tree) -> _ThingRow:
    area = city.areas[tree.area]
    properties = {
        "tree": tree.id,
        "species": tree.latin,
        "planted": tree.planted,
        "referenceArea": tree.area,
        "name": tree.name.as_json(),
        "referenceAreaName": area.name.as_json(),
    }
    description = f"{tree.name.en} ({tree.latin}), planted {tree.planted}, reference area {area.name.en}"
    text = json.dumps(properties, ensure_ascii=False)
    return (tree.id, "tree", tree.area, tree.id, description, text, tree.lon, tree.lat)


def _station_row(station: Station) -> _ThingRow:
    properties = {"station": station.id, "kind": station.kind, "name": station.name.as_json()}
    words = {"air": "Air quality", "traffic": "Traffic count"}[station.kind]
    text = json.dumps(properties, ensure_ascii=False)
    description = f"{words}, {station.name.en}"
    return (station.id, station.kind, "", station.id, description, text, station.lon, station.lat)
