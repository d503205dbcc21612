# SPDX-License-Identifier: EUPL-1.2
"""The SMT50 driver, broken one way at a time."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.sensors.soil", "firmware.sensors.smt50")

MUTANTS = (
    Mutant("read while it settles", "_START_MS = 350", "_START_MS = 250"),
    Mutant("powered for nothing", "_START_MS = 350", "_START_MS = 900"),
    Mutant("one reading", "_READINGS = 8", "_READINGS = 1"),
    Mutant("the sum of all readings", "total // _READINGS", "total"),
    Mutant("absence unnoticed", "temperature_uv < _OPEN_UV", "False"),
    Mutant("absence of cold soil", "_OPEN_UV = 100_000", "_OPEN_UV = 120_000"),
    Mutant("absence told by the moisture", "and temperature_uv < _OPEN_UV", "and moisture_uv < _OPEN_UV"),
    Mutant("a cut moisture wire is dry soil", "moisture_uv < _CUT_UV", "False"),
    Mutant("dry soil is a cut wire", "_CUT_UV = 30_000", "_CUT_UV = 60_000"),
    Mutant("a drop of water in the converter", "_CUT_UV = 30_000", "_CUT_UV = 10_000"),
    Mutant("a short unnoticed in the moisture", "moisture_uv < _SUPPLY_UV", "True"),
    Mutant("a short unnoticed in the temperature", "temperature_uv < _SUPPLY_UV", "True"),
    Mutant("full scale 5 V", "// 600", "// 1000"),
    Mutant("moisture rounded up", "(moisture_uv + 300)", "(moisture_uv + 2_000)"),
    Mutant("whole per cent", "// 600", "// 60_000"),
    Mutant("no zero of the temperature", "- 500_000", "- 0"),
    Mutant("zero of the temperature at 0.4 V", "- 500_000", "- 400_000"),
    Mutant("20 mV a degree", "+ 50) // 100", "+ 50) // 200"),
    Mutant("inputs swapped", "moisture_uv, temperature_uv =", "temperature_uv, moisture_uv ="),
    Mutant("any moisture is right", "if moisture <= _WETTEST + _ROUNDING else", "if True else"),
    Mutant("no tolerance at the wet end", "_ROUNDING = 25", "_ROUNDING = 0"),
    Mutant("wettest at 40 %", "_WETTEST = 5_000", "_WETTEST = 4_000"),
    Mutant("any temperature is right", "if lowest <= value <= highest else", "if True else"),
    Mutant("coldest excluded", "lowest <= value", "lowest < value"),
    Mutant("hottest excluded", "value <= highest", "value < highest"),
    Mutant("read without a start", "None if self._started else", "None if True else"),
    Mutant("read after the stop", "        self._started = False\n\n    @static", "\n    @static"),
    Mutant("never started", "        self._started = True\n", ""),
)
