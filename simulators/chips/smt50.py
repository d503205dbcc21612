# SPDX-License-Identifier: EUPL-1.2
"""Truebner SMT50: soil moisture and temperature as two voltages. DS: SMT50 data sheet.

DS: 0 to 3 V for 0 to 50 % water by volume; 0.5 V at 0 Cel and 10 mV a degree; 3.3 to 30 V, 2.7 mA; 300 ms to settle.
Assumed: until then the outputs rise evenly.
"""

from collections.abc import Callable
from enum import Enum

from simulators.chips.refusals import Refusals
from simulators.chips.supply import Powered, Supply
from simulators.clock import Clock
from simulators.wires import Wire

SETTLE_US = 300_000
SUPPLY_UA = 2_700
_SUPPLY_UV = 3_300_000


class Fault(Enum):
    """What can be wrong with the sensor or its cable."""

    ABSENT = "no sensor, or its cable is cut: the inputs' resistors pull to ground"
    MOISTURE_WIRE_CUT = "the moisture output is not connected"
    MOISTURE_SHORT = "the moisture output touches the supply"
    TEMPERATURE_SHORT = "the temperature output touches the supply"
    SUPPLY_REVERSED = "supply and ground swapped: both outputs at ground"
    STUCK = "keeps what it first measured"


class Smt50Sim(Powered):
    """``power`` at level 1 is its supply. ``read_truth(now_us)``: (volumetric water %, Cel). Give ``moisture_uv`` and
    ``temperature_uv`` to the converter. ``refusals`` collects what was read too early or without a supply.
    """

    def __init__(self, clock: Clock, power: Wire, read_truth: Callable[[int], tuple[float, float]]) -> None:
        self._clock = clock
        self._read_truth = read_truth
        self.fault: Fault | None = None
        self.refusals = Refusals()
        self._first: tuple[float, float] | None = None
        self._supply = Supply(clock, power, self._switched)
        self._switched(self._supply.on)

    def _switched(self, on: bool) -> None:
        self._supply.draw(SUPPLY_UA if on else 0)

    def moisture_uv(self) -> int:
        """At the moisture output."""
        if self.fault is Fault.MOISTURE_SHORT:
            return _SUPPLY_UV
        water, _ = self._truth()
        cut = self.fault is Fault.MOISTURE_WIRE_CUT
        return 0 if cut else self._settled(min(max(water, 0.0), 50.0) * 60_000)

    def temperature_uv(self) -> int:
        """At the temperature output."""
        if self.fault is Fault.TEMPERATURE_SHORT:
            return _SUPPLY_UV
        _, celsius = self._truth()
        return self._settled(500_000 + celsius * 10_000)

    def _truth(self) -> tuple[float, float]:
        now = self._read_truth(self._clock.now_us)
        if self._first is None:
            self._first = now
        return self._first if self.fault is Fault.STUCK else now

    def _settled(self, uv: float) -> int:
        if self.fault in (Fault.ABSENT, Fault.SUPPLY_REVERSED):
            return 0
        if not self._supply.on:
            self.refusals.note("read without a supply")
            return 0
        on_us = self._supply.on_us
        if on_us < SETTLE_US:
            self.refusals.note(f"read {on_us // 1000} ms after power-on")
        return round(uv * min(on_us / SETTLE_US, 1.0))
