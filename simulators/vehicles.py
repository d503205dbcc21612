# SPDX-License-Identifier: EUPL-1.2
"""What passes a traffic sensor: the truth that the simulated radars, tubes and loops are fed with.

The road is straight. Distance is counted along it from the sensor's line (the radar's foot, the first tube), positive
where the radar looks. Who approaches comes from there and leaves behind it; who recedes goes the other way.
"""

from enum import Enum
from math import sqrt
from typing import NamedTuple

BRAKING_MM_PER_S2 = 2_500  # comfortable braking and pulling away


class Direction(Enum):
    APPROACHING = "towards the radar"
    RECEDING = "away from the radar"


class Kind(Enum):
    CAR = "car"
    VAN = "van"
    TRUCK = "truck"
    BUS = "bus"
    MOTORCYCLE = "motorcycle"
    BICYCLE = "bicycle"
    PEDESTRIAN = "pedestrian"


class Stop(NamedTuple):
    """A halt for ``waits_us`` with the front ``at_mm`` from the sensor's line, on the side where the radar looks."""

    at_mm: int
    waits_us: int


class Vehicle(NamedTuple):
    """One passage. ``time_us``: when the front axle is on the sensor's line; ``axles_mm``: how far each axle is behind
    the front one, so (0, 2600) is a car and () has no wheels; ``lane_mm``: sideways from the radar's axis.
    """

    time_us: int
    speed_kmh: float
    direction: Direction
    kind: Kind = Kind.CAR
    length_mm: int = 4_300
    axles_mm: tuple[int, ...] = (0, 2_600)
    lane_mm: int = 3_000
    stop: Stop | None = None

    @property
    def mm_per_us(self) -> float:
        return self.speed_kmh / 3_600

    def place(self, now_us: int) -> tuple[float, float]:
        """(distance of its front from the sensor's line, mm; its speed now, km/h)."""
        sign = -1 if self.direction is Direction.APPROACHING else 1
        if self.stop is None:
            return sign * (now_us - self.time_us) * self.mm_per_us, self.speed_kmh
        # Counted along the drive: the line is at 0, the halt before it (approaching) or behind it (receding).
        halt_mm = sign * self.stop.at_mm
        braking_us = self.speed_kmh / 3.6 * 1_000 / BRAKING_MM_PER_S2 * 1e6
        braking_mm = self.mm_per_us * braking_us / 2
        halts_us = self._drive_us(halt_mm, braking_mm, braking_us)
        run_us = now_us - halts_us
        if run_us < -braking_us:
            mm, kmh = halt_mm - braking_mm + (run_us + braking_us) * self.mm_per_us, self.speed_kmh
        elif run_us < 0:
            mm, kmh = halt_mm - braking_mm * (run_us / braking_us) ** 2, -self.speed_kmh * run_us / braking_us
        elif (run_us := run_us - self.stop.waits_us) < 0:
            mm, kmh = halt_mm, 0.0
        elif run_us < braking_us:
            mm, kmh = halt_mm + braking_mm * (run_us / braking_us) ** 2, self.speed_kmh * run_us / braking_us
        else:
            mm, kmh = halt_mm + braking_mm + (run_us - braking_us) * self.mm_per_us, self.speed_kmh
        return sign * mm, kmh

    def _drive_us(self, halt_mm: float, braking_mm: float, braking_us: float) -> float:
        """When it comes to a halt, so that its front axle is on the line at ``time_us``."""
        assert self.stop is not None
        if halt_mm >= braking_mm:  # the line lies before it brakes
            return self.time_us + (halt_mm - braking_mm) / self.mm_per_us + braking_us
        if halt_mm >= 0:  # it crosses while braking
            return self.time_us + braking_us * sqrt(halt_mm / braking_mm)
        pulling_away_us = self.time_us - self.stop.waits_us
        if -halt_mm <= braking_mm:  # it crosses while pulling away
            return pulling_away_us - braking_us * sqrt(-halt_mm / braking_mm)
        return pulling_away_us - braking_us - (-halt_mm - braking_mm) / self.mm_per_us

    def axle_times_us(self) -> tuple[int, ...]:
        """When each axle is on the sensor's line; for passages that do not stop there."""
        return tuple(self.time_us + round(mm / self.mm_per_us) for mm in self.axles_mm)
