# SPDX-License-Identifier: EUPL-1.2
"""Synthetic weather of one place, in every season: temperature, humidity, pressure, wind, evaporation and rain.

Every answer is a pure function of the seed and the time, so a run can be repeated and asked in any order. Times are
microseconds since ``start_unix_s``, the beginning of the simulation.

FAO-56: Allen et al. (1998), "Crop evapotranspiration", FAO Irrigation and Drainage Paper 56.
"""

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from simulators.clock import DAY_US, HOUR_US

_COLDEST_H = 4.0  # UTC, a little after sunrise in July
_WARMEST_H = 14.0
_SOLAR_CONSTANT = 0.0820  # MJ m-2 min-1, FAO-56 equation 21
# Average temperatures in Jena (Saale valley), Cel, of a day without rain and a wet one: what is wet is more even.
_JULY = (28.5, 14.5, 23.0, 14.5)  # dry maximum and minimum, wet maximum and minimum
_JANUARY = (4.5, -4.0, 6.0, 1.0)
_WARMEST_DAY = 199  # of the year: July 18
_WET_DAY_SHARE = 0.35
_HEIGHT_M = 155.0  # of Jena's valley floor
_AVERAGE_HPA = 1015.5  # at sea level
_WET_PERCENT = 93.0  # relative humidity while it rains, at least
_MEAN_RAIN_MM = 6.0


class Day(NamedTuple):
    """One day's weather. Rain falls evenly from ``rain_start_us`` (simulation time) for ``rain_us``.

    ``dew_point``: Cel, at noon. ``wind``: mean of the day 2 m above ground, m/s. ``sea_level_hpa``: at noon.
    """

    minimum: float
    maximum: float
    et0_mm: float
    rain_mm: float
    rain_start_us: int
    rain_us: int
    dew_point: float
    wind: float
    sea_level_hpa: float


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


def vapour_pressure_kpa(celsius: float) -> float:
    """Saturation vapour pressure over water: FAO-56 equation 11."""
    return 0.6108 * math.exp(17.27 * celsius / (celsius + 237.3))


def pressure_at_hpa(height_m: float, sea_level_hpa: float) -> float:
    """Air pressure at this height: FAO-56 equation 7, from the pressure at sea level."""
    return float(sea_level_hpa * ((293 - 0.0065 * height_m) / 293) ** 5.26)


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
        date = datetime.fromtimestamp(self.start_unix_s + number * 86_400, UTC)
        day_of_year = date.timetuple().tm_yday
        summer = (1 + math.cos(2 * math.pi * (day_of_year - _WARMEST_DAY) / 365)) / 2
        dry_max, dry_min, wet_max, wet_min = (
            cold + (warm - cold) * summer for cold, warm in zip(_JANUARY, _JULY, strict=True)
        )
        spell = _smooth(self._seed, "spell", number) * 4.0 * (1 - summer)  # winters swing between mild and frosty
        maximum = (wet_max if wet else dry_max) + spell + min(max(dice.gauss(0, 1.8), -4.0), 4.0)
        minimum = (wet_min if wet else dry_min) + spell + min(max(dice.gauss(0, 1.2), -3.0), 3.0)
        minimum = min(minimum, maximum - 1.0)
        sun = Sun.of(self._latitude, day_of_year)
        start_us = self._midnight_us + number * DAY_US + round(dice.uniform(11, 20) * HOUR_US)
        depth = min(dice.expovariate(1 / _MEAN_RAIN_MM), 60.0) if wet else 0.0
        duration_us = round(dice.uniform(0.5, 6) * HOUR_US)
        et0 = max(hargreaves_mm(minimum, maximum, sun.extraterrestrial_mj), 0.0)
        # FAO-56 equation 48: the dew point is near the minimum, on dry summer days a little below
        dew_point = minimum - (0.0 if wet else dice.uniform(0.0, 2.5) * (0.3 + 0.7 * summer))
        pressure = _AVERAGE_HPA + 9.0 * _smooth(self._seed, "pressure", number) - (4.0 if wet else 0.0)
        wind = min(max(dice.lognormvariate(0.5 if wet else 0.2, 0.45), 0.3), 9.0)
        return Day(minimum, maximum, et0, depth, start_us, duration_us, dew_point, wind, pressure), sun

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

    def _through_noons(self, now_us: int, values: Callable[[Day], float]) -> float:
        """A daily value, straight from noon to noon."""
        number, hour = self._split(now_us - 12 * HOUR_US)
        before, after = values(self.day(number)), values(self.day(number + 1))
        return before + (after - before) * hour / 24

    def relative_humidity(self, now_us: int) -> float:
        """Of the air 2 m above ground, %: what the dew point's vapour is of what the air could hold (FAO-56 eq. 10)."""
        dew_point = self._through_noons(now_us, lambda day: day.dew_point)
        share = vapour_pressure_kpa(dew_point) / vapour_pressure_kpa(self.air_celsius(now_us))
        percent = min(max(100 * share, 15.0), 100.0)
        return max(percent, _WET_PERCENT) if self.rain_mm(now_us, now_us + HOUR_US // 60) > 0 else percent

    def pressure_hpa(self, now_us: int) -> float:
        """Air pressure on the valley floor."""
        return pressure_at_hpa(_HEIGHT_M, self._through_noons(now_us, lambda day: day.sea_level_hpa))

    def wind_m_s(self, now_us: int) -> float:
        """Wind in the street: the day's, stronger after noon, weak at night."""
        _, hour = self._split(now_us)
        course = 1 + 0.55 * math.cos(2 * math.pi * (self._solar_hour(hour) - 14.5) / 24)
        return self._through_noons(now_us, lambda day: day.wind) * course

    def is_foggy(self, now_us: int) -> bool:
        """Saturated, calm, dry air: radiation fog, mostly in autumn and winter before sunrise."""
        return (
            self.relative_humidity(now_us) >= 98.5
            and self.wind_m_s(now_us) < 1.2
            and self.rain_mm(now_us, now_us + HOUR_US // 60) == 0.0
        )


def _smooth(seed: int, what: str, number: int) -> float:
    """A number of mean 0 and deviation 1 that belongs to this day and resembles that of the days around it."""
    weights = (0.5, 0.5, 0.5, 0.4, 0.3)  # their squares sum up to 1
    return sum(
        weight * random.Random(f"{what} {seed} {number - ago}").gauss(0, 1) for ago, weight in enumerate(weights)
    )
