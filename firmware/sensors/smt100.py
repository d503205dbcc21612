# SPDX-License-Identifier: EUPL-1.2
"""Truebner SMT100 soil moisture and temperature sensor on Modbus RTU.

AN002 = Truebner application note "SMT100 Modbus Quickstart Guide". A value is a number that was measured or the name
of a fault; the driver raises nothing for a sensor's sake.
"""

from firmware.sensors.modbus import Modbus

if False:  # types only
    from firmware.hal import Clock, Pin, Uart, Value

START_MS = 400  # from power on to an answer; 300 ms asked for by the sister SMT50's data sheet, and margin
_TEMPERATURE = 0  # AN002: holding register 0, (raw - 10000) / 100 degrees Celsius; 1, raw / 100 % water by volume
_ZERO_CEL = 10_000
_COLDEST_CENTI_CEL = -4_000  # SMT100 data sheet: -40..80 degrees Celsius
_HOTTEST_CENTI_CEL = 8_000
_WETTEST_CENTI_PERCENT = 10_000  # pure water


class Smt100:
    """One sensor on the line of ``uart`` and driver-enable pin ``de``; ``clock`` is the time module."""

    def __init__(self, uart: "Uart", de: "Pin", clock: "Clock", address: int = 1) -> None:
        self._modbus = Modbus(uart, de, clock)
        self._address = address

    def read(self) -> "tuple[Value, Value]":
        """Return (soil moisture in 0.01 %, soil temperature in 0.01 degrees Celsius); a fault's name for either."""
        registers, fault = self._modbus.read_holding_registers(self._address, _TEMPERATURE, 2)
        if fault is not None:
            return fault, fault
        temperature: "Value"
        moisture: "Value"
        temperature = registers[0] - _ZERO_CEL
        moisture = registers[1]
        if not _COLDEST_CENTI_CEL <= temperature <= _HOTTEST_CENTI_CEL:
            temperature = "out_of_range"
        if moisture > _WETTEST_CENTI_PERCENT:
            moisture = "out_of_range"
        return moisture, temperature
