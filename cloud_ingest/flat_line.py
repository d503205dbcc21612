# SPDX-License-Identifier: EUPL-1.2
"""The flat line test: since when does a sensor say the same, and for how long may it?

U.S. IOOS, QARTOD manuals, "Flat Line Test": a sensor or collector that fails often repeats one observation; how many
repetitions count is left to who knows the place. We count time instead of repetitions, and of a sensor with several
quantities all must stand still: rounded to what is sent, one alone may well stay where it is. Times in Unix seconds.
"""

from typing import NamedTuple


class FlatLine(NamedTuple):
    """All readings from ``since`` until ``until`` were ``values``, one of each quantity in a fixed order."""

    values: tuple[float | None, ...]
    since: int
    until: int

    @property
    def lasts_s(self) -> int:
        return self.until - self.since


def followed(line: FlatLine | None, at: int, values: tuple[float | None, ...], silence_s: int) -> FlatLine:
    """The line after a reading of ``values`` (None: there was none) at ``at``; another one begins anew, and so does
    one after more than ``silence_s``: two equal values across a long silence say nothing of what was between them."""
    if line is not None and line.values == values and at - line.until <= silence_s:
        return line._replace(until=at)
    return FlatLine(values, at, at)
