# SPDX-License-Identifier: EUPL-1.2
"""Truebner SMT100 soil moisture sensor, RS485 version with Modbus RTU.

DS: Truebner SMT100 data sheet (4-24 V, up to 40 mA while measuring, measurement in less than 50 ms, 0-100 % volumetric
water, -40..80 Cel, resolution 0.01 Cel and 0.1 % or better). AN002: Truebner "SMT100 Modbus Quickstart Guide"
(registers, configuration address 0xFD). SL: MODBUS over Serial Line V1.02. AP: MODBUS Application Protocol V1.1b3.

Assumed, because no document says so: the sensor listens 300 ms after power-on (the data sheet of its analog sister
SMT50 asks for that wait), has one measurement ready by then, and measures anew for a request when the last measurement
is a second old; between measurements it draws 5 mA.
"""

import random
from collections.abc import Callable
from enum import Enum

from simulators.chips.refusals import Refusals
from simulators.chips.supply import Powered, Supply
from simulators.clock import Clock, Event
from simulators.wires import SerialPort, SerialSettings, Wire

SETTINGS = SerialSettings(9600, 8, 0, 1)  # AN002: 9600 baud, 8 data bits, even parity, 1 stop bit
CONFIGURATION_ADDRESS = 0xFD  # AN002: every sensor takes requests to it and answers them as address 0
STARTUP_US = 300_000
MEASUREMENT_US = 50_000  # DS: "less than 50 ms"
PERIOD_US = 1_000_000
TURNAROUND_US = 5_000  # from the end of the request frame to the first start bit of the answer
MEASURING_UA = 40_000  # DS: "up to 40 mA during measurement"
LISTENING_UA = 5_000

_TEMPERATURE, _WATER, _PERMITTIVITY, _COUNTS, _ADDRESS = range(5)
_ILLEGAL_FUNCTION, _ILLEGAL_DATA_ADDRESS, _ILLEGAL_DATA_VALUE = 1, 2, 3  # AP "MODBUS Exception Responses"
_BAD_WORD = 0xFFFF


class Fault(Enum):
    """What can be wrong with the sensor or its cable."""

    ABSENT = "no sensor on the cable"
    NEVER_READY = "draws current but never answers"
    STUCK = "answers the same values for ever"
    WRONG_CRC = "answers with one wrong bit"
    LINES_SWAPPED = "A and B change places: every level is the other one, and no character has a stop bit"
    CABLE_BREAK = "the line goes dead in the middle of each answer"
    IN_AIR = "pulled out of the soil: permittivity 1, no water"
    OUT_OF_RANGE = "blade broken: 0xFFFF in every measured register (assumption)"


def crc16(data: bytes, crc: int = 0xFFFF) -> int:
    """SL appendix "CRC Generation": polynomial 0xA001 reflected, preset ``crc``; sent low byte first."""
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def water_from_permittivity(permittivity: float) -> float:
    """Volumetric water content in %: Topp, Davis & Annan (1980), the equation that the sensor itself uses (DS)."""
    return 100 * (-5.3e-2 + permittivity * (2.92e-2 + permittivity * (-5.5e-4 + permittivity * 4.3e-6)))


def permittivity_from_water(vwc_percent: float) -> float:
    """The permittivity 1..100 at which Topp's equation, which rises everywhere, gives ``vwc_percent``."""
    low, high = 1.0, 100.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if water_from_permittivity(middle) < vwc_percent else (low, middle)
    return (low + high) / 2


def counts_from_permittivity(permittivity: float) -> int:
    """Raw counts: Bogena et al. (2017), doi 10.3390/s17010208, mean sensor, solved for the counts."""
    alpha, beta, gamma = -0.1305, 0.2549, 1.8342
    if abs(permittivity - gamma) < 1e-9:
        return 18_000
    return round(18_000 - 5_000 * beta / (1 / (permittivity - gamma) - alpha))


class Smt100Sim(Powered):
    """The sensor at the far end of ``port``. ``power`` at level 1 means 4-24 V on its supply wire.

    ``read_truth(now_us)`` gives the soil around the blade as (volumetric water %, Cel). ``refusals`` collects, in
    words, everything the master did that a real sensor ignores or rejects.
    """

    def __init__(
        self,
        clock: Clock,
        port: SerialPort,
        power: Wire,
        read_truth: Callable[[int], tuple[float, float]],
        address: int = 1,
        *,
        seed: int = 0,
        settings: SerialSettings = SETTINGS,
        noise_percent: float = 0.1,
        noise_celsius: float = 0.02,
    ) -> None:
        self._clock = clock
        self._port = port
        self._read_truth = read_truth
        self._settings = settings
        self._noise_percent = noise_percent
        self._noise_celsius = noise_celsius
        self._random = random.Random(seed)
        self.address = address  # kept without power
        self.fault: Fault | None = None
        self.refusals = Refusals()
        self.measurements = 0
        self._measured_at_us: int | None = None
        self._words = [0, 0, 0, 0]
        self._frame = bytearray()
        self._frame_error = ""
        self._last_byte_us = 0
        self._frame_end: Event | None = None
        self._startup: Event | None = None
        self._pending: list[Event] = []  # the characters of an answer that are still to be sent
        port.device = self
        self._supply = Supply(clock, power, self._switched)
        self._switched(self._supply.on)

    # Power

    def charge_uc(self) -> float:
        """Charge drawn so far, microcoulomb."""
        measuring_us = self.measurements * MEASUREMENT_US
        return (self.powered_us() * LISTENING_UA + measuring_us * (MEASURING_UA - LISTENING_UA)) / 1e6

    def _switched(self, on: bool) -> None:
        self._fall_silent()
        self._forget_frame()
        if self._startup is not None:
            self._startup.cancel()
        if on:
            self._measured_at_us = None
            self._startup = self._clock.after(STARTUP_US, self._measure)

    # Measuring

    def _measure(self) -> None:
        self._measured_at_us = self._clock.now_us
        self.measurements += 1
        water, celsius = self._read_truth(self._clock.now_us)
        noise = self._random.uniform(-self._noise_percent, self._noise_percent)
        celsius_noise = self._random.uniform(-self._noise_celsius, self._noise_celsius)
        if self.fault is Fault.STUCK and self.measurements > 1:
            return
        if self.fault is Fault.OUT_OF_RANGE:
            self._words = [_BAD_WORD] * 4
            return
        in_air = self.fault is Fault.IN_AIR
        permittivity = 1.0 if in_air else permittivity_from_water(water + noise)
        water_word = round(100 * min(max(water_from_permittivity(permittivity), 0.0), 100.0))
        celsius_word = round(100 * min(max(celsius + celsius_noise, -40.0), 80.0)) + 10_000  # AN002
        self._words = [celsius_word, water_word, round(100 * permittivity), counts_from_permittivity(permittivity)]

    # Receiving: SL "RTU Transmission Mode"

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        """One character from the master, at the end of its stop bit."""
        if self.fault is Fault.ABSENT:
            return
        if self.fault is Fault.LINES_SWAPPED:
            self.refusals.note("A and B are swapped: character without a stop bit")
            return
        if not self._supply.on:
            self.refusals.note("character while unpowered")
            return
        if self._measured_at_us is None or self.fault is Fault.NEVER_READY:
            self.refusals.note("character before the sensor was ready")
            return
        now = self._clock.now_us
        if self._pending:
            self.refusals.note("character while the answer was due")
            self._fall_silent()
        if settings != self._settings:
            self._frame_error = "wrong framing"
        # More than 1.5 characters of silence inside a frame break it.
        gap_us = now - settings.byte_us() - self._last_byte_us
        if self._frame and 2 * gap_us > 3 * self._settings.byte_us():
            self._frame_error = self._frame_error or "gap inside the frame"
        self._last_byte_us = now
        self._frame.append(byte)
        if self._frame_end is not None:
            self._frame_end.cancel()
        self._frame_end = self._clock.after(7 * self._settings.byte_us() // 2, self._frame_ended)

    def _forget_frame(self) -> None:
        self._frame.clear()
        self._frame_error = ""
        if self._frame_end is not None:
            self._frame_end.cancel()
            self._frame_end = None

    def _frame_ended(self) -> None:
        frame, error = bytes(self._frame), self._frame_error
        self._forget_frame()
        if error:
            self.refusals.note(error)
        elif len(frame) < 4:
            self.refusals.note(f"frame of {len(frame)} bytes")
        elif crc16(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
            self.refusals.note(f"wrong CRC in {frame.hex()}")
        elif frame[0] not in (self.address, CONFIGURATION_ADDRESS, 0):
            self.refusals.note(f"request to address {frame[0]}")
        else:
            answer = self._execute(frame[1:-2])
            if answer[0] & 0x80:
                self.refusals.note(f"exception {answer[1]} for function 0x{frame[1]:02x}")
            if frame[0]:  # SL "MODBUS Master / Slaves protocol principle": nobody answers a broadcast
                self._answer(bytes([0 if frame[0] == CONFIGURATION_ADDRESS else frame[0]]) + answer)

    # Answering: AP "Read Holding Registers" (0x03), "Write Single Register" (0x06)

    def _execute(self, request: bytes) -> bytes:
        """Carry out one request PDU; return the answer PDU."""
        function, data = request[0], request[1:]
        if function not in (0x03, 0x06):
            return self._exception(function, _ILLEGAL_FUNCTION)
        if len(data) != 4:
            return self._exception(function, _ILLEGAL_DATA_VALUE)
        register, value = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:], "big")
        if function == 0x06:
            if register != _ADDRESS:
                return self._exception(function, _ILLEGAL_DATA_ADDRESS)
            if not 1 <= value <= 247:  # SL "MODBUS Addressing rules"
                return self._exception(function, _ILLEGAL_DATA_VALUE)
            self.address = value
            return request
        if not 1 <= value <= 125:
            return self._exception(function, _ILLEGAL_DATA_VALUE)
        if register + value > _ADDRESS + 1:
            return self._exception(function, _ILLEGAL_DATA_ADDRESS)
        assert self._measured_at_us is not None
        if self._clock.now_us - self._measured_at_us >= PERIOD_US:
            self._measure()
        words = [*self._words, self.address][register : register + value]
        return bytes([function, 2 * value]) + b"".join(word.to_bytes(2, "big") for word in words)

    @staticmethod
    def _exception(function: int, code: int) -> bytes:
        return bytes([function | 0x80, code])

    def _answer(self, body: bytes) -> None:
        crc = crc16(body) ^ (0x0100 if self.fault is Fault.WRONG_CRC else 0)
        frame = body + crc.to_bytes(2, "little")
        if self.fault is Fault.CABLE_BREAK:
            frame = frame[: len(frame) // 2]
        byte_us = self._settings.byte_us()
        start = self._clock.now_us + TURNAROUND_US
        for n, byte in enumerate(frame):
            # One at a time, so that a power cut or a talking master ends the answer where it stands.
            self._pending.append(self._clock.at(start + n * byte_us, lambda byte=byte: self._send(byte)))  # type: ignore[misc]

    def _fall_silent(self) -> None:
        for event in self._pending:
            event.cancel()
        self._pending.clear()

    def _send(self, byte: int) -> None:
        self._pending.pop(0)
        self._port.answer(bytes([byte]), self._settings)
