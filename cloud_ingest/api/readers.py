# SPDX-License-Identifier: EUPL-1.2
"""Read-only connections to the store: a request sees one moment of it, and not for longer than allowed."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite

from cloud_ingest.errors import CloudError

_MAX_WAITING = 32


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
    """A few connections that take turns: so many questions run at once, and no more."""

    def __init__(self, path: Path, timeout_s: float, connections: int) -> None:
        self._uri = f"{path.resolve().as_uri()}?mode=ro"
        self._timeout_s = timeout_s
        self._connections = connections
        self._waiting = 0
        self._free: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        self._all: list[aiosqlite.Connection] = []

    async def open(self) -> None:
        for _ in range(self._connections):
            db = await aiosqlite.connect(self._uri, uri=True, isolation_level=None)
            self._all.append(db)
            self._free.put_nowait(db)

    async def close(self) -> None:
        for db in self._all:
            await db.close()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Everything read inside is of one moment; raises Busy when the time is up."""
        try:
            async with asyncio.timeout(self._timeout_s):
                db = await self._next()
                try:
                    await db.execute("BEGIN")
                    yield Snapshot(db)
                finally:
                    await asyncio.shield(self._give_back(db))
        except TimeoutError as error:
            raise Busy from error

    async def _next(self) -> aiosqlite.Connection:
        if self._waiting >= _MAX_WAITING:
            raise Busy("too many queries at once; try again later")
        self._waiting += 1
        try:
            return await self._free.get()
        finally:
            self._waiting -= 1

    async def _give_back(self, db: aiosqlite.Connection) -> None:
        try:
            await db.interrupt()  # what a timed-out request left running
            if db.in_transaction:
                await db.execute("ROLLBACK")
        except sqlite3.Error:
            pass
        finally:
            self._free.put_nowait(db)
