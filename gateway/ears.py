# SPDX-License-Identifier: EUPL-1.2
"""The concentrators through which nodes are heard: which are silent, and whether one is left that would hear a node.

One is watched once it has brought a frame of ours. No I/O; time comes as what has passed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.silence import CONCENTRATOR, OK, WORSE, Change, Limits, judge

_LIMITS = Limits(late=2.0, down=5.0)  # intervals


class Hearing(NamedTuple):
    """The concentrators that would hear a node: whether one is alive, one has just spoken, how long all were silent."""

    alive: bool
    speaking: bool
    silent_s: float


@dataclass(slots=True)
class _Concentrator:
    state: str
    silent_s: float = 0.0
    heard: bool = False  # since the last tick
    spoke: bool = False  # since its state changed last


class Ears:
    """All that are watched; each is to show a sign of life every ``interval_s``."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._known: dict[str, _Concentrator] = {}
        self._speaking: set[str] = set()  # before the last tick

    def restore(self, states: Mapping[str, str]) -> None:
        """As it was before the last stop."""
        for eui, state in states.items():
            self._known[eui] = _Concentrator(state)

    def only(self, euis: Iterable[str]) -> None:
        """Forget the others."""
        keep = set(euis)
        for eui in [eui for eui in self._known if eui not in keep]:
            del self._known[eui]

    def proved(self, eui: str) -> bool:
        """A frame of ours came through it, so it is watched from now on; whether it was not before."""
        new = eui not in self._known
        if new:
            self._known[eui] = _Concentrator(OK)
        self._known[eui].heard = True
        return new

    def spoke(self, eui: str) -> None:
        """It is there."""
        known = self._known.get(eui)
        if known is not None:
            known.heard = True

    def tick(self, passed_s: float, gap: bool) -> list[Change]:
        """Count the time since the last tick, and judge; ``gap``: nobody has listened meanwhile."""
        changes = []
        self._speaking = {eui for eui, known in self._known.items() if known.heard}
        for eui, known in self._known.items():
            known.silent_s = 0.0 if known.heard or gap else known.silent_s + passed_s
            known.spoke |= known.heard
            known.heard = False
            state = self._state(known)
            worse = WORSE[state] - WORSE[known.state]
            if worse > 0 or (worse < 0 and known.spoke):
                changes.append(Change(CONCENTRATOR, eui, state, known.state, known.silent_s, self._interval_s))
        return changes

    def hearing(self, heard_by: tuple[str, ...]) -> Hearing:
        """Of those that would hear a node: all, where none of them is watched any more."""
        euis = [eui for eui in heard_by if eui in self._known] or list(self._known)
        alive = any(self._state(self._known[eui]) == OK for eui in euis)
        silent_s = min((self._known[eui].silent_s for eui in euis), default=0.0)
        return Hearing(alive, any(eui in self._speaking for eui in euis), silent_s)

    def settle(self, change: Change) -> None:
        """It is on the disk that this has changed."""
        known = self._known.get(change.eui)
        if known is not None:
            known.state, known.spoke = change.state, False

    def states(self) -> dict[str, tuple[str, float]]:
        """(state, silent for how many s) of each."""
        return {eui: (known.state, known.silent_s) for eui, known in self._known.items()}

    def _state(self, known: _Concentrator) -> str:
        return judge(known.silent_s, self._interval_s, _LIMITS)
