# SPDX-License-Identifier: EUPL-1.2
"""The eight SensorThings entity sets as data: what each property is in SQL, and where each navigation leads.

OGC 18-088 "Sensing Entities". In the SQL, ``{t}`` is the alias of the entity's table, ``{p}`` a key of the entity one
comes from.
Times are Unix seconds in the table and ISO 8601 in JSON.
"""

from dataclasses import dataclass
from typing import NamedTuple

from cloud_ingest import suspects
from cloud_ingest.disclosure import SUPPRESSED

_AT_BITS = 32


class Property(NamedTuple):
    """``kind``: text, number, time, interval (``sql`` and ``end``), json. ``omit_null``: left out when none."""

    name: str
    kind: str
    sql: str
    end: str = ""
    omit_null: bool = False


class Navigation(NamedTuple):
    """``key`` of the entity one comes from leads to those of ``target`` for which ``link`` holds."""

    name: str
    target: str
    many: bool
    key: str
    link: str


@dataclass(frozen=True)
class Entity:
    """``keys``: columns that navigations start from; ``order`` is unique and is the order of storage."""

    name: str
    table: str
    id: str
    order: tuple[str, ...]
    keys: dict[str, str]
    properties: tuple[Property, ...]
    navigations: tuple[Navigation, ...]

    def property(self, name: str) -> Property | None:
        return next((p for p in self.properties if p.name == name), None)

    def navigation(self, name: str) -> Navigation | None:
        return next((n for n in self.navigations if n.name == name), None)

    def split_id(self, number: int) -> tuple[int, ...]:
        """The values of ``order`` that an ``@iot.id`` stands for."""
        return (number,) if len(self.order) == 1 else (number >> _AT_BITS, number & ((1 << _AT_BITS) - 1))


# UCUM code -> name, symbol, definition of a unitOfMeasurement
_UNITS = {
    "%": ("Percent", "%", "https://qudt.org/vocab/unit/PERCENT"),
    "Cel": ("Degree Celsius", "°C", "https://qudt.org/vocab/unit/DEG_C"),
    "V": ("Volt", "V", "https://qudt.org/vocab/unit/V"),
    "kPa": ("Kilopascal", "kPa", "https://qudt.org/vocab/unit/KiloPA"),
    "hPa": ("Hectopascal", "hPa", "https://qudt.org/vocab/unit/HectoPA"),
    "ug/m3": ("Microgram per cubic metre", "µg/m³", "https://qudt.org/vocab/unit/MicroGM-PER-M3"),
    "[ppm]": ("Parts per million", "ppm", "https://qudt.org/vocab/unit/PPM"),
    "1": ("Count or index", "", "https://qudt.org/vocab/unit/UNITLESS"),
}


def _unit_sql() -> str:
    cases = (
        f"WHEN '{code}' THEN json_object('name', '{name}', 'symbol', '{symbol}', 'definition', '{definition}')"
        for code, (name, symbol, definition) in _UNITS.items()
    )
    other = "json_object('name', {t}.unit, 'symbol', {t}.unit, 'definition', 'http://unitsofmeasure.org/ucum.html')"
    return f"CASE {{t}}.unit {' '.join(cases)} ELSE {other} END"


_MEASUREMENT = "'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement'"
_POINT = "json_object('type', 'Point', 'coordinates', json_array({t}.lon, {t}.lat))"
_STREAM_POINT = f"(SELECT {_POINT.format(t='x')} FROM things x WHERE x.id = {{t}}.thing)"
_THING_NAME = "(SELECT name FROM things WHERE id = {t}.thing)"
_KIND = "' || CASE {t}.kind WHEN 'tree' THEN 'tree' ELSE {t}.kind || ' station' END || '"
_FIRST = "(SELECT min(at) FROM observations WHERE datastream = {t}.id)"
_LAST = "(SELECT max(at) FROM observations WHERE datastream = {t}.id)"
_THING_OF_STREAM = "(SELECT thing FROM datastreams WHERE id = {t}.datastream)"
_NONE = "'{{}}'"  # braces doubled, as every SQL here goes through str.format
_NEWEST_AT = "(SELECT l.at FROM latest l WHERE l.datastream = {t}.id)"


def _without_nulls(pairs: str) -> str:
    """A JSON object of those ``pairs`` that are not null; RFC 7396 "JSON Merge Patch" takes nulls away."""
    return f"json_patch('{{{{}}}}', json_object({pairs}))"


_THING = Entity(
    "Things",
    "things {t}",
    "{t}.id",
    ("{t}.id",),
    {"id": "{t}.id"},
    (
        Property("name", "text", "{t}.name"),
        Property("description", "text", "{t}.description"),
        Property("properties", "json", "{t}.properties"),
    ),
    (
        Navigation("Datastreams", "Datastreams", True, "id", "{t}.thing = {p}"),
        Navigation("Locations", "Locations", True, "id", "{t}.id = {p}"),
        Navigation("HistoricalLocations", "HistoricalLocations", True, "id", "{t}.thing = {p}"),
    ),
)

_LOCATION = Entity(
    "Locations",
    "things {t}",
    "{t}.id",
    ("{t}.id",),
    {"id": "{t}.id"},
    (
        Property("name", "text", "{t}.name"),
        Property("description", "text", f"'Where the {_KIND} ' || {{t}}.site || ' stands'"),
        Property("encodingType", "text", "'application/geo+json'"),
        Property("location", "json", _POINT),
        Property("properties", "json", _NONE),
    ),
    (
        Navigation("Things", "Things", True, "id", "{t}.id = {p}"),
        Navigation("HistoricalLocations", "HistoricalLocations", True, "id", "{t}.thing = {p}"),
    ),
)

# Trees do not move: the set is there and empty.
_HISTORICAL_LOCATION = Entity(
    "HistoricalLocations",
    "(SELECT 0 AS id, 0 AS thing, 0 AS time WHERE 0) {t}",
    "{t}.id",
    ("{t}.id",),
    {"id": "{t}.id", "thing": "{t}.thing"},
    (Property("time", "time", "{t}.time"),),
    (
        Navigation("Thing", "Things", False, "thing", "{t}.id = {p}"),
        Navigation("Locations", "Locations", True, "thing", "{t}.id = {p}"),
    ),
)

_DATASTREAM = Entity(
    "Datastreams",
    "datastreams {t}",
    "{t}.id",
    ("{t}.id",),
    {
        "id": "{t}.id",
        "thing": "{t}.thing",
        "sensor": "{t}.sensor",
        "observed_property": "{t}.observed_property",
    },
    (
        Property("name", "text", f"{_THING_NAME} || ' ' || {{t}}.quantity"),
        Property(
            "description",
            "text",
            "(SELECT description FROM observed_properties WHERE id = {t}.observed_property) "
            f"|| ' at ' || {_THING_NAME}",
        ),
        Property("observationType", "text", _MEASUREMENT),
        Property("unitOfMeasurement", "json", _unit_sql()),
        Property("observedArea", "json", _STREAM_POINT),
        Property("phenomenonTime", "interval", _FIRST, _LAST),
        Property(
            "properties",
            "json",
            _without_nulls(
                "'quantity', {t}.quantity, 'ucum', {t}.unit, 'suspect', CASE WHEN "
                f"{suspects.any_sql('{t}.id', _NEWEST_AT)} THEN json({suspects.list_sql('{t}.id', _NEWEST_AT)}) END"
            ),
        ),
    ),
    (
        Navigation("Thing", "Things", False, "thing", "{t}.id = {p}"),
        Navigation("Sensor", "Sensors", False, "sensor", "{t}.id = {p}"),
        Navigation("ObservedProperty", "ObservedProperties", False, "observed_property", "{t}.id = {p}"),
        Navigation("Observations", "Observations", True, "id", "{t}.datastream = {p}"),
    ),
)

_SENSOR = Entity(
    "Sensors",
    "sensors {t}",
    "{t}.id",
    ("{t}.id",),
    {"id": "{t}.id"},
    (
        Property("name", "text", "{t}.name"),
        Property("description", "text", "{t}.description"),
        Property("encodingType", "text", "'text/html'"),
        Property("metadata", "text", "{t}.metadata"),
        Property("properties", "json", _NONE),
    ),
    (Navigation("Datastreams", "Datastreams", True, "id", "{t}.sensor = {p}"),),
)

_OBSERVED_PROPERTY = Entity(
    "ObservedProperties",
    "observed_properties {t}",
    "{t}.id",
    ("{t}.id",),
    {"id": "{t}.id"},
    (
        Property("name", "text", "{t}.name"),
        Property("definition", "text", "{t}.definition"),
        Property("description", "text", "{t}.description"),
        Property("properties", "json", "{t}.properties"),
    ),
    (Navigation("Datastreams", "Datastreams", True, "id", "{t}.observed_property = {p}"),),
)

_OBSERVATION = Entity(
    "Observations",
    "observations {t}",
    f"({{t}}.datastream << {_AT_BITS} | {{t}}.at)",
    ("{t}.datastream", "{t}.at"),
    {"datastream": "{t}.datastream", "thing": _THING_OF_STREAM},
    (
        Property("phenomenonTime", "time", "{t}.at"),
        Property("resultTime", "time", "{t}.received_at"),
        Property("result", "number", "CASE WHEN {t}.flag IS NULL THEN {t}.result END"),
        Property(
            "resultQuality",
            "json",
            "CASE WHEN {t}.flag IS NOT NULL OR {t}.time_quality IS NOT NULL OR "
            + suspects.any_sql("{t}.datastream", "{t}.at")
            + " THEN "
            + _without_nulls(
                "'flag', {t}.flag, 'time', CASE WHEN {t}.time_quality IS NOT NULL THEN 'uncertain' END, 'suspect', "
                f"CASE WHEN coalesce({{t}}.flag, '{SUPPRESSED}') = '{SUPPRESSED}' "
                f"AND {suspects.any_sql('{t}.datastream', '{t}.at')} "
                f"THEN json({suspects.list_sql('{t}.datastream', '{t}.at')}) END"
            )
            + " END",
            omit_null=True,
        ),
    ),
    (
        Navigation("Datastream", "Datastreams", False, "datastream", "{t}.id = {p}"),
        Navigation("FeatureOfInterest", "FeaturesOfInterest", False, "thing", "{t}.id = {p}"),
    ),
)

_FEATURE = Entity(
    "FeaturesOfInterest",
    "things {t}",
    "{t}.id",
    ("{t}.id",),
    {"id": "{t}.id"},
    (
        Property("name", "text", "{t}.name"),
        Property(
            "description",
            "text",
            "CASE {t}.kind WHEN 'tree' THEN 'Soil and surface at the tree ' WHEN 'air' THEN 'Outdoor air at ' "
            "ELSE 'Street at ' END || {t}.site",
        ),
        Property("encodingType", "text", "'application/geo+json'"),
        Property("feature", "json", _POINT),
        Property("properties", "json", _NONE),
    ),
    (
        Navigation(
            "Observations",
            "Observations",
            True,
            "id",
            "{t}.datastream IN (SELECT id FROM datastreams WHERE thing = {p})",
        ),
    ),
)

ENTITIES = {
    entity.name: entity
    for entity in (
        _THING,
        _LOCATION,
        _HISTORICAL_LOCATION,
        _DATASTREAM,
        _SENSOR,
        _OBSERVED_PROPERTY,
        _OBSERVATION,
        _FEATURE,
    )
}
