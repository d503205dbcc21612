# SPDX-License-Identifier: EUPL-1.2
"""The outbox as the way to the cloud sees it, without a connection: what to send next, and what the cloud has.

The cloud knows rows by (epoch, lane, seq). An epoch is one start of this process, and numbers what the start found from
1: a watermark that was meant for another life of this database, before a restore or a rebuild, delivers nothing.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from decoders.lorawan.errors import RemoteError
from decoders.records import ALARM, DIAGNOSTIC, LANES, READING
from decoders.uplink import Batch, Watermark, assemble_batch, decode_watermark, fit
from gateway.config import MqttSection
from gateway.delivery import Delivery
from gateway.errors import StoreError
from gateway.group_commit import GroupCommit
from gateway.metrics import Metrics
from gateway.reader import Held, OutboxReader
from gateway.store import Ledger

_log = logging.getLogger(__name__)


class Outgoing(NamedTuple):
    """A batch that is ready to go: rows ``first`` to ``last`` of a lane; none if ``last`` < ``first``."""

    lane: int
    first: int
    last: int
    payload: bytes


class Backlog:
    """What waits for the cloud. One task calls; rows are read and batches assembled in a thread.

    ``clock``: monotonic seconds."""

    def __init__(
        self,
        settings: MqttSection,
        gateway_eui: str,
        reader: OutboxReader,
        writer: GroupCommit,
        ledger: Ledger,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._eui = gateway_eui
        self._reader = reader
        self._writer = writer
        self._ledger = ledger
        self._metrics = metrics
        few = max(2, settings.window_batches // 4)
        windows = {ALARM: few, READING: settings.window_batches, DIAGNOSTIC: few}
        self.in_flight = sum(windows.values())  # batches, at most
        self.deliveries = tuple(Delivery(settings.batch_messages, windows[lane], settings.resend_s) for lane in LANES)
        self.numbering = ledger.begin_epoch()  # nobody writes yet
        self._number(self._held())

    def _number(self, held: list[Held]) -> None:
        """Begin with the epoch that the ledger has begun."""
        self.numbering = self._ledger.numbering
        self._watermark: Watermark | None = None  # the latest of our epoch, not yet applied
        self._told: set[int] = set()  # lanes for which the cloud has said a number in our epoch
        self._sent = [lane.delivered for lane in held]  # the newest row of each lane that the cloud may know of

    def _held(self) -> list[Held]:
        return [self._reader.held(lane) for lane in LANES]

    def _restart(self, held: list[Held]) -> None:
        for delivery, lane in zip(self.deliveries, held, strict=True):
            delivery.restart(lane.delivered, self._clock())

    async def begin(self) -> list[Outgoing]:
        """At a new connection: what to say first, of rows that the cloud has confirmed in an epoch before.

        If it still has them, they need not be sent again."""
        held = await asyncio.to_thread(self._held)
        self._restart(held)
        if any(lane.waiting for lane in held):
            self._metrics.count("resends")
        said = []
        for lane in sorted(LANES, key=lambda lane: -held[lane].delivered):  # what would cost most to send again
            first = held[lane].delivered + 1
            if self.numbering.continues[lane] is not None and first > held[lane].oldest:
                said.append(Outgoing(lane, first, first - 1, self._assembled(lane, held[lane], first, [])))
        return said

    async def next(self) -> Outgoing | None:
        """The batch to send now, if a window allows one and there is something; the lower lane first."""
        return await asyncio.to_thread(self._next)

    def _next(self) -> Outgoing | None:
        for lane, delivery in zip(LANES, self.deliveries, strict=True):
            held = self._reader.held(lane)
            delivery.gone(held.oldest - 1)
            wanted = delivery.next_range(held.last)
            records = self._reader.records(lane, *wanted) if wanted else []
            if wanted and records:
                records = records[: fit([len(record) for record in records])]
                first = wanted[0]
                return Outgoing(lane, first, first + len(records) - 1, self._assembled(lane, held, first, records))
        return None

    def _assembled(self, lane: int, held: Held, first: int, records: Sequence[bytes]) -> bytes:
        epoch, bases, continues = self.numbering
        base = bases[lane]
        head = Batch(self._eui, epoch, lane, held.oldest - base, first - base, continues[lane], ())
        return assemble_batch(head, records)

    def sent(self, batch: Outgoing, message_id: int) -> None:
        """It was given to the broker's client as ``message_id``."""
        lane, first, last, payload = batch
        self.deliveries[lane].sent(message_id, last, self._clock())
        self._sent[lane] = max(self._sent[lane], last)
        self._metrics.count("batches")
        base = self.numbering.bases[lane]
        _log.debug("> up lane=%d seq=%d..%d bytes=%d", lane, first - base, last - base, len(payload))

    def acknowledged(self, message_id: int) -> None:
        """The broker has what was given to its client as ``message_id``."""
        for delivery in self.deliveries:
            delivery.acknowledged(message_id, self._clock())

    def stalled(self) -> bool:
        """The broker acknowledges nothing, although it could."""
        return any(delivery.stalled(self._clock()) for delivery in self.deliveries)

    def wake_at(self) -> float | None:
        """When to look again if nothing happens before; None: nothing waits for anyone."""
        wakes = (delivery.wake_at() for delivery in self.deliveries)
        return min((at for at in wakes if at is not None), default=None)

    def resend_what_is_due(self) -> None:
        now = self._clock()
        for delivery in self.deliveries:
            due_at = delivery.resend_due_at()
            if due_at is not None and due_at <= now:
                delivery.resend(now)
                self._metrics.count("resends")

    def heard(self, payload: bytes) -> bool:
        """What the cloud says it has; False if it means nothing to us. ``follow_watermark`` does what follows."""
        try:
            watermark = decode_watermark(payload)
        except RemoteError:
            self._metrics.count("watermarks_malformed")
            return False
        if watermark.epoch != self.numbering.epoch:
            self._metrics.count("watermarks_unknown_epoch")
            return False
        self._watermark = watermark
        return True

    async def follow_watermark(self) -> bool:
        """Deliver what the cloud has, in the outbox too; True if that made us begin a new epoch."""
        watermark, self._watermark = self._watermark, None
        if watermark is None:
            return False
        _, bases, _ = self.numbering
        seqs = watermark.seqs
        self._told |= {lane for lane, seq in enumerate(seqs) if seq is not None}  # if null again, it was forgotten
        rows = {lane: bases[lane] + (seqs[lane] or 0) for lane in self._told}
        if any(row > self._sent[lane] for lane, row in rows.items()):
            return await self._begin_anew(watermark)
        moved = {lane: row for lane, row in rows.items() if row != self.deliveries[lane].committed}
        if moved:
            try:
                firsts = await self._writer.run(lambda: self._confirm(watermark.epoch, bases, moved))
            except StoreError as error:  # the rows stay; the next watermark delivers them too
                _log.warning("%s", error)
                return False
            rows |= {lane: max(row, firsts[lane] - 1) for lane, row in moved.items()}
        self._metrics.count("watermarks")
        for lane, row in rows.items():
            self._follow(lane, row)
        return False

    def _confirm(self, epoch: int, bases: tuple[int, int, int], rows: dict[int, int]) -> list[int]:
        """In the writer's transaction; returns the first row that each lane has left."""
        for lane, row in rows.items():
            self._ledger.confirm(lane, row, epoch, row - bases[lane])
        return [lane.first_seq for lane in self._ledger.lanes()]

    def _follow(self, lane: int, row: int) -> None:
        delivery = self.deliveries[lane]
        before = delivery.committed
        if not delivery.watermark(row, self._clock()):
            self._metrics.count("watermarks_backwards")
            base = self.numbering.bases[lane]
            _log.warning("the cloud's watermark of lane %d went back from %d to %d", lane, before - base, row - base)

    async def _begin_anew(self, watermark: Watermark) -> bool:
        """A watermark that cannot have come from us may not take what it has never seen."""
        self._metrics.count("watermarks_ahead")
        try:
            await self._writer.run(self._ledger.begin_epoch)
        except StoreError as error:
            _log.warning("%s", error)
            return False
        held = await asyncio.to_thread(self._held)
        self._number(held)
        self._restart(held)
        told = [*watermark.seqs]
        _log.warning("the cloud has seqs=%s, which were never sent; epoch=%d began", told, self.numbering.epoch)
        return True
