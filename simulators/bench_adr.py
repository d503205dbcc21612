# SPDX-License-Identifier: EUPL-1.2
"""Adaptive data rate in a fading channel: the gateway's rule against ChirpStack's default, and a plot of it.

The rule is found by the entry point ``stadtfunk.adr``: simulators import no gateway.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from math import ceil
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from simulators.fading import ChirpStackDefault, Result, Rule, compare
from simulators.firmware_build import REPOSITORY
from simulators.metric import Metric

RESULTS = REPOSITORY / ".bench" / "adr.json"
PLOT = REPOSITORY / ".bench" / "adr.svg"
NODES = 20
FRAMES = 1200
SEEDS = 3
BASELINE, OURS = "ChirpStack default", "stadtfunk"
PARTS = 20  # of a run, as fading.Result.course has them
Measured = dict[int, dict[str, list[Result]]]  # by seed and rule, a result for each node


class Panel(NamedTuple):
    """One of the plot's halves: what ``Result.course`` has at ``place``, times ``scale``."""

    place: int
    german: str
    english: str
    unit: str
    scale: float


_PANELS = (
    Panel(0, "Verlorene Uplinks", "Lost uplinks", "%", 100.0),
    Panel(1, "Sendezeit je Uplink", "Airtime per uplink", "ms", 0.001),
)
_COLOURS = {BASELINE: "#b35900", OURS: "#00695c"}
_NAMES = {BASELINE: "ChirpStack, Voreinstellung / default", OURS: "stadtfunk"}
_WIDTH, _TOP, _BOTTOM, _LEFT, _GAP = 330, 92, 330, 56, 410


def rules() -> dict[str, Callable[[], Rule]]:
    """Those that are compared, by name."""
    (ours,) = entry_points(group="stadtfunk.adr")
    return {BASELINE: ChirpStackDefault, OURS: ours.load()}


def measure(nodes: int, frames: int, seeds: Iterable[int]) -> Measured:
    """The results of every node under each rule, for each seed."""
    return {
        seed: {name: [result for _, result in rows] for name, rows in compare(rules(), nodes, frames, seed).items()}
        for seed in seeds
    }


def metrics(measured: Measured) -> list[Metric]:
    """Ours for each seed, with the baseline as the limit that it must stay below."""
    rows = []
    for seed, results in measured.items():
        ours, baseline = _sums(results[OURS]), _sums(results[BASELINE])
        names = (("lost frames", "%"), ("airtime per frame", "ms"), ("downlinks per frame", "1"))
        rows += [
            Metric(f"adr {name}, seed {seed}", round(value, 3), unit, round(limit, 3), round(limit, 3))
            for (name, unit), value, limit in zip(names, ours, baseline, strict=True)
        ]
    return rows


def _sums(results: list[Result]) -> tuple[float, float, float]:
    frames = sum(result.frames for result in results)
    return (
        100 * sum(result.lost for result in results) / frames,
        sum(result.airtime_us for result in results) / frames / 1000,
        sum(result.downlinks for result in results) / frames,
    )


def plot(measured: Measured, path: Path = PLOT) -> None:
    """Lost frames and airtime over the run, as SVG: a thin line for each seed, a thick one for their mean."""
    results = next(iter(measured.values()))[OURS]
    frames, nodes = results[0].frames, len(results)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 420" font-family="sans-serif" font-size="12">',
        '<rect width="820" height="420" fill="#fff"/>',
        _text(_LEFT - 30, 24, "Wie Knoten hinter Laub senden / How nodes behind leaves send", size=16),
    ]
    for place, (name, colour) in enumerate(_COLOURS.items()):
        left = _LEFT - 30 + 270 * place
        parts.append(f'<path d="M{left} 44H{left + 24}" stroke="{colour}" stroke-width="3"/>')
        parts.append(_text(left + 30, 48, _NAMES[name], colour))
    for number, panel in enumerate(_PANELS):
        parts += _panel(measured, panel, _LEFT + _GAP * number, frames)
    told = (
        f"{nodes} Knoten, jeder zweite wird im Lauf der Zeit um 8 dB schlechter; dünn: {len(measured)} Zufallsläufe, "
        "dick: ihr Mittel",
        f"{nodes} nodes, every other one worsens by 8 dB over the run; thin: {len(measured)} random runs, "
        "thick: their mean",
    )
    parts += [_text(_LEFT - 30, 390 + 17 * row, line, "#444") for row, line in enumerate(told)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>\n"]), "utf-8")


def _panel(measured: Measured, panel: Panel, left: int, frames: int) -> list[str]:
    curves = {name: [_curve(results[name], panel) for results in measured.values()] for name in _COLOURS}
    most = max(max(curve) for of_rule in curves.values() for curve in of_rule)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if most / step <= 6)
    top = step * ceil(most / step)
    height = _BOTTOM - _TOP
    parts = [_text(left, _TOP - 16, f"{panel.german} / {panel.english}, {panel.unit}", size=13)]
    for value in range(0, top + 1, step):
        y = _BOTTOM - height * value / top
        parts.append(f'<path d="M{left} {y:.1f}h{_WIDTH}" stroke="{"#555" if value == 0 else "#ddd"}"/>')
        parts.append(_text(left - 8, y + 4, f"{value}", anchor="end"))
    for part in range(0, PARTS + 1, PARTS // 4):
        anchor = "start" if part == 0 else "end" if part == PARTS else "middle"
        parts.append(_text(left + _WIDTH * part / PARTS, _BOTTOM + 17, f"{frames * part // PARTS}", anchor=anchor))
    parts.append(_text(left + _WIDTH / 2, _BOTTOM + 34, "Uplinks eines Knotens / of a node", anchor="middle"))
    for name, of_rule in curves.items():
        means = [mean(values) for values in zip(*of_rule, strict=True)]
        for curve, style in [*((curve, 'stroke-width="1" opacity="0.35"') for curve in of_rule),
                             (means, 'stroke-width="3"')]:  # fmt: skip
            points = " ".join(
                f"{left + _WIDTH * (n + 0.5) / PARTS:.1f},{_BOTTOM - height * value / top:.1f}"
                for n, value in enumerate(curve)
            )
            parts.append(f'<polyline points="{points}" fill="none" stroke="{_COLOURS[name]}" {style}/>')
    return parts


def _curve(results: list[Result], panel: Panel) -> list[float]:
    """Per frame, of all nodes together, for each part of the run."""
    frames = sum(result.frames for result in results) / PARTS
    return [sum(result.course[n][panel.place] for result in results) / frames * panel.scale for n in range(PARTS)]


def _text(x: float, y: float, words: str, colour: str = "#222", *, size: int = 12, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{words}</text>'
