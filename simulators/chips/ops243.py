# SPDX-License-Identifier: EUPL-1.2
"""OmniPreSense OPS243-A, 24 GHz Doppler radar: a line of text for each buffer of samples; two-letter commands.

UM: OmniPreSense UM-003 "OPS243-A User Manual" (commands, answers, 19200 8N1, counter, power modes). AN: AN-010 "API
Interface Specification". Both say 50 to 100 m for an object of 10 dBsm and a beam of 20 degrees.

Assumed, because no document says so: 800 ms from power to the first report; 60 ms to process a buffer; commands are
carried out at once; 100 mA active and 60 mA idle; what comes is positive. Only the commands that concern counting are
here; any other is refused.
"""

import random
from collections.abc import Iterable
from enum import Enum

from simulators.chips.radar_view import Echo, RadarView
from simulators.chips.refusals import Refusals
from simulators.chips.supply import Powered, Supply
from simulators.clock import Clock, Event
from simulators.vehicles import Vehicle
from simulators.wires import SerialPort, SerialSettings, Wire

SETTINGS = SerialSettings(19_200)  # UM "UART Control"
STARTUP_US = 800_000
PROCESSING_US = 60_000
ACTIVE_UA, IDLE_UA = 100_000, 60_000
_GAIN_DB = 75.0  # a car is seen at 75 m with 10 dB
_SEEN_DEGREES = 10.0
_LEAST_SNR_DB = 8.0
_SAMPLES_PER_S = {"SI": 1_000, "SV": 5_000, "SX": 10_000, "S1": 10_000, "S2": 20_000, "SL": 50_000, "SC": 100_000}
_BUFFERS = {"S>": 1024, "S<": 512, "S{": 256}
_UNITS = {  # per km/h, and what U? calls it
    "UK": (1.0, "km-per-hr"),
    "UM": (1 / 3.6, "m-per-sec"),
    "US": (1 / 1.609344, "mph"),
    "UF": (1 / 1.09728, "ft-per-sec"),
    "UC": (100 / 3.6, "cm-per-sec"),
}
_KMH_PER_SAMPLE_RATE = 111.9 / 10_000  # UM: 10 k samples/s measure up to 31.1 m/s
_BAUDS = {"I1": 9_600, "I2": 19_200, "I3": 57_600, "I4": 115_200, "I5": 230_400}


class Fault(Enum):
    """What can be wrong with the radar or its cable."""

    ABSENT = "no radar on the cable"
    SILENT = "draws current and says nothing"
    GARBAGE = "sends characters that mean nothing"
    STUCK = "repeats its last speed for ever"
    SWAPPED_DIRECTION = "what goes is positive"
    DEAF = "hears no command"


class Ops243Sim(Powered):
    """The radar at the far end of ``port``; ``power`` at level 1 means 5 V. ``vehicles``: see RadarView."""

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
    ) -> None:
        self._clock = clock
        self._port = port
        self._view = RadarView(vehicles, gain_db=_GAIN_DB, seen_degrees=_SEEN_DEGREES, dropout=dropout, seed=seed)
        self._random = random.Random(seed + 1)
        self._ghosts = ghosts
        self.fault: Fault | None = None
        self.refusals = Refusals()
        self.count = 0  # N?
        self._tick: Event | None = None
        self._factory()
        port.device = self
        self._supply = Supply(clock, power, self._switched)
        self._switched(self._supply.on)

    def _factory(self) -> None:
        """UM: nothing is kept without power."""
        self.settings = SETTINGS
        self.units = "UM"
        self.samples_per_s, self.buffer = 10_000, 1024
        self.switches: set[str] = set()
        self.only = "R|"
        self.least = self.most = 0.0  # R>n, R<n, in units
        self._text = ""
        self._last: str | None = None
        self._active = False
        self._passing = 0
        self._above = self._below = 0

    # Power

    def _switched(self, on: bool) -> None:
        self._activate(False)
        self._factory()
        if on and self.fault is not Fault.ABSENT:
            self._tick = self._clock.after(STARTUP_US, lambda: self._activate(True))

    def _activate(self, active: bool) -> None:
        if self._tick is not None:
            self._tick.cancel()
        self._active = active
        supplied = self._supply.on and self.fault is not Fault.ABSENT
        self._supply.draw((ACTIVE_UA if active else IDLE_UA) if supplied else 0)
        if active:
            self._report_later()

    # Reports

    def _report_later(self) -> None:
        period_us = self.buffer * 1_000_000 // self.samples_per_s + PROCESSING_US
        self._tick = self._clock.after(period_us, self._report)

    def _report(self) -> None:
        self._report_later()
        line = self._line(self._strongest())
        if self.fault in (Fault.ABSENT, Fault.SILENT):
            return
        if self.fault is Fault.GARBAGE:
            self._port.answer(self._random.randbytes(self._random.randint(1, 20)), self.settings)
            return
        if self.fault is Fault.STUCK and self._last is not None:
            line = self._last
        if line:
            self._last = line
            self._say(line)

    def _strongest(self) -> tuple[float, float] | None:
        """(speed in units, positive if it comes; magnitude) of the strongest echo that passes the filters."""
        per_kmh = _UNITS[self.units][0]
        most_kmh = _KMH_PER_SAMPLE_RATE * self.samples_per_s
        found: tuple[float, float] | None = None
        for echo in [*self._view.echoes(self._clock.now_us), *self._ghost()]:
            resolution_kmh = 2 * most_kmh / self.buffer
            kmh = round((echo.kmh + self._random.gauss(0.0, 0.2)) / resolution_kmh) * resolution_kmh
            speed = kmh * per_kmh
            wrong_way = self.only == ("R+" if echo.receding else "R-")
            too_slow, too_fast = speed < self.least, bool(self.most) and speed > self.most
            if echo.snr_db < _LEAST_SNR_DB or kmh > most_kmh or kmh <= 0 or wrong_way or too_slow or too_fast:
                continue
            found = (-speed if echo.receding else speed, 20 * 10 ** (echo.snr_db / 20))
            break
        self._tally(found is not None)
        return found

    def _ghost(self) -> list[Echo]:
        if self._random.randrange(1000) >= self._ghosts:
            return []
        draw = self._random.uniform
        return [Echo(draw(5.0, 70.0), 0.0, draw(5.0, 80.0), self._random.random() < 0.5, draw(8.0, 11.0), 0)]

    def _tally(self, passed: bool) -> None:
        """UM "Simple Counter": counts after 2 reports in a row, ends after 4 without."""
        if passed:
            self._above, self._below = self._above + 1, 0
            if self._above == 2 and not self._passing:
                self._passing = 1
                self.count += 1
        else:
            self._above, self._below = 0, self._below + 1
            if self._below == 4:
                self._passing = 0

    def _line(self, found: tuple[float, float] | None) -> str:
        if found is None:
            return "0.0" if "BZ" in self.switches else ""
        speed, magnitude = found
        if self.fault is Fault.SWAPPED_DIRECTION:
            speed = -speed
        if "OJ" in self.switches:
            told = f'"magnitude":{magnitude:.1f}, ' if "OM" in self.switches else ""
            direction = "inbound" if speed > 0 else "outbound"
            return f'{{{told}"speed":{abs(speed):.1f}, "direction":"{direction}"}}'
        return f"{magnitude:.1f},{speed:.1f}" if "OM" in self.switches else f"{speed:.1f}"

    def _say(self, line: str) -> None:
        self._port.answer(line.encode() + b"\r\n", self.settings)

    # Commands

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        """One character from the master, at the end of its stop bit."""
        if self.fault in (Fault.ABSENT, Fault.DEAF, Fault.SILENT):
            return
        if self._supply.on_us < STARTUP_US:
            self.refusals.note("character before the radar was ready")
            return
        if settings != self.settings:
            self.refusals.note("wrong framing")
            return
        self._text += chr(byte)
        text = self._text.lstrip("\r\n")
        if len(text) < 2:
            return
        if text[:2] in ("R>", "R<", "N>", "N<", "C="):  # UM: these have a number and end with a return
            if text[-1] not in "\r\n":
                return
            self._numbered(text[:2], text[2:].strip())
        else:
            self._execute(text)
        self._text = ""

    def _numbered(self, command: str, number: str) -> None:
        if command not in ("R>", "R<") or not number.replace(".", "", 1).isdigit():
            self.refusals.note(f"command {command}{number}")
        elif command == "R>":
            self.least = float(number)
        else:
            self.most = float(number)

    def _execute(self, command: str) -> None:
        if command in _UNITS:
            self.units = command
            self._say(f'{{"Units":"{_UNITS[command][1]}"}}')
        elif command == "U?":
            self._say(f'{{"Units":"{_UNITS[self.units][1]}"}}')
        elif command in _SAMPLES_PER_S:
            self.samples_per_s = _SAMPLES_PER_S[command]
            self._say(f'{{"SamplingRate":{self.samples_per_s}}}')
        elif command in _BUFFERS:
            self.buffer = _BUFFERS[command]
            self._say(f'{{"SampleSize":{self.buffer}}}')
        elif command in ("PA", "PI"):
            self._activate(command == "PA")
        elif command in ("N?", "N!"):
            self.count = 0 if command == "N!" else self.count
            self._say(f'{{"DetectedObjectCount":{self.count}}}')
        elif command in ("R|", "R+", "R-"):
            self.only = command
        elif command in ("OJ", "OM", "BZ"):
            self.switches.add(command)
        elif command in ("Oj", "Om"):
            self.switches.discard(command.upper())
        elif command == "BV":
            self.switches.discard("BZ")
        elif command in _BAUDS:
            self.settings = SerialSettings(_BAUDS[command])
        else:
            self.refusals.note(f"command {command}")
