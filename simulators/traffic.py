# SPDX-License-Identifier: EUPL-1.2
"""What drives, rides and walks past one place: arrivals by the hour of the week, from a seed.

Arrivals are a Poisson process whose rate changes every quarter of an hour (inhomogeneous Poisson). Everything follows
from the seed and the time, so a run can be repeated and asked in any order. Times: microseconds since ``start_unix_s``.
The day's courses have the shape of urban counts in Germany (BASt's "TGw" types); their numbers are assumed.
"""

import random
from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from simulators.clock import HOUR_US
from simulators.vehicles import Direction, Kind, Vehicle
from simulators.weather import Weather

QUARTER_US = HOUR_US // 4
_CITY_TIME = ZoneInfo("Europe/Berlin")
_GAP_US = 1_300_000  # between the tail of one and the front of the next in the same lane: nobody drives closer
_KEPT_HOURS = 6

# Share of the day's traffic in each hour, 0 to 23, local time; each row sums up to 1000.
_WORKDAY = (7, 4, 3, 4, 9, 24, 51, 76, 69, 52, 49, 51, 54, 55, 59, 68, 79, 80, 66, 47, 34, 26, 20, 13)
_SATURDAY = (15, 10, 8, 6, 6, 10, 18, 30, 47, 64, 76, 80, 78, 71, 67, 65, 65, 64, 58, 49, 38, 31, 25, 19)
_SUNDAY = (21, 15, 11, 8, 7, 7, 11, 18, 30, 47, 64, 74, 75, 75, 77, 80, 80, 75, 66, 56, 43, 30, 19, 11)
_CYCLING = (3, 2, 1, 1, 3, 14, 47, 99, 83, 50, 43, 45, 49, 52, 58, 78, 97, 95, 68, 46, 30, 19, 11, 6)
# Share of a working day's total, Monday to Sunday
_DAYS = {"motor": (0.98, 1.0, 1.0, 1.02, 1.04, 0.76, 0.58), "cycle": (1.0, 1.03, 1.03, 1.02, 0.95, 0.68, 0.60)}


class VehicleClass(NamedTuple):
    """``share`` of the motor traffic by day; lengths in mm; ``axles``: places behind the front axle as shares of the
    wheelbase; ``slower_kmh`` than a car."""

    kind: Kind
    share: float
    length: tuple[int, int]
    wheelbase: tuple[int, int]
    axles: tuple[float, ...]
    slower_kmh: float = 0.0


# fmt: off
MOTOR = (
    #            kind             share  length mm         wheelbase mm    axles
    VehicleClass(Kind.CAR,        0.860, (3_600, 4_900),   (2_350, 2_950), (0, 1)),
    VehicleClass(Kind.VAN,        0.080, (5_000, 7_000),   (3_000, 4_100), (0, 1), 1.0),
    VehicleClass(Kind.TRUCK,      0.025, (8_000, 16_500),  (4_500, 11_000), (0, 0.4, 1), 5.0),
    VehicleClass(Kind.BUS,        0.012, (12_000, 18_000), (5_900, 11_800), (0, 1), 5.0),
    VehicleClass(Kind.MOTORCYCLE, 0.023, (1_900, 2_300),   (1_300, 1_550), (0, 1), -1.0),
)
# fmt: on
_BICYCLE = VehicleClass(Kind.BICYCLE, 1.0, (1_650, 1_950), (1_000, 1_150), (0, 1))


class Road(NamedTuple):
    """``motor_per_day``, ``bicycles_per_day`` and ``pedestrians_per_day``: both directions, on a working day.

    ``kmh``: mean speed of free cars, ``spread_kmh`` their standard deviation. ``approaching``: share of all that comes
    towards the sensor; mornings have more of them, afternoons less, by ``tide``. ``capacity_per_hour``: of one lane.
    """

    motor_per_day: int = 4_000
    bicycles_per_day: int = 600
    pedestrians_per_day: int = 0
    kmh: float = 44.0
    spread_kmh: float = 6.0
    approaching: float = 0.5
    tide: float = 0.1
    capacity_per_hour: int = 900
    lane_mm: int = 2_500


class Traffic:
    """The passages at one place. With ``weather``, fewer ride and walk in rain and cold."""

    def __init__(self, seed: int, start_unix_s: int, road: Road, weather: Weather | None = None) -> None:
        self.road = road
        self._seed = seed
        self._start_unix_s = start_unix_s
        self._weather = weather
        self._hours: OrderedDict[int, list[Vehicle]] = OrderedDict()

    def per_hour(self, now_us: int, what: str, direction: Direction) -> float:
        """The rate at ``now_us``; ``what``: motor, bicycle or pedestrian. It is the same for a quarter of an hour."""
        middle_s = (now_us // QUARTER_US * QUARTER_US + QUARTER_US // 2) // 1_000_000
        local = datetime.fromtimestamp(self._start_unix_s + middle_s, UTC).astimezone(_CITY_TIME)
        road, day = self.road, local.weekday()
        motor = what == "motor"
        total = {"motor": road.motor_per_day, "bicycle": road.bicycles_per_day}.get(what, road.pedestrians_per_day)
        course = _SATURDAY if day == 5 else _SUNDAY if day == 6 else _WORKDAY if motor else _CYCLING
        rate = total * _DAYS["motor" if motor else "cycle"][day] * _share(course, local) / 1000
        tide = road.tide if 5 <= local.hour < 11 else -road.tide if 14 <= local.hour < 20 else 0.0
        towards = min(max(road.approaching + (tide if day < 5 else 0.0), 0.0), 1.0)
        rate *= towards if direction is Direction.APPROACHING else 1 - towards
        return rate if motor else rate * self._outdoors(now_us)

    def _outdoors(self, now_us: int) -> float:
        """How many of those who would, ride or walk in this weather."""
        if self._weather is None:
            return 1.0
        wet = self._weather.rain_mm(now_us // QUARTER_US * QUARTER_US, (now_us // QUARTER_US + 1) * QUARTER_US) > 0
        warmth = min(max((self._weather.air_celsius(now_us) + 5) / 20, 0.25), 1.0)
        return warmth * (0.5 if wet else 1.0)

    def passages(self, from_us: int, to_us: int) -> list[Vehicle]:
        """Whose front axle is on the sensor's line from ``from_us`` until before ``to_us``, in order of time."""
        first, last = from_us // HOUR_US - 1, (to_us - 1) // HOUR_US
        found = [
            vehicle
            for hour in range(first, last + 1)
            for vehicle in self._hour(hour)
            if from_us <= vehicle.time_us < to_us
        ]
        return sorted(found, key=_order)

    def _hour(self, number: int) -> list[Vehicle]:
        """Who arrives in this hour; the last may be held up into the next one."""
        if number in self._hours:
            self._hours.move_to_end(number)
            return self._hours[number]
        vehicles: list[Vehicle] = []
        for direction in Direction:
            dice = random.Random(f"motor {self._seed} {number} {direction.name}")
            vehicles += _in_one_lane(
                [self._motor(at, direction, dice) for at in self._arrivals(number, "motor", direction, dice)]
            )
            for what, make in (("bicycle", self._bicycle), ("pedestrian", self._pedestrian)):
                dice = random.Random(f"{what} {self._seed} {number} {direction.name}")
                vehicles += [make(at, direction, dice) for at in self._arrivals(number, what, direction, dice)]
        self._hours[number] = sorted(vehicles, key=_order)
        if len(self._hours) > _KEPT_HOURS:
            self._hours.popitem(last=False)
        return self._hours[number]

    def _arrivals(self, hour: int, what: str, direction: Direction, dice: random.Random) -> list[int]:
        times = []
        for quarter in range(4):
            begin_us = hour * HOUR_US + quarter * QUARTER_US
            rate = self.per_hour(begin_us, what, direction) / HOUR_US
            at = dice.expovariate(rate) if rate > 0 else QUARTER_US
            while at < QUARTER_US:
                times.append(begin_us + int(at))
                at += dice.expovariate(rate)
        return times

    def _motor(self, time_us: int, direction: Direction, dice: random.Random) -> Vehicle:
        road = self.road
        shares = [one.share for one in MOTOR]
        kind = dice.choices(MOTOR, shares)[0]
        busy = min(self.per_hour(time_us, "motor", direction) / road.capacity_per_hour, 1.0)
        # Bureau of Public Roads (1964): travel time grows with 0.15 (volume / capacity)^4; streets feel it earlier
        mean = (road.kmh - kind.slower_kmh) / (1 + 0.5 * busy**2)
        kmh = min(max(dice.gauss(mean, road.spread_kmh), 12.0), mean + 5 * road.spread_kmh)
        return _vehicle(kind, time_us, kmh, direction, road.lane_mm + dice.randint(-400, 400), dice)

    def _bicycle(self, time_us: int, direction: Direction, dice: random.Random) -> Vehicle:
        kmh = min(max(dice.gauss(18.0, 4.0), 7.0), 38.0)
        return _vehicle(_BICYCLE, time_us, kmh, direction, self.road.lane_mm + dice.randint(800, 1_600), dice)

    def _pedestrian(self, time_us: int, direction: Direction, dice: random.Random) -> Vehicle:
        kmh = min(max(dice.gauss(4.8, 0.8), 2.0), 11.0)
        return Vehicle(time_us, round(kmh, 2), direction, Kind.PEDESTRIAN, 400, (), dice.randint(-1_500, 1_500))


def _share(course: tuple[int, ...], local: datetime) -> float:
    """The course runs straight from the middle of one hour to that of the next."""
    hour, part = divmod(local.hour + local.minute / 60 - 0.5, 1)
    before, after = course[int(hour) % 24], course[(int(hour) + 1) % 24]
    return before + (after - before) * part


def _vehicle(
    kind: VehicleClass, time_us: int, kmh: float, direction: Direction, lane_mm: int, dice: random.Random
) -> Vehicle:
    length = dice.randint(*kind.length)
    wheelbase = min(dice.randint(*kind.wheelbase), length - 300)
    axles = tuple(round(place * wheelbase) for place in kind.axles)
    return Vehicle(time_us, round(kmh, 2), direction, kind.kind, length, axles, lane_mm)


def _in_one_lane(vehicles: list[Vehicle]) -> list[Vehicle]:
    """Nobody drives into the one ahead: who comes up to it is held back, and no faster than it."""
    queue: list[Vehicle] = []
    for vehicle in vehicles:
        if queue:
            ahead = queue[-1]
            free_us = ahead.time_us + round(ahead.length_mm / ahead.mm_per_us) + _GAP_US
            if vehicle.time_us < free_us:
                vehicle = vehicle._replace(time_us=free_us, speed_kmh=min(vehicle.speed_kmh, ahead.speed_kmh))
        queue.append(vehicle)
    return queue


def _order(vehicle: Vehicle) -> tuple[int, str, str]:
    return vehicle.time_us, vehicle.kind.name, vehicle.direction.name
