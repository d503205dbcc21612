# SPDX-License-Identifier: EUPL-1.2
"""Synthetic summer weather of one place: air temperature, reference evapotranspiration and rain, from a seed.

Every answer is a pure function of the seed and the time, so a run can be repeated and asked in any order. Times are
microseconds since ``start_unix_s``, the beginning of the simulation.

FAO-56: Allen et al. (1998), "Crop evapotranspiration", FAO Irrigation and Drainage Paper 56.
"""

import math
import random
from datetime import UTC, datetime
from typing import NamedTuple

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
_COLDEST_H = 4.0  # UTC, a little after sunrise in July
_WARMEST_H = 14.0
_SOLAR_CONSTANT = 0.0820  # MJ m-2 min-1, FAO-56 equation 21
# Average temperatures of a July day without rain in Jena (Saale valley), Cel; what is wet is cooler and more even.
_DRY_MAX, _DRY_MIN, _WET_MAX, _WET_MIN = 28.5, 14.5, 23.0, 14.5
_WET_DAY_SHARE = 0.35
_MEAN_RAIN_MM = 6.0


class Day(NamedTuple):
    """One day's weather. Rain falls evenly from ``rain_start_us`` (simulation time) for ``rain_us``."""

    minimum: float
    maximum: float
    et0_mm: float
    rain_mm: float
    rain_start_us: int
    rain_us: int


class Sun(NamedTuple):
    """The sun of one day at one latitude: FAO-56 "Extraterrestrial radiation"."""

    sine_term: float  # sin(latitude) sin(declination)
    cosine_term: float  # cos(latitude) cos(declination)
    sunset_rad: float  # hour angle
    extraterrestrial_mj: float  # per m2 and day

    @classmethod
    def of(cls, latitude_deg: float, day_of_year: int) -> "Sun":
        latitude = math.radians(latitude_deg)
        season = 2 * math.pi * day_of_year / 365
        distance = 1 + 0.033 * math.cos(season)  # equation 23
        declination = 0.409 * math.sin(season - 1.39)  # equation 24
        sunset = math.acos(min(max(-math.tan(latitude) * math.tan(declination), -1.0), 1.0))  # equation 25
        sine, cosine = math.sin(latitude) * math.sin(declination), math.cos(latitude) * math.cos(declination)
        radiation = 24 * 60 / math.pi * _SOLAR_CONSTANT * distance * (sunset * sine + cosine * math.sin(sunset))
        return cls(sine, cosine, sunset, radiation)  # equation 21

    def elevation_sine(self, solar_hour: float) -> float:
        """Sine of the sun's height; 0 by night."""
        return max(self.sine_term + self.cosine_term * math.cos(math.pi * (solar_hour - 12) / 12), 0.0)

    def share_until(self, solar_hour: float) -> float:
        """Share 0..1 of the day's radiation that has come down by ``solar_hour`` 0..24."""
        angle = min(max(math.pi * (solar_hour - 12) / 12, -self.sunset_rad), self.sunset_rad)
        total = self.sunset_rad * self.sine_term + self.cosine_term * math.sin(self.sunset_rad)
        done = (angle + self.sunset_rad) * self.sine_term
        done += self.cosine_term * (math.sin(angle) + math.sin(self.sunset_rad))
        return done / (2 * total)


def hargreaves_mm(minimum: float, maximum: float, extraterrestrial_mj: float) -> float:
    """Reference evapotranspiration of a day, mm: FAO-56 equation 52 (Hargreaves)."""
    mean = (minimum + maximum) / 2
    return 0.0023 * (mean + 17.8) * math.sqrt(maximum - minimum) * 0.408 * extraterrestrial_mj


class Weather:
    """The weather of one simulation. No rain falls on the days before ``dry_days``."""

    def __init__(
        self, seed: int, start_unix_s: int, latitude: float = 50.927, longitude: float = 11.586, dry_days: int = 5
    ) -> None:
        self.start_unix_s = start_unix_s
        self._seed = seed
        self._latitude = latitude
        self._longitude = longitude
        self._dry_days = dry_days
        self._midnight_us = -(start_unix_s % 86_400) * 1_000_000
        self._days: dict[int, tuple[Day, Sun]] = {}

    def _split(self, now_us: int) -> tuple[int, float]:
        """Day number (0 is the day of the start, UTC) and hour of that day."""
        day, rest_us = divmod(now_us - self._midnight_us, DAY_US)
        return day, rest_us / HOUR_US

    def day(self, number: int) -> Day:
        return self._day(number)[0]

    def _day(self, number: int) -> tuple[Day, Sun]:
        if number not in self._days:
            self._days[number] = self._make_day(number)
        return self._days[number]

    def _make_day(self, number: int) -> tuple[Day, Sun]:
        dice = random.Random(f"weather {self._seed} {number}")
        wet = dice.random() < _WET_DAY_SHARE and number >= self._dry_days
        maximum = (_WET_MAX if wet else _DRY_MAX) + min(max(dice.gauss(0, 1.8), -4.0), 4.0)
        minimum = (_WET_MIN if wet else _DRY_MIN) + min(max(dice.gauss(0, 1.2), -3.0), 3.0)
        date = datetime.fromtimestamp(self.start_unix_s + number * 86_400, UTC)
        sun = Sun.of(self._latitude, date.timetuple().tm_yday)
        start_us = self._midnight_us + number * DAY_US + round(dice.uniform(11, 20) * HOUR_US)
        depth = min(dice.expovariate(1 / _MEAN_RAIN_MM), 60.0) if wet else 0.0
        duration_us = round(dice.uniform(0.5, 6) * HOUR_US)
        et0 = hargreaves_mm(minimum, maximum, sun.extraterrestrial_mj)
        return Day(minimum, maximum, et0, depth, start_us, duration_us), sun

    def _solar_hour(self, hour_utc: float) -> float:
        return hour_utc + self._longitude / 15  # the equation of time, a few minutes, is left out

    def air_celsius(self, now_us: int) -> float:
        """Air temperature: half waves between each day's coldest and warmest hour."""
        number, hour = self._split(now_us)
        day = self.day(number)
        if hour < _COLDEST_H:
            before, after = self.day(number - 1).maximum, day.minimum
            share = (hour + 24 - _WARMEST_H) / (_COLDEST_H + 24 - _WARMEST_H)
        elif hour < _WARMEST_H:
            before, after = day.minimum, day.maximum
            share = (hour - _COLDEST_H) / (_WARMEST_H - _COLDEST_H)
        else:
            before, after = day.maximum, self.day(number + 1).minimum
            share = (hour - _WARMEST_H) / (_COLDEST_H + 24 - _WARMEST_H)
        return before + (after - before) * (1 - math.cos(math.pi * share)) / 2

    def sunshine(self, now_us: int) -> float:
        """Sun on a horizontal square, 0 by night to about 0.9 at a summer noon; a third of that on a wet day."""
        number, hour = self._split(now_us)
        day, sun = self._day(number)
        return sun.elevation_sine(self._solar_hour(hour)) * (0.35 if day.rain_mm else 1.0)

    def et0_mm(self, from_us: int, to_us: int) -> float:
        """Reference evapotranspiration between two times, mm; it follows the sun through each day."""
        (first, from_hour), (last, to_hour) = self._split(from_us), self._split(to_us)
        total = 0.0
        for number in range(first, last + 1):
            day, sun = self._day(number)
            begin = sun.share_until(self._solar_hour(from_hour if number == first else 0.0))
            end = sun.share_until(self._solar_hour(to_hour if number == last else 24.0))
            total += day.et0_mm * (end - begin)
        return total

    def rain_mm(self, from_us: int, to_us: int) -> float:
        """Rain between two times, mm."""
        first, last = self._split(from_us)[0] - 1, self._split(to_us)[0]
        total = 0.0
        for number in range(first, last + 1):
            day = self.day(number)
            overlap = min(to_us, day.rain_start_us + day.rain_us) - max(from_us, day.rain_start_us)
            total += day.rain_mm * max(overlap, 0) / day.rain_us
        return total

    def mean_celsius(self, now_us: int) -> float:
        """Mean of the five days around ``now_us``, without steps: what a few decimetres of soil follow."""
        day, hour = self._split(now_us)

        def mean(number: int) -> float:
            days = [self.day(n) for n in range(number - 4, number + 1)]
            return sum(d.minimum + d.maximum for d in days) / 10

        return mean(day - 1) + (mean(day) - mean(day - 1)) * hour / 24
