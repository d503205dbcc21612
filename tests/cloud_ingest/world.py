# SPDX-License-Identifier: EUPL-1.2
"""A small city, its registry and batches to feed it: shared by the tests of this folder."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from cloud_ingest import registry
from cloud_ingest.city import City
from cloud_ingest.ingest import Ingest
from cloud_ingest.store import SqliteStore
from decoders import topics
from decoders.records import READING, UplinkKey, UplinkMessage
from decoders.senml import Reading
from decoders.uplink import Batch, encode_batch

GATEWAY = "0016c001f1500812"
OTHER_GATEWAY = "0016c001f1500813"
NODES = ["70b3d57ed0000001", "70b3d57ed0000002", "70b3d57ed0000003"]
STRANGER = "70b3d57ed00000ff"
START = 1_782_864_000  # 2026-07-01T00:00:00Z
HOUR = 3600


def registry_json(**changes: Any) -> dict[str, Any]:
    """Two reference areas: RA-01 with three trees of which two have nodes, RA-02 with one tree and node."""
    square = [[11.58, 50.92], [11.59, 50.92], [11.59, 50.93], [11.58, 50.93], [11.58, 50.92]]
    rule = {"quantity": "soil_moisture", "act": 14.0, "clear": 18.0}

    def area(number: int, de: str, en: str) -> dict[str, Any]:
        name = {"de": de, "en": en}
        return {"id": f"RA-0{number}", "name": name, "polygon": square, "rule": rule, "litres_per_tree": 100}

    def tree(number: int, area_id: str) -> dict[str, Any]:
        return {
            "id": f"J-000{number}",
            "name": {"de": "Winterlinde", "en": "Small-leaved lime"},
            "latin": "Tilia cordata",
            "planted": 2024,
            "area": area_id,
            "lon": 11.58 + number / 1000,
            "lat": 50.92,
        }

    return {
        "name": {"de": "Jena", "en": "Jena"},
        "center": [11.586, 50.927],
        "zoom": 13,
        "reference_areas": [area(1, "Marktplatz", "Market square"), area(2, "Paradies", "Paradies park")],
        "trees": [tree(1, "RA-01"), tree(2, "RA-01"), tree(3, "RA-01"), tree(4, "RA-02")],
        "nodes": [
            {"dev_eui": NODES[0], "tree": "J-0001", "interval_s": HOUR},
            {"dev_eui": NODES[1], "tree": "J-0002", "interval_s": HOUR},
            {"dev_eui": NODES[2], "tree": "J-0004", "interval_s": HOUR},
        ],
        **changes,
    }


COUNTER, SNIFFER = "70b3d57ed0000011", "70b3d57ed0000012"


def with_stations() -> dict[str, Any]:
    """What to change for a city that has a traffic station V-01 and an air station L-01, too."""

    def station(station_id: str, kind: str) -> dict[str, Any]:
        name = {"de": "Fischergasse", "en": "Fisher lane"}
        return {"id": station_id, "kind": kind, "name": name, "lon": 11.5876, "lat": 50.9281}

    def node(dev_eui: str, station_id: str, *instruments: str) -> dict[str, Any]:
        return {"dev_eui": dev_eui, "station": station_id, "interval_s": HOUR, "instruments": list(instruments)}

    return {
        "stations": [station("V-01", "traffic"), station("L-01", "air")],
        "nodes": [
            *registry_json()["nodes"],
            node(COUNTER, "V-01", "LD2451"),
            node(SNIFFER, "L-01", "SPS30", "BME280"),
        ],
    }


def small_city(**changes: Any) -> City:
    return registry.parse(json.dumps(registry_json(**changes)))


def sample(at: int, moisture: float | str, temperature: float = 20.0) -> tuple[Reading, ...]:
    """One sample of a node: moisture in % or the name of a fault, soil temperature in degrees."""
    value, fault = (None, moisture) if isinstance(moisture, str) else (moisture, None)
    return (
        Reading("soil_moisture", "%", at, value, fault),
        Reading("soil_temperature", "Cel", at, temperature, None),
    )


class Numbered(NamedTuple):
    """An uplink and its place in its lane."""

    seq: int
    message: UplinkMessage


def uplink(
    seq: int, dev_eui: str, f_cnt: int, readings: Iterable[Reading], received_at: float | None = None, session: int = 1
) -> Numbered:
    readings = tuple(readings)
    newest = max((reading.at for reading in readings), default=START)
    received_at = newest + 2.0 if received_at is None else received_at
    return Numbered(seq, UplinkMessage(UplinkKey(dev_eui, session, f_cnt), received_at, "tree", readings))


def batch(*messages: Numbered, gateway_eui: str = GATEWAY, epoch: int = 1, oldest_seq: int = 1) -> bytes:
    first = messages[0].seq
    records = tuple(message for _, message in messages)
    return encode_batch(Batch(gateway_eui, epoch, READING, min(oldest_seq, first), first, None, records))


def opened(path: Path, city: City | None = None) -> tuple[SqliteStore, Ingest]:
    """A store at ``path`` that knows the city, and what feeds it."""
    city = city or small_city()
    store = SqliteStore(path)
    store.register(city)
    return store, Ingest(store, city)


def moisture_series(dev_eui: str, values: Iterable[float | str], *, first_seq: int = 1, step_s: int = HOUR) -> bytes:
    """One batch with an hourly sample per uplink, from START on."""
    return batch(
        *(
            uplink(first_seq + i, dev_eui, i, sample(START + i * step_s, value), session=first_seq)
            for i, value in enumerate(values)
        )
    )


def observations(store: SqliteStore) -> list[tuple[Any, ...]]:
    """Every observation by its identity, without the ids that depend on order of arrival."""
    return list(
        store.db.execute(
            "SELECT d.dev_eui, d.quantity, o.at, o.result, o.flag, o.received_at FROM observations o "
            "JOIN datastreams d ON d.id = o.datastream ORDER BY 1, 2, 3"
        )
    )


UP = topics.up(GATEWAY, READING)
