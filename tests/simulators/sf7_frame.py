# SPDX-License-Identifier: EUPL-1.2
"""A frame on the air as most tests of radios need one."""

from typing import Any

from simulators.air import Position, Transmission
from simulators.clock import Clock

LENGTH_US = 41_216  # 12 bytes at SF7: 40.25 symbols of 1.024 ms, 8.192 ms of them preamble; Semtech AN1200.13


def sf7_frame(clock: Clock, **changes: Any) -> Transmission:
    """An uplink of 12 bytes that a node sends now, 1 km away."""
    start_us = changes.pop("start_us", clock.now_us)
    fields = {
        "start_us": start_us,
        "end_us": start_us + LENGTH_US,
        "frequency_hz": 868_100_000,
        "sf": 7,
        "bandwidth_hz": 125_000,
        "power_dbm": 14.0,
        "iq_inverted": False,
        "sync_word": 0x3444,
        "phy_payload": bytes(range(12)),
        "crc_on": True,
        "preamble_symbols": 8,
        "position": Position(1000.0, 0.0),
        **changes,
    }
    return Transmission(**fields)
