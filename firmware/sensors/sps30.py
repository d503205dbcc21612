# SPDX-License-Identifier: EUPL-1.2
"""Sensirion SPS30 particulate matter sensor on I2C. DS = datasheet V1.0 D1, March 2020.

Values are as measured, in fog too: the humidity that goes with them tells the cloud what to think of them.
"""

import struct

from firmware.sensors.sensirion import Sensirion, same

if False:  # types only
    from firmware.hal import Clock, I2c, Value, Values

_ADDRESS = 0x69
# DS "I2C Commands"; execution times beside their use
_START = 0x0010
_STOP = 0x0104
_READY = 0x0202
_READ = 0x0300
_CLEAN = 0x5607
_SLEEP = 0x1001  # firmware 2.0 and later
_WAKE_UP = 0x1103
_STATUS = 0xD206  # firmware 2.2 and later
_FLOAT = 0x0300
_BROKEN_HIGH = 1 << 5  # DS "Device Status Register", bit 21: speed of the fan
_BROKEN_LOW = 1 << 4 | 1 << 5  # fan, laser
_POWER_UP_MS = 150  # DS "Reset": 100 ms
_WARM_UP_MS = 30_000  # DS "Specification Overview", start-up time in clean air
_CLEANING_MS = 10_000
_SAMPLE_MS = 1_500  # a value every second
_MOST = 1_000  # ug/m3, DS "Mass concentration range"


class Sps30:
    """``i2c``: machine.I2C, at most 100 kHz; ``clock``: the time module. 5 V, its SEL pin at ground."""

    QUANTITIES = ("pm1", "pm2_5", "pm4", "pm10")

    def __init__(self, i2c: "I2c", clock: "Clock") -> None:
        self._sensor = Sensirion(i2c, clock, _ADDRESS, 8)
        self._fault: "str | None" = "not_ready"
        self._four = bytearray(4)
        self._old = False  # a value waits that may be as old as the warm-up

    def start(self) -> int:
        """Start fan and laser; return the ms until a value can be trusted, 0 if there will be none."""
        sensor = self._sensor
        # DS "Wake-up": the first one only wakes the interface; awake, or older than it, the sensor ignores both
        sensor.send(_WAKE_UP, 0, (), 0)
        sensor.send(_WAKE_UP, 5, (), _POWER_UP_MS)
        self._fault = sensor.send(_START, 20, (_FLOAT,))
        if self._fault == "no_answer":  # or does it measure already?
            sensor.send(_STOP, 20)
            self._fault = sensor.send(_START, 20, (_FLOAT,))
        self._old = True
        return _WARM_UP_MS if self._fault is None else 0

    def read(self) -> "Values":
        """Return the latest second, in 0.1 ug/m3."""
        fault = self._fault or self._take()
        if fault is not None:
            return same(self.QUANTITIES, fault)
        values: "Values" = {}
        for n, name in enumerate(self.QUANTITIES):
            values[name] = self._tenths(6 * n)
        if not any(values.values()):  # outdoors there is always some dust: fan or laser is dead
            return same(self.QUANTITIES, "stuck")
        return values

    def _take(self) -> "str | None":
        """Read the eight words of the masses; return a fault or None."""
        sensor = self._sensor
        if sensor.ask(_STATUS, 2, 5) is None and (sensor.word(0) & _BROKEN_HIGH or sensor.word(1) & _BROKEN_LOW):
            return "bad_answer"
        for _ in range(1 + self._old):  # one that stands still has no second value
            fault = sensor.wait(_READY, 1, 0, _SAMPLE_MS) or sensor.ask(_READ, 8)
            if fault is not None:
                return fault
        self._old = False
        return None

    def _tenths(self, at: int) -> "Value":
        """The float whose two words begin at byte ``at``."""
        data, four = self._sensor.data, self._four
        four[0], four[1], four[2], four[3] = data[at], data[at + 1], data[at + 3], data[at + 4]
        value = struct.unpack(">f", four)[0]
        if 0 <= value <= _MOST:  # not so for a value that is no number
            return int(value * 10 + 0.5)
        return "out_of_range"

    def stop(self) -> None:
        """Fan and laser off, asleep."""
        self._fault = "not_ready"
        self._sensor.send(_STOP, 20)
        self._sensor.send(_SLEEP, 5)

    def clean(self) -> int:
        """While started: blow the dust out, which the sensor does by itself only after a week under power.

        Return the ms until a value can be trusted again.
        """
        self._sensor.send(_CLEAN, 5)
        return _CLEANING_MS + _WARM_UP_MS
