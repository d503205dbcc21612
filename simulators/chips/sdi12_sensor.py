# SPDX-License-Identifier: EUPL-1.2
"""An SDI-12 sensor at its end of the one wire, with the timing of the standard; by default it is an SMT100.

SPEC: "SDI-12 Version 1.4", 2019: 4.1 "Baud Rate and Byte Frame Format", 4.4 "SDI-12 Commands and Responses", 7
"Timing" (all times ± 0.4 ms). SMT100: Truebner, counts, permittivity, water by volume, temperature, supply.

Assumed, because no document says so: it listens 300 ms after power-on and measures for 250 ms, announcing one second.
"""

import math
from collections.abc import Callable, Sequence
from enum import Enum

from simulators.chips.refusals import Refusals
from simulators.chips.smt100 import (
    LISTENING_UA,
    MEASUREMENT_US,
    MEASURING_UA,
    counts_from_permittivity,
    crc16,
    permittivity_from_water,
)
from simulators.chips.supply import Powered, Supply
from simulators.clock import Clock, Event
from simulators.wires import SerialPort, SerialSettings, Wire

SETTINGS = SerialSettings(1200, 7, 0, 1, True)  # SPEC 4.1
STARTUP_US = 300_000
MEASURING_US = 250_000
BREAK_US = 12_000  # SPEC 7
MARKING_US = 8_330
ANSWER_US = 10_000  # SPEC 7: after 8.33 ms of marking, within 15 ms
AWAKE_US = 100_000  # SPEC 7: it falls asleep after so much marking
GAP_US = 1_660
RELEASE_US = 7_500
TOLERANCE_US = 400
_MOST_CHARACTERS = {"M": 35, "C": 75}  # SPEC 4.4 "Send Data Command"
IDENTIFICATION = "14TRUEBNERSMT100100"


class Fault(Enum):
    """What can be wrong with the sensor or its cable."""

    ABSENT = "no sensor on the wire"
    NEVER_READY = "takes the measurement command, then has no values"
    NO_REQUEST = "its service request gets lost"
    WRONG_CRC = "one wrong bit in every checksum"
    NOISE = "every answer's third character arrives with a wrong bit"
    CABLE_BREAK = "the wire goes dead in the middle of each answer"
    DEAF_ONCE = "misses the next command"
    OUT_OF_RANGE = "blade broken: 999 in every value (assumption)"
    STUCK = "measures the same for ever"


def checksum(text: str) -> str:
    """SPEC 4.4.12: CRC-16, polynomial 0xA001 reflected, preset 0, in three printable characters."""
    crc = crc16(text.encode(), 0)
    return "".join(chr(0x40 | crc >> shift & 0x3F) for shift in (12, 6, 0))


def smt100_values(water_percent: float, celsius: float, supply_v: float = 12.0) -> list[str]:
    """What an SMT100 in such soil says."""
    permittivity = permittivity_from_water(water_percent)
    counts = counts_from_permittivity(permittivity)
    return [f"+{counts}", f"{permittivity:+.2f}", f"{water_percent:+.2f}", f"{celsius:+.2f}", f"{supply_v:+.1f}"]


class Sdi12SensorSim(Powered):
    """The sensor at the far end of ``line``, whose recorder drives it while ``drive`` is high.

    ``read_values(now_us)``: the values of a measurement as they go on the wire, sign and decimal point included.
    ``refusals`` collects, in words, everything the recorder did that the standard forbids or a sensor ignores.
    """

    def __init__(
        self,
        clock: Clock,
        line: SerialPort,
        drive: Wire,
        power: Wire,
        read_values: Callable[[int], Sequence[str]],
        address: str = "0",
        *,
        measuring_us: int = MEASURING_US,
    ) -> None:
        self._clock = clock
        self._line = line
        self._drive = drive
        self._read_values = read_values
        self._measuring_us = measuring_us
        self.address = address
        self.fault: Fault | None = None
        self.refusals = Refusals()
        self.measurements = 0
        self._values: list[str] = []
        self._with_crc = False
        self._kind = "M"
        self._command = ""
        self._marking_since_us = -AWAKE_US  # of the break, or of the last character
        self._after_break = False
        self._awake = False
        self._measurement: Event | None = None
        self._pending: list[Event] = []
        self._talking_until_us = 0
        line.device = self
        self._supply = Supply(clock, power, self._switched)

    # Power

    def charge_uc(self) -> float:
        """Charge drawn so far, microcoulomb."""
        measuring_us = self.measurements * MEASUREMENT_US
        return (self.powered_us() * LISTENING_UA + measuring_us * (MEASURING_UA - LISTENING_UA)) / 1e6

    def _switched(self, _on: bool) -> None:
        self._forget()
        self._values, self._awake = [], False

    def _forget(self) -> None:
        for event in (*self._pending, self._measurement):
            if event is not None:
                event.cancel()
        self._pending.clear()
        self._measurement = None
        self._command = ""

    def _listening(self) -> bool:
        if not self._supply.on or self.fault is Fault.ABSENT:
            return False
        if self._supply.on_us < STARTUP_US:
            self.refusals.note("spoken to before it has started up")
            return False
        return True

    # Receiving: SPEC 7

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        """One character has passed; ``simulators.wires.SerialDevice``."""
        if not self._listening():
            return
        now_us = self._clock.now_us
        began_us = now_us - settings.byte_us()
        if began_us < self._talking_until_us:
            self.refusals.note("spoken to while it was speaking")
            return
        if settings != SETTINGS:
            self._other_framing(byte, settings, began_us)
            return
        marking_us = began_us - self._marking_since_us + TOLERANCE_US
        first = not self._command
        if not self._awake or marking_us > AWAKE_US + 2 * TOLERANCE_US:
            self.refusals.note("spoken to while it was asleep: no break before")
            self._awake = False
            return
        if first and self._after_break and marking_us < MARKING_US:
            self.refusals.note(f"only {marking_us - TOLERANCE_US} us of marking after the break")
            return
        if not first and marking_us > GAP_US + 2 * TOLERANCE_US:
            self.refusals.note("a pause within a command")
            self._command = ""
        self._after_break = False
        self._marking_since_us = now_us
        self._command += chr(byte)
        if byte == ord("!"):
            command, self._command = self._command[:-1], ""
            self._clock.after(RELEASE_US + TOLERANCE_US, self._released)
            self._obey(command)

    def _other_framing(self, byte: int, settings: SerialSettings, began_us: int) -> None:
        """A break is a character of another speed with zeros at its beginning; anything else is noise."""
        bit_us = 1e6 / settings.baud
        zeros = next((n for n in range(settings.bits) if byte >> n & 1), settings.bits)
        spacing_us = round((1 + zeros) * bit_us)
        if not settings.inverted:
            self.refusals.note("the line is upside down: marking is low")
        elif spacing_us < BREAK_US - TOLERANCE_US:
            self.refusals.note(f"a break of {spacing_us} us, or a character with the wrong framing")
        else:
            if self._measurement is not None and self._kind == "M":
                self._values = []  # SPEC 4.4 "Aborting a Measurement"
            if self._kind == "M":
                self._forget()
            self._command = ""
            self._awake = self._after_break = True
            self._marking_since_us = began_us + spacing_us

    def _released(self) -> None:
        if self._drive.level:
            self.refusals.note(f"the recorder still drives the line {RELEASE_US} us after its command")

    # Obeying: SPEC 4.4

    def _obey(self, command: str) -> None:
        if self.fault is Fault.DEAF_ONCE:
            self.fault = None
            return
        if command == "?":
            self._answer(self.address)
            return
        address, body = command[:1], command[1:]
        if address != self.address:
            self._awake = False
            return
        if body == "":
            self._answer(address)
        elif body == "I":
            self._answer(address + IDENTIFICATION)
        elif body in ("M", "MC", "C", "CC"):
            self._measure(body[0], body.endswith("C") and len(body) == 2)
        elif body == "V":
            self._answer(address + "0000")
        elif len(body) == 2 and body[0] == "A" and body[1].isalnum():
            self.address = body[1]
            self._answer(self.address)
        elif len(body) == 2 and body[0] == "D" and body[1].isdigit():
            text = address + self._chunk(int(body[1]))
            crc = checksum(text) if self._with_crc else ""
            if crc and self.fault is Fault.WRONG_CRC:
                crc = crc[:2] + chr(ord(crc[2]) ^ 1)
            self._answer(text + crc)
        else:
            self.refusals.note(f"unknown command {command}!")

    def _measure(self, kind: str, with_crc: bool) -> None:
        count = len(self._read_values(self._clock.now_us))
        seconds = math.ceil(self._measuring_us / 1e6)
        if self.fault is not Fault.STUCK:
            self._values = []
        self._kind, self._with_crc = kind, with_crc
        self._answer(f"{self.address}{seconds:03d}" + (f"{count:02d}" if kind == "C" else f"{count}"))
        self._measurement = self._clock.at(self._talking_until_us + self._measuring_us, self._measured)

    def _measured(self) -> None:
        self._measurement = None
        self.measurements += 1
        if self.fault is Fault.NEVER_READY:
            return
        if not self._values:
            self._values = list(self._read_values(self._clock.now_us))
        if self.fault is Fault.OUT_OF_RANGE:
            self._values = ["+999"] * len(self._values)
        if self._kind == "M" and self._measuring_us and self.fault is not Fault.NO_REQUEST:
            self._answer(self.address, 0)

    def _chunk(self, number: int) -> str:
        """The values of aD<number>!: as many whole ones as an answer may hold."""
        chunks = [""]
        for value in self._values:
            if len(chunks[-1]) + len(value) > _MOST_CHARACTERS[self._kind]:
                chunks.append("")
            chunks[-1] += value
        return chunks[number] if number < len(chunks) else ""

    def _answer(self, text: str, after_us: int = ANSWER_US) -> None:
        data = bytearray((text + "\r\n").encode())
        if self.fault is Fault.NOISE and len(data) > 4:
            data[2] ^= 0x04
        if self.fault is Fault.CABLE_BREAK:
            data = data[: len(data) // 2]
        start = self._clock.now_us + after_us
        for n, byte in enumerate(data):
            at_us = start + n * SETTINGS.byte_us()
            self._pending.append(self._clock.at(at_us, lambda byte=byte: self._say(byte)))  # type: ignore[misc]
        self._talking_until_us = start + len(data) * SETTINGS.byte_us()
        self._marking_since_us = self._talking_until_us

    def _say(self, byte: int) -> None:
        self._pending.pop(0)
        self._line.answer(bytes([byte]), SETTINGS)
