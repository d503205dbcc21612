# SPDX-License-Identifier: EUPL-1.2
"""Sensirion SCD41 carbon dioxide sensor, single shots. Periodic measurement is not simulated: refused.

DS: SCD4x datasheet V1.5, "Command Overview", "Low Power Single Shot (SCD41)", "Electrical Specifications": a shot takes
5 s and 243 mJ at 3.3 V, idle 0.15 mA. Power-up time: 1 s in the first editions of the datasheet, 30 ms later; the
longer is the default. What NDIR sees is density: a wrong ambient pressure shifts the value by as much. Assumed: the
first shot after power-on or wake-up, which DS tells to discard, is a fifth too low.
"""

import random
from collections.abc import Callable

from simulators.chips.air_state import AirState
from simulators.chips.sensirion import Command, Fault, SensirionSim
from simulators.clock import Clock
from simulators.wires import Wire

ADDRESS = 0x62
POWER_UP_US = 1_000_000
SHOT_US = 5_000_000
WAKE_UP_US = 30_000
SHOT_UA, IDLE_UA, SLEEP_UA = 14_700, 150, 1
_WAKE_UP = 0x36F6
_DEFAULT_HPA = 1013
_FIRST = 0.8


class Scd41Sim(SensirionSim):
    """The sensor on a bus; ``power`` at level 1 means 3.3 V. ``read_truth(now_us)`` is the air around it."""

    def __init__(
        self,
        clock: Clock,
        power: Wire,
        read_truth: Callable[[int], AirState],
        *,
        seed: int = 0,
        noise_ppm: float = 5.0,
        power_up_us: int = POWER_UP_US,
    ) -> None:
        self._read_truth = read_truth
        self._random = random.Random(seed)
        self._noise_ppm = noise_ppm
        self._shots_since_on = 0
        self._words: list[int] | None = None
        self._ready_at_us = 0
        self._asc = True
        self._hpa = _DEFAULT_HPA
        self.shots = 0
        self.asc_shots = 0  # with automatic self-calibration: after a power cycle it learns nonsense
        super().__init__(clock, power, ADDRESS, power_up_us)
        idle = ("idle",)
        self._commands = {
            0x219D: Command(self._shoot, SHOT_US, (0,), idle),
            0xE4B8: Command(self._data_ready, 1_000),
            0xEC05: Command(self._measurement, 1_000),
            0x2416: Command(self._set_asc, 1_000, (1,), idle),
            0x2313: Command(lambda _arguments: [int(self._asc)], 1_000, (0,), idle),
            0xE000: Command(self._pressure, 1_000, (0, 1)),
            0x3682: Command(lambda _arguments: [0xF896, 0x9F07, 0x3BBE], 1_000, (0,), idle),
            0x36E0: Command(self._power_down, 1_000, (0,), idle),
            _WAKE_UP: Command(lambda _arguments: None, WAKE_UP_US, (0,), idle),
        }

    @property
    def sleeping(self) -> bool:
        return self._state == "sleep"

    def _powered_on(self) -> None:
        self._supply.draw(IDLE_UA)
        self._asc = True  # its settings come back from EEPROM, where nobody stored others
        self._hpa = _DEFAULT_HPA
        self._shots_since_on = 0
        self._words = None

    def _powered_off(self) -> None:
        self._words = None

    # Commands

    def _shoot(self, _arguments: list[int]) -> None:
        self.shots += 1
        self.asc_shots += self._asc
        self._shots_since_on += 1
        truth = self._read_truth(self._clock.now_us)
        co2 = truth.co2 * truth.air_pressure / self._hpa + self._random.uniform(-self._noise_ppm, self._noise_ppm)
        if self._shots_since_on == 1:
            co2 *= _FIRST
        if self.fault is Fault.OUT_OF_RANGE:
            co2 = 0.0
        words = [
            min(max(round(co2), 0), 40_000),
            round((truth.air_temperature + 45) * 65_535 / 175),
            round(truth.relative_humidity * 65_535 / 100),
        ]
        if not (self.fault is Fault.STUCK and self._shots_since_on > 1):
            self._words = words
            self._ready_at_us = self._clock.now_us + SHOT_US
        self._supply.draw(SHOT_UA)
        self._clock.after(SHOT_US, self._shot_ended)

    def _shot_ended(self) -> None:
        if self._supply.on and self._clock.now_us >= self._busy_until_us:
            self._supply.draw(IDLE_UA)

    def _available(self) -> bool:
        return (
            self._words is not None
            and self._clock.now_us >= self._ready_at_us
            and self.fault is not Fault.NEVER_READY
            and not (self.fault is Fault.STUCK and self._shots_since_on > 1)
        )

    def _data_ready(self, _arguments: list[int]) -> list[int]:
        return [0x8006 if self._available() else 0x8000]  # DS "get_data_ready_status": the low 11 bits count

    def _measurement(self, _arguments: list[int]) -> list[int] | None:
        if not self._available():
            return None  # the read header is then not acknowledged: "nothing was asked for"
        words, self._words = self._words, None
        return words

    def _set_asc(self, arguments: list[int]) -> None:
        if arguments[0] > 1:
            self._refuse("automatic self-calibration neither on nor off")
        self._asc = bool(arguments[0])

    def _pressure(self, arguments: list[int]) -> list[int] | None:
        if not arguments:
            return [self._hpa]
        if not 700 <= arguments[0] <= 1200:  # DS "set_ambient_pressure": 70 000 to 120 000 Pa
            self._refuse(f"ambient pressure of {arguments[0]} hPa")
        else:
            self._hpa = arguments[0]
        return None

    # Sleep: DS "wake_up": the command is not acknowledged, and the only one that is heard

    def _power_down(self, _arguments: list[int]) -> None:
        self._state = "sleep"
        self._words = None
        self._supply.draw(SLEEP_UA)

    def _selected_asleep(self) -> bool:
        return self._writing

    def write(self, byte: int) -> bool:
        if self._state != "sleep":
            return super().write(byte)
        self._written.append(byte)
        return len(self._written) < 2

    def stop(self) -> None:
        if self._state != "sleep":
            super().stop()
        elif self._writing and len(self._written) >= 2:
            if self._code() != _WAKE_UP:
                self._refuse(f"command 0x{self._code():04x} while sleep")
                return
            self._state = "idle"
            self._shots_since_on = 0
            self._busy_until_us = self._clock.now_us + WAKE_UP_US
            self._supply.draw(IDLE_UA)
