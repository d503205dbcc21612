# SPDX-License-Identifier: EUPL-1.2
"""Store and forward at the edge, measured in one run beside what others do: how fast, how much, and what is lost.

Everything runs as the process it is in the field. Ours and its bounds take turns on the disk, best of some rounds each,
so that a machine with other work to do is unfair to nobody.
"""

import json
import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from time import sleep
from typing import Any, NamedTuple

from simulators import edge_anchors, kills, process_costs
from simulators.bench_drain import drain
from simulators.edge_anchors import SAFE, AnchorMissing, Loss, Rates, Thingsboard
from simulators.firmware_build import REPOSITORY
from simulators.load_gateway import GatewayUnderLoad
from simulators.metric import Metric
from simulators.town import GATEWAY_EUI

RESULTS = REPOSITORY / ".bench" / "edge.json"
_ANCHORS = REPOSITORY / ".build" / "edge"
MONTH = 2_592_000  # 30 days at one message a second
_ROUNDS = 3
_TURNS = 10  # of the quick ones
_BATCHES = (1, 10, 100)
_WAYS = {
    "accept": (),
    "accept_packed": ("--packed", "--direct"),
    "accept_packed_each": ("--packed",),
    "bare": ("--bare",),
}
_GOALS = {("accept", 100): (10_000, None), ("accept_packed", 100): (None, 0.8)}  # a second, and of bare SQLite
_CARD_BYTES, _CARD_ERASES, _CARD_AMPLIFICATION = 32e9, 1000, 4  # a common 32 GB card of TLC flash; pessimistic
_YEAR_S = 365 * 86_400

Tell = Callable[[str], None]


class Sizes(NamedTuple):
    """How much of everything; ``CI`` is for a test that the bench works."""

    records: int = 20_000
    paced: int = 1300  # at 130 a second
    month_sample: int = 100_000
    drain: int = 20_000
    crashes: int = 5
    kills: int = 200
    bridge: int = 5000
    bridge_safe: int = 2000
    power_cuts: int = 10_000


CI = Sizes(600, 130, 3000, 600, 1, 3, 300, 100, 20)


def fill(folder: Path, *options: str) -> dict[str, Any]:
    """Run gateway.outbox_load in ``folder`` and return its report."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(_load(folder, *options), capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _load(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "gateway.outbox_load", str(folder), *options]


def accepting(folder: Path, sizes: Sizes) -> Iterator[Metric]:
    """How fast the outbox takes records, how that compares with bare SQLite, and what it writes for it.

    ``accept_batch_N`` begins with readings, as uplinks do, and each is told by itself, through the event loop and the
    writer's thread; ``accept_packed_each_batch_N`` begins with packed records. ``accept_packed_batch_N`` is like bare
    SQLite but for the outbox: packed records, a batch a transaction, in the caller's thread.
    """
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for number in range(_TURNS):
        for batch in _BATCHES:
            count = str(max(batch, sizes.records * batch // 100))
            for way, options in _WAYS.items():
                place = folder / f"{number} {batch} {way}"
                done = fill(place, "--records", count, "--batch", str(batch), *options)
                runs.setdefault((way, batch), []).append(done)
                shutil.rmtree(place)
    ours, bare = ({batch: runs[way, batch] for batch in _BATCHES} for way in ("accept", "bare"))
    for batch in _BATCHES:
        bound = max(run["per_s"] for run in bare[batch])
        for way in ("accept", "accept_packed", "accept_packed_each"):
            best, aims = max(run["per_s"] for run in runs[way, batch]), _GOALS.get((way, batch), (None, None))
            yield Metric(f"{way}_batch_{batch}", round(best), "1/s", round(bound), aims[0], at_least=True)
            yield Metric(
                f"{way}_batch_{batch}_of_bare_sqlite", round(best / bound, 3), "1", None, aims[1], at_least=True
            )
    cpu_us, bare_us = (min(run["cpu_us"] for run in done[100]) for done in (ours, bare))
    yield Metric("accept_batch_100_cpu", round(cpu_us), "us", round(bare_us), None)
    for batch in _BATCHES:
        per_record = statistics.median(run["written_bytes"] / run["records"] for run in ours[batch])
        plain = statistics.median(run["written_bytes"] / run["records"] for run in bare[batch])
        yield Metric(f"written_batch_{batch}", round(per_record), "B", round(plain), None)
        yield Metric(f"card_years_batch_{batch}_at_1_per_s", round(_card_years(per_record), 1), "a", None, None)
    as_shipped = ["--batch", "1", "--rate", "130", "--window-ms", "20"]
    paced = fill(folder / "paced", "--records", str(sizes.paced), *as_shipped)
    full = min(ours[100], key=lambda run: float(run["p99_ms"]))
    yield Metric("written_130_per_s", round(paced["written_bytes"] / paced["records"]), "B", None, None)
    yield Metric("accept_130_per_s_p50", round(paced["p50_ms"], 2), "ms", None, None)
    yield Metric("accept_130_per_s_p99", round(paced["p99_ms"], 2), "ms", None, 50)
    yield Metric("accept_batch_100_p50", round(full["p50_ms"], 2), "ms", None, None)
    yield Metric("accept_batch_100_p99", round(full["p99_ms"], 2), "ms", None, 50)


def _card_years(bytes_per_record: float) -> float:
    return _CARD_BYTES * _CARD_ERASES / _CARD_AMPLIFICATION / bytes_per_record / _YEAR_S


async def backlog(folder: Path, sizes: Sizes) -> list[Metric]:
    """What a month takes on the disk, and how a gateway starts that holds as much as was measured."""
    half = fill(folder, "--records", str(sizes.month_sample // 2))
    whole = fill(folder, "--records", str(sizes.month_sample // 2))
    growth = (whole["file_bytes"] - half["file_bytes"]) / (sizes.month_sample // 2)
    first = half["file_bytes"] / (sizes.month_sample // 2)
    (folder / "gateway.toml").write_text(
        f'[gateway]\neui = "{GATEWAY_EUI}"\n[gwmp]\nport = 0\n[page]\nport = 0\n[mqtt]\nport = 9  # nobody\n'
    )
    gateway = GatewayUnderLoad(folder)
    try:
        await gateway.start()
        start_s, memory_mb = gateway.start_s, process_costs.memory_mb(gateway.pid)
    finally:
        await gateway.stop()
    return [
        Metric("month_1_per_s", round(growth * MONTH / 1e6), "MB", None, 1000),
        Metric("month_growth_is_linear", round(growth / first, 3), "1", 1.0, 1.1),
        Metric(f"start_with_{sizes.month_sample}", round(start_s, 2), "s", None, 3),
        Metric(f"memory_with_{sizes.month_sample}", round(memory_mb, 1), "MiB", None, 80),
    ]


def crashes(folder: Path, count: int, seed: int = 1) -> Loss:
    """The outbox's process killed while it accepts as fast as it can; what it had accepted is looked for."""
    dice, accepted, lost = Random(seed), 0, 0
    for number in range(count):
        place = folder / str(number)
        place.mkdir(parents=True)
        said = _accepted_until_killed(place, dice.uniform(0.2, 1.0))
        there = set(fill(place, "--list")["numbers"])
        accepted += len(said)
        lost += len(said - there)
    return Loss(count, accepted, lost)


def _accepted_until_killed(folder: Path, after_s: float) -> set[int]:
    child = subprocess.Popen(_load(folder, "--records", "30000", "--report"), stdout=subprocess.PIPE, text=True)
    said: set[int] = set()
    begun = threading.Event()

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            words = line.split()
            if line.endswith("\n") and words[0] == "accepted":
                said.update(range(int(words[1]), int(words[2]) + 1))
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait(120)
    sleep(after_s)
    child.kill()
    child.wait()
    reader.join()
    return said


def _losses(name: str, loss: Loss, goal: int | None) -> Iterator[Metric]:
    yield Metric(f"{name}_accepted", loss.accepted, "1", None, None)
    yield Metric(f"{name}_lost", loss.lost, "1", None, goal)


def others(folder: Path, sizes: Sizes, tell: Tell) -> Iterator[Metric]:
    """ThingsBoard Gateway and mosquitto; what cannot be had here is told and left out."""
    try:
        tell("thingsboard-gateway")
        thingsboard = Thingsboard(_made(_ANCHORS))
        best = [thingsboard.rates(folder / f"tb {number}", sizes.records) for number in range(_ROUNDS)]
        yield Metric("thingsboard_accept", round(max(rate.accepted for rate in best)), "1/s", None, None)
        yield Metric("thingsboard_stored", round(max(rate.stored for rate in best)), "1/s", None, None)
        yield from _losses("thingsboard_kills", thingsboard.loss(folder / "tb kills", sizes.crashes, 2000.0), None)
    except AnchorMissing as missing:
        tell(f"left out: {missing}")
    try:
        for name, count, settings in (("", sizes.bridge, ()), ("_safe", sizes.bridge_safe, SAFE)):
            tell(f"mosquitto bridge{name}")
            rates: Rates = edge_anchors.bridge_rates(folder / f"rates{name}", count, *settings)
            yield Metric(f"mosquitto{name}_accept", round(rates.accepted), "1/s", None, None)
            yield Metric(f"mosquitto{name}_passed_on", round(rates.stored), "1/s", None, None)
            yield from _losses(
                f"mosquitto{name}_kill", edge_anchors.bridge_loss(folder / f"loss{name}", count, *settings), None
            )
    except AnchorMissing as missing:
        tell(f"left out: {missing}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def killed(folder: Path, sizes: Sizes, tell: Tell) -> Iterator[Metric]:
    """SIGKILLs of the whole chain."""

    def progress(done: int) -> None:
        if done % 20 < 2:
            tell(f"{done} of {sizes.kills} kills")

    done = kills.run(folder, sizes.kills, progress=progress)
    yield Metric("chain_kills", done.kills.total(), "1", None, sizes.kills, at_least=True)
    yield Metric("chain_kills_acknowledged", done.verdict.acknowledged, "1", None, None)
    yield Metric("chain_kills_lost", done.verdict.lost + done.verdict.readings_missing, "1", None, 0)
    yield Metric("chain_kills_doubled", done.verdict.doubled + done.verdict.unsent, "1", None, 0)


def power_cuts(count: int, tell: Tell) -> Iterator[Metric]:
    """The writing side over a disk that loses what is not synced: tests/gateway/power_cuts.py, its own verdict."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.gateway.power_cuts", str(count)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "ModuleNotFoundError" in done.stderr:
        tell(f"left out: {done.stderr.strip().splitlines()[-1]}")
        return
    yield Metric("power_cuts", count, "1", None, None)
    yield Metric("power_cuts_that_lost_something", int(done.returncode != 0), "1", None, 0)


async def measure(folder: Path, sizes: Sizes, tell: Tell) -> list[Metric]:
    """Rows for ``.bench/edge.json``; ``folder`` is emptied first and should be on the disk to be measured."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows: list[Metric] = []
    tell("accepting")
    rows += accepting(folder / "accept", sizes)
    tell("a month")
    rows += await backlog(_made(folder / "month"), sizes)
    tell("killed while accepting")
    rows += _losses("outbox_kills", crashes(folder / "crashes", sizes.crashes), 0)
    rows += others(folder / "others", sizes, tell)
    tell(f"{sizes.power_cuts} power cuts")
    rows += power_cuts(sizes.power_cuts, tell)
    tell("draining")
    rows += drain(folder / "drain", sizes.drain)
    rows += killed(folder / "kills", sizes, tell)
    shutil.rmtree(folder, ignore_errors=True)
    return rows
