# SPDX-License-Identifier: EUPL-1.2
"""How far one gateway's stream of one epoch is durable here: which numbers came, and the lowest the gateway still has.

Both only grow, so the order and number of deliveries do not matter: watermark and gaps follow from the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass

Range = tuple[int, int]  # first, last; both included


def without(ranges: Iterable[Range], others: Iterable[Range]) -> list[Range]:
    """What of ``ranges`` is in none of ``others``, in order."""
    left = sorted(ranges)
    for first, last in others:
        left = [
            piece
            for begin, end in left
            for piece in ((begin, min(end, first - 1)), (max(begin, last + 1), end))
            if piece[0] <= piece[1]
        ]
    return left


@dataclass(frozen=True)
class Progress:
    """``applied`` is sorted and nowhere touches itself; ``oldest_seq`` is the highest 'oldest still held' ever told."""

    applied: tuple[Range, ...] = ()
    oldest_seq: int = 0

    def with_batch(self, first: int, last: int, oldest_seq: int) -> "Progress":
        """After a batch of ``first..last`` (none if ``last < first``) whose gateway holds ``oldest_seq`` and later."""
        oldest_seq = max(self.oldest_seq, oldest_seq)
        if last < first:
            return Progress(self.applied, oldest_seq)
        kept = [r for r in self.applied if r[1] < first - 1 or r[0] > last + 1]
        merged = [r for r in self.applied if r not in kept]
        joined = (min([first, *(r[0] for r in merged)]), max([last, *(r[1] for r in merged)]))
        return Progress(tuple(sorted([*kept, joined])), oldest_seq)

    @property
    def watermark(self) -> int:
        """The last sequence number up to which everything is here or gone for ever; 0 for nothing yet."""
        reached = max(self.oldest_seq - 1, 0)
        for first, last in self.applied:
            if first > reached + 1:
                break
            reached = max(reached, last)
        return reached

    @property
    def gaps(self) -> tuple[Range, ...]:
        """What the gateway no longer had when it told us so, and which never came."""
        found, expected = [], 1
        for first, last in (*self.applied, (self.oldest_seq, self.oldest_seq)):
            end = min(first, self.oldest_seq) - 1
            if end >= expected:
                found.append((expected, end))
            expected = max(expected, last + 1)
        return tuple(found)
