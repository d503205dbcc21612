# SPDX-License-Identifier: EUPL-1.2
"""Sensirion SPS30 particulate matter sensor, I2C interface.

DS: SPS30 datasheet V1.0 D1, March 2020: "Operation and Communication through the I2C Interface" (commands, formats,
execution times), "Device Status Register", "Electrical Specifications" (typical currents). Sleep mode needs firmware
2.0, the status register 2.2. Typical particle size and number concentrations are made up from the masses.
"""

import struct
from collections.abc import Callable

from simulators.chips.air_state import AirState
from simulators.chips.particles import Particles
from simulators.chips.sensirion import Command, Fault, SensirionSim
from simulators.clock import Clock
from simulators.wires import Wire

ADDRESS = 0x69
POWER_UP_US = 100_000  # DS "Reset": the same procedure as power-on, 100 ms
SLEEP_UA, IDLE_UA, MEASURING_UA = 38, 330, 55_000
_INTERFACE_US = 100_000  # DS "Wake-up": for so long the interface listens after a START
_FLOAT, _UINT16 = 0x03, 0x05
_FAN, _LASER, _SPEED = 1 << 4, 1 << 5, 1 << 21  # DS "Device Status Register"
_WAKE_UP = 0x1103


class Sps30Sim(SensirionSim):
    """The sensor on a bus; ``power`` at level 1 means 5 V. ``read_truth(now_us)`` is the air in its inlet."""

    def __init__(
        self,
        clock: Clock,
        power: Wire,
        read_truth: Callable[[int], AirState],
        *,
        seed: int = 0,
        noise_percent: float = 2.0,
        firmware: tuple[int, int] = (2, 3),
    ) -> None:
        self._particles = Particles(read_truth, seed, noise_percent)
        self._format = _FLOAT
        self._read_second = 0
        self._interface_until_us = 0
        super().__init__(clock, power, ADDRESS, POWER_UP_US)
        idle, measuring = ("idle",), ("measuring",)
        commands = {
            0x0010: Command(self._start, 20_000, (1,), idle),
            0x0104: Command(self._stop, 20_000, (0,), measuring),
            0x0202: Command(lambda _arguments: [int(self._fresh())], 0),
            0x0300: Command(self._values, 0, (0,), measuring),
            0x5607: Command(self._clean, 5_000, (0,), measuring),
            0xD100: Command(lambda _arguments: [firmware[0] << 8 | firmware[1]], 5_000),
            0xD304: Command(self._reset, POWER_UP_US),
        }
        if firmware >= (2, 0):
            commands[0x1001] = Command(self._sleep, 5_000, (0,), idle)
            commands[_WAKE_UP] = Command(self._wake_up, 5_000, (0,), ("idle", "measuring", "sleep"))
        if firmware >= (2, 2):
            commands[0xD206] = Command(self._status, 5_000)
        self._commands = commands

    @property
    def measuring(self) -> bool:
        return self._state == "measuring"

    @property
    def sleeping(self) -> bool:
        return self._state == "sleep"

    def _powered_on(self) -> None:
        self._supply.draw(IDLE_UA)

    def _powered_off(self) -> None:
        self._particles.stop()

    # Commands

    def _start(self, arguments: list[int]) -> None:
        self._format, dummy = divmod(arguments[0], 256)
        if self._format not in (_FLOAT, _UINT16) or dummy:
            self._refuse(f"output format 0x{arguments[0]:04x}")
            return
        self._state = "measuring"
        self._read_second = 0
        self._particles.start(self._clock.now_us)
        self._supply.draw(MEASURING_UA)

    def _stop(self, _arguments: list[int]) -> None:
        self._state = "idle"
        self._particles.stop()
        self._supply.draw(IDLE_UA)

    def _fresh(self) -> bool:
        """Whether there is a value that has not been read."""
        second = self._particles.second(self._clock.now_us)
        if self.fault is Fault.NEVER_READY or (self.fault is Fault.STUCK and self._read_second):
            return False
        return second > self._read_second

    def _values(self, _arguments: list[int]) -> list[int]:
        second = self._particles.second(self._clock.now_us)
        if not self._fresh():
            second = self._read_second
        self._read_second = second
        masses = self._particles.masses(second) if second else (0.0,) * 4
        if self.fault is Fault.OUT_OF_RANGE:
            masses = (30_000.0,) * 4
        if self.fault in (Fault.FAN, Fault.LASER):
            masses = (0.0,) * 4
        values = [*masses, *(7 * mass for mass in (masses[0], *masses)), 0.5]
        if self._format == _UINT16:
            return [min(round(value), 0xFFFF) for value in values[:9]] + [round(1000 * values[9])]
        return [word for value in values for word in struct.unpack(">HH", struct.pack(">f", value))]

    def _clean(self, _arguments: list[int]) -> None:
        self._particles.clean(self._clock.now_us)

    def _reset(self, _arguments: list[int]) -> None:
        self._stop([])

    def _status(self, _arguments: list[int]) -> list[int]:
        flags = 0
        if self.measuring:
            flags = {Fault.FAN: _FAN | _SPEED, Fault.FAN_SPEED: _SPEED, Fault.LASER: _LASER}.get(self.fault, 0)  # type: ignore[arg-type]
        return [flags >> 16, flags & 0xFFFF]

    # Sleep: the interface is off until a START, which it does not acknowledge; then it takes the wake-up command alone

    def _sleep(self, _arguments: list[int]) -> None:
        self._state = "sleep"
        self._interface_until_us = 0
        self._supply.draw(SLEEP_UA)

    def _selected_asleep(self) -> bool:
        if self._clock.now_us < self._interface_until_us:
            return self._writing
        self._interface_until_us = self._clock.now_us + _INTERFACE_US
        return False

    def _wake_up(self, _arguments: list[int]) -> None:
        if self._state == "sleep":
            self._state = "idle"
            self._supply.draw(IDLE_UA)
