# SPDX-License-Identifier: EUPL-1.2
"""Sensirion SEN55: particulate matter, humidity, temperature, VOC and NOx index.

DS: SEN5x datasheet V2 (2022), "I2C Commands" (execution times, scale factors, unknown values) and "Device Status
Register"; typical currents of "Electrical Characteristics". The NOx index is unknown for the first 10 s after power-on
(DS "Read Measured Values"). Assumed: both indices are 0 for the first 45 s of a measurement (Sensirion, "Gas Index
Algorithm", initial blackout), also with a restored state.
"""

from collections.abc import Callable

from simulators.chips.air_state import AirState
from simulators.chips.particles import Particles
from simulators.chips.sensirion import Command, Fault, SensirionSim
from simulators.clock import Clock
from simulators.wires import Wire

ADDRESS = 0x69
POWER_UP_US = 50_000  # DS "Timing Specifications": time after power-on until commands are accepted
IDLE_UA, GAS_ONLY_UA, MEASURING_UA = 2_600, 6_800, 63_000
_BLACKOUT_S, _NOX_UNKNOWN_US = 45, 10_500_000
_FAN, _LASER, _RHT, _GAS, _CLEANING, _SPEED = 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 19, 1 << 21
_STICKY = {
    Fault.FAN: _FAN,
    Fault.LASER: _LASER,
    Fault.RHT: _RHT,
    Fault.GAS: _GAS,
}
_UNKNOWN_U16, _UNKNOWN_I16 = 0xFFFF, 0x7FFF


class Sen55Sim(SensirionSim):
    """The sensor on a bus; ``power`` at level 1 means 5 V. ``read_truth(now_us)`` is the air around it."""

    def __init__(
        self,
        clock: Clock,
        power: Wire,
        read_truth: Callable[[int], AirState],
        *,
        seed: int = 0,
        noise_percent: float = 2.0,
    ) -> None:
        self._read_truth = read_truth
        self._particles = Particles(read_truth, seed, noise_percent)
        self._with_dust = False
        self._read_second = 0
        self._errors = 0
        self._voc_state = [0, 0, 0, 0]
        self._voc_to_restore: list[int] | None = None
        self.restored_voc: list[int] | None = None  # the state with which the present measurement began
        super().__init__(clock, power, ADDRESS, POWER_UP_US)
        idle = ("idle",)
        self._commands = {
            0x0021: Command(lambda _arguments: self._start(True), 50_000, (0,), idle),
            0x0037: Command(lambda _arguments: self._start(False), 50_000, (0,), idle),
            0x0104: Command(self._stop, 200_000),
            0x0202: Command(lambda _arguments: [int(self._fresh())], 20_000),
            0x03C4: Command(self._values, 20_000),
            0x5607: Command(self._clean, 20_000),
            0x6181: Command(self._voc, 20_000, (0, 4)),
            0xD206: Command(lambda _arguments: self._status(clear=False), 20_000),
            0xD210: Command(lambda _arguments: self._status(clear=True), 20_000),
            0xD304: Command(self._reset, 200_000),
        }

    @property
    def measuring(self) -> bool:
        return self._state == "measuring"

    def _powered_on(self) -> None:
        self._supply.draw(IDLE_UA)
        self._errors = 0
        self._voc_state = [0, 0, 0, 0]
        self._voc_to_restore = None

    def _powered_off(self) -> None:
        self._particles.stop()

    # Commands

    def _start(self, with_dust: bool) -> None:
        self._state = "measuring"
        self._with_dust = with_dust
        self._read_second = 0
        self._particles.start(self._clock.now_us)
        self.restored_voc, self._voc_to_restore = self._voc_to_restore, None
        self._supply.draw(MEASURING_UA if with_dust else GAS_ONLY_UA)

    def _stop(self, _arguments: list[int]) -> None:
        if self.measuring:
            self._voc_state = self._learnt()
        self._state = "idle"
        self._particles.stop()
        self._supply.draw(IDLE_UA)

    def _reset(self, _arguments: list[int]) -> None:
        self._stop([])
        self._powered_on()

    def _fresh(self) -> bool:
        if self.fault is Fault.NEVER_READY or (self.fault is Fault.STUCK and self._read_second):
            return False
        return self.measuring and self._particles.second(self._clock.now_us) > self._read_second

    def _values(self, _arguments: list[int]) -> list[int]:
        now_us = self._clock.now_us
        if self._fresh():
            self._read_second = self._particles.second(now_us)
        second = self._read_second
        unknown = [_UNKNOWN_U16] * 4 + [_UNKNOWN_I16] * 4
        if not self.measuring or not second or self.fault is Fault.NEVER_READY:
            return unknown
        if self.fault is Fault.OUT_OF_RANGE:
            return [60_000] * 4 + [12_000, 16_000, 5_010, 5_010]
        truth = self._read_truth(now_us)
        dust = unknown[:4]
        if self._with_dust and self.fault not in (Fault.FAN, Fault.LASER):
            dust = [min(round(10 * mass), 0xFFFE) for mass in self._particles.masses(second)]
        climate = unknown[4:6]
        if self.fault is not Fault.RHT:
            climate = [round(100 * truth.relative_humidity), round(200 * truth.air_temperature) & 0xFFFF]
        gases = unknown[6:]
        if self.fault not in (Fault.GAS, Fault.RHT):
            gases = [round(10 * truth.voc_index), round(10 * truth.nox_index)] if second > _BLACKOUT_S else [0, 0]
            if self._supply.on_us < _NOX_UNKNOWN_US:
                gases[1] = _UNKNOWN_I16
        return dust + climate + gases

    def _clean(self, _arguments: list[int]) -> None:
        if self.measuring and self._with_dust:  # DS: "in any other state, this command does nothing"
            self._particles.clean(self._clock.now_us)

    def _learnt(self) -> list[int]:
        """A state that is another one after every second of measuring."""
        return [0x4E53, self._particles.second(self._clock.now_us) & 0xFFFF, 0x0001, 0x2C00]

    def _voc(self, arguments: list[int]) -> list[int] | None:
        if not arguments:
            return self._learnt() if self.measuring else self._voc_state
        if self.measuring:  # DS: "in measure mode, this command has no effect"
            self._refuse("VOC state set while measuring")
        else:
            self._voc_to_restore = arguments
        return None

    def _status(self, *, clear: bool) -> list[int]:
        if self.measuring and self.fault is not None:
            self._errors |= _STICKY.get(self.fault, 0)  # DS: errors stay until they are cleared
        flags = self._errors
        if self.measuring and self.fault in (Fault.FAN, Fault.FAN_SPEED):
            flags |= _SPEED
        if self._particles.cleaning(self._clock.now_us):
            flags |= _CLEANING
        if clear:
            self._errors = 0
        return [flags >> 16, flags & 0xFFFF]
