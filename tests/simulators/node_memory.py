# SPDX-License-Identifier: EUPL-1.2
"""What a simulated node remembers in its RTC memory, read with the firmware's own code on CPython."""

from types import SimpleNamespace

from firmware import profile_tree
from firmware.journal import Journal
from firmware.mac import Mac
from firmware.state import Memory, Store
from tests.firmware.lorawan_peer import IDENTITY


def memory_of(bench, folder) -> Memory:
    """The Memory that the node will load at its next wake; ``folder`` stands in for its flash and stays empty."""
    rtc = SimpleNamespace(memory=lambda: bytes(bench.board.rtc_memory))
    fields = tuple(field.name for field in profile_tree.LAYOUT.sample)
    return Store(rtc, Journal(str(folder)), fields).load(Mac(IDENTITY), bench.rtc_us() // 1_000_000)
