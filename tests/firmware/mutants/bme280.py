# SPDX-License-Identifier: EUPL-1.2
"""The BME280 driver, broken one way at a time."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.sensors.sensirion", "firmware.sensors.bme280")

_HUMIDITY = "        fault = fault or self._put(_CTRL_HUM, _ONCE)"
_HUMIDITY += '  # DS "Register 0xF2": works once ctrl_meas is written\n'
_HUMIDITY_LATER = "        self._put(_CTRL_HUM, _ONCE)\n"
_ALL = "        self._fault = fault or self._put(_CTRL_MEAS, _FORCED)\n"
_TRY = "        for _ in range(_TRIES):\n            try:\n"
_ONE_TRY = "        for _ in range(1):\n            try:\n"
_WRITE = "                self._i2c.writeto(self._address, bytes((register, value)))"
_READ = "                self._i2c.writeto(self._address, bytes((register,)))"

MUTANTS = (
    Mutant(
        "address fixed", "self._address = address\n        self._fault", "self._address = 0x76\n        self._fault"
    ),
    Mutant("wrong reset word", "_RESET_WORD = 0xB6", "_RESET_WORD = 0xB5"),
    Mutant("not reset", "fault = self._put(_RESET, _RESET_WORD)", "fault = None"),
    Mutant(
        "no time after power-on", "        clock.sleep_ms(_STARTUP_MS)\n        fault = self", "        fault = self"
    ),
    Mutant(
        "no time after the reset", "        clock.sleep_ms(_STARTUP_MS)\n        fault = fault", "        fault = fault"
    ),
    Mutant("any chip", "self._data[0] not in (_BME280, _BMP280)", "False"),
    Mutant("BMP280 refused", "not in (_BME280, _BMP280)", "not in (_BME280,)"),
    Mutant("BMP280's humidity believed", "if not self._humid:", "if False:"),
    Mutant("humidity switched on too late", _HUMIDITY + _ALL, _ALL + _HUMIDITY_LATER),
    Mutant("no humidity", "self._put(_CTRL_HUM, _ONCE)", "self._put(_CTRL_HUM, 0)"),
    Mutant("normal mode", "_ONCE << 2 | 1\n", "_ONCE << 2 | 3\n"),
    Mutant("sleep mode", "_ONCE << 2 | 1\n", "_ONCE << 2\n"),
    Mutant("no pressure", "_ONCE << 5 | _ONCE << 2 | 1", "_ONCE << 5 | 1"),
    Mutant("no temperature", "_ONCE << 5 | _ONCE << 2 | 1", "_ONCE << 2 | 1"),
    Mutant("oversampling", "_ONCE = 1", "_ONCE = 3"),
    Mutant("waits for an absent sensor", "return _MEASURING_MS if self._fault is None else 0", "return _MEASURING_MS"),
    Mutant("ready too soon", "_MEASURING_MS = 10", "_MEASURING_MS = 1"),
    Mutant("start's fault forgotten", "self._fault or self._wait() or", "self._wait() or"),
    Mutant("read while it measures", "self._fault or self._wait() or", "self._fault or"),
    Mutant("the wrong bit of the status", "_MEASURING = 0x08", "_MEASURING = 0x01"),
    Mutant("waits for ever", "for _ in range(10):", "for _ in range(10_000):"),
    Mutant(
        "pressure's bytes", "data[0] << 12 | data[1] << 4 | data[2] >> 4", "data[1] << 12 | data[0] << 4 | data[2] >> 4"
    ),
    Mutant("temperature of 16 bits", "data[3] << 12 | data[4] << 4 | data[5] >> 4", "data[3] << 12"),
    Mutant("humidity's bytes", "data[6] << 8 | data[7]", "data[7] << 8 | data[6]"),
    Mutant("skipped temperature believed", "if temperature == _SKIPPED:", "if False:"),
    Mutant("skipped pressure believed", '"not_ready" if pressure == _SKIPPED else ', ""),
    Mutant("skipped humidity believed", "if counts == _SKIPPED_HUMIDITY:", "if False:"),
    Mutant("calibration not checked", "in (0, 0xFFFF)", "in (1,)"),
    Mutant("erased calibration believed", "in (0, 0xFFFF)", "in (0,)"),
    Mutant("dig_T1 with a sign", '"<HhhHhhhhhhhh"', '"<hhhHhhhhhhhh"'),
    Mutant("dig_P1 with a sign", '"<HhhHhhhhhhhh"', '"<Hhhhhhhhhhhh"'),
    Mutant("words without signs", '"<HhhHhhhhhhhh"', '"<HHHHHHHHHHHH"'),
    Mutant("words high byte first", '"<HhhHhhhhhhhh"', '">HhhHhhhhhhhh"'),
    Mutant("t_fine of an older measurement", "self._t_fine = (((", "self._t_fine = self._t_fine or ((("),
    Mutant("square left out", "(part * part >> 12) * t3 >> 14", "0 * t3"),
    Mutant("temperature in tenths", "self._t_fine * 5 + 128 >> 8", "self._t_fine * 5 + 128 >> 11"),
    Mutant("temperature without limits", "if not _COLDEST <= celsius <= _HOTTEST:", "if False:"),
    Mutant("no frost", "_COLDEST = -4_000", "_COLDEST = 0"),
    Mutant("no summer", "_HOTTEST = 8_500", "_HOTTEST = 3_000"),
    Mutant("p4 left out", "(p4 << 35)", "0"),
    Mutant("p7 left out", "(p7 << 4)", "0"),
    Mutant("p8 and p9 left out", "(p + a + b >> 8)", "(p >> 8)"),
    Mutant("p3 left out", "(a * a * p3 >> 8)", "0"),
    Mutant("p5 and p6 swapped", "a * a * p6 + (a * p5 << 17)", "a * a * p5 + (a * p6 << 17)"),
    Mutant("zero divided by", '        if a == 0:\n            return "bad_answer"\n', "        a = a or 1 << 31\n"),
    Mutant("pressure in pascal", "// 2560", "// 256"),
    Mutant("pressure without limits", "tenths if _LOWEST <= tenths <= _HIGHEST else", "tenths if True else"),
    Mutant("no low", "_LOWEST = 3_000", "_LOWEST = 9_700"),
    Mutant("no high", "_HIGHEST = 11_000", "_HIGHEST = 10_300"),
    Mutant("h1 of another place", "_H1 = 0xA1", "_H1 = 0xA0"),
    Mutant("h2 without sign", '"<hBbBbb"', '"<HBbBbB"'),
    Mutant("h4 without sign", '"<hBbBbb"', '"<hBBBbb"'),
    Mutant("h5 without sign", '"<hBbBbb"', '"<hBbBBb"'),
    Mutant(
        "h4 and h5 share the wrong halves", "a << 4 | b & 0xF, c << 4 | b >> 4", "a << 4 | b >> 4, c << 4 | b & 0xF"
    ),
    Mutant("h1 left out", "x -= ((x >> 15)", "x -= 0 * ((x >> 15)"),
    Mutant("h3 left out", "((t * h3 >> 11) + 32768)", "(32768)"),
    Mutant("h5 left out", "- h5 * t + 16384", "+ 16384"),
    Mutant("humidity of 25 Cel", "t = self._t_fine - 76800", "t = 128000 - 76800"),
    Mutant("humidity in whole percent", "(x >> 12) * 100 + 512 >> 10", "(x >> 12) + 512 >> 10"),
    Mutant("humidity without limits", "if not _DRIEST <= hundredths <= _WETTEST:", "if False:"),
    Mutant("humidity above 100 %", "min(max(hundredths, 0), 10_000)", "max(hundredths, 0)"),
    Mutant("humidity below 0 %", "min(max(hundredths, 0), 10_000)", "min(hundredths, 10_000)"),
    Mutant("one try to write", _TRY + _WRITE, _ONE_TRY + _WRITE),
    Mutant("one try to read", _TRY + _READ, _ONE_TRY + _READ),
    Mutant("many tries", "_TRIES = 3\n_SKIPPED", "_TRIES = 300\n_SKIPPED"),
    Mutant("a stuck bus called absent", 'return "stuck" if', 'return "no_answer" if'),
    Mutant(
        "remembers after stop",
        'sleeps after each measurement."""\n        self._fault = "not_ready"',
        'sleeps after each measurement."""',
    ),
)
