# SPDX-License-Identifier: EUPL-1.2
"""What the city keeps of uplinks and readings, changed only inside `transaction()`; times in Unix seconds.

Several processes may write (SQLite lets in one transaction at a time), each with one thread. Readers open their own
read-only connections (api/readers.py). How far each gateway's streams have come: streams.py.
"""

import math
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from cloud_ingest import database, things
from cloud_ingest.city import City
from cloud_ingest.errors import StoreError
from cloud_ingest.observations import Observation, Observations, insert_until_known
from decoders.records import UplinkKey
from decoders.senml import Reading

_NOTE = "INSERT INTO uplinks VALUES (?, ?, ?, ?)"

Noted = Literal["new", "earlier", "known"]


class SqliteStore:
    """The writer's side of the file at ``path``; one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.db = database.connect(path)
        self._path = path
        self._file = self._identity()
        self._places: dict[str, list[tuple[int, int]]] = {}  # dev_eui -> (since, thing), oldest first
        self._instruments: dict[str, tuple[str, ...]] = {}
        self.stations: frozenset[int] = frozenset()  # things that are stations
        self._datastreams: dict[tuple[int, str, str], int] = {}
        self._series: dict[str, dict[str, int]] = {}  # by quantity, of each node that has stood at one place only
        self._counts: Counter[tuple[str, str]] = Counter()  # of this transaction
        self._newest: float | None = None  # reception; only in a transaction, for others write too
        self._observations = Observations(self.db, self._counts)

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
            self._write_observations()
            self._write_counts()
            self.db.execute("COMMIT")
        except BaseException:
            self._forget()
            self._counts.clear()
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        finally:
            self._newest = None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Inside a transaction: a part of it that is undone alone if it raises."""
        self._write_observations()
        self.db.execute("SAVEPOINT part")
        counts = self._counts.copy()
        try:
            yield
            self._write_observations()
        except BaseException:
            self._forget()
            self._counts.clear()
            self._counts.update(counts)
            if self.db.in_transaction:
                self.db.execute("ROLLBACK TO part")
                self.db.execute("RELEASE part")
            raise
        self.db.execute("RELEASE part")

    def register(self, city: City) -> None:
        """Bring things up to date with the registry; ids stay what they were. Raises StoreError."""
        try:
            with self.transaction():
                things.write_things(self.db, city)
        except sqlite3.OperationalError as error:
            raise StoreError(str(self._path), f"cannot be written ({error})") from error
        ids = dict(self.db.execute("SELECT site, id FROM things"))
        self._places = {
            dev_eui: [(node.since, ids[node.site]) for node in places] for dev_eui, places in city.places.items()
        }
        self._instruments = {node.dev_eui: node.instruments for node in city.nodes.values()}
        self.stations = frozenset(ids[station_id] for station_id in city.stations)
        self._forget()

    def _forget(self) -> None:
        """What was read or written may not be there."""
        self._datastreams.clear()
        self._series.clear()
        self._observations.forget()
        self._newest = None

    def things_of(self, dev_eui: str) -> set[int]:
        """All things at which a registered node ever stood: what comes late may be of any."""
        return {thing for _, thing in self._places[dev_eui]}

    def thing_of(self, dev_eui: str, at: float = math.inf) -> int:
        """The thing at which a registered node stood at the time ``at``; now by default."""
        places = self._places[dev_eui]
        if len(places) == 1:
            return places[0][1]
        return [thing for since, thing in places if since <= at][-1]

    def append(
        self, dev_eui: str, received_at: float, readings: Iterable[Reading], time_quality: str | None = None
    ) -> None:
        """Inside a transaction: store what is new of an uplink, by (dev_eui, quantity, at), counting the rest."""
        known = self._series.get(dev_eui, {})
        self._observations.append(
            [
                Observation(
                    known.get(quantity) or self._datastream(dev_eui, quantity, at),
                    at, value, fault, received_at, time_quality,
                )
                for quantity, _, at, value, fault in readings
            ]
        )  # fmt: skip

    def note_uplinks(self, uplinks: Sequence[tuple[UplinkKey, float]]) -> list[Noted]:
        """Inside a transaction: note keys and receptions; each is new, known but received earlier, or known."""
        rows = [(*key, received_at) for key, received_at in uplinks]
        found: list[Noted] = []
        newest = self.newest_received_at()
        while len(found) < len(rows):
            rest = rows[len(found) :]
            inserted = insert_until_known(self.db, _NOTE, rest)
            found += ["new"] * inserted
            newest = max([newest, *(row[-1] for row in rest[:inserted])])
            if inserted < len(rest):
                found.append(self._note_known(rest[inserted]))
        self._newest = None if "earlier" in found else newest
        return found

    def _note_known(self, row: tuple[str, int, int, float]) -> Noted:
        *key, received_at = row
        where = "WHERE dev_eui = ? AND session = ? AND f_cnt = ?"
        known = self.db.execute(f"SELECT received_at FROM uplinks {where}", key).fetchone()
        if known is None:  # it was refused for another reason, which is said now
            self.db.execute(_NOTE, row)
            return "new"
        if known[0] <= received_at:
            return "known"
        self.db.execute(f"UPDATE uplinks SET received_at = ? {where}", (received_at, *key))
        return "earlier"

    def count(self, name: str, reason: str, much: int = 1) -> None:
        """Inside a transaction: add to a counter that survives restarts."""
        if much:
            self._counts[name, reason] += much

    def newest_received_at(self) -> float:
        """When the newest uplink was received; 0 for none."""
        if self._newest is not None:
            return self._newest
        newest = self.db.execute("SELECT max(received_at) FROM uplinks").fetchone()[0] or 0.0
        if self.db.in_transaction:
            self._newest = newest
        return float(newest)

    def _datastream(self, dev_eui: str, quantity: str, at: int) -> int:
        key = (self.thing_of(dev_eui, at), dev_eui, quantity)
        known = self._datastreams.get(key)
        if known is None:
            known = self._datastreams[key] = things.datastream(self.db, *key, self._instruments[dev_eui])
            if len(self._places[dev_eui]) == 1:
                self._series.setdefault(dev_eui, {})[quantity] = known
        return known

    def _write_observations(self) -> None:
        self._observations.flush()
        self._observations.write_latest()

    def _write_counts(self) -> None:
        self.db.executemany(
            "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
            [(*key, much) for key, much in self._counts.items() if much],
        )
        self._counts.clear()
