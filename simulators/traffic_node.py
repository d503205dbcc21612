# SPDX-License-Identifier: EUPL-1.2
"""The traffic node as it hangs in the street: a board with a radar HLK-LD2451, or with two pneumatic tubes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from simulators.air import Air
from simulators.board import SOLAR_MV, BoardSim
from simulators.chips.ld2451 import Ld2451Sim
from simulators.chips.pulse_source import TubesSim
from simulators.clock import HOUR_US, Clock
from simulators.traffic import Traffic
from simulators.vehicles import Vehicle


def endless(traffic: Traffic, from_us: int = 0) -> Iterator[Vehicle]:
    """Everybody who passes from ``from_us`` on, in order of time."""
    while True:
        yield from traffic.passages(from_us, from_us + HOUR_US)
        from_us += HOUR_US


class TrafficNode(BoardSim):
    """``vehicles`` pass it, in order of time. ``probes``: ("tubes",), or () for a radar. Options are ``BoardSim``'s."""

    def __init__(
        self,
        clock: Clock,
        air: Air,
        firmware: Path,
        vehicles: Iterable[Vehicle],
        kind: str = "heltec_v3",
        *,
        probes: tuple[str, ...] = (),
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(clock, air, firmware, kind, seed=seed, **{"battery_mv": SOLAR_MV, **options})
        if "tubes" in probes:
            self.tubes = TubesSim(clock, self.wire("PULSE 0"), self.wire("PULSE 1"), vehicles, seed=seed, bounces=1)
            return
        # A radar in service says nothing while nothing moves; that some do is for the driver's tests.
        self.ld2451 = Ld2451Sim(clock, self.serial(), self.sensor_power, vehicles, seed=seed, sends_empty=False)
        self.chips.append(self.ld2451)
