# SPDX-License-Identifier: EUPL-1.2
"""Truebner SMT100 soil moisture and temperature sensor on Modbus RTU.

AN002 = Truebner application note "SMT100 Modbus Quickstart Guide". A value is a number that was measured or the name
of a fault; the driver raises nothing for a sensor's sake.
"""

from firmware.sensors.modbus import Modbus
from firmware.sensors.soil import in_soil, plausible

if False:  # types only
    from firmware.hal import Clock, Pin, Uart, Values

_START_MS = 400  # from power on to an answer; 300 ms asked for by the sister SMT50's data sheet, and margin
# AN002, holding registers: temperature (raw - 10000) / 100 degrees Celsius, raw / 100 % water by volume, permittivity
_FIRST, _COUNT = 0, 3
_ZERO_CEL = 10_000
_REGISTERS = (("soil_temperature", _ZERO_CEL), ("soil_moisture", 0), ("soil_permittivity", 0))  # name, zero


class Smt100:
    """One sensor on the line of ``uart`` and driver-enable pin ``de``; ``clock`` is the time module."""

    QUANTITIES = ("soil_moisture", "soil_temperature", "soil_permittivity")

    def __init__(self, uart: "Uart", de: "Pin", clock: "Clock", address: int = 1) -> None:
        self._modbus = Modbus(uart, de, clock)
        self._address = address

    def start(self) -> int:
        """Power is on; return the ms until it answers."""
        return _START_MS

    def read(self) -> "Values":
        """Moisture in 0.01 % water by volume, temperature in 0.01 degrees Celsius, permittivity in hundredths."""
        registers, fault = self._modbus.read_holding_registers(self._address, _FIRST, _COUNT)
        if fault is not None:
            return dict.fromkeys(self.QUANTITIES, fault)
        return in_soil({name: plausible(name, registers[n] - zero) for n, (name, zero) in enumerate(_REGISTERS)})

    def stop(self) -> None:
        """Nothing to do before its power goes off."""
