# SPDX-License-Identifier: EUPL-1.2
"""The SCD41 driver, broken one way at a time; the protocol below it is broken in ``sps30``."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.sensors.sensirion", "firmware.sensors.scd41")

MUTANTS = (
    Mutant("another address", "_ADDRESS = 0x62", "_ADDRESS = 0x69"),
    Mutant("humidity alone", "_SHOOT = 0x219D", "_SHOOT = 0x2196"),
    Mutant("periodic", "_SHOOT = 0x219D", "_SHOOT = 0x21B1"),
    Mutant("altitude for pressure", "_PRESSURE = 0xE000", "_PRESSURE = 0x2427"),
    Mutant("self-calibration asked for", "_SELF_CALIBRATION = 0x2416", "_SELF_CALIBRATION = 0x2313"),
    Mutant("not woken", "        sensor.send(_WAKE_UP, _WAKE_UP_MS, (), 0)  # DS: not acknowledged\n", ""),
    Mutant("no time to wake", "        self._sleep_ms(_WAKE_UP_MS)\n", ""),
    Mutant(
        "self-calibration left on",
        "sensor.send(_SELF_CALIBRATION, 1, (0,), _POWER_UP_MS)",
        "sensor.send(_PRESSURE, 1, (1013,), _POWER_UP_MS)",
    ),
    Mutant("self-calibration switched on", "_SELF_CALIBRATION, 1, (0,)", "_SELF_CALIBRATION, 1, (1,)"),
    Mutant("no time to power up", "_POWER_UP_MS = 1_200", "_POWER_UP_MS = 100"),
    Mutant("endless time to power up", "_POWER_UP_MS = 1_200", "_POWER_UP_MS = 60_000"),
    Mutant("pressure not told", "fault = sensor.send(_PRESSURE, 1, (pressure,))", "pass"),
    Mutant("pressure made up", "pressure = self.pressure_hpa", "pressure = self.pressure_hpa or 900"),
    Mutant("pressure in Pa", "(pressure,))", "(pressure * 100 & 0xFFFF,))"),
    Mutant("any low pressure", "_LOWEST_HPA = 700", "_LOWEST_HPA = 699"),
    Mutant("any high pressure", "_HIGHEST_HPA = 1_200", "_HIGHEST_HPA = 1_201"),
    Mutant("no mountains", "_LOWEST_HPA = 700", "_LOWEST_HPA = 950"),
    Mutant("no high", "_HIGHEST_HPA = 1_200", "_HIGHEST_HPA = 1_199"),
    Mutant("first shot taken", "self._fault or sensor.send(_SHOOT)\n        if", "self._fault\n        if"),
    Mutant("no first shot", "self._fault = fault or sensor.send(_SHOOT)", "self._fault = fault"),
    Mutant("waits for an absent sensor", "return _SHOT_MS if self._fault is None else 0", "return _SHOT_MS"),
    Mutant("start's fault forgotten", "fault = self._fault or sensor.send(_SHOOT)", "fault = sensor.send(_SHOOT)"),
    Mutant("shots of 4 s", "_SHOT_MS = 5_000", "_SHOT_MS = 4_000"),
    Mutant("shots of 6 s", "_SHOT_MS = 5_000", "_SHOT_MS = 6_000"),
    Mutant("awake during the shot", "self._sleep_ms(_SHOT_MS)", "sensor._clock.sleep_ms(_SHOT_MS)"),
    Mutant("no pause in the shot", "            self._sleep_ms(_SHOT_MS)\n", ""),
    Mutant("ready or not", "sensor.wait(_READY, _READY_BITS, 1, _LATE_MS) or ", ""),
    Mutant("any bit means ready", "_READY_BITS = 0x07FF", "_READY_BITS = 0xFFFF"),
    Mutant("the lowest bit means ready", "_READY_BITS = 0x07FF", "_READY_BITS = 1"),
    Mutant("late is never", "_LATE_MS = 500", "_LATE_MS = 50"),
    Mutant("late is for ever", "_LATE_MS = 500", "_LATE_MS = 50_000"),
    Mutant("checksum of the first word alone", "sensor.ask(_READ, 3, 1)", "sensor.ask(_READ, 1, 1)"),
    Mutant("no time to read", "sensor.ask(_READ, 3, 1)", "sensor.ask(_READ, 3)"),
    Mutant("temperature for CO2", "ppm = sensor.word(0)", "ppm = sensor.word(1)"),
    Mutant("nothing is too little", "_LEAST_PPM = 300", "_LEAST_PPM = 0"),
    Mutant("fresh air is too little", "_LEAST_PPM = 300", "_LEAST_PPM = 420"),
    Mutant("least excluded", "if _LEAST_PPM <= ppm", "if _LEAST_PPM < ppm"),
    Mutant("nothing is too much", "_MOST_PPM = 40_000", "_MOST_PPM = 70_000"),
    Mutant("a room is too much", "_MOST_PPM = 40_000", "_MOST_PPM = 2_000"),
    Mutant("does not sleep", "        self._sensor.send(_POWER_DOWN, 1)\n", ""),
    Mutant("remembers after stop", '        self._fault = "not_ready"\n        self._sensor', "        self._sensor"),
)
