# SPDX-License-Identifier: EUPL-1.2
"""The SEN55 driver, broken one way at a time; the protocol below it is broken in ``sps30``."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.sensors.sensirion", "firmware.sensors.sen55")

_SET = """        if self._fault is None and self.voc_state is not None:
            sensor.send(_VOC_STATE, 20, self.voc_state)
"""
_START = """        if self._fault is None:
            self._fault = sensor.send(_START, 50)
"""
_STOP = "        sensor.send(_STOP, 200)\n"

MUTANTS = (
    Mutant("another address", "_ADDRESS = 0x69", "_ADDRESS = 0x62"),
    Mutant("no dust", "_START = 0x21", "_START = 0x37"),
    Mutant("SCD4x's stop", "_STOP = 0x0104", "_STOP = 0x3F86"),
    Mutant("raw values", "_READ = 0x03C4", "_READ = 0x03D2"),
    Mutant("status not cleared", "_READ_STATUS = 0xD210", "_READ_STATUS = 0xD206"),
    Mutant("no time to power up", "_POWER_UP_MS = 100", "_POWER_UP_MS = 0"),
    Mutant(
        "no time to stop first", "sensor.send(_STOP, 200, (), _POWER_UP_MS)", "sensor.send(_STOP, 20, (), _POWER_UP_MS)"
    ),
    Mutant("not stopped first", "sensor.send(_STOP, 200, (), _POWER_UP_MS)", "None; self._sensor._clock.sleep_ms(60)"),
    Mutant(
        "no time to start",
        "self._fault = sensor.send(_START, 50)",
        "self._fault = sensor.send(_START, 20) or sensor.ask(_READY, 1, 20)",
    ),
    Mutant("start's fault forgotten", "self._fault or sensor.ask(_READ_STATUS", "sensor.ask(_READ_STATUS"),
    Mutant("waits for an absent sensor", "        if self._fault is not None:\n            return 0\n", ""),
    Mutant("warm-up of 3 s", "_WARM_UP_MS = 30_000", "_WARM_UP_MS = 3_000"),
    Mutant("warm-up of a minute", "_WARM_UP_MS = 30_000", "_WARM_UP_MS = 60_000"),
    Mutant("gases at once", "_GAS_MS = 60_000", "_GAS_MS = 30_000"),
    Mutant("gases always", "if self._gas else", "if True else"),
    Mutant("state not set", "sensor.send(_VOC_STATE, 20, self.voc_state)", "pass"),
    Mutant("state set after the start", _SET + _START, _START + _SET),
    Mutant("state not read", "sensor.ask(_VOC_STATE, 4, 20) is None", "False"),
    Mutant(
        "state of half the words",
        "(sensor.word(0), sensor.word(1), sensor.word(2), sensor.word(3))",
        "(sensor.word(0), sensor.word(1), sensor.word(1), sensor.word(0))",
    ),
    Mutant(
        "state kept though it was wrong", "sensor.ask(_VOC_STATE, 4, 20) is None", "sensor.ask(_VOC_STATE, 4, 20) != 1"
    ),
    Mutant("old values taken for new", "fault = sensor.wait(_READY, 1, 20, _SAMPLE_MS)", "pass"),
    Mutant("any bit means ready", "fault = sensor.wait(_READY, 1, 20", "fault = sensor.wait(_READY, 0xFFFF, 20"),
    Mutant("a value as old as the warm-up", "self._old = True", "self._old = False"),
    Mutant("every value may be old", "        self._old = False\n        values", "        values"),
    Mutant("a second not waited for", "_SAMPLE_MS = 1_500", "_SAMPLE_MS = 200"),
    Mutant("no time to read", "sensor.ask(_READ, 8, 20)", "sensor.ask(_READ, 8, 0)"),
    Mutant("cleaning ignored", "if raw == _UNKNOWN_DUST or high & _CLEANING:", "if raw == _UNKNOWN_DUST:"),
    Mutant("cleaning waited out", "        if not high & _CLEANING:  # no", "        if True:  # no"),
    Mutant("fan's speed ignored", "if high & _FAN_SPEED or low", "if low"),
    Mutant("fan ignored", "low & (_FAN | _LASER)", "low & _LASER"),
    Mutant("laser ignored", "low & (_FAN | _LASER)", "low & _FAN"),
    Mutant("humidity's error ignored", "if low & _HUMIDITY or (n", "if (n"),
    Mutant("gas error ignored", " or (n >= 6 and low & _GAS)", ""),
    Mutant("gas error spoils the climate", "(n >= 6 and low & _GAS)", "low & _GAS"),
    Mutant("unknown dust taken for much", "if raw == _UNKNOWN_DUST or", "if"),
    Mutant("unknown taken for much", "if raw == _UNKNOWN or (", "if ("),
    Mutant("zero taken for an index", "(n >= 6 and raw == 0)", "False"),
    Mutant("zero humidity is unknown", "(n >= 6 and raw == 0)", "raw == 0"),
    Mutant("sign lost", "if raw > 0x7FFF:", "if False:"),
    Mutant("temperature in 1/100", "raw * 100 // 200", "raw"),
    Mutant("dust without limit", "raw if raw <= _MOST_DUST else", "raw if True else"),
    Mutant("dust limited to 100 ug/m3", "_MOST_DUST = 10_000", "_MOST_DUST = 1_000"),
    Mutant("humidity without limit", "0 <= raw <= 10_000", "0 <= raw <= 20_000"),
    Mutant("dry air refused", "0 <= raw <= 10_000", "0 < raw <= 10_000"),
    Mutant("no frost", "_COLDEST = -4_000", "_COLDEST = -999"),
    Mutant("no limit of cold", "_COLDEST = -4_000", "_COLDEST = -5_000"),
    Mutant("hottest one step too high", "_HOTTEST = 7_000", "_HOTTEST = 7_001"),
    Mutant("index below one", "10 <= raw <= 5_000", "1 <= raw <= 5_000"),
    Mutant("index without limit", "10 <= raw <= 5_000", "10 <= raw"),
    Mutant("quantities swapped", '"relative_humidity", "air_temperature"', '"air_temperature", "relative_humidity"'),
    Mutant("goes on after stop", _STOP, ""),
    Mutant("no time after stop", _STOP, "        sensor.send(_STOP)\n"),
    Mutant("remembers after stop", '        self._fault = "not_ready"\n        sensor', "        sensor"),
    Mutant("does not clean", "        self._sensor.send(_CLEAN, 20)\n", ""),
    Mutant("reads while it cleans", "return _CLEANING_MS + _WARM_UP_MS", "return 5_000"),
)
