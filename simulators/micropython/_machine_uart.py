# SPDX-License-Identifier: EUPL-1.2
"""``machine.UART`` over the bench's serial lines (runs on MicroPython)."""

import _ops
import _simlink as _link
from machine import _refuse

if False:  # types only
    from typing import Any

    from machine import Pin


class UART:
    """A UART; ``timeout`` and ``timeout_char`` in ms as on the ESP32."""

    INV_RX = 4
    INV_TX = 32

    def __init__(self, id: int, baudrate: int = 115_200, *arguments: "Any", **options: "Any") -> None:
        self._id = id
        self._timeout_us = self._timeout_char_us = 0
        self._cached = self._count = -1
        self.init(baudrate, *arguments, **options)

    def init(
        self,
        baudrate: int = 115_200,
        bits: int = 8,
        parity: "int | None" = None,
        stop: int = 1,
        *,
        tx: "Pin | None" = None,
        rx: "Pin | None" = None,
        txbuf: int = 256,
        rxbuf: int = 256,
        timeout: int = 0,
        timeout_char: int = 0,
        invert: int = 0,
        flow: int = 0,
    ) -> None:
        inverted = self.INV_TX | self.INV_RX
        if flow or invert not in (0, inverted):
            _refuse("flow control, and one line inverted without the other")
        if not 128 < rxbuf < 32_768:  # ESP-IDF, "uart_driver_install": more than the hardware's 128
            raise ValueError("rxbuf")
        self._timeout_us = timeout * 1000
        self._byte_us = -(-(1 + bits + (parity is not None) + stop) * 1_000_000 // baudrate)
        self._timeout_char_us = max(timeout_char * 1000, self._byte_us * 2)
        _link.spend(_link.cpu_us)
        if tx is not None and _link.wired >> tx._gpio & 1:  # from now on the UART drives it, idle, until told otherwise
            _link.post(_ops.PIN_WRITE, tx._gpio, 0 if invert else 1)
            _link.post(_ops.PIN_MODE, tx._gpio, 3)
        parity = 0 if parity is None else 1 + (parity & 1)
        _link.post(
            _ops.UART_SETUP,
            self._id,
            baudrate | bits << 32 | parity << 40 | stop << 44 | (1 << 46 if invert else 0) | rxbuf << 48,
        )

    def deinit(self) -> None:
        pass

    def write(self, data: "bytes | bytearray | str") -> int:
        if isinstance(data, str):
            data = data.encode()
        _link.spend(_link.cpu_us)
        if len(data) > 512:
            _refuse("UART writes of more than 512 bytes")
        _link.post_data(_ops.UART_WRITE, self._id, 0, data)
        return len(data)

    def _state(self) -> int:
        _link.touch()
        if self._cached != _link.answers:  # nothing changes before the horizon
            self._count = _link.request(_ops.UART_STATE, self._id, 0)
            self._cached = _link.answers
        return self._count

    def any(self) -> int:
        return self._state() & 0xFFFF_FFFF

    def txdone(self) -> bool:
        return not self._state() >> 32

    def flush(self) -> None:
        while not self.txdone():
            _link.sleep_until(_link.t + self._byte_us)

    def _fill(self, buffer: bytearray) -> int:
        """Read until the buffer is full or a timeout passes; return how many characters."""
        have = 0
        wait_us = self._timeout_us
        _link.touch()
        while True:
            part = bytearray(len(buffer) - have)
            count = _link.request(_ops.UART_READ, self._id, len(part), part)
            if count:
                buffer[have : have + count] = part[:count]
                have += count
                wait_us = self._timeout_char_us if self._timeout_us else 0
            if have == len(buffer) or wait_us <= 0:
                return have
            step_us = min(wait_us, self._byte_us)
            _link.sleep_until(_link.t + step_us)
            wait_us -= step_us

    def readinto(self, buffer: bytearray, count: "int | None" = None) -> "int | None":
        data = self.read(len(buffer) if count is None else count)
        if data is None:
            return None
        buffer[: len(data)] = data
        return len(data)

    def read(self, count: "int | None" = None) -> "bytes | None":
        buffer = bytearray(self.any() if count is None else count)
        have = self._fill(buffer) if buffer else 0
        return bytes(buffer[:have]) if have else None
