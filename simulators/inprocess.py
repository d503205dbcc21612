# SPDX-License-Identifier: EUPL-1.2
"""``time`` and the pins of ``machine`` as a driver sees them, on CPython, over devices in the same process.

For fast unit tests of drivers; ``inprocess_buses`` has the buses. Whatever a driver calls takes time, so that a missing
wait shows and a busy loop ends.
"""

from collections.abc import Callable

from simulators.clock import Clock
from simulators.wires import Wire

TICKS_PERIOD = 1 << 30  # as on ESP32: MicroPython, py/mpconfig.h, MICROPY_PY_TIME_TICKS_PERIOD
_ADC_US = 50  # one conversion; assumed
_ADC_FULL_UV = 3_100_000
CALL_US = 2  # least time that a call into the machine module takes; ends busy loops


class Time:
    """The ``time`` module of a node: virtual, ticks wrap as on the board."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sleep_us(self, us: int) -> None:
        self._clock.run_for(us)

    def sleep_ms(self, ms: int) -> None:
        self._clock.run_for(ms * 1000)

    def ticks_us(self) -> int:
        self._clock.run_for(CALL_US)
        return self._clock.now_us % TICKS_PERIOD

    def ticks_ms(self) -> int:
        self._clock.run_for(CALL_US)
        return self._clock.now_us // 1000 % TICKS_PERIOD

    @staticmethod
    def ticks_add(ticks: int, delta: int) -> int:
        return (ticks + delta) % TICKS_PERIOD

    @staticmethod
    def ticks_diff(end: int, start: int) -> int:
        return (end - start + TICKS_PERIOD // 2) % TICKS_PERIOD - TICKS_PERIOD // 2

    def time(self) -> int:
        return self._clock.now_us // 1_000_000


class Pin:
    """``machine.Pin`` on one wire."""

    IN = 1
    OUT = 3
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __init__(self, clock: Clock, wire: Wire) -> None:
        self._clock = clock
        self._wire = wire
        self._handler: Callable[[Pin], None] | None = None
        self._trigger = 0
        self._watching = False

    def init(self, mode: int = -1, pull: int = -1, *, value: int | None = None) -> None:
        if value is not None:
            self.value(value)

    def value(self, level: int | None = None) -> int | None:
        self._clock.run_for(CALL_US)
        if level is None:
            return self._wire.level
        self._wire.drive(1 if level else 0)
        return None

    __call__ = value

    def irq(self, handler: "Callable[[Pin], None] | None" = None, trigger: int = 3) -> None:
        """Call ``handler`` at the edges of ``trigger``."""
        self._handler, self._trigger = handler, trigger
        if not self._watching:
            self._watching = True
            self._wire.watch(self._edge)

    def _edge(self, level: int) -> None:
        if self._handler is not None and self._trigger & (self.IRQ_RISING if level else self.IRQ_FALLING):
            self._handler(self)

    def on(self) -> None:
        self.value(1)

    def off(self) -> None:
        self.value(0)


class Adc:
    """``machine.ADC`` of an ESP32-S3 at 11 dB: whole millivolts up to 3.1 V, as its datasheet and ESP-IDF have it."""

    def __init__(self, clock: Clock, read_uv: Callable[[], int], noise: Callable[[], float] = lambda: 0.0) -> None:
        self._clock = clock
        self._read_uv = read_uv
        self._noise = noise

    def read_uv(self) -> int:
        self._clock.run_for(_ADC_US)
        uv = min(max(self._read_uv() + round(self._noise()), 0), _ADC_FULL_UV)
        return (uv + 500) // 1000 * 1000
