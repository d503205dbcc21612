# SPDX-License-Identifier: EUPL-1.2
"""The gateways of a city: one or more concentrators that speak the same protocol, as one to whoever runs them."""

from collections.abc import Callable
from dataclasses import fields
from math import cos, pi, sin

from simulators.air import Air
from simulators.basics_station import BasicsStation
from simulators.clock import Clock
from simulators.concentrator import Concentrator
from simulators.concentrator_radio import Counters

GWMP, BASICS_STATION = "gwmp", "basics_station"
_AROUND_M = 1500.0


class Concentrators:
    """``number`` of them: one at the origin, the others on a circle around it. EUIs count up from ``gateway_eui``."""

    def __init__(
        self,
        clock: Clock,
        air: Air,
        gateway_eui: str,
        address: tuple[str, int],
        *,
        backhaul: str,
        number: int,
        epoch_unix_s: int,
        latitude_longitude: tuple[float, float],
        stat_interval_s: int,
        lockstep: bool,
        on_uplink: Callable[[int, bytes], None],
    ) -> None:
        self._all: list[Concentrator | BasicsStation] = []
        for n in range(number):
            angle = 2 * pi * n / max(1, number - 1)
            position = (_AROUND_M * cos(angle), _AROUND_M * sin(angle)) if n else (0.0, 0.0)
            eui = f"{int(gateway_eui, 16) + n:016x}"
            if backhaul == GWMP:
                self._all.append(
                    Concentrator(
                        clock, air, eui, address, position, epoch_unix_s=epoch_unix_s, lockstep=lockstep,
                        latitude_longitude=latitude_longitude, stat_interval_s=stat_interval_s, on_uplink=on_uplink,
                    )
                )  # fmt: skip
            else:
                self._all.append(
                    BasicsStation(
                        clock, air, eui, address, position, epoch_unix_s=epoch_unix_s, lockstep=lockstep, seed=n,
                        on_uplink=on_uplink,
                    )
                )  # fmt: skip

    @property
    def counters(self) -> Counters:
        """The sums over all: an uplink that two have heard counts twice."""
        total = Counters()
        for concentrator in self._all:
            for item in fields(Counters):
                mine, theirs = getattr(total, item.name), getattr(concentrator.counters, item.name)
                setattr(total, item.name, mine + theirs)
        return total

    def poll(self) -> None:
        """Take what the network server has sent of its own accord; for callers in real time."""
        for concentrator in self._all:
            concentrator.poll()

    def close(self) -> None:
        for concentrator in self._all:
            concentrator.close()
