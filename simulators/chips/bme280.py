# SPDX-License-Identifier: EUPL-1.2
"""Bosch BME280 humidity, pressure and temperature sensor on I2C, forced mode; a BMP280 is one without humidity.

DS: BST-BME280-DS002 revision 1.6: "Memory map", "Sensor modes", "Measurement time" (its maximum), "I2C interface" and
the appendix "Compensation formulas in double precision floating point", which here are turned round: they say what the
converter must have counted for a truth. Calibration of temperature and pressure: the worked example of the BMP280's
datasheet (BST-BMP280-DS001, "Calculating pressure and temperature"); of humidity: a usual chip's.
"""

import random
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from simulators.chips.air_state import AirState
from simulators.chips.refusals import Refusals
from simulators.chips.supply import Powered, Supply
from simulators.clock import Clock
from simulators.wires import Wire

STARTUP_US = 2_000  # DS "Electrical parameter specification": start-up time
MEASURING_UA, SLEEPING_UA = 714, 0  # DS: during a pressure measurement; 0.1 uA asleep
BME280_ID, BMP280_ID = 0x60, 0x58
_SKIPPED, _SKIPPED_HUMIDITY = 0x80000, 0x8000
_ID, _RESET, _CTRL_HUM, _STATUS, _CTRL_MEAS, _CONFIG, _DATA = 0xD0, 0xE0, 0xF2, 0xF3, 0xF4, 0xF5, 0xF7


class Fault(Enum):
    """What can be wrong with the sensor or its cable."""

    ABSENT = "no sensor on the cable"
    NACK = "powered, but acknowledges nothing"
    NEVER_READY = "a measurement that does not end"
    STUCK = "takes commands, but measures nothing: the data stay as after a reset"
    OUT_OF_RANGE = "the converter at its limits"
    BLANK = "the calibration reads as zeros"
    ERASED = "the calibration reads as ones"


class Calibration(NamedTuple):
    """The words of DS "Trimming parameter readout"."""

    t: tuple[int, int, int] = (27504, 26435, -1000)
    p: tuple[int, int, int, int, int, int, int, int, int] = (
        36477,
        -10685,
        3024,
        2855,
        140,
        -7,
        15500,
        -14600,
        6000,
    )
    h: tuple[int, int, int, int, int, int] = (75, 362, 0, 326, 50, 30)

    def registers(self) -> dict[int, int]:
        """The bytes of 0x88..0xA1 and 0xE1..0xE7."""
        words = b"".join((word & 0xFFFF).to_bytes(2, "little") for word in (*self.t, *self.p))
        h1, h2, h3, h4, h5, h6 = self.h
        humidity = (h2 & 0xFFFF).to_bytes(2, "little") + bytes(
            [h3, h4 >> 4 & 0xFF, h4 & 0xF | (h5 & 0xF) << 4, h5 >> 4 & 0xFF, h6 & 0xFF]
        )
        low = dict(enumerate(words, 0x88))
        return low | {0xA0: 0, 0xA1: h1} | dict(enumerate(humidity, 0xE1))

    def t_fine(self, counts: int) -> float:
        t1, t2, t3 = self.t
        var1 = (counts / 16384 - t1 / 1024) * t2
        return var1 + (counts / 131072 - t1 / 8192) ** 2 * t3

    def celsius(self, counts: int) -> float:
        return self.t_fine(counts) / 5120

    def pascal(self, counts: int, t_fine: float) -> float:
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self.p
        var1 = t_fine / 2 - 64000
        var2 = var1 * var1 * p6 / 32768 + var1 * p5 * 2
        var2 = var2 / 4 + p4 * 65536
        var1 = (p3 * var1 * var1 / 524288 + p2 * var1) / 524288
        var1 = (1 + var1 / 32768) * p1
        p = (1048576 - counts - var2 / 4096) * 6250 / var1
        return p + (p9 * p * p / 2147483648 + p * p8 / 32768 + p7) / 16

    def percent(self, counts: int, t_fine: float) -> float:
        """Not limited to 0..100."""
        h1, h2, h3, h4, h5, h6 = self.h
        x = t_fine - 76800
        x = (counts - (h4 * 64 + h5 / 16384 * x)) * (h2 / 65536 * (1 + h6 / 67108864 * x * (1 + h3 / 67108864 * x)))
        return x * (1 - h1 * x / 524288)


def counts_for(value: float, bits: int, formula: Callable[[int], float]) -> int:
    """The counts whose ``formula``, which rises or falls everywhere, comes nearest to ``value``."""
    low, high = 0, (1 << bits) - 1
    rising = formula(high) > formula(low)
    while low < high:
        middle = (low + high) // 2
        if (formula(middle) < value) == rising:
            low = middle + 1
        else:
            high = middle
    return min((max(low - 1, 0), low), key=lambda counts: abs(formula(counts) - value))


class Bme280Sim(Powered):
    """The sensor on a bus; ``power`` at level 1 means 3.3 V. ``read_truth(now_us)`` is the air around it."""

    def __init__(
        self,
        clock: Clock,
        power: Wire,
        read_truth: Callable[[int], AirState],
        *,
        address: int = 0x76,
        seed: int = 0,
        noise: float = 1.0,
        chip_id: int = BME280_ID,
        calibration: Calibration | None = None,
    ) -> None:
        self._clock = clock
        self._read_truth = read_truth
        self._random = random.Random(seed)
        self._noise = noise
        self._chip_id = chip_id
        self.calibration = calibration or Calibration()
        self.address = address
        self.fault: Fault | None = None
        self.refusals = Refusals()
        self.measurements = 0
        self._registers: dict[int, int] = {}
        self._humidity_oversampling = 0
        self._pending: bytes | None = None
        self._pointer = 0
        self._count = 0
        self._reset_at_us = 0
        self._done_us = 0
        self._supply = Supply(clock, power, self._switched)
        self._reset()

    def _switched(self, on: bool) -> None:
        if on:
            self._reset()

    def _reset(self) -> None:
        self._registers = self.calibration.registers() | {_ID: self._chip_id, _CTRL_HUM: 0, _CTRL_MEAS: 0, _CONFIG: 0}
        self._registers |= dict(enumerate(bytes.fromhex("800000 800000 8000"), _DATA))
        self._humidity_oversampling = 0
        self._pending = None
        self._reset_at_us = self._clock.now_us

    # The bus: DS "I2C write" (pairs of register and value), "I2C read" (from a register on)

    def stretch_us(self) -> int:
        return 0

    def selected(self, read: bool) -> bool:
        self._count = 0
        if not self._supply.on or self.fault in (Fault.ABSENT, Fault.NACK):
            return False
        if self._clock.now_us - self._reset_at_us < STARTUP_US:
            return self._refuse("addressed before it had started up")
        self._settle()
        return True

    def write(self, byte: int) -> bool:
        self._count += 1
        if self._count % 2:
            self._pointer = byte
            return True
        return self._written(self._pointer, byte)

    def read(self) -> int:
        value = self._value(self._pointer)
        self._pointer = (self._pointer + 1) & 0xFF
        return value

    def stop(self) -> None:
        pass

    def _refuse(self, why: str) -> bool:
        self.refusals.note(why)
        return False

    def _value(self, register: int) -> int:
        if register == _STATUS:
            return 0x08 if self._pending is not None else 0x00
        if 0x88 <= register <= 0xA1 or 0xE1 <= register <= 0xE7:
            if self.fault is Fault.BLANK:
                return 0
            if self.fault is Fault.ERASED:
                return 0xFF
            if register >= 0xA1 and self._chip_id == BMP280_ID:
                return 0
        if register not in self._registers:
            self._refuse(f"register 0x{register:02x} read")
            return 0
        return self._registers[register]

    def _written(self, register: int, value: int) -> bool:
        if register == _RESET:
            if value == 0xB6:  # DS "Register 0xE0 reset": other values have no effect
                self._reset()
                return True
            return self._refuse(f"reset with 0x{value:02x}")
        if register == _CTRL_HUM and self._chip_id == BMP280_ID:
            return True
        if register == _CTRL_HUM:
            if value > 5:
                return self._refuse(f"ctrl_hum 0x{value:02x}")
        elif register == _CONFIG:
            if value & 0x1F:
                return self._refuse(f"config 0x{value:02x}: filter and 3-wire SPI are not simulated")
        elif register != _CTRL_MEAS:
            return self._refuse(f"register 0x{register:02x} written")
        self._registers[register] = value
        if register == _CTRL_MEAS:  # DS "Register 0xF2": humidity's setting is taken over now
            self._humidity_oversampling = self._registers[_CTRL_HUM] & 7
            if value & 3 == 3:
                return self._refuse("normal mode is not simulated")
            if value & 3:
                self._measure(value)
        return True

    # Measuring

    @staticmethod
    def _times(setting: int) -> int:
        """Oversampling by its setting: 0 (skipped), 1, 2, 4, 8, 16."""
        return 1 << min(setting, 5) - 1 if setting else 0

    def _measure(self, control: int) -> None:
        if self._pending is not None:
            self._refuse("a measurement begun during a measurement")
            return
        temperature, pressure = self._times(control >> 5), self._times(control >> 2 & 7)
        humidity = self._times(self._humidity_oversampling) if self._chip_id == BME280_ID else 0
        us = 1250 + 2300 * temperature  # DS "Measurement time"
        us += 2300 * pressure + 575 if pressure else 0
        us += 2300 * humidity + 575 if humidity else 0
        self.measurements += 1
        self._done_us = self._clock.now_us + us
        self._pending = self._converted(bool(temperature), bool(pressure), bool(humidity))
        self._supply.draw(MEASURING_UA)
        self._clock.after(us, self._settle)

    def _converted(self, temperature: bool, pressure: bool, humidity: bool) -> bytes:
        truth = self._read_truth(self._clock.now_us)
        calibration = self.calibration
        counts = counts_for(truth.air_temperature, 20, calibration.celsius)
        t_fine = calibration.t_fine(counts)
        p = counts_for(100 * truth.air_pressure, 20, lambda n: calibration.pascal(n, t_fine))
        p += round(self._random.uniform(-16, 16) * self._noise)  # DS: 3.3 Pa RMS without oversampling
        h = counts_for(truth.relative_humidity, 16, lambda n: calibration.percent(n, t_fine))
        if self.fault is Fault.OUT_OF_RANGE:
            counts, p, h = 0xFFFF0, 0, 0xFFFF
        counts = counts if temperature else _SKIPPED
        p = p if pressure else _SKIPPED
        h = h if humidity else _SKIPPED_HUMIDITY
        return (p << 4).to_bytes(3, "big") + (counts << 4).to_bytes(3, "big") + h.to_bytes(2, "big")

    def _settle(self) -> None:
        """A measurement that has ended shows its data and sends the chip to sleep."""
        if self._pending is None or self._clock.now_us < self._done_us or self.fault is Fault.NEVER_READY:
            return
        if self.fault is not Fault.STUCK:
            self._registers |= dict(enumerate(self._pending, _DATA))
        self._pending = None
        self._registers[_CTRL_MEAS] &= ~3
        if self._supply.on:
            self._supply.draw(SLEEPING_UA)
