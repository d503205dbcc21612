# SPDX-License-Identifier: EUPL-1.2
"""One thread writes; what arrives while it is busy shares the next transaction, and so the next fsync.

``run(work)`` calls ``work()`` in the writer thread and returns its result, or raises its exception, only after COMMIT
has returned. What is undone when something fails: transactions.py.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from gateway.errors import StoreError
from gateway.transactions import Transactions

_T = TypeVar("_T")


_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class GroupCommit:
    """The writer thread of one connection. Create it in the event loop that calls ``run``."""

    def __init__(
        self,
        transactions: Transactions,
        *,
        window_s: float = 0.0,
        records: int = 100,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """``before`` is called in the writer thread before each transaction."""
        self._transactions = transactions
        self._transactions.before = before
        self._window_s = window_s
        self._records = records
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._write, name="store-writer", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], _T]) -> "asyncio.Future[_T]":
        """Start ``work`` in the next group; await the future for its result, durable. Works keep their order."""
        if self._closing:
            raise StoreError("is closing")
        future: asyncio.Future[_T] = self._loop.create_future()
        self._jobs.put((work, future))
        return future

    @property
    def commits(self) -> int:
        """Transactions, and so fsyncs, so far."""
        return self._transactions.commits

    def waiting(self) -> int:
        """Works not yet begun."""
        return self._jobs.qsize()

    async def close(self) -> None:
        """Finish what was given before, then end the thread."""
        if not self._closing:
            self._closing = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _write(self) -> None:
        while group := self._collect():
            works = [work for work, _ in group]
            self._transactions.run(works, partial(self._tell, group))

    def _tell(self, group: list[_Job], results: list[Any]) -> None:
        self._loop.call_soon_threadsafe(_deliver, group, results)

    def _collect(self) -> list[_Job]:
        """Wait for a first job, and the window, then take what is there; nothing when closing."""
        first = self._jobs.get()
        if first is None:
            return []
        if self._window_s and self._jobs.qsize() < self._records - 1:
            time.sleep(self._window_s)  # to be woken for each one that comes would cost more than it saves
        group = [first]
        for _ in range(min(self._jobs.qsize(), self._records - 1)):
            job = self._jobs.get()
            if job is None:
                self._jobs.put(None)  # after this group
                break
            group.append(job)
        return group


def _deliver(group: list[_Job], results: list[Any]) -> None:
    for (_, future), result in zip(group, results, strict=True):
        if future.done():  # its caller has gone
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
