# SPDX-License-Identifier: EUPL-1.2
"""The SQLite file: opened by one writer (WAL, synchronous=FULL), changed only inside `transaction()`.

Migrations are `migrations/NNNN_*.sql`, applied in order, each in one transaction with its record in ``user_version``.
Readers open their own read-only connections (api/readers.py). Times in Unix seconds.
"""

import fcntl
import json
import math
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

from cloud_ingest import instruments
from cloud_ingest.errors import StoreError
from cloud_ingest.progress import Progress
from cloud_ingest.registry import City, Station, Tree
from decoders.quantities import QUANTITIES
from decoders.uplink import ALARM, DIAGNOSTIC, READING, UplinkKey, Watermark

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


_BUSY_S = 5


class Observation(NamedTuple):
    """One reading of a node: a value when ``flag`` is None, else the reason why not."""

    dev_eui: str
    quantity: str
    at: int
    result: float | None
    flag: str | None
    received_at: float

    @property
    def rank(self) -> tuple[bool, float, float, str]:
        """Of two with the same key the lower stays: values before faults, then what the network received first."""
        return (self.flag is not None, self.received_at, self.result or 0.0, self.flag or "")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only service on the store at ``path``; raises StoreError. The lock ends with the process, too."""
    file = path.with_name(path.name + ".lock")
    try:
        lock = file.open("a")
    except OSError as error:
        raise StoreError(str(file), f"cannot be written ({error.strerror})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(str(path), "another 'stadtfunk ingest run' is using it; one service each store") from error
        yield


class SqliteStore:
    """The writer's side of the file at ``path``; one thread at a time."""

    def __init__(self, path: Path) -> None:
        try:
            if str(path) != ":memory:":  # it holds DevEUIs: for its owner alone; SQLite's other files do as this one
                _close_to_others(path)
            self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = FULL")
            self.db.execute("PRAGMA foreign_keys = ON")
            _migrate(self.db, path)
        except OSError as error:
            raise StoreError(str(path), f"cannot be written ({error.strerror})") from error
        except sqlite3.Error as error:
            raise StoreError(str(path), str(error)) from error
        self._path = path
        self._file = self._identity()
        self._places: dict[str, list[tuple[int, int]]] = {}  # dev_eui -> (since, thing), oldest first
        self._instruments: dict[str, tuple[str, ...]] = {}
        self._datastreams: dict[tuple[int, str, str], int] = {}
        self._touched: set[int] = set()

    def check_in_place(self) -> None:
        """Raise StoreError if the file was deleted or replaced: what we commit then is gone when we end."""
        if self._identity() != self._file:
            raise StoreError(
                str(self._path),
                "was deleted or replaced under the running service; nothing more is acknowledged; "
                "put it back (or start anew) and start the service again",
            )

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return (found.st_dev, found.st_ino)

    def close(self) -> None:
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; durable when left without an exception."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._refresh_latest()
            self.db.execute("COMMIT")
        except BaseException:
            self._datastreams.clear()
            self._touched.clear()
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def register(self, city: City) -> None:
        """Bring things up to date with the registry; ids stay what they were. Raises StoreError."""
        try:
            self._write_things(city)
        except sqlite3.OperationalError as error:
            raise StoreError(str(self._path), f"cannot be written ({error})") from error
        ids = dict(self.db.execute("SELECT site, id FROM things"))
        self._places = {
            dev_eui: [(node.since, ids[node.site]) for node in places] for dev_eui, places in city.places.items()
        }
        self._instruments = {node.dev_eui: node.instruments for node in city.nodes.values()}
        self._datastreams.clear()

    def _write_things(self, city: City) -> None:
        with self.transaction():
            self.db.executemany(
                "INSERT INTO things (site, kind, area, name, description, properties, lon, lat) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (site) DO UPDATE SET kind = excluded.kind, "
                "area = excluded.area, name = excluded.name, lon = excluded.lon, lat = excluded.lat, "
                "description = excluded.description, properties = excluded.properties",
                [_tree_row(city, tree) for tree in city.trees.values()]
                + [_station_row(station) for station in city.stations.values()],
            )

    def thing_of(self, dev_eui: str, at: float = math.inf) -> int:
        """The thing at which a registered node stood at the time ``at``; now by default."""
        return [thing for since, thing in self._places[dev_eui] if since <= at][-1]

    def append(self, observations: Iterable[Observation]) -> int:
        """Store what is new, by (dev_eui, quantity, at), counting the rest; return how many were new."""
        new = duplicates = conflicts = values = faults = superseded = 0
        for new_one in observations:
            stream = self._datastream(self.thing_of(new_one.dev_eui, new_one.at), new_one.dev_eui, new_one.quantity)
            row = (stream, new_one.at, new_one.result, new_one.flag, new_one.received_at)
            inserted = self.db.execute("INSERT OR IGNORE INTO observations VALUES (?, ?, ?, ?, ?)", row).rowcount
            if inserted:
                new += 1
                values += new_one.flag is None
                faults += new_one.flag is not None
                self._touched.add(stream)
                continue
            duplicates += 1
            old_one = self._stored(stream, new_one)
            conflicts += old_one.flag is None and new_one.flag is None and old_one.result != new_one.result
            if new_one.rank < old_one.rank:
                self.db.execute(
                    "UPDATE observations SET result = ?, flag = ?, received_at = ? WHERE datastream = ? AND at = ?",
                    (*row[2:], *row[:2]),
                )
                became_value = old_one.flag is not None and new_one.flag is None
                values += became_value
                superseded += became_value
                self._touched.add(stream)
        for name, much in {
            "values": values,
            "faults": faults,
            "superseded_faults": superseded,
            "duplicates": duplicates,
            "conflicts": conflicts,
        }.items():
            self.count("readings", name, much)
        return new

    def note_uplink(self, key: UplinkKey, received_at: float) -> Literal["new", "earlier", "known"]:
        """Note the uplink: new, known but received earlier than we knew, or known."""
        where = "WHERE dev_eui = ? AND session = ? AND f_cnt = ?"
        row = self.db.execute(f"SELECT received_at FROM uplinks {where}", key).fetchone()
        if row is None:
            self.db.execute("INSERT INTO uplinks VALUES (?, ?, ?, ?)", (*key, received_at))
            return "new"
        if row[0] <= received_at:
            return "known"
        self.db.execute(f"UPDATE uplinks SET received_at = ? {where}", (received_at, *key))
        return "earlier"

    def count(self, name: str, reason: str, much: int = 1) -> None:
        """Add to a counter that survives restarts."""
        if much:
            self.db.execute(
                "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
                (name, reason, much),
            )

    def progress(self, gateway_eui: str, epoch: int, lane: int) -> Progress:
        """How far a lane of a gateway's epoch is durable here."""
        place = (gateway_eui, epoch, lane)
        where = "WHERE gateway_eui = ? AND epoch = ? AND lane = ?"
        applied = self.db.execute(f"SELECT first_seq, last_seq FROM applied {where} ORDER BY first_seq", place)
        oldest = self.db.execute(f"SELECT oldest_seq FROM watermarks {where}", place).fetchone()
        return Progress(tuple(applied.fetchall()), oldest[0] if oldest else 0)

    def set_progress(self, gateway_eui: str, epoch: int, lane: int, progress: Progress) -> None:
        """Write what ``progress`` says, with the watermark and the gaps that follow from it."""
        place = (gateway_eui, epoch, lane)
        for table, ranges in (("applied", progress.applied), ("gaps", progress.gaps)):
            self.db.execute(f"DELETE FROM {table} WHERE gateway_eui = ? AND epoch = ? AND lane = ?", place)
            self.db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", [(*place, *pair) for pair in ranges])
        self.db.execute(
            "INSERT INTO watermarks (gateway_eui, epoch, lane, seq, oldest_seq, arrived) "
            "VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(arrived), 0) + 1 FROM watermarks)) "
            "ON CONFLICT DO UPDATE SET seq = excluded.seq, oldest_seq = excluded.oldest_seq",
            (*place, progress.watermark, progress.oldest_seq),
        )

    def watermark(self, gateway_eui: str, epoch: int) -> Watermark:
        """How far each lane of the epoch is durable."""
        seqs = dict(
            self.db.execute("SELECT lane, seq FROM watermarks WHERE gateway_eui = ? AND epoch = ?", (gateway_eui, epoch))
        )
        return Watermark(epoch, (seqs.get(ALARM, 0), seqs.get(READING, 0), seqs.get(DIAGNOSTIC, 0)))

    def watermarks(self) -> list[tuple[str, Watermark]]:
        """Every gateway's watermarks, of each gateway the epoch that first came last as the last one."""
        rows = self.db.execute(
            "SELECT gateway_eui, epoch FROM watermarks GROUP BY gateway_eui, epoch "
            "ORDER BY gateway_eui, min(arrived), epoch"
        ).fetchall()
        return [(gateway_eui, self.watermark(gateway_eui, epoch)) for gateway_eui, epoch in rows]

    def current_watermark(self, gateway_eui: str) -> Watermark | None:
        """That of the epoch that first came last; None for a gateway never heard."""
        row = self.db.execute(
            "SELECT epoch FROM watermarks WHERE gateway_eui = ? GROUP BY epoch ORDER BY min(arrived) DESC, epoch DESC "
            "LIMIT 1",
            (gateway_eui,),
        ).fetchone()
        return self.watermark(gateway_eui, row[0]) if row else None

    def newest_received_at(self) -> float:
        """When the newest uplink was received; 0 for none."""
        newest = self.db.execute("SELECT max(received_at) FROM uplinks").fetchone()[0]
        return float(newest or 0.0)

    def _datastream(self, thing: int, dev_eui: str, quantity: str) -> int:
        key = (thing, dev_eui, quantity)
        known = self._datastreams.get(key)
        if known is not None:
            return known
        facts = QUANTITIES[quantity]
        sensor = instruments.of(quantity, self._instruments[dev_eui])
        self.db.execute("INSERT OR IGNORE INTO sensors (name, description, metadata) VALUES (?, ?, ?)", sensor)
        self.db.execute(
            "INSERT OR IGNORE INTO observed_properties (name, definition, description, properties) VALUES (?, ?, ?, ?)",
            (
                quantity,
                _PROPERTY_BASE + _QUANTITY_KIND.get(quantity, "Dimensionless"),
                facts.en,
                json.dumps({"de": facts.de, "en": facts.en}, ensure_ascii=False),
            ),
        )
        self.db.execute(
            "INSERT OR IGNORE INTO datastreams (thing, dev_eui, quantity, unit, sensor, observed_property) "
            "SELECT ?, ?, ?, ?, s.id, p.id FROM sensors s, observed_properties p WHERE s.name = ? AND p.name = ?",
            (*key, facts.unit, sensor.name, quantity),
        )
        where = "WHERE thing = ? AND dev_eui = ? AND quantity = ?"
        stream = int(self.db.execute(f"SELECT id FROM datastreams {where}", key).fetchone()[0])
        self._datastreams[key] = stream
        return stream

    def _stored(self, stream: int, like: Observation) -> Observation:
        row = self.db.execute(
            "SELECT result, flag, received_at FROM observations WHERE datastream = ? AND at = ?", (stream, like.at)
        ).fetchone()
        return Observation(like.dev_eui, like.quantity, like.at, *row)

    def _refresh_latest(self) -> None:
        self.db.executemany(
            "INSERT OR REPLACE INTO latest SELECT datastream, at, result, flag, received_at FROM observations "
            "WHERE datastream = ? ORDER BY at DESC LIMIT 1",
            [(stream,) for stream in self._touched],
        )
        self._touched.clear()


def _close_to_others(path: Path) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(PermissionError):  # another user's, who lets us write
            os.fchmod(file, 0o600)
    finally:
        os.close(file)


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


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    found = []
    for entry in resources.files("cloud_ingest").joinpath("migrations").iterdir():
        match = re.fullmatch(r"(\d{4})_\w+\.sql", entry.name)
        if match:
            found.append((int(match[1]), entry))
    found.sort(key=lambda item: item[0])
    done = db.execute("PRAGMA user_version").fetchone()[0]
    if done > len(found):
        raise StoreError(str(path), f"was written by a newer Stadtfunk (schema {done}, this one knows {len(found)})")
    for number, entry in found:
        if number > done:
            _apply_migration(db, number, entry.read_text(encoding="utf-8"))


def _apply_migration(db: sqlite3.Connection, number: int, sql: str) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        if db.execute("PRAGMA user_version").fetchone()[0] < number:
            for statement in _statements(sql):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _statements(sql: str) -> Iterator[str]:
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip() and not all(line.startswith("--") for line in statement.strip().splitlines()):
        yield statement
