# SPDX-License-Identifier: EUPL-1.2
"""Hi-Link HLK-LD2451 24 GHz radar: its reports become counts per direction and speed class (M).

SP = Hi-Link "HLK-LD2451 Serial communication protocol" V1.03. What a single report says goes to the tracker and
nowhere else. An interval in which the radar could not be trusted for as long as 2 s at once, or for a fifth of its
time, gives a fault's name instead of counts; a report lost here and there is the tracker's business.

SP contradicts itself about the direction, and modules do it either way. But whoever comes nearer approaches: what a
vehicle seen alone does with its distance says what the byte means, and an interval in which it meant the other is a
fault.

Some modules say nothing while nothing moves, against SP. One that was never heard to send an empty report is asked
when it is silent; only one that does not answer is a fault. From all others silence is.
"""

from firmware.tracking import FAST_ABOVE_KMH, SLOW_BELOW_KMH, VEHICLE_COUNTS, SpeedCounts, Tracker

if False:  # types only
    from firmware.hal import Clock, TicksMs, Uart, Values

BAUD = 115_200  # SP "Communication interface": 8N1
RXBUF = 4096  # a report of 5 targets is 37 bytes: 11 s of them, while a join keeps the processor for 7
READY_MS = 3_000

_REPORT, _REPORT_END = b"\xf4\xf3\xf2\xf1", b"\xf8\xf7\xf6\xf5"  # SP "Report frame format"
_COMMAND, _COMMAND_END = b"\xfd\xfc\xfb\xfa", b"\x04\x03\x02\x01"  # SP "Command frame format"
_LONGEST = 82  # of what is between length and end: 16 targets
_PERIOD_MS = 100
_BLIND_MS = 2_000
_STUCK_REPORTS = 50  # nothing moves and gives the very same report for 5 s
# SP "Sending command and ACK": command words and values
_ENABLE = b"\xff\x00\x01\x00"
_END = b"\xfe\x00"
_DETECTION = (
    b"\x02\x00\x64\x02\x05\x01"  # up to 100 m, both directions, from 5 km/h, 1 s; the factory's: approaching only
)
_SENSITIVITY = b"\x03\x00\x01"  # a target from its first detection on; the SNR follows
_BOOT_MS = 1_000
_ACK_MS = 300
_TRIES = 3
_ALONE_M = 8  # a way that shows where a vehicle is going; its distance is noisy by one
_STEP_M = 4  # in one report; a longer one is to another vehicle
_STEP_KMH = 3
_SURE = 5  # ways at most that are remembered
_WRONG = 3  # so many more that contradict than agree
_AGAIN_MS = 10_000  # after so long a radar that does not answer is asked again


class Ld2451:
    """The radar on ``uart``, opened with ``BAUD`` and ``RXBUF``. It hangs at ``height_m``, looks along the road, and
    counts who crosses a line ``line_m`` away. ``snr``: 3 (sensitive) to 8. ``swapped``: approaching and receding change
    places, until vehicles show that it is the other way.
    """

    QUANTITIES = VEHICLE_COUNTS

    def __init__(
        self,
        uart: "Uart",
        clock: "Clock",
        *,
        slow_below_kmh: int = SLOW_BELOW_KMH,
        fast_above_kmh: int = FAST_ABOVE_KMH,
        line_m: int = 30,
        height_m: int = 3,
        snr: int = 4,
        swapped: bool = False,
    ) -> None:
        self._uart = uart
        self._clock = clock
        self._away = 1 if swapped else 0
        self._agreed = 0  # ways that agree with that, less those that contradict
        self._alone = bytearray(5)  # a vehicle seen alone: whether; metres at first and now; km/h and direction
        self._counts = SpeedCounts(slow_below_kmh, fast_above_kmh)
        self._tracker = Tracker(self._counts, line_m, height_m)
        self._frame = bytearray(_LONGEST + 10)
        self._view = memoryview(self._frame)
        self._configuration = (_ENABLE, _DETECTION, _SENSITIVITY + bytes((snr, 0, 0)), _END)
        self._probe = (_ENABLE, _END)
        self._commands: "tuple[bytes, ...]" = ()
        self._reset(clock.ticks_ms())

    def _reset(self, now: "TicksMs") -> None:
        self._have, self._need = 0, 4
        self._configured = self._sends_empty = False
        self._commands = ()
        self._last = b""
        self._same = 0
        self._bad = False
        self._heard_ms = self._interval_ms = self._asked_ms = now
        self._begin(now)

    def _begin(self, now: "TicksMs") -> None:
        self._interval_ms = now
        self._reports = 0
        self._fault: "str | None" = None

    def start(self) -> int:
        """The radar has power: configure it (``poll`` does); return the ms until ``read`` has counts."""
        now = self._clock.ticks_ms()
        self._uart.read()
        self._forget()
        self._reset(now)
        self._heard_ms = self._clock.ticks_add(now, _BOOT_MS)
        self._ask(self._configuration, self._heard_ms)
        return READY_MS

    def stop(self) -> None:
        """The radar's power goes off; it has no sleep command."""
        self._forget()
        self._commands = ()

    def read(self) -> "Values":
        """The counts since the last ``read``, or a fault."""
        self.poll()
        now = self._clock.ticks_ms()
        fault = self._fault
        periods = self._clock.ticks_diff(now, self._interval_ms) // _PERIOD_MS
        if fault is None and not self._configured:
            fault = "not_ready"
        if fault is None and self._sends_empty and self._reports * 5 < periods * 4 - 20:
            fault = "bad_answer"
        self._begin(now)
        return self._counts.take(fault)

    def poll(self) -> None:
        """Take what has arrived; at least every 10 s."""
        overrun = self._uart.any() >= RXBUF
        left = RXBUF
        before = self._reports
        while left > 0:
            count = self._uart.readinto(self._view[self._have : self._need])
            if not count:
                break
            left -= count
            self._have += count
            while self._have >= self._need and self._parse():
                pass
        now = self._clock.ticks_ms()
        if self._reports != before:
            self._heard_ms = now
            self._bad = False
        if overrun:
            self._blind("bad_answer")
        self._converse(now)
        if self._clock.ticks_diff(now, self._heard_ms) > _BLIND_MS:
            self._unheard(now)

    def _unheard(self, now: "TicksMs") -> None:
        """No report for 2 s: a fault, unless this radar says nothing when it sees nothing and answers."""
        self._heard_ms = now
        if self._bad or self._sends_empty or not self._configured:
            self._blind("bad_answer" if self._bad else "no_answer")
        else:
            self._forget()
        self._bad = False
        if self._configured and not self._commands and self._clock.ticks_diff(now, self._asked_ms) > _AGAIN_MS:
            self._ask(self._probe, now)

    def _blind(self, fault: str) -> None:
        """This interval's counts miss something."""
        if self._fault is None:
            self._fault = fault
        self._forget()

    def _forget(self) -> None:
        """Nothing is left of whoever was in view."""
        self._tracker.clear()
        self._look(0)

    # Commands

    def _ask(self, commands: "tuple[bytes, ...]", at: "TicksMs") -> None:
        self._commands = commands
        self._asked_ms = at
        self._next_ms = at
        self._tries = _TRIES

    def _converse(self, now: "TicksMs") -> None:
        """Send the command that is due; give up after three unanswered tries."""
        if not self._commands:
            if not self._configured and self._clock.ticks_diff(now, self._asked_ms) > _AGAIN_MS:
                self._ask(self._configuration, now)
            return
        if self._clock.ticks_diff(now, self._next_ms) < 0:
            return
        if not self._tries:
            self._commands = ()
            self._configured = False
            self._blind("no_answer")
            return
        self._tries -= 1
        self._next_ms = self._clock.ticks_add(now, _ACK_MS)
        command = self._commands[0]
        self._uart.write(_COMMAND + bytes((len(command), 0)) + command + _COMMAND_END)

    def _acknowledged(self, now: "TicksMs") -> None:
        """SP "ACK command": the command word with 0x0100, then status 0."""
        frame, commands = self._frame, self._commands
        if not commands or frame[6] != commands[0][0] or frame[7] != commands[0][1] + 1:
            return
        if frame[8] or frame[9]:
            self._commands = ()
            self._blind("bad_answer")
            return
        self._commands = commands[1:]
        self._tries = _TRIES
        self._next_ms = now
        if not self._commands:
            if not self._configured:  # until now the radar has left out what recedes
                self._forget()
                self._counts.take(None)
                self._reports = 0
                self._interval_ms = now
            self._configured = True
            self._heard_ms = now

    # Reports

    def _parse(self) -> bool:
        """Look at the bytes there are; True if they must be looked at again."""
        frame = self._frame
        head = frame[:4]
        if head != _REPORT and head != _COMMAND:
            return self._drop(1)
        if self._need < 6:
            self._need = 6
            return self._have >= 6
        length = frame[4] | frame[5] << 8
        if length > _LONGEST:
            return self._drop(1)
        whole = length + 10
        if self._have < whole:
            self._need = whole
            return False
        end = frame[whole - 4 : whole]
        if head == _COMMAND and end == _COMMAND_END and length >= 4:
            self._acknowledged(self._clock.ticks_ms())
        elif head != _REPORT or end != _REPORT_END or not self._report(length):
            return self._drop(1)
        self._need = 4
        return self._shift(whole)

    def _drop(self, count: int) -> bool:
        self._bad = True
        self._need = 4
        return self._shift(count)

    def _shift(self, count: int) -> bool:
        """Forget the first ``count`` bytes; True if enough are left to go on."""
        self._have -= count
        for n in range(self._have):
            self._frame[n] = self._frame[count + n]
        return self._have >= self._need

    def _report(self, length: int) -> bool:
        """SP "Target data report": count, alarm, then angle + 0x80, m, direction, km/h, SNR of each; or nothing.

        False if that is not what it says.
        """
        frame = self._frame
        if length and (length < 2 or length != 2 + 5 * frame[6]):
            return False
        for n in range(8, 6 + length, 5):
            if frame[n + 2] > 1:
                return False
        if length <= 2:
            self._sends_empty = True
            self._same = 0
            self._last = b""
        else:
            report = bytes(self._view[6 : 6 + length])
            self._same = self._same + 1 if report == self._last else 0
            self._last = report
            if self._same >= _STUCK_REPORTS:
                self._blind("stuck")
        self._look(length // 5)
        for n in range(8, 6 + length, 5):
            self._tracker.target(frame[n + 1], frame[n + 3], 1 if frame[n + 2] == self._away else 0, frame[n] - 0x80)
        for n in range(6, 6 + length):
            frame[n] = 0  # nobody shall find a vehicle here
        self._tracker.frame()
        self._reports += 1
        return True

    def _look(self, targets: int) -> None:
        """Follow a vehicle that is the only one in the report: does its distance do what its direction says?"""
        frame, alone = self._frame, self._alone
        metres, way, kmh = frame[9], frame[10], frame[11]
        goes_on = abs(metres - alone[2]) <= _STEP_M and abs(kmh - alone[3]) <= _STEP_KMH and way == alone[4]
        if targets != 1 or not alone[0] or not goes_on:
            alone[0] = targets == 1
            alone[1] = alone[2] = metres * alone[0]
            alone[3], alone[4] = kmh * alone[0], way * alone[0]
            return
        alone[2], alone[3] = metres, kmh
        gone_m = metres - alone[1]
        if abs(gone_m) < _ALONE_M:
            return
        alone[1] = metres
        if (gone_m > 0) == (way == self._away):
            self._agreed = min(self._agreed + 1, _SURE)
            return
        self._agreed -= 1
        if self._agreed < 0:
            self._fault = self._fault or "bad_answer"
        if self._agreed <= -_WRONG:
            self._away = 1 - self._away
            self._agreed = 0
            self._forget()
