# SPDX-License-Identifier: EUPL-1.2
"""A disk that loses power, for SQLite: a file system in memory (apsw VFS) that knows what was synchronised.

What was written and not synchronised is, at a cut, there, torn in sectors of 512 bytes, or lost, each write by itself
and in no order. It can also fail any one operation. All is drawn from a seed.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import apsw

SECTOR = 512
_KEPT, _TORN = 0.4, 0.2  # of the unsynchronised writes; the rest is lost
_POWERSAFE_OVERWRITE = apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE  # as unix has it: bytes beside a write stay what they are

Image = dict[str, bytes]


class PowerCut(Exception):
    """The harness ends the run here."""


class _Content:
    """One file: what programs see, what is on the platter, and what is between the two."""

    def __init__(self, durable: bytes = b"") -> None:
        self.seen = bytearray(durable)
        self.durable = bytes(durable)
        self.pending: list[tuple[int, bytes | None]] = []  # offset and data; None: cut off there

    def write(self, offset: int, data: bytes) -> None:
        if offset > len(self.seen):
            self.seen.extend(bytes(offset - len(self.seen)))
        self.seen[offset : offset + len(data)] = data
        self.pending.append((offset, bytes(data)))

    def truncate(self, size: int) -> None:
        del self.seen[size:]
        self.pending.append((size, None))

    def sync(self) -> None:
        self.durable = bytes(self.seen)
        self.pending.clear()

    def after_cut(self, rng: random.Random) -> bytes:
        content = bytearray(self.durable)
        for offset, data in self.pending:
            fate = rng.random()
            if data is None:
                if fate < _KEPT:
                    del content[offset:]
            elif fate < _KEPT:
                _put(content, offset, data)
            elif fate < _KEPT + _TORN:
                for at in range(0, len(data), SECTOR):
                    if rng.random() < 0.5:
                        _put(content, offset + at, data[at : at + SECTOR])
        return bytes(content)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class _File(apsw.VFSFile):  # type: ignore[misc]
    """An open file. What is not overridden is not called: there is nothing below."""

    def __init__(self, disk: "LossyDisk", name: str | None) -> None:
        self._disk = disk
        self._content = disk.content(name) if name else _Content()
        self._named = name is not None

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._content.seen[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.operation("write") if self._named else None
        self._content.write(offset, data)

    def xTruncate(self, size: int) -> None:
        self._disk.operation("truncate") if self._named else None
        self._content.truncate(size)

    def xSync(self, _flags: int) -> None:
        self._disk.operation("sync") if self._named else None
        self._content.sync()

    def xFileSize(self) -> int:
        return len(self._content.seen)

    def xClose(self) -> None:
        pass

    def xLock(self, _level: int) -> None:
        pass

    def xUnlock(self, _level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, _operation: int, _pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        return int(_POWERSAFE_OVERWRITE)


class LossyDisk(apsw.VFS):  # type: ignore[misc]
    """``before(operation)`` is called before each write, truncation, synchronisation and deletion; it may raise."""

    _count = 0

    def __init__(self, image: Image | None = None) -> None:
        LossyDisk._count += 1
        self.name = f"lossy-{LossyDisk._count}"
        self._files = {name: _Content(data) for name, data in (image or {}).items()}
        self.before: Callable[[str], None] = lambda _operation: None
        super().__init__(self.name, "")

    def operation(self, kind: str) -> None:
        self.before(kind)

    def content(self, name: str) -> _Content:
        return self._files.setdefault(name, _Content())

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        flags[1] = flags[0]
        return _File(self, name.filename() if isinstance(name, apsw.URIFilename) else name)

    def xDelete(self, name: str, _sync_folder: bool) -> None:
        self.operation("delete")
        self._files.pop(name, None)

    def xAccess(self, name: str, _flags: int) -> bool:
        return name in self._files

    def xFullPathname(self, name: str) -> str:
        return name

    def crashed(self) -> Image:
        """What is there when the process dies and the machine goes on."""
        return {name: bytes(content.seen) for name, content in self._files.items()}

    def cut(self, rng: random.Random) -> Image:
        """What is there after the power was cut now."""
        return {name: content.after_cut(rng) for name, content in self._files.items()}


class Connection:
    """As much of sqlite3.Connection as the gateway uses, over apsw: so that it is the gateway's own code that runs."""

    def __init__(self, disk: LossyDisk, path: str = "gateway.sqlite3") -> None:
        self.apsw = apsw.Connection(path, vfs=disk.name)
        self.execute("PRAGMA locking_mode = EXCLUSIVE")  # the disk has no memory that connections share
        self.execute("PRAGMA foreign_keys = ON")

    def execute(self, sql: str, parameters: Any = ()) -> "_Cursor":
        return _Cursor(self.apsw).execute(sql, parameters)

    def cursor(self) -> "_Cursor":
        return _Cursor(self.apsw)

    @property
    def total_changes(self) -> int:
        return int(self.apsw.total_changes())

    @property
    def in_transaction(self) -> bool:
        return bool(self.apsw.in_transaction)

    def close(self) -> None:
        self.apsw.close(True)


class _Cursor:
    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self.rowcount = -1

    def execute(self, sql: str, parameters: Any = ()) -> "_Cursor":
        try:
            before = self._connection.total_changes()
            self._cursor.execute(sql, tuple(parameters))
            self.rowcount = self._connection.total_changes() - before
        except apsw.Error as error:
            raise _translated(error) from error
        return self

    def fetchone(self) -> Any:
        try:
            return next(self._cursor, None)
        except apsw.Error as error:
            raise _translated(error) from error

    def fetchall(self) -> list[Any]:
        try:
            return list(self._cursor)
        except apsw.Error as error:
            raise _translated(error) from error

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    @property
    def lastrowid(self) -> int:
        return int(self._connection.last_insert_rowid())

    def close(self) -> None:
        self._cursor.close(True)


def _translated(error: apsw.Error) -> sqlite3.Error:
    translated = sqlite3.OperationalError(str(error))
    codes = {apsw.FullError: apsw.SQLITE_FULL, apsw.IOError: apsw.SQLITE_IOERR}  # raised by the disk they have none
    translated.sqlite_errorcode = codes.get(type(error), getattr(error, "result", apsw.SQLITE_ERROR))
    return translated
