# SPDX-License-Identifier: EUPL-1.2
"""The air at one place: dust, carbon dioxide and gases over the day and the year, and what humidity does to dust.

What is emitted is diluted in the layer that mixes: deep under a summer sun, shallow and still on a clear night
(inversion). ``dry`` is what a reference station weighs; ``air`` is what an optical sensor without a dryer is exposed
to, whose particles have taken up water, and fog. A pure function of seed, weather, traffic and time.

Crilley et al. (2018), Atmos. Meas. Tech. 11, 709-720, "Evaluation of a low-cost optical particle counter": how the
mass seen grows with humidity (kappa-Koehler); 0.38 to 0.41 is the kappa they found. Levels of background, emission and
mixing are assumed so that the results lie in the range of German urban stations; nothing here is a measurement.
"""

import math
import random
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from simulators.clock import HOUR_US
from simulators.traffic import Road, Traffic
from simulators.vehicles import Direction
from simulators.weather import Weather

KAPPA_FINE, KAPPA_COARSE = 0.40, 0.05  # of fine particles (Crilley) and of road dust (assumed)
_PARTICLE_DENSITY = 1.65  # g/cm3, Crilley equation 1
_MOST_ACTIVITY = 0.95  # beyond, it is the droplets of fog that are sized
_CITY_TIME = ZoneInfo("Europe/Berlin")
_STILL = 200.0  # m2/s: so much air is always exchanged
_WASHOUT_PER_MM = 0.12
_CO2_PPM = 428.0  # of clean air in 2026
_WARMEST_DAY = 199
_NOISE_US = 600_000_000
_EVENING_H, _EVENING_WIDTH_H = 20.0, 2.6  # when stoves are lit, local time


class Dust(NamedTuple):
    """Mass below each size, ug/m3."""

    pm1: float
    pm2_5: float
    pm4: float
    pm10: float


_FOG_UG = Dust(2.0, 8.0, 45.0, 160.0)  # droplets that are taken for dust (assumed)


class AirTruth(NamedTuple):
    """What surrounds an air node: ug/m3, ppm, Cel, %, hPa; the indices as Sensirion defines them (1 to 500)."""

    pm1: float
    pm2_5: float
    pm4: float
    pm10: float
    co2: float
    air_temperature: float
    relative_humidity: float
    air_pressure: float
    voc_index: float
    nox_index: float


class Place(NamedTuple):
    """``stoves``: how much wood is burnt around, 1 in a quarter of old houses; ``co2_ppm``: of clean air."""

    road: Road = Road()
    stoves: float = 1.0
    co2_ppm: float = _CO2_PPM


def growth(relative_humidity: float, kappa: float = KAPPA_FINE) -> float:
    """Mass that an optical sensor sees, over the dry mass: Crilley et al. (2018), equation 1."""
    activity = min(relative_humidity / 100, _MOST_ACTIVITY)
    if activity <= 0:
        return 1.0
    return 1 + kappa / _PARTICLE_DENSITY / (1 / activity - 1)


class AirQuality:
    """The air at ``place``."""

    def __init__(self, seed: int, weather: Weather, place: Place | None = None) -> None:
        self.place = Place() if place is None else place
        self.weather = weather
        self._seed = seed
        self._traffic = Traffic(seed, weather.start_unix_s, self.place.road)

    def ventilation(self, now_us: int) -> float:
        """Height of the mixed layer times wind, m2/s: what dilutes."""
        wind = self.weather.wind_m_s(now_us)
        height = 80 + 90 * wind + 1_500 * self.weather.sunshine(now_us - HOUR_US)
        return max(height * (wind + 0.3), _STILL)

    def dry(self, now_us: int) -> Dust:
        """Particles without water, as a reference station weighs them."""
        summer, clean = self._summer(now_us), self._washed(now_us)
        level = math.exp(0.45 * self._slow("background", now_us)) * clean
        exhaust = 2_400 * self._vehicles(now_us) / self.ventilation(now_us)
        smoke = 4_200 * self._stoves(now_us) / self.ventilation(now_us)
        fine = (11 - 5 * summer) * level + (exhaust + smoke) * (0.4 + 0.6 * clean)
        wet_road = self.weather.rain_mm(now_us - 3 * HOUR_US, now_us) > 0.1
        stirred = 0.0 if wet_road else 3_500 * self._vehicles(now_us) / self.ventilation(now_us)
        coarse = (3.5 + 2.5 * summer) * level + stirred
        gust = math.exp(0.06 * self._quick("dust", now_us))
        pm1 = 0.72 * (11 - 5 * summer) * level + 0.9 * (exhaust + smoke) * (0.4 + 0.6 * clean)
        return Dust(gust * pm1, gust * fine, gust * (fine + 0.45 * coarse), gust * (fine + coarse))

    def air(self, now_us: int) -> AirTruth:
        """Everything a node's sensors are exposed to."""
        humidity = self.weather.relative_humidity(now_us)
        dust, fine, coarse = self.dry(now_us), growth(humidity), growth(humidity, KAPPA_COARSE)
        droplets = _FOG_UG if self.weather.is_foggy(now_us) else Dust(0.0, 0.0, 0.0, 0.0)
        wet = dust.pm2_5 * fine
        still = 1_000 / self.ventilation(now_us)
        return AirTruth(
            dust.pm1 * fine + droplets.pm1,
            wet + droplets.pm2_5,
            wet + (dust.pm4 - dust.pm2_5) * coarse + droplets.pm4,
            wet + (dust.pm10 - dust.pm2_5) * coarse + droplets.pm10,
            self._co2(now_us),
            self.weather.air_celsius(now_us),
            humidity,
            self.weather.pressure_hpa(now_us),
            min(100 + 25 * still * (self._vehicles(now_us) + 2 * self._stoves(now_us)), 500.0),
            min(1 + 14 * still * self._vehicles(now_us), 500.0),
        )

    def _co2(self, now_us: int) -> float:
        summer, still = self._summer(now_us), 1_000 / self.ventilation(now_us)
        breathing = (4 + 12 * summer) * still  # of soil and plants, kept down by a still night
        drawdown = 9 * summer * self.weather.sunshine(now_us)
        burnt = 3 * still * (self._vehicles(now_us) + self._stoves(now_us))
        return self.place.co2_ppm + breathing + burnt - drawdown + 1.5 * self._quick("co2", now_us)

    def _vehicles(self, now_us: int) -> float:
        """Motor traffic, 1 at 600 vehicles an hour."""
        return sum(self._traffic.per_hour(now_us, "motor", direction) for direction in Direction) / 600

    def _stoves(self, now_us: int) -> float:
        """Stoves lit: in the evenings of the heating season, longer at weekends."""
        local = datetime.fromtimestamp(self.weather.start_unix_s + now_us // 1_000_000, UTC).astimezone(_CITY_TIME)
        hour = local.hour + local.minute / 60
        away_h = min(abs(hour - _EVENING_H), 24 - abs(hour - _EVENING_H))
        evening = math.exp(-((away_h / _EVENING_WIDTH_H) ** 2) / 2) * (1.3 if local.weekday() >= 4 else 1.0)
        cold = min(max((13 - self.weather.mean_celsius(now_us)) / 13, 0.0), 1.3)
        return self.place.stoves * evening * cold

    def _washed(self, now_us: int) -> float:
        """What rain of the last six hours has left in the air."""
        return math.exp(-_WASHOUT_PER_MM * self.weather.rain_mm(now_us - 6 * HOUR_US, now_us))

    def _summer(self, now_us: int) -> float:
        """0 in January to 1 in July."""
        day = datetime.fromtimestamp(self.weather.start_unix_s + now_us // 1_000_000, UTC).timetuple().tm_yday
        return (1 + math.cos(2 * math.pi * (day - _WARMEST_DAY) / 365)) / 2

    def _slow(self, what: str, now_us: int) -> float:
        """Mean 0, deviation about 1: air masses, changing within a day or two."""
        return self._between(what, now_us, 18 * HOUR_US)

    def _quick(self, what: str, now_us: int) -> float:
        """Mean 0, deviation about 1: gusts and passing lorries, changing within minutes."""
        return self._between(what, now_us, _NOISE_US)

    def _between(self, what: str, now_us: int, step_us: int) -> float:
        """A random number at every step, and straight lines between."""
        step, rest_us = divmod(now_us, step_us)
        before, after = (random.Random(f"{what} {self._seed} {n}").gauss(0, 1) for n in (step, step + 1))
        return before + (after - before) * rest_us / step_us
