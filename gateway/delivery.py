# SPDX-License-Identifier: EUPL-1.2
"""What to send next, and when again: the forwarder's state without I/O. Times are monotonic seconds given as arguments.

Numbers up to the watermark are the cloud's; those above it are ours to send, at most a window of batches ahead of it.
Without progress for ``resend_s`` one batch after the watermark is sent again as a probe: a cloud that is away costs one
batch per ``resend_s``, not a window; as soon as the watermark moves, the window is open again.
"""

_STALL = 10  # times resend_s without any PUBACK


class Delivery:
    """The window between the cloud's watermark and what has been sent."""

    def __init__(self, batch_messages: int, window_batches: int, resend_s: float) -> None:
        self._batch_messages = batch_messages
        self._window_batches = window_batches
        self._resend_s = resend_s
        self._committed = 0
        self._next = 1
        self._probing = False
        self._in_flight: set[int] = set()
        self._progress_at = 0.0
        self._flow_at = 0.0  # the last sign that the broker takes batches

    @property
    def committed(self) -> int:
        """Everything up to this number is the cloud's."""
        return self._committed

    def restart(self, committed: int, now: float) -> None:
        """A new connection or a new epoch: nothing is in flight, sending begins after ``committed``."""
        self._committed = committed
        self._next = committed + 1
        self._probing = False
        self._in_flight.clear()
        self._progress_at = self._flow_at = now

    def next_range(self, last: int) -> tuple[int, int] | None:
        """(first seq, most messages) of the batch to send now, ``last`` being the newest held; None: wait."""
        window = 1 if self._probing else self._window_batches
        room = self._committed + window * self._batch_messages - self._next + 1
        if self._next > last or room <= 0 or len(self._in_flight) >= self._window_batches:
            return None
        return self._next, min(self._batch_messages, room)

    def sent(self, message_id: int, last: int, now: float) -> None:
        """A batch that ends with seq ``last`` was given to the broker's client as ``message_id``."""
        if self._next == self._committed + 1:
            self._progress_at = now  # the first that waits for the cloud starts its patience
        if not self._in_flight:
            self._flow_at = now
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
        return self._flow_at + _STALL * self._resend_s if full else None

    def wake_at(self) -> float | None:
        """When to look again if nothing happens before; None: nothing waits for anyone."""
        return min((at for at in (self.resend_due_at(), self._stall_due_at()) if at is not None), default=None)

    def watermark(self, seq: int, now: float) -> bool:
        """Apply a watermark of our epoch; returns False when it went backwards: what follows it is sent again."""
        backwards = seq < self._committed
        if backwards:
            self._next = seq + 1
        elif seq > self._committed:
            self._next = max(self._next, seq + 1)
            self._progress_at = now
            self._probing = False
        self._committed = seq
        return not backwards

    def gone(self, seq: int) -> None:
        """Numbers up to ``seq`` were dropped for want of room: there is nothing to send or to wait for."""
        self._committed = max(self._committed, seq)
        self._next = max(self._next, seq + 1)

    def resend_due_at(self) -> float | None:
        """When to call ``resend`` unless there is progress before; None: nothing waits for the cloud."""
        return self._progress_at + self._resend_s if self._next > self._committed + 1 else None

    def resend(self, now: float) -> None:
        """No progress: begin again after the watermark, with one batch."""
        self._next = self._committed + 1
        self._probing = True
        self._progress_at = now
