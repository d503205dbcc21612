# SPDX-License-Identifier: EUPL-1.2
"""What runs on the node of ``bench_windows``: exchange after exchange, each data rate with a budget that starts anew.

The uplink tells the bench what to do: byte 1 is the spreading factor, byte 2 the delay of RX1 in seconds, byte 3 the
window in which the network shall answer.
"""

import gc
import sys
from collections import namedtuple

from decoders.lorawan.airtime import time_on_air_us
from firmware.boards import this
from firmware.link import Link
from firmware.radio.sx1262 import RadioFault
from firmware.timing import WindowBudget

if False:  # types only
    from typing import Any

    from firmware.hal import Board

_RX1_HZ = 868_300_000
_RX2_HZ = 869_525_000
_PAUSE_MS = 500
_LENGTH = 23
# delay of RX1 in seconds, window of the answer: data and joins, in either window
_PATTERN = ((1, 1), (1, 2), (5, 1), (1, 1), (5, 2))

Window = namedtuple("Window", ("after_us", "frequency_hz", "dr"))
Uplink = namedtuple("Uplink", ("frequency_hz", "dr", "eirp_dbm", "phy_payload", "airtime_us"))


class _Mac:
    """Two windows at one data rate; every downlink is for us."""

    def __init__(self, sf: int, delay_s: int) -> None:
        self._windows = [Window((delay_s + n) * 1_000_000, (_RX1_HZ, _RX2_HZ)[n], 12 - sf) for n in (0, 1)]
        self.heard = False

    def next_window(self) -> "Any":
        return self._windows[0] if self._windows else None

    def window_closed(self) -> None:
        del self._windows[0]

    def received(self, phy_payload: bytes, snr_quarter_db: int) -> "list[Any]":
        self._windows = []
        self.heard = True
        return [None]


def _exchange(board: "Board", budget: WindowBudget, sf: int, delay_s: int, window: int, light: bool) -> None:
    radio = board.radio()
    mac: Any = _Mac(sf, delay_s)
    clock: Any = board.clock
    phy_payload = bytes((0x40, sf, delay_s, window)) + bytes(_LENGTH - 4)
    uplink: Any = Uplink(_RX1_HZ, 12 - sf, 16, phy_payload, time_on_air_us(_LENGTH, sf))
    outcome = "missed"
    try:
        radio.start()
        link = Link(radio, clock, _nothing, board.antenna_gain_dbi, budget, board.light_sleep if light else None)
        link.exchange(mac, uplink)
        radio.sleep()
        if mac.heard:
            outcome = "heard"
    except RadioFault as fault:
        outcome = "fault " + fault.reason
    if not mac.heard:
        budget.missed()
    print(sf, delay_s, window, budget.error_us(1_000_000, 900_000 if light else 0), outcome)
    clock.sleep_ms(_PAUSE_MS)


def _nothing() -> None:
    pass


def _run(rounds: int, light: bool, spreading_factors: "tuple[int, ...]") -> None:
    board = this.Board(this)
    for sf in spreading_factors:
        budget = WindowBudget()
        for n in range(rounds):
            delay_s, window = _PATTERN[n % len(_PATTERN)]
            _exchange(board, budget, sf, delay_s, window, light)
        gc.collect()


sys.path.append("/data")
from windows_plan import LIGHT, ROUNDS, SPREADING_FACTORS  # type: ignore[import-not-found]  # noqa: E402

_run(ROUNDS, LIGHT, SPREADING_FACTORS)
