# SPDX-License-Identifier: EUPL-1.2
"""Sensirion SEN55 particulate matter, humidity, VOC and NOx sensor on I2C. DS = SEN5x datasheet Version 2 (2022)."""

if False:  # types only
    from firmware.hal import Clock, I2c, Values


class Sen55:
    """``i2c``: machine.I2C, at most 100 kHz; ``clock``: the time module. 5 V, its SEL pin at ground."""

    QUANTITIES = ("pm1", "pm2_5", "pm4", "pm10", "relative_humidity", "air_temperature", "voc_index", "nox_index")

    def __init__(self, i2c: "I2c", clock: "Clock") -> None:
        self._i2c = i2c
        self._clock = clock

    def start(self) -> int:
        """Start all sensors in it; return the ms until a value can be trusted."""
        return 30_000

    def read(self) -> "Values":
        """Return the latest second."""
        return dict.fromkeys(self.QUANTITIES, "not_ready")

    def stop(self) -> None:
        """Fan, laser and heater off."""

    def clean(self) -> int:
        """While started: blow the dust out; return the ms until a value can be trusted again."""
        return 40_000
