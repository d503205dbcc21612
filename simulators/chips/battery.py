# SPDX-License-Identifier: EUPL-1.2
"""A cell behind a divider of two resistors and a converter, as ``board.battery_mv`` reads it in plain Python."""

from collections.abc import Callable
from enum import Enum

from simulators.clock import Clock
from simulators.inprocess import Adc


class Fault(Enum):
    """What can be wrong between cell and converter."""

    DIVIDER_OPEN = "nothing reaches the converter"
    LOOSE = "every other reading finds the contact open"
    SHORT = "the upper resistor is bridged: the converter sees the cell itself"


class BatterySim:
    """``read_mv(now_us)``: the cell's voltage. ``divider``: lower resistor and both together."""

    def __init__(
        self,
        clock: Clock,
        read_mv: Callable[[int], float],
        divider: tuple[int, int] = (100, 200),
        noise: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._clock = clock
        self._truth_mv = read_mv
        self._divider = divider
        self.fault: Fault | None = None
        self.readings = 0
        self._adc = Adc(clock, self._input_uv, noise)

    def _input_uv(self) -> int:
        low, both = self._divider
        uv = self._truth_mv(self._clock.now_us) * 1000
        if self.fault is Fault.DIVIDER_OPEN or (self.fault is Fault.LOOSE and self.readings % 2):
            return 0
        return round(uv if self.fault is Fault.SHORT else uv * low / both)

    def battery_mv(self) -> int:
        """What a board says: 0 if nothing is there."""
        self.readings += 1
        low, both = self._divider
        uv = self._adc.read_uv()
        return uv * both // low // 1000 if uv > 50_000 else 0
