# SPDX-License-Identifier: EUPL-1.2
"""Between one connection to the broker and the next: pauses that grow, and what was said already."""

import asyncio
import random
import time

_FIRST_S = 0.25
_STEADY_S = 10.0  # a connection that stood this long was a good one
_CLOCK_LOOK_S = 1.0
_CLOCK_STEP_S = 60.0  # our clock was set, not only kept in step


class Attempts:
    """``begin`` each attempt, and ``pause`` after it."""

    def __init__(self, longest_pause_s: float) -> None:
        self._longest_pause_s = longest_pause_s
        self._failures = 0
        self._said: set[str] = set()
        self._began_s = 0.0
        self._clock_offset_s = 0.0

    def begin(self) -> None:
        self._began_s, self._clock_offset_s = time.monotonic(), _clock_offset_s()

    def is_new(self, problem: str) -> bool:
        """Whether this problem was not yet told since a connection last stood."""
        new = problem not in self._said
        self._said.add(problem)
        return new

    async def pause(self) -> None:
        """Twice as long after each failure in a row, with jitter."""
        if time.monotonic() - self._began_s > _STEADY_S:
            self._failures = 0
            self._said.clear()
        pause_s = min(self._longest_pause_s, _FIRST_S * 2 ** min(self._failures, 20))
        self._failures += 1
        await wait(pause_s * random.uniform(0.5, 1.0), self._clock_offset_s)


def _clock_offset_s() -> float:
    return time.time() - time.monotonic()


async def wait(pause_s: float, clock_offset_s: float) -> None:
    """Wait, but no longer than until our clock is set: a certificate that was not valid yet may be so now."""
    ends_at = time.monotonic() + pause_s
    while (left_s := ends_at - time.monotonic()) > 0 and abs(_clock_offset_s() - clock_offset_s) < _CLOCK_STEP_S:
        await asyncio.sleep(min(left_s, _CLOCK_LOOK_S))
