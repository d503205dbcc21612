# SPDX-License-Identifier: EUPL-1.2
"""The calendar of ``time`` (runs on MicroPython)."""

import sys
import time

import _simlink as _link

if False:  # types only
    from typing import Any

_ours = sys.modules.pop("utime")  # see _simboot
_unix: "Any" = __import__("utime")  # MicroPython's own
sys.modules["utime"] = _ours

_UNIX_TO_2000 = 946_684_800


def time_ns() -> int:
    _link.touch()
    return time._rtc_now() * 1000


def gmtime(s: "int | None" = None) -> "tuple[int, ...]":
    fields: "tuple[int, ...]" = _unix.gmtime((time.time() if s is None else s) + _UNIX_TO_2000)
    return fields[:8]


localtime = gmtime  # the board knows no time zones


def mktime(t: "tuple[int, ...]") -> int:
    return int(_unix.mktime(tuple(t[:8]) + (0,) * (9 - len(t[:8])))) - _UNIX_TO_2000
