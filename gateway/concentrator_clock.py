# SPDX-License-Identifier: EUPL-1.2
"""One concentrator's counter as a line that never wraps and never jumps back, and what it shows now. No I/O.

A counter of 32 bits wraps every 71 minutes and begins anew with its concentrator, and frames may come late; so how far
it has come since the last frame is weighed against how much time has passed: by the concentrator's GPS time where it
has one, else by our own clock. All times are microseconds; ``now_us`` is our monotonic clock.
"""

_GWMP_MODULUS = 1 << 32
_XTIME_MODULUS = 1 << 48  # lorabasics/basicstation, src/ral.h, "Encoding of xtime": above it session and antenna
_GPS_TOLERANCE_US = 2_000_000
_ARRIVAL_TOLERANCE_US = 120_000_000
_DRIFT_PPM = 100


class ConcentratorClock:
    """``xtime``: the counter is Basics Station's. ``held``: time is virtual and stands still between two frames."""

    def __init__(self, *, xtime: bool = False, held: bool = False) -> None:
        self._modulus = _XTIME_MODULUS if xtime else _GWMP_MODULUS
        self._held = held
        self._line_us = 0
        self._counter: int | None = None  # what the concentrator showed at _line_us
        self._session = 0
        self._gps_us: int | None = None
        self._now_us = 0
        self._behind_us = 0  # our clock less the line, for a frame that came without delay
        self._behind_at_us = 0
        self.resets = 0

    def place(self, tmst_us: int, gps_ms: int | None, now_us: int) -> int:
        """Where on the line a frame ended that arrives now."""
        session, counter = divmod(tmst_us, self._modulus)
        gps_us = None if gps_ms is None else gps_ms * 1000
        if self._counter is None:
            self._begin(0, session, counter, gps_us, now_us)
            return 0
        if gps_us is not None and self._gps_us is not None:
            passed_us, tolerance_us = gps_us - self._gps_us, _GPS_TOLERANCE_US
        else:
            passed_us, tolerance_us = now_us - self._now_us, _ARRIVAL_TOLERANCE_US
        step_us = (counter - self._counter) % self._modulus
        step_us += round((passed_us - step_us) / self._modulus) * self._modulus
        line_us = self._line_us + step_us
        ahead = not self._held and line_us > self.at(now_us) + _ARRIVAL_TOLERANCE_US
        if session != self._session or abs(passed_us - step_us) > tolerance_us or ahead:
            self.resets += 1
            goes_on_at_us = self._line_us + max(0, passed_us) if self._held else self.at(now_us)
            self._begin(goes_on_at_us, session, counter, gps_us, now_us)
            return self._line_us
        behind_us = now_us - line_us
        allowed_us = self._behind_us + (now_us - self._behind_at_us) * _DRIFT_PPM // 1_000_000
        self._behind_us, self._behind_at_us = min(behind_us, allowed_us), now_us
        if line_us > self._line_us:
            self._line_us, self._counter, self._gps_us, self._now_us = line_us, counter, gps_us, now_us
        return line_us

    def _begin(self, line_us: int, session: int, counter: int, gps_us: int | None, now_us: int) -> None:
        self._line_us, self._session, self._counter = line_us, session, counter
        self._gps_us, self._now_us = gps_us, now_us
        self._behind_us, self._behind_at_us = now_us - line_us, now_us

    def at(self, now_us: int) -> int:
        """Where on the line it is now."""
        return self._line_us if self._held else max(self._line_us, now_us - self._behind_us)

    def when(self, line_us: int) -> int:
        """Our clock when it will be there."""
        return line_us + self._behind_us
