# SPDX-License-Identifier: EUPL-1.2
"""Contacts that close when somebody passes: PIR, induction loop relay (M); tubes.py for tubes.

The interrupt handler notes the time of a pulse and allocates nothing; ``poll`` does the rest, so nothing is lost while
the radio is busy (but everything is in light sleep: a node that counts stays awake). An input that is held, or that
changes faster than anybody could pass, is ``stuck`` for the whole interval. A broken wire looks like an empty road.
"""

from array import array

if False:  # types only
    from firmware.hal import Clock, Pin, Values

KEPT = 64  # pulses between two polls, a power of two
_WINDOW_MS = 10_000
_LONG_AGO_US = 1 << 28  # half of what ticks_diff can tell; 4.5 minutes


class Contact:
    """One contact on ``pin``, closed at level ``closed``. A pulse begins when it closes after ``rest_us`` without any
    edge, so neither its bouncing nor that of its opening begins another. ``most_hz``: edges a second, bounces included.
    """

    def __init__(
        self, pin: "Pin", clock: "Clock", closed: int, rest_us: int, held_ms: int, most_hz: int, kept: int = KEPT
    ) -> None:
        self._pin = pin
        self._clock = clock
        self._ticks_us = clock.ticks_us
        self._ticks_diff = clock.ticks_diff
        self._closed = closed
        self._rest_us = rest_us
        self._held_ms = held_ms
        self._most_hz = most_hz
        self.times = array("i", (0,) * kept)  # ticks_us of the latest pulses
        self._mask = kept - 1
        self.pulses = 0  # since start
        self._edges = 0
        self._level = 1 - closed
        self._last_us = clock.ticks_us()
        self._handler = self._edge

    def start(self) -> None:
        """Listen from now on; a contact that is closed already counts when it closes the next time."""
        now_ms = self._clock.ticks_ms()
        self._moved_ms = self._window_ms = now_ms
        self._window_edges = self._seen_edges = self._edges
        self._last_us = self._clock.ticks_add(self._ticks_us(), -_LONG_AGO_US)
        self._level = self._pin()
        self._pin.irq(handler=self._handler, trigger=self._pin.IRQ_RISING | self._pin.IRQ_FALLING)

    def stop(self) -> None:
        """Listen no more."""
        self._pin.irq(handler=None)

    def _edge(self, pin: "Pin") -> None:
        now = self._ticks_us()
        self._edges += 1
        rested = self._ticks_diff(now, self._last_us) >= self._rest_us
        self._last_us = now
        if not rested:
            self._level = pin()  # right after the last bounce
        elif self._level == self._closed:
            self._level = 1 - self._closed
        else:
            self._level = self._closed
            self.times[self.pulses & self._mask] = now  # type: ignore[call-overload]  # ticks are int
            self.pulses += 1

    def stuck(self) -> bool:
        """Whether it is held, or chattered since the last call; call it often."""
        now = self._ticks_us()
        idle_us = self._ticks_diff(now, self._last_us)
        if idle_us >= self._rest_us:
            self._level = self._pin()
        if idle_us > _LONG_AGO_US or idle_us < 0:  # before ticks_diff takes it for the future
            self._last_us = self._clock.ticks_add(now, -_LONG_AGO_US)
        now_ms = self._clock.ticks_ms()
        edges = self._edges
        if self._level != self._closed or edges != self._seen_edges:
            self._moved_ms = now_ms
        self._seen_edges = edges
        chatters = False
        passed_ms = self._clock.ticks_diff(now_ms, self._window_ms)
        if passed_ms >= _WINDOW_MS:
            chatters = (edges - self._window_edges) * 1000 > self._most_hz * passed_ms
            self._window_ms, self._window_edges = now_ms, edges
        return chatters or self._clock.ticks_diff(now_ms, self._moved_ms) > self._held_ms


class PulseCounter:
    """Counts the pulses of one contact."""

    QUANTITIES: "tuple[str, ...]" = ()
    _CLOSED = 0  # to ground, against a pull-up
    _REST_US = 100_000
    _HELD_MS = 600_000
    _MOST_HZ = 20
    _WARM_UP_MS = 0

    def __init__(self, pin: "Pin", clock: "Clock") -> None:
        self._clock = clock
        self._contact = Contact(pin, clock, self._CLOSED, self._REST_US, self._HELD_MS, self._MOST_HZ, 1)
        self._fault: "str | None" = "not_ready"
        self._taken = 0
        self._warm = False

    def start(self) -> int:
        """The sensor has power; return the ms until it counts."""
        self._started_ms = self._clock.ticks_ms()
        self._warm = not self._WARM_UP_MS
        self._contact.start()
        self._taken = self._contact.pulses
        self._fault = None
        return self._WARM_UP_MS

    def stop(self) -> None:
        """Count no more."""
        self._contact.stop()
        self._fault = "not_ready"

    def poll(self) -> None:
        """Look whether the input is stuck; at least every 4 minutes."""
        self._contact.times[0] = 0  # nobody's business
        if self._contact.stuck():
            self._fault = "stuck"
        if not self._warm and self._clock.ticks_diff(self._clock.ticks_ms(), self._started_ms) >= self._WARM_UP_MS:
            self._warm = True
            self._taken = self._contact.pulses

    def read(self) -> "Values":
        """The count since the last ``read``, or a fault."""
        if self._fault == "not_ready":
            return {self.QUANTITIES[0]: "not_ready"}
        self.poll()
        pulses, fault = self._contact.pulses, self._fault
        count = pulses - self._taken
        self._taken, self._fault = pulses, None
        if not self._warm:
            return {self.QUANTITIES[0]: "not_ready"}
        return {self.QUANTITIES[0]: count if fault is None else fault}


class Pir(PulseCounter):
    """A PIR detector: high for seconds when somebody moves; two who pass within that time are one."""

    QUANTITIES = ("people_count",)
    _CLOSED = 1
    _HELD_MS = 900_000
    _MOST_HZ = 4
    _WARM_UP_MS = 60_000  # HC-SR501: up to a minute of pulses at random after power-up


class Loop(PulseCounter):
    """The relay of an induction loop detector, closed while a vehicle is on the loop."""

    QUANTITIES = ("vehicle_count",)


class BikeLoop(PulseCounter):
    """The relay of a bicycle loop detector, closed while a bicycle is on the loop."""

    QUANTITIES = ("bicycle_count",)
