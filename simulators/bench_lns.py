# SPDX-License-Identifier: EUPL-1.2
"""The network server under load: a real gateway process, real sockets, joined devices, encrypted frames, three copies.

First all devices join (in virtual time, or the duty cycle would make it last for days). Then, in real time and for each
backhaul: as fast as it takes them (``full``), and at the rate that an eight-channel concentrator can hear (``paced``).
``bound`` is the same work without a network server: the frames through bare cryptography, and one commit per batch.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.cmac import CMAC

from decoders.lorawan.gps_time import gps_from_unix
from simulators.bench_node import Metric
from simulators.firmware_build import REPOSITORY
from simulators.load_concentrators import GwmpLoad, LoadConcentrator, StationLoad
from simulators.load_gateway import GatewayFailed, GatewayUnderLoad, import_devices, write_config
from simulators.load_nodes import Frame, LoadNode

RESULTS = REPOSITORY / ".bench" / "lns.json"
COPIES = 3
DEVICES = 10_000
UPLINKS = 6_000
PACED_S = 15.0
PACED_PER_S = 130  # what eight channels can hear
_SPREAD_S = 0.03  # between the first and the last copy of a frame
_WINDOW = 60  # uplinks under way at full load: 180 datagrams, which a socket's buffer holds
_JOINERS = 8
_JOIN_STEP_S = 12.0  # of virtual time between two joins of one concentrator, for its duty cycle
_ASKS = 100  # every so many-th frame asks for an answer
_PACED_FRAMES = 10  # of a node: its link has a history
_BATCH = 100
_PATIENCE_S = 20.0

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


class Measured(NamedTuple):
    """``start_s`` and ``memory_mb`` with all devices joined; ``bound_ms`` and ``bound_per_s`` of the bare work.

    ``python_ms``: CPU time of a fixed piece of Python work, the mean of before and after each load. On a machine that
    is shared it tells how much of the CPU's speed was there.
    """

    devices: int
    start_s: float
    memory_mb: float
    runs: list[Run]
    python_ms: float
    bound_ms: float
    bound_per_s: float


def measure(
    devices: int, uplinks: int, paced_s: float, progress: Progress = lambda _what, _done: None, seed: int = 1
) -> Measured:
    """All of it; raises GatewayFailed."""
    with tempfile.TemporaryDirectory(prefix="stadtfunk-lns-") as folder:
        return asyncio.run(_measure(Path(folder), devices, uplinks, paced_s, progress, seed))


async def _measure(
    folder: Path, devices: int, uplinks: int, paced_s: float, progress: Progress, seed: int
) -> Measured:  # fmt: skip
    nodes = [LoadNode(number) for number in range(1, devices + 1)]
    write_config(folder, virtual_time=True)
    import_devices(folder, [node.csv_row() for node in nodes])
    gateway = GatewayUnderLoad(folder)
    try:
        await gateway.start()
        await _join(gateway, nodes, lambda done: progress("join", done))
    finally:
        await gateway.stop()
    write_config(folder, virtual_time=False)
    gateway = GatewayUnderLoad(folder)
    dice = random.Random(seed)
    dice.shuffle(nodes)
    runs, speeds = [], [_python_ms()]
    frames: list[Frame] = []
    try:
        await gateway.start()
        for backhaul in ("gwmp", "basics_station"):
            plan = itertools.cycle(nodes)
            frames = _frames(plan, uplinks)
            runs.append(await _load(gateway, backhaul, "full", frames, None, dice, progress))
            speeds.append(_python_ms())
            count = round(PACED_PER_S * paced_s)
            paced = _frames(itertools.cycle(nodes[: max(1, count // _PACED_FRAMES)]), count)
            runs.append(await _load(gateway, backhaul, "paced", paced, PACED_PER_S, dice, progress))
            speeds.append(_python_ms())
        memory_mb = gateway.memory_mb()
    finally:
        await gateway.stop(signal.SIGKILL)  # what is stored outlives it
    python_ms = statistics.mean(speeds)
    return Measured(devices, gateway.start_s, memory_mb, runs, python_ms, *bound(frames, folder / "bound.sqlite3"))


async def _join(gateway: GatewayUnderLoad, nodes: Sequence[LoadNode], progress: Callable[[float], None]) -> None:
    done = 0
    began_s = time.time() - _JOIN_STEP_S * (len(nodes) / _JOINERS + 10)

    async def joiner(number: int) -> None:
        nonlocal done
        accepts: asyncio.Queue[bytes] = asyncio.Queue()
        concentrator = await GwmpLoad.open(f"0016c001ff10c{number:03x}", gateway.gwmp_port, accepts.put_nowait)
        try:
            for place, node in enumerate(nodes[number::_JOINERS]):
                concentrator.send(node.join_request(), 5.0, began_s + _JOIN_STEP_S * place)
                node.joined(await asyncio.wait_for(accepts.get(), _PATIENCE_S))
                done += 1
                progress(done / len(nodes))
        except TimeoutError:
            raise GatewayFailed(f"no Join-Accept: {gateway.last_words()}") from None
        finally:
            await concentrator.close()

    await asyncio.gather(*(joiner(number) for number in range(_JOINERS)))


def _frames(nodes: Iterator[LoadNode], count: int) -> list[Frame]:
    gps_s = round(gps_from_unix(time.time()))
    return [node.uplink(gps_s, asks=number % _ASKS == 0) for number, node in zip(range(count), nodes, strict=False)]


class _Load:
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
                too_old = time.monotonic() - _PATIENCE_S
                for key in [key for key, sent_at in self._sent_at.items() if sent_at < too_old]:
                    del self._sent_at[key]
                    self._room.release()

    def _begin(self, frame: Frame) -> None:
        self._sent_at[frame.dev_eui, frame.f_cnt] = time.monotonic()

    def _snr_db(self) -> float:
        return round(self._dice.uniform(-3.0, 6.0), 1)

    async def _settle(self) -> None:
        ends = time.monotonic() + _PATIENCE_S
        while self._sent_at and time.monotonic() < ends:
            await asyncio.sleep(0.01)


async def _load(
    gateway: GatewayUnderLoad, backhaul: str, kind: str, frames: Sequence[Frame], per_s: float | None,
    dice: random.Random, progress: Progress,
) -> Run:  # fmt: skip
    concentrators: list[LoadConcentrator] = []
    for number in range(COPIES):
        if backhaul == "gwmp":
            concentrators.append(await GwmpLoad.open(f"0016c001ff10a{number:03x}", gateway.gwmp_port, _ignore))
        else:
            concentrators.append(await StationLoad.open(f"0016c001ff10b{number:03x}", gateway.lns_port, _ignore))
    load = _Load(concentrators, dice)
    gateway.on_stored = load.stored
    name = f"{backhaul} {kind}"
    disk = _Disk(gateway.folder / "page")
    watching = asyncio.create_task(_watch(load, len(frames), lambda done: progress(name, done)))
    cpu_s, waited_s, began = gateway.cpu_s(), gateway.waited_s(), time.monotonic()
    try:
        await (load.full(frames) if per_s is None else load.paced(frames, per_s))
        wall_s = (load.stored_at or time.monotonic()) - began
        await asyncio.sleep(0.2)  # the last copies, and answers that are due
        cpu_s, waited_s = gateway.cpu_s() - cpu_s, gateway.waited_s() - waited_s
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


async def _watch(load: _Load, count: int, progress: Callable[[float], None]) -> None:
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


def _python_ms() -> float:
    """The best of five: a neighbour may be in the way of some."""

    def piece() -> float:
        began = time.process_time()
        for number in range(300):
            json.loads(json.dumps({"a": [1, 2, 3, {"b": number}], "c": "x" * 50}))
            sorted(range(200), key=lambda value: -value)
        return 1000 * (time.process_time() - began)

    return min(piece() for _ in range(5))


def bound(frames: Sequence[Frame], database: Path) -> tuple[float, float]:
    """(CPU ms per frame with its copies, frames per s): MICs, decryption and one commit per batch, nothing else."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE uplinks (dev_eui TEXT, f_cnt INTEGER, payload BLOB)")
    cpu_s, began = time.process_time(), time.monotonic()
    for at in range(0, len(frames), _BATCH):
        rows = []
        for frame in frames[at : at + _BATCH]:
            body = frame.phy_payload[:-4]
            block = bytes(5) + body[1:5] + frame.f_cnt.to_bytes(4, "little") + b"\0"
            for _ in range(COPIES):
                mic = CMAC(AES(frame.nwk_s_key))
                mic.update(b"\x49" + block[1:] + bytes([0, len(body)]) + body)
                mic.finalize()
            stream = Cipher(AES(frame.app_s_key), CTR(b"\x01" + block[1:] + b"\0\x01")).encryptor()
            rows.append((frame.dev_eui, frame.f_cnt, stream.update(body[9:])))
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO uplinks VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
    cpu_s, wall_s = time.process_time() - cpu_s, time.monotonic() - began
    connection.close()
    return 1000 * cpu_s / len(frames), len(frames) / wall_s


def metrics(measured: Measured) -> list[Metric]:
    """Rows for ``.bench/lns.json``. Baselines: of CPU time and rate the bound, of a delay one page and its fsync."""
    rows = []
    for run in measured.runs:
        full = run.name.endswith("full")
        bound_ms = round(measured.bound_ms, 3)
        if full:
            rows.append(Metric(f"{run.name}: unique uplinks stored", round(run.per_s), "1/s",
                               round(measured.bound_per_s), 400, at_least=True))  # fmt: skip
        else:
            for percent, goal in ((50, None), (99, 50)):
                latency_ms, disk_ms = (round(percentile_ms(each, percent), 1) for each in (run.latencies_s, run.disk_s))
                rows.append(Metric(f"{run.name}: datagram to stored, p{percent}", latency_ms, "ms", disk_ms, goal))
        rows.append(Metric(f"{run.name}: CPU per uplink with 3 copies", round(run.cpu_ms, 3), "ms", bound_ms, 1.5))
        rows.append(Metric(f"{run.name}: CPU to the bound", round(run.cpu_ms / measured.bound_ms, 1), "1", 1, None))
        waited_ms = round(1000 * run.waited_s / run.sent, 2)
        rows.append(Metric(f"{run.name}: waiting for a CPU that others had", waited_ms, "ms", None, None))
        rows.append(Metric(f"{run.name}: uplinks lost", run.lost, "1", None, 0))
        rows.append(Metric(f"{run.name}: downlinks", run.downlinks, "1", None, None))
    rows.append(Metric("CPU of a fixed piece of Python work", round(measured.python_ms, 1), "ms", None, None))
    rows.append(Metric(f"start with {measured.devices} devices", round(measured.start_s, 2), "s", None, 3))
    rows.append(Metric(f"most memory with {measured.devices} devices", round(measured.memory_mb), "MiB", None, 150))
    return rows
