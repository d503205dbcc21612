# SPDX-License-Identifier: EUPL-1.2
"""Sensirion SCD41 carbon dioxide sensor on I2C, one shot at a time. DS = SCD4x datasheet Version 1.5."""

if False:  # types only
    from collections.abc import Callable

    from firmware.hal import Clock, I2c, Values


class Scd41:
    """``i2c``: machine.I2C; ``clock``: the time module; ``sleep_ms``: how to pass the 5 s of a shot (light sleep).

    ``pressure_hpa``: of the air, if somebody knows it; set it before ``start``.
    """

    QUANTITIES = ("co2",)

    def __init__(self, i2c: "I2c", clock: "Clock", sleep_ms: "Callable[[int], object] | None" = None) -> None:
        self._i2c = i2c
        self._sleep_ms = sleep_ms or clock.sleep_ms
        self.pressure_hpa: "int | None" = None
        self._clock = clock

    def start(self) -> int:
        """Begin the shot that is thrown away; return the ms until ``read``, which takes the second."""
        return 5_000

    def read(self) -> "Values":
        """Take the shot that counts (5 s) and return it, in ppm."""
        return dict.fromkeys(self.QUANTITIES, "not_ready")

    def stop(self) -> None:
        """Send it to sleep."""
