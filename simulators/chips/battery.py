# SPDX-License-Identifier: EUPL-1.2
"""A cell behind a divider of two resistors: the voltage at the pin, and ``board.battery_mv`` in plain Python."""

import math
from collections.abc import Callable
from enum import Enum

from simulators.clock import Clock
from simulators.inprocess import Adc


class Fault(Enum):
    """What can be wrong between cell and converter."""

    DIVIDER_OPEN = "nothing reaches the converter"
    LOOSE = "every other reading finds the contact open"
    SHORT = "the upper resistor is bridged: the converter sees the cell itself"


class Divider:
    """Two resistors, a capacitor from their tap to ground, and a switch between them and the cell.

    ``divider_ohm``: lower resistor and both together. The tap approaches its voltage with the time constant of the
    capacitor and what charges it: both resistors side by side, or the lower one alone while the switch is open.
    """

    def __init__(self, clock: Clock, divider_ohm: tuple[int, int], farad: float, connected: bool) -> None:
        low_ohm, both_ohm = divider_ohm
        self._clock = clock
        self._share = low_ohm / both_ohm
        self._tau_us = {True: low_ohm * (1 - self._share) * farad * 1e6, False: low_ohm * farad * 1e6}
        self._connected = connected
        self._missing_uv = 0.0  # when the switch moved last
        self._since_us = clock.now_us

    def switch(self, connected: bool, cell_mv: float) -> None:
        """The switch stands so from now on."""
        tap_uv = self.tap_uv(cell_mv)
        self._connected = connected
        self._missing_uv = self._end_uv(cell_mv) - tap_uv
        self._since_us = self._clock.now_us

    def tap_uv(self, cell_mv: float) -> int:
        """The voltage that a converter finds now."""
        passed_us = self._clock.now_us - self._since_us
        left = math.exp(-passed_us / self._tau_us[self._connected])
        return round(self._end_uv(cell_mv) - self._missing_uv * left)

    def _end_uv(self, cell_mv: float) -> float:
        return cell_mv * 1000 * self._share if self._connected else 0.0


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
