# SPDX-License-Identifier: EUPL-1.2
"""A simulated hour of a street, and the truth about it, for the accuracy of drivers that count."""

import random

from simulators.vehicles import Direction, Kind, Vehicle

_KINDS = (  # kind, share, length mm, axles mm
    (Kind.CAR, 0.78, 4_300, (0, 2_600)),
    (Kind.VAN, 0.10, 5_500, (0, 3_400)),
    (Kind.TRUCK, 0.05, 9_000, (0, 4_800)),
    (Kind.BUS, 0.02, 12_000, (0, 5_900)),
    (Kind.MOTORCYCLE, 0.05, 2_200, (0, 1_450)),
)
BEGIN_US = 20_000_000


def street(seed: int, per_hour: int, *, lanes: int = 1, kmh: float = 45.0, headway_s: float = 1.5) -> list[Vehicle]:
    """Poisson arrivals over one hour, half of them each way; nobody follows in his lane closer than ``headway_s``."""
    chance = random.Random(seed)
    found = []
    for direction, first_mm in ((Direction.RECEDING, 3_000), (Direction.APPROACHING, 3_000 + 3_500 * lanes)):
        for lane in range(lanes):
            at_us = BEGIN_US
            while True:
                at_us += round(max(headway_s, chance.expovariate(per_hour / 2 / lanes / 3_600)) * 1e6)
                if at_us > BEGIN_US + 3_600_000_000:
                    break
                kind, _, length_mm, axles_mm = chance.choices(_KINDS, [share for _, share, _, _ in _KINDS])[0]
                speed_kmh = min(max(chance.gauss(kmh, 8.0), 8.0), 90.0)
                lane_mm = first_mm + 3_300 * lane
                found.append(Vehicle(at_us, speed_kmh, direction, kind, length_mm, axles_mm, lane_mm))
    return sorted(found, key=lambda vehicle: vehicle.time_us)


def truth(vehicles: list[Vehicle]) -> list[int]:
    """Approaching slow, medium, fast, receding slow, medium, fast."""
    counts = [0] * 6
    for vehicle in vehicles:
        speed = 0 if vehicle.speed_kmh < 30 else 2 if vehicle.speed_kmh > 50 else 1
        counts[3 * (vehicle.direction is Direction.RECEDING) + speed] += 1
    return counts
