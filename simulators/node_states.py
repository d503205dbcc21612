# SPDX-License-Identifier: EUPL-1.2
"""The states a node on the bench goes through, why it is reset, and what is counted of it."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class ResetCause(Enum):
    """As machine.reset_cause() has it on the ESP32."""

    POWER_ON = 1
    HARD = 2
    WATCHDOG = 3
    DEEP_SLEEP = 4
    SOFT = 5


class Port(Enum):
    """MicroPython's port. ``value``: its name."""

    ESP32 = "esp32"
    RP2 = "rp2"

    def cause(self, cause: ResetCause) -> int:
        """What machine.reset_cause() says; an RP2 tells a power-up (1) from a watchdog's reset (3), no more."""
        return cause.value if self is Port.ESP32 else 1 if cause is ResetCause.POWER_ON else 3


class Moment(Enum):
    """What ``NodeBench.notice`` is told of."""

    LIGHT_SLEEP = "light sleep begins"
    DEEP_SLEEP = "the firmware asks for deep sleep; its pins are as it left them"
    ASLEEP = "deep sleep begins; only held pins are left"
    RESET = "the firmware resets the chip"


class State(Enum):
    OFF = "off"
    BOOTING = "booting"
    AWAKE = "awake"
    LIGHT_SLEEP = "light sleep"
    ASLEEP = "asleep"
    STOPPED = "stopped"  # main has ended; the board sits in the REPL, drawing current


class Crash(NamedTuple):
    """An exception that nobody caught. ``where``: "main", or the handler's GPIO."""

    time_us: int
    where: str
    traceback: str


@dataclass
class NodeStatistics:
    """What a node has done since it was built; ``state_us`` counts up to its last change of state."""

    requests: int = 0
    posts: int = 0
    boots: Counter[ResetCause] = field(default_factory=Counter)
    state_us: Counter[State] = field(default_factory=Counter)
    heap_free_min: int | None = None
    crashes: list[Crash] = field(default_factory=list)
    returned: int = 0
