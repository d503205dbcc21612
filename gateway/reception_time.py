# SPDX-License-Identifier: EUPL-1.2
"""When a frame was received: the concentrator's time, else ours, else only seconds since boot, to be dated later.

A gateway has no real-time clock, so until its clock is set it knows time only through a concentrator that has GPS. Once
it is set over the network, a concentrator that is far from it is wrong. A clock that was only restored at the boot
("saved") dates uplinks until something better is known, and is told to nobody. Once right, a clock stays so until the
next boot: it drifts by seconds a day.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from decoders.lorawan.gps_time import gps_from_unix, unix_from_gps
from decoders.records import TimeQuality
from gateway.boots import Began, Offset
from gateway.metrics import Metrics

# 2026-01-01, before this software: a clock that shows less is not set. Raise it with each release.
EARLIEST_UNIX_S = 1_767_225_600.0

_ASK_EVERY_S = 1.0  # the kernel, whether our clock is set
_BEGAN = Began(None, "unset", None)


class Boot(NamedTuple):
    """One run of the machine's kernel: its name, and a clock of seconds since it began, sleep included."""

    id: str
    seconds: Callable[[], float]


def this_boot() -> Boot:
    """The boot of this machine. man 4 random, "boot_id"; man 2 clock_gettime, "CLOCK_BOOTTIME"."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return Boot(boot_id, lambda: time.clock_gettime(time.CLOCK_BOOTTIME))


class Moment(NamedTuple):
    """When something was: ``unix_s`` (None: nobody knows), how sure that is, and seconds since the boot ``boot_id``."""

    unix_s: float | None
    quality: TimeQuality
    boot_id: str = ""
    boot_s: float = 0.0

    @property
    def gps_ms(self) -> int | None:
        """GPS milliseconds."""
        return None if self.unix_s is None else round(gps_from_unix(self.unix_s) * 1000)


class TimeKeeper:
    """Judges the clocks. ``unix_clock`` is ours, and ``is_synchronized`` whether it was set by somebody who knows.

    ``tolerance_s`` 0 believes every concentrator. ``began``: what the database knows of this boot.
    """

    def __init__(
        self,
        unix_clock: Callable[[], float],
        boot: Boot,
        tolerance_s: float,
        metrics: Metrics,
        is_synchronized: Callable[[], bool] = lambda: True,
        began: Began = _BEGAN,
    ) -> None:
        self._unix_clock = unix_clock
        self._boot = boot
        self._tolerance_s = tolerance_s
        self._metrics = metrics
        self._is_synchronized = is_synchronized
        self._synchronized = began.quality == "ntp"
        self._asked_s = -math.inf
        self._learned = began.unix_less_boot_s  # by the latest concentrator
        self._told: float | None = None  # the same by the latest computer at a concentrator
        self._ended = began.ended

    def received(self, gps_ms: int | None, utc_s: float | None, *, host_clock: bool = False) -> Moment:
        """When a frame was received that came now, from what its concentrator says.

        ``host_clock``: ``utc_s`` is of the computer at the concentrator, which may know no better than ours.
        """
        boot_s = self._boot.seconds()
        own = self.offset()
        is_sure = own is not None and own.quality == "ntp"
        gps_s = None if gps_ms is None else unix_from_gps(gps_ms / 1000)
        for unix_s, is_host in ((gps_s, False), (utc_s, host_clock and self._tolerance_s > 0)):
            if unix_s is None:
                continue
            if is_sure and self._tolerance_s and abs(unix_s - self._unix_clock()) > self._tolerance_s:
                self._metrics.count("concentrator_time_wrong")
                continue
            if is_host:
                if is_sure:
                    return Moment(unix_s, "ntp", self._boot.id, boot_s)
                if unix_s >= EARLIEST_UNIX_S:
                    self._told = unix_s - boot_s
                continue
            self._learned = unix_s - boot_s
            return Moment(unix_s, "concentrator", self._boot.id, boot_s)
        own = own or self.offset()
        if own is None:
            return Moment(None, "unset", self._boot.id, boot_s)
        return Moment(boot_s + own.unix_less_boot_s, own.quality, self._boot.id, boot_s)

    def moment(self) -> Moment:
        """Now."""
        return self.received(None, None)

    def now(self) -> float | None:
        """Unix s, if only by a clock that was restored; None while nobody knows."""
        return self.moment().unix_s

    def sure_now(self) -> float | None:
        """Unix s, to be told to others; None while nobody knows for sure."""
        moment = self.moment()
        return None if moment.quality == "saved" else moment.unix_s

    def offset(self) -> Offset | None:
        """Of this boot; None while nobody knows."""
        now, boot_s = self._unix_clock(), self._boot.seconds()
        is_set = now >= EARLIEST_UNIX_S
        if is_set and not self._synchronized and boot_s - self._asked_s >= _ASK_EVERY_S:
            self._synchronized, self._asked_s = self._is_synchronized(), boot_s
        if is_set and self._synchronized:
            return Offset(now - boot_s, "ntp")
        if self._learned is not None:
            return Offset(self._learned, "concentrator")
        restored = now - boot_s if is_set else self._told
        if restored is None:
            return None
        return Offset(restored if self._ended is None else max(restored, self._ended), "saved")
