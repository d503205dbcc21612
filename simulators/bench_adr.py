# SPDX-License-Identifier: EUPL-1.2
"""Adaptive data rate in a fading channel: the gateway's rule against ChirpStack's default, and a plot of it.

The rule is found by the entry point ``stadtfunk.adr``: simulators import no gateway.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from simulators.bench_node import Metric
from simulators.fading import ChirpStackDefault, Result, Rule, compare
from simulators.firmware_build import REPOSITORY

RESULTS = REPOSITORY / ".bench" / "adr.json"
PLOT = REPOSITORY / ".bench" / "adr.svg"
NODES = 20
FRAMES = 1200
BASELINE, OURS = "ChirpStack default", "stadtfunk"
_COLOURS = {BASELINE: "#b35900", OURS: "#00695c"}


def rules() -> dict[str, Callable[[], Rule]]:
    """Those that are compared, by name."""
    (ours,) = entry_points(group="stadtfunk.adr")
    return {BASELINE: ChirpStackDefault, OURS: ours.load()}


def measure(nodes: int, frames: int, seed: int) -> dict[str, list[Result]]:
    """The results of every node under each rule."""
    compared = compare(rules(), nodes, frames, seed)
    return {name: [result for _, result in rows] for name, rows in compared.items()}


def metrics(measured: dict[str, list[Result]]) -> list[Metric]:
    """Ours, with the baseline as the limit that it must stay below."""
    ours, baseline = _sums(measured[OURS]), _sums(measured[BASELINE])
    names = (("adr lost frames", "%"), ("adr airtime per frame", "ms"), ("adr downlinks per frame", "1"))
    return [
        Metric(name, round(value, 3), unit, round(limit, 3), round(limit, 3))
        for (name, unit), value, limit in zip(names, ours, baseline, strict=True)
    ]


def _sums(results: list[Result]) -> tuple[float, float, float]:
    frames = sum(result.frames for result in results)
    return (
        100 * sum(result.lost for result in results) / frames,
        sum(result.airtime_us for result in results) / frames / 1000,
        sum(result.downlinks for result in results) / frames,
    )


def plot(measured: dict[str, list[Result]], path: Path = PLOT) -> None:
    """Lost frames and airtime over the run, as SVG."""
    frames = sum(result.frames for result in next(iter(measured.values()))) / 20
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 340" font-family="sans-serif" font-size="12">']
    for panel, (title, scale) in enumerate((("lost frames, %", 100.0), ("airtime per frame, ms", 0.001))):
        curves = {
            name: [sum(r.course[n][panel] for r in results) / frames * scale for n in range(20)]
            for name, results in measured.items()
        }
        top = max(max(curve) for curve in curves.values())
        left = 50 + 350 * panel
        parts.append(f'<text x="{left}" y="24" font-size="14">{title}</text>')
        parts.append(f'<path d="M{left} 40V280H{left + 285}" fill="none" stroke="#555"/>')
        parts.append(f'<text x="{left - 6}" y="48" text-anchor="end">{top:.0f}</text>')
        parts.append(f'<text x="{left - 6}" y="280" text-anchor="end">0</text>')
        for row, (name, curve) in enumerate(curves.items()):
            points = " ".join(f"{left + 15 * n:d},{280 - 232 * value / top:.1f}" for n, value in enumerate(curve))
            parts.append(f'<polyline points="{points}" fill="none" stroke="{_COLOURS[name]}" stroke-width="2"/>')
            parts.append(f'<text x="{left + 10}" y="{302 + 16 * row}" fill="{_COLOURS[name]}">{name}</text>')
    parts.append(
        '<text x="690" y="336" text-anchor="end">twentieths of the run; every other node worsens by 8 dB</text>'
    )
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>\n"]), "utf-8")
