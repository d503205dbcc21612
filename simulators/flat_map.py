# SPDX-License-Identifier: EUPL-1.2
"""A city is small enough to be flat: metres and degrees (WGS 84), and outlines. Longitude before latitude."""

import math

Lon = float
Lat = float
_EARTH_RADIUS_M = 6_371_008.8  # IUGG mean radius


def metres(origin: tuple[Lon, Lat], point: tuple[Lon, Lat]) -> tuple[float, float]:
    """Metres east and north of ``origin``, equirectangular: right to a few centimetres across a city."""
    scale = math.radians(1) * _EARTH_RADIUS_M
    return (point[0] - origin[0]) * scale * math.cos(math.radians(origin[1])), (point[1] - origin[1]) * scale


def moved(point: tuple[Lon, Lat], east_m: float, north_m: float) -> tuple[Lon, Lat]:
    """The point so many metres east and north of ``point``."""
    scale = math.radians(1) * _EARTH_RADIUS_M
    return point[0] + east_m / (scale * math.cos(math.radians(point[1]))), point[1] + north_m / scale


def outline(points: list[tuple[Lon, Lat]], margin_m: float = 25.0) -> list[list[float]]:
    """A closed ring, counter-clockwise, around the points: the convex hull of an octagon about each."""
    turns = [math.pi * (n + 0.5) / 4 for n in range(8)]
    corners = sorted(
        moved(point, margin_m * math.cos(turn), margin_m * math.sin(turn)) for point in points for turn in turns
    )

    def half(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
        chain: list[tuple[float, float]] = []
        for point in ordered:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        return chain[:-1]

    ring = half(corners) + half(corners[::-1])
    return [[round(lon, 6), round(lat, 6)] for lon, lat in [*ring, ring[0]]]


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Positive where a-b-c turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
