# SPDX-License-Identifier: EUPL-1.2
"""A bench's rows as its command shows them: a table or JSON on stdout, and a file for whoever compares."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from simulators.metric import Metric, write

_HOLDS = {None: "", True: "yes", False: "NO"}


def tell(metrics: Sequence[Metric], results: Path, as_json: bool, table: Iterable[str]) -> None:
    """Write the rows to ``results`` and print them, as JSON or as ``table``."""
    write(metrics, results)
    if as_json:
        click.echo(json.dumps([metric.as_json() for metric in metrics], indent=1))
        return
    for line in table:
        click.echo(line)


def rows(metrics: Sequence[Metric], baseline: str = "") -> Iterator[str]:
    """A line for each row, with a column for what it is compared with if ``baseline`` names that."""
    wide = max(len(metric.metric) for metric in metrics) + 2

    def line(name: str, value: str, unit: str, compared: str, goal: str, holds: str) -> str:
        column = f"{compared:>13}" if baseline else ""
        return f"{name:<{wide}}{value:>12} {unit:<6}{column}{goal:>13}  {holds}".rstrip()

    yield line("metric", "value", "unit", baseline, "goal", "holds")
    for metric in metrics:
        goal = "" if metric.goal is None else f"{'>=' if metric.at_least else '<='} {metric.goal:g}"
        compared = "" if metric.baseline is None else f"{metric.baseline:g}"
        yield line(metric.metric, f"{metric.value:g}", metric.unit, compared, goal, _HOLDS[metric.holds])
