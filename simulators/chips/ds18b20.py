# SPDX-License-Identifier: EUPL-1.2
"""Maxim DS18B20 1-Wire thermometer, powered through its VDD pin, bit by bit.

DS: DS18B20 data sheet 19-7487 Rev 6. AN27: Maxim application note 27 (CRC). A conversion takes its specified maximum
time, the result is released only then, and power-off forgets all but the EEPROM.
"""

from collections.abc import Callable, Iterator
from enum import Enum

from simulators.chips.refusals import Refusals
from simulators.clock import Clock, Event
from simulators.wires import Wire

FAMILY = 0x28  # DS "64-Bit Lasered ROM Code"
POWER_ON_RAW = 0x0550  # DS "Operation - Measuring Temperature": +85 Cel until the first conversion
CONVERSION_US = (93_750, 187_500, 375_000, 750_000)  # DS "AC Electrical Characteristics", 9..12 bit
EEPROM_WRITE_US = 10_000  # DS "NV Memory": tWR
ACTIVE_UA = 1_500  # DS "DC Electrical Characteristics": active current, maximum (typical 1 mA)


class Fault(Enum):
    """What can be wrong with the chip or its wire."""

    ABSENT = "no presence pulse"
    STUCK = "keeps the result of its first conversion"
    WRONG_CRC = "one wrong bit in every scratchpad it sends"
    NEVER_CONVERTS = "conversions never end; the scratchpad keeps its power-on value"
    BROWNS_OUT = "loses power for a moment in each conversion: done, but at the power-on value"


def crc8(data: bytes) -> int:
    """AN27: x^8 + x^5 + x^4 + 1, least significant bit first, preset 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def rom_code(serial: int) -> bytes:
    """The eight ROM bytes of the chip with this 48-bit serial number: family, serial, CRC."""
    body = bytes([FAMILY]) + serial.to_bytes(6, "little")
    return body + bytes([crc8(body)])


def raw_from_celsius(celsius: float, resolution_bits: int = 12) -> int:
    """The temperature register in sixteenths of a degree, DS "Temperature Register Format".

    The bits below the resolution, which the data sheet leaves undefined, are 0.
    """
    sixteenths = round(min(max(celsius, -55.0), 125.0) * 16)
    return (sixteenths >> (12 - resolution_bits) << (12 - resolution_bits)) & 0xFFFF


def _bits(data: bytes) -> Iterator[int]:
    return (byte >> n & 1 for byte in data for n in range(8))


class _State(Enum):
    IDLE = "waits for a reset"
    ROM_COMMAND = "takes a ROM command"
    MATCH = "compares a ROM code"
    SEARCH = "takes part in a search"
    FUNCTION_COMMAND = "takes a function command"
    WRITE_SCRATCHPAD = "takes three scratchpad bytes"
    SEND = "sends bytes"
    STATUS = "sends its busy bit"


class Ds18b20Sim:
    """One chip on a 1-Wire bus; implements ``simulators.wires.OneWireDevice``. ``power`` at level 1 is VDD on.

    ``read_truth(now_us)`` gives the temperature of the can in Cel. ``refusals`` collects, in words, everything the
    master did that a real chip ignores or that the data sheet forbids.
    """

    def __init__(
        self,
        clock: Clock,
        power: Wire,
        read_truth: Callable[[int], float],
        rom: bytes = rom_code(1),
        *,
        offset: float = 0.0,
    ) -> None:
        if len(rom) != 8 or crc8(rom[:7]) != rom[7]:
            raise ValueError(f"not a ROM code: {rom.hex()}")
        self._clock = clock
        self._read_truth = read_truth
        self._offset = offset
        self._power = power
        self.rom = rom
        self.fault: Fault | None = None
        self.refusals = Refusals()
        self.conversions = 0
        self.converting_us = 0
        self._eeprom = bytearray(b"\x4b\x46\x7f")  # DS "Memory": TH, TL; factory configuration 12 bit
        self._temperature = POWER_ON_RAW
        self._registers = bytearray(self._eeprom)
        self._stuck_at: int | None = None
        self._alarm = False
        self._busy: Event | None = None
        self._state = _State.IDLE
        self._received: list[int] = []
        self._outgoing: Iterator[int] = iter(())
        self._search_bit = 0
        self._search_step = 0
        power.watch(self._power_edge)
        self._power_edge(power.level)

    @property
    def resolution_bits(self) -> int:
        return 9 + (self._registers[2] >> 5 & 3)

    def scratchpad(self) -> bytes:
        """All nine bytes, DS "Memory Map"."""
        body = self._temperature.to_bytes(2, "little") + self._registers + b"\xff\x0c\x10"
        return body + bytes([crc8(body)])

    def charge_uc(self) -> float:
        """Charge drawn by conversions so far, microcoulomb; standby (1 uA) is left out."""
        return self.converting_us * ACTIVE_UA / 1e6

    def _power_edge(self, _level: int) -> None:
        if self._busy is not None:
            self._busy.cancel()
            self._busy = None
        self._state = _State.IDLE
        self._temperature = POWER_ON_RAW
        self._registers[:] = self._eeprom
        self._alarm = False

    def _alive(self) -> bool:
        return bool(self._power.level) and self.fault is not Fault.ABSENT

    # The bus

    def reset(self) -> bool:
        """DS "Initialization Procedure": every transaction begins with it."""
        if not self._alive():
            if not self._power.level:
                self.refusals.note("reset while unpowered")
            return False
        if self._state is _State.WRITE_SCRATCHPAD:
            self.refusals.note("reset before all three scratchpad bytes were written")
        self._enter(_State.ROM_COMMAND)
        return True

    def write_bit(self, bit: int) -> None:
        if not self._alive():
            return
        if self._state is _State.SEARCH:
            self._search_write(bit)
        elif self._state in (_State.SEND, _State.STATUS):
            if not bit:
                self.refusals.note("write slot while the chip was sending")
        elif self._state is not _State.IDLE:
            self._received.append(bit)
            self._received_bit()

    def read_bit(self) -> int:
        if not self._alive():
            return 1
        if self._state is _State.SEND:
            return next(self._outgoing, 1)
        if self._state is _State.STATUS:
            return 0 if self._busy is not None else 1
        if self._state is _State.SEARCH and self._search_step < 2:
            bit = self._rom_bit() ^ self._search_step
            self._search_step += 1
            return bit
        # To a chip that listens, a read slot looks exactly like a written 1 (DS "Read/Write Time Slots").
        self.write_bit(1)
        return 1

    def _enter(self, state: _State) -> None:
        self._state = state
        self._received = []

    def _send(self, data: bytes) -> None:
        self._enter(_State.SEND)
        self._outgoing = _bits(data)

    def _received_bit(self) -> None:
        need = {_State.MATCH: 64, _State.WRITE_SCRATCHPAD: 24}.get(self._state, 8)
        if len(self._received) < need:
            return
        number = sum(bit << n for n, bit in enumerate(self._received))
        if self._state is _State.ROM_COMMAND:
            self._rom_command(number)
        elif self._state is _State.MATCH:
            self._enter(_State.FUNCTION_COMMAND if number == int.from_bytes(self.rom, "little") else _State.IDLE)
        elif self._state is _State.WRITE_SCRATCHPAD:
            self._registers[:] = number.to_bytes(3, "little")
            self._registers[2] = (
                self._registers[2] & 0x60 | 0x1F
            )  # DS "Configuration Register": only R1 and R0 can be written
            self._enter(_State.IDLE)
        else:
            self._function_command(number)

    # DS "ROM Commands"

    def _rom_command(self, command: int) -> None:
        if command == 0x33:  # READ ROM
            self._send(self.rom)
            self._outgoing = self._then_function_command(self._outgoing)
        elif command == 0x55:  # MATCH ROM
            self._enter(_State.MATCH)
        elif command == 0xCC:  # SKIP ROM
            self._enter(_State.FUNCTION_COMMAND)
        elif command == 0xF0 or (command == 0xEC and self._alarm):  # SEARCH ROM, ALARM SEARCH
            self._enter(_State.SEARCH)
            self._search_bit = self._search_step = 0
        else:
            if command != 0xEC:
                self.refusals.note(f"unknown ROM command 0x{command:02x}")
            self._enter(_State.IDLE)

    def _then_function_command(self, bits: Iterator[int]) -> Iterator[int]:
        for n, bit in enumerate(bits):
            if n == 63:
                self._enter(_State.FUNCTION_COMMAND)
            yield bit

    def _rom_bit(self) -> int:
        return self.rom[self._search_bit // 8] >> self._search_bit % 8 & 1

    def _search_write(self, bit: int) -> None:
        if self._search_step < 2:
            self.refusals.note("search direction written before both bits were read")
            self._enter(_State.IDLE)
        elif bit != self._rom_bit():
            self._enter(_State.IDLE)  # another chip is meant
        else:
            self._search_bit += 1
            self._search_step = 0
            if self._search_bit == 64:
                self._enter(_State.FUNCTION_COMMAND)

    # DS "DS18B20 Function Commands"

    def _function_command(self, command: int) -> None:
        if self._busy is not None and command != 0xBE:
            self.refusals.note(f"command 0x{command:02x} while the chip was busy")
            self._enter(_State.IDLE)
        elif command == 0x44:  # CONVERT T
            duration = CONVERSION_US[self.resolution_bits - 9]
            self._busy = self._clock.after(duration, lambda: self._converted(duration))
            if self.fault is Fault.NEVER_CONVERTS:
                self._busy.cancel()  # stays busy until power-off
            self._enter(_State.STATUS)
        elif command == 0xBE:  # READ SCRATCHPAD
            data = bytearray(self.scratchpad())
            if self.fault is Fault.WRONG_CRC:
                data[8] ^= 0x01
            self._send(bytes(data))
        elif command == 0x4E:  # WRITE SCRATCHPAD
            self._enter(_State.WRITE_SCRATCHPAD)
        elif command == 0x48:  # COPY SCRATCHPAD
            self._busy = self._clock.after(EEPROM_WRITE_US, self._copied)
            self._enter(_State.STATUS)
        elif command == 0xB8:  # RECALL E2
            self._registers[:] = self._eeprom
            self._enter(_State.STATUS)
        elif command == 0xB4:  # READ POWER SUPPLY: 1 = externally powered
            self._send(b"\xff")
        else:
            self.refusals.note(f"unknown function command 0x{command:02x}")
            self._enter(_State.IDLE)

    def _converted(self, duration_us: int) -> None:
        self._busy = None
        self.conversions += 1
        self.converting_us += duration_us
        if self.fault is Fault.BROWNS_OUT:
            self._temperature = POWER_ON_RAW
            self._registers[:] = self._eeprom
            return
        raw = raw_from_celsius(self._read_truth(self._clock.now_us) + self._offset, self.resolution_bits)
        if self._stuck_at is None:
            self._stuck_at = raw
        self._temperature = self._stuck_at if self.fault is Fault.STUCK else raw
        # DS "Operation - Alarm Signaling": only the whole degrees (bits 11..4) are compared.
        degrees = (self._temperature >> 4 & 0xFF ^ 0x80) - 0x80
        high, low = ((register ^ 0x80) - 0x80 for register in self._registers[:2])
        self._alarm = degrees >= high or degrees <= low

    def _copied(self) -> None:
        self._busy = None
        self._eeprom[:] = self._registers
