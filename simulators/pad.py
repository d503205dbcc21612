# SPDX-License-Identifier: EUPL-1.2
"""One GPIO pad of a microcontroller, between its registers and its wire."""

from simulators.wires import Wire

_IN, _OUT, _OPEN_DRAIN = 1, 3, 7  # machine.Pin


class Pad:
    """One GPIO: its output latch, its direction, its hold."""

    __slots__ = ("driving", "held", "idle", "isolated", "latch", "mode", "pull", "wire")

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.idle = wire.level
        self.latch = 0
        self.mode = _IN
        self.pull = 0
        self.held = False
        self.isolated = False
        self.driving = False

    def apply(self) -> None:
        """An input leaves its wire alone: a chip may drive it."""
        if not self.held:
            drove = self.driving
            self.driving = self.mode == _OUT or (self.mode == _OPEN_DRAIN and not self.latch)
            self.driving = self.driving and not self.isolated
            if self.driving or drove:
                self.wire.drive(self.latch if self.driving else self.idle)

    def release(self, keep_hold: bool) -> None:
        """The chip is reset: the pad becomes an input, unless it is held and the hold outlasts this."""
        self.latch, self.mode, self.pull, self.isolated = 0, _IN, 0, False
        self.held = self.held and keep_hold
        self.apply()
