# SPDX-License-Identifier: EUPL-1.2
"""Runs many nodes and one clock in one order, so that the same start gives the same run, bit for bit.

All awake nodes run (each in its own process) until it is known what each does next. Then the earliest thing happens:
an event of the clock or a node's operation; at the same microsecond events go first, then the lowest node index.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter

from simulators.clock import Clock
from simulators.node import NEVER_US, NodeBench
from simulators.node_states import State

_due_us = attrgetter("due_us")


def _or_never(time_us: int | None) -> int:
    return NEVER_US if time_us is None else time_us


class Kernel:
    """``lookahead_us``: no node can affect another one sooner than that (the air takes at least a LoRa symbol).

    A kernel and its nodes take turns: pinned to one CPU (``os.sched_setaffinity`` before the first power-on, which the
    nodes' processes inherit) they are faster, unless other work needs that CPU.

    ``pace`` is called with the time virtual time is about to advance to; it may block, to hold or slow the run.
    """

    def __init__(
        self,
        clock: Clock,
        nodes: Iterable[NodeBench],
        *,
        lookahead_us: int = 1000,
        pace: Callable[[int], None] | None = None,
    ) -> None:
        self.clock = clock
        self.nodes = sorted(nodes, key=lambda node: node.index)
        self.pace = pace
        self._lookahead_us = lookahead_us
        self._running: list[NodeBench] = []
        for node in self.nodes:
            node.state_changed = self._state_changed
        self._state_changed()

    def _state_changed(self, _node: NodeBench | None = None, _before: State | None = None) -> None:
        self._running = [node for node in self.nodes if node.running]

    def run_until(self, time_us: int, stop: Callable[[], bool] | None = None) -> None:
        """Let everything happen that is due up to and including ``time_us``, and stand there.

        If ``stop()`` is true, time stays where it is instead; asked at the start and after every event.
        """
        clock = self.clock
        while stop is None or not stop():
            for node in self._running:
                node.receive()
            first = min(self._running, key=_due_us, default=None)
            node_us = NEVER_US if first is None else first.due_us
            event_us = clock.next_us()
            if event_us is not None and event_us <= node_us:
                if event_us > time_us:
                    self._advance(time_us)
                    return
                self._advance(event_us)
                clock.step()
            elif first is None or node_us > time_us:
                self._advance(time_us)
                return
            else:
                self._let_go_on(first, time_us)

    def _let_go_on(self, node: NodeBench, time_us: int) -> None:
        """Execute what ``node`` asked for and all that it asked for with it, as long as nothing else is due before."""
        clock = self.clock
        others_us = NEVER_US
        if len(self._running) > 1:
            others_us = min(other.due_us for other in self._running if other is not node)
        while True:
            self._advance(node.due_us)
            node.execute(min(time_us, others_us + self._lookahead_us))
            event_us = _or_never(clock.next_us())
            until_us = min(event_us - 1, others_us - 1, time_us)
            if node.due_us > until_us or not node.waiting:
                return

    def _advance(self, time_us: int) -> None:
        if time_us > self.clock.now_us:
            if self.pace is not None:
                self.pace(time_us)
            self.clock.now_us = time_us

    def close(self) -> None:
        """End every node's process."""
        for node in self.nodes:
            node.close()

    def __enter__(self) -> "Kernel":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
