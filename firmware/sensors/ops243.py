# SPDX-License-Identifier: EUPL-1.2
"""OmniPreSense OPS243-A 24 GHz Doppler radar: its speed reports become counts per direction and speed class (M).

UM = OmniPreSense UM-003 "OPS243-A User Manual", AN = AN-010 "API Interface Specification". The radar reports the
speed of its strongest echo and no distance. A passage is a run of reports in one direction; it ends when they stop,
when the speed jumps, or when the magnitude starts anew: an echo grows while somebody comes and shrinks while he goes.
Two who drive close together as fast as each other are one.

With ``BZ`` the radar reports a zero when it sees nothing, so silence is a fault. Its own counter (``N?``) does not
help: it knows neither direction nor speed and takes all who follow within four reports for one.
"""

from firmware.tracking import FAST_ABOVE_KMH, SLOW_BELOW_KMH, VEHICLE_COUNTS, SpeedCounts

if False:  # types only
    from firmware.hal import Clock, TicksMs, Uart, Values

BAUD = 19_200  # UM "UART Control": the factory's, 8N1
RXBUF = 4096  # a report is up to 20 bytes, 10 or 20 times a second: 10 s of them
READY_MS = 3_000

_BOOT_MS = 1_000
_ANSWER_MS = 1_000
_TRIES = 3
_AGAIN_MS = 10_000
_BLIND_MS = 2_000
_STUCK_REPORTS = 60
_LONGEST_LINE = 120
_HITS = 4
_GAP = 30  # a passage may miss 10 reports, or 30 that somebody stronger has taken, who drives the other way
_NOTHING, _MASKED = 3, 1
_JUMP = 80  # tenths of km/h between two who follow each other
_ANEW = 4  # times weaker than its best (coming) or stronger than its worst (going): somebody else
_TWICE = 2  # reports that say so


class Passage:
    """Reports of one direction that may be one vehicle."""

    def __init__(self, receding: int, counts: SpeedCounts) -> None:
        self._receding = receding
        self._counts = counts
        self.clear()

    def clear(self) -> None:
        """Nobody is there."""
        self._hits = self._missed = self._doubts = 0
        self._speed = self._top = self._magnitude = self._best = 0

    def nobody(self, other: int) -> None:
        """A report in which this direction does not occur; ``other`` is the speed in the other one, or 0."""
        if self._hits:
            self._missed += _MASKED if other else _NOTHING
            if self._missed > _GAP:
                self._end()

    def report(self, speed: int, magnitude: int) -> None:
        """``speed`` in tenths of km/h, as the radar sees it; ``magnitude`` of its own kind, 0 if it tells none."""
        if self._hits:
            smooth = (self._magnitude + magnitude) // 2
            weaker, stronger = (self._best, magnitude) if self._receding else (magnitude, self._best)
            if abs(speed - self._speed) > _JUMP or weaker * _ANEW < stronger:
                self._doubts += 1
                if self._doubts < _TWICE:
                    return
                self._end()
            else:
                self._doubts = 0
        if not self._hits:
            self._magnitude = self._best = smooth = magnitude
            self._speed = speed
        self._hits += 1
        self._missed = 0
        self._magnitude = smooth
        self._best = min(self._best, smooth) if self._receding else max(self._best, smooth)
        self._top = max(self._top, min(speed, self._speed))  # the least cosine, but no outlier
        self._speed = speed

    def _end(self) -> None:
        if self._hits >= _HITS:
            self._counts.add(self._receding, self._top, 10)
        self.clear()


class Ops243:
    """The radar on ``uart``, opened with ``BAUD`` and ``RXBUF``. ``only``: "+" or "-" leaves the other direction out,
    then its counts are 0. ``swapped``: approaching and receding change places.
    """

    QUANTITIES = VEHICLE_COUNTS

    def __init__(
        self,
        uart: "Uart",
        clock: "Clock",
        *,
        slow_below_kmh: int = SLOW_BELOW_KMH,
        fast_above_kmh: int = FAST_ABOVE_KMH,
        least_kmh: int = 8,
        only: str = "|",
        swapped: bool = False,
    ) -> None:
        self._uart = uart
        self._clock = clock
        self._counts = SpeedCounts(slow_below_kmh, fast_above_kmh)
        inbound, outbound = (1, 0) if swapped else (0, 1)
        self._inbound = Passage(inbound, self._counts)
        self._outbound = Passage(outbound, self._counts)
        # UM "API Commands": active, plain text, magnitude, 20 k samples/s (223 km/h), km/h, direction, least speed,
        # zeros for nothing; then what the unit is, as the answer that shows that it has listened
        self._setup = ("PAOjOMS2UKR%sR>%d\nBZU?" % (only, least_kmh)).encode()
        self._chunk = bytearray(64)
        self._line = bytearray(_LONGEST_LINE)
        self._reset(clock.ticks_ms())

    def _reset(self, now: "TicksMs") -> None:
        self._length = 0
        self._started = self._configured = False
        self._tries = 0
        self._last = b""
        self._same = 0
        self._noise = False  # whether anything came since the last good line
        self._heard_ms = self._next_ms = now
        self._forget()
        self._begin()

    def _begin(self) -> None:
        self._fault: "str | None" = None
        self._good = self._bad = 0

    def _forget(self) -> None:
        self._inbound.clear()
        self._outbound.clear()

    def start(self) -> int:
        """The radar has power: configure it (``poll`` does); return the ms until ``read`` has counts."""
        now = self._clock.ticks_ms()
        self._uart.read()
        self._counts.take(None)
        self._reset(now)
        self._started = True
        self._heard_ms = self._next_ms = self._clock.ticks_add(now, _BOOT_MS)
        self._tries = _TRIES
        return READY_MS

    def stop(self) -> None:
        """UM "Module/Transmit Power": idle, in case the power stays on."""
        self._uart.write(b"PI")
        self._started = False
        self._forget()

    def read(self) -> "Values":
        """The counts since the last ``read``, or a fault."""
        self.poll()
        fault = self._fault
        if fault is None and not self._configured:
            fault = "not_ready"
        if fault is None and self._bad * 5 > self._good + 20:
            fault = "bad_answer"
        self._begin()
        return self._counts.take(fault)

    def poll(self) -> None:
        """Take what has arrived; at least every 10 s."""
        if not self._started:
            return
        overrun = self._uart.any() >= RXBUF
        good = self._good
        left = RXBUF
        while left > 0:
            count = self._uart.readinto(self._chunk)
            if not count:
                break
            left -= count
            self._noise = True
            for n in range(count):
                self._character(self._chunk[n])
        now = self._clock.ticks_ms()
        if overrun:
            self._blind("bad_answer")
        if self._good != good:
            self._heard_ms = now
            self._noise = False
        elif self._clock.ticks_diff(now, self._heard_ms) > _BLIND_MS:
            self._blind("bad_answer" if self._noise else "no_answer")
            self._noise = False
            self._heard_ms = now
            self._configured = False  # it may have been without power
        self._configure(now)

    def _blind(self, fault: str) -> None:
        """This interval's counts miss something."""
        if self._fault is None:
            self._fault = fault
        self._forget()

    def _configure(self, now: "TicksMs") -> None:
        if self._configured or self._clock.ticks_diff(now, self._next_ms) < 0:
            return
        if self._tries:
            self._tries -= 1
            self._next_ms = self._clock.ticks_add(now, _ANSWER_MS)
            self._uart.write(self._setup)
        else:
            self._blind("no_answer")
            self._tries = _TRIES
            self._next_ms = self._clock.ticks_add(now, _AGAIN_MS)

    def _character(self, byte: int) -> None:
        if byte == 10 or byte == 13:
            if self._length:
                self._report(bytes(self._line[: self._length]))
            self._length = 0
        elif self._length < _LONGEST_LINE:
            self._line[self._length] = byte
            self._length += 1

    def _report(self, line: bytes) -> None:
        if line[0] == 0x7B:  # UM: answers are JSON; so are reports if somebody has set OJ
            if b'"speed"' not in line:
                self._answer(line)
                return
            magnitude, speed = number(field(line, b'"magnitude"')), number(field(line, b'"speed"'))
            if speed is not None and b'"outbound"' in line:
                speed = -abs(speed)
        else:
            first, comma, second = line.partition(b",")
            speed = number(second if comma else first)
            magnitude = number(first) if comma else 0
        if speed is None:
            self._bad += 1
            return
        self._good += 1
        if not self._configured:
            return
        if speed and line == self._last:
            self._same += 1
            if self._same >= _STUCK_REPORTS:
                self._blind("stuck")
        else:
            self._same = 0
        self._last = line if speed else b""
        # AN "Speed": what comes is positive
        if speed > 0:
            self._inbound.report(speed, magnitude or 0)
        else:
            self._inbound.nobody(speed)
        if speed < 0:
            self._outbound.report(-speed, magnitude or 0)
        else:
            self._outbound.nobody(speed)

    def _answer(self, line: bytes) -> None:
        if b"km-per-hr" in line:
            if not self._configured:
                self._forget()
            self._configured = True
            self._tries = _TRIES
            self._good += 1
        elif b'"Units"' in line:
            self._bad += 1


def field(line: bytes, name: bytes) -> bytes:
    """The value behind ``name`` in one line of JSON, without quotes; b"" if it is not there."""
    _, _, rest = line.partition(name)
    return rest.split(b",")[0].split(b"}")[0].strip(b' :"')


def number(text: bytes) -> "int | None":
    """A decimal number in tenths, rounded down; None if it is none or longer than any speed or magnitude."""
    text = text.strip()
    negative = text[:1] == b"-"
    whole, _, part = text[1 if negative else 0 :].partition(b".")
    digits = whole + (part[:1] or b"0")
    if not whole.isdigit() or not (part or b"0").isdigit() or len(digits) > 8:
        return None
    tenths = int(digits)
    return -tenths if negative else tenths
