# SPDX-License-Identifier: EUPL-1.2
"""What closes a contact at the roadside: pneumatic tubes with air switches, loop detector relays, PIR detectors.

Tubes: an air switch closes for as long as a wheel's pressure wave holds its membrane, some 10 to 25 ms, and bounces at
both ends like every contact (assumptions; makers of counters ask for 10 to 20 ms of debounce). Loops: the detector's
relay is closed while a vehicle is over the loop, 2 m long (FHWA Traffic Detector Handbook, "6 x 6 ft loop"). PIR:
HC-SR501 data sheet: output high for a set time after the last motion, 2.5 s blocked after it falls; pulses at random in
the first minute under power.

Contacts pull a wire that idles at 1 to 0; a PIR drives its wire itself.
"""

import random
from collections.abc import Iterable, Iterator
from enum import Enum

from simulators.chips.supply import Powered, Supply
from simulators.clock import Clock, Event
from simulators.vehicles import Direction, Kind, Vehicle
from simulators.wires import Wire

LOOP_MM = 2_000
PIR_HOLD_US = 3_000_000
PIR_BLOCK_US = 2_500_000
PIR_WARM_UP_US = 60_000_000
PIR_UA = 65
_BOUNCE_US = 4_000  # how long a contact bounces
_LIGHT = (Kind.BICYCLE, Kind.PEDESTRIAN)


class Fault(Enum):
    """What can be wrong with a contact, a tube, a detector or the cable."""

    ABSENT = "cable broken: the contact never closes"
    STUCK = "held closed"
    CHATTERING = "closes 200 times a second"


class _Contact:
    """A wire, closed for spans of time that may overlap; each end bounces."""

    def __init__(self, clock: Clock, wire: Wire, closed: int, seed: int, bounces: int) -> None:
        self._clock = clock
        self._wire = wire
        self._closed = closed
        self._random = random.Random(seed)
        self._bounces = bounces
        self._holding = 0
        self._fault: Fault | None = None
        self._chatter: Event | None = None
        self.closings = 0

    def close(self, for_us: int) -> None:
        self._holding += 1
        if self._holding == 1:
            self.closings += 1
            self._settle(1)
        self._clock.after(for_us, self._open)

    def _open(self) -> None:
        self._holding -= 1
        if not self._holding:
            self._settle(0)

    def _settle(self, held: int) -> None:
        self._drive(held)
        count = self._random.randint(0, self._bounces) if self._bounces else 0
        times = sorted(self._random.randrange(1, _BOUNCE_US) for _ in range(2 * count))
        for n, time_us in enumerate(times):
            self._clock.after(time_us, lambda level=held ^ 1 ^ n & 1: self._drive(level))  # type: ignore[misc]

    def _drive(self, held: int) -> None:
        if self._fault is None:
            self._wire.drive(self._closed if held else 1 - self._closed)

    def fail(self, fault: Fault | None) -> None:
        self._fault = fault
        if self._chatter is not None:
            self._chatter.cancel()
        self._wire.drive(self._closed if fault is Fault.STUCK else 1 - self._closed)
        if fault is Fault.CHATTERING:
            self._toggle()

    def _toggle(self) -> None:
        self._wire.drive(1 - self._wire.level)
        self._chatter = self._clock.after(2_500, self._toggle)


class _Passages:
    """Calls ``pass_by`` for each vehicle ``ahead_us`` before it is on the line."""

    def __init__(self, clock: Clock, vehicles: Iterable[Vehicle], ahead_us: int = 0) -> None:
        self._clock = clock
        self._ahead_us = ahead_us
        self._vehicles: Iterator[Vehicle] = iter(vehicles)
        self._wait()

    def _wait(self) -> None:
        vehicle = next(self._vehicles, None)
        if vehicle is not None:
            self._clock.at(vehicle.time_us - self._ahead_us, lambda: self._due(vehicle))

    def _due(self, vehicle: Vehicle) -> None:
        self.pass_by(vehicle)
        self._wait()

    def pass_by(self, vehicle: Vehicle) -> None:
        raise NotImplementedError


class TubesSim(_Passages):
    """Tube A lies on the sensor's line, tube B ``spacing_mm`` behind it as who approaches sees it.

    ``miss``: how often an axle does not press hard enough. Those who pass at a standstill are not for tubes.
    """

    def __init__(
        self,
        clock: Clock,
        wire_a: Wire,
        wire_b: Wire,
        vehicles: Iterable[Vehicle] = (),
        *,
        spacing_mm: int = 1_000,
        seed: int = 0,
        bounces: int = 3,
        miss: float = 0.0,
    ) -> None:
        self._spacing_mm = spacing_mm
        self._random = random.Random(seed)
        self._miss = miss
        self.contacts = (
            _Contact(clock, wire_a, 0, seed + 1, bounces),
            _Contact(clock, wire_b, 0, seed + 2, bounces),
        )
        super().__init__(clock, vehicles, ahead_us=1_000_000)

    def fault(self, fault: Fault | None, tube: int = 0) -> None:
        """Break one tube, or mend it."""
        self.contacts[tube].fail(fault)

    def pass_by(self, vehicle: Vehicle) -> None:
        between_us = round(self._spacing_mm / vehicle.mm_per_us)
        after = between_us if vehicle.direction is Direction.APPROACHING else -between_us
        for axle_us in vehicle.axle_times_us():
            for contact, time_us in zip(self.contacts, (axle_us, axle_us + after), strict=True):
                if self._random.random() < self._miss:
                    continue
                for_us = self._random.randrange(10_000, 25_000)
                self._clock.at(time_us, lambda contact=contact, for_us=for_us: contact.close(for_us))  # type: ignore[misc]


class LoopSim(_Passages):
    """The relay of a loop detector whose loop begins on the sensor's line."""

    def __init__(
        self,
        clock: Clock,
        wire: Wire,
        vehicles: Iterable[Vehicle] = (),
        *,
        bicycles: bool = False,
        seed: int = 0,
        bounces: int = 3,
    ) -> None:
        self._bicycles = bicycles
        self.contact = _Contact(clock, wire, 0, seed, bounces)
        super().__init__(clock, vehicles)

    def fault(self, fault: Fault | None) -> None:
        """Break it, or mend it."""
        self.contact.fail(fault)

    def pass_by(self, vehicle: Vehicle) -> None:
        wanted = vehicle.kind is Kind.BICYCLE if self._bicycles else vehicle.kind not in _LIGHT
        if wanted:
            self.contact.close(round((LOOP_MM + vehicle.length_mm) / vehicle.mm_per_us))


class PirSim(_Passages, Powered):
    """A PIR detector; ``power`` at level 1 means it is supplied. Whoever passes moves."""

    def __init__(
        self,
        clock: Clock,
        wire: Wire,
        power: Wire,
        passers: Iterable[Vehicle] = (),
        *,
        seed: int = 0,
    ) -> None:
        self._random = random.Random(seed)
        self.contact = _Contact(clock, wire, 1, seed, 0)
        self._until_us = 0
        super().__init__(clock, passers)
        self._supply = Supply(clock, power, self._switched)
        if self._supply.on:
            self._switched(True)

    def fault(self, fault: Fault | None) -> None:
        """Break it, or mend it."""
        self.contact.fail(fault)

    def _switched(self, on: bool) -> None:
        now = self._clock.now_us
        if on:
            self._supply.draw(PIR_UA)
            for _ in range(self._random.randint(1, 3)):
                self._clock.at(now + self._random.randrange(PIR_WARM_UP_US - PIR_HOLD_US), self._move)
        else:
            self._until_us = now

    def pass_by(self, vehicle: Vehicle) -> None:
        self._move()

    def _move(self) -> None:
        """Motion: the output rises, or stays high for longer."""
        now = self._clock.now_us
        blocked = 0 < self._until_us <= now < self._until_us + PIR_BLOCK_US
        if not self._supply.on or blocked:
            return
        high = now < self._until_us
        self._until_us = now + PIR_HOLD_US
        if not high:
            self._rise()

    def _rise(self) -> None:
        self.contact.close(self._until_us - self._clock.now_us)
        self._clock.at(self._until_us - 1, self._hold)

    def _hold(self) -> None:
        """A motion since then lets it stay high."""
        if self._until_us - 1 > self._clock.now_us:
            self._rise()
