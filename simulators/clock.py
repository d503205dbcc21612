# SPDX-License-Identifier: EUPL-1.2
"""Virtual time: integer microseconds and the events due in it. Nothing here reads a real clock.

Events that fall on the same microsecond fire in the order in which they were scheduled, so a run is repeatable.
"""

import heapq
from collections.abc import Callable

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

Action = Callable[[], None]


class Event:
    """One thing that will happen at ``time_us``, unless cancelled before."""

    __slots__ = ("action", "time_us")

    def __init__(self, time_us: int, action: Action) -> None:
        self.time_us = time_us
        self.action: Action | None = action

    def cancel(self) -> None:
        self.action = None


class Clock:
    """The one time of a simulation. ``now_us`` never goes back."""

    def __init__(self, now_us: int = 0) -> None:
        self.now_us = now_us
        self._queue: list[tuple[int, int, Event]] = []
        self._scheduled = 0

    def at(self, time_us: int, action: Action) -> Event:
        """Call ``action`` at ``time_us``; a time in the past means now."""
        event = Event(max(time_us, self.now_us), action)
        self._scheduled += 1
        heapq.heappush(self._queue, (event.time_us, self._scheduled, event))
        return event

    def after(self, delay_us: int, action: Action) -> Event:
        return self.at(self.now_us + delay_us, action)

    def next_us(self, besides: Event | None = None) -> int | None:
        """Time of the earliest event other than ``besides``, or None if nothing is due ever."""
        while self._queue and self._queue[0][2].action is None:
            heapq.heappop(self._queue)
        if besides is not None and self._queue and self._queue[0][2] is besides:
            return min((time_us for n in (1, 2) if (time_us := self._first_us(n)) is not None), default=None)
        return self._queue[0][0] if self._queue else None

    def _first_us(self, place: int) -> int | None:
        """Time of the earliest event in the part of the heap below ``place``."""
        if place >= len(self._queue):
            return None
        time_us, _, event = self._queue[place]
        if event.action is not None:
            return time_us
        below = (self._first_us(2 * place + n) for n in (1, 2))
        return min((time_us for time_us in below if time_us is not None), default=None)

    def step(self) -> None:
        """Fire the earliest event; there must be one."""
        due = self.next_us()
        assert due is not None
        _, _, event = heapq.heappop(self._queue)
        self.now_us = due
        action, event.action = event.action, None
        assert action is not None
        action()

    def run_until(self, time_us: int, stop: Callable[[], bool] | None = None) -> None:
        """Fire everything due up to and including ``time_us``, then stand there.

        If ``stop()`` is true after an event, time stays at that event instead.
        """
        while (due := self.next_us()) is not None and due <= time_us:
            self.step()
            if stop is not None and stop():
                return
        self.now_us = max(self.now_us, time_us)

    def run_for(self, us: int) -> None:
        """``run_until`` that much later."""
        self.run_until(self.now_us + us)
