# SPDX-License-Identifier: EUPL-1.2
"""What the city keeps of uplinks and readings, changed only inside `transaction()`; times in Unix seconds.

Several processes may write (SQLite lets in one transaction at a time), each with one thread. Readers open their own
read-only connections (api/readers.py). How far each gateway's streams have come: streams.py.
"""

import math
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from cloud_ingest import database, things
from cloud_ingest.errors import StoreError
from cloud_ingest.registry import City
from decoders.records import UplinkKey

_RECENT = 50_000
_INSERT = "INSERT OR IGNORE INTO observations VALUES (?, ?, ?, ?, ?, ?)"
_UPDATE = (
    "UPDATE observations SET result = ?, flag = ?, received_at = ?, time_quality = ? WHERE datastream = ? AND at = ?"
)


class Observation(NamedTuple):
    """One reading of a node: a value when ``flag`` is None, else the reason why not.

    ``time_quality``: None, or why its gateway was not sure of the time ('saved', 'unset')."""

    dev_eui: str
    quantity: str
    at: int
    result: float | None
    flag: str | None
    received_at: float
    time_quality: str | None = None

    @property
    def rank(self) -> tuple[bool, bool, float, float, str, str]:
        """Of two with the same key the lower stays: values first, then sure times, then what was received first."""
        is_unsure = self.time_quality is not None
        return (
            self.flag is not None,
            is_unsure,
            self.received_at,
            self.result or 0.0,
            self.flag or "",
            self.time_quality or "",
        )


class SqliteStore:
    """The writer's side of the file at ``path``; one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.db = database.connect(path)
        self._path = path
        self._file = self._identity()
        self._places: dict[str, list[tuple[int, int]]] = {}  # dev_eui -> (since, thing), oldest first
        self._instruments: dict[str, tuple[str, ...]] = {}
        self._datastreams: dict[tuple[int, str, str], int] = {}
        self._touched: set[int] = set()
        self._counts: Counter[tuple[str, str]] = Counter()  # of this transaction
        self._recent: dict[tuple[int, int], Observation] = {}  # what is stored, or something better by now

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
            self._write_counts()
            self.db.execute("COMMIT")
        except BaseException:
            self._forget()
            self._touched.clear()
            self._counts.clear()
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Inside a transaction: a part of it that is undone alone if it raises."""
        self.db.execute("SAVEPOINT part")
        counts = self._counts.copy()
        try:
            yield
        except BaseException:
            self._forget()
            self._counts = counts
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
        self._forget()

    def _forget(self) -> None:
        """What was read or written may not be there."""
        self._datastreams.clear()
        self._recent.clear()

    def thing_of(self, dev_eui: str, at: float = math.inf) -> int:
        """The thing at which a registered node stood at the time ``at``; now by default."""
        places = self._places[dev_eui]
        if len(places) == 1:
            return places[0][1]
        return [thing for since, thing in places if since <= at][-1]

    def append(self, observations: Iterable[Observation]) -> int:
        """Store what is new, by (dev_eui, quantity, at), counting the rest; return how many were new."""
        new = duplicates = conflicts = values = faults = superseded = 0
        if len(self._recent) > _RECENT:
            self._recent.clear()
        for new_one in observations:
            stream = self._datastream(self.thing_of(new_one.dev_eui, new_one.at), new_one.dev_eui, new_one.quantity)
            place = (stream, new_one.at)
            old_one = self._recent.get(place)  # an uplink repeats what the two before it said
            if old_one is None:
                if self.db.execute(_INSERT, (stream, *new_one[2:])).rowcount:
                    new += 1
                    values += new_one.flag is None
                    faults += new_one.flag is not None
                    self._touched.add(stream)
                    self._recent[place] = new_one
                    continue
                old_one = self._stored(stream, new_one)
            duplicates += 1
            conflicts += old_one.flag is None and new_one.flag is None and old_one.result != new_one.result
            if new_one.rank < old_one.rank:
                old_one = self._stored(stream, new_one)  # another process may have written a better one
            if new_one.rank < old_one.rank:
                self.db.execute(_UPDATE, (*new_one[3:], *place))
                became_value = old_one.flag is not None and new_one.flag is None
                values += became_value
                superseded += became_value
                self._touched.add(stream)
                old_one = new_one
            self._recent[place] = old_one
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
        if self.db.execute("INSERT OR IGNORE INTO uplinks VALUES (?, ?, ?, ?)", (*key, received_at)).rowcount:
            return "new"
        row = self.db.execute(f"SELECT received_at FROM uplinks {where}", key).fetchone()
        if row[0] <= received_at:
            return "known"
        self.db.execute(f"UPDATE uplinks SET received_at = ? {where}", (received_at, *key))
        return "earlier"

    def count(self, name: str, reason: str, much: int = 1) -> None:
        """Inside a transaction: add to a counter that survives restarts."""
        if much:
            self._counts[name, reason] += much

    def newest_received_at(self) -> float:
        """When the newest uplink was received; 0 for none."""
        newest = self.db.execute("SELECT max(received_at) FROM uplinks").fetchone()[0]
        return float(newest or 0.0)

    def _datastream(self, thing: int, dev_eui: str, quantity: str) -> int:
        key = (thing, dev_eui, quantity)
        known = self._datastreams.get(key)
        if known is not None:
            return known
        stream = things.datastream(self.db, *key, self._instruments[dev_eui])
        self._datastreams[key] = stream
        return stream

    def _stored(self, stream: int, like: Observation) -> Observation:
        row = self.db.execute(
            "SELECT result, flag, received_at, time_quality FROM observations WHERE datastream = ? AND at = ?",
            (stream, like.at),
        ).fetchone()
        return Observation(like.dev_eui, like.quantity, like.at, *row)

    def _write_counts(self) -> None:
        self.db.executemany(
            "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
            [(*key, much) for key, much in self._counts.items()],
        )
        self._counts.clear()

    def _refresh_latest(self) -> None:
        self.db.executemany(
            "INSERT OR REPLACE INTO latest SELECT datastream, at, result, flag, received_at, time_quality "
            "FROM observations WHERE datastream = ? ORDER BY at DESC LIMIT 1",
            [(stream,) for stream in self._touched],
        )
        self._touched.clear()
