# SPDX-License-Identifier: EUPL-1.2
"""When a frame was received: the concentrator's time, else ours, else only seconds since boot, to be dated later.

A gateway has no real-time clock, so until its clock is set it knows time only through a concentrator that has GPS. Once
it is set, a concentrator that is far from it is wrong.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from decoders.lorawan.gps_time import gps_from_unix, unix_from_gps
from gateway.metrics import Metrics

# 2026-01-01, before this software: a clock that shows less is not set. Raise it with each release.
EARLIEST_UNIX_S = 1_767_225_600.0


class Boot(NamedTuple):
    """One run of the machine's kernel: its name, and a clock of seconds since it began, sleep included."""

    id: str
    seconds: Callable[[], float]


def this_boot() -> Boot:
    """The boot of this machine. man 4 random, "boot_id"; man 2 clock_gettime, "CLOCK_BOOTTIME"."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return Boot(boot_id, lambda: time.clock_gettime(time.CLOCK_BOOTTIME))


class TimeKeeper:
    """Judges the clocks. ``unix_clock`` is ours; ``tolerance_s`` 0 believes every concentrator."""

    def __init__(self, unix_clock: Callable[[], float], boot: Boot, tolerance_s: float, metrics: Metrics) -> None:
        self._unix_clock = unix_clock
        self._boot = boot
        self._tolerance_s = tolerance_s
        self._metrics = metrics
        self._learned: float | None = None  # unix_less_boot_s by the latest concentrator

    def received(self, gps_ms: int | None, utc_s: float | None) -> tuple[int | None, float]:
        """(GPS ms, Unix s) of a frame that came now, from what its concentrator says; (None, seconds since boot)."""
        now = self._unix_clock()
        for unix_s in (None if gps_ms is None else unix_from_gps(gps_ms / 1000), utc_s):
            if unix_s is None:
                continue
            if self._tolerance_s and now >= EARLIEST_UNIX_S and abs(unix_s - now) > self._tolerance_s:
                self._metrics.count("concentrator_time_wrong")
                continue
            self._learned = unix_s - self._boot.seconds()
            return round(gps_from_unix(unix_s) * 1000), unix_s
        offset = self.unix_less_boot_s()
        boot_s = self._boot.seconds()
        if offset is None:
            return None, boot_s
        return round(gps_from_unix(boot_s + offset) * 1000), boot_s + offset

    def now(self) -> float | None:
        """Unix s; None while nobody knows."""
        offset = self.unix_less_boot_s()
        return None if offset is None else self._boot.seconds() + offset

    def unix_less_boot_s(self) -> float | None:
        """What makes a Unix time of seconds since this boot; None while nobody knows."""
        now = self._unix_clock()
        return now - self._boot.seconds() if now >= EARLIEST_UNIX_S else self._learned
