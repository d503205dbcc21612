# SPDX-License-Identifier: EUPL-1.2
"""What the node costs: bytes of code, heap, bus transfers, charge, and how fast the simulation of it runs.

``measure()`` gives rows for ``.bench/node.json``. Baselines are version 0.1 on 2026-11-22; goals come from the
project's budgets. Heap figures are a 32-bit board's: half of what the 64-bit MicroPython counts.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from simulators.bench import Wiring
from simulators.clock import Clock
from simulators.firmware_build import REPOSITORY, build, compile_module
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.node_run import HEAP_WK, Facts, run_node, smallest_heap_wk

RESULTS = REPOSITORY / ".bench" / "node.json"
# What drives the radio and speaks LoRaWAN, as prefixes of modules' paths on the board.
_RADIO_AND_MAC = (
    "decoders/lorawan/",
    "firmware/link",
    "firmware/mac",
    "firmware/radio/",
    "firmware/session",
    "firmware/timing",
)
_BASELINE_BUS = {"SPI": 60, "UART": 2, "1-Wire slots": 220, "ADC": 2}
_HALF = 2  # a 64-bit word for a board's 32-bit one


class Metric(NamedTuple):
    """One row. ``goal`` None: only told; otherwise ``value`` must be at most (``at_least``: at least) that."""

    metric: str
    value: float
    unit: str
    baseline: float | None
    goal: float | None
    at_least: bool = False

    @property
    def holds(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def as_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "value": self.value,
            "unit": self.unit,
            "baseline": self.baseline,
            "goal": self.goal,
            "holds": self.holds,
        }


def measure(days: float, seed: int, progress: Callable[[float], None] | None = None) -> list[Metric]:
    """Build the firmware, run a node for ``days`` and find the smallest heap it lives in."""
    firmware = build(REPOSITORY / ".build" / "bench-firmware")
    facts = run_node(days, seed, firmware=firmware, progress=progress)
    least_wk = smallest_heap_wk(seed, firmware)
    return [*sizes(firmware), *_heap(firmware, least_wk), *_run(facts)]


def sizes(firmware: Path) -> list[Metric]:
    sizes = {path.relative_to(firmware).as_posix(): path.stat().st_size for path in firmware.rglob("*.mpy")}
    radio_and_mac = sum(size for name, size in sizes.items() if name.startswith(_RADIO_AND_MAC))
    return [
        Metric("mpy_radio_and_mac", radio_and_mac, "B", 20_978, 60 * 1024),
        Metric("mpy_all", sum(sizes.values()), "B", 36_811, None),
    ]


def _heap(firmware: Path, least_wk: int) -> list[Metric]:
    return [
        Metric("heap_free_after_imports", free_after_imports(firmware) // _HALF, "B", 12_112, None),
        Metric("heap_least_that_works", least_wk * 1024, "B", 54 * 1024, (HEAP_WK - 16) * 1024),
        Metric("heap_free_at_the_lowest", (HEAP_WK - least_wk) * 1024, "B", 10 * 1024, 16 * 1024, at_least=True),
    ]


def _run(facts: Facts) -> list[Metric]:
    metrics = [
        Metric(f"bus_{bus.lower().replace(' ', '_')}_per_uplink", round(count, 1), "1", _BASELINE_BUS.get(bus), None)
        for bus, count in facts.bus_transfers_per_uplink.items()
    ]
    metrics.append(Metric("energy_per_uplink", round(facts.uah_per_uplink, 2), "uAh", 47.4, None))
    metrics += [
        Metric(f"energy_{name.replace(' ', '_')}", round(mah * 1000 / max(facts.uplinks, 1), 3), "uAh", None, None)
        for name, mah in facts.energy_mah.items()
    ]
    rate = facts.hit_rate
    return [
        *metrics,
        Metric("battery_life", round(facts.battery_days), "d", 452, None),
        Metric("downlinks_received", 0.0 if rate is None else round(rate, 4), "1", 1.0, 0.99, at_least=True),
        Metric("flash_wear_per_year", round(facts.flash_wear_per_year, 5), "1", 0.00365, 0.1),
        Metric("node_days_per_second", round(facts.node_days_per_s, 3), "1/s", 0.68, round(365 / 900, 3), True),
        Metric("wall_per_wake", round(facts.wall_ms_per_wake, 2), "ms", 15.1, 25.0),
        Metric("cpu_per_wake", round(1000 * facts.cpu_s / max(facts.wakes, 1), 2), "ms", None, None),
        Metric("messages_per_wake", round(facts.messages_per_wake, 1), "1", 255, None),
    ]


def free_after_imports(firmware: Path) -> int:
    """Bytes of heap (as the 64-bit MicroPython counts) left when all that stands in it during an exchange is loaded.

    That is every module but the sensors', which the firmware unloads before. The collector is set as ``main`` sets it.
    0 if they do not fit.
    """
    names = sorted(
        path.relative_to(firmware).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for path in firmware.rglob("*.mpy")
        if "sensors" not in path.parts
    )
    folder = REPOSITORY / ".build" / "bench-imports"
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "imports.py"
    lines = [f"import {name}" for name in names if name != "main"]
    source.write_text(
        "\n".join([f"import gc, sys\ngc.threshold(4096)\nsys.path.append({str(firmware)!r})", *lines]) + "\n"
    )
    compile_module(source, folder / "imports.mpy", "imports.py")
    clock = Clock()
    bench = NodeBench(clock, Wiring(), folder, main="imports")
    with Kernel(clock, [bench]) as kernel:
        bench.power_on()
        kernel.run_until(5_000_000)
        if bench.statistics.crashes:
            return 0
        assert bench.statistics.heap_free_min is not None
        return bench.statistics.heap_free_min


def write(metrics: list[Metric], path: Path = RESULTS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([metric.as_json() for metric in metrics], indent=1) + "\n")
