# SPDX-License-Identifier: EUPL-1.2
"""What comes back to a 24 GHz traffic radar at the roadside: geometry, echo strength, hiding, fading, chance.

The radar stands beside a straight road and looks along it. An echo falls with the fourth power of the distance (radar
equation) and fades from frame to frame (taken as normal in dB). Radar cross sections: a car has 10 dBsm, for which
radar makers state their ranges ("RCS = 10"); the others are set beside it by size (assumption).
"""

import heapq
import math
import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from simulators.vehicles import Direction, Kind, Vehicle

VIEW_MM = 110_000  # nobody is looked at farther away
MOUNT_MM = 3_000  # how high the radar hangs (assumption: a lamp post)
_RCS_DBSM = {
    Kind.CAR: 10.0,
    Kind.VAN: 13.0,
    Kind.TRUCK: 20.0,
    Kind.BUS: 20.0,
    Kind.MOTORCYCLE: 4.0,
    Kind.BICYCLE: 0.0,
    Kind.PEDESTRIAN: -5.0,
}
_FADING_DB = 4.0
_TALL = (Kind.VAN, Kind.TRUCK, Kind.BUS)
_HIDDEN_BEHIND_TALL, _HIDDEN_BEHIND_CAR = 0.85, 0.3  # how often who stands in the shadow is not seen (assumption)
_HALF_WIDTH_MM = 1_000
_LONG_MM, _SECOND_ECHO, _SECOND_ECHO_LESS_DB = 7_000, 0.3, 6.0  # long vehicles shine at both ends (assumption)
_AHEAD_US = 600_000_000
_QUIET_US = 60_000_000


class Echo(NamedTuple):
    """``kmh``: radial speed, as the Doppler shift shows it; ``degrees``: off the road's direction."""

    metres: float
    degrees: float
    kmh: float
    receding: bool
    snr_db: float
    key: int  # whose it is, for the simulation only


class _Here(NamedTuple):
    enters_us: float
    number: int
    leaves_us: float
    vehicle: Vehicle


class RadarView:
    """``vehicles`` in order of ``time_us`` (within 10 minutes). ``gain_db``: SNR of 0 dBsm at 1 m. ``seen_degrees``:
    half of the opening angle. ``dropout``: how often an echo is lost for no reason.
    """

    def __init__(
        self,
        vehicles: Iterable[Vehicle],
        *,
        gain_db: float,
        seen_degrees: float,
        dropout: float = 0.05,
        seed: int = 0,
    ) -> None:
        self._vehicles: Iterator[Vehicle] = iter(vehicles)
        self._next = next(self._vehicles, None)
        self._gain_db = gain_db
        self._seen_degrees = seen_degrees
        self._dropout = dropout
        self._random = random.Random(seed)
        self._coming: list[_Here] = []
        self._here: list[_Here] = []
        self._numbered = 0

    def _advance(self, now_us: int) -> None:
        while self._next is not None and self._next.time_us < now_us + _AHEAD_US:
            heapq.heappush(self._coming, self._bounds(self._next))
            self._next = next(self._vehicles, None)
        while self._coming and self._coming[0].enters_us <= now_us:
            self._here.append(heapq.heappop(self._coming))
        self._here = [here for here in self._here if here.leaves_us > now_us]

    def quiet_us(self, now_us: int) -> int:
        """For how long nobody can be in view; at most a minute."""
        self._advance(now_us)
        if self._here:
            return 0
        return round(min([here.enters_us - now_us for here in self._coming[:1]] + [_QUIET_US]))

    def _bounds(self, vehicle: Vehicle) -> _Here:
        """When it may be in view, generously."""
        view_us = (VIEW_MM + vehicle.length_mm) / vehicle.mm_per_us
        if vehicle.stop is not None:
            view_us += vehicle.stop.waits_us + 60_000_000
        before, after = (view_us, 0.0) if vehicle.direction is Direction.APPROACHING else (0.0, view_us)
        if vehicle.stop is not None:
            before = after = view_us
        self._numbered += 1
        return _Here(vehicle.time_us - before, self._numbered, vehicle.time_us + after, vehicle)

    def echoes(self, now_us: int) -> list[Echo]:
        """Who is seen now, strongest first; whoever stands still is not."""
        self._advance(now_us)
        placed = []
        for here in self._here:
            front_mm, kmh = here.vehicle.place(now_us)
            approaching = here.vehicle.direction is Direction.APPROACHING
            end_mm = front_mm if approaching else front_mm - here.vehicle.length_mm  # the end that faces the radar
            if 1_000 < end_mm < VIEW_MM:
                placed.append((end_mm, kmh, here))
        echoes = []
        chance = self._random.random
        for end_mm, kmh, here in placed:
            length_mm = here.vehicle.length_mm
            lost = chance() < self._dropout or chance() < self._shadow(end_mm, here.vehicle, placed)
            depth_mm = self._random.uniform(0.0, min(length_mm / 3, 2_000))
            echo = self._echo(here, end_mm + depth_mm, kmh)
            if not lost:
                echoes.append(echo)
            if length_mm >= _LONG_MM and chance() < _SECOND_ECHO:  # from its other end, too
                far = self._echo(here, end_mm + length_mm, kmh)
                echoes.append(far._replace(key=-far.key, snr_db=far.snr_db - _SECOND_ECHO_LESS_DB))
        echoes = [echo for echo in echoes if abs(echo.degrees) <= self._seen_degrees and echo.kmh >= 0.5]
        echoes.sort(key=lambda echo: -echo.snr_db)
        return echoes

    def _echo(self, here: _Here, along_mm: float, kmh: float) -> Echo:
        vehicle = here.vehicle
        distance_mm = math.hypot(along_mm, vehicle.lane_mm, MOUNT_MM)
        degrees = math.degrees(math.atan2(vehicle.lane_mm, along_mm))
        snr_db = self._gain_db + _RCS_DBSM[vehicle.kind] - 40 * math.log10(distance_mm / 1_000)
        snr_db += self._random.gauss(0.0, _FADING_DB)
        receding = vehicle.direction is Direction.RECEDING
        return Echo(distance_mm / 1_000, degrees, kmh * along_mm / distance_mm, receding, snr_db, here.number)

    @staticmethod
    def _shadow(end_mm: float, vehicle: Vehicle, placed: list[tuple[float, float, _Here]]) -> float:
        """How likely somebody nearer to the radar hides it."""
        likely = 0.0
        own = vehicle.lane_mm / end_mm
        for other_mm, _, other in placed:
            if other_mm + other.vehicle.length_mm / 2 < end_mm:
                wide = _HALF_WIDTH_MM / other_mm
                if abs(other.vehicle.lane_mm / other_mm - own) < wide:
                    likely = max(likely, _HIDDEN_BEHIND_TALL if other.vehicle.kind in _TALL else _HIDDEN_BEHIND_CAR)
        return likely
