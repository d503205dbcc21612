# SPDX-License-Identifier: EUPL-1.2
"""Looks at a gateway's database as it lies there, live or on a dead card, and changes nothing.

A file that a power cut has torn, or a card that has rotted, is read row by row: what can be read is, what cannot is
named.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from decoders.lorawan.errors import RemoteError
from decoders.records import LANES, Record, decode_record
from decoders.topics import lane_name
from gateway.errors import StoreError
from gateway.lanes import ROW_BYTES
from gateway.packing import unpack

LANE_NAMES = tuple(f"{lane_name(lane)}s" for lane in LANES)
_PIECE = 256  # rows read at once; where that fails, one by one
_MOST_FAULTS = 20
_MOST_BYTES = 1 << 36  # of a database; a header that tells more is damaged
_MOST_SINGLE = 100_000  # rows tried one by one before a lane is given up


class Row(NamedTuple):
    """One row of a lane. ``record`` None: it is there or should be, and ``problem`` says why it cannot be read."""

    lane: int
    row: int
    delivered: bool
    record: Record | None
    problem: str
    size: int


class LaneFacts(NamedTuple):
    """What the database says of a lane, and what was found. ``problems``: what does not fit together."""

    name: str
    first_row: int
    last_row: int
    delivered_row: int
    readable: int
    unreadable: int
    problems: list[str]


class Card:
    """A database opened for reading only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def faults(self) -> list[str]:
        """What SQLite's own check finds wrong with the file: https://sqlite.org/pragma.html#pragma_integrity_check."""
        try:
            rows = self._db.execute(f"PRAGMA integrity_check({_MOST_FAULTS})").fetchall()
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [text for (text,) in rows if text != "ok"]

    def rows(self, lane: int) -> Iterator[Row]:
        """Every row that should be there; raises StoreError when nothing of the lane can be found."""
        first, last, delivered = self._ends(lane)
        at, tried = first, 0
        while at <= last:
            end = min(at + _PIECE, last + 1)
            try:
                found = dict(self._read(lane, at, end))
            except sqlite3.DatabaseError:
                found = {}
                for row in range(at, end):
                    with suppress(sqlite3.DatabaseError):
                        found |= dict(self._read(lane, row, row + 1))
                tried = tried + end - at if not found else 0
                if tried > _MOST_SINGLE:
                    raise StoreError(f"nothing after row {at} of the {LANE_NAMES[lane]} can be read") from None
            for row in range(at, end):
                yield _judged(lane, row, row <= delivered, found.get(row))
            at = end

    def lane(self, lane: int) -> LaneFacts:
        """Count and check one lane."""
        try:
            first, last, delivered = self._ends(lane)
        except StoreError as error:
            return LaneFacts(LANE_NAMES[lane], 0, -1, 0, 0, 0, [str(error)])
        readable = unreadable = size = 0
        problems: list[str] = []
        try:
            for row in self.rows(lane):
                size += row.size
                if row.record is not None:
                    readable += 1
                    continue
                unreadable += 1
                if unreadable <= _MOST_FAULTS:
                    problems.append(f"row {row.row}: {row.problem}")
        except StoreError as error:
            problems.append(str(error))
        with suppress(sqlite3.DatabaseError):
            (known,) = self._db.execute("SELECT bytes FROM lanes WHERE lane = ?", (lane,)).fetchone() or (size,)
            if known != size:
                problems.append(f"holds {size} bytes and says {known}")
        return LaneFacts(LANE_NAMES[lane], first, last, delivered, readable, unreadable, problems)

    def _read(self, lane: int, first: int, end: int) -> list[tuple[int, bytes]]:
        return self._db.execute(
            f"SELECT seq, record FROM outbox_{lane} WHERE seq >= ? AND seq < ?", (first, end)
        ).fetchall()

    def _ends(self, lane: int) -> tuple[int, int, int]:
        with suppress(sqlite3.DatabaseError):
            row = self._db.execute(
                "SELECT first_seq, last_seq, delivered_seq FROM lanes WHERE lane = ?", (lane,)
            ).fetchone()
            if row is not None:
                return row  # type: ignore[no-any-return]
        try:  # what is known of the lane is gone: its own ends
            first, last = (
                self._db.execute(f"SELECT seq FROM outbox_{lane} ORDER BY seq {way} LIMIT 1").fetchone()
                for way in ("ASC", "DESC")
            )
        except sqlite3.DatabaseError as error:
            raise StoreError(f"the {LANE_NAMES[lane]} cannot be found ({error})") from error
        return (1, 0, 0) if first is None or last is None else (first[0], last[0], 0)


def _judged(lane: int, row: int, delivered: bool, stored: bytes | None) -> Row:
    if stored is None:
        return Row(lane, row, delivered, None, "is missing, or on a page that cannot be read", 0)
    size = len(stored) + ROW_BYTES
    try:
        return Row(lane, row, delivered, decode_record(unpack(stored)), "", size)
    except (ValueError, RemoteError) as error:
        return Row(lane, row, delivered, None, str(error), size)


@contextmanager
def opened(database: Path) -> Iterator[Card]:
    """The database, read only; raises StoreError when it is none.

    One in use, or left by a power cut with its -shm, is opened beside whoever writes. Without a -shm nobody uses it:
    then a -wal that was left behind is read from a copy, for reading it here would write to the card.
    """
    if not database.is_file():
        raise StoreError(f"{database} is not there")
    wal = database.with_name(f"{database.name}-wal")
    with tempfile.TemporaryDirectory() as folder:
        connection = None
        if database.with_name(f"{database.name}-shm").exists():
            connection = _connection(f"{database.resolve().as_uri()}?mode=ro")
        elif not wal.exists():
            connection = _connection(f"{database.resolve().as_uri()}?mode=ro&immutable=1")
        if connection is None:
            connection = _connection(_copied(database, wal, Path(folder)).as_uri())
        if connection is None:
            raise StoreError(f"{database} is no database of a gateway, or its table of contents is destroyed")
        try:
            yield Card(connection)
        finally:
            connection.close()


def _copied(database: Path, wal: Path, folder: Path) -> Path:
    try:
        copy = Path(shutil.copyfile(database, folder / "copy.sqlite3"))
        if wal.exists():
            shutil.copyfile(wal, folder / "copy.sqlite3-wal")
        _fill_up(copy)
    except OSError as error:
        what = f"cannot be copied to {folder}" if os.access(database, os.R_OK) else "cannot be read"
        raise StoreError(f"{database} {what} ({error.strerror})") from error
    return copy


def _fill_up(copy: Path) -> None:
    """Give a file that was cut off, as an image copied half, the size its header tells: SQLite opens no shorter one.

    https://sqlite.org/fileformat2.html "The Database Header".
    """
    with copy.open("r+b") as file:
        header = file.read(100)
        page_bytes = int.from_bytes(header[16:18], "big")
        told = int.from_bytes(header[28:32], "big") * (65536 if page_bytes == 1 else page_bytes)
        if header.startswith(b"SQLite format 3\0") and copy.stat().st_size < told <= _MOST_BYTES:
            file.truncate(told)


def _connection(uri: str) -> sqlite3.Connection | None:
    """None: SQLite cannot make anything of it."""
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)
    except sqlite3.Error:
        return None
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")  # one view of it, however much the gateway writes meanwhile
        ours = connection.execute("SELECT name FROM sqlite_master WHERE name = 'devices'").fetchall()
    except sqlite3.Error:
        ours = []
    if not ours:
        connection.close()
        return None
    return connection
