# SPDX-License-Identifier: EUPL-1.2
"""Which instrument of a node measures which quantity, in the words of SensorThings' Sensor."""

from typing import NamedTuple


class Instrument(NamedTuple):
    """``metadata`` is the address of the maker's description."""

    name: str
    description: str
    metadata: str


_BATTERY = Instrument(
    "Battery monitor", "Voltage of the node's own battery", "https://heltec.org/project/wifi-lora-32-v3/"
)
_PROCESSOR = Instrument(
    "Processor", "Temperature of the node's processor", "https://heltec.org/project/wifi-lora-32-v3/"
)
UNNAMED = Instrument("Unnamed instrument", "The registry does not say which instrument this is", "about:blank")

_SOIL = ("soil_moisture", "soil_temperature", "soil_permittivity")
_DUST = ("pm1", "pm2_5", "pm4", "pm10")
_SENSIRION = "https://sensirion.com/products/catalog"
# name in the registry: the instrument, and what it measures. The first of a node's that fits is it.
INSTRUMENTS = {
    "SMT100": (
        Instrument(
            "Truebner SMT100",
            "Soil moisture and temperature probe (time domain transmission), RS485",
            "https://www.truebner.de/en/smt100.php",
        ),
        _SOIL,
    ),
    "SMT50": (
        Instrument("Truebner SMT50", "Analogue soil moisture and temperature probe", "https://www.truebner.de/en/"),
        _SOIL[:2],
    ),
    "200SS": (
        Instrument("Irrometer Watermark 200SS", "Granular matrix sensor", "https://www.irrometer.com/sensors.html"),
        ("soil_water_tension",),
    ),
    "DS18B20": (
        Instrument(
            "DS18B20",
            "Digital thermometer at the surface of the planting pit, 1-Wire",
            "https://www.analog.com/en/products/ds18b20.html",
        ),
        ("surface_temperature", "soil_temperature"),
    ),
    "SPS30": (Instrument("Sensirion SPS30", "Optical particle sensor", f"{_SENSIRION}/SPS30"), _DUST),
    "SEN55": (
        Instrument("Sensirion SEN55", "Optical particle, gas, humidity sensor", f"{_SENSIRION}/SEN55"),
        (*_DUST, "air_temperature", "relative_humidity", "voc_index", "nox_index"),
    ),
    "SDS011": (
        Instrument(
            "Nova SDS011", "Optical particle sensor", "https://www.inovafitness.com/en/a/chanpinzhongxin/95.html"
        ),
        ("pm2_5", "pm10"),
    ),
    "BME280": (
        Instrument(
            "Bosch BME280",
            "Pressure, humidity and temperature sensor",
            "https://www.bosch-sensortec.com/products/environmental-sensors/humidity-sensors-bme280/",
        ),
        ("air_temperature", "relative_humidity", "air_pressure"),
    ),
    "SCD41": (
        Instrument("Sensirion SCD41", "Photoacoustic CO2 sensor", f"{_SENSIRION}/SCD41"),
        ("co2", "air_temperature", "relative_humidity"),
    ),
    "LD2451": (
        Instrument("Hi-Link HLK-LD2451", "24 GHz radar that counts vehicles by speed", "https://www.hlktech.net/"),
        ("vehicle_count", "bicycle_count"),
    ),
    "OPS243": (
        Instrument(
            "OmniPreSense OPS243", "24 GHz radar that counts vehicles", "https://omnipresense.com/product/ops243/"
        ),
        ("vehicle_count", "bicycle_count"),
    ),
    "pulses": (
        Instrument("Pulse counter", "Contacts of a tube, loop or motion detector", "about:blank"),
        ("vehicle_count", "bicycle_count", "people_count"),
    ),
}
_OF_A_TREE_NODE = ("SMT100", "DS18B20", "200SS")


def of(quantity: str, names: tuple[str, ...]) -> Instrument:
    """What measures ``quantity`` at a node with the instruments ``names``; by default those of a tree node."""
    if quantity in ("battery_voltage", "node_temperature"):
        return _BATTERY if quantity == "battery_voltage" else _PROCESSOR
    for name in names or _OF_A_TREE_NODE:
        instrument, quantities = INSTRUMENTS[name]
        if any(quantity == known or quantity.startswith(f"{known}_") for known in quantities):
            return instrument
    return UNNAMED
