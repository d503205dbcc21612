# SPDX-License-Identifier: EUPL-1.2
"""Whether the places of the registry can be where it says that they are: a digit too many puts a tree into the sea."""

from collections.abc import Iterable, Iterator
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

_EARTH_KM = 6371
CITY_KM = 100  # beyond it no place is of the same city
TOWN_KM = 30  # hardly any is beyond it
NEARBY_KM = 5  # whose trees are watered together stand within it

Point = tuple[float, float]  # longitude, latitude; degrees


class Place(NamedTuple):
    """``name`` as the registry calls it, such as "tree 'J-0001'", and within how far of what it should be."""

    name: str
    point: Point
    within_km: float
    of: str
    of_point: Point


def distance_km(one: Point, other: Point) -> float:
    """Along the surface of a sphere; the haversine formula."""
    (lon, lat), (other_lon, other_lat) = ((radians(degrees) for degrees in point) for point in (one, other))
    half = sin((other_lat - lat) / 2) ** 2 + cos(lat) * cos(other_lat) * sin((other_lon - lon) / 2) ** 2
    return 2 * _EARTH_KM * asin(sqrt(min(half, 1.0)))


def impossible(center: Point, places: Iterable[Place]) -> str | None:
    """The first place that is in no city around ``center``, in words."""
    for place in places:
        km = distance_km(center, place.point)
        if km > CITY_KM:
            lon, lat = place.point
            swapped = abs(lon) <= 90 and distance_km(center, (lat, lon)) <= CITY_KM
            why = "longitude and latitude are swapped" if swapped else "one of the two is wrong"
            return f"{place.name} is {km:,.0f} km from 'center'; {why}"
    return None


def improbable(places: Iterable[Place]) -> Iterator[str]:
    """What is suspiciously far from what it belongs to, in words."""
    for place in places:
        km = distance_km(place.of_point, place.point)
        if km > place.within_km:
            yield f"{place.name} is {km:,.0f} km from {place.of}; is that right?"
