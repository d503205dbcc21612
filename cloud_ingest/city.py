# SPDX-License-Identifier: EUPL-1.2
"""The city as its registry has it: reference areas, trees, other stations, and the nodes that stand there.

Lengths of time in seconds, coordinates longitude before latitude in degrees (WGS 84).
"""

from dataclasses import dataclass

from cloud_ingest.whereabouts import NEARBY_KM, TOWN_KM, Place, improbable

# rule quantity -> does a dry soil read lower (moisture) or higher (tension)?
DRY_IS_LOW = {"soil_moisture": True, "soil_water_tension": False}
DEFAULT_DEBOUNCE_S = 7200
DEFAULT_DEPTH_CM = 20
STATION_KINDS = ("air", "traffic")
DEFAULT_SPEEDS_KMH = (30, 50)  # slow_below_kmh and fast_above_kmh of a node that nobody has set


@dataclass(frozen=True)
class Name:
    """One name in both languages."""

    de: str
    en: str

    def as_json(self) -> dict[str, str]:
        return {"de": self.de, "en": self.en}


@dataclass(frozen=True)
class Rule:
    """When an area is dry: beyond ``act``, until it is beyond ``clear`` again; both for ``debounce_s``."""

    quantity: str
    act: float
    clear: float
    debounce_s: int = DEFAULT_DEBOUNCE_S

    @property
    def dry_is_low(self) -> bool:
        return DRY_IS_LOW[self.quantity]


@dataclass(frozen=True)
class Area:
    """A reference area; ``polygon`` is one closed ring."""

    id: str
    name: Name
    polygon: tuple[tuple[float, float], ...]
    rule: Rule
    litres_per_tree: int

    @property
    def center(self) -> tuple[float, float]:
        """The mean of the corners: good enough to point at."""
        corners = self.polygon[:-1]
        return (sum(lon for lon, _ in corners) / len(corners), sum(lat for _, lat in corners) / len(corners))


@dataclass(frozen=True)
class Tree:
    id: str
    name: Name
    latin: str
    planted: int
    area: str
    lon: float
    lat: float


@dataclass(frozen=True)
class Station:
    """A place where something else than a tree's soil is measured; ``kind`` is one of STATION_KINDS.

    ``speeds_kmh``: below the first a vehicle counts as slow, above the second as fast; as its node is set.
    """

    id: str
    kind: str
    name: Name
    lon: float
    lat: float
    speeds_kmh: tuple[int, int] = DEFAULT_SPEEDS_KMH


@dataclass(frozen=True)
class Node:
    """A sensor node at a site (tree or station), from ``since`` (Unix s) on.

    ``depth_cm`` is how deep its soil probe sits; ``instruments``: the names of those it carries (instruments.py).
    """

    dev_eui: str
    site: str
    interval_s: int
    depth_cm: int = DEFAULT_DEPTH_CM
    since: int = 0
    instruments: tuple[str, ...] = ()


@dataclass(frozen=True)
class City:
    """``nodes`` by DevEUI, each where it stands now; ``places`` by DevEUI, all where it ever stood, oldest first."""

    name: Name
    center: tuple[float, float]
    zoom: float
    areas: dict[str, Area]
    trees: dict[str, Tree]
    stations: dict[str, Station]
    nodes: dict[str, Node]
    places: dict[str, tuple[Node, ...]]

    def trees_of(self, area_id: str) -> list[Tree]:
        return [tree for tree in self.trees.values() if tree.area == area_id]

    def node_at(self, site_id: str) -> Node | None:
        return next((node for node in self.nodes.values() if node.site == site_id), None)

    def sites(self) -> list[Place]:
        """All that stands somewhere."""
        town = (TOWN_KM, "'center'", self.center)
        corners = [(f"a corner of area {area.id!r}", corner) for area in self.areas.values() for corner in area.polygon]
        stations = [(f"station {one.id!r}", (one.lon, one.lat)) for one in self.stations.values()]
        return [Place(name, point, *town) for name, point in corners + stations] + [
            Place(
                f"tree {one.id!r}", (one.lon, one.lat), NEARBY_KM, f"its area {one.area!r}", self.areas[one.area].center
            )
            for one in self.trees.values()
        ]

    def doubts(self) -> list[str]:
        """What is improbable and yet may be so, a line each."""
        return list(dict.fromkeys(improbable(self.sites())))

    def was_registered(self, dev_eui: str, at: int) -> bool:
        """Did a registered node stand somewhere at the time ``at``?"""
        return at >= self.places[dev_eui][0].since
