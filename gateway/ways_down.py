# SPDX-License-Identifier: EUPL-1.2
"""The concentrators as ways down: what each speaks, what time it is there, what airtime it has left. No I/O.

``now_us`` is our monotonic clock; each concentrator has a line of its own, that of its counter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from gateway.airtime_budget import AirtimeBudget
from gateway.concentrator_clock import ConcentratorClock
from gateway.radio import Reception
from gateway.scheduler import Candidate

# sx1302_hal, packet_forwarder/src/jitqueue.c: a frame is refused that starts within 42.5 ms
NEEDED_US = 60_000


class Protocol(Enum):
    """What a concentrator speaks, and so how it confirms a downlink: when it takes it (GWMP), or when it sends it."""

    GWMP = "gwmp"
    BASICS_STATION = "basics_station"


@dataclass
class WayDown:
    """What is known about one concentrator."""

    protocol: Protocol
    clock: ConcentratorClock
    budget: AirtimeBudget
    confirms: bool  # it has confirmed something, or its protocol demands it


class WaysDown:
    """All of them. ``held``: virtual time, which stands still until answered."""

    def __init__(self, *, power_dbm: int, held: bool) -> None:
        self._power_dbm = power_dbm
        self._held = held
        self._ways: dict[str, WayDown] = {}

    def __getitem__(self, concentrator: str) -> WayDown:
        return self._ways[concentrator]

    def __contains__(self, concentrator: str) -> bool:
        return concentrator in self._ways

    def __len__(self) -> int:
        return len(self._ways)

    def attach(self, concentrator: str, protocol: Protocol) -> None:
        """It is there. Its budget and its clock outlast a new connection, unless it speaks another protocol now."""
        known = self._ways.get(concentrator)
        if known is None or known.protocol is not protocol:
            station = protocol is Protocol.BASICS_STATION
            self._ways[concentrator] = WayDown(
                protocol,
                ConcentratorClock(xtime=station, held=self._held),
                AirtimeBudget(gap_us=20_000 if station else 45_000, blocking=station),
                confirms=station,
            )

    def forget(self, concentrator: str) -> None:
        """It was never one of ours."""
        self._ways.pop(concentrator, None)

    def heard(self, reception: Reception, gps_ms: int | None, now_us: int) -> int:
        """A frame has arrived, ours or not; ``gps_ms`` is the concentrator's own. Returns its end on its line."""
        way = self._ways[reception.concentrator]
        ended_us = way.clock.place(reception.tmst_us, gps_ms, now_us)
        way.budget.forget(way.clock.at(now_us))
        return ended_us

    def budgets(self) -> dict[str, AirtimeBudget]:
        """Of all, by concentrator."""
        return {concentrator: way.budget for concentrator, way in self._ways.items()}

    def used_us(self, concentrator: str, now_us: int) -> dict[int, int]:
        """Airtime of the last hour by the lower edge of the sub-band, Hz."""
        way = self._ways.get(concentrator)
        return {} if way is None else way.budget.used_us(way.clock.at(now_us))

    def candidates(self, heard: Mapping[str, tuple[Reception, int]], asap: bool, now_us: int) -> list[Candidate]:
        """Those of the concentrators that have ``heard`` an uplink, with its end on their lines; ``asap``: class C."""
        candidates = []
        for concentrator, (reception, ended_us) in heard.items():
            way = self._ways.get(concentrator)
            if way is not None:
                earliest_us = way.clock.at(now_us) + NEEDED_US
                candidates.append(Candidate(reception, earliest_us if asap else ended_us, earliest_us, self._power_dbm))
        return candidates
