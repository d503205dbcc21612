# SPDX-License-Identifier: EUPL-1.2
"""A node of each profile, on any board: what hangs on it and what its sensors are exposed to."""

from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from decoders import settings
from firmware.delivery import Delivery
from firmware.profile import PROBES
from firmware.provisioning import pack_identity
from firmware.settings import Settings
from simulators.air import Air
from simulators.air_node import AirNode
from simulators.board import BoardSim
from simulators.chips.air_state import AirState
from simulators.city import City, Truth, small_jena
from simulators.clock import Clock
from simulators.flash import Flash
from simulators.traffic_node import TrafficNode, endless
from simulators.tree_node import TreeNode, provisioned_flash
from simulators.vehicles import Vehicle

_PROBES = next(setting for setting in settings.SETTINGS if setting.name == "probes")


class World(NamedTuple):
    """What one node's sensors are exposed to; only that of its profile is asked for."""

    soil: Callable[[int], Truth] | None = None
    air: Callable[[int], AirState] | None = None
    vehicles: Iterable[Vehicle] = ()
    probes: tuple[str, ...] = ()  # what the node has to see it with, if not what its profile has


def world_of(city: City, index: int) -> World:
    """Of device ``index`` of the city."""
    if index < city.nodes:
        return World(soil=lambda now_us: city.truth(index, now_us))
    around = city.surroundings(city.stations[index - city.nodes])
    return World(air=around.air, vehicles=endless(around.traffic), probes=around.station.probes)


def provisioned(
    dev_eui: str,
    join_eui: str,
    app_key: bytes,
    interval_s: int,
    profile: str,
    probes: tuple[str, ...] = (),
    confirmed: bool = False,
) -> Flash:
    """The flash of a node that has left the factory with these ``probes``, or those of its profile."""
    identity = pack_identity(dev_eui, join_eui, app_key, interval_s, profile=profile, confirmed=confirmed)
    return provisioned_flash(identity, _settings(probes) if probes else None)


def _settings(probes: tuple[str, ...]) -> dict[str, bytes]:
    """The files in which a node keeps which probes it has, as its own code writes them."""
    mask = sum(1 << PROBES.index(name) for name in probes)
    with TemporaryDirectory() as folder:
        Settings(folder, 3600).obey(b"\0" + settings.item(_PROBES, (mask,)), 0, Delivery(), mask)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def alone(profile: str, seed: int) -> World:
    """Of a single node of this profile somewhere in the small Jena."""
    jena = small_jena(seed, 1, air=profile == "air", traffic=profile == "traffic")
    return world_of(jena, 0 if profile == "tree" else 1)


def make_node(
    profile: str, clock: Clock, air: Air, firmware: Path, world: World, kind: str = "heltec_v3", **options: Any
) -> BoardSim:
    """A node of this ``profile`` on a board of ``kind``; options are those of ``BoardSim``."""
    if profile == "air":
        assert world.air is not None
        return AirNode(clock, air, firmware, world.air, kind, **options)
    if profile == "traffic":
        return TrafficNode(clock, air, firmware, world.vehicles, kind, probes=world.probes, **options)
    assert world.soil is not None
    return TreeNode(clock, air, firmware, world.soil, kind, **options)
