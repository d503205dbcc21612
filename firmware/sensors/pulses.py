# SPDX-License-Identifier: EUPL-1.2
"""Pulse inputs: PIR, pneumatic tubes, induction loops."""

from firmware.tracking import FAST_ABOVE_KMH, SLOW_BELOW_KMH, VEHICLE_COUNTS, SpeedCounts

if False:  # types only
    from firmware.hal import Clock, Pin, Values


class PulseCounter:
    """Counts pulses of one contact on ``pin``, one count a pulse."""

    QUANTITIES: "tuple[str, ...]" = ()

    def __init__(self, pin: "Pin", clock: "Clock") -> None:
        self._pin = pin
        self._clock = clock

    def start(self) -> int:
        return 0

    def poll(self) -> None:
        pass

    def read(self) -> "Values":
        return {self.QUANTITIES[0]: "not_ready"}

    def stop(self) -> None:
        pass


class Pir(PulseCounter):
    """A PIR motion detector, high while somebody is there."""

    QUANTITIES = ("people_count",)


class Loop(PulseCounter):
    """The relay of an induction loop detector, closed (low) while a vehicle is on the loop."""

    QUANTITIES = ("vehicle_count",)


class BikeLoop(PulseCounter):
    """The relay of a bicycle loop detector."""

    QUANTITIES = ("bicycle_count",)


class TubePair:
    """Two pneumatic tubes across the road, ``spacing_mm`` apart; first ``pin_a`` then ``pin_b`` is approaching."""

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
        self._pins = pin_a, pin_b
        self._clock = clock
        self._counts = SpeedCounts(slow_below_kmh, fast_above_kmh)

    def start(self) -> int:
        return 0

    def poll(self) -> None:
        pass

    def read(self) -> "Values":
        return self._counts.take("not_ready")

    def stop(self) -> None:
        pass
