# SPDX-License-Identifier: EUPL-1.2
"""A reserve of free disk, so that what is delivered can always be deleted.

SQLite needs disk to delete: the write-ahead log. So while less than the reserve is free the database may not grow: the
outbox drops its oldest for what is new (outbox.py); what finds no page even so is refused; deleting goes on with what
the reserve holds.
"""

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)

_WITHOUT_LIMIT = 4_294_967_294  # pages; https://sqlite.org/limits.html "Maximum Number Of Pages In A Database File"
_MARGIN_BYTES = 1 << 20  # so that it does not flicker


def free_bytes(folder: Path) -> int:
    """What an ordinary user may still write to the file system of ``folder``."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


class Room:
    """Watches the disk of one database. ``check`` before each transaction, in the thread that writes."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        database: Path,
        reserve_bytes: int,
        on_change: Callable[[bool], None] = lambda _short: None,
    ) -> None:
        """``on_change`` is told, in the thread that writes, when the disk gets short and when it has room again."""
        self._connection = connection
        self._folder = database.parent
        self._reserve_bytes = reserve_bytes
        self.short = False
        self._on_change = on_change

    def check(self) -> None:
        """Stop or allow the growth of the database, as the disk demands."""
        if not self._reserve_bytes:
            return
        free = free_bytes(self._folder)
        short = free < self._reserve_bytes + (_MARGIN_BYTES if self.short else 0)
        if short == self.short:
            return
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        self._connection.execute(f"PRAGMA max_page_count = {pages if short else _WITHOUT_LIMIT}")
        self.short = short
        self._on_change(short)
        if short:
            _log.warning("disk short in %s free_mb=%d: the database may not grow", self._folder, free >> 20)
        else:
            _log.warning("disk has room again in %s free_mb=%d", self._folder, free >> 20)
