# SPDX-License-Identifier: EUPL-1.2
"""Slots that undecided answers will want, kept free of what matters less. No I/O, and little work in a crowd.

The slot of an answer is looked up when somebody asks, and again only when it may have changed: another concentrator has
reported the uplink, or something was booked there meanwhile.
"""

from bisect import bisect_left, insort
from collections.abc import Callable

from gateway.airtime_budget import Booking
from gateway.radio import Priority

_LONGEST_US = 3_000_000  # more than any downlink: 64 bytes at SF12 take 2.8 s

Slot = tuple[str, Booking]  # the concentrator


class Holds:
    """``wanted`` tells which slot the answer of that key would take if it were decided now, if any."""

    def __init__(self, wanted: Callable[[bytes], Slot | None]) -> None:
        self._wanted = wanted
        self._priorities: dict[bytes, Priority] = {}
        self._unknown: dict[Priority, set[bytes]] = {priority: set() for priority in Priority}
        self._slots: dict[bytes, Slot] = {}
        self._held: dict[tuple[str, Priority], list[tuple[int, int, bytes]]] = {}  # (start, end, key)

    def expect(self, key: bytes, priority: Priority) -> None:
        """An answer is undecided, or may now want another slot."""
        self.drop(key)
        self._priorities[key] = priority
        self._unknown[priority].add(key)

    def drop(self, key: bytes) -> None:
        """It is decided, or has ended."""
        priority = self._priorities.pop(key, None)
        if priority is None:
            return
        self._unknown[priority].discard(key)
        slot = self._slots.pop(key, None)
        if slot is not None:
            self._held[slot[0], priority].remove((slot[1].start_us, slot[1].end_us, key))

    def booked(self, concentrator: str, booking: Booking) -> None:
        """Something goes out there: whoever wanted that slot wants another one."""
        for priority in Priority:
            for key in self._meeting(concentrator, priority, booking):
                self.expect(key, priority)

    def meets(self, concentrator: str, booking: Booking, priority: Priority) -> bool:
        """Whether that slot is meant for something that matters more than ``priority``."""
        return any(
            self._meeting(concentrator, other, booking)
            for other in Priority
            if other > priority and self._look_up(other)
        )

    def _look_up(self, priority: Priority) -> bool:
        """Know the slots of all answers of a priority; whether there are any answers."""
        unknown = self._unknown[priority]
        while unknown:
            key = unknown.pop()
            slot = self._wanted(key)
            if slot is not None:
                self._slots[key] = slot
                held = self._held.setdefault((slot[0], priority), [])
                insort(held, (slot[1].start_us, slot[1].end_us, key))
        return bool(self._slots)

    def _meeting(self, concentrator: str, priority: Priority, booking: Booking) -> list[bytes]:
        held = self._held.get((concentrator, priority), [])
        first = bisect_left(held, (booking.start_us - _LONGEST_US, 0, b""))
        last = bisect_left(held, (booking.end_us, 0, b""))
        return [
            key for start_us, end_us, key in held[first:last] if start_us < booking.end_us and booking.start_us < end_us
        ]
