# SPDX-License-Identifier: EUPL-1.2
"""Whether the kernel's clock was set over the network, as ``timedatectl`` finds out: by the error that it claims.

man 2 adjtimex, "maxerror": 16 s from the boot on, and until somebody disciplines the clock. systemd-timesyncd, ntpd,
chrony and PTP all go through this call. STA_UNSYNC does not tell: chrony leaves it set unless it may write a hardware
clock; and /run/systemd/timesync/synchronized is of systemd-timesyncd only.
"""

import ctypes
from functools import cache

_UNSET_US = 16_000_000  # linux/timex.h "NTP_PHASE_LIMIT"


class _Timex(ctypes.Structure):
    """struct timex, as far as we read it; the kernel writes less than ``rest`` more."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 512),
    )


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def is_synchronized() -> bool:
    """Ask the kernel, which any user may; a kernel that does not say is not believed."""
    timex = _Timex()
    try:
        answer = _libc().adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return False
    return answer >= 0 and is_set(timex.maxerror)


def is_set(max_error_us: int) -> bool:
    """By the error that the kernel claims."""
    return max_error_us < _UNSET_US
