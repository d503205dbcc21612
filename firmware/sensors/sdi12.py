# SPDX-License-Identifier: EUPL-1.2
"""SDI-12 data recorder, and the SMT100 on it: one wire, 1200 baud, commands and answers in ASCII.

SPEC = "SDI-12 Version 1.4", 2019. Every try begins with a break and three tries are made (SPEC 7 "SDI-12 Timing",
"Retries"). What is asked for comes with a checksum. Faults are returned by name, never raised: ``no_answer``,
``bad_answer``, ``not_ready``.
"""

from firmware.sensors.soil import in_soil, plausible

if False:  # types only
    from firmware.hal import Clock, Pin, Uart, Values

_BAUD = 1200  # SPEC 4.1 "Baud Rate and Byte Frame Format": 7 bits, even parity, 1 stop bit; marking is the low level
_CHARACTER_US = 8_334
_BREAK_BAUD = 600  # a zero byte of this speed holds the line for nine bits, 15 ms; SPEC 7: 12 ms at least
_BREAK_MS = 17
_MARKING_MS = 9  # SPEC 7: 8.33 ms at least before the first character
_ANSWER_MS = 30  # SPEC 7: it begins within 15 ms; one character more to notice, and some patience
_GAP_US = _CHARACTER_US + 4_000  # SPEC 7: 1.66 ms at most between two characters
_LONGEST = 82  # SPEC 4.4 "SDI-12 Commands and Responses": 75 characters of values, address, checksum, line end
_TRIES = 3
_LATE_MS = 500  # past the time that a sensor says it needs
_PATIENCE_S = 10  # an SMT100 asks for one. SPEC allows 999, which one wrong bit may say, and the watchdog not 30

# Truebner, "SMT100 SDI-12": counts, permittivity, water by volume in %, temperature in degrees Celsius, supply in V
_START_MS = 400  # from power on to an answer; as the Modbus version
_VALUES = 5
_PLACES = (("soil_moisture", 2), ("soil_temperature", 3), ("soil_permittivity", 1))


def crc16(data: bytes) -> int:
    """SPEC 4.4.12 "Cyclic Redundancy Check (CRC)": polynomial 0xA001, preset 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def hundredths(text: bytes) -> "list[int] | None":
    """The values of an answer, each a sign and up to seven digits, in hundredths; None if it is anything else."""
    values: "list[int]" = []
    at = 0
    while at < len(text):
        sign = text[at]
        start = at = at + 1
        while at < len(text) and text[at] not in b"+-":
            at += 1
        whole, point, fraction = text[start:at].partition(b".")
        digits = whole + fraction
        if sign not in b"+-" or not 1 <= len(digits) <= 7 or not digits.isdigit() or (point and not fraction):
            return None
        value = int(whole or b"0") * 1000 + int((fraction + b"000")[:3])
        value = (value + 5) // 10
        values.append(-value if sign == 0x2D else value)
    return values


class Sdi12:
    """The line: ``uart`` behind a buffer that drives the wire while ``drive`` is high; ``clock``: the time module."""

    def __init__(self, uart: "Uart", drive: "Pin", clock: "Clock") -> None:
        self._uart = uart
        self._drive = drive
        self._clock = clock
        self._inverted = uart.INV_TX | uart.INV_RX
        drive(0)
        self._set_up()

    def measure(self, address: bytes) -> "tuple[list[int], str | None]":
        """aMC! and what it takes to get its values, in hundredths; ([], fault) if they do not come."""
        answer, fault = self.ask(address, b"MC")
        if fault is not None:
            return [], fault
        if len(answer) != 4 or not answer.isdigit():
            return [], "bad_answer"
        seconds, count = int(answer[:3]), int(answer[3:])
        if seconds > _PATIENCE_S:
            return [], "bad_answer"
        if seconds:
            self._await_service_request(seconds * 1000 + _LATE_MS)
        values: "list[int]" = []
        for number in b"0123456789":
            if len(values) >= count:
                break
            answer, fault = self.ask(address, b"D" + bytes((number,)), True)
            if fault is not None:
                return [], fault
            more = hundredths(answer)
            if more is None:
                return [], "bad_answer"
            if not more:
                return [], "not_ready"  # SPEC 4.4 "Send Data Command": the measurement was aborted
            values.extend(more)
        if not count:
            return [], "not_ready"
        return (values, None) if len(values) == count else ([], "bad_answer")

    def ask(self, address: bytes, command: bytes, checked: bool = False) -> "tuple[bytes, str | None]":
        """The answer to ``command`` without address, checksum (if it should have one) and line end."""
        fault: "str | None" = "no_answer"
        for _ in range(_TRIES):
            self._break()
            self._send(address + command + b"!")
            answer = self._receive()
            if not answer:
                fault = "no_answer"
                continue
            body = answer[:-2]
            fault = None if answer[-2:] == b"\r\n" and body[:1] == address else "bad_answer"
            if checked and fault is None:
                crc = crc16(body[:-3])
                right = bytes((0x40 | crc >> 12, 0x40 | crc >> 6 & 0x3F, 0x40 | crc & 0x3F))
                if body[-3:] != right:
                    fault = "bad_answer"
                body = body[:-3]
            if fault is None:
                return body[1:], None
        return b"", fault

    # --- the line ---

    def _set_up(self) -> None:
        self._uart.init(baudrate=_BAUD, bits=7, parity=0, stop=1, invert=self._inverted)

    def _break(self) -> None:
        self._uart.init(baudrate=_BREAK_BAUD, bits=8, parity=None, stop=1, invert=self._inverted)
        self._drive(1)
        self._uart.write(b"\0")
        self._clock.sleep_ms(_BREAK_MS)
        self._wait_sent()
        self._set_up()
        self._clock.sleep_ms(_MARKING_MS)

    def _send(self, command: bytes) -> None:
        self._uart.write(command)
        self._clock.sleep_us(len(command) * _CHARACTER_US)
        self._wait_sent()
        self._drive(0)  # SPEC 7: within 7.5 ms
        self._uart.read()  # our own voice

    def _wait_sent(self) -> None:
        for _ in range(30):
            if self._uart.txdone():
                break
            self._clock.sleep_us(100)

    def _receive(self, wait_ms: int = _ANSWER_MS) -> bytes:
        """Wait for the first character, then for a line end or a gap; return what came, perhaps b""."""
        for _ in range(wait_ms // 5):
            if self._uart.any():
                break
            self._clock.sleep_ms(5)
        else:
            return b""
        answer = b""
        while len(answer) <= _LONGEST and answer[-1:] != b"\n":
            part = self._uart.read()
            if not part:
                self._clock.sleep_us(_GAP_US)
                part = self._uart.read()
                if not part:
                    break
            answer += part
        return answer

    def _await_service_request(self, most_ms: int) -> None:
        """SPEC 4.4 "Service Request": the sensor says when it is done; if that gets lost, its time is up anyway."""
        self._receive(most_ms)


class Smt100Sdi12:
    """One Truebner SMT100, the version with SDI-12, on the ``bus``; more may hang there under other addresses."""

    QUANTITIES = ("soil_moisture", "soil_temperature", "soil_permittivity")

    def __init__(self, bus: Sdi12, address: bytes = b"0") -> None:
        self._bus = bus
        self._address = address

    def start(self) -> int:
        """Power is on; return the ms until it answers."""
        return _START_MS

    def read(self) -> "Values":
        """Moisture in 0.01 % water by volume, temperature in 0.01 degrees Celsius, permittivity in hundredths."""
        values, fault = self._bus.measure(self._address)
        if fault is None and len(values) != _VALUES:
            fault = "bad_answer"
        if fault is not None:
            return dict.fromkeys(self.QUANTITIES, fault)
        return in_soil({name: plausible(name, values[place]) for name, place in _PLACES})

    def stop(self) -> None:
        """Nothing to do before its power goes off."""
