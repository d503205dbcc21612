# SPDX-License-Identifier: EUPL-1.2
"""A pair of pneumatic tubes across the road: vehicles per direction and speed class from the times of their axles (M).

The oldest pulse is a front axle on its first tube. Among the pulses of the other tube its second is the one for which
there is a second axle that took as long from tube to tube; that parts two vehicles that meet on the tubes, too.
Bicycles are known by their short base and left out: many are too light for a tube.
"""

from array import array

from firmware.sensors.pulses import KEPT, Contact
from firmware.tracking import FAST_ABOVE_KMH, SLOW_BELOW_KMH, VEHICLE_COUNTS, SpeedCounts

if False:  # types only
    from firmware.hal import Clock, Pin, Values

# Times below in tenths of ms, lengths in mm
_FASTEST_KMH = 150
_SLOWEST_KMH = 5
_BICYCLE_BASE = 1_250  # distance of axles; of a motorcycle 1.3 m and more
_LEAST_BASE = 900
_MOST_BASE = 7_500
_TRUCK_BASE = 3_400  # a van has less; only what has more has a third axle
_NEXT_AXLE = 8_000  # of a truck
_TRAILER = 12_500  # so close behind a vehicle a single axle is of a trailer, or the rear one of a long bus
_TOLERANCE = 8  # the second axle takes from tube to tube as long as the first, give or take an eighth
_QUIET = 15_000  # no vehicle has more between two of its pulses
_WAITING = 60_000
_COMPLETE = 30_000
_MOST = 96


class TubePair:
    """Two pneumatic tubes across the road, ``spacing_mm`` apart; who meets ``pin_a`` first approaches."""

    QUANTITIES = VEHICLE_COUNTS

    def __init__(
        self,
        pin_a: "Pin",
        pin_b: "Pin",
        clock: "Clock",
        *,
        spacing_mm: int = 1_000,
        slow_below_kmh: int = SLOW_BELOW_KMH,
        fast_above_kmh: int = FAST_ABOVE_KMH,
        swapped: bool = False,
    ) -> None:
        self._clock = clock
        self._spacing = spacing_mm
        self._least_dt = spacing_mm * 36 // _FASTEST_KMH
        self._most_dt = spacing_mm * 36 // _SLOWEST_KMH
        self._receding = (1, 0) if swapped else (0, 1)  # by the tube that is met first
        self._counts = SpeedCounts(slow_below_kmh, fast_above_kmh)
        self._contacts = tuple([Contact(pin, clock, 0, 15_000, 10_000, 60) for pin in (pin_a, pin_b)])
        self._taken = [0, 0]
        self._axles = (array("i", (0,) * _MOST), array("i", (0,) * _MOST))  # times of pulses, oldest first
        self._have = [0, 0]
        self._fault: "str | None" = "not_ready"
        self._begin()

    def _begin(self) -> None:
        self._orphans = self._pairs = 0

    def start(self) -> int:
        """Listen; there is nothing to wait for."""
        self._epoch = self._clock.ticks_us()
        self._last_axle = 0
        self._last_tube = -1
        for tube in (0, 1):
            self._contacts[tube].start()
            self._taken[tube] = self._contacts[tube].pulses
            self._have[tube] = 0
        self._counts.take(None)
        self._begin()
        self._fault = None
        return 0

    def stop(self) -> None:
        """Listen no more."""
        for contact in self._contacts:
            contact.stop()
        self._fault = "not_ready"

    def read(self) -> "Values":
        """The counts since the last ``read``, or a fault; a vehicle counts when its last axle is 1.5 s away."""
        if self._fault == "not_ready":
            return self._counts.take("not_ready")
        self.poll()
        fault = self._fault
        if fault is None and self._orphans >= 8 and self._orphans * 2 > self._pairs:
            fault = "bad_answer"  # one tube does not see what the other does
        self._fault = None
        self._begin()
        return self._counts.take(fault)

    def poll(self) -> None:
        """Make vehicles of the pulses; at least every 10 s."""
        for contact in self._contacts:
            if contact.stuck():
                self._fault = "stuck"
        now = self._clock.ticks_us()
        passed = self._clock.ticks_diff(now, self._epoch) // 100
        if passed > _WAITING:
            self._shift(min(passed, self._span()[0]))
        self._fetch(0)
        self._fetch(1)
        now_at = self._clock.ticks_diff(now, self._epoch) // 100
        while self._have[0] or self._have[1]:
            oldest, newest = self._span()
            waited = now_at - newest > _QUIET
            pressed = now_at - oldest > _WAITING or max(self._have[0], self._have[1]) > KEPT
            if not waited and not (pressed and now_at - oldest > _COMPLETE):
                break
            self._vehicle()

    def _fetch(self, tube: int) -> None:
        contact, axles = self._contacts[tube], self._axles[tube]
        pulses = contact.pulses
        if pulses - self._taken[tube] > KEPT:
            self._fault = "stuck"
            self._taken[tube] = pulses
        while self._taken[tube] < pulses:
            if self._have[tube] == _MOST:
                self._fault = "stuck"
                self._have[tube] = 0
            at = self._clock.ticks_diff(contact.times[self._taken[tube] & KEPT - 1], self._epoch) // 100
            contact.times[self._taken[tube] & KEPT - 1] = 0
            axles[self._have[tube]] = at
            self._have[tube] += 1
            self._taken[tube] += 1

    def _shift(self, by: int) -> None:
        """Let the time of our own, tenths of ms since ``_epoch``, begin later: ticks_diff does not reach far."""
        self._epoch = self._clock.ticks_add(self._epoch, by * 100)
        self._last_axle = max(self._last_axle - by, -_WAITING)
        for tube in (0, 1):
            for n in range(self._have[tube]):
                self._axles[tube][n] -= by

    def _span(self) -> "tuple[int, int]":
        """(oldest, newest) pulse of both tubes."""
        oldest, newest = 1 << 29, -(1 << 29)
        for tube in (0, 1):
            if self._have[tube]:
                oldest = min(oldest, self._axles[tube][0])
                newest = max(newest, self._axles[tube][self._have[tube] - 1])
        return oldest, newest

    def _vehicle(self) -> None:
        """Take the vehicle to which the oldest pulse belongs out of the pulses, and count it."""
        one = 0 if self._have[0] and (not self._have[1] or self._axles[0][0] <= self._axles[1][0]) else 1
        other = 1 - one
        first, second = self._axles[one], self._axles[other]
        front = first[0]
        # The front axle's pulse on the other tube is the one for which a second axle fits best.
        best, best_n, best_axle, best_m, nearest = 1 << 29, 0, 0, 0, -1
        for n in range(self._have[other]):
            dt = second[n] - front
            if dt < self._least_dt:
                continue
            if dt > self._most_dt:
                break
            if nearest < 0:
                nearest = n
            for axle in range(1, self._have[one]):
                base = self._spacing * (first[axle] - front) // dt
                if base > _MOST_BASE:
                    break
                for m in range(n + 1, self._have[other] if base >= _LEAST_BASE else 0):
                    off = abs(second[m] - first[axle] - dt)
                    if off * _TOLERANCE <= dt and off * 1000 // dt < best:
                        best, best_n, best_axle, best_m = off * 1000 // dt, n, axle, m
        if best < 1 << 29:
            self._two_axles(one, best_n, best_axle, best_m)
        elif nearest >= 0:
            self._one_axle(one, nearest)
        else:
            self._orphans += 1
            self._remove(one, 0)

    def _two_axles(self, one: int, n: int, axle: int, m: int) -> None:
        first, second = self._axles[one], self._axles[1 - one]
        front, last = first[0], first[axle]
        both = second[n] - front + second[m] - last
        base = 2 * self._spacing * (last - front) // both
        self._remove(1 - one, m)
        self._remove(1 - one, n)
        self._remove(one, axle)
        self._remove(one, 0)
        self._pairs += 2
        if base >= _TRUCK_BASE:
            last = self._more_axles(one, last, both)
        if base >= _BICYCLE_BASE:
            self._counts.add(self._receding[one], 72 * self._spacing, both)
        self._last_axle, self._last_tube = last, one

    def _more_axles(self, one: int, last: int, both: int) -> int:
        """Take the further axles of a truck out; return when the last of them met its first tube."""
        first, second = self._axles[one], self._axles[1 - one]
        axle = 0
        while axle < self._have[one]:
            gap = first[axle] - last
            if 2 * self._spacing * gap > _NEXT_AXLE * both:
                break
            for m in range(self._have[1 - one]):
                if gap > 0 and abs(2 * (second[m] - first[axle]) - both) * _TOLERANCE <= both:
                    last = first[axle]
                    self._remove(1 - one, m)
                    self._remove(one, axle)
                    self._pairs += 1
                    break
            else:
                axle += 1
        return last

    def _one_axle(self, one: int, n: int) -> None:
        """A single axle: of a trailer if it follows closely, else of a vehicle whose other one made no pulse."""
        front = self._axles[one][0]
        dt = self._axles[1 - one][n] - front
        self._remove(1 - one, n)
        self._remove(one, 0)
        self._pairs += 1
        behind = front - self._last_axle
        if self._last_tube != one or not 0 < behind * self._spacing <= _TRAILER * dt:
            self._counts.add(self._receding[one], 36 * self._spacing, dt)
        self._last_axle, self._last_tube = front, one

    def _remove(self, tube: int, n: int) -> None:
        axles = self._axles[tube]
        self._have[tube] -= 1
        for k in range(n, self._have[tube]):
            axles[k] = axles[k + 1]
        axles[self._have[tube]] = 0
