# SPDX-License-Identifier: EUPL-1.2
"""The Watermark driver, broken one way at a time."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.sensors.watermark",)

MUTANTS = (
    Mutant("direct current", "        far(1)\n", "        feed(1)\n"),
    Mutant(
        "one direction twice as long", "        back = read_uv()\n", "        read_uv()\n        back = read_uv()\n"
    ),
    Mutant(
        "too long",
        "        feed(1)\n        there",
        "        feed(1)\n        self._clock.sleep_us(200)\n        there",
    ),
    Mutant("no pause", "_DISCHARGE_MS = 100", "_DISCHARGE_MS = 10"),
    Mutant("a long pause", "_DISCHARGE_MS = 100", "_DISCHARGE_MS = 600"),
    Mutant("the far end stays high", "        far(0)\n        if", "        if"),
    Mutant("the fed end stays high", "        feed(0)\n        far(1)", "        far(1)"),
    Mutant("ends left as they were", "        self._feed(0)\n        self._far(0)\n", ""),
    Mutant(
        "a collection may come",
        "        gc.disable()  # a collection would be a direct current; nothing here allocates\n",
        "",
    ),
    Mutant("no collection ever again", "            gc.enable()", "            pass"),
    Mutant("one cycle", "_CYCLES = 3", "_CYCLES = 1"),
    Mutant("directions swapped", "there * SERIES_OHM // back if back", "back * SERIES_OHM // there if back"),
    Mutant("another resistor", "SERIES_OHM = 10_000", "SERIES_OHM = 7_870"),
    Mutant("open too late", "_OPEN_OHM = 35_000", "_OPEN_OHM = 40_000"),
    Mutant("open too early", "_OPEN_OHM = 35_000", "_OPEN_OHM = 30_000"),
    Mutant("short too late", "_SHORT_OHM = 300", "_SHORT_OHM = 200"),
    Mutant("short too early", "_SHORT_OHM = 300", "_SHORT_OHM = 400"),
    Mutant("saturated soil has a tension", "kpa = 0.0", "kpa = 5.0"),
    Mutant("driest at 200", "_DRIEST_DECI_KPA = 2_390", "_DRIEST_DECI_KPA = 2_000"),
    Mutant("driest not bounded", "_DRIEST_DECI_KPA = 2_390", "_DRIEST_DECI_KPA = 9_000"),
    Mutant("reference 20 degrees", "_REFERENCE_CENTI_CEL = 2_400", "_REFERENCE_CENTI_CEL = 2_000"),
    Mutant("temperature ignored", "if temperature is None else temperature", "if True else temperature"),
    Mutant(
        "made-up temperature",
        "            return temperature\n",
        "            temperature = _REFERENCE_CENTI_CEL\n",
    ),
    Mutant("parenthesis of the wet branch", "(r * 23.156 - 12.736) * warmed", "r * 23.156 - 12.736 * warmed"),
    Mutant("wet branch not warmed", "- 12.736) * warmed", "- 12.736)"),
    Mutant("middle branch to 9 kOhm", "ohm <= 8_000", "ohm <= 9_000"),
    Mutant("middle branch of 10 kOhm per volt", "0.009733", "0.09733"),
    Mutant("sign of the middle branch", "- 0.01205 * celsius", "+ 0.01205 * celsius"),
    Mutant("dry branch not warmed", "        r *= warmed\n", ""),
    Mutant("square lost", "0.06756 * r * r", "0.06756 * r"),
    Mutant("whole kPa", "int(kpa * 10 + 0.5)", "int(kpa + 0.5)"),
    Mutant("any supply is right", "_LEAST_UV, _MOST_UV = 2_000_000", "_LEAST_UV, _MOST_UV = 0"),
    Mutant("any higher supply is right", "_MOST_UV = 2_000_000, 3_900_000", "_MOST_UV = 2_000_000, 9_900_000"),
    Mutant("only 3.3 V is right", "_LEAST_UV, _MOST_UV = 2_000_000", "_LEAST_UV, _MOST_UV = 3_200_000"),
    Mutant("read without a start", " if self._started else", " if True else"),
    Mutant("one name for all", "self.QUANTITIES = (quantity,)", "pass"),
)
