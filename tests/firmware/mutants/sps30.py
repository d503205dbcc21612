# SPDX-License-Identifier: EUPL-1.2
"""The SPS30 driver and Sensirion's protocol below it, broken one way at a time."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.sensors.sensirion", "firmware.sensors.sps30")

MUTANTS = (
    # the protocol
    Mutant("CRC preset 0", "crc = 0xFF\n", "crc = 0x00\n"),
    Mutant("CRC polynomial of another family", "^ 0x131", "^ 0x107"),
    Mutant("CRC over seven bits", "range(8)", "range(7)"),
    Mutant("CRC over one byte", "for n in (start, start + 1):", "for n in (start,):"),
    Mutant("CRC ignored", "if crc8(self.data, n) != self.data[n + 2]:", "if False:"),
    Mutant("CRC of the first word alone", "for n in range(0, 3 * count, 3):", "for n in range(0, 3, 3):"),
    Mutant("command low byte first", "command >> 8, command & 0xFF", "command & 0xFF, command >> 8"),
    Mutant("argument low byte first", "word >> 8, word & 0xFF", "word & 0xFF, word >> 8"),
    Mutant("argument without checksum", "            frame[n + 2] = crc8(frame, n)\n", ""),
    Mutant(
        "word low byte first",
        "self.data[3 * n] << 8 | self.data[3 * n + 1]",
        "self.data[3 * n + 1] << 8 | self.data[3 * n]",
    ),
    Mutant(
        "checksums taken for data",
        "self.data[3 * n] << 8 | self.data[3 * n + 1]",
        "self.data[3 * n + 1] << 8 | self.data[3 * n + 2]",
    ),
    Mutant("two tries", "_TRIES = 3", "_TRIES = 2"),
    Mutant("thirty tries", "_TRIES = 3", "_TRIES = 30"),
    Mutant("no patience with the bus", "_PATIENCE_MS = 30", "_PATIENCE_MS = 0"),
    Mutant(
        "endless patience with the bus",
        ">= patience_ms:\n                return fault",
        ">= 10_000:\n                return fault",
    ),
    Mutant("no time for commands", "                clock.sleep_ms(wait_ms)\n", ""),
    Mutant("a stuck bus called absent", 'return "stuck" if', 'return "no_answer" if'),
    Mutant("an absent sensor called stuck", 'in _TIMED_OUT else "no_answer"', 'in _TIMED_OUT else "stuck"'),
    Mutant("newlib's number forgotten", "_TIMED_OUT = (110, 116)", "_TIMED_OUT = (110,)"),
    Mutant("wrong answers called none", 'fault = "bad_answer"', 'fault = "no_answer"'),
    Mutant("ready bit not looked at", "if self.word(0) & mask:", "if True:"),
    Mutant("ready waited for for ever", 'return "not_ready"\n            clock', "pass\n            clock"),
    Mutant(
        "never ready called absent", 'return "not_ready"\n            clock', 'return "no_answer"\n            clock'
    ),
    # the sensor
    Mutant("another address", "_ADDRESS = 0x69", "_ADDRESS = 0x62"),
    Mutant("stops where it should start", "_START = 0x0010", "_START = 0x0104"),
    Mutant("whole micrograms", "_FLOAT = 0x0300", "_FLOAT = 0x0500"),
    Mutant("woken once", "        sensor.send(_WAKE_UP, 0, (), 0)\n", ""),
    Mutant(
        "not woken",
        "        sensor.send(_WAKE_UP, 0, (), 0)\n        sensor.send(_WAKE_UP, 5, (), _POWER_UP_MS)\n",
        "        self._sensor._clock.sleep_ms(110)\n",
    ),
    Mutant("no time to power up", "_POWER_UP_MS = 150", "_POWER_UP_MS = 0"),
    Mutant(
        "no time to start",
        "self._fault = sensor.send(_START, 20, (_FLOAT,))\n        if",
        "self._fault = sensor.send(_START, 0, (_FLOAT,))\n        self._sensor.ask(_READY, 1)\n        if",
    ),
    Mutant("not started anew", '        if self._fault == "no_answer":', '        if self._fault == "never":'),
    Mutant("start's fault forgotten", "fault = self._fault or self._take()", "fault = self._take()"),
    Mutant("warm-up of 3 s", "_WARM_UP_MS = 30_000", "_WARM_UP_MS = 3_000"),
    Mutant("warm-up of a minute", "_WARM_UP_MS = 30_000", "_WARM_UP_MS = 60_000"),
    Mutant("waits for an absent sensor", "if self._fault is None else 0", ""),
    Mutant(
        "status ignored",
        "self._sensor\n        if sensor.ask(_STATUS, 2, 5) is None and (",
        "self._sensor\n        if False and (",
    ),
    Mutant(
        "status demanded", "if sensor.ask(_STATUS, 2, 5) is None and (", "if sensor.ask(_STATUS, 2, 5) is not None or ("
    ),
    Mutant("fan's speed ignored", "_BROKEN_HIGH = 1 << 5", "_BROKEN_HIGH = 0"),
    Mutant("laser ignored", "_BROKEN_LOW = 1 << 4 | 1 << 5", "_BROKEN_LOW = 1 << 4"),
    Mutant("fan ignored", "_BROKEN_LOW = 1 << 4 | 1 << 5", "_BROKEN_LOW = 1 << 5"),
    Mutant("all bits mean broken", "_BROKEN_LOW = 1 << 4 | 1 << 5", "_BROKEN_LOW = 0xFFFF"),
    Mutant(
        "old values taken for new",
        "fault = sensor.wait(_READY, 1, 0, _SAMPLE_MS) or sensor.ask(_READ, 8)",
        "fault = sensor.ask(_READ, 8)",
    ),
    Mutant("a value as old as the warm-up", "self._old = True", "self._old = False"),
    Mutant("every value may be old", "        self._old = False\n        return", "        return"),
    Mutant("a second not waited for", "_SAMPLE_MS = 1_500", "_SAMPLE_MS = 200"),
    Mutant("zeros taken for clean air", "if not any(values.values()):", "if False:"),
    Mutant("one zero taken for a dead laser", "if not any(values.values()):", "if not all(values.values()):"),
    Mutant("float over its checksum", "data[at + 3], data[at + 4]", "data[at + 2], data[at + 3]"),
    Mutant("float low byte first", '">f"', '"<f"'),
    Mutant("the number, not the mass", "self._tenths(6 * n)", "self._tenths(6 * (3 - n))"),
    Mutant("not rounded", "int(value * 10 + 0.5)", "int(value * 10)"),
    Mutant("whole ug/m3", "int(value * 10 + 0.5)", "int(value + 0.5)"),
    Mutant("no limit above", "if 0 <= value <= _MOST:", "if 0 <= value < 1e30:"),
    Mutant("no limit below", "if 0 <= value <= _MOST:", "if -1 <= value <= _MOST:"),
    Mutant("limit excluded", "if 0 <= value <= _MOST:", "if 0 <= value < _MOST:"),
    Mutant("limit of 100", "_MOST = 1_000", "_MOST = 100"),
    Mutant("goes on after stop", "        self._sensor.send(_STOP, 20)\n", ""),
    Mutant("does not sleep", "        self._sensor.send(_SLEEP, 5)\n", ""),
    Mutant("sleeps at once", "        self._sensor.send(_STOP, 20)\n", "        self._sensor.send(_STOP, 0)\n"),
    Mutant("remembers after stop", '        self._fault = "not_ready"\n        self._sensor', "        self._sensor"),
    Mutant("does not clean", "        self._sensor.send(_CLEAN, 5)\n", ""),
    Mutant("reads while it cleans", "return _CLEANING_MS + _WARM_UP_MS", "return 5_000"),
)
