# SPDX-License-Identifier: EUPL-1.2
"""Runs the small Jena: every node with the real firmware, the air between them and one concentrator, in one clock.

The run is repeatable: the same seed against the same gateway gives the same frames. ``frames`` (a path) receives a
JSON line for every frame sent, and another one when the gateway has acknowledged an uplink.
"""

import json
import random
import time
from collections.abc import Callable
from typing import Any, TextIO

from simulators.air import Air, Position, Transmission
from simulators.city import City
from simulators.clock import Clock
from simulators.concentrators import GWMP, Concentrators
from simulators.firmware_build import REPOSITORY, build_rom
from simulators.kernel import Kernel
from simulators.nodes import make_node, provisioned, world_of

_STAT_INTERVAL_S = 600
_LONGEST_NAP_S = 0.1
_REPORT_S = 0.5
_DATA_UP = (0b010, 0b100)  # MType: unconfirmed and confirmed data up


class CityRun:
    """``speed``: virtual seconds per real second, None for all it can; ``report`` gets progress twice a second."""

    def __init__(
        self,
        city: City,
        gateway_eui: str,
        address: tuple[str, int],
        *,
        interval_s: int = 3600,
        speed: float | None = None,
        lockstep: bool = False,
        backhaul: str = GWMP,
        concentrators: int = 1,
        frames: TextIO | None = None,
        report: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.city = city
        self.clock = Clock()
        self._speed = speed
        self._frames = frames
        self._report = report
        self._started = time.monotonic()
        self._reported = 0.0
        self._joined: set[Position] = set()
        self._uplinks = 0
        air = Air(self.clock, city.seed)
        air.attach(self)
        self.concentrators = Concentrators(
            self.clock,
            air,
            gateway_eui,
            address,
            backhaul=backhaul,
            number=concentrators,
            epoch_unix_s=city.start_unix_s,
            latitude_longitude=(city.gateway[1], city.gateway[0]),
            stat_interval_s=_STAT_INTERVAL_S,
            lockstep=lockstep,
            on_uplink=self._delivered,
        )
        firmware = build_rom(REPOSITORY / ".build" / "firmware")
        self.nodes = []
        for index, device in enumerate(city.devices()):
            dice = random.Random(f"node {city.seed} {index}")
            key, world = bytes.fromhex(device.app_key), world_of(city, index)
            node = make_node(
                device.profile,
                self.clock,
                air,
                firmware,
                world,
                index=index,
                position=city.position(index),
                flash=provisioned(device.dev_eui, device.join_eui, key, interval_s, device.profile, world.probes),
                seed=dice.getrandbits(32),
                rtc_drift_ppm=dice.randint(-20, 20),
            )
            self.nodes.append(node)
            # The crew plants one node after the other.
            self.clock.at(dice.randrange(60_000_000), node.bench.power_on)
        self._kernel = Kernel(self.clock, [node.bench for node in self.nodes], pace=self._pace)

    def __enter__(self) -> "CityRun":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._kernel.close()
        self.concentrators.close()

    def run_until(self, time_us: int) -> None:
        """Let the city live until ``time_us`` after its start."""
        self._kernel.run_until(time_us)
        self._tell()

    def progress(self) -> dict[str, Any]:
        counters = self.concentrators.counters
        return {
            "now": self.city.start_unix_s + self.clock.now_us // 1_000_000,
            "nodes": len(self.nodes),
            "joined": len(self._joined),
            "sent": self._uplinks,
            "uplinks": counters.delivered,
            "not_acknowledged": counters.received - counters.delivered,
            "not_received": counters.heard - counters.received,
            "downlinks": counters.sent,
            "complaints": sum(len(node.complaints()) for node in self.nodes),
        }

    def heard(self, transmission: Transmission) -> None:
        """Called by the air for every transmission."""
        up = not transmission.iq_inverted
        if up:
            self._uplinks += 1
            if transmission.phy_payload[0] >> 5 in _DATA_UP:
                self._joined.add(transmission.position)
        self._log(
            "up" if up else "down",
            transmission.start_us,
            transmission.phy_payload,
            frequency_hz=transmission.frequency_hz,
            sf=transmission.sf,
            end_us=transmission.end_us,
        )

    def _delivered(self, time_us: int, phy_payload: bytes) -> None:
        self._log("delivered", time_us, phy_payload)

    def _log(self, event: str, time_us: int, phy_payload: bytes, **more: int) -> None:
        if self._frames is not None:
            line = {"event": event, "time_us": time_us, "phy_payload": phy_payload.hex(), **more}
            self._frames.write(json.dumps(line) + "\n")
            self._frames.flush()

    def _pace(self, time_us: int) -> None:
        """Wait until real time has caught up with ``time_us`` at the chosen speed."""
        if time.monotonic() - self._reported >= _REPORT_S:
            self._tell()
        if self._speed is None:
            return
        while (ahead_s := time_us / 1e6 / self._speed - (time.monotonic() - self._started)) > 0:
            time.sleep(min(ahead_s, _LONGEST_NAP_S))
            self.concentrators.poll()
            if time.monotonic() - self._reported >= _REPORT_S:
                self._tell()

    def _tell(self) -> None:
        self._reported = time.monotonic()
        if self._report is not None:
            self._report(self.progress())
