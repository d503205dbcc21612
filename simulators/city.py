# SPDX-License-Identifier: EUPL-1.2
"""The small Jena: four reference areas, their street trees, stations, a node at each, one gateway, all from a seed.

Simulation time 0 is Monday, 2026-07-06 00:00 UTC, in a dry spell. The areas dry out one after the other: first the
sealed pits on the Löbdergraben, in the morning of the second day, then Westbahnhofstraße after a good three days, the
other two not in the first week. An area's threshold is what watering practice uses (REW 0.40 of its own soil, fine
again at 0.50), so it differs with the soil, and one level for the whole city would be wrong everywhere.

DevEUIs and the JoinEUI lie in the locally administered block ``02 4a 45 4e 41 xx xx xx`` (02 = locally administered by
IEEE 802's U/L bit, then "JENA" in ASCII): no maker owns them and no real device can carry them. Keys are derived from
the seed and protect nothing.
"""

import csv
import functools
import hashlib
import io
import random
from typing import Any, NamedTuple

from simulators.clock import DAY_US, HOUR_US
from simulators.flat_map import Lat, Lon, metres, moved, outline
from simulators.retention import SOILS, SoilClass
from simulators.soil import PROBE_M, TreePit
from simulators.stations import STATIONS, Station, Surroundings, chosen
from simulators.weather import Weather

START_UNIX_S = 1_783_296_000  # 2026-07-06 00:00:00 UTC
JOIN_EUI = "024a454e41000000"
ACT_SHARE, CLEAR_SHARE, FULL_SHARE = 0.40, 0.50, 0.90  # REW: dry, fine again, what a watering aims at
ROOT_DEPTH_M, PIT_AREA_M2, WATERING_EFFICIENCY = 0.5, 1.0, 0.7

_STATION_EUIS = 0x800000  # of the last three bytes; trees' nodes count from 1

GATEWAY: tuple[Lon, Lat] = (11.58472, 50.92889)  # the roof of the JenTower
CENTER: tuple[Lon, Lat] = (11.586, 50.927)


class Area(NamedTuple):
    """A reference area. ``dry_after_us`` sets the start so that its first tree, left dry, is at the threshold then."""

    id: str
    de: str
    en: str
    soil: SoilClass
    demand: float
    sun: float
    start_share: float | None = None
    dry_after_us: int | None = None

    def rule(self) -> dict[str, object]:
        return {
            "quantity": "soil_moisture",
            "act": round(self.soil.at_share(ACT_SHARE), 1),
            "clear": round(self.soil.at_share(CLEAR_SHARE), 1),
        }

    def litres_per_tree(self) -> int:
        """L = (theta_target - theta_now) Z A 1000 / efficiency at the threshold, in steps of 25, 50 to 150."""
        missing = (FULL_SHARE - ACT_SHARE) * self.soil.available / 100
        litres = missing * ROOT_DEPTH_M * PIT_AREA_M2 * 1000 / WATERING_EFFICIENCY
        return min(max(25 * round(litres / 25), 50), 150)


class Tree(NamedTuple):
    id: str
    de: str
    en: str
    latin: str
    planted: int
    area: int  # index into AREAS
    lon: Lon
    lat: Lat


class Device(NamedTuple):
    """One line of the gateway's devices file."""

    dev_eui: str
    join_eui: str
    app_key: str
    profile: str
    name: str


class Truth(NamedTuple):
    """What the probes at a tree see: %, Cel, Cel, kPa. Of frozen soil's water, what is liquid."""

    soil_moisture: float
    soil_temperature: float
    surface_temperature: float
    soil_water_tension: float


AREAS = (
    Area("RA-01", "Löbdergraben", "Löbdergraben", SOILS["Sl3"], 2.4, 0.9, dry_after_us=30 * HOUR_US),
    Area(
        "RA-02",
        "Westbahnhofstraße",
        "Westbahnhofstrasse",
        SOILS["Ls3"],
        1.4,
        0.7,
        dry_after_us=3 * DAY_US + 8 * HOUR_US,
    ),
    Area("RA-03", "Karl-Liebknecht-Straße", "Karl-Liebknecht-Strasse", SOILS["Slu"], 1.0, 0.6, start_share=0.85),
    Area("RA-04", "Rasenmühleninsel", "Rasenmühlen island", SOILS["Ut3"], 0.9, 0.35, start_share=0.95),
)

# Interleaved, so that the first four nodes already stand for all four areas.
TREES = (
    Tree("J-0001", "Winterlinde", "Small-leaved lime", "Tilia cordata", 2024, 0, 11.58812, 50.92742),
    Tree("J-0002", "Feldahorn", "Field maple", "Acer campestre", 2023, 1, 11.57935, 50.92448),
    Tree("J-0003", "Silberlinde", "Silver lime", "Tilia tomentosa", 2022, 2, 11.60251, 50.92861),
    Tree("J-0004", "Schwarzerle", "Common alder", "Alnus glutinosa", 2023, 3, 11.58873, 50.91792),
    Tree("J-0005", "Gleditschie", "Honey locust", "Gleditsia triacanthos", 2025, 0, 11.58829, 50.92689),
    Tree("J-0006", "Hopfenbuche", "Hop hornbeam", "Ostrya carpinifolia", 2024, 1, 11.57861, 50.92415),
    Tree("J-0007", "Spitzahorn", "Norway maple", "Acer platanoides", 2022, 2, 11.60342, 50.92887),
    Tree("J-0008", "Stieleiche", "Pedunculate oak", "Quercus robur", 2024, 3, 11.58921, 50.91734),
    Tree("J-0009", "Blumenesche", "Manna ash", "Fraxinus ornus", 2025, 0, 11.58834, 50.92631),
    Tree("J-0010", "Hainbuche", "Hornbeam", "Carpinus betulus", 2023, 1, 11.57784, 50.92383),
    Tree("J-0011", "Amberbaum", "Sweetgum", "Liquidambar styraciflua", 2024, 2, 11.60436, 50.92911),
    Tree("J-0012", "Flatterulme", "European white elm", "Ulmus laevis", 2022, 3, 11.58838, 50.91681),
)


class City:
    """The city's trees, stations, devices and soil.

    Tree ``i`` carries device ``i`` as far as there are ``nodes`` for trees; the stations' devices follow these.
    """

    def __init__(self, seed: int, nodes: int, stations: tuple[Station, ...] = ()) -> None:
        self.seed = seed
        self.start_unix_s = START_UNIX_S
        self.gateway = GATEWAY
        self.weather = _weather(seed)
        self.trees = TREES + tuple(_more_tree(n) for n in range(len(TREES), nodes))
        self.nodes = nodes
        self.stations = stations
        self._start_shares = _start_shares(seed)
        self._pits: dict[int, TreePit] = {}

    def registry(self, interval_s: int = 3600) -> dict[str, Any]:
        """What the city's side knows of all this: the contents of ``city.json``."""
        registry: dict[str, Any] = {
            "name": {"de": "Jena", "en": "Jena"},
            "center": list(CENTER),
            "zoom": 13,
            "reference_areas": [
                {
                    "id": area.id,
                    "name": {"de": area.de, "en": area.en},
                    "polygon": outline([(tree.lon, tree.lat) for tree in self.trees if AREAS[tree.area] is area]),
                    "rule": area.rule(),
                    "litres_per_tree": area.litres_per_tree(),
                }
                for area in AREAS
            ],
            "trees": [
                {
                    "id": tree.id,
                    "name": {"de": tree.de, "en": tree.en},
                    "latin": tree.latin,
                    "planted": tree.planted,
                    "area": AREAS[tree.area].id,
                    "lon": tree.lon,
                    "lat": tree.lat,
                }
                for tree in self.trees
            ],
            "nodes": [
                {"dev_eui": device.dev_eui, "tree": tree.id, "interval_s": interval_s}
                for device, tree in zip(self.devices()[: self.nodes], self.trees, strict=False)
            ],
        }
        if self.stations:
            registry["stations"] = [
                {"id": one.id, "kind": one.kind, "name": {"de": one.de, "en": one.en}, "lon": one.lon, "lat": one.lat}
                for one in self.stations
            ]
            registry["nodes"] += [
                {
                    "dev_eui": device.dev_eui,
                    "station": one.id,
                    "interval_s": interval_s,
                    "instruments": list(one.instruments),
                }
                for device, one in zip(self.devices()[self.nodes :], self.stations, strict=True)
            ]
        return registry

    def devices(self) -> list[Device]:
        """The nodes as the gateway provisions them: those of the trees, then those of the stations."""
        wanted = [(index + 1, "tree", self.trees[index].id) for index in range(self.nodes)]
        wanted += [(_STATION_EUIS + STATIONS.index(one), one.kind, one.id) for one in self.stations]
        devices = []
        for number, profile, name in wanted:
            dev_eui = f"024a454e41{number:06x}"
            app_key = hashlib.sha256(f"small jena {self.seed} {dev_eui}".encode()).hexdigest()[:32]
            devices.append(Device(dev_eui, JOIN_EUI, app_key, profile, name))
        return devices

    def devices_csv(self) -> str:
        """The same as the gateway's ``devices.csv``."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Device._fields)
        writer.writerows(self.devices())
        return text.getvalue()

    def position(self, index: int) -> tuple[float, float]:
        """Metres east and north of the gateway, of a device."""
        place = self.trees[index] if index < self.nodes else self.stations[index - self.nodes]
        return metres(self.gateway, (place.lon, place.lat))

    def surroundings(self, station: Station) -> Surroundings:
        """What is at a station."""
        return Surroundings(station, self.seed, self.weather)

    def truth(self, tree_index: int, now_us: int, depth_m: float = PROBE_M) -> Truth:
        """What is at this tree and depth, ``now_us`` after the start of the simulation."""
        pit = self._pit(tree_index)
        return Truth(
            pit.seen_percent(now_us, depth_m),
            pit.temperature_celsius(now_us, depth_m),
            pit.surface_celsius(now_us),
            pit.tension_kpa(now_us, depth_m),
        )

    def water(self, tree_index: int, litres: float, now_us: int) -> None:
        """A crew, or a citizen, waters this tree."""
        self._pit(tree_index).water(litres, now_us)

    def _pit(self, tree_index: int) -> TreePit:
        if tree_index not in self._pits:
            area = self.trees[tree_index].area
            # No two pits are alike; the first tree of an area has the driest.
            dice = random.Random(f"pit {self.seed} {tree_index}")
            first = tree_index < len(AREAS)
            share = self._start_shares[area] + (0.0 if first else dice.uniform(0.0, 0.01))
            demand = AREAS[area].demand * (1.0 if first else dice.uniform(0.96, 1.0))
            self._pits[tree_index] = _tree_pit(AREAS[area], self.weather, share, demand)
        return self._pits[tree_index]


def small_jena(seed: int, nodes: int = 12, air: int = 0, traffic: int = 0) -> City:
    """The demo's city: 12 trees, or as many as there are nodes for them; so many stations of each kind."""
    if nodes < 1 or nodes >= _STATION_EUIS:
        raise ValueError(f"nodes must be 1 to {_STATION_EUIS - 1}, not {nodes}")
    return City(seed, nodes, chosen(air, traffic))


def _tree_pit(area: Area, weather: Weather, share: float, demand: float) -> TreePit:
    return TreePit(
        area.soil,
        weather,
        depth_mm=1000 * ROOT_DEPTH_M,
        area_m2=PIT_AREA_M2,
        demand=demand,
        share=share,
        sun=area.sun,
    )


def _weather(seed: int) -> Weather:
    return Weather(seed, START_UNIX_S, CENTER[1], CENTER[0])


@functools.cache
def _start_shares(seed: int) -> tuple[float, ...]:
    return tuple(_start_share(area, _weather(seed)) for area in AREAS)


def _start_share(area: Area, weather: Weather) -> float:
    """The REW from which the area, unwatered, reaches its threshold when ``dry_after_us`` says, in this weather."""
    if area.start_share is not None:
        return area.start_share
    assert area.dry_after_us is not None
    low, high = ACT_SHARE, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        dry = _tree_pit(area, weather, middle, area.demand).share(area.dry_after_us, PROBE_M) < ACT_SHARE
        low, high = (middle, high) if dry else (low, middle)
    return (low + high) / 2


def _more_tree(index: int) -> Tree:
    """Trees beyond the twelve: the same kinds, scattered around the three of their area."""
    like = TREES[index % len(TREES)]
    dice = random.Random(f"tree {index}")
    lon, lat = moved((like.lon, like.lat), dice.uniform(-120, 120), dice.uniform(-120, 120))
    return like._replace(
        id=f"J-{index + 1:04d}", planted=dice.randint(2022, 2025), lon=round(lon, 6), lat=round(lat, 6)
    )
