# SPDX-License-Identifier: EUPL-1.2
"""Sensirion SCD41 carbon dioxide sensor on I2C, one shot at a time. DS = SCD4x datasheet V1.5.

Its supply is cut between readings, so it cannot calibrate itself (DS "Automatic self-calibration" wants a week without
a break): that is switched off, and the first shot after power-on is thrown away (DS "Low Power Single Shot"). Its
humidity and temperature are not given: it warms itself.
"""

from firmware.sensors.sensirion import Sensirion, same

if False:  # types only
    from collections.abc import Callable

    from firmware.hal import Clock, I2c, Values

_ADDRESS = 0x62
# DS "Command Overview"; execution times beside their use
_SHOOT = 0x219D
_READY = 0xE4B8
_READ = 0xEC05
_PRESSURE = 0xE000
_SELF_CALIBRATION = 0x2416
_POWER_DOWN = 0x36E0
_WAKE_UP = 0x36F6
_READY_BITS = 0x07FF
_POWER_UP_MS = 1_200  # 1 s in the first editions of DS
_WAKE_UP_MS = 30
_SHOT_MS = 5_000
_LATE_MS = 500
_LOWEST_HPA = 700  # DS "set_ambient_pressure"
_HIGHEST_HPA = 1_200
_LEAST_PPM = 300  # no air on Earth has less
_MOST_PPM = 40_000  # DS "CO2 output range"


class Scd41:
    """``i2c``: machine.I2C; ``clock``: the time module; ``sleep_ms``: how to pass the 5 s of a shot (light sleep).

    ``pressure_hpa``: of the air, if somebody knows it; set it before ``start``.
    """

    QUANTITIES = ("co2",)

    def __init__(self, i2c: "I2c", clock: "Clock", sleep_ms: "Callable[[int], object] | None" = None) -> None:
        self._sensor = Sensirion(i2c, clock, _ADDRESS, 3)
        self._sleep_ms = sleep_ms or clock.sleep_ms
        self._fault: "str | None" = "not_ready"
        self.pressure_hpa: "int | None" = None

    def start(self) -> int:
        """Begin the shot that is thrown away; return the ms until ``read`` may take the second, 0 if it never may."""
        sensor = self._sensor
        sensor.send(_WAKE_UP, _WAKE_UP_MS, (), 0)  # DS: not acknowledged
        self._sleep_ms(_WAKE_UP_MS)
        fault = sensor.send(_SELF_CALIBRATION, 1, (0,), _POWER_UP_MS)
        pressure = self.pressure_hpa
        if fault is None and pressure is not None and _LOWEST_HPA <= pressure <= _HIGHEST_HPA:
            fault = sensor.send(_PRESSURE, 1, (pressure,))
        self._fault = fault or sensor.send(_SHOOT)
        return _SHOT_MS if self._fault is None else 0

    def read(self) -> "Values":
        """Take the shot that counts (5 s) and return it, in ppm."""
        sensor = self._sensor
        fault = self._fault or sensor.send(_SHOOT)
        if fault is None:
            self._sleep_ms(_SHOT_MS)
            fault = sensor.wait(_READY, _READY_BITS, 1, _LATE_MS) or sensor.ask(_READ, 3, 1)
        if fault is not None:
            return same(self.QUANTITIES, fault)
        ppm = sensor.word(0)
        return {"co2": ppm if _LEAST_PPM <= ppm <= _MOST_PPM else "out_of_range"}

    def stop(self) -> None:
        """Send it to sleep."""
        self._fault = "not_ready"
        self._sensor.send(_POWER_DOWN, 1)
