# SPDX-License-Identifier: EUPL-1.2
"""Between one connection to the broker and the next: where to, pauses that grow, and what was said already."""

import asyncio
import itertools
import random
import time

from gateway.config import MqttSection

_FIRST_S = 0.25
_STEADY_S = 5.0  # a connection that stood this long was a good one
_ELECTING_S = 15.0  # so long a cluster that has lost a node may be without leaders; nats-server elects within 4 to 9 s
_PATIENCE_S = 20.0
_PATIENCE_ELECTING_S = 3.0
_CLOCK_LOOK_S = 1.0
_CLOCK_STEP_S = 60.0  # our clock was set, not only kept in step


class Attempts:
    """``begin`` each attempt, and ``pause`` after it. ``now`` is in monotonic seconds."""

    def __init__(self, settings: MqttSection, now: float) -> None:
        self._is_cluster = bool(settings.cluster)
        self._nodes = itertools.cycle(settings.nodes())
        self._longest_pause_s = settings.reconnect_max_s
        self._failures = 0
        self._said: set[str] = set()
        self._lost_s = now
        self._reached_s: float | None = None
        self._clock_offset_s = 0.0

    def begin(self) -> MqttSection:
        """How to reach the node whose turn it is: of a cluster any one will do."""
        self._reached_s, self._clock_offset_s = None, _clock_offset_s()
        return next(self._nodes)

    def patience_s(self, now: float) -> float:
        """How long to wait for an answer: a node may hang and take connections all the same."""
        return _PATIENCE_ELECTING_S if self._elects(now) else _PATIENCE_S

    def reached(self, now: float) -> None:
        """The connection stands, and the broker acknowledges."""
        self._reached_s = now

    def is_new(self, problem: str) -> bool:
        """Whether this problem was not yet told since a connection last stood."""
        new = problem not in self._said
        self._said.add(problem)
        return new

    def pause_s(self, now: float) -> float:
        """The attempt has ended; the longest pause before the next. It doubles with each failure in a row, but not
        while the nodes that are left may be about to take us."""
        if self._reached_s is not None and now - self._reached_s > _STEADY_S:
            self._failures, self._lost_s = 0, now
            self._said.clear()
        pause_s = min(self._longest_pause_s, _FIRST_S * (1 << min(self._failures, 20)))
        self._failures += not self._elects(now)
        return pause_s

    async def pause(self) -> None:
        """Until it is time for the next attempt, with jitter."""
        await wait(self.pause_s(time.monotonic()) * random.uniform(0.5, 1.0), self._clock_offset_s)

    def _elects(self, now: float) -> bool:
        return self._is_cluster and now - self._lost_s < _ELECTING_S


def _clock_offset_s() -> float:
    return time.time() - time.monotonic()


async def wait(pause_s: float, clock_offset_s: float) -> None:
    """Wait, but no longer than until our clock is set: a certificate that was not valid yet may be so now."""
    ends_at = time.monotonic() + pause_s
    while (left_s := ends_at - time.monotonic()) > 0 and abs(_clock_offset_s() - clock_offset_s) < _CLOCK_STEP_S:
        await asyncio.sleep(min(left_s, _CLOCK_LOOK_S))
