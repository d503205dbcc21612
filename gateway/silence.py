# SPDX-License-Identifier: EUPL-1.2
"""How long a silence may be: how often a node sends, when it is late or down, and a change of that. Pure functions."""

import math
from collections.abc import Iterable
from typing import NamedTuple

OK, LATE, DOWN = "ok", "late", "down"
WORSE = {OK: 0, LATE: 1, DOWN: 2}
NODE, CONCENTRATOR = "node", "concentrator"

KEPT = 8  # spacings
ENOUGH = 3  # of them before they say something
_SAME = 0.9, 1.1  # what a learned interval may differ by before it is another one
SHORTEST_S, LONGEST_S = 60.0, 7 * 86_400.0


class Limits(NamedTuple):
    """After how many intervals of silence a node is late, and down."""

    late: float = 2.5
    down: float = 6.0


class Change(NamedTuple):
    """One has another state now. ``interval_s`` is what its silence was measured by."""

    kind: str  # NODE or CONCENTRATOR
    eui: str
    state: str
    before: str
    silent_s: float
    interval_s: float

    @property
    def event(self) -> str:
        """Its name: node_late, node_down, node_back, concentrator_late and so on."""
        return f"{self.kind}_{'back' if self.state == OK else self.state}"


def judge(silent_s: float, interval_s: float, limits: Limits) -> str:
    """The state of one that sends every ``interval_s``."""
    if silent_s > limits.down * interval_s:
        return DOWN
    return LATE if silent_s > limits.late * interval_s else OK


def fair(silent_s: float, interval_s: float, limits: Limits) -> float:
    """What of an earlier silence counts after nobody has listened for a while: there is one interval left to speak in.

    Before the next judgement, that is; one that was late or down is so still.
    """
    for limit in (limits.late * interval_s, limits.down * interval_s):
        if silent_s <= limit:
            return min(silent_s, limit - interval_s)
    return silent_s


def usual(spacings: Iterable[float]) -> float | None:
    """The interval, from spacings of distinct uplinks in s: their upper quartile; None while there are too few.

    Not their median: a node may send two frames shortly after another every time, and a forwarder that was cut off
    delivers many at once.
    """
    known = sorted(spacings)
    if len(known) < ENOUGH:
        return None
    return min(LONGEST_S, max(SHORTEST_S, known[math.ceil(0.75 * len(known)) - 1]))


def relearned(before_s: float | None, spacings: Iterable[float]) -> float | None:
    """The interval as known now: as before, unless it has become quite another one."""
    found = usual(spacings)
    if found is None or (before_s is not None and _SAME[0] < found / before_s < _SAME[1]):
        return before_s
    return found
