# SPDX-License-Identifier: EUPL-1.2
"""``machine.I2C`` over the bench's bus (runs on MicroPython).

MicroPython documentation, "class I2C"; errors: ports/esp32/machine_i2c.c and ports/rp2/machine_i2c.c. What the bus
does is seen when the address has been sent (reading) or when all has been sent (writing).
"""

import sys

import _ops
import _simlink as _link

if False:  # types only
    from machine import Pin

_RP2 = "rp2" in sys.argv[17:]
_NACK = 5 if _RP2 else 19  # EIO; ENODEV
_ETIMEDOUT = 110 if _RP2 else 116  # newlib, which the ESP32 uses, has a number of its own
_MOST = 512


class I2C:
    """A hardware I2C, as a controller, 7-bit addresses, 8-bit registers."""

    _nothing = bytearray(0)

    def __init__(
        self,
        id: int,
        *,
        scl: "Pin | None" = None,
        sda: "Pin | None" = None,
        freq: int = 400_000,
        timeout: int = 50_000,
    ) -> None:
        self._id = id
        self._freq = freq
        self._timeout = timeout
        _link.spend(_link.cpu_us)
        for pin in (scl, sda):  # open drain with the chip's own pull-up, whatever else pulls
            if pin is not None and _link.wired >> pin._gpio & 1:
                _link.post(_ops.PIN_WRITE, pin._gpio, 1)
                _link.post(_ops.PIN_MODE, pin._gpio, 7)
                _link.post(_ops.PIN_PULL, pin._gpio, 1)

    def _spend(self, count: int) -> None:
        """The time of so many bytes and their acknowledgements, and of START and STOP."""
        _link.spend(_link.cpu_us + (2 + 9 * count) * 1_000_000 // self._freq)

    def _check(self, value: int, needed: int) -> None:
        if value >> 16 & 1:
            _link.spend(self._timeout)
            raise OSError(_ETIMEDOUT)
        _link.spend(value >> 17)
        if value & 0xFFFF < needed:
            raise OSError(_NACK)

    def _argument(self, address: int, stop: bool) -> int:
        return address | (0 if stop else 0x80) | self._timeout << 8

    def writeto(self, address: int, data: "bytes | bytearray", stop: bool = True) -> int:
        if len(data) > _MOST:
            raise NotImplementedError("the bench does not simulate I2C transfers of more than 512 bytes")
        self._spend(1 + len(data))
        value = _link.transfer(_ops.I2C_WRITE, self._id, data, self._nothing, self._argument(address, stop))
        self._check(value, 1 + len(data))
        return len(data)

    def readfrom_into(self, address: int, buffer: "bytearray | memoryview", stop: bool = True) -> None:
        if len(buffer) > _MOST:
            raise NotImplementedError("the bench does not simulate I2C transfers of more than 512 bytes")
        self._spend(1)
        argument = self._argument(address, stop) | len(buffer) << 40
        self._check(_link.request(_ops.I2C_READ, self._id, argument, buffer), 1)
        self._spend(len(buffer))

    def readfrom(self, address: int, count: int, stop: bool = True) -> bytes:
        buffer = bytearray(count)
        self.readfrom_into(address, buffer, stop)
        return bytes(buffer)

    def readfrom_mem_into(self, address: int, register: int, buffer: bytearray) -> None:
        self.writeto(address, bytes((register,)), False)
        self.readfrom_into(address, buffer)

    def readfrom_mem(self, address: int, register: int, count: int) -> bytes:
        buffer = bytearray(count)
        self.readfrom_mem_into(address, register, buffer)
        return bytes(buffer)

    def writeto_mem(self, address: int, register: int, data: "bytes | bytearray") -> None:
        self.writeto(address, bytes((register,)) + data)

    def scan(self) -> "list[int]":
        """The addresses that acknowledge."""
        found = []
        for address in range(0x08, 0x78):
            try:
                self.writeto(address, b"")
            except OSError:
                continue
            found.append(address)
        return found
