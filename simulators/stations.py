# SPDX-License-Identifier: EUPL-1.2
"""The small Jena's stations of air quality and traffic: where they stand, what carries them, what passes there."""

from typing import NamedTuple

from simulators.air_quality import AirQuality, AirTruth, Place
from simulators.traffic import Road, Traffic
from simulators.weather import Weather

Lon = float
Lat = float


class Station(NamedTuple):
    """``kind`` is air or traffic, the profile of its node; ``instruments`` as the cloud's registry names them.

    ``probes``: what the firmware calls them, if it is not what the profile has anyway.

    An air station breathes what its ``road`` and the stoves around give off, a traffic station counts on its road.
    """

    id: str
    kind: str
    de: str
    en: str
    lon: Lon
    lat: Lat
    instruments: tuple[str, ...]
    road: Road
    stoves: float = 0.0
    probes: tuple[str, ...] = ()


_QUIET = Road(motor_per_day=300, bicycles_per_day=200, kmh=28.0, spread_kmh=4.0)
STATIONS = (
    Station(
        "L-01",
        "air",
        "Löbdergraben, Straßenrand",
        "Löbdergraben, roadside",
        11.58788,
        50.92716,
        ("SPS30", "SCD41", "BME280"),
        Road(motor_per_day=9_000, kmh=36.0),
        stoves=0.5,
    ),
    Station(
        "V-01",
        "traffic",
        "Fischergasse",
        "Fischergasse",
        11.58969,
        50.92594,
        ("pulses",),
        Road(motor_per_day=700, bicycles_per_day=300, kmh=34.0),
        probes=("tubes",),
    ),
    Station(
        "L-02",
        "air",
        "Westviertel, Wohnstraße",
        "Western quarter, residential street",
        11.57702,
        50.92523,
        ("SPS30", "SCD41", "BME280"),
        _QUIET,
        stoves=1.2,
    ),
    Station(
        "V-02",
        "traffic",
        "Kahlaische Straße",
        "Kahlaische Strasse",
        11.58611,
        50.91974,
        ("pulses",),
        Road(motor_per_day=1_000, bicycles_per_day=200, kmh=46.0, spread_kmh=7.0),
        probes=("tubes",),
    ),
)


def chosen(air: int, traffic: int) -> tuple[Station, ...]:
    """So many of each kind, in the order of the table; raises ValueError for more than there are."""
    found = []
    for kind, count in (("air", air), ("traffic", traffic)):
        of_kind = [station for station in STATIONS if station.kind == kind]
        if not 0 <= count <= len(of_kind):
            raise ValueError(f"{kind} must be 0 to {len(of_kind)}, not {count}")
        found += of_kind[:count]
    return tuple(station for station in STATIONS if station in found)


class Surroundings:
    """What really is at a station."""

    def __init__(self, station: Station, seed: int, weather: Weather) -> None:
        number = STATIONS.index(station)
        self.station = station
        self._air = AirQuality(seed * 1_000 + number, weather, Place(station.road, station.stoves))
        self.traffic = Traffic(seed * 1_000 + number, weather.start_unix_s, station.road, weather)

    def air(self, now_us: int) -> AirTruth:
        return self._air.air(now_us)
