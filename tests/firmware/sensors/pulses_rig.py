# SPDX-License-Identifier: EUPL-1.2
"""The drivers of pulse inputs on their wires: a single contact that a test closes, and a pair of tubes on a road.

The module given is ``tubes``; the counters of single contacts are those that it is built on (``counters``).
"""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from simulators.chips.pulse_source import TubesSim
from simulators.clock import Clock
from simulators.inprocess import Pin, Time
from simulators.vehicles import Direction, Vehicle
from simulators.wires import Wire
from tests.firmware.sensors.traffic_rig import Counting, S

MS = 1_000


def counters(tubes: ModuleType) -> dict[str, Any]:
    """What the very module defines that ``tubes`` was built on."""
    names: dict[str, Any] = tubes.Contact.__init__.__globals__
    return names


class Contact:
    """One wire with a driver on it; nobody else drives it. ``close`` and ``open`` are clean, ``bounce`` is not."""

    def __init__(self, tubes: ModuleType, kind: str = "Loop", start: bool = True) -> None:
        self.clock = Clock(7 * S)
        self.idle = 0 if kind == "Pir" else 1
        self.wire = Wire(self.idle)
        self.driver: Any = counters(tubes)[kind](Pin(self.clock, self.wire), Time(self.clock))
        if start:
            self.driver.start()

    def run(self, seconds: float, every_us: int = 200_000) -> None:
        end_us = self.clock.now_us + round(seconds * S)
        while self.clock.now_us < end_us:
            self.clock.run_until(min(self.clock.now_us + every_us, end_us))
            self.driver.poll()

    def change(self, closed: bool, bounces: int = 0, apart_us: int = 500) -> None:
        for n in range(2 * bounces + 1):
            level = self.idle ^ closed ^ n & 1
            self.clock.after(1 + n * apart_us, lambda level=level: self.wire.drive(level))  # type: ignore[misc]
        self.clock.run_until(self.clock.now_us + (2 * bounces + 1) * apart_us)

    def pulse(self, closed_s: float = 0.5, open_s: float = 1.0, bounces: int = 0) -> None:
        self.change(True, bounces)
        self.run(closed_s)
        self.change(False, bounces)
        self.run(open_s)

    def read(self) -> Any:
        (value,) = self.driver.read().values()
        return value


class Tubes(Counting):
    """A pair of tubes with ``vehicles``, from a pulse source or as times of pulses."""

    def __init__(
        self,
        tubes: ModuleType,
        vehicles: Iterable[Vehicle] = (),
        *,
        bounces: int = 3,
        miss: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.a, self.b = Wire(1), Wire(1)
        spacing_mm = options.get("spacing_mm", 1_000)
        self.sim = TubesSim(self.clock, self.a, self.b, vehicles, spacing_mm=spacing_mm, bounces=bounces, miss=miss)
        pins = Pin(self.clock, self.a), Pin(self.clock, self.b)
        self.driver = tubes.TubePair(*pins, Time(self.clock), **options)
        self.ready_ms = self.driver.start()

    def pulses(self, a_ms: Iterable[float], b_ms: Iterable[float], begin_us: int = 10 * S) -> None:
        for wire, times in ((self.a, a_ms), (self.b, b_ms)):
            for ms in times:
                at_us = self.clock.now_us + begin_us + round(ms * MS)
                self.clock.at(at_us, lambda wire=wire: wire.drive(0))  # type: ignore[misc]
                self.clock.at(at_us + 12 * MS, lambda wire=wire: wire.drive(1))  # type: ignore[misc]


def cars(count: int, direction: Direction, kmh: float, begin_us: int = 20 * S, **facts: Any) -> list[Vehicle]:
    return [Vehicle(begin_us + n * 5 * S, kmh, direction, **facts) for n in range(count)]
