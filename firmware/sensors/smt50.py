# SPDX-License-Identifier: EUPL-1.2
"""Truebner SMT50 soil moisture and temperature sensor with two analogue outputs. DS = SMT50 data sheet.

DS: moisture in % is U * 50 / 3 V, temperature in degrees Celsius (U - 0.5 V) * 100; 300 ms after power-on they hold.
A resistor pulls each input to ground, so that a sensor that is not there shows -50 degrees, which no sensor measures,
and a moisture wire that is cut alone shows 0 %, which no soil has.
"""

from firmware.sensors.soil import plausible

if False:  # types only
    from firmware.hal import Adc, Clock, Values

_START_MS = 350
_READINGS = 8  # averaged: one step of the converter is 0.1 degrees
_OPEN_UV = 100_000  # less than -40 degrees
_CUT_UV = 30_000  # half a per cent of water; soil dries to about 2 %, a converter's zero may be off by 20 mV
_SUPPLY_UV = 3_050_000  # more than any output gives
_WETTEST = 5_000  # DS: 0 to 50 %
_ROUNDING = 25  # half a per cent of that: tolerance of the converter


class Smt50:
    """``moisture``, ``temperature``: the inputs; ``clock``: the time module."""

    QUANTITIES = ("soil_moisture", "soil_temperature")

    def __init__(self, moisture: "Adc", temperature: "Adc", clock: "Clock") -> None:
        self._inputs = (moisture, temperature)
        self._clock = clock
        self._started = False

    def start(self) -> int:
        """Power is on; return the ms until the outputs hold."""
        self._started = True
        return _START_MS

    def read(self) -> "Values":
        """Moisture in 0.01 % water by volume, temperature in 0.01 degrees Celsius."""
        fault = None if self._started else "not_ready"
        moisture_uv, temperature_uv = [self._average_uv(adc) for adc in self._inputs] if self._started else (0, 0)
        if fault is None and temperature_uv < _OPEN_UV:
            fault = "open_circuit"
        if fault is not None:
            return dict.fromkeys(self.QUANTITIES, fault)
        values: "Values" = {"soil_moisture": "short_circuit", "soil_temperature": "short_circuit"}
        if moisture_uv < _CUT_UV:
            values["soil_moisture"] = "open_circuit"
        elif moisture_uv < _SUPPLY_UV:
            moisture = (moisture_uv + 300) // 600
            values["soil_moisture"] = min(moisture, _WETTEST) if moisture <= _WETTEST + _ROUNDING else "out_of_range"
        if temperature_uv < _SUPPLY_UV:
            values["soil_temperature"] = plausible("soil_temperature", (temperature_uv - 500_000 + 50) // 100)
        return values

    def stop(self) -> None:
        """Nothing to do before its power goes off."""
        self._started = False

    @staticmethod
    def _average_uv(adc: "Adc") -> int:
        total = 0
        for _ in range(_READINGS):
            total += adc.read_uv()
        return total // _READINGS
