# SPDX-License-Identifier: EUPL-1.2
"""The drivers of battery and processor, broken one way at a time."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.sensors.onboard",)

MUTANTS = (
    Mutant("one reading", "_READINGS = 3", "_READINGS = 1"),
    Mutant("five readings", "_READINGS = 3", "_READINGS = 5"),
    Mutant("the lowest", "readings[_READINGS // 2]", "readings[0]"),
    Mutant("the highest", "readings[_READINGS // 2]", "readings[-1]"),
    Mutant("the second", "sorted([self._read_mv() for _ in range(_READINGS)])", "[self._read_mv() for _ in range(3)]"),
    Mutant("no divider is no voltage", "if not readings[-1]:", "if False:"),
    Mutant("one zero is enough", "if not readings[-1]:", "if not readings[0]:"),
    Mutant("open called short", '"open_circuit"', '"short_circuit"'),
    Mutant("loose contacts believed", "readings[-1] - readings[0] > _APART_MV", "False"),
    Mutant("contacts always loose", "_APART_MV = 250", "_APART_MV = 50"),
    Mutant("contacts not that loose", "_APART_MV = 250", "_APART_MV = 300"),
    Mutant("loose one step earlier", "> _APART_MV", ">= _APART_MV"),
    Mutant("loose called no answer", '"bad_answer"', '"no_answer"'),
    Mutant("emptier than empty", "_LEAST_MV = 2_000", "_LEAST_MV = 900"),
    Mutant("empty excluded", "_LEAST_MV <= readings[0]", "_LEAST_MV < readings[0]"),
    Mutant("fuller than full", "_MOST_MV = 5_500", "_MOST_MV = 9_000"),
    Mutant("lithium-ion refused", "_MOST_MV = 5_500", "_MOST_MV = 4_000"),
    Mutant("USB excluded", "readings[-1] <= _MOST_MV", "readings[-1] < _MOST_MV"),
    Mutant("only the middle is judged", "_LEAST_MV <= readings[0] <= readings[-1] <=", "_LEAST_MV <= readings[1] <="),
    Mutant("any temperature", "not _COLDEST_CENTI_CEL <= value <= _HOTTEST_CENTI_CEL", "False"),
    Mutant("no frost", "_COLDEST_CENTI_CEL = -4_000", "_COLDEST_CENTI_CEL = 0"),
    Mutant("coldest excluded", "not _COLDEST_CENTI_CEL <= value", "not _COLDEST_CENTI_CEL < value"),
    Mutant("hottest excluded", "value <= _HOTTEST_CENTI_CEL", "value < _HOTTEST_CENTI_CEL"),
    Mutant("hottest of the range only", "_HOTTEST_CENTI_CEL = 12_500", "_HOTTEST_CENTI_CEL = 8_500"),
)
