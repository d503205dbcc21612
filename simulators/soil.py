# SPDX-License-Identifier: EUPL-1.2
"""A tree pit as layers of soil: rain and watering in; roots, evaporation, drainage and overflow out; its temperatures.

FAO-56: Allen et al. (1998), FAO Irrigation and Drainage Paper 56. Buehler et al. (100 street pits in Copenhagen): the
days after a watering are ruled by drainage, which dies away, only then by the roots; so there are two limbs here too.
"""

import math
from datetime import UTC, datetime
from typing import NamedTuple

from simulators.clock import DAY_US
from simulators.retention import FREEZING_KPA_PER_K, SoilClass, liquid_percent, permittivity, water_seen_percent
from simulators.weather import Weather

STEP_US = 600_000_000  # water moves in steps of 10 minutes; between them its state runs straight
STRESS_SHARE = 0.5  # FAO-56 "Water stress coefficient": p, share of the available water that costs the tree nothing
DRAINAGE_US = 0.6 * DAY_US  # time constant of what is above field capacity, a layer (assumption, Buehler's ten days)
PERCOLATION_SHARE = 0.3  # of each watering runs past the roots (efficiency 0.7, assumption)
RAIN_SHARE = 0.6  # of the rain reaches the pit through crown and sealing (assumption)
LAYERS = (0.2, 0.4, 0.4)  # of the root zone's depth, from above; 10, 20 and 20 cm of half a metre
ROOTS = (0.22, 0.43, 0.35)  # share of the tree's fine roots in each (assumption)
EVAPORATION = 0.10  # of what grass would use, from the shaded top layer (assumption)
PROBE_M = 0.20
_DIFFUSIVITY = 5e-7  # m2/s, thermal, moist mineral soil
_DAY_RAD_PER_S = 2 * math.pi / 86_400
# Days of the year between which a lime in Jena gets its leaves and loses them (DWD phenology, rounded).
_BUDS, _LEAVES, _YELLOW, _BARE = 100, 125, 270, 305


class Balance(NamedTuple):
    """The pit at one time: what its layers store and what has passed since the start, all mm of water."""

    layers: tuple[float, ...]
    rain: float = 0.0
    watering: float = 0.0
    transpiration: float = 0.0
    evaporation: float = 0.0
    drainage: float = 0.0
    overflow: float = 0.0

    @property
    def storage(self) -> float:
        return sum(self.layers)

    def between(self, later: "Balance", share: float) -> "Balance":
        layers = tuple(a + (b - a) * share for a, b in zip(self.layers, later.layers, strict=True))
        return Balance(layers, *(a + (b - a) * share for a, b in zip(self[1:], later[1:], strict=True)))


class TreePit:
    """One tree's root zone. State is a pure function of the weather, the start and the waterings so far.

    ``depth_mm`` and ``area_m2`` measure the root zone; ``demand`` is what the tree in leaf draws from each m2 of it on
    a day when grass would use 1 mm (crop coefficient times crown area over pit area); ``share`` is the REW of every
    layer at the start. Questions with ``depth_m`` are about the layer there, those without about the whole zone.
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
        self._depths = tuple(part * depth_mm for part in LAYERS)
        self._area_m2 = area_m2
        self._demand = demand
        self._sun = sun
        self._steps = [Balance(tuple(depth * soil.at_share(share) / 100 for depth in self._depths))]
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
        soil, from_us, to_us = self.soil, step * STEP_US, (step + 1) * STEP_US
        et0 = self._weather.et0_mm(from_us, to_us)
        wanted = self._demand * et0 * self._leaves(from_us)
        layers, drawn = list(now.layers), 0.0
        for n, depth in enumerate(self._depths):
            # FAO-56 "Water stress coefficient": Ks = (TAW - Dr) / ((1 - p) TAW)
            rew = (100 * layers[n] / depth - soil.wilting_point) / soil.available
            draw = wanted * ROOTS[n] * min(max(rew / (1 - STRESS_SHARE), 0.0), 1.0)
            layers[n] -= draw
            drawn += draw
        # FAO-56 "Evaporation reduction coefficient": the top layer dries to half the wilting point
        driest = soil.wilting_point / 2
        moist = (100 * layers[0] / self._depths[0] - driest) / (soil.field_capacity - driest)
        evaporation = EVAPORATION * et0 * min(max(moist, 0.0), 1.0)
        layers[0] -= evaporation
        rain = RAIN_SHARE * self._weather.rain_mm(from_us, to_us)
        watering = self._waterings.get(step, 0.0)
        past = PERCOLATION_SHARE * watering
        drainage, overflow = self._flow(layers, rain + watering - past)
        return Balance(
            tuple(layers),
            now.rain + rain,
            now.watering + watering,
            now.transpiration + drawn,
            now.evaporation + evaporation,
            now.drainage + drainage + past,
            now.overflow + overflow,
        )

    def _flow(self, layers: list[float], arriving: float) -> tuple[float, float]:
        """Let water sink in from above and drain; return (mm that left below, mm that did not get in)."""
        share = -math.expm1(-STEP_US / DRAINAGE_US)
        drainage = 0.0
        for n in reversed(range(len(layers))):
            excess = max(layers[n] - self._depths[n] * self.soil.field_capacity / 100, 0.0) * share
            below = n + 1
            if below < len(layers):
                excess = min(excess, self._depths[below] * self.soil.saturation / 100 - layers[below])
                layers[below] += excess
            else:
                drainage = excess
            layers[n] -= excess
        for n, depth in enumerate(self._depths):
            held = min(arriving, depth * self.soil.saturation / 100 - layers[n])
            layers[n] += held
            arriving -= held
        return drainage, arriving

    def _leaves(self, now_us: int) -> float:
        """Share of the leaves that are out."""
        if not self._demand:
            return 0.0
        day = datetime.fromtimestamp(self._weather.start_unix_s + now_us // 1_000_000, UTC).timetuple().tm_yday
        return min(max(min((day - _BUDS) / (_LEAVES - _BUDS), (_BARE - day) / (_BARE - _YELLOW)), 0.0), 1.0)

    def _layer(self, depth_m: float) -> int:
        bottom_mm = 0.0
        for n, depth in enumerate(self._depths):
            bottom_mm += depth
            if 1000 * depth_m < bottom_mm:
                return n
        return len(self._depths) - 1

    def moisture_percent(self, now_us: int, depth_m: float | None = None) -> float:
        """Volumetric water content, frozen or not, %."""
        balance = self.balance(now_us)
        if depth_m is None:
            return 100 * balance.storage / sum(self._depths)
        layer = self._layer(depth_m)
        return 100 * balance.layers[layer] / self._depths[layer]

    def share(self, now_us: int, depth_m: float | None = None) -> float:
        """Relative extractable water: 0 at the wilting point, 1 at field capacity, more when wetter."""
        return (self.moisture_percent(now_us, depth_m) - self.soil.wilting_point) / self.soil.available

    def tension_kpa(self, now_us: int, depth_m: float | None = None) -> float:
        """How tightly the water is held, by van Genuchten; beside ice it is held as the frost demands."""
        tension = self._retention.tension_kpa(self.moisture_percent(now_us, depth_m))
        frost_k = -self.temperature_celsius(now_us, PROBE_M if depth_m is None else depth_m)
        return max(tension, frost_k * FREEZING_KPA_PER_K)

    def permittivity(self, now_us: int, depth_m: float = PROBE_M) -> float:
        """Relative permittivity of the soil; it collapses when the water freezes."""
        water = self.moisture_percent(now_us, depth_m)
        liquid = liquid_percent(self._retention, water, self.temperature_celsius(now_us, depth_m))
        return permittivity(liquid, water - liquid)

    def seen_percent(self, now_us: int, depth_m: float = PROBE_M) -> float:
        """The water content that a dielectric probe finds: the true one, but in frozen soil far too little."""
        if self.temperature_celsius(now_us, depth_m) >= 0:
            return self.moisture_percent(now_us, depth_m)
        return water_seen_percent(self.permittivity(now_us, depth_m))

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
