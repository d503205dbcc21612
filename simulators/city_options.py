# SPDX-License-Identifier: EUPL-1.2
"""What ``stadtfunk demo`` and ``stadtfunk simulate`` ask for both: how large a city, how fast, which seed, a file."""

import contextlib
from typing import Any

import click


class Speed(click.ParamType["float | None"]):
    """Virtual seconds per real second, or ``max`` (None)."""

    name = "X|max"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if value in (None, "max"):
            return None
        with contextlib.suppress(ValueError):
            speed = float(value)
            if 0 < speed < 1e9:
                return speed
        self.fail(f"{value!r} is neither a number above 0 nor 'max'.", param, ctx)


NODES = click.option(
    "--nodes", default=12, show_default=True, type=click.IntRange(1, 200), help="How many trees have a node."
)
AIR = click.option(
    "--air", default=2, show_default=True, type=click.IntRange(0, 2), help="How many air quality stations."
)
TRAFFIC = click.option(
    "--traffic", default=2, show_default=True, type=click.IntRange(0, 2), help="How many traffic counters."
)
SEED = click.option("--seed", default=1, show_default=True, help="The same seed gives the same city and frames.")
SPEED = click.option(
    "--speed", default="3600", show_default=True, type=Speed(), help="Virtual seconds per real second."
)


class FramesFile(click.File):
    """A file opened for writing at once, so that a wrong path fails before the run and not after it."""

    def __init__(self) -> None:
        super().__init__("w", encoding="utf-8", lazy=False)
