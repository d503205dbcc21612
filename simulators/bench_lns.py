# SPDX-License-Identifier: EUPL-1.2
"""The network server under load: a real gateway process, real sockets, joined devices, encrypted frames, three copies.

First all devices join (in virtual time, or the duty cycle would make it last for days). Then, in real time and for each
backhaul: as fast as it takes them (``full``), and at the rate that an eight-channel concentrator can hear (``paced``).
``bound`` is the same work without a network server: the frames through bare cryptography, and one commit per batch.
"""

import asyncio
import itertools
import json
import random
import signal
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.cmac import CMAC

from decoders.lorawan.gps_time import gps_from_unix
from simulators import process_costs
from simulators.firmware_build import REPOSITORY
from simulators.load_concentrators import GwmpLoad
from simulators.load_gateway import GatewayFailed, GatewayUnderLoad, import_devices, write_config
from simulators.load_nodes import Frame, LoadNode
from simulators.load_run import COPIES, PATIENCE_S, Progress, Run, percentile_ms, run_load
from simulators.metric import Metric

RESULTS = REPOSITORY / ".bench" / "lns.json"
DEVICES = 10_000
UPLINKS = 6_000
PACED_S = 15.0
PACED_PER_S = 130  # what eight channels can hear
_JOINERS = 8
_JOIN_STEP_S = 12.0  # of virtual time between two joins of one concentrator, for its duty cycle
_ASKS = 100  # every so many-th frame asks for an answer
_PACED_FRAMES = 10  # of a node: its link has a history
_BATCH = 100


class Measured(NamedTuple):
    """``start_s`` and ``memory_mb`` with all devices joined; ``bound_ms`` and ``bound_per_s`` of the bare work.

    ``held``: what the outbox held when the gateway started again after it was killed at the end.

    ``python_ms``: CPU time of a fixed piece of Python work, the mean of before and after each load. On a machine that
    is shared it tells how much of the CPU's speed was there.
    """

    devices: int
    start_s: float
    memory_mb: float
    runs: list[Run]
    held: int
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
            runs.append(await run_load(gateway, backhaul, "full", frames, None, dice, progress))
            speeds.append(_python_ms())
            count = round(PACED_PER_S * paced_s)
            paced = _frames(itertools.cycle(nodes[: max(1, count // _PACED_FRAMES)]), count)
            runs.append(await run_load(gateway, backhaul, "paced", paced, PACED_PER_S, dice, progress))
            speeds.append(_python_ms())
        memory_mb = process_costs.memory_mb(gateway.pid)
    finally:
        await gateway.stop(signal.SIGKILL)
    after = GatewayUnderLoad(folder)
    try:
        await after.start()
    finally:
        await after.stop()
    python_ms = statistics.mean(speeds)
    return Measured(
        devices, gateway.start_s, memory_mb, runs, after.outbox, python_ms, *bound(frames, folder / "bound.sqlite3")
    )  # fmt: skip


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
                node.joined(await asyncio.wait_for(accepts.get(), PATIENCE_S))
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
    stored = sum(len(run.latencies_s) for run in measured.runs)
    rows.append(Metric("uplinks still there after a kill -9", measured.held, "1", None, stored, at_least=True))
    rows.append(Metric("CPU of a fixed piece of Python work", round(measured.python_ms, 1), "ms", None, None))
    rows.append(Metric(f"start with {measured.devices} devices", round(measured.start_s, 2), "s", None, 3))
    rows.append(Metric(f"most memory with {measured.devices} devices", round(measured.memory_mb), "MiB", None, 150))
    return rows
