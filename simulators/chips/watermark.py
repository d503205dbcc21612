# SPDX-License-Identifier: EUPL-1.2
"""Irrometer Watermark 200SS between two pins, with a resistor and a converter's input at its first end.

IRR: Irrometer, "200SS WATERMARK Sensor: Reading with Other Devices": alternating excitation, no more than 0.2 ms a
direction, 0.1 s of both ends at one level between two readings. Shock: Shock, Barnum & Seddigh 1998, the calibration
that IRR's sketches use, here the other way round: from the soil's tension to ohms.

Direct current is refused, not punished: a real sensor would be ruined over weeks. Assumed: half a direction's longest
time may be left over when a reading ends.
"""

from collections.abc import Callable
from enum import Enum

from simulators.chips.refusals import Refusals
from simulators.clock import Clock, Event
from simulators.wires import Wire

SERIES_OHM = 10_000
LONGEST_US = 200
LEFTOVER_US = 20  # net, of one reading: what a pin call more or less costs
PAUSE_US = 100_000
_READING_ENDS_US = 2_000  # both ends level for so long: the reading is over
_SUPPLY_UV = 3_300_000
_DRIEST_OHM = 200_000


class Fault(Enum):
    """What can be wrong with the sensor or its cable."""

    OPEN = "cable cut, or never connected"
    SHORT = "cable bridged: 20 Ohm"
    WET_PLUG = "water in a plug bridges the sensor with 15 kOhm"
    INPUT_LOOSE = "the converter's input hangs in the air and reads 0"
    INPUT_AT_SUPPLY = "the converter's input touches the supply"


def kpa_from_ohm(ohm: float, celsius: float) -> float:
    """IRR's curve."""
    kilo = ohm / 1000
    if ohm <= 550:
        return 0.0
    if ohm <= 1000:
        return (kilo * 23.156 - 12.736) * (1 + 0.018 * (celsius - 24))
    if ohm <= 8000:
        return (3.213 * kilo + 4.093) / (1 - 0.009733 * kilo - 0.01205 * celsius)
    warmed = kilo * (1 + 0.018 * (celsius - 24))
    return 2.246 + 5.239 * warmed + 0.06756 * warmed * warmed


def ohm_from_kpa(kpa: float, celsius: float) -> float:
    """What a sensor in soil of this tension and temperature has."""
    low, high = 500.0, float(_DRIEST_OHM)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if kpa_from_ohm(middle, celsius) < kpa else (low, middle)
    return high


class Watermark200ssSim:
    """``feed``: the wire behind the resistor; ``far``: the sensor's other end. Give ``read_uv`` to the converter.

    ``read_truth(now_us)``: (tension in kPa, Cel) of the soil. ``ohm``: what it has instead, if not None. ``refusals``
    collects, in words, every direct current and every haste.
    """

    def __init__(
        self,
        clock: Clock,
        feed: Wire,
        far: Wire,
        read_truth: Callable[[int], tuple[float, float]],
        *,
        supply_uv: int = _SUPPLY_UV,
    ) -> None:
        self._clock = clock
        self._feed = feed
        self._far = far
        self._read_truth = read_truth
        self.supply_uv = supply_uv
        self.ohm: float | None = None
        self.fault: Fault | None = None
        self.refusals = Refusals()
        self.readings = 0
        self._direction = feed.level - far.level
        self._since_us = clock.now_us
        self._net_us = 0  # of the reading under way: time in one direction less time in the other
        self._flowed_us = 0
        self._charge_uc = 0.0
        self._ended_us: int | None = None
        self._end: Event | None = None
        self._too_long: Event | None = None
        feed.watch(self._edge)
        far.watch(self._edge)

    def powered_us(self) -> int:
        """Time with a current through it, us."""
        return self._flowed_us

    def charge_uc(self) -> float:
        """Charge drawn so far, microcoulomb."""
        return self._charge_uc

    def resistance(self) -> float:
        """Between its two wires now, Ohm."""
        if self.fault is Fault.OPEN:
            return 1e12
        if self.fault is Fault.SHORT:
            return 20.0
        ohm = self.ohm if self.ohm is not None else ohm_from_kpa(*self._read_truth(self._clock.now_us))
        return ohm * 15_000 / (ohm + 15_000) if self.fault is Fault.WET_PLUG else ohm

    def read_uv(self) -> int:
        """What the input between resistor and sensor shows."""
        if self.fault is Fault.INPUT_LOOSE:
            return 0
        if self.fault is Fault.INPUT_AT_SUPPLY:
            return self.supply_uv
        ohm = self.resistance()
        feed_uv, far_uv = self._feed.level * self.supply_uv, self._far.level * self.supply_uv
        return round((feed_uv * ohm + far_uv * SERIES_OHM) / (ohm + SERIES_OHM))

    def _edge(self, _level: int) -> None:
        now_us = self._clock.now_us
        direction = self._feed.level - self._far.level
        if direction == self._direction:
            return
        self._book(now_us)
        for event in (self._end, self._too_long):
            if event is not None:
                event.cancel()
        if direction:
            if self._ended_us is not None and self._net_us == 0 and now_us - self._ended_us < PAUSE_US:
                self.refusals.note(f"read again after {(now_us - self._ended_us) // 1000} ms")
            self._ended_us = None
            self._too_long = self._clock.after(LONGEST_US + 1, self._direct_current)
        else:
            self._end = self._clock.after(_READING_ENDS_US, self._reading_ended)
        self._direction, self._since_us = direction, now_us

    def _book(self, now_us: int) -> None:
        flowed_us = abs(self._direction) * (now_us - self._since_us)
        self._flowed_us += flowed_us
        self._net_us += self._direction * flowed_us
        self._charge_uc += flowed_us * self.supply_uv / (SERIES_OHM + self.resistance()) / 1e6

    def _direct_current(self) -> None:
        self.refusals.note(f"direct current for more than {LONGEST_US} us")

    def _reading_ended(self) -> None:
        self.readings += 1
        if abs(self._net_us) > LEFTOVER_US:
            self.refusals.note(f"direct current: {abs(self._net_us)} us more in one direction")
        self._net_us = 0
        self._ended_us = self._clock.now_us - _READING_ENDS_US
