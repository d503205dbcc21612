# SPDX-License-Identifier: EUPL-1.2
"""Sensirion SEN55 particulate matter, humidity, VOC and NOx sensor on I2C. DS = SEN5x datasheet V2 (2022).

The indices compare the air with that of the last hours: they mean something only while the sensor keeps its supply,
or gets it back within minutes together with ``voc_state``.
"""

from firmware.sensors.sensirion import Sensirion, same

if False:  # types only
    from firmware.hal import Clock, I2c, Value, Values

_ADDRESS = 0x69
# DS "I2C Commands"; execution times beside their use
_START = 0x21
_STOP = 0x0104
_READY = 0x0202
_READ = 0x03C4
_CLEAN = 0x5607
_VOC_STATE = 0x6181
_READ_STATUS = 0xD210
# DS "Device Status Register": bits 21 and 19 of the high word; of the low one
_FAN_SPEED = 1 << 5
_CLEANING = 1 << 3
_FAN = 1 << 4
_LASER = 1 << 5
_HUMIDITY = 1 << 6
_GAS = 1 << 7
_POWER_UP_MS = 100  # DS: 50 ms
_WARM_UP_MS = 30_000  # DS "Particulate matter": start-up time in clean air
_GAS_MS = 60_000  # DS: the indices have nothing to say before
_CLEANING_MS = 10_000
_SAMPLE_MS = 1_500  # a value every second
_MOST_DUST = 10_000  # 0.1 ug/m3, DS: 0 to 1000 ug/m3
_UNKNOWN_DUST = 0xFFFF  # DS "Read Measured Values"
_UNKNOWN = 0x7FFF
_COLDEST = -4_000  # 0.01 Cel, DS "Recommended operating and storage conditions"
_HOTTEST = 7_000


class Sen55:
    """``i2c``: machine.I2C, at most 100 kHz; ``clock``: the time module. 5 V, its SEL pin at ground.

    ``gas``: wait until the indices have something to say, too. ``voc_state``: what it had learnt at the last ``stop``.
    """

    QUANTITIES = ("pm1", "pm2_5", "pm4", "pm10", "relative_humidity", "air_temperature", "voc_index", "nox_index")

    def __init__(self, i2c: "I2c", clock: "Clock", gas: bool = False) -> None:
        self._sensor = Sensirion(i2c, clock, _ADDRESS, 8)
        self._gas = gas
        self._fault: "str | None" = "not_ready"
        self._old = False  # a value waits that may be as old as the warm-up
        self.voc_state: "tuple[int, ...] | None" = None

    def start(self) -> int:
        """Start all sensors in it; return the ms until a value can be trusted, 0 if there will be none."""
        sensor = self._sensor
        self._fault = sensor.send(_STOP, 200, (), _POWER_UP_MS)  # no effect but on one that measures already
        if self._fault is None and self.voc_state is not None:
            sensor.send(_VOC_STATE, 20, self.voc_state)
        if self._fault is None:
            self._fault = sensor.send(_START, 50)
        self._old = True
        if self._fault is not None:
            return 0
        return _GAS_MS if self._gas else _WARM_UP_MS

    def read(self) -> "Values":
        """Return the latest second: 0.1 ug/m3, 0.01 %, 0.01 Cel, 0.1."""
        sensor = self._sensor
        fault = self._fault or sensor.ask(_READ_STATUS, 2, 20)
        if fault is not None:
            return same(self.QUANTITIES, fault)
        high, low = sensor.word(0), sensor.word(1)
        for _ in range(1 + self._old):  # one that stands still has no second value
            if not high & _CLEANING:  # no new values while it cleans, but old ones
                fault = sensor.wait(_READY, 1, 20, _SAMPLE_MS)
            fault = fault or sensor.ask(_READ, 8, 20)
            if fault is not None:
                return same(self.QUANTITIES, fault)
        self._old = False
        values: "Values" = {}
        for n, name in enumerate(self.QUANTITIES):
            if n < 4:
                values[name] = self._dust(n, high, low)
            else:
                values[name] = self._other(n, low)
        return values

    def _dust(self, n: int, high: int, low: int) -> "Value":
        if high & _FAN_SPEED or low & (_FAN | _LASER):
            return "bad_answer"
        raw = self._sensor.word(n)
        if raw == _UNKNOWN_DUST or high & _CLEANING:
            return "not_ready"
        return raw if raw <= _MOST_DUST else "out_of_range"

    def _other(self, n: int, low: int) -> "Value":
        raw = self._sensor.word(n)
        if low & _HUMIDITY or (n >= 6 and low & _GAS):  # the indices are computed with humidity
            return "bad_answer"
        if raw == _UNKNOWN or (n >= 6 and raw == 0):
            return "not_ready"
        if raw > 0x7FFF:
            raw -= 0x10000
        if n == 4:
            return raw if 0 <= raw <= 10_000 else "out_of_range"
        if n == 5:
            raw = raw * 100 // 200
            return raw if _COLDEST <= raw <= _HOTTEST else "out_of_range"
        return raw if 10 <= raw <= 5_000 else "out_of_range"  # DS: index points 1 to 500

    def stop(self) -> None:
        """Fan, laser and heater off; what it has learnt is kept here."""
        sensor = self._sensor
        if self._fault is None and sensor.ask(_VOC_STATE, 4, 20) is None:
            self.voc_state = (sensor.word(0), sensor.word(1), sensor.word(2), sensor.word(3))
        self._fault = "not_ready"
        sensor.send(_STOP, 200)

    def clean(self) -> int:
        """While started: blow the dust out, which the sensor does by itself only after a week under power.

        Return the ms until a value can be trusted again.
        """
        self._sensor.send(_CLEAN, 20)
        return _CLEANING_MS + _WARM_UP_MS
