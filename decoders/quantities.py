# SPDX-License-Identifier: EUPL-1.2
"""What is measured: names, units, words and plausible ranges, once for every folder."""

from collections.abc import Iterator
from typing import NamedTuple


class Quantity(NamedTuple):
    """``unit`` is a UCUM code; outside ``minimum``..``maximum`` (in ``unit``) a value cannot be true."""

    name: str
    unit: str
    de: str
    en: str
    minimum: float
    maximum: float


# fmt: off
_TABLE = (
    #        name                   unit   de                        en                     min   max
    Quantity("soil_moisture", "%", "Bodenfeuchte", "Soil moisture", 0.0, 100.0),
    Quantity("soil_water_tension", "kPa", "Saugspannung", "Soil water tension", 0.0, 2000.0),
    Quantity("soil_temperature", "Cel", "Bodentemperatur", "Soil temperature", -40.0, 70.0),
    Quantity("soil_permittivity", "1", "Permittivität des Bodens", "Soil permittivity", 1.0, 100.0),
    Quantity("surface_temperature", "Cel", "Oberflächentemperatur", "Surface temperature", -60.0, 90.0),
    Quantity("battery_voltage", "V", "Batteriespannung", "Battery voltage", 0.0, 30.0),
    Quantity("node_temperature", "Cel", "Temperatur im Gehäuse", "Temperature in the housing", -55.0, 125.0),
    Quantity("pm1", "ug/m3", "Feinstaub PM1", "Particulate matter PM1", 0.0, 1000.0),
    Quantity("pm2_5", "ug/m3", "Feinstaub PM2,5", "Particulate matter PM2.5", 0.0, 1000.0),
    Quantity("pm4", "ug/m3", "Feinstaub PM4", "Particulate matter PM4", 0.0, 1000.0),
    Quantity("pm10", "ug/m3", "Feinstaub PM10", "Particulate matter PM10", 0.0, 1500.0),
    Quantity("co2", "[ppm]", "Kohlendioxid", "Carbon dioxide", 0.0, 40_000.0),
    Quantity("air_temperature", "Cel", "Lufttemperatur", "Air temperature", -45.0, 85.0),
    Quantity("relative_humidity", "%", "Relative Luftfeuchte", "Relative humidity", 0.0, 100.0),
    Quantity("air_pressure", "hPa", "Luftdruck", "Air pressure", 300.0, 1100.0),
    Quantity("voc_index", "1", "VOC-Index", "VOC index", 0.0, 500.0),
    Quantity("nox_index", "1", "NOx-Index", "NOx index", 0.0, 500.0),
    # counts since the sample before; receding: away from the sensor
    Quantity("vehicle_count", "1", "Fahrzeuge", "Vehicles", 0.0, 60_000.0),
    Quantity("bicycle_count", "1", "Fahrräder", "Bicycles", 0.0, 60_000.0),
    Quantity("people_count", "1", "Personen", "People", 0.0, 60_000.0),
    # how a node is, weekly
    Quantity("firmware_version", "1", "Version der Firmware", "Firmware version", 0.0, 65_000.0),
    Quantity("reset_count_power", "1", "Neustarts nach Stromausfall", "Restarts after loss of power", 0.0, 65_000.0),
    Quantity("reset_count_watchdog", "1", "Neustarts durch Watchdog", "Restarts by the watchdog", 0.0, 65_000.0),
    Quantity("reset_count_other", "1", "Andere Neustarts", "Other restarts", 0.0, 65_000.0),
    Quantity("crash_count", "1", "Abstürze", "Crashes", 0.0, 65_000.0),
    Quantity("rx_hit_rate", "%", "Gehörte Antworten", "Answers heard", 0.0, 100.0),
    Quantity("clock_drift", "[ppm]", "Gang der Uhr", "Drift of the clock", -60_000.0, 60_000.0),
    Quantity("charge_used", "mA.h", "Verbrauchte Ladung", "Charge used", 0.0, 6_500.0),
    Quantity("heap_free", "By", "Freier Speicher", "Free memory", 0.0, 4_000_000.0),
    Quantity("sensor_fault_count", "1", "Fehler der Sensoren", "Faults of sensors", 0.0, 65_000.0),
    Quantity("radio_fault_count", "1", "Fehler des Funkteils", "Faults of the radio", 0.0, 65_000.0),
    Quantity("reading_lost_count", "1", "Verlorene Messwerte", "Readings lost", 0.0, 65_000.0),
)
# fmt: on
_DEPTHS = ("soil_moisture", "soil_temperature", "soil_water_tension")
_DIRECTIONS = (("approaching", "kommend", "approaching"), ("receding", "gehend", "receding"))
_SPEEDS = (("slow", "langsam", "slow"), ("medium", "mittel", "medium"), ("fast", "schnell", "fast"))


def _all() -> Iterator[Quantity]:
    yield from _TABLE
    for quantity in _TABLE:
        if quantity.name in _DEPTHS:
            for depth in (2, 3):
                name, de, en = (
                    f"{quantity.name}_{depth}",
                    f"{quantity.de}, {depth}. Tiefe",
                    f"{quantity.en}, depth {depth}",
                )
                yield quantity._replace(name=name, de=de, en=en)
        if quantity.name == "vehicle_count":
            for direction, *to in _DIRECTIONS:
                for speed, *how in _SPEEDS:
                    name = f"{quantity.name}_{direction}_{speed}"
                    yield quantity._replace(
                        name=name, de=f"{quantity.de}, {to[0]}, {how[0]}", en=f"{quantity.en}, {to[1]}, {how[1]}"
                    )


QUANTITIES = {quantity.name: quantity for quantity in _all()}
