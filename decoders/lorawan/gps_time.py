# SPDX-License-Identifier: EUPL-1.2
"""GPS seconds, the network's time, and Unix seconds, everyone else's. Not for the node, which knows only GPS time."""

from typing import TypeVar

_Seconds = TypeVar("_Seconds", int, float)

# 1980-01-06T00:00:00Z (IS-GPS-200 "GPS Time") less the 18 leap seconds since (IERS Bulletin C 52, from 2017-01-01 on)
_UNIX_LESS_GPS_S = 315_964_800 - 18


def unix_from_gps(gps_s: _Seconds) -> _Seconds:
    """Unix seconds of a moment after 2016."""
    return gps_s + _UNIX_LESS_GPS_S


def gps_from_unix(unix_s: _Seconds) -> _Seconds:
    """GPS seconds of a moment after 2016."""
    return unix_s - _UNIX_LESS_GPS_S
