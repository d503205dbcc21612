# SPDX-License-Identifier: EUPL-1.2
"""``time`` of an ESP32 in virtual time: ticks wrap at 2**30, the epoch is 2000-01-01 (runs on MicroPython)."""

import sys

import _simlink as _link

if False:  # types only
    from typing import Any

_MASK = (1 << 30) - 1
_HALF = 1 << 29

_boot_us = int(sys.argv[6])  # when ticks were zero, us of virtual time
_rtc_us = int(sys.argv[7])  # the RTC at _since_us
_since_us = _link.t
_drift_ppm = int(sys.argv[8])  # how much faster than true time the RTC runs
_slept_us = 0  # ticks gained in light sleep over true time


def _rtc_now() -> int:
    passed = _link.t - _since_us
    return _rtc_us + passed + passed * _drift_ppm // 1_000_000


def _set_rtc(us: int) -> None:
    global _rtc_us, _since_us
    _rtc_us = us
    _since_us = _link.t


def _rtc_to_true(us: int) -> int:
    return us * 1_000_000 // (1_000_000 + _drift_ppm)


def _slept(gained_us: int) -> None:
    global _slept_us
    _slept_us += gained_us


def ticks_us() -> int:
    _link.touch()
    return _link.t - _boot_us + _slept_us & _MASK


def ticks_ms() -> int:
    _link.touch()
    return (_link.t - _boot_us + _slept_us) // 1000 & _MASK


ticks_cpu = ticks_us


def ticks_add(ticks: int, delta: int) -> int:
    return ticks + delta & _MASK


def ticks_diff(end: int, start: int) -> int:
    return (end - start + _HALF & _MASK) - _HALF


def sleep_us(us: int) -> None:
    if us > 0:
        _link.sleep_until(_link.t + us)
    else:
        _link.touch()


def sleep_ms(ms: int) -> None:
    sleep_us(ms * 1000)


def sleep(s: float) -> None:
    sleep_us(int(s * 1_000_000))


def time() -> int:
    _link.touch()
    return _rtc_now() // 1_000_000


def __getattr__(name: str) -> "Any":
    """The calendar, which a node does without."""
    import _time_more

    return getattr(_time_more, name)
