# SPDX-License-Identifier: EUPL-1.2
"""SX1262: the registers a LoRa driver may touch. DS = Semtech DS_SX1261-2_V2.1, 12 "Register Map" and 15.

A bit that the data sheet does not name must be written back as it was read.
"""

from typing import NamedTuple

SYNC_WORD = 0x0740
IQ_POLARITY = 0x0736  # bit 2: 0 for inverted IQ, 1 for standard
SYMBOL_TIMEOUT = 0x0706
TX_MODULATION = 0x0889  # bit 2: 0 for LoRa at 500 kHz, 1 for everything else
TX_CLAMP = 0x08D8  # bits 4:1: all ones
RX_GAIN = 0x08AC
OCP = 0x08E7  # 2.5 mA a step
RTC_CONTROL = 0x0902
RTC_EVENT = 0x0944
RANDOM = 0x0819
RETENTION = 0x029F
ANA_LNA, ANA_MIXER = 0x08E2, 0x08E5

RX_BOOSTED, RX_POWER_SAVING = 0x96, 0x94


class Register(NamedTuple):
    reset: int
    writable: int  # mask


REGISTERS = {
    RETENTION: Register(0x00, 0xFF),  # DS 9.6: number of retained registers, then their addresses
    **{RETENTION + n: Register(0x00, 0xFF) for n in range(1, 9)},
    SYMBOL_TIMEOUT: Register(0x00, 0xFF),  # mantissa 7:3, exponent 2:0
    IQ_POLARITY: Register(0x0D, 0x04),  # DS 15.4
    SYNC_WORD: Register(0x14, 0xFF),
    SYNC_WORD + 1: Register(0x24, 0xFF),
    RANDOM: Register(0x00, 0x00),
    RANDOM + 1: Register(0x00, 0x00),
    RANDOM + 2: Register(0x00, 0x00),
    RANDOM + 3: Register(0x00, 0x00),
    TX_MODULATION: Register(0x01, 0x04),  # DS 15.1
    RX_GAIN: Register(0x94, 0xFF),
    TX_CLAMP: Register(0xC8, 0x1E),  # DS 15.2
    ANA_LNA: Register(0x0F, 0x01),  # cleared to draw random numbers; the other bits are not published
    OCP: Register(0x18, 0xFF),
    ANA_MIXER: Register(0x83, 0x80),
    RTC_CONTROL: Register(0x00, 0xFF),  # DS 15.3
    0x0911: Register(0x05, 0x3F),  # XTA trim
    0x0912: Register(0x05, 0x3F),  # XTB trim
    RTC_EVENT: Register(0x00, 0x02),  # DS 15.3
}


class Registers:
    """The values; every register not in the list above refuses to be touched."""

    def __init__(self) -> None:
        self._values = {address: register.reset for address, register in REGISTERS.items()}

    def __getitem__(self, address: int) -> int:
        return self._values[address]

    def force(self, address: int, value: int) -> None:
        """The chip itself writes."""
        self._values[address] = value

    def refusal(self, address: int, value: int | None = None) -> str | None:
        """Why the host may not read, or write ``value``; None if it may."""
        if address not in REGISTERS:
            return f"register 0x{address:04X} is not in the register map"
        if value is None:
            return None
        if (value ^ self._values[address]) & ~REGISTERS[address].writable & 0xFF:
            return f"register 0x{address:04X}: 0x{value:02X} changes bits that must be kept"
        if address == RX_GAIN and value not in (RX_BOOSTED, RX_POWER_SAVING):
            return f"register 0x08AC: 0x{value:02X} is neither power saving (0x94) nor boosted (0x96)"
        return None

    def retained(self) -> set[int]:
        """Addresses in the retention list. DS 9.6 "Receive (RX) Mode"."""
        return {
            self._values[RETENTION + 1 + 2 * n] << 8 | self._values[RETENTION + 2 + 2 * n]
            for n in range(min(self._values[RETENTION], 4))
        }

    def warm_start(self) -> None:
        """What a sleep with retention does not keep: the receiver's gain, unless it is in the list."""
        if RX_GAIN not in self.retained():
            self._values[RX_GAIN] = REGISTERS[RX_GAIN].reset
