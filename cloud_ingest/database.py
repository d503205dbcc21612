# SPDX-License-Identifier: EUPL-1.2
"""The SQLite file itself: opened (WAL, synchronous=FULL), locked, migrated.

Migrations are `migrations/NNNN_*.sql`, applied in order, each in one transaction with its record in ``user_version``.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import NamedTuple, Protocol

from cloud_ingest.errors import StoreError

OF_STREAM = "WHERE gateway_eui = ? AND epoch = ? AND lane = ?"  # what the numbers of records count in
_BUSY_S = 5


class Opened(Protocol):
    """A store to read from, whoever may write to it."""

    @property
    def db(self) -> sqlite3.Connection: ...


class _ReadOnly(NamedTuple):
    db: sqlite3.Connection


def connect(path: Path) -> sqlite3.Connection:
    """The file at ``path`` for a writer, up to date; raises StoreError. ``BEGIN`` is the caller's."""
    try:
        if str(path) != ":memory:":  # it holds DevEUIs: for its owner alone; SQLite's other files do as this one
            _close_to_others(path)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        _migrate(db, path)
    except OSError as error:
        raise StoreError(str(path), f"cannot be written ({error.strerror})") from error
    except sqlite3.Error as error:
        raise StoreError(str(path), str(error)) from error
    return db


@contextmanager
def read_only(path: Path) -> Iterator[Opened]:
    """The file at ``path`` as it is at one moment; nothing can be changed."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=_BUSY_S)
    try:
        db.execute("BEGIN")
        yield _ReadOnly(db)
    finally:
        db.close()


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


def _close_to_others(path: Path) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(PermissionError):  # another user's, who lets us write
            os.fchmod(file, 0o600)
    finally:
        os.close(file)


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
