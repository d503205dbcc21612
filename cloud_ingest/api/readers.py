# SPDX-License-Identifier: EUPL-1.2
"""Read-only connections to the store: a request sees one moment of it, and not for longer than allowed."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite

from cloud_ingest import disclosure
from cloud_ingest.errors import CloudError

_log = logging.getLogger(__name__)

_MAX_WAITING = 32
_STEPS = 10_000  # of SQLite's virtual machine, about a millisecond: BEGIN and ROLLBACK take a few


class Busy(CloudError):
    """The question would take longer than we give it, or too many are asked at once."""

    def __init__(self, problem: str = "this query takes too long; ask for less at once") -> None:
        super().__init__(problem)


class Snapshot:
    """One moment of the store."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db

    async def rows(self, sql: str, args: Iterable[Any] = ()) -> list[Any]:
        return list(await self._db.execute_fetchall(sql, args))

    async def row(self, sql: str, args: Iterable[Any] = ()) -> Any:
        """The first row or None."""
        found = await self.rows(sql, args)
        return found[0] if found else None


class Readers:
    """A few connections that take turns: so many questions run at once, and no more.

    ``min_count``: the smallest count that is told (disclosure.py)."""

    def __init__(self, path: Path, timeout_s: float, connections: int, min_count: int = 1) -> None:
        self._views = disclosure.views(min_count)
        self._uri = f"{path.resolve().as_uri()}?mode=ro"
        self._timeout_s = timeout_s
        self._connections = connections
        self._waiting = 0
        self._free: asyncio.Queue[_Reader] = asyncio.Queue()
        self._all: list[_Reader] = []
        self._clearing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        for _ in range(self._connections):
            await self._add()

    async def close(self) -> None:
        for reader in self._all:
            reader.over = True
        await asyncio.gather(*self._clearing)
        for reader in self._all:
            await reader.db.close()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Everything read inside is of one moment; raises Busy when the time is up."""
        try:
            async with asyncio.timeout(self._timeout_s):
                reader = await self._next()
                try:
                    await reader.db.execute("BEGIN")
                    yield Snapshot(reader.db)
                finally:
                    self._give_back(reader)
        except TimeoutError as error:
            raise Busy from error

    async def _add(self) -> None:
        reader = _Reader(await aiosqlite.connect(self._uri, uri=True, isolation_level=None))
        for view in self._views:
            await reader.db.execute(view)
        await reader.db.set_progress_handler(lambda: reader.over, _STEPS)
        self._all.append(reader)
        self._free.put_nowait(reader)

    async def _next(self) -> "_Reader":
        if self._waiting >= _MAX_WAITING:
            raise Busy("too many queries at once; try again later")
        self._waiting += 1
        try:
            return await self._free.get()
        finally:
            self._waiting -= 1

    def _give_back(self, reader: "_Reader") -> None:
        """Whoever asked need not wait until the connection is fit for the next one, and cannot cancel it."""
        reader.over = True
        task = asyncio.create_task(self._clear(reader))
        self._clearing.add(task)
        task.add_done_callback(self._clearing.discard)

    async def _clear(self, reader: "_Reader") -> None:
        """End what a given-up request left, begun or still on its way to the thread; its BEGIN may be among it."""
        try:
            await reader.db.rollback()  # in turn, after all that was asked before; nothing to do outside a transaction
        except sqlite3.Error:
            _log.exception("a connection to the store could not be cleared; another takes its place")
            self._all.remove(reader)
            await reader.db.close()
            await self._add()
        else:
            reader.over = False
            self._free.put_nowait(reader)


class _Reader:
    """A connection. While ``over``, whatever its thread is at or comes to next ends after a few steps."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self.db = db
        self.over = False
