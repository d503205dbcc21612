# SPDX-License-Identifier: EUPL-1.2
"""A node of each profile, on any board: what hangs on it and what its sensors are exposed to."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from simulators.air import Air
from simulators.air_node import AirNode
from simulators.board import BoardSim
from simulators.chips.air_state import AirState
from simulators.city import City, Truth
from simulators.clock import Clock
from simulators.traffic_node import TrafficNode, endless
from simulators.tree_node import TreeNode
from simulators.vehicles import Vehicle

PROFILES = ("tree", "air", "traffic")


class World(NamedTuple):
    """What one node's sensors are exposed to; only that of its profile is asked for."""

    soil: Callable[[int], Truth] | None = None
    air: Callable[[int], AirState] | None = None
    vehicles: Iterable[Vehicle] = ()


def world_of(city: City, index: int) -> World:
    """Of device ``index`` of the city."""
    if index < city.nodes:
        return World(soil=lambda now_us: city.truth(index, now_us))
    around = city.surroundings(city.stations[index - city.nodes])
    return World(air=around.air, vehicles=endless(around.traffic))


def make_node(
    profile: str, clock: Clock, air: Air, firmware: Path, world: World, kind: str = "heltec_v3", **options: Any
) -> BoardSim:
    """A node of this ``profile`` on a board of ``kind``; options are those of ``BoardSim``."""
    if profile == "air":
        assert world.air is not None
        return AirNode(clock, air, firmware, world.air, kind, **options)
    if profile == "traffic":
        return TrafficNode(clock, air, firmware, world.vehicles, kind, **options)
    assert world.soil is not None
    return TreeNode(clock, air, firmware, world.soil, kind, **options)
