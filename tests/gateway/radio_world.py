# SPDX-License-Identifier: EUPL-1.2
"""The gateway with simulated concentrators of both kinds, in virtual time: frames on the air, real sockets below."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gateway.command import open_database
from gateway.config import load
from gateway.service import Gateway
from simulators.air import STEADY, Air, Position, Transmission
from simulators.basics_station import BasicsStation
from simulators.clock import Clock
from simulators.concentrator import Concentrator
from simulators.lorawan_frame import lorawan_frame
from tests.gateway.nodes import Node, write_config
from tests.gateway.running import GatewayThread

EPOCH = 1_780_000_000
GWMP, STATION = "gwmp", "basics_station"


class Heard(NamedTuple):
    """A downlink on the air: when it began, on which frequency, how."""

    start_us: int
    frequency_hz: int
    sf: int
    phy_payload: bytes


class World:
    """One gateway; ``concentrator`` adds one of a kind. The nodes stand 1 km to the east of the origin."""

    def __init__(self, folder: Path, nodes: int, stack: ExitStack, **sections: Any) -> None:
        self.clock = Clock()
        self.air = Air(self.clock, 0, STEADY)
        self.nodes = [Node(number + 1) for number in range(nodes)]
        settings = {"basics_station": {"enabled": True, "port": 0}} | sections
        config = load(write_config(folder, **settings))
        self.config = config
        self.store = open_database(config)
        stack.callback(self.store.close)
        with self.store.transaction() as ledger:
            for node in self.nodes:
                ledger.put_device(node.device())
        self.gateway: Gateway = stack.enter_context(GatewayThread(config, self.store))
        self._stack = stack
        self.downlinks: list[Heard] = []
        self.air.attach(self)

    def concentrator(self, kind: str, number: int = 1, **options: Any) -> Any:
        """A concentrator of that kind, by default at the origin."""
        eui = f"0016c001ff10b{number:03x}"
        port = self.gateway.gwmp_port if kind == GWMP else self.gateway.lns_port
        made = (Concentrator if kind == GWMP else BasicsStation)(
            self.clock, self.air, eui, ("127.0.0.1", port), epoch_unix_s=EPOCH, **{"lockstep": True} | options
        )
        self._stack.callback(made.close)
        return made

    def heard(self, transmission: Transmission) -> None:
        t = transmission
        if t.iq_inverted:
            self.downlinks.append(Heard(t.start_us, t.frequency_hz, t.sf, t.phy_payload))

    def send(
        self, phy_payload: bytes, *, frequency_hz: int = 868_100_000, sf: int = 9, at_us: int | None = None,
        power_dbm: float = 14.0,
    ) -> int:  # fmt: skip
        """Have a node send; returns the end of the frame."""
        start = self.clock.now_us if at_us is None else at_us
        transmission = lorawan_frame(
            start, frequency_hz, sf, phy_payload, Position(1000.0, 0.0), power_dbm=power_dbm, down=False
        )
        self.clock.at(start, lambda: self.air.transmit(transmission))
        return transmission.end_us

    def wait(self, seconds: float) -> list[Heard]:
        """Let time pass; returns the downlinks meanwhile."""
        known = len(self.downlinks)
        self.clock.run_until(self.clock.now_us + round(seconds * 1_000_000))
        return self.downlinks[known:]

    def join(self, node: Node, **radio: Any) -> Heard:
        """Join, and let the bands recover."""
        self.send(node.join_request(), **radio)
        (accept,) = self.wait(200)
        node.joined(accept.phy_payload)
        return accept


@contextmanager
def world(nodes: int = 1, **sections: Any) -> Iterator[World]:
    """A world that ends."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield World(Path(folder), nodes, stack, **sections)
