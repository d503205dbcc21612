# SPDX-License-Identifier: EUPL-1.2
"""A tree pit as one bucket of soil: rain and watering in; roots, drainage and overflow out; and its temperatures.

KA5: Bodenkundliche Kartieranleitung, 5th edition (field capacity and available water by texture class). FAO-56: Allen
et al. (1998), FAO Irrigation and Drainage Paper 56. Buehler et al. (100 street pits in Copenhagen): the days after a
watering are ruled by drainage, which dies away exponentially, only then by the roots; so there are two limbs here too.
"""

import math
from typing import NamedTuple

from simulators.weather import DAY_US, Weather

STEP_US = 600_000_000  # the bucket moves in steps of 10 minutes; between them its state runs straight
FIELD_CAPACITY_KPA = 6.0  # pF 1.8
WILTING_KPA = 1585.0  # pF 4.2
STRESS_SHARE = 0.5  # FAO-56 "Water stress coefficient": p, share of the available water that costs the tree nothing
DRAINAGE_US = 1.5 * DAY_US  # time constant of the fast limb (assumption within Buehler's ten days)
PERCOLATION_SHARE = 0.3  # of each watering runs past the roots (efficiency 0.7, assumption)
RAIN_SHARE = 0.6  # of the rain reaches the pit through crown and sealing (assumption)
_DIFFUSIVITY = 5e-7  # m2/s, thermal, moist mineral soil
_DAY_RAD_PER_S = 2 * math.pi / 86_400


class VanGenuchten(NamedTuple):
    """van Genuchten (1980): water content against tension. Contents in %, ``alpha`` per kPa."""

    residual: float
    saturation: float
    alpha: float
    n: float

    def water_percent(self, tension_kpa: float) -> float:
        m = 1 - 1 / self.n
        effective = math.pow(1 + math.pow(self.alpha * tension_kpa, self.n), -m)
        return self.residual + (self.saturation - self.residual) * effective

    def tension_kpa(self, water_percent: float) -> float:
        """The inverse; 0 at saturation, at most 10 MPa (air-dry)."""
        effective = (water_percent - self.residual) / (self.saturation - self.residual)
        if effective >= 1:
            return 0.0
        if effective <= 0:
            return 10_000.0
        m = 1 - 1 / self.n
        return min(math.pow(math.pow(effective, -1 / m) - 1, 1 / self.n) / self.alpha, 10_000.0)

    @classmethod
    def through(cls, saturation: float, field_capacity: float, wilting_point: float) -> "VanGenuchten":
        """The curve without residual water through a soil's field capacity (pF 1.8) and wilting point (pF 4.2)."""

        def with_n(n: float) -> "VanGenuchten":
            m = 1 - 1 / n
            alpha = ((wilting_point / saturation) ** (-1 / m) - 1) ** (1 / n) / WILTING_KPA
            return cls(0.0, saturation, alpha, n)

        low, high = 1.02, 4.0
        for _ in range(60):
            middle = (low + high) / 2
            too_flat = with_n(middle).water_percent(FIELD_CAPACITY_KPA) < field_capacity
            low, high = (middle, high) if too_flat else (low, middle)
        return with_n((low + high) / 2)


class SoilClass(NamedTuple):
    """A texture class: field capacity and plant-available water (KA5) and saturation (assumed), all % by volume."""

    name: str
    field_capacity: float
    available: float
    saturation: float

    @property
    def wilting_point(self) -> float:
        return self.field_capacity - self.available

    def at_share(self, share: float) -> float:
        """Water content, %, at this share 0..1 of the available water (relative extractable water, REW)."""
        return self.wilting_point + share * self.available

    def retention(self) -> VanGenuchten:
        return VanGenuchten.through(self.saturation, self.field_capacity, self.wilting_point)


# fmt: off
SOILS = {soil.name: soil for soil in (
    # KA5 class         FC     available  saturation
    SoilClass("Ss",   20.0,  16.0,      40.0),
    SoilClass("Sl2",  25.0,  18.0,      41.0),
    SoilClass("Sl3",  27.0,  18.0,      41.0),
    SoilClass("Sl4",  30.0,  18.0,      42.0),
    SoilClass("Slu",  33.0,  21.0,      42.0),
    SoilClass("Ls3",  33.0,  16.0,      43.0),
    SoilClass("Lu",   36.0,  17.0,      44.0),
    SoilClass("Ut3",  37.0,  25.0,      45.0),
    SoilClass("Tl",   41.0,  13.0,      48.0),
)}
# fmt: on


class Balance(NamedTuple):
    """The bucket at one time: what it stores and what has passed since the start, all mm of water."""

    storage: float
    rain: float = 0.0
    watering: float = 0.0
    transpiration: float = 0.0
    drainage: float = 0.0
    overflow: float = 0.0

    def between(self, later: "Balance", share: float) -> "Balance":
        return Balance(*(a + (b - a) * share for a, b in zip(self, later, strict=True)))


class TreePit:
    """One tree's root zone. State is a pure function of the weather, the start and the waterings so far.

    ``depth_mm`` and ``area_m2`` measure the root zone; ``demand`` is what the tree draws from each m2 of it on a day
    when grass would use 1 mm (crop coefficient times crown area over pit area); ``share`` is its REW at the start.
    """

    def __init__(
        self,
        soil: SoilClass,
        weather: Weather,
        *,
        depth_mm: float = 600.0,
        area_m2: float = 1.0,
        demand: float = 1.2,
        share: float = 0.8,
        sun: float = 0.7,
    ) -> None:
        self.soil = soil
        self._weather = weather
        self._retention = soil.retention()
        self._depth_mm = depth_mm
        self._area_m2 = area_m2
        self._demand = demand
        self._sun = sun
        self._steps = [Balance(depth_mm * soil.at_share(share) / 100)]
        self._waterings: dict[int, float] = {}

    def water(self, litres: float, now_us: int) -> None:
        """Pour ``litres`` into the pit; they are in the ground at the end of the running step of 10 minutes."""
        step = max(now_us, 0) // STEP_US
        self._waterings[step] = self._waterings.get(step, 0.0) + litres / self._area_m2
        del self._steps[step + 1 :]

    def balance(self, now_us: int) -> Balance:
        """The water balance at ``now_us``."""
        step, rest_us = divmod(max(now_us, 0), STEP_US)
        while len(self._steps) < step + 2:
            self._steps.append(self._next(self._steps[-1], len(self._steps) - 1))
        return self._steps[step].between(self._steps[step + 1], rest_us / STEP_US)

    def _next(self, now: Balance, step: int) -> Balance:
        from_us, to_us = step * STEP_US, (step + 1) * STEP_US
        full = self._depth_mm * self.soil.field_capacity / 100
        empty = self._depth_mm * self.soil.wilting_point / 100
        brim = self._depth_mm * self.soil.saturation / 100
        rain = RAIN_SHARE * self._weather.rain_mm(from_us, to_us)
        watering = self._waterings.get(step, 0.0)
        # FAO-56 "Water stress coefficient": Ks = (TAW - Dr) / ((1 - p) TAW)
        stress = min(max((now.storage - empty) / ((1 - STRESS_SHARE) * (full - empty)), 0.0), 1.0)
        transpiration = stress * self._demand * self._weather.et0_mm(from_us, to_us)
        drainage = max(now.storage - full, 0.0) * -math.expm1(-STEP_US / DRAINAGE_US) + PERCOLATION_SHARE * watering
        storage = now.storage + rain + watering - transpiration - drainage
        overflow = max(storage - brim, 0.0)
        return Balance(
            storage - overflow,
            now.rain + rain,
            now.watering + watering,
            now.transpiration + transpiration,
            now.drainage + drainage,
            now.overflow + overflow,
        )

    def moisture_percent(self, now_us: int) -> float:
        """Volumetric water content of the root zone, %."""
        return 100 * self.balance(now_us).storage / self._depth_mm

    def share(self, now_us: int) -> float:
        """Relative extractable water: 0 at the wilting point, 1 at field capacity, more when wetter."""
        return (self.moisture_percent(now_us) - self.soil.wilting_point) / self.soil.available

    def tension_kpa(self, now_us: int) -> float:
        return self._retention.tension_kpa(self.moisture_percent(now_us))

    def temperature_celsius(self, now_us: int, depth_m: float = 0.25) -> float:
        """Soil temperature: the daily wave of the air, damped and late by depth (heat conduction, one frequency)."""
        damping_m = math.sqrt(2 * _DIFFUSIVITY / _DAY_RAD_PER_S)  # about 12 cm
        lag_us = round(depth_m / damping_m / _DAY_RAD_PER_S * 1e6)
        then_us = now_us - lag_us
        wave = self._weather.air_celsius(then_us) - self._weather.mean_celsius(then_us)
        return self._weather.mean_celsius(now_us) + wave * math.exp(-depth_m / damping_m)

    def surface_celsius(self, now_us: int) -> float:
        """Surface of the pit: air, up to about 20 K more in full sun, a little less under a night sky."""
        return self._weather.air_celsius(now_us) + self._sun * (22 * self._weather.sunshine(now_us) - 1.5)
