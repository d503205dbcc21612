# SPDX-License-Identifier: EUPL-1.2
"""Which Join-Requests are looked at, so that a flood of them costs little and hinders no node. Times in, decisions out.

A Join-Request is 23 bytes that anybody may send; to refuse one properly takes a key and the database. A node that
behaves sends one every six seconds at most, for it listens until RX2 is over (RP002-1.0.4 "EU863-870 Default Settings":
JOIN_ACCEPT_DELAY2), and backs off from there (TS001-1.0.4 "Retransmissions Back-off").

Each registered DevEUI has an allowance of its own that is more than that through a dozen concentrators, and nobody
else's requests touch it. Whatever is beyond, and every DevEUI that is not registered, shares a small one of its
concentrator and one of all; a DevEUI that is not registered may not use up much of that either. So what is looked at is
bounded whatever is sent, and so is the memory. ``now_s`` is a monotonic clock.
"""

from collections import OrderedDict
from typing import NamedTuple


class Rate(NamedTuple):
    """A token bucket: ``burst`` at once, then ``per_s``."""

    per_s: float
    burst: float


REGISTERED = Rate(4.0, 60.0)  # a node's own: 12 concentrators hear each of its requests, and there is room
UNKNOWN = Rate(0.2, 3.0)  # of one DevEUI that is not registered
SHARED = Rate(10.0, 50.0)  # of one concentrator, for what is beyond those or not registered
SHARED_BY_ALL = Rate(40.0, 200.0)  # concentrators can be invented, too
CONCENTRATOR = Rate(300.0, 600.0)  # everything of one: 8 channels carry 130 Join-Requests/s at SF7

_MOST_CONCENTRATORS = 512
_MOST_UNKNOWN = 1024


class Bucket:
    """The tokens of one, full at first."""

    __slots__ = ("_at_s", "_tokens")

    def __init__(self, rate: Rate, now_s: float) -> None:
        self._tokens, self._at_s = rate.burst, now_s

    def holds(self, rate: Rate, now_s: float) -> bool:
        """Whether there is a token."""
        self._tokens = min(rate.burst, self._tokens + max(0.0, now_s - self._at_s) * rate.per_s)
        self._at_s = now_s
        return self._tokens >= 1.0

    def take(self) -> None:
        """Use one up."""
        self._tokens -= 1.0


class Buckets:
    """One bucket for each name; with ``most``, only so many, those that were used last."""

    def __init__(self, rate: Rate, most: int | None = None) -> None:
        self._rate, self._most = rate, most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, name: str, now_s: float) -> Bucket:
        """The bucket of that name; the one that was not used for longest gives way to a new one."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = Bucket(self._rate, now_s)
            if self._most is not None and len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        return bucket

    def take(self, name: str, now_s: float) -> bool:
        """Use up one token of that name; False where there is none."""
        bucket = self.of(name, now_s)
        if not bucket.holds(self._rate, now_s):
            return False
        bucket.take()
        return True

    def keep_only(self, names: frozenset[str]) -> None:
        """Forget all others."""
        for name in [name for name in self._buckets if name not in names]:
            del self._buckets[name]


class JoinLimiter:
    """``registered`` is to be kept up to date; it may be late: who is not yet in it is only looked at more seldom."""

    def __init__(self) -> None:
        self._registered: frozenset[str] = frozenset()
        self._by_node = Buckets(REGISTERED)  # no more than there are registered
        self._by_stranger = Buckets(UNKNOWN, _MOST_UNKNOWN)
        self._by_concentrator = Buckets(CONCENTRATOR, _MOST_CONCENTRATORS)
        self._shared = Buckets(SHARED, _MOST_CONCENTRATORS)
        self._all = Buckets(SHARED_BY_ALL, 1)

    @property
    def registered(self) -> frozenset[str]:
        return self._registered

    @registered.setter
    def registered(self, dev_euis: frozenset[str]) -> None:
        self._registered = dev_euis
        self._by_node.keep_only(dev_euis)

    def __len__(self) -> int:
        """How many names are remembered."""
        return sum(
            map(len, (self._by_node, self._by_stranger, self._by_concentrator, self._shared, self._all))
        )  # fmt: skip

    def refusal(self, concentrator: str, dev_eui: str, now_s: float) -> str:
        """Why this Join-Request is not looked at, a name of metrics.REFUSALS; "": it is."""
        known = dev_eui in self._registered
        if not self._by_concentrator.take(concentrator, now_s):
            return "join_flood_concentrator"
        if known and self._by_node.take(dev_eui, now_s):
            return ""
        if not known and not self._by_stranger.take(dev_eui, now_s):
            return "join_flood_dev_eui"
        shared, of_all = self._shared.of(concentrator, now_s), self._all.of("", now_s)
        if shared.holds(SHARED, now_s) and of_all.holds(SHARED_BY_ALL, now_s):
            shared.take()
            of_all.take()
            return ""
        return "join_flood_dev_eui" if known else "join_flood_unknown"


BEGINS = 20  # refusals of a limiter ...
WITHIN_S = 10.0  # ... within this time are a flood,
QUIET_S = 60.0  # and it ends when there were none for so long
_MOST_NAMED = 8


class Flood(NamedTuple):
    """A flood has begun (``over`` False) or ended; ``concentrators``: some of those through which it comes."""

    over: bool
    refused: int
    seconds: int
    concentrators: tuple[str, ...]


class FloodWatch:
    """Tells where one flood begins and ends."""

    def __init__(self) -> None:
        self.under_way = False
        self._since_s = 0.0
        self._last_s = 0.0
        self._refused = 0
        self._concentrators: set[str] = set()

    def refused(self, concentrator: str, now_s: float) -> Flood | None:
        """A Join-Request was not looked at; a flood that begins with it."""
        if not self.under_way and (not self._refused or now_s - self._since_s > WITHIN_S):
            self._since_s, self._refused = now_s, 0
            self._concentrators.clear()
        self._refused += 1
        self._last_s = now_s
        if len(self._concentrators) < _MOST_NAMED:
            self._concentrators.add(concentrator)
        if self.under_way or self._refused < BEGINS:
            return None
        self.under_way = True
        return self._now(False)

    def due(self, now_s: float) -> Flood | None:
        """The flood that has ended by now."""
        if not self.under_way or now_s - self._last_s < QUIET_S:
            return None
        self.under_way = False
        ended, self._refused = self._now(True), 0
        return ended

    def _now(self, over: bool) -> Flood:
        seconds = round(self._last_s - self._since_s)
        return Flood(over, self._refused, seconds, tuple(sorted(self._concentrators)))
