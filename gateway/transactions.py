# SPDX-License-Identifier: EUPL-1.2
"""One transaction for many works: each is undone by itself, and all are told when it is durable.

Works have a savepoint between them where one has changed something. What they only draft, in memory, costs no SQL of
its own: it is taken back, written before COMMIT, or forgotten with the transaction.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from gateway.errors import StoreError, StoreFull


class Draft(Protocol):
    """What works have to write and have not written yet."""

    def begin(self) -> None:
        """A transaction has begun."""

    def mark(self) -> Any:
        """What it is now, for ``back_to``."""

    def back_to(self, mark: Any) -> None:
        """Be what it was."""

    def write(self) -> None:
        """Write all of it; raises sqlite3.Error."""

    def stored(self) -> None:
        """It is durable."""

    def forget(self) -> None:
        """The transaction is over."""


class NoDraft:
    """Of works that write everything at once."""

    def begin(self) -> None:
        pass

    def mark(self) -> None:
        pass

    def back_to(self, mark: None) -> None:
        pass

    def write(self) -> None:
        pass

    def stored(self) -> None:
        pass

    def forget(self) -> None:
        pass


class Transactions:
    """The transactions of one connection."""

    def __init__(self, connection: sqlite3.Connection, draft: Draft | None = None) -> None:
        self._connection = connection
        self._draft = draft or NoDraft()
        self._saved: int | None = None  # total_changes at the savepoint
        self.before: Callable[[], None] = lambda: None  # each run; when it fails, nobody's work is done
        self.commits = 0

    def run(self, works: Sequence[Callable[[], Any]], done: Callable[[list[Any]], None]) -> None:
        """Call ``done`` with a result or an exception for each; either way the transaction is over.

        With WAL and synchronous=FULL a result is then on the disk. When COMMIT fails, nothing of the group is stored
        and all get StoreError; when there was no room for one of them (StoreFull), each gets a transaction of its own,
        so that deleting never fails for want of room to add.
        """
        results: list[Any] = []
        try:
            self.before()
            with self.one():
                for work in works:
                    results.append(self._result(work))
        except (StoreError, sqlite3.Error, OSError) as error:
            failure = error if isinstance(error, StoreError) else _store_error(error)
            results = [failure] * len(works)
            if isinstance(failure, StoreFull) and len(works) > 1:
                results.clear()
                for work in works:
                    self.run([work], results.extend)
        done(results)

    @contextmanager
    def one(self) -> Iterator[None]:
        """One transaction, durable at its end; raises StoreError when it cannot be stored."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._saved = None
            try:
                self._draft.begin()
                yield
                self._draft.write()
                self._connection.execute("COMMIT")
                self._draft.stored()
                self.commits += 1
            finally:
                self._draft.forget()
                with suppress(sqlite3.Error):  # a disk that fails COMMIT may fail this too; the next BEGIN tells
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise _store_error(error) from error

    def _result(self, work: Callable[[], Any]) -> Any:
        self._save()
        mark = self._draft.mark()
        try:
            return work()
        except Exception as error:
            if not self._connection.in_transaction:  # SQLite has undone the whole group, as it does on a full disk
                raise error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error)) from error
            self._connection.execute("ROLLBACK TO work")
            self._draft.back_to(mark)
            return _store_error(error) if isinstance(error, sqlite3.Error) else error

    def _save(self) -> None:
        """See that ROLLBACK TO takes back what comes now, and no more."""
        changes = self._connection.total_changes
        if changes == self._saved:
            return
        if self._saved is not None:
            self._connection.execute("RELEASE work")
        self._connection.execute("SAVEPOINT work")
        self._saved = changes


def _store_error(error: Exception) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what an extended code adds
    if code == sqlite3.SQLITE_BUSY:
        return StoreError("is locked: another program holds it for too long; try again when that has ended")
    return (StoreFull if code == sqlite3.SQLITE_FULL else StoreError)(str(error))
