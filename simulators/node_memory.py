# SPDX-License-Identifier: EUPL-1.2
"""What a simulated node remembers in its RTC memory, read with the firmware's own code on CPython."""

import tempfile
from types import SimpleNamespace

from firmware.identity import parse_identity
from firmware.journal import Journal
from firmware.mac import Mac
from firmware.provisioning import pack_identity
from firmware.state import Memory, Store
from simulators.node import NodeBench

_ANYBODY = parse_identity(pack_identity("0" * 15 + "1", "0" * 16, bytes(16)))


def memory_of(bench: NodeBench) -> Memory:
    """The Memory that the node will load at its next wake."""
    rtc = SimpleNamespace(memory=lambda: bytes(bench.board.rtc_memory))
    with tempfile.TemporaryDirectory() as empty:  # stands in for its flash
        return Store(rtc, Journal(empty)).load(Mac(_ANYBODY), bench.rtc_us() // 1_000_000)
