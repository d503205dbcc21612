# SPDX-License-Identifier: EUPL-1.2
"""What the gateway is known to have, and what to send it again. Pure: times in, times out. GPS seconds.

An answer to a request in a frame (LinkCheckAns, DeviceTimeAns) proves that the frame arrived, and with it the samples
in it. ``known_s``: up to here the gateway has everything that there still is. Behind a gap there may be a stretch that
it has, too: from ``island_from_s`` to ``island_to_s``. What lies between the two is sent again, oldest first, with a
request in each frame; so no reading is lost that the history still holds, without a single confirmed uplink.

``again_from_s`` to ``again_to_s``: what the network has asked for (FPort 21), whether we think that it has it or not.
"""

import struct

FORMAT = "<5I"
SIZE = struct.calcsize(FORMAT)
_END = 1 << 32


class Delivery:
    """Mutable; survives in RTC memory and, with each downlink, on flash."""

    __slots__ = ("again_from_s", "again_to_s", "island_from_s", "island_to_s", "known_s")

    def __init__(self, known_s: int = 0) -> None:
        self.known_s = known_s
        self.island_from_s = 0  # 0: none
        self.island_to_s = 0
        self.again_from_s = 1
        self.again_to_s = 0  # below again_from_s: nothing

    def pack(self) -> bytes:
        """``SIZE`` bytes."""
        return struct.pack(
            FORMAT, self.known_s, self.island_from_s, self.island_to_s, self.again_from_s, self.again_to_s
        )

    @classmethod
    def unpack(cls, data: bytes) -> "Delivery":
        """Undo ``pack``."""
        made = cls()
        made.known_s, made.island_from_s, made.island_to_s, made.again_from_s, made.again_to_s = struct.unpack(
            FORMAT, data
        )
        return made

    def top_s(self) -> int:
        """The newest sample that the gateway is known to have."""
        return max(self.known_s, self.island_to_s)

    def gap(self) -> "tuple[int, int]":
        """(later than, earlier than) what to send again first; if the history has nothing there, call ``closed``."""
        if self.again_from_s <= self.again_to_s:
            return max(0, self.again_from_s - 1), self.again_to_s + 1
        return self.known_s, self.island_from_s or self.known_s

    def wants(self) -> bool:
        """Whether there may be something to send again."""
        after_s, before_s = self.gap()
        return before_s - after_s > 1

    def closed(self) -> None:
        """The gap of ``gap`` is empty."""
        if self.again_from_s <= self.again_to_s:
            self.again_from_s, self.again_to_s = 1, 0
        elif self.island_from_s:
            self.known_s = max(self.known_s, self.island_to_s)
            self.island_from_s = self.island_to_s = 0

    def filled(self, newest_s: int) -> None:
        """A frame arrived that held all of the gap up to ``newest_s``."""
        if self.again_from_s <= self.again_to_s:
            self.again_from_s = newest_s + 1
        else:
            self.known_s = max(self.known_s, newest_s)

    def arrived(self, before_s: int, oldest_s: int, newest_s: int) -> None:
        """A report arrived: all samples from ``oldest_s`` to ``newest_s``; ``before_s``: the one before, 0 if none."""
        if before_s <= self.known_s:
            self.known_s = max(self.known_s, newest_s)
        elif self.island_from_s and before_s <= self.island_to_s and self.island_from_s <= oldest_s:
            self.island_to_s = max(self.island_to_s, newest_s)
        else:
            self.island_from_s, self.island_to_s = oldest_s, newest_s
        if self.island_from_s and self.island_to_s <= self.known_s:
            self.island_from_s = self.island_to_s = 0

    def again(self, from_s: int, to_s: int) -> None:
        """The network wants what lies from ``from_s`` to ``to_s``."""
        self.again_from_s, self.again_to_s = max(1, from_s), min(to_s, _END - 1)
