# SPDX-License-Identifier: EUPL-1.2
"""Bosch BME280 humidity, pressure and temperature sensor on I2C, forced mode. DS = BST-BME280-DS002 revision 1.6.

A BMP280, often sold under its name, has no humidity: ``no_answer``.
"""

import struct

from firmware.sensors.sensirion import bus_fault, same

if False:  # types only
    from firmware.hal import Clock, I2c, Value, Values

# DS "Memory map"
_ID = 0xD0
_RESET = 0xE0
_CTRL_HUM = 0xF2
_STATUS = 0xF3
_CTRL_MEAS = 0xF4
_DATA = 0xF7
_CALIBRATION = 0x88
_H1 = 0xA1
_CALIBRATION_H = 0xE1
_BME280 = 0x60
_BMP280 = 0x58
_RESET_WORD = 0xB6
_ONCE = 1  # DS "Weather monitoring": every quantity without oversampling, no filter
_FORCED = _ONCE << 5 | _ONCE << 2 | 1
_MEASURING = 0x08
_STARTUP_MS = 3  # DS: 2 ms
_MEASURING_MS = 10  # DS "Measurement time": at most 9.3 ms
_TRIES = 3
_SKIPPED = 0x80000  # what the registers hold when nothing was measured
_SKIPPED_HUMIDITY = 0x8000
_COLDEST = -4_000  # 0.01 Cel, DS "Operating range"
_HOTTEST = 8_500
_LOWEST = 3_000  # 0.1 hPa
_HIGHEST = 11_000
_DRIEST = -1_000  # 0.01 %: so far beyond the limits it is no error of measurement
_WETTEST = 11_000


class Bme280:
    """``i2c``: machine.I2C; ``clock``: the time module; ``address``: 0x76, or 0x77 with SDO high."""

    QUANTITIES = ("air_temperature", "relative_humidity", "air_pressure")

    def __init__(self, i2c: "I2c", clock: "Clock", address: int = 0x76) -> None:
        self._i2c = i2c
        self._clock = clock
        self._address = address
        self._fault: "str | None" = "not_ready"
        self._humid = True
        self._data = bytearray(24)
        self._t_fine = 0

    def start(self) -> int:
        """Begin one measurement; return the ms that it takes, 0 if there is none."""
        clock = self._clock
        clock.sleep_ms(_STARTUP_MS)
        fault = self._put(_RESET, _RESET_WORD)  # forgets old data: what is there later is new
        clock.sleep_ms(_STARTUP_MS)
        fault = fault or self._get(_ID, 1)
        if fault is None and self._data[0] not in (_BME280, _BMP280):
            fault = "bad_answer"
        self._humid = self._data[0] == _BME280
        fault = fault or self._put(_CTRL_HUM, _ONCE)  # DS "Register 0xF2": works once ctrl_meas is written
        self._fault = fault or self._put(_CTRL_MEAS, _FORCED)
        return _MEASURING_MS if self._fault is None else 0

    def read(self) -> "Values":
        """Return the measurement: 0.01 Cel, 0.01 %, 0.1 hPa."""
        fault = self._fault or self._wait() or self._get(_DATA, 8)
        if fault is not None:
            return same(self.QUANTITIES, fault)
        data = self._data
        pressure = data[0] << 12 | data[1] << 4 | data[2] >> 4
        temperature = data[3] << 12 | data[4] << 4 | data[5] >> 4
        humidity = data[6] << 8 | data[7]
        if temperature == _SKIPPED:
            return same(self.QUANTITIES, "not_ready")
        fault = self._get(_CALIBRATION, 24)
        if fault is None and data[0] | data[1] << 8 in (0, 0xFFFF):
            fault = "bad_answer"
        if fault is not None:
            return same(self.QUANTITIES, fault)
        words: "tuple[int, ...]" = struct.unpack("<HhhHhhhhhhhh", data)
        celsius = self._celsius(temperature, words)
        if not _COLDEST <= celsius <= _HOTTEST:  # the others are computed with it
            return same(self.QUANTITIES, "out_of_range")
        return {
            "air_temperature": celsius,
            "relative_humidity": self._percent(humidity),
            "air_pressure": "not_ready" if pressure == _SKIPPED else self._hectopascal(pressure, words),
        }

    def stop(self) -> None:
        """Nothing to do: it sleeps after each measurement."""
        self._fault = "not_ready"

    # DS "Compensation formulas": t_fine, then everything with it

    def _celsius(self, counts: int, words: "tuple[int, ...]") -> int:
        """0.01 Cel."""
        t1, t2, t3 = words[0], words[1], words[2]
        part = (counts >> 4) - t1
        self._t_fine = (((counts >> 3) - (t1 << 1)) * t2 >> 11) + ((part * part >> 12) * t3 >> 14)
        return self._t_fine * 5 + 128 >> 8

    def _hectopascal(self, counts: int, words: "tuple[int, ...]") -> "Value":
        """0.1 hPa; in 64 bits, as a BME280 deserves."""
        _, _, _, p1, p2, p3, p4, p5, p6, p7, p8, p9 = words
        a = self._t_fine - 128000
        b = a * a * p6 + (a * p5 << 17) + (p4 << 35)
        a = ((1 << 47) + (a * a * p3 >> 8) + (a * p2 << 12)) * p1 >> 33
        if a == 0:
            return "bad_answer"
        p = ((1048576 - counts << 31) - b) * 3125 // a
        a = p9 * (p >> 13) * (p >> 13) >> 25
        b = p8 * p >> 19
        tenths = ((p + a + b >> 8) + (p7 << 4) + 1280) // 2560  # from 1/256 Pa
        return tenths if _LOWEST <= tenths <= _HIGHEST else "out_of_range"

    def _percent(self, counts: int) -> "Value":
        """0.01 %."""
        if not self._humid:
            return "no_answer"
        if counts == _SKIPPED_HUMIDITY:
            return "not_ready"
        fault = self._get(_H1, 1)
        h1 = self._data[0]
        fault = fault or self._get(_CALIBRATION_H, 7)
        if fault is not None:
            return fault
        words: "tuple[int, ...]" = struct.unpack_from("<hBbBbb", self._data)
        h2, h3, a, b, c, h6 = words
        h4, h5 = a << 4 | b & 0xF, c << 4 | b >> 4
        t = self._t_fine - 76800
        x = (counts << 14) - (h4 << 20) - h5 * t + 16384 >> 15
        y = ((t * h6 >> 10) * ((t * h3 >> 11) + 32768) >> 10) + 2097152
        x *= y * h2 + 8192 >> 14
        x -= ((x >> 15) * (x >> 15) >> 7) * h1 >> 4
        hundredths = (x >> 12) * 100 + 512 >> 10
        if not _DRIEST <= hundredths <= _WETTEST:
            return "out_of_range"
        return min(max(hundredths, 0), 10_000)

    # The bus

    def _wait(self) -> "str | None":
        """Until the measurement has ended; return a fault or None."""
        for _ in range(10):
            fault = self._get(_STATUS, 1)
            if fault is not None:
                return fault
            if not self._data[0] & _MEASURING:
                return None
            self._clock.sleep_ms(5)
        return "not_ready"

    def _put(self, register: int, value: int) -> "str | None":
        for _ in range(_TRIES):
            try:
                self._i2c.writeto(self._address, bytes((register, value)))
                return None
            except OSError as e:
                fault = bus_fault(e)
            self._clock.sleep_ms(_STARTUP_MS)
        return fault

    def _get(self, register: int, count: int) -> "str | None":
        """Read registers into ``_data``; return a fault or None."""
        for _ in range(_TRIES):
            try:
                self._i2c.writeto(self._address, bytes((register,)))
                self._i2c.readfrom_into(self._address, memoryview(self._data)[:count])
                return None
            except OSError as e:
                fault = bus_fault(e)
            self._clock.sleep_ms(_STARTUP_MS)
        return fault
