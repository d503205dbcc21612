# SPDX-License-Identifier: EUPL-1.2
"""What a packet forwarder does with a downlink before it is due: read the txpk, accept or refuse it, keep it.

PM = Semtech sx1302_hal, packet_forwarder/PROTOCOL.md, v1.6. The rules are those of jitqueue.c in the same package,
whose answer to a moment long past is TOO_EARLY because its 32-bit counter wraps. All times in microseconds.
"""

import base64
import binascii
import re
from typing import Any, NamedTuple

from decoders.lorawan.airtime import time_on_air_us

# jitqueue.c
TX_START_DELAY_US = 1_500
TX_MARGIN_US = 1_000
TX_JIT_US = 40_000
TX_MAX_ADVANCE_US = 4 * 128_000_000
JIT_QUEUE_MAX = 32
MIN_PREAMBLE = 6  # sx1302_hal, lora_pkt_fwd.c, MIN_LORA_PREAMB
WRAP = 1 << 32
_DATR = re.compile(r"SF(5|6|7|8|9|10|11|12)BW(125|250|500)")
_CODR = {"4/5": 1, "4/6": 2, "4/7": 3, "4/8": 4}


class Downlink(NamedTuple):
    """A txpk that can be sent. ``tmst``: counter at its start, or None for as soon as possible."""

    tmst: int | None
    frequency_hz: int
    power_dbm: int
    sf: int
    bandwidth_hz: int
    coding_rate: int
    iq_inverted: bool
    preamble: int
    crc_on: bool
    implicit_header: bool
    phy_payload: bytes

    def time_on_air_us(self) -> int:
        return time_on_air_us(
            len(self.phy_payload),
            self.sf,
            self.bandwidth_hz,
            crc=self.crc_on,
            preamble=self.preamble,
            implicit_header=self.implicit_header,
            coding_rate=self.coding_rate,
        )


def parse_txpk(txpk: Any, gps_epoch_ms: int, counter_at_epoch: int) -> Downlink | None:
    """PM 6 "Downstream JSON data structure"; None if anything is missing, null or of the wrong kind.

    ``gps_epoch_ms`` is the GPS time at which the counter stood at ``counter_at_epoch``: what a ``tmms`` means.
    """
    try:
        if None in txpk.values() or txpk["modu"] != "LORA":
            return None
        rate = _DATR.fullmatch(txpk["datr"])
        data = base64.b64decode(txpk["data"] + "=" * (-len(txpk["data"]) % 4), validate=True)
        if rate is None or txpk["size"] != len(data) or not 1 <= len(data) <= 255:
            return None
        if txpk.get("imme", False) is True:
            tmst = None
        elif "tmst" in txpk:
            tmst = int(txpk["tmst"])
        else:
            tmst = (int(txpk["tmms"]) - gps_epoch_ms) * 1000 + counter_at_epoch
        return Downlink(
            tmst=tmst,
            frequency_hz=round(txpk["freq"] * 1_000_000),
            power_dbm=int(txpk.get("powe", 14)),
            sf=int(rate[1]),
            bandwidth_hz=int(rate[2]) * 1000,
            coding_rate=_CODR[txpk["codr"]],
            iq_inverted=bool(txpk.get("ipol", False)),
            preamble=min(max(int(txpk.get("prea", 8)), MIN_PREAMBLE), 0xFFFF),
            crc_on=not txpk.get("ncrc", False),
            implicit_header=bool(txpk.get("nhdr", False)),
            phy_payload=data,
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, binascii.Error):
        return None


class JitQueue:
    """Downlinks with the moment at which each starts, earliest first."""

    def __init__(self) -> None:
        self._queue: list[tuple[int, Downlink]] = []

    def enqueue(self, downlink: Downlink, now_us: int, counter: int) -> int | str:
        """When it will start, or the error, as jit_enqueue() has them for class A and class C."""
        if len(self._queue) >= JIT_QUEUE_MAX:
            return "COLLISION_PACKET"
        if downlink.tmst is None:
            start = self._as_soon_as_possible(downlink, now_us)
        else:
            start = now_us + (downlink.tmst - counter) % WRAP
        if start - now_us <= TX_START_DELAY_US + TX_MARGIN_US + TX_JIT_US:
            return "TOO_LATE"
        if downlink.tmst is not None and start - now_us > TX_MAX_ADVANCE_US:
            return "TOO_EARLY"
        if self._collides(downlink, start):
            return "COLLISION_PACKET"
        self._queue.append((start, downlink))
        self._queue.sort(key=lambda queued: queued[0])
        return start

    def take(self, start: int) -> Downlink:
        """Remove the downlink that starts at ``start``."""
        (found,) = (queued for queued in self._queue if queued[0] == start)
        self._queue.remove(found)
        return found[1]

    def _collides(self, downlink: Downlink, start: int) -> bool:
        before = TX_START_DELAY_US + TX_JIT_US
        end = start + downlink.time_on_air_us()
        return any(
            start - before <= at + other.time_on_air_us() + TX_MARGIN_US and at - before <= end + TX_MARGIN_US
            for at, other in self._queue
        )

    def _as_soon_as_possible(self, downlink: Downlink, now_us: int) -> int:
        start = now_us + 2 * TX_JIT_US
        gap = TX_START_DELAY_US + 2 * TX_JIT_US + TX_MARGIN_US
        for at, other in self._queue:
            if not self._collides(downlink, start):
                break
            start = at + other.time_on_air_us() + gap
        return start
