# SPDX-License-Identifier: EUPL-1.2
"""Hi-Link HLK-LD2451, 24 GHz vehicle radar: reports of targets at 10 Hz, configuration over the same line.

SP: Hi-Link "HLK-LD2451 Serial communication protocol" V1.03 (115200 8N1; report and command frames, their fields, the
default: approaching targets only). Where its table and its example contradict each other (the direction byte), the
table holds here, and ``Fault.SWAPPED_DIRECTION`` is the other reading.

Assumed, because no document says so: 600 ms from power to the first report; no reports in configuration mode;
answers after 10 ms; 120 mA while the radar runs, 60 mA before; opening angle 20 degrees either side; two echoes that
differ by less than 1.5 m and 1.5 km/h are one (one transmit and two receive antennas cannot part them by angle); at
most 5 targets a report, strongest first. Users report modules that send nothing instead of empty reports while
nothing moves: ``sends_empty=False``.
"""

import math
import random
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from simulators.chips.radar_view import Echo, RadarView
from simulators.chips.refusals import Refusals
from simulators.chips.supply import Powered, Supply
from simulators.clock import Clock, Event
from simulators.vehicles import Vehicle
from simulators.wires import SerialPort, SerialSettings, Wire

SETTINGS = SerialSettings(115_200)
PERIOD_US = 100_000
STARTUP_US = 600_000
TURNAROUND_US = 10_000
RUNNING_UA = 120_000
STARTING_UA = 60_000
MOST_TARGETS = 5
_GAIN_DB = 78.0  # a car (10 dBsm) has 8 dB at 100 m, the range that the maker claims
_SEEN_DEGREES = 20.0
_CELL_M, _CELL_KMH = 1.5, 1.5

_COMMAND_HEAD, _COMMAND_TAIL = bytes.fromhex("fdfcfbfa"), bytes.fromhex("04030201")
_REPORT_HEAD, _REPORT_TAIL = bytes.fromhex("f4f3f2f1"), bytes.fromhex("f8f7f6f5")
_ENABLE, _END = 0x00FF, 0x00FE
_SET_DETECTION, _READ_DETECTION, _SET_SENSITIVITY, _READ_SENSITIVITY = 0x0002, 0x0012, 0x0003, 0x0013
_FIRMWARE, _BAUD, _FACTORY, _RESTART = 0x00A0, 0x00A1, 0x00A2, 0x00A3
_BAUDS = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 256_000, 460_800)  # SP: index 1 to 8
_AWAY, _APPROACH, _BOTH = 0, 1, 2


class Fault(Enum):
    """What can be wrong with the module or its cable."""

    ABSENT = "no module on the cable"
    SILENT = "draws current and says nothing"
    GARBAGE = "sends bytes that mean nothing"
    NOISY = "one byte in 30 is wrong"
    STUCK = "repeats the last report for ever"
    SWAPPED_DIRECTION = "0 means approach and 1 away"
    DEAF = "sends reports, hears no command"
    REFUSING = "answers every command with failure"


class Detection(NamedTuple):
    """SP "Set target detection parameters"; the factory's values."""

    most_m: int = 100
    direction: int = _APPROACH
    least_kmh: int = 5
    delay_s: int = 1


class Sensitivity(NamedTuple):
    """SP "Set sensitivity": frames before a target is one, least SNR."""

    triggers: int = 1
    snr: int = 4


class Ld2451Sim(Powered):
    """The module at the far end of ``port``; ``power`` at level 1 means 5 V. ``vehicles``: see RadarView.

    ``ghosts`` is how many frames in a thousand have a target that is none. ``refusals`` collects what the module's
    master did that it ignores or rejects.
    """

    def __init__(
        self,
        clock: Clock,
        port: SerialPort,
        power: Wire,
        vehicles: Iterable[Vehicle] = (),
        *,
        seed: int = 0,
        dropout: float = 0.05,
        ghosts: int = 10,
        sends_empty: bool = True,
    ) -> None:
        self._clock = clock
        self._port = port
        self._view = RadarView(vehicles, gain_db=_GAIN_DB, seen_degrees=_SEEN_DEGREES, dropout=dropout, seed=seed)
        self._random = random.Random(seed + 1)
        self._ghosts = ghosts
        self._sends_empty = sends_empty
        self.detection = Detection()  # kept without power, as is the sensitivity
        self.sensitivity = Sensitivity()
        self.settings = self._next_settings = SETTINGS
        self.fault: Fault | None = None
        self.refusals = Refusals()
        self.reports = 0
        self._configuring = False
        self._frame = bytearray()
        self._last_report = b""
        self._alarm_until_us = 0
        self._seen: dict[int, int] = {}  # whose echo: in how many frames in a row
        self._ghost_next: bool | None = None  # whether the next report has one, if that is known already
        self._tick: Event | None = None
        self._running = False
        port.device = self
        self._supply = Supply(clock, power, self._restart)
        self._restart(self._supply.on)

    def _restart(self, on: bool) -> None:
        if self._tick is not None:
            self._tick.cancel()
        self._running = self._configuring = False
        self.settings = self._next_settings
        self._frame.clear()
        self._seen.clear()
        if on:
            self._draw(STARTING_UA)
            self._tick = self._clock.after(STARTUP_US, self._run)

    def _run(self) -> None:
        self._running = True
        self._draw(RUNNING_UA)
        self._report()

    def _draw(self, ua: int) -> None:
        self._supply.draw(0 if self.fault is Fault.ABSENT else ua)

    # Reports: SP "Target data report"

    def _report(self) -> None:
        targets = self._targets()
        self._tick = self._clock.after(self._pause_us(), self._report)
        if self._configuring or self.fault in (Fault.ABSENT, Fault.SILENT):
            return
        if self.fault is Fault.GARBAGE:
            self._send(self._random.randbytes(self._random.randint(1, 40)))
            return
        if self.fault is not Fault.STUCK or not self._last_report:
            body = b"".join(self._block(echo) for echo in targets)
            alarm = self._clock.now_us < self._alarm_until_us
            self._last_report = bytes([len(targets), alarm]) + body if targets else b""
        if self._last_report or self._sends_empty:
            self.reports += 1
            length = len(self._last_report).to_bytes(2, "little")
            self._send(_REPORT_HEAD + length + self._last_report + _REPORT_TAIL)

    def _pause_us(self) -> int:
        """Until the next report: a module that sends no empty ones is passed over while nothing can be in view."""
        self._ghost_next = None
        frames = 0 if self._sends_empty or self.fault else self._view.quiet_us(self._clock.now_us) // PERIOD_US
        if frames < 2:
            return PERIOD_US
        chance = self._random.random()
        until_ghost = 1 + int(math.log(1 - chance) / math.log(1 - self._ghosts / 1000)) if self._ghosts else frames + 1
        self._ghost_next = until_ghost <= frames
        return min(until_ghost, frames) * PERIOD_US

    def _targets(self) -> list[Echo]:
        now = self._clock.now_us
        echoes: list[Echo] = []
        for echo in self._view.echoes(now):
            wanted = self.detection.direction in (_BOTH, _AWAY if echo.receding else _APPROACH)
            in_range = echo.metres <= self.detection.most_m and echo.kmh >= self.detection.least_kmh
            resolved = all(
                echo.receding != other.receding
                or abs(echo.metres - other.metres) >= _CELL_M
                or abs(echo.kmh - other.kmh) >= _CELL_KMH
                for other in echoes
            )
            if wanted and in_range and resolved and echo.snr_db >= self.sensitivity.snr:
                echoes.append(echo)
        self._seen = {echo.key: self._seen.get(echo.key, 0) + 1 for echo in echoes}
        echoes = [echo for echo in echoes if self._seen[echo.key] >= self.sensitivity.triggers]
        if self._random.randrange(1000) < self._ghosts if self._ghost_next is None else self._ghost_next:
            echoes.append(self._ghost())
        if any(not echo.receding for echo in echoes):
            self._alarm_until_us = now + max(self.detection.delay_s, 1) * 1_000_000
        return echoes[:MOST_TARGETS]

    def _ghost(self) -> Echo:
        draw = self._random.uniform
        receding = {_AWAY: True, _APPROACH: False}.get(self.detection.direction, self._random.random() < 0.5)
        metres = draw(3.0, self.detection.most_m)
        return Echo(metres, draw(-20.0, 20.0), draw(self.detection.least_kmh, 80.0), receding, draw(4.0, 9.0), 0)

    def _block(self, echo: Echo) -> bytes:
        """Angle + 0x80, metres, 1 approach or 0 away, km/h, SNR; measured with the radar's own noise."""
        gauss = self._random.gauss
        degrees = round(echo.degrees + gauss(0.0, 1.5))
        metres = round(echo.metres + gauss(0.0, 0.4))
        kmh = round(echo.kmh + gauss(0.0, 0.5))
        approach = not echo.receding
        if self.fault is Fault.SWAPPED_DIRECTION:
            approach = not approach
        values = degrees + 0x80, metres, approach, kmh, round(echo.snr_db)
        return bytes(min(max(value, 0), 255) for value in values)

    def _send(self, data: bytes, delay_us: int = 0) -> None:
        if self.fault is Fault.NOISY:
            data = bytes(byte ^ (self._random.randrange(30) == 0) * self._random.randint(1, 255) for byte in data)
        self._port.answer(data, self.settings, delay_us)

    # Commands: SP "Sending command and ACK"

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        """One character from the master, at the end of its stop bit."""
        if self.fault in (Fault.ABSENT, Fault.DEAF, Fault.SILENT):
            return
        if not self._running:
            self.refusals.note("character before the module was ready")
            return
        if settings != self.settings:
            self.refusals.note("wrong framing")
            return
        frame = self._frame
        frame.append(byte)
        if not _COMMAND_HEAD.startswith(frame[:4]):
            self.refusals.note(f"no command: {frame.hex()}")
            frame.clear()
        elif len(frame) >= 6 and len(frame) == 10 + int.from_bytes(frame[4:6], "little"):
            whole = bytes(frame)
            frame.clear()
            if whole[-4:] != _COMMAND_TAIL or len(whole) < 12:
                self.refusals.note(f"no end of a command: {whole.hex()}")
            else:
                self._execute(int.from_bytes(whole[6:8], "little"), whole[8:-4])

    def _execute(self, command: int, value: bytes) -> None:
        if self.fault is Fault.REFUSING:
            self._acknowledge(command, 1)
        elif command == _ENABLE:
            if value == b"\x01\x00":
                self._configuring = True
                self._acknowledge(command, 0, bytes.fromhex("0100 4000"))  # protocol version, buffer size
            else:
                self.refusals.note(f"enable configuration with {value.hex()}")
                self._acknowledge(command, 1)
        elif not self._configuring:
            self.refusals.note(f"command 0x{command:04x} outside of configuration mode")
        else:
            answer = self._configure(command, value)
            if answer is None:
                self.refusals.note(f"command 0x{command:04x} with {value.hex()}")
            self._acknowledge(command, int(answer is None), answer or b"")
            if command == _END and answer is not None:
                self._configuring = False
            if command == _RESTART:
                self._restart(self._supply.on)

    def _configure(self, command: int, value: bytes) -> bytes | None:
        """Carry it out; return what the answer has besides its status, None if it is refused."""
        if command == _SET_DETECTION and len(value) == 4:
            detection = Detection(*value)
            if not 10 <= detection.most_m <= 100 or detection.direction > 2 or detection.least_kmh > 120:
                return None
            self.detection = detection
            return b""
        if command == _SET_SENSITIVITY and len(value) == 4 and value[2:] == b"\0\0":
            if not 1 <= value[0] <= 10 or not 3 <= value[1] <= 8:
                return None
            self.sensitivity = Sensitivity(value[0], value[1])
            return b""
        if command == _BAUD and len(value) == 2 and 1 <= value[0] <= 8 and not value[1]:
            self._next_settings = self.settings._replace(baud=_BAUDS[value[0] - 1])  # SP: after a restart
            return b""
        if value:
            return None
        if command == _FACTORY:
            self.detection, self.sensitivity = Detection(), Sensitivity()
        answers = {
            _END: b"",
            _READ_DETECTION: bytes(self.detection),
            _READ_SENSITIVITY: bytes(self.sensitivity) + b"\0\0",
            _FIRMWARE: bytes.fromhex("5124 0101 10150524"),
            _FACTORY: b"",
            _RESTART: b"",
        }
        return answers.get(command)

    def _acknowledge(self, command: int, status: int, rest: bytes = b"") -> None:
        body = (command | 0x0100).to_bytes(2, "little") + status.to_bytes(2, "little") + rest
        self._send(_COMMAND_HEAD + len(body).to_bytes(2, "little") + body + _COMMAND_TAIL, TURNAROUND_US)
