# SPDX-License-Identifier: EUPL-1.2
"""The SQLite file itself: made for its owner only, opened, and brought to the present schema.

``migrations/`` holds numbered SQL files; each is applied once, in one transaction with its record.
"""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

from gateway.errors import StoreError

_log = logging.getLogger(__name__)

_HEADER = b"SQLite format 3\0"  # https://sqlite.org/fileformat.html#magic_header_string


def create_file(path: Path) -> None:
    """Make the file for its owner only, and its name durable; one that is there is closed to others."""
    if path.exists():
        if path.stat().st_mode & 0o077 == 0 or _is_ours(path):
            _close_to_others(path)
        return
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _is_ours(path: Path) -> bool:
    """Whether it may be our database: a wrong path in the configuration closes no folder, and no stranger's file.

    Call it before SQLite has the file open in this process: to close it here gives up SQLite's locks.
    https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_HEADER)) in (b"", _HEADER)


def _close_to_others(path: Path) -> None:
    mode = path.stat().st_mode
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if file.exists() and file.stat().st_mode & 0o077:
            file.chmod(0o600)
    if mode & 0o077:
        _log.warning("%s could be read by others (mode %04o); its mode is 0600 now", path, mode & 0o777)


@contextmanager
def only_service(path: Path) -> Iterator[None]:
    """Hold the database for one service, until it ends however; raises StoreError where another has it."""
    lock = path.with_name(f"{path.name}-lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"{lock} cannot be opened ({error.strerror})") from error
    with os.fdopen(handle):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"{path} is in use: another gateway runs with it") from error
        yield


def connect(path: Path) -> sqlite3.Connection:
    """A connection without implicit transactions, usable in any one thread at a time."""
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def make_durable(connection: sqlite3.Connection) -> None:
    """From now on, what COMMIT has returned for is on the disk: https://sqlite.org/pragma.html#pragma_synchronous."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the numbered files not yet applied, each in one transaction with its record."""
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, file TEXT NOT NULL) STRICT")
    done = connection.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()[0]
    files = sorted(
        (file for file in (resources.files("gateway") / "migrations").iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    if done > len(files):
        raise StoreError("was written by a newer version of this program; install that version")
    for number, file in enumerate(files, 1):
        if number <= done:
            continue
        connection.execute("BEGIN IMMEDIATE")
        with closing(connection.cursor()) as cursor:
            for statement in _statements(file.read_text("utf-8")):
                cursor.execute(statement)
            cursor.execute("INSERT INTO migrations VALUES (?, ?)", (number, file.name))
        connection.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
