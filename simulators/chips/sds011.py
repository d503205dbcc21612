# SPDX-License-Identifier: EUPL-1.2
"""Nova Fitness SDS011 particulate matter sensor on its serial line.

DS: Nova Fitness "Laser Dust Sensor Control Protocol" V1.3 (2015): frames, checksum, commands; its settings outlive a
power cut. Product specification: one value a second, 70 mA at work, less than 4 mA asleep. Assumed: it hears nothing
in the first second after power-on and answers after 20 ms; asleep it answers nothing but the command for sleep and
work.
"""

from collections.abc import Callable
from enum import Enum

from simulators.chips.air_state import AirState
from simulators.chips.particles import SAMPLE_US, Particles
from simulators.chips.refusals import Refusals
from simulators.chips.supply import Powered, Supply
from simulators.clock import Clock, Event
from simulators.wires import SerialPort, SerialSettings, Wire

SETTINGS = SerialSettings(9600, 8, None, 1)  # DS "Protocol Configuration"
BOOT_US = 1_000_000
ANSWER_US = 20_000
WORKING_UA, SLEEPING_UA = 70_000, 4_000
_ON_US = 30_000_000  # DS "Set working period": work 30 s, sleep for the rest of n minutes
_MODE, _QUERY, _SLEEP, _FIRMWARE, _PERIOD = 0x02, 0x04, 0x06, 0x07, 0x08
_MOST = 9_999


class Fault(Enum):
    """What can be wrong with the sensor or its cable."""

    ABSENT = "no sensor on the cable"
    NEVER_READY = "draws current, but never answers"
    BAD_CHECKSUM = "answers with a wrong checksum"
    CUT = "the line goes dead in the middle of each answer"
    STUCK = "the laser is dead: no dust at all, for ever"
    OUT_OF_RANGE = "more dust than it can measure"
    BABBLE = "noise on the line without an end"


class Sds011Sim(Powered):
    """The sensor at the far end of ``port``; ``power`` at level 1 means 5 V. ``read_truth(now_us)`` is its air.

    ``query_mode`` and ``period_min`` are what is stored in it; ``stored`` counts how often that was changed.
    """

    def __init__(
        self,
        clock: Clock,
        port: SerialPort,
        power: Wire,
        read_truth: Callable[[int], AirState],
        *,
        seed: int = 0,
        noise_percent: float = 5.0,
        device_id: int = 0xA160,
        query_mode: bool = False,
        period_min: int = 0,
    ) -> None:
        self._clock = clock
        self._port = port
        self._particles = Particles(read_truth, seed, noise_percent)
        self._id = device_id.to_bytes(2, "big")
        self.query_mode = query_mode
        self.period_min = period_min
        self.stored = 0
        self.fault: Fault | None = None
        self.refusals = Refusals()
        self._frame = bytearray()
        self._working = False
        self._tick: Event | None = None
        self._turn: Event | None = None
        self._pending: list[Event] = []
        port.device = self
        self._supply = Supply(clock, power, self._switched)
        self._work()

    @property
    def working(self) -> bool:
        return self._working

    # Power, sleep, work

    def _switched(self, on: bool) -> None:
        self._frame.clear()
        for event in self._pending:
            event.cancel()
        self._pending.clear()
        self._stop()
        if on:
            self._work()  # as it does after power-on

    def _stop(self) -> None:
        self._working = False
        self._particles.stop()
        for event in (self._tick, self._turn):
            if event is not None:
                event.cancel()

    def _work(self) -> None:
        if not self._working and self._supply.on:
            self._working = True
            self._particles.start(self._clock.now_us)
            self._supply.draw(WORKING_UA)
            self._tick = self._clock.after(SAMPLE_US, self._second)
            if self.period_min:
                self._turn = self._clock.after(_ON_US, self._pause)

    def _pause(self) -> None:
        self._sleep()
        self._turn = self._clock.after(self.period_min * 60_000_000 - _ON_US, self._work)

    def _sleep(self) -> None:
        self._stop()
        self._supply.draw(SLEEPING_UA)

    def _second(self) -> None:
        self._tick = self._clock.after(SAMPLE_US, self._second)
        if self.fault is Fault.BABBLE:
            self._send(bytes([0xAA, 0xC0, 0x55] * 12))
        elif not self.query_mode:
            self._report()

    # Receiving

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        """One character from the master, at the end of its stop bit."""
        if self.fault is Fault.ABSENT or not self._supply.on:
            return
        if self._supply.on_us < BOOT_US:
            return
        if settings != SETTINGS:
            self.refusals.note("wrong framing")
            return
        if not self._frame and byte != 0xAA:
            self.refusals.note(f"0x{byte:02x} outside of a frame")
            return
        self._frame.append(byte)
        if len(self._frame) == 19:
            frame = bytes(self._frame)
            self._frame.clear()
            self._take(frame)

    def _take(self, frame: bytes) -> None:
        command, action, value = frame[2:5]
        if frame[1] != 0xB4 or frame[18] != 0xAB or sum(frame[2:17]) & 0xFF != frame[17]:
            self.refusals.note(f"bad frame {frame.hex()}")
        elif frame[15:17] not in (b"\xff\xff", self._id):
            self.refusals.note("frame to another sensor")
        elif any(frame[5:15]):
            self.refusals.note("data in bytes that are reserved")
        elif not self._working and command != _SLEEP:
            self.refusals.note(f"command {command} while asleep")
        elif command == _QUERY and not action and not value:
            self._report()
        elif command == _FIRMWARE and not action and not value:
            self._reply(bytes([command, 15, 7, 10]))
        elif command in (_MODE, _SLEEP, _PERIOD) and action <= 1 and value <= (30 if command == _PERIOD else 1):
            if action:
                self._set(command, value)
            self._reply(bytes([command, action, value if action else self._get(command), 0]))
        else:
            self.refusals.note(f"command {frame[2:5].hex()}")

    def _get(self, command: int) -> int:
        return {_MODE: int(self.query_mode), _SLEEP: int(self._working), _PERIOD: self.period_min}[command]

    def _set(self, command: int, value: int) -> None:
        if command == _SLEEP:
            if value:
                self._work()
            else:
                self._sleep()
            return
        self.stored += 1
        if command == _MODE:
            self.query_mode = bool(value)
        else:
            self.period_min = value
            if self._turn is not None:
                self._turn.cancel()
            if value:
                self._turn = self._clock.after(_ON_US, self._pause)

    # Answering

    def _report(self) -> None:
        second = self._particles.second(self._clock.now_us)
        pm = self._particles.masses(second) if second else (0.0,) * 4
        fine, coarse = (min(round(10 * mass), _MOST) for mass in (pm[1], pm[3]))
        if self.fault is Fault.STUCK:
            fine = coarse = 0
        elif self.fault is Fault.OUT_OF_RANGE:
            fine = coarse = 19_999
        self._reply(fine.to_bytes(2, "little") + coarse.to_bytes(2, "little"), 0xC0)

    def _reply(self, data: bytes, kind: int = 0xC5) -> None:
        body = data + self._id
        checksum = sum(body) + (1 if self.fault is Fault.BAD_CHECKSUM else 0)
        frame = bytes([0xAA, kind]) + body + bytes([checksum & 0xFF, 0xAB])
        self._send(frame[:5] if self.fault is Fault.CUT else frame)

    def _send(self, data: bytes) -> None:
        if self.fault in (Fault.NEVER_READY, Fault.ABSENT):
            return
        self._pending = [event for event in self._pending if event.action is not None]
        self._pending.append(self._clock.after(ANSWER_US, lambda: self._port.answer(data, SETTINGS)))
