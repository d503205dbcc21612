# SPDX-License-Identifier: EUPL-1.2
"""What to send next, and when again: the forwarder's state without I/O. Times are monotonic seconds given as arguments.

Numbers up to the watermark are the cloud's; those above it are ours to send, at most a window of batches ahead of it.
How long to wait for the watermark is learnt from how long it took (patience.py). Without progress for so long, one
batch after the watermark is sent again as a probe: a cloud that is away costs one batch, ever more rarely. When the
watermark moves then, the rest is taken to be on its way still, for a cloud is slow more often than it loses anything
(RFC 5682 "F-RTO"): new batches follow. Only if it stops once more is all after it sent again, two batches first and
twice as many with each step (RFC 5681 "Slow Start").
"""

from collections import deque
from typing import NamedTuple

from gateway.patience import Patience

_STALL = 10  # times our patience without any PUBACK


class _Sent(NamedTuple):
    """A batch from ``first`` to ``last`` that was sent once."""

    first: int
    last: int
    at: float


class Delivery:
    """The window between the cloud's watermark and what has been sent."""

    def __init__(self, batch_messages: int, window_batches: int, resend_s: float) -> None:
        self._batch_messages = batch_messages
        self._window_batches = window_batches
        self._patience = Patience(resend_s)
        self._committed = 0
        self._next = 1
        self._ahead = window_batches  # how many batches may be ahead of the watermark now
        self._sent_before = 0  # up to there all had been sent when patience ended
        self._trusting = False  # that it is on its way still
        self._unanswered: deque[_Sent] = deque()
        self._in_flight: set[int] = set()
        self._progress_at = 0.0
        self._flow_at = 0.0  # the last sign that the broker takes batches

    @property
    def committed(self) -> int:
        """Everything up to this number is the cloud's."""
        return self._committed

    @property
    def patience_s(self) -> float:
        """How long to wait now for progress of the watermark."""
        return self._patience.seconds

    def restart(self, committed: int, now: float) -> None:
        """A new connection or a new epoch: nothing is in flight, sending begins after ``committed``."""
        self._begin_after(committed)
        self._ahead = self._window_batches
        self._in_flight.clear()
        self._patience.answered()
        self._progress_at = self._flow_at = now

    def next_range(self, last: int) -> tuple[int, int] | None:
        """(first seq, most messages) of the batch to send now, ``last`` being the newest held; None: wait."""
        room = self._committed + self._ahead * self._batch_messages - self._next + 1
        if self._next > last or room <= 0 or len(self._in_flight) >= self._window_batches:
            return None
        return self._next, min(self._batch_messages, room)

    def sent(self, message_id: int, last: int, now: float) -> None:
        """A batch that ends with seq ``last`` was given to the broker's client as ``message_id``."""
        if self._next == self._committed + 1:
            self._progress_at = now  # the first that waits for the cloud starts its patience
        if not self._in_flight:
            self._flow_at = now
        if self._next > self._sent_before:
            self._unanswered.append(_Sent(self._next, last, now))
        while self._next <= self._sent_before and self._unanswered and self._unanswered[0].first <= last:
            self._unanswered.popleft()  # Karn: nobody knows which of the two an answer is to
        self._next = last + 1
        self._in_flight.add(message_id)

    def acknowledged(self, message_id: int, now: float) -> None:
        """PUBACK: the broker has it. Only the flow is steered by that; the outbox keeps its rows."""
        if message_id in self._in_flight:
            self._in_flight.remove(message_id)
            self._flow_at = now

    def stalled(self, now: float) -> bool:
        """The broker acknowledges nothing although it has a window full: only a new connection can help."""
        due_at = self._stall_due_at()
        return due_at is not None and now >= due_at

    def _stall_due_at(self) -> float | None:
        full = len(self._in_flight) >= self._window_batches
        return self._flow_at + _STALL * self._patience.learnt_s if full else None

    def wake_at(self) -> float | None:
        """When to look again if nothing happens before; None: nothing waits for anyone."""
        return min((at for at in (self.resend_due_at(), self._stall_due_at()) if at is not None), default=None)

    def watermark(self, seq: int, now: float) -> bool:
        """Apply a watermark of our epoch; returns False when it went backwards: what follows it is sent again."""
        if seq < self._committed:
            self._begin_after(seq)
            return False
        if seq == self._committed:
            self._patience.answered()  # the cloud is there, but has no more
        else:
            self._advance(seq, now)
        return True

    def _advance(self, seq: int, now: float) -> None:
        covered = self._covered(seq)
        if covered:  # of several the first, as RFC 7323 "RTTM" has it: it waited for the others
            self._patience.took(now - covered[0].at)
        if self._ahead == 1 or seq >= self._next:
            self._trusting = self._sent_before > seq
            self._next = max(self._next, self._sent_before + 1, seq + 1)
            self._ahead = self._window_batches
        self._ahead = min(2 * self._ahead, self._window_batches)
        self._committed = seq
        self._progress_at = now
        if seq >= self._sent_before:
            self._trusting = False

    def gone(self, seq: int) -> None:
        """Numbers up to ``seq`` were dropped for want of room: there is nothing to send or to wait for."""
        self._covered(seq)
        self._committed = max(self._committed, seq)
        self._next = max(self._next, seq + 1)

    def _covered(self, seq: int) -> list[_Sent]:
        """Take the batches that end up to there."""
        covered = []
        while self._unanswered and self._unanswered[0].last <= seq:
            covered.append(self._unanswered.popleft())
        return covered

    def resend_due_at(self) -> float | None:
        """When to call ``resend`` unless there is progress before; None: nothing waits for the cloud."""
        return self._progress_at + self._patience.seconds if self._next > self._committed + 1 else None

    def resend(self, now: float) -> None:
        """No progress: begin again after the watermark, with a probe or, if there was one before, slowly."""
        self._sent_before = max(self._next - 1, self._sent_before)
        self._next = self._committed + 1
        self._ahead = min(2, self._window_batches) if self._trusting else 1
        self._trusting = False
        self._patience.expired()
        self._progress_at = now

    def _begin_after(self, committed: int) -> None:
        self._committed = committed
        self._next = committed + 1
        self._sent_before = 0
        self._trusting = False
        self._unanswered.clear()
