# SPDX-License-Identifier: EUPL-1.2
"""One load on a gateway: frames through three concentrators, as fast as they are stored or at an even pace.

What it costs is told from outside: by the gateway's log, and by what the kernel says of its process.
"""

import asyncio
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from simulators import process_costs
from simulators.load_concentrators import GwmpLoad, LoadConcentrator, StationLoad
from simulators.load_gateway import GatewayFailed, GatewayUnderLoad
from simulators.load_nodes import Frame

COPIES = 3
PATIENCE_S = 20.0
_SPREAD_S = 0.03  # between the first and the last copy of a frame
_WINDOW = 60  # uplinks under way at full load: 180 datagrams, which a socket's buffer holds

Progress = Callable[[str, float], None]


class Run(NamedTuple):
    """One load: ``latencies_s`` from the first datagram of an uplink to stored; lost ones are in ``sent`` only.

    ``disk_s``: how long a write of one page and its fsync took meanwhile, by itself, in another file beside;
    ``waited_s``: how long the gateway's threads were ready while others had the CPU.
    """

    name: str
    sent: int
    latencies_s: list[float]
    wall_s: float
    cpu_s: float
    downlinks: int
    disk_s: list[float]
    waited_s: float

    @property
    def lost(self) -> int:
        return self.sent - len(self.latencies_s)

    @property
    def per_s(self) -> float:
        return len(self.latencies_s) / self.wall_s

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu_s / max(1, len(self.latencies_s))


def percentile_ms(seconds: Sequence[float], percent: int) -> float:
    return 1000 * statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


class Load:
    """Frames on their way; ``stored`` is told by the gateway's log."""

    def __init__(self, concentrators: Sequence[LoadConcentrator], dice: random.Random) -> None:
        self._concentrators = concentrators
        self._dice = dice
        self._sent_at: dict[tuple[str, int], float] = {}
        self._room = asyncio.Semaphore(_WINDOW)
        self.latencies_s: list[float] = []
        self.stored_at = 0.0

    def stored(self, dev_eui: str, f_cnt: int, at: float) -> None:
        sent_at = self._sent_at.pop((dev_eui, f_cnt), None)
        if sent_at is not None:
            self.latencies_s.append(at - sent_at)
            self.stored_at = at
            self._room.release()

    async def full(self, frames: Sequence[Frame]) -> None:
        """As fast as they are stored, all copies at once."""
        for frame in frames:
            await self._take_room()
            self._begin(frame)
            for concentrator in self._concentrators:
                concentrator.send(frame.phy_payload, self._snr_db(), time.time())
        await self._settle()

    async def paced(self, frames: Sequence[Frame], per_s: float) -> None:
        """Evenly; the copies come one after another, as concentrators' lines are of different speed."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, frame in enumerate(frames):
            await asyncio.sleep(max(0.0, began + number / per_s - loop.time()))
            first, *others = self._dice.sample(list(self._concentrators), len(self._concentrators))
            at_s = time.time()
            self._begin(frame)
            first.send(frame.phy_payload, self._snr_db(), at_s)
            for other in others:
                loop.call_later(
                    self._dice.uniform(0.0, _SPREAD_S), other.send, frame.phy_payload, self._snr_db(), at_s
                )  # fmt: skip
        await self._settle()

    async def _take_room(self) -> None:
        """Wait for it; what is not stored in good time is lost, and its place is free again."""
        while True:
            try:
                await asyncio.wait_for(self._room.acquire(), 1.0)
                return
            except TimeoutError:
                too_old = time.monotonic() - PATIENCE_S
                for key in [key for key, sent_at in self._sent_at.items() if sent_at < too_old]:
                    del self._sent_at[key]
                    self._room.release()

    def _begin(self, frame: Frame) -> None:
        self._sent_at[frame.dev_eui, frame.f_cnt] = time.monotonic()

    def _snr_db(self) -> float:
        return round(self._dice.uniform(-3.0, 6.0), 1)

    async def _settle(self) -> None:
        ends = time.monotonic() + PATIENCE_S
        while self._sent_at and time.monotonic() < ends:
            await asyncio.sleep(0.01)


async def run_load(
    gateway: GatewayUnderLoad, backhaul: str, kind: str, frames: Sequence[Frame], per_s: float | None,
    dice: random.Random, progress: Progress,
) -> Run:  # fmt: skip
    concentrators: list[LoadConcentrator] = []
    for number in range(COPIES):
        if backhaul == "gwmp":
            concentrators.append(await GwmpLoad.open(f"0016c001ff10a{number:03x}", gateway.gwmp_port, _ignore))
        else:
            concentrators.append(await StationLoad.open(f"0016c001ff10b{number:03x}", gateway.lns_port, _ignore))
    load = Load(concentrators, dice)
    gateway.on_stored = load.stored
    name = f"{backhaul} {kind}"
    disk = _Disk(gateway.folder / "page")
    watching = asyncio.create_task(_watch(load, len(frames), lambda done: progress(name, done)))
    cpu_s, waited_s, began = process_costs.cpu_s(gateway.pid), process_costs.waited_s(gateway.pid), time.monotonic()
    try:
        await (load.full(frames) if per_s is None else load.paced(frames, per_s))
        wall_s = (load.stored_at or time.monotonic()) - began
        await asyncio.sleep(0.2)  # the last copies, and answers that are due
        cpu_s, waited_s = process_costs.cpu_s(gateway.pid) - cpu_s, process_costs.waited_s(gateway.pid) - waited_s
    finally:
        watching.cancel()
        disk.stop()
        for concentrator in concentrators:
            await concentrator.close()
    if not gateway.alive:
        raise GatewayFailed(gateway.last_words())
    downlinks = sum(each.downlinks for each in concentrators)
    return Run(name, len(frames), load.latencies_s, wall_s, cpu_s, downlinks, disk.took_s, waited_s)


def _ignore(_phy_payload: bytes) -> None:
    """The nodes of a load do not answer requests, so they hear some again."""


async def _watch(load: Load, count: int, progress: Callable[[float], None]) -> None:
    while True:
        progress(len(load.latencies_s) / count)
        await asyncio.sleep(0.25)


class _Disk:
    """Writes a page and waits until it is on the disk, ten times a second, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.took_s: list[float] = []
        self._path = path
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._probe)
        self._thread.start()

    def _probe(self) -> None:
        with self._path.open("wb", buffering=0) as file:
            while not self._ends.wait(0.1):
                began = time.monotonic()
                file.write(bytes(4096))
                os.fdatasync(file.fileno())
                self.took_s.append(time.monotonic() - began)

    def stop(self) -> None:
        self._ends.set()
        self._thread.join()
