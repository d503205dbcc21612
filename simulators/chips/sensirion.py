# SPDX-License-Identifier: EUPL-1.2
"""What Sensirion's I2C sensors have in common: 16-bit commands, words with a checksum each, time to execute.

SCD4x datasheet V1.5, "I2C Sequences" (command, arguments, execution time, read header) and "Checksum Calculation":
CRC-8, polynomial 0x31, preset 0xFF, not reflected, CRC(0xBEEF) = 0x92. While a command is executed the sensor does not
acknowledge its address.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from simulators.chips.refusals import Refusals
from simulators.chips.supply import Powered, Supply
from simulators.clock import Clock
from simulators.wires import Wire


class Fault(Enum):
    """What can be wrong with a sensor or its cable. Not every sensor has every part."""

    ABSENT = "no sensor on the cable"
    NACK = "powered, but acknowledges nothing"
    BAD_CRC = "one wrong bit in the checksum of every word"
    BAD_DATA = "one wrong bit in every word, its checksum that of the right one"
    NEVER_READY = "measures, but never has a value"
    STUCK = "the first value after power-on stays for ever; no new one is announced"
    OUT_OF_RANGE = "every value far beyond what it can measure"
    STRETCHING = "holds the clock low for 100 ms at every transfer"
    FAN = "the fan does not turn"
    FAN_SPEED = "the fan turns at the wrong speed"
    LASER = "the laser's current is wrong"
    GAS = "the gas sensor does not work"
    RHT = "the humidity sensor does not answer inside"


_STRETCHED_US = 100_000


def crc8(word: int) -> int:
    """The checksum of one word."""
    crc = 0xFF
    for byte in word.to_bytes(2, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x131 if crc & 0x80 else 0)) & 0xFF
    return crc


def encode(words: Iterable[int]) -> bytes:
    """Words as they go over the bus, most significant byte first, each with its checksum."""
    return b"".join(word.to_bytes(2, "big") + bytes([crc8(word)]) for word in words)


class Command(NamedTuple):
    """``act(arguments)`` gives the words to be read, if any. ``us``: execution time. ``arguments``: how many words."""

    act: Callable[[list[int]], list[int] | None]
    us: int
    arguments: tuple[int, ...] = (0,)
    states: tuple[str, ...] = ()  # in which it is allowed; empty: in all but sleep


class SensirionSim(Powered):
    """The common part. ``refusals`` collects, in words, what the master did against the datasheet."""

    def __init__(self, clock: Clock, power: Wire, address: int, power_up_us: int) -> None:
        self._clock = clock
        self.address = address
        self.fault: Fault | None = None
        self.refusals = Refusals()
        self._power_up_us = power_up_us
        self._state = "idle"
        self._busy_until_us = 0
        self._written = bytearray()
        self._writing = False
        self._refused = False
        self._answer = b""
        self._position = 0
        self._stretched = False
        self._commands: Mapping[int, Command] = {}
        self._supply = Supply(clock, power, self._switched)
        if self._supply.on:
            self._powered_on()

    # For each sensor to fill in

    def _powered_on(self) -> None:
        raise NotImplementedError

    def _powered_off(self) -> None:
        raise NotImplementedError

    def _selected_asleep(self) -> bool:
        """Its address while it sleeps; True if it acknowledges."""
        return False

    # Power

    def _switched(self, on: bool) -> None:
        self._state = "idle"
        self._busy_until_us = 0
        self._answer = b""
        if on:
            self._powered_on()
        else:
            self._powered_off()

    # The bus

    def stretch_us(self) -> int:
        stretched, self._stretched = self._stretched, False
        return _STRETCHED_US if stretched else 0

    def selected(self, read: bool) -> bool:
        self._writing = not read
        self._written.clear()
        self._refused = False
        self._position = 0
        if not self._supply.on or self.fault in (Fault.ABSENT, Fault.NACK) or self._supply.on_us < self._power_up_us:
            return False
        self._stretched = self.fault is Fault.STRETCHING
        if self._state == "sleep":
            return self._selected_asleep()
        if self._clock.now_us < self._busy_until_us:
            return self._refuse("addressed while it executes a command")
        if read and not self._answer:
            return self._refuse("read, but nothing was asked for")
        return True

    def write(self, byte: int) -> bool:
        if self._refused:
            return False
        self._written.append(byte)
        count = len(self._written)
        if count == 2:
            command = self._commands.get(self._code())
            if command is None:
                return self._refuse(f"unknown command 0x{self._code():04x}")
            if (command.states or ("idle", "measuring")).count(self._state) == 0:
                return self._refuse(f"command 0x{self._code():04x} while {self._state}")
        elif count > 2:
            if count > 2 + 3 * max(self._commands[self._code()].arguments):
                return self._refuse("more arguments than the command takes")
            if count % 3 == 2 and crc8(int.from_bytes(self._written[-3:-1], "big")) != byte:
                return self._refuse(f"wrong checksum in {self._written.hex()}")
        return True

    def read(self) -> int:
        if self._position >= len(self._answer):
            self._refuse("more read than there is")
            return 0xFF
        byte = self._answer[self._position]
        self._position += 1
        return byte

    def stop(self) -> None:
        if not self._writing:
            self._answer = b""
            return
        if self._refused or not self._written:
            return
        command = self._commands.get(self._code()) if len(self._written) >= 2 else None
        count, rest = divmod(len(self._written) - 2, 3)
        if command is None or rest or count not in command.arguments:
            self._refuse(f"incomplete command {self._written.hex()}")
            return
        arguments = [int.from_bytes(self._written[n : n + 2], "big") for n in range(2, len(self._written), 3)]
        self._busy_until_us = self._clock.now_us + command.us
        words = command.act(arguments)
        self._answer = self._damaged(encode(words)) if words else b""

    def _code(self) -> int:
        return int.from_bytes(self._written[:2], "big")

    def _refuse(self, why: str) -> bool:
        self._refused = True
        self.refusals.note(why)
        return False

    def _damaged(self, answer: bytes) -> bytes:
        if self.fault is Fault.BAD_CRC:
            return bytes(byte ^ 0x10 if n % 3 == 2 else byte for n, byte in enumerate(answer))
        if self.fault is Fault.BAD_DATA:
            return bytes(byte ^ 0x08 if n % 3 == 1 else byte for n, byte in enumerate(answer))
        return answer
