# SPDX-License-Identifier: EUPL-1.2
"""How soil holds water: tension and water content, permittivity, and what frost leaves liquid.

KA5: Bodenkundliche Kartieranleitung, 5th edition (field capacity and available water by texture class). Topp, Davis and
Annan (1980), Water Resources Research 16, 574-582: permittivity of moist soil. Where ice and water stand side by side,
the water is held as tightly as the frost demands (Clausius-Clapeyron), so the retention curve says how much is liquid.
"""

import math
from typing import NamedTuple

FIELD_CAPACITY_KPA = 6.0  # pF 1.8
WILTING_KPA = 1585.0  # pF 4.2
FREEZING_KPA_PER_K = 1_220.0  # latent heat of fusion 334 kJ/kg at 273 K: 334e3 * 1000 / 273.15 Pa
_ICE_LESS_AIR = 2.2  # permittivity 3.2 of ice, less the 1 of the air in its place


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


def permittivity(water_percent: float, ice_percent: float = 0.0) -> float:
    """Of mineral soil: Topp (1980), equation 6; ice in the pores adds little."""
    water = water_percent / 100
    return 3.03 + 9.3 * water + 146 * water**2 - 76.7 * water**3 + _ICE_LESS_AIR * ice_percent / 100


def water_seen_percent(relative_permittivity: float) -> float:
    """The water content that a dielectric probe takes this permittivity for: Topp's equation, solved."""
    low, high = 0.0, 60.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if permittivity(middle) < relative_permittivity else (low, middle)
    return (low + high) / 2


def liquid_percent(retention: VanGenuchten, water_percent: float, celsius: float) -> float:
    """What of the water is not frozen at this temperature."""
    if celsius >= 0:
        return water_percent
    return min(water_percent, retention.water_percent(-celsius * FREEZING_KPA_PER_K))
