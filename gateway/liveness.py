# SPDX-License-Identifier: EUPL-1.2
"""Who has fallen silent: nodes by the interval they are known to send at; concentrators: ears.py. No I/O.

Silence is counted, not computed from two times: only while this gateway runs, by its monotonic clock, and for a node
only while a concentrator that used to hear it is alive. So neither a jump of any clock nor an outage of our own makes
anybody late; and after either, a node has one whole interval more before it is judged, and that only at a moment when
such a concentrator speaks.

``Liveness.tick`` says what should change; it has changed once ``settle`` is called, after the change is on the disk: so
each change is told once, whatever happens in between.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.ears import Ears, Hearing
from gateway.silence import CONCENTRATOR, ENOUGH, KEPT, NODE, OK, WORSE, Change, Limits, fair, judge, relearned

UNKNOWN_S = 86_400.0  # the interval of a node while it is neither set nor learned
_MOST_HEARD_BY = 4
_LONGEST_TICK_S = 30.0  # whoever was not run for longer has not listened


class NodeRecord(NamedTuple):
    """What is kept of a node. ``session`` and ``f_cnt``: of its newest uplink; ``learned_s`` None: not yet."""

    state: str = OK
    silent_s: float = 0.0
    learned_s: float | None = None
    session: int = -1
    f_cnt: int = -1
    received: int = 0
    missed: int = 0
    heard_by: tuple[str, ...] = ()


@dataclass(slots=True)
class _Node:
    state: str
    silent_s: float
    session: int
    f_cnt: int
    received: int
    missed: int
    heard_by: tuple[str, ...]
    set_s: float | None
    spacings: tuple[float, ...] = ()
    last_s: float | None = None  # its newest uplink, by the monotonic clock
    heard: bool = False  # since the last tick
    spoke: bool = False  # since its state changed last
    heard_before: tuple[str, ...] = ()  # by whom the uplink before was heard
    listening: bool = False  # somebody listened at the last tick
    changed: bool = False  # since it was last kept
    usual_s: float | None = None
    kept_s: float | None = None  # that of then

    def interval_s(self) -> float:
        return self.set_s or self.usual_s or UNKNOWN_S


class Liveness:
    """All that have been heard at least once. ``now_s`` is a monotonic clock."""

    def __init__(self, limits: Limits, concentrator_s: float) -> None:
        self._limits = limits
        self._ears = Ears(concentrator_s)
        self._nodes: dict[str, _Node] = {}
        self._set: dict[str, float] = {}
        self._last_tick_s: float | None = None

    # --- what was kept

    def restore(self, nodes: Mapping[str, NodeRecord], concentrators: Mapping[str, str]) -> None:
        """As it was before the last stop; who was late is not told again."""
        for dev_eui, record in nodes.items():
            node = self._nodes[dev_eui] = _new(record, self._set.get(dev_eui))
            node.silent_s = fair(node.silent_s, node.interval_s(), self._limits)
        self._ears.restore(concentrators)

    def registered(self, intervals: Mapping[str, float | None]) -> None:
        """The devices there are, with the interval that is set for each, if any; others are forgotten."""
        self._set = {dev_eui: interval_s for dev_eui, interval_s in intervals.items() if interval_s}
        for dev_eui in [dev_eui for dev_eui in self._nodes if dev_eui not in intervals]:
            del self._nodes[dev_eui]
        for dev_eui, node in self._nodes.items():
            node.set_s = self._set.get(dev_eui)

    def only_concentrators(self, euis: Iterable[str]) -> None:
        """Forget the others."""
        self._ears.only(euis)

    def to_keep(self, *, counts: bool = False) -> dict[str, NodeRecord]:
        """What has changed since the last time and could not be found out again after a stop.

        That is a silence, and a new interval: who has sent is known by its session. ``counts``: and what was counted.
        """
        kept = {}
        for dev_eui, node in self._nodes.items():
            learned = node.usual_s is not None and node.usual_s != node.kept_s
            if node.changed and (counts or learned or node.silent_s > node.interval_s()):
                node.changed, node.kept_s = False, node.usual_s
                kept[dev_eui] = self.record(dev_eui)
        return kept

    def record(self, dev_eui: str) -> NodeRecord:
        """What is known of one node that was heard."""
        node = self._nodes[dev_eui]
        return NodeRecord(
            node.state, node.silent_s, node.usual_s, node.session, node.f_cnt, node.received, node.missed,
            _either(node),
        )  # fmt: skip

    # --- what is heard

    def uplink(self, dev_eui: str, session: int, f_cnt: int, concentrator: str, now_s: float) -> None:
        """A distinct uplink, in any order."""
        node = self._joined(dev_eui, concentrator)
        node.received += 1
        if session != node.session:
            node.session, node.f_cnt, node.last_s = session, f_cnt, now_s
            return
        steps = f_cnt - node.f_cnt
        if steps < 0:  # a late one: it was counted as missed
            node.missed = max(0, node.missed - 1)
            return
        if steps == 0:
            return
        node.missed += steps - 1
        if node.last_s is not None:
            node.spacings = (*node.spacings, (now_s - node.last_s) / steps)[-KEPT:]
            node.usual_s = relearned(node.usual_s, node.spacings)
        node.f_cnt, node.last_s = f_cnt, now_s

    def joined(self, dev_eui: str, concentrator: str) -> None:
        """A join: a sign of life."""
        self._joined(dev_eui, concentrator)

    def copied(self, dev_eui: str, concentrator: str) -> None:
        """Somebody else has heard it too."""
        node = self._nodes.get(dev_eui)
        if node is not None and concentrator not in node.heard_by and len(node.heard_by) < _MOST_HEARD_BY:
            node.heard_by = (*node.heard_by, concentrator)

    def proved(self, concentrator: str) -> bool:
        """A frame of ours came through it, so it is watched from now on; whether it was not before."""
        return self._ears.proved(concentrator)

    def spoke(self, concentrator: str) -> None:
        """It is there."""
        self._ears.spoke(concentrator)

    def _joined(self, dev_eui: str, concentrator: str) -> _Node:
        node = self._nodes.get(dev_eui)
        if node is None:
            node = self._nodes[dev_eui] = _new(NodeRecord(), self._set.get(dev_eui))
        node.silent_s, node.heard, node.spoke, node.changed = 0.0, True, True, True
        node.heard_before, node.heard_by = node.heard_by, (concentrator,)
        return node

    # --- what follows

    def tick(self, now_s: float) -> list[Change]:
        """Count the time since the last tick, and judge. Call it every few seconds."""
        passed_s = 0.0 if self._last_tick_s is None else now_s - self._last_tick_s
        gap = not 0.0 <= passed_s <= _LONGEST_TICK_S
        self._last_tick_s = now_s
        changes = self._ears.tick(passed_s, gap)
        ears: dict[tuple[tuple[str, ...], tuple[str, ...]], Hearing] = {}
        for dev_eui, node in self._nodes.items():
            key = node.heard_by, node.heard_before
            if (hearing := ears.get(key)) is None:
                hearing = ears[key] = self._ears.hearing(_either(node))
            self._listen(node, passed_s, gap, hearing)
            interval_s = node.interval_s()
            state = judge(node.silent_s, interval_s, self._limits)
            may_change = hearing.speaking if WORSE[state] > WORSE[node.state] else node.spoke
            if state != node.state and may_change:
                changes.append(Change(NODE, dev_eui, state, node.state, node.silent_s, interval_s))
        return changes

    def _listen(self, node: _Node, passed_s: float, gap: bool, ears: Hearing) -> None:
        """One more span in which it could have been heard, or not."""
        if ears.alive and (gap or not node.listening):  # again, after nobody did
            node.silent_s = fair(node.silent_s, node.interval_s(), self._limits)
        elif ears.alive and not node.heard:
            node.silent_s += passed_s
            node.changed = True
        elif node.listening and not ears.alive:  # it took a while to find that out
            node.silent_s = max(0.0, node.silent_s - ears.silent_s)
        node.heard, node.listening = False, ears.alive

    def settle(self, change: Change) -> None:
        """It is on the disk that this has changed."""
        if change.kind == CONCENTRATOR:
            self._ears.settle(change)
            return
        node = self._nodes.get(change.eui)
        if node is not None:
            node.state, node.spoke, node.changed = change.state, False, True

    # --- what people ask

    def node(self, dev_eui: str) -> NodeRecord | None:
        """What is known of a node, if it was ever heard."""
        return self.record(dev_eui) if dev_eui in self._nodes else None

    def now(self, dev_eui: str) -> tuple[str, int, int, float | None] | None:
        """(state, received, missed, interval in s if known) of a node, if it was ever heard."""
        node = self._nodes.get(dev_eui)
        return None if node is None else (node.state, node.received, node.missed, node.set_s or node.usual_s)

    def heard(self) -> list[str]:
        """Every node that was ever heard."""
        return list(self._nodes)

    def summary(self) -> tuple[Counter[str], int]:
        """(how many nodes are in each state, the missed uplinks of all)."""
        states = Counter(node.state for node in self._nodes.values())
        return states, sum(node.missed for node in self._nodes.values())

    def interval_s(self, dev_eui: str) -> float | None:
        """What is expected of it: set, else learned, else None."""
        node = self._nodes.get(dev_eui)
        return self._set.get(dev_eui) if node is None else node.set_s or node.usual_s

    def concentrators(self) -> dict[str, tuple[str, float]]:
        """(state, silent for how many s) of those that are watched."""
        return self._ears.states()


def _either(node: _Node) -> tuple[str, ...]:
    """The concentrators that heard its last two uplinks."""
    return tuple(dict.fromkeys(node.heard_by + node.heard_before))


def _new(record: NodeRecord, set_s: float | None) -> _Node:
    node = _Node(
        record.state, record.silent_s, record.session, record.f_cnt, record.received, record.missed, record.heard_by,
        set_s,
    )  # fmt: skip
    if record.learned_s is not None:
        node.spacings = (record.learned_s,) * ENOUGH
        node.usual_s = node.kept_s = record.learned_s
    return node
