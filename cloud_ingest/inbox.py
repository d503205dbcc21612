# SPDX-License-Identifier: EUPL-1.2
"""What waits for the writer: a queue for each lane, of which the lower goes first. Order is kept in each.

A lane that is full makes only those wait who bring for it. None starves: one that has seen so many others go first has
its turn, so a gateway that cries alarm without end does not stop a city's readings.
"""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE = 16  # others of lower lanes that go first, at most


class Inbox(Generic[T]):
    """For any number of threads. ``lanes`` in the order of their right of way; ``room`` for each."""

    def __init__(self, lanes: tuple[int, ...], room: int) -> None:
        self._waiting: dict[int, deque[T]] = {lane: deque() for lane in lanes}
        self._passed_over = dict.fromkeys(lanes, 0)
        self._room = room
        self._changed = threading.Condition()

    def put(self, lane: int, item: T, timeout_s: float) -> bool:
        """False if the lane has been full for so long."""
        queue = self._waiting[lane]
        with self._changed:
            if not self._changed.wait_for(lambda: len(queue) < self._room, timeout_s):
                return False
            queue.append(item)
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float) -> T | None:
        """The next one; None if nothing has come for so long."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(self._waiting.values()), timeout_s):
                return None
            item = self._waiting[self._turn()].popleft()
            self._changed.notify_all()
            return item

    def _turn(self) -> int:
        lanes = [lane for lane, queue in self._waiting.items() if queue]
        chosen = next((lane for lane in lanes if self._passed_over[lane] >= PATIENCE), lanes[0])
        for lane in lanes:
            self._passed_over[lane] += 1
        self._passed_over[chosen] = 0
        return chosen
