# SPDX-License-Identifier: EUPL-1.2
"""When a receive window opens, how long it lasts, and how wrong the node's clock may be. Integers, no I/O.

The budget starts wide, learns from every downlink how late it came by the node's own clock, and narrows; after an
answer that did not come it is wide again. Two parts: what an exchange costs whatever its length (interpreter,
scheduler), and what grows with time: 40 ppm of two crystals awake, far more for the clock that times a light sleep,
whose drift is learned and taken off (``correction_us``). Until it is known, little is slept (``most_asleep_us``), so
that a clock 5 % off still hears its first downlink, and learns from it.
"""

import struct

AWAKE_US = 20_000  # either way, before anything was heard: scheduler tick 10 ms, interpreter at launch some ms
ASLEEP_US = 50_000  # the same, for a window that light sleep leads up to
LOST_US = 100_000  # after a miss: perhaps this board is slower than thought
LEAST_US = 5_000  # the fixed part never gets smaller
_MOST_US = 120_000  # at SF7 a longer window than the chip can count
CLAIMED_PPM = 6_000  # drift of the sleep clock before it is known; others measured up to 0.33 %

_CRYSTALS_PPM = 40
_LEAST_PPM = 500  # temperature moves a known drift by this much until the next downlink
_MOST_PPM = 60_000
_UNKNOWN_PPM = 1_000_000  # nothing known weighs nothing against a measurement
_UNKNOWN_SLEEP_US = 600_000  # 5 % of that: what ASLEEP_US leaves beside AWAKE_US
_NOISE_US = 2_000  # of one measurement
_LEARNS_FROM_US = 300_000  # a shorter sleep says nothing about its clock
_FORGETS_AFTER = 2  # misses in a row
_PREAMBLE_SYMBOLS = 6  # of a downlink's 8, enough for the receiver to lock
_MOST_SYMBOLS = 248  # DS_SX1261-2_V2.1 "SetLoRaSymbNumTimeout"
_FORMAT = "<HhHB"


class Window:
    """When to launch the receiver, us before the downlink is due, and for how many symbols.

    ``symbol_us``: length of a symbol; ``error_us``: either way; ``lead_us``: from the launch to a receiver that hears.
    offset = -(lead + error), symbols = ceil((lead + 2 error) / symbol) + preamble, as lora-rs has it (#479): right for
    radios that are much faster than their clock is precise.
    """

    __slots__ = ("early_us", "symbols", "us")

    def __init__(self, symbol_us: int, error_us: int, lead_us: int) -> None:
        error_us = min(error_us, ((_MOST_SYMBOLS - _PREAMBLE_SYMBOLS) * symbol_us - lead_us) // 2)
        self.early_us = lead_us + error_us
        self.symbols = -(-(lead_us + 2 * error_us) // symbol_us) + _PREAMBLE_SYMBOLS
        self.us = self.symbols * symbol_us


class WindowBudget:
    """The error of one node's windows. Positive drift: the clock that times its sleep runs fast."""

    SIZE = 7  # bytes, packed

    __slots__ = ("_drift_ppm", "_fixed_us", "_misses", "_spread_ppm")

    def __init__(self) -> None:
        self._misses = 0
        self._forget()

    def _forget(self) -> None:
        self._fixed_us = AWAKE_US
        self._drift_ppm = 0
        self._spread_ppm = CLAIMED_PPM  # either side of the drift; this value: nothing known yet

    def error_us(self, after_us: int, asleep_us: int) -> int:
        """Either way, for a window ``after_us`` after the uplink, ``asleep_us`` of which pass in light sleep."""
        error_us = self._fixed_us + after_us // 1000 * _CRYSTALS_PPM // 1000
        if asleep_us:
            error_us += asleep_us // 1000 * self._spread_ppm // 1000
            if self._spread_ppm >= CLAIMED_PPM:
                error_us = max(error_us, ASLEEP_US)
        if self._misses:
            error_us = max(error_us, LOST_US)
        return min(error_us, _MOST_US)

    def most_asleep_us(self) -> int:
        """How much of an exchange may pass in light sleep."""
        return _UNKNOWN_SLEEP_US if self._spread_ppm >= CLAIMED_PPM else 1 << 30

    def drift_ppm(self) -> int:
        """How much faster than true time the sleep clock runs, as far as is known."""
        return self._drift_ppm

    def correction_us(self, asleep_us: int) -> int:
        """How much later than planned, by the node's clock, a downlink comes after that much sleep."""
        return asleep_us // 1000 * self._drift_ppm // 1000

    def heard(self, late_us: int, asleep_us: int = 0) -> None:
        """A downlink came ``late_us`` later than the node's corrected clock expected it."""
        self._misses = 0
        late_us = max(-_MOST_US, min(_MOST_US, late_us))
        if asleep_us >= _LEARNS_FROM_US:
            unknown = self._spread_ppm >= CLAIMED_PPM
            self._learn(_bounded(late_us * 1000 // (asleep_us // 1000)), _NOISE_US * 1000 // (asleep_us // 1000))
            if unknown:
                return  # it came late for that reason, which is no more
        wanted_us = max(LEAST_US, 2 * abs(late_us) + _NOISE_US)
        if wanted_us < self._fixed_us:
            wanted_us = (wanted_us + self._fixed_us) // 2
        self._fixed_us = min(wanted_us, LOST_US)

    def _learn(self, off_ppm: int, noise_ppm: int) -> None:
        """Move the drift by a share of what it was off: the whole if the measurement is much better than we knew."""
        known = self._spread_ppm if self._spread_ppm < CLAIMED_PPM else _UNKNOWN_PPM
        step = off_ppm * known // (known + noise_ppm)
        self._drift_ppm = _bounded(self._drift_ppm + step) & ~1  # stored as its half
        spread = max(_LEAST_PPM, known * noise_ppm // (known + noise_ppm), 2 * abs(off_ppm - step))
        self._spread_ppm = min(spread, CLAIMED_PPM)

    def missed(self) -> None:
        """An answer that was asked for did not come: perhaps the window was too narrow."""
        self._misses = min(self._misses + 1, 255)
        if self._misses >= _FORGETS_AFTER:
            self._forget()

    def pack(self) -> bytes:
        """``SIZE`` bytes."""
        return struct.pack(_FORMAT, self._fixed_us // 2, self._drift_ppm // 2, self._spread_ppm, self._misses)

    @classmethod
    def unpack(cls, data: bytes) -> "WindowBudget":
        """What ``pack`` gave; any other ``SIZE`` bytes give some budget within its limits."""
        fixed, drift, spread, misses = struct.unpack(_FORMAT, data)
        budget = cls()
        budget._fixed_us = max(LEAST_US, min(LOST_US, 2 * fixed))
        budget._drift_ppm = _bounded(2 * drift)
        budget._spread_ppm = max(_LEAST_PPM, min(CLAIMED_PPM, spread))
        budget._misses = misses
        return budget


def _bounded(ppm: int) -> int:
    return max(-_MOST_PPM, min(_MOST_PPM, ppm))
