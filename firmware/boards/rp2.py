# SPDX-License-Identifier: EUPL-1.2
"""Boards with an RP2040, whose MicroPython has neither RTC memory, nor held pads, nor a real deep sleep.

What its port does (ports/rp2: modmachine.c, machine_wdt.c, main.c) and what follows for us:

``deepsleep`` is ``lightsleep`` and a reset. We sleep so, too, because the rest of the firmware ends its wakes there; in
parts, because one call may take 71 minutes at most.
The reset lets all pins go, and the radio's NSS falls: it wakes. A wake that does not use it puts it to sleep again.
``reset_cause`` tells a power-up from anything else and nothing more; the calendar begins anew. Both are carried over
in the watchdog's scratch registers (RP2040 datasheet, "Watchdog", "List of Registers": they persist through a reset).
No RAM is promised to survive: what the ESP32 keeps in RTC memory goes to a file, which counts only while the scratch
registers say that power has not failed since it was written.
The watchdog bites after 8.4 s at most. So every sleep feeds it, until 30 s have passed without progress. One that bites
in ``lightsleep`` leaves the chip dead until power fails (micropython issue 17228, mended in 1.26): no sleep is longer.
"""

import gc

from firmware.boards.board import CommonBoard

if False:  # types only
    from machine import WDT, Pin

    from firmware.hal import Adc, Table, TicksMs, Value
    from firmware.radio.sx1262 import Sx1262

_SCRATCH = 0x4005_800C  # RP2040 datasheet, "Watchdog": base 0x40058000, SCRATCH0 at 0x0c; the SDK uses 4 to 7
_MARK = 0x5AD7_F000  # in SCRATCH0, with flags; then seconds, milliseconds and the sum of all three
_WRITTEN = 1  # the file is of this power-up
_SLEPT = 2  # the reset was the end of a sleep
WATCHDOG_MS = 8_388  # machine_wdt.c, WDT_TIMEOUT_MAX
_PATIENCE_MS = 30_000  # without progress; the longest wait is 15 s, for a window
_PART_MS = 7_000  # of a sleep, while the watchdog runs
_LONGEST_PART_MS = 3_600_000
_FULL_SCALE_UV = 3_300_000  # ADC_VREF is the 3.3 V rail
_CORE_TEMPERATURE = 4  # RP2040 datasheet, "Temperature Sensor": channel 4; 27 Cel at 0.706 V, 1.721 mV less each


class _Adc:
    """``machine.ADC`` of this port has no read_uv."""

    def __init__(self, machine: "object", gpio: int) -> None:
        pin = gpio if gpio == _CORE_TEMPERATURE else machine.Pin(gpio)  # type: ignore[attr-defined]
        self._adc = machine.ADC(pin)  # type: ignore[attr-defined]

    def read_uv(self) -> int:
        return int(self._adc.read_u16()) * (_FULL_SCALE_UV // 100) // 65_535 * 100


class _Clock:
    """The ``time`` module, but that its ``time`` goes on over resets and its sleeps keep the watchdog quiet."""

    def __init__(self, board: "Board", seconds: int, ms: int) -> None:
        import time

        self._board = board
        self._sleep_ms = time.sleep_ms
        self._seconds = seconds
        self._ms = ms
        self._counted: "TicksMs | int" = 0  # ticks begin at the reset
        self.ticks_ms = time.ticks_ms
        self.ticks_us = time.ticks_us
        self.ticks_add = time.ticks_add
        self.ticks_diff = time.ticks_diff
        self.sleep_us = time.sleep_us

    def now(self) -> "tuple[int, int]":
        """Seconds and milliseconds since power-up; to be asked at least every few days."""
        ticks = self.ticks_ms()
        self._ms += self.ticks_diff(ticks, self._counted)
        self._counted = ticks
        self._seconds += self._ms // 1000
        self._ms %= 1000
        return self._seconds, self._ms

    def time(self) -> int:
        return self.now()[0]

    def sleep_ms(self, ms: int) -> None:
        while True:
            self._board.keep_quiet()
            part = ms if ms < _PART_MS else _PART_MS
            self._sleep_ms(part)
            ms -= part
            if ms <= 0:
                break


class _Memory:
    """What ``machine.RTC().memory`` is elsewhere."""

    def __init__(self, path: str, valid: bool) -> None:
        self._path = path
        self.valid = valid
        self._data: "bytes | None" = None if valid else b""

    def memory(self, data: "bytes | None" = None) -> "bytes | None":
        if data is not None:
            if data != self._data or not self.valid:
                with open(self._path, "wb") as file:
                    file.write(data)
            self._data = bytes(data)
            self.valid = True
            return None
        if self._data is None:
            try:
                with open(self._path, "rb") as file:
                    self._data = file.read()
            except OSError:
                self._data = b""
        return self._data


class Board(CommonBoard):
    """A board of ``table``, whose processor is an RP2040."""

    def __init__(self, table: "Table") -> None:
        import machine

        self.machine = machine
        self._watchdog: "WDT | None" = None
        self._progress_ms: "TicksMs | int" = 0
        mark, seconds, ms, check = [machine.mem32[_SCRATCH + 4 * n] & 0xFFFF_FFFF for n in range(4)]
        known = mark & ~3 == _MARK and check == mark + seconds + ms & 0xFFFF_FFFF
        flags = mark & 3 if known else 0
        self._slept = bool(flags & _SLEPT)
        self._woken = True  # the radio, by the reset
        self._clock = _Clock(self, seconds, ms) if known else _Clock(self, 0, 0)
        self.clock = self._clock
        self._memory = _Memory(self.folder + "/memory.bin", bool(flags & _WRITTEN))
        self.rtc = self._memory  # type: ignore[assignment]  # its reading and writing are one method
        super().__init__(table)
        self._note(False)

    def _output(self, gpio: int, level: int) -> "Pin":
        """Light sleep lets no pin go."""
        pin = self.machine.Pin
        kept: "Pin" = pin(gpio, pin.OUT, value=level)
        self._kept.append(kept)
        return kept

    def _note(self, slept: bool) -> None:
        """What the next boot must know."""
        mark = _MARK | (_WRITTEN if self._memory.valid else 0) | (_SLEPT if slept else 0)
        seconds, ms = self._clock.now()
        mem32 = self.machine.mem32
        for n, word in enumerate((mark, seconds, ms, mark + seconds + ms & 0xFFFF_FFFF)):
            mem32[_SCRATCH + 4 * n] = word

    def input(self, gpio: int, attenuation: int) -> "Adc":
        return _Adc(self.machine, gpio)

    def radio(self) -> "Sx1262":
        """The SX1262, as it was left: the reset let NSS fall and woke it, so the first time it goes back to sleep."""
        radio = super().radio()
        if self._woken:
            from firmware.radio.sx1262 import RadioFault

            self._woken = False
            try:
                radio.sleep(True)
            except RadioFault as fault:  # whoever uses it will find the same
                print("radio:", fault)
        return radio

    def node_temperature(self) -> "Value":
        """The processor's own temperature in 0.01 degrees Celsius."""
        return 2_700 - (_Adc(self.machine, _CORE_TEMPERATURE).read_uv() - 706_000) * 100 // 1_721

    def slept(self) -> bool:
        """Whether this boot is the end of a deep sleep, rather than of a reset or a power cut."""
        return self._slept

    def watchdog_start(self) -> None:
        """From now on a board without progress is reset."""
        self._watchdog = self.machine.WDT(timeout=WATCHDOG_MS)
        self.watchdog_feed()

    def watchdog_feed(self) -> None:
        """Progress was made."""
        self._progress_ms = self._clock.ticks_ms()
        self._note(False)
        self.keep_quiet()

    def keep_quiet(self) -> None:
        """Feed the watchdog if the last progress is not too long ago."""
        waited_ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._progress_ms)
        if self._watchdog is not None and waited_ms < _PATIENCE_MS:
            self._watchdog.feed()

    def light_sleep(self, ms: int) -> None:
        """Sleep with everything kept, pins and clock included, 1 mA instead of 20."""
        self.light_ms += ms
        longest = _LONGEST_PART_MS if self._watchdog is None else _PART_MS
        clock = self._clock
        end = clock.ticks_add(clock.ticks_ms(), ms)
        while (left := clock.ticks_diff(end, clock.ticks_ms())) > 0:
            if self._watchdog is not None:
                self._watchdog.feed()
            self.machine.lightsleep(left if left < longest else longest)

    def deep_sleep(self, ms: int) -> None:
        """Sleep, then boot; does not return."""
        gc.collect()  # this must not fail, whatever has failed before
        self.sensor_power(False)
        if self._woken:
            self.radio()
        self._nss(1)
        if self._rf_switch is not None:
            self._rf_switch(0)
        self.light_sleep(ms)
        self._note(True)
        self.machine.reset()
