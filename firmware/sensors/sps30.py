# SPDX-License-Identifier: EUPL-1.2
"""Sensirion SPS30 particulate matter sensor on I2C. DS = datasheet Version 1.0 D1, March 2020."""

if False:  # types only
    from firmware.hal import Clock, I2c, Values


class Sps30:
    """``i2c``: machine.I2C, at most 100 kHz; ``clock``: the time module. 5 V, its SEL pin at ground."""

    QUANTITIES = ("pm1", "pm2_5", "pm4", "pm10")

    def __init__(self, i2c: "I2c", clock: "Clock") -> None:
        self._i2c = i2c
        self._clock = clock

    def start(self) -> int:
        """Start fan and laser; return the ms until a value can be trusted."""
        return 30_000

    def read(self) -> "Values":
        """Return the latest second, in 0.1 ug/m3."""
        return dict.fromkeys(self.QUANTITIES, "not_ready")

    def stop(self) -> None:
        """Fan and laser off, asleep."""

    def clean(self) -> int:
        """While started: blow the dust out, which the sensor does by itself only after a week under power.

        Return the ms until a value can be trusted again.
        """
        return 40_000
