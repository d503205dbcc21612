# SPDX-License-Identifier: EUPL-1.2
"""Which instrument of a tree node measures which quantity, in the words of SensorThings' Sensor."""

from typing import NamedTuple


class Instrument(NamedTuple):
    """``metadata`` is the address of the maker's description."""

    name: str
    description: str
    metadata: str


SMT100 = Instrument(
    "Truebner SMT100",
    "Soil moisture and temperature probe (time domain transmission), RS485",
    "https://www.truebner.de/en/smt100.php",
)
DS18B20 = Instrument(
    "DS18B20",
    "Digital thermometer at the surface of the planting pit, 1-Wire",
    "https://www.analog.com/en/products/ds18b20.html",
)
BATTERY = Instrument(
    "Battery monitor", "Voltage of the node's own battery", "https://heltec.org/project/wifi-lora-32-v3/"
)

BY_QUANTITY = {
    "soil_moisture": SMT100,
    "soil_temperature": SMT100,
    "surface_temperature": DS18B20,
    "battery_voltage": BATTERY,
}
UNNAMED = Instrument("Unnamed instrument", "The registry does not say which instrument this is", "about:blank")
