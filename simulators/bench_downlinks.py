# SPDX-License-Identifier: EUPL-1.2
"""When downlinks go on the air: every window at every data rate over both backhauls, to the microsecond.

A real gateway process, a simulated concentrator of either kind in virtual time, and nodes that demand an answer. TS001
"Receive windows", RP002 "EU863-870 Receive Windows": RX1 on the uplink's channel and data rate one second after its
end (a Join-Accept: five), RX2 on 869.525 MHz at DR0 a second later.
"""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from decoders.lorawan.region import EU868
from simulators.air import STEADY, Air, Position, Transmission
from simulators.basics_station import BasicsStation
from simulators.clock import Clock
from simulators.concentrator import Concentrator
from simulators.firmware_build import REPOSITORY
from simulators.load_gateway import GatewayFailed, GatewayUnderLoad, import_devices, write_config
from simulators.load_nodes import LoadNode
from simulators.lorawan_frame import lorawan_frame
from simulators.metric import Metric

RESULTS = REPOSITORY / ".bench" / "downlinks.json"
WINDOWS = {"RX1": 1_000_000, "RX2": 2_000_000, "Join-Accept": 5_000_000}  # us after the end of the uplink
BACKHAULS = ("gwmp", "basics_station")
_EPOCH_UNIX_S = 1_780_000_000
_RX1_HZ = 868_300_000
_S = 1_000_000
_COUNTER_AT_START = 0xFFFF_0000  # it wraps at once
_GPS_S = 1_464_000_000

Progress = Callable[[float], None]


class Cell(NamedTuple):
    """One downlink: where it should have gone and went, how long after the uplink's end it began, in us."""

    backhaul: str
    window: str
    data_rate: int
    after_us: int
    frequency_hz: int
    sf: int

    @property
    def wanted(self) -> tuple[int, int, int]:
        """(after_us, frequency_hz, sf) by the specification."""
        frequency_hz, rate = EU868.rx2 if self.window == "RX2" else (_RX1_HZ, self.data_rate)
        return WINDOWS[self.window], frequency_hz, EU868.data_rates[rate].sf


class _World:
    """The air between two nodes, a kilometre away, and one concentrator."""

    def __init__(self, gateway: GatewayUnderLoad, backhaul: str, number: int) -> None:
        self.clock = Clock()
        self._air = Air(self.clock, 0, STEADY)
        self._heard: list[Transmission] = []
        self._air.attach(self)
        kind: Any = Concentrator if backhaul == "gwmp" else BasicsStation
        port = gateway.gwmp_port if backhaul == "gwmp" else gateway.lns_port
        self.concentrator = kind(
            self.clock, self._air, f"0016c001ff10d{number:03x}", ("127.0.0.1", port), epoch_unix_s=_EPOCH_UNIX_S,
            counter_at_start=_COUNTER_AT_START, lockstep=True,
        )  # fmt: skip

    def heard(self, transmission: Transmission) -> None:
        if transmission.iq_inverted:
            self._heard.append(transmission)

    def send(self, phy_payload: bytes, data_rate: int, frequency_hz: int, after_us: int = 0) -> int:
        """Have a node send; returns the end of the frame."""
        rate = EU868.data_rates[data_rate]
        start_us = self.clock.now_us + after_us
        transmission = lorawan_frame(
            start_us,
            frequency_hz,
            rate.sf,
            phy_payload,
            Position(1000.0, 0.0),
            bandwidth_hz=rate.bandwidth_hz,
            down=False,
        )
        self.clock.at(start_us, lambda: self._air.transmit(transmission))
        return transmission.end_us

    def wait(self, seconds: int = 300) -> list[Transmission]:
        """Let time pass, so long that the bands recover; returns the downlinks meanwhile."""
        known = len(self._heard)
        self.clock.run_for(seconds * _S)
        return self._heard[known:]


def measure(progress: Progress = lambda _done: None) -> list[Cell]:
    """All cells; raises GatewayFailed."""
    with tempfile.TemporaryDirectory(prefix="stadtfunk-downlinks-") as folder:
        return asyncio.run(_measure(Path(folder), progress))


async def _measure(folder: Path, progress: Progress) -> list[Cell]:
    nodes = [LoadNode(number) for number in range(1, 5)]
    write_config(folder, virtual_time=True)
    import_devices(folder, [node.csv_row() for node in nodes])
    gateway = GatewayUnderLoad(folder)
    try:
        await gateway.start()
        cells: list[Cell] = []
        for number, backhaul in enumerate(BACKHAULS):
            pair = nodes[2 * number], nodes[2 * number + 1]
            told = lambda done, number=number: progress((number + done) / len(BACKHAULS))  # noqa: E731
            cells += await asyncio.to_thread(_cells, gateway, backhaul, number, pair, told)
        return cells
    finally:
        await gateway.stop()


def _cells(
    gateway: GatewayUnderLoad, backhaul: str, number: int, pair: tuple[LoadNode, LoadNode], progress: Progress
) -> list[Cell]:  # fmt: skip
    world = _World(gateway, backhaul, number)
    first, second = pair
    rates = range(6)
    cells = []
    try:
        for node in pair:
            world.send(node.join_request(), 5, _RX1_HZ)
            node.joined(_last(world, 1).phy_payload)
        for data_rate in rates:
            end_us = world.send(first.uplink(_GPS_S, asks=True).phy_payload, data_rate, _RX1_HZ)
            cells.append(_cell(backhaul, "RX1", data_rate, _last(world, 1), end_us))
            # RX1 of the second is taken by the answer to the first, which must be over when RX2 begins
            world.send(first.uplink(_GPS_S, asks=True).phy_payload, data_rate, _RX1_HZ)
            later_us = 300_000 if data_rate == 0 else 20_000
            end_us = world.send(second.uplink(_GPS_S, asks=True).phy_payload, data_rate, 868_500_000, later_us)
            cells.append(_cell(backhaul, "RX2", data_rate, _last(world, 2), end_us))
            end_us = world.send(second.join_request(), data_rate, _RX1_HZ)
            accept = _last(world, 1)
            second.joined(accept.phy_payload)
            cells.append(_cell(backhaul, "Join-Accept", data_rate, accept, end_us))
            progress((data_rate + 1) / len(rates))
    finally:
        world.concentrator.close()
    return cells


def _last(world: _World, count: int) -> Transmission:
    downlinks = world.wait()
    if len(downlinks) != count:
        raise GatewayFailed(f"{len(downlinks)} downlinks in place of {count}")
    return downlinks[-1]


def _cell(backhaul: str, window: str, data_rate: int, downlink: Transmission, end_us: int) -> Cell:
    return Cell(backhaul, window, data_rate, downlink.start_us - end_us, downlink.frequency_hz, downlink.sf)


def metrics(cells: list[Cell]) -> list[Metric]:
    """How far each downlink was off; the goal is exactly 0, on its channel and data rate."""
    rows = []
    for cell in cells:
        after_us, *channel = cell.wanted
        off_us = abs(cell.after_us - after_us) if [cell.frequency_hz, cell.sf] == channel else 10 * _S
        rows.append(Metric(f"{cell.backhaul} {cell.window} DR{cell.data_rate}: off by", off_us, "us", None, 0))
    return rows


def lines(cells: list[Cell]) -> list[str]:
    """The table for people."""
    table = [
        f"{'backhaul':<15}{'window':<13}{'uplink':<8}{'begins after its end':>21}{'frequency':>13}  SF    as specified"
    ]
    for cell in cells:
        holds = "yes" if (cell.after_us, cell.frequency_hz, cell.sf) == cell.wanted else "NO"
        where = f"{cell.frequency_hz / 1e6:>9.3f} MHz  SF{cell.sf:<4}"
        table.append(
            f"{cell.backhaul:<15}{cell.window:<13}DR{cell.data_rate:<6}{cell.after_us:>18,} us{where}{holds}"
        )  # fmt: skip
    return table
