# SPDX-License-Identifier: EUPL-1.2
"""A number on the command line: what Python's float reads and what is none, ``nan`` and ``inf``, is refused."""

import math
from typing import Any

import click


class Number(click.FloatRange):
    """A finite number within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number
