# SPDX-License-Identifier: EUPL-1.2
"""Answers that are owed, in the order in which they must be decided. No I/O and no clock; times are microseconds."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from gateway.airtime_budget import Booking
from gateway.radio import Answer, Order, Reception
from gateway.scheduler import Choice


@dataclass
class Given:
    """A concentrator has been told to send."""

    order: Order
    choice: Choice
    booking: Booking
    fallback: Booking | None  # where it goes if a station must not send in RX1; booked when it has
    check_at_us: int  # by the concentrator's line: confirmed by then, or not sent


@dataclass
class Pending:
    """An answer that is owed. ``key``: the uplink's bytes."""

    key: bytes
    answer: Answer
    heard: dict[str, tuple[Reception, int]]
    decide_at_us: int
    tried: set[tuple[str, int]] = field(default_factory=set)
    order: Given | None = None
    last_reason: str = ""
    hindered: bool = False  # there was no place for it, and there is none until something changes
    entry: int = 0  # in the calendar


class Owed:
    """All answers that have not ended; a calendar of those that are undecided."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, Pending] = {}
        self._calendar: list[tuple[int, int, Pending]] = []  # (decide_at_us, entry, whose): some no longer hold
        self._entries = count()

    def __iter__(self) -> Iterator[Pending]:
        return iter(self._by_key.values())

    def __getitem__(self, key: bytes) -> Pending:
        return self._by_key[key]

    def get(self, key: bytes) -> Pending | None:
        return self._by_key.get(key)

    def add(self, pending: Pending) -> None:
        """One more, in place of any of the same key."""
        self._by_key[pending.key] = pending
        self.decide_at(pending, pending.decide_at_us)

    def drop(self, pending: Pending) -> None:
        """It has ended."""
        if self._by_key.get(pending.key) is pending:
            del self._by_key[pending.key]

    def decide_at(self, pending: Pending, at_us: int) -> None:
        """Then, and not when was said before."""
        pending.decide_at_us, pending.entry = at_us, next(self._entries)
        heappush(self._calendar, (at_us, pending.entry, pending))

    def next_at_us(self) -> int | None:
        """When the next one must be decided."""
        while self._calendar:
            at_us, entry, pending = self._calendar[0]
            if pending.entry == entry and pending.order is None and self._by_key.get(pending.key) is pending:
                return at_us
            heappop(self._calendar)
        return None

    def due(self, now_us: int) -> list[Pending]:
        """Those that must be decided by now, what matters most first; they are in the calendar no longer."""
        ready = []
        while (at_us := self.next_at_us()) is not None and at_us <= now_us:
            ready.append(heappop(self._calendar)[2])
        return sorted(ready, key=lambda pending: -pending.answer.priority)

    def look_again(self) -> None:
        """A slot is free that was not: it may be the place for those who had none."""
        for pending in self._by_key.values():
            if pending.hindered and pending.order is None:
                pending.hindered = False
                self.decide_at(pending, 0)
