# SPDX-License-Identifier: EUPL-1.2
"""What the node costs: bytes of code, heap, bus transfers, charge, and how fast the simulation of it runs.

``measure()`` gives rows for ``.bench/node.json``. Baselines are version 0.1 on 2026-11-22; goals come from the
project's budgets. Heap figures are a 32-bit board's: half of what the 64-bit MicroPython counts.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from firmware.node import UNLOADED
from simulators.clock import Clock
from simulators.firmware_build import REPOSITORY, build_rom, compile_module, pack
from simulators.kernel import Kernel
from simulators.metric import Metric
from simulators.node import NodeBench
from simulators.node_budget import FREE_KB, HEAP_WK, smallest_heap_wk
from simulators.node_run import Facts, run_node
from simulators.wiring import Wiring

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
_MOST_FROM_FILES_WK = 128
_HALF = 2  # a 64-bit word for a board's 32-bit one


def measure(days: float, seed: int, progress: Callable[[float], None] | None = None) -> list[Metric]:
    """Build the firmware, run a node for ``days`` and find the smallest heap it lives in."""
    rom = build_rom(REPOSITORY / ".build" / "bench-firmware")
    facts = run_node(days, seed, firmware=rom, progress=progress)
    return [*sizes(rom.parent), *_heap(rom), *_run(facts)]


def sizes(firmware: Path) -> list[Metric]:
    """Of the compiled modules in the folder ``firmware``."""
    sizes = {path.relative_to(firmware).as_posix(): path.stat().st_size for path in firmware.rglob("*.mpy")}
    radio_and_mac = sum(size for name, size in sizes.items() if name.startswith(_RADIO_AND_MAC))
    return [
        Metric("mpy_radio_and_mac", radio_and_mac, "B", 20_978, 60 * 1024),
        Metric("mpy_all", sum(sizes.values()), "B", 36_811, None),
    ]


def _heap(rom: Path) -> list[Metric]:
    """Of each kind of node what stays free of 64 kB; of the tree node also if its modules are files in the heap."""
    metrics = [
        Metric("rom_image", rom.stat().st_size, "B", None, 128 * 1024),  # partitions-4MiB-romfs.csv of MicroPython
        Metric("heap_free_after_imports", free_after_imports(rom) // _HALF, "B", 12_112, None),
    ]
    for kind, least_kb in FREE_KB.items():
        free_kb = HEAP_WK - smallest_heap_wk(kind, rom)
        baseline = 10 * 1024 if kind == "tree" else None
        metrics.append(Metric(f"heap_free_{kind}", free_kb * 1024, "B", baseline, least_kb * 1024, at_least=True))
    from_files_kb = smallest_heap_wk("tree", rom.parent, _MOST_FROM_FILES_WK)
    return [*metrics, Metric("heap_needed_tree_from_files", from_files_kb * 1024, "B", None, None)]


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


def free_after_imports(rom: Path) -> int:
    """Bytes of heap (as the 64-bit MicroPython counts) left when all that stands in it during an exchange is loaded.

    That is every module but those for measuring and writing payloads, which the firmware unloads before. The collector
    is set as ``main`` sets it.
    ``rom`` is an image that lies beside the modules it is made of. 0 if they do not fit.
    """
    folder = rom.parent
    names = sorted(
        path.relative_to(folder).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for path in folder.rglob("*.mpy")
    )
    names = [name for name in names if not name.startswith(UNLOADED)]
    lines = ["import gc", "gc.threshold(4096)", *(f"import {name}" for name in names if name != "main")]
    with TemporaryDirectory() as other:
        source, target = Path(other, "imports.py"), Path(other, "compiled")
        source.write_text("\n".join(lines) + "\n")
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.romfs"))
        compile_module(source, target / "imports.mpy", "imports.py")
        return _free_at_the_end(pack(target), "imports")


def _free_at_the_end(firmware: Path, main: str) -> int:
    clock = Clock()
    bench = NodeBench(clock, Wiring(), firmware, main=main)
    with Kernel(clock, [bench]) as kernel:
        bench.power_on()
        kernel.run_until(5_000_000)
        if bench.statistics.crashes:
            return 0
        assert bench.statistics.heap_free_min is not None
        return bench.statistics.heap_free_min
