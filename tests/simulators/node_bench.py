# SPDX-License-Identifier: EUPL-1.2
"""Small firmware on a bench of its own: written, compiled, run."""

from pathlib import Path
from textwrap import dedent
from typing import Any

from simulators.clock import Clock
from simulators.firmware_build import compile_module
from simulators.node import BOOT_US, NodeBench
from simulators.wiring import Wiring

S = 1_000_000
BOOTED_US = BOOT_US


def node(clock: Clock, folder: Path, source: str, wiring: Wiring | None = None, **options: Any) -> NodeBench:
    """A node whose main.py is ``source``; ``folder`` takes what is compiled."""
    index = options.get("index", 0)
    main = folder / f"main{index}.py"
    main.write_text(dedent(source))
    firmware = folder / f"firmware{index}"
    compile_module(main, firmware / "main.mpy", "main.py")
    return NodeBench(clock, wiring or Wiring(), firmware, **options)


def said(bench: NodeBench) -> list[str]:
    """What the firmware has printed, by line."""
    return bench.console().splitlines()


class Inverter:
    """Answers each byte's complement on SPI, and notes when it was asked what."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asked: list[tuple[int, bytes]] = []

    def transfer(self, mosi: bytes) -> bytes:
        self.asked.append((self._clock.now_us, mosi))
        return bytes(byte ^ 0xFF for byte in mosi)
