# SPDX-License-Identifier: EUPL-1.2
"""Modbus RTU master on a half-duplex RS485 line: reading holding registers, nothing else.

SPEC = "MODBUS over Serial Line Specification and Implementation Guide V1.02", APP = "MODBUS Application Protocol
Specification V1.1b3". Faults are returned by name, never raised: ``no_answer``, ``bad_answer``, ``not_ready``.
"""

if False:  # types only
    from firmware.hal import Clock, Pin, Uart

_BAUD = 9600
_CHARACTER_US = 1146  # 11 bits: start, 8 data, even parity, stop
_SILENCE_US = 4011  # SPEC 2.5.1.1 "MODBUS Message RTU Framing": 3.5 characters between frames
_ANSWER_MS = 300  # a slave that has not begun by then says nothing
_TRIES = 3
_READ_HOLDING_REGISTERS = 3  # APP 6.3
_BUSY = 6  # APP 7 "MODBUS Exception Responses": SERVER DEVICE BUSY


def crc16(data: bytes) -> int:
    """SPEC 6.2.2 "CRC Generation"; goes on the line low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


class Modbus:
    """The line: ``uart``, the transceiver's driver-enable pin ``de`` (receiver enabled while low), the time module."""

    def __init__(self, uart: "Uart", de: "Pin", clock: "Clock") -> None:
        self._uart = uart
        self._de = de
        self._clock = clock
        de(0)
        uart.init(baudrate=_BAUD, bits=8, parity=0, stop=1)  # SPEC 2.5.1 "RTU Transmission Mode": 8E1 by default

    def read_holding_registers(self, slave: int, first: int, count: int) -> "tuple[list[int], str | None]":
        """Return (registers, fault): a list of 0..65535 and None, or [] and the fault of the last of three tries."""
        request = bytes((slave, _READ_HOLDING_REGISTERS, first >> 8, first & 0xFF, 0, count))
        request += crc16(request).to_bytes(2, "little")
        for _ in range(_TRIES):
            self._send(request)
            answer = self._receive(5 + 2 * count)
            fault = self._fault(answer, slave, count)
            if fault is None:
                return [answer[n] << 8 | answer[n + 1] for n in range(3, 3 + 2 * count, 2)], None
        return [], fault

    def _send(self, frame: bytes) -> None:
        self._clock.sleep_us(_SILENCE_US)
        self._uart.read()  # noise from powering up or from turning round
        self._de(1)
        self._uart.write(frame)
        # The driver must let go after the last stop bit and before the answer, at least 3.5 characters later.
        self._clock.sleep_us(len(frame) * _CHARACTER_US)
        for _ in range(100):
            if self._uart.txdone():
                break
            self._clock.sleep_us(100)
        self._de(0)

    def _receive(self, length: int) -> bytes:
        """Wait for the first character, then for silence; return what came, perhaps b""."""
        for _ in range(_ANSWER_MS // 5):
            if self._uart.any():
                break
            self._clock.sleep_ms(5)
        else:
            return b""
        seen = 0
        while seen < (arrived := self._uart.any()) <= length:
            seen = arrived
            self._clock.sleep_us(_SILENCE_US + _CHARACTER_US)
        return self._uart.read() or b""

    @staticmethod
    def _fault(answer: bytes, slave: int, count: int) -> "str | None":
        if not answer:
            return "no_answer"
        if len(answer) < 5 or crc16(answer[:-2]) != answer[-2] | answer[-1] << 8 or answer[0] != slave:
            return "bad_answer"
        if answer[1] == 0x80 | _READ_HOLDING_REGISTERS and answer[2] == _BUSY:
            return "not_ready"
        if answer[1] != _READ_HOLDING_REGISTERS or answer[2] != 2 * count or len(answer) != 5 + 2 * count:
            return "bad_answer"
        return None
