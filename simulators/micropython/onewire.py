# SPDX-License-Identifier: EUPL-1.2
"""``onewire`` as MicroPython has it, over the bench's bus (runs on MicroPython).

Slot times: Maxim application note 126, "1-Wire Communication Through Software".
"""

import _ops
import _simlink as _link

if False:  # types only
    from machine import Pin

_BYTES_AT_ONCE = 7  # what an answer's value holds; the slots come one after the other all the same


class OneWireError(Exception):
    pass


class OneWire:
    SEARCH_ROM = 0xF0
    MATCH_ROM = 0x55
    SKIP_ROM = 0xCC

    def __init__(self, pin: "Pin") -> None:
        self.pin = pin
        if _link.wired >> pin._gpio & 1:
            pin.init(pin.OPEN_DRAIN, pin.PULL_UP)
        self._gpio = pin._gpio

    def reset(self, required: bool = False) -> bool:
        _link.spend(550)  # 480 us low, presence read 70 us after the release
        present = _link.request(_ops.ONEWIRE_RESET, self._gpio, 0)
        _link.spend(410)
        if required and not present:
            raise OneWireError
        return bool(present)

    def readbit(self) -> int:
        return _link.request(_ops.ONEWIRE_READ, self._gpio, 1)

    def readbyte(self) -> int:
        return _link.request(_ops.ONEWIRE_READ, self._gpio, 8)

    def readinto(self, buffer: bytearray) -> None:
        for start in range(0, len(buffer), _BYTES_AT_ONCE):
            count = min(_BYTES_AT_ONCE, len(buffer) - start)
            bits = _link.request(_ops.ONEWIRE_READ, self._gpio, 8 * count)
            for i in range(start, start + count):
                buffer[i] = bits & 0xFF
                bits >>= 8

    def writebit(self, value: int) -> None:
        _link.spend(70)
        _link.post(_ops.ONEWIRE_WRITE, self._gpio, 1 if value else 0)

    def writebyte(self, value: int) -> None:
        for i in range(8):
            self.writebit(value >> i & 1)

    def write(self, data: "bytes | bytearray") -> None:
        for byte in data:
            self.writebyte(byte)

    def crc8(self, data: "bytes | bytearray") -> int:
        """CRC-8/MAXIM: polynomial x^8 + x^5 + x^4 + 1, reflected."""
        crc = 0
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
        return crc
