# SPDX-License-Identifier: EUPL-1.2
"""What is measured: names, units, words and plausible ranges, once for every folder."""

from typing import NamedTuple


class Quantity(NamedTuple):
    """``unit`` is a UCUM code; outside ``minimum``..``maximum`` (in ``unit``) a value cannot be true."""

    name: str
    unit: str
    de: str
    en: str
    minimum: float
    maximum: float


_TABLE = (
    #        name                   unit   de                        en                     min   max
    Quantity("soil_moisture", "%", "Bodenfeuchte", "Soil moisture", 0.0, 100.0),
    Quantity("soil_water_tension", "kPa", "Saugspannung", "Soil water tension", 0.0, 2000.0),
    Quantity("soil_temperature", "Cel", "Bodentemperatur", "Soil temperature", -40.0, 70.0),
    Quantity("surface_temperature", "Cel", "Oberflächentemperatur", "Surface temperature", -60.0, 90.0),
    Quantity("battery_voltage", "V", "Batteriespannung", "Battery voltage", 0.0, 30.0),
)

QUANTITIES = {quantity.name: quantity for quantity in _TABLE}
