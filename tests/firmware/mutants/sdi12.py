# SPDX-License-Identifier: EUPL-1.2
"""The SDI-12 recorder and the SMT100 on it, broken one way at a time."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.sensors.soil", "firmware.sensors.sdi12")
_LET_GO = "        self._drive(0)  # SPEC"
_FAULT = '                fault = "no_answer"\n                continue'


MUTANTS = (
    Mutant("2400 baud", "_BAUD = 1200", "_BAUD = 2400"),
    Mutant("eight bits", "bits=7, parity=0", "bits=8, parity=0"),
    Mutant("odd parity", "bits=7, parity=0", "bits=7, parity=1"),
    Mutant("not inverted", "uart.INV_TX | uart.INV_RX", "0"),
    Mutant("a break of 7.5 ms", "_BREAK_BAUD = 600", "_BREAK_BAUD = 1200"),
    Mutant("a break in the middle of a bit", 'write(b"\\0")', 'write(b"\\x10")'),
    Mutant("no marking after the break", "_MARKING_MS = 9", "_MARKING_MS = 2"),
    Mutant("marking until it sleeps", "_MARKING_MS = 9", "_MARKING_MS = 120"),
    Mutant("no break", "            self._break()\n", "            self._drive(1)\n"),
    Mutant("the line is not driven", "        self._drive(1)\n", ""),
    Mutant("the line is not let go", "        self._drive(0)  # SPEC 7: within 7.5 ms\n", ""),
    Mutant("let go too late", _LET_GO, "        self._clock.sleep_ms(10)\n" + _LET_GO),
    Mutant("its own voice is an answer", "        self._uart.read()  # our own voice\n", ""),
    Mutant("no patience", "_ANSWER_MS = 30", "_ANSWER_MS = 15"),
    Mutant("too much patience", "_ANSWER_MS = 30", "_ANSWER_MS = 2_000"),
    Mutant("a gap of no time", "_GAP_US = _CHARACTER_US + 4_000", "_GAP_US = 4_000"),
    Mutant("one try", "_TRIES = 3", "_TRIES = 1"),
    Mutant("two tries", "_TRIES = 3", "_TRIES = 2"),
    Mutant("four tries", "_TRIES = 3", "_TRIES = 4"),
    Mutant("no checksum asked for", 'b"MC")', 'b"M")'),
    Mutant("concurrent measurement", 'b"MC")', 'b"CC")'),
    Mutant("checksum ignored", "if body[-3:] != right:", "if False:"),
    Mutant("checksum preset", "    crc = 0\n", "    crc = 0xFFFF\n"),
    Mutant("checksum without the address", "crc16(body[:-3])", "crc16(body[1:-3])"),
    Mutant("address ignored", "and body[:1] == address", "and body[:1]"),
    Mutant("line end ignored", 'answer[-2:] == b"\\r\\n" and', ""),
    Mutant("no wait for the measurement", "        if seconds:\n", "        if False:\n"),
    Mutant("a quarter of an hour if it wants", "_PATIENCE_S = 10", "_PATIENCE_S = 999"),
    Mutant("no patience for slow ones", "_PATIENCE_S = 10", "_PATIENCE_S = 5"),
    Mutant("always the announced time", "        self._receive(most_ms)", "        self._clock.sleep_ms(most_ms)"),
    Mutant("milliseconds for seconds", "seconds * 1000 + _LATE_MS", "seconds + 50"),
    Mutant("only the first values", 'b"0123456789"', 'b"0"'),
    Mutant("values from the second on", 'b"0123456789"', 'b"123456789"'),
    Mutant("any number of values", "if len(values) == count else", "if True else"),
    Mutant("no values are values", '[], "not_ready"  # SPEC', "[0] * count, None  # SPEC"),
    Mutant("sign lost", "-value if sign == 0x2D else value", "value"),
    Mutant("rounded down", "(value + 5) // 10", "value // 10"),
    Mutant("eight digits", "<= 7 or", "<= 8 or"),
    Mutant("the last fault but one", _FAULT, "                continue"),
    Mutant("moisture for counts", '("soil_moisture", 2)', '("soil_moisture", 0)'),
    Mutant("permittivity for moisture", '("soil_permittivity", 1)', '("soil_permittivity", 2)'),
    Mutant("supply for temperature", '("soil_temperature", 3)', '("soil_temperature", 4)'),
    Mutant("no plausibility", "plausible(name, values[place])", "values[place]"),
    Mutant("any sensor is an SMT100", "_VALUES = 5", "_VALUES = 2"),
    Mutant("address 0 for all", "self._address = address", 'self._address = b"0"'),
    Mutant("asked before it listens", "_START_MS = 400", "_START_MS = 200"),
)  # fmt: skip
