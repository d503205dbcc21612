# SPDX-License-Identifier: EUPL-1.2
"""The outbox's way to the cloud. Rows are delivered when the cloud's watermark says so, never by a PUBACK, so a broker
may lose everything it has. The outbox is the session.

The cloud knows rows by (epoch, lane, seq). An epoch is one start of this process, and numbers what the start found from
1: a watermark that was meant for another life of this database, before a restore or a rebuild, delivers nothing.

The lower lane goes first, and each lane has a window of its own: an alarm waits for no backlog.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from decoders import topics
from decoders.lorawan.errors import RemoteError
from decoders.records import ALARM, DIAGNOSTIC, LANES, READING
from decoders.uplink import Batch, assemble_batch, decode_watermark, fit
from gateway import broker_tls
from gateway.broker import Broker, ConnectionLost, password
from gateway.config import MqttSection
from gateway.delivery import Delivery
from gateway.errors import StoreError
from gateway.group_commit import GroupCommit
from gateway.metrics import Metrics
from gateway.reader import Held, OutboxReader
from gateway.reconnect import Attempts
from gateway.store import Ledger

_log = logging.getLogger(__name__)

_GOODBYE_S = 5.0
_MAX_EVENTS = 1000
_STATUS_S = 60.0  # between repetitions of the status
_BESIDES = 1 + len(LANES)  # in flight besides batches: the status, and what is said of each lane at the beginning


class _Next(NamedTuple):
    """What to send now."""

    lane: int
    held: Held
    first: int
    records: list[bytes]


class Forwarder:
    """Publishes the outbox of one gateway until cancelled."""

    def __init__(
        self,
        settings: MqttSection,
        gateway_eui: str,
        reader: OutboxReader,
        writer: GroupCommit,
        ledger: Ledger,
        metrics: Metrics,
    ) -> None:
        """Raises ConfigError for what is wrong with the files that ``settings`` names."""
        self._settings = settings
        self._eui = gateway_eui
        self._reader = reader
        self._writer = writer
        self._ledger = ledger
        self._metrics = metrics
        broker_tls.context(settings)
        password(settings)
        few = max(2, settings.window_batches // 4)
        windows = {ALARM: few, READING: settings.window_batches, DIAGNOSTIC: few}
        self._in_flight = sum(windows.values()) + _BESIDES
        self._deliveries = tuple(Delivery(settings.batch_messages, windows[lane], settings.resend_s) for lane in LANES)
        self._something = asyncio.Event()
        self._events: deque[str] = deque(maxlen=_MAX_EVENTS)
        self.on_command: Callable[[bytes], None] = lambda _payload: None
        self._broker: Broker | None = None
        self._unacknowledged_status: int | None = None
        self._status_due_at = 0.0
        self.connected = False  # and the broker has our status for whoever asks
        self.numbering = ledger.begin_epoch()  # nobody writes yet
        self._number(self._held())

    def _number(self, held: list[Held]) -> None:
        """Begin with the epoch that the ledger has begun."""
        self.numbering = self._ledger.numbering
        self._watermark: tuple[int | None, ...] | None = None  # the latest of our epoch, not yet applied
        self._told: set[int] = set()  # lanes for which the cloud has said a number in our epoch
        self._sent = [lane.delivered for lane in held]  # the newest row of each lane that the cloud may know of
        self._status_due_at = time.monotonic()

    def publish_event(self, event: str) -> None:
        """Publish it on ``topics.events``, or when there is a connection again; the oldest of too many are lost."""
        self._events.append(event)
        self._something.set()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._something.set()

    async def run(self) -> None:
        """Connect, forward, and connect again, with growing and jittered pauses, until cancelled."""
        attempts = Attempts(self._settings, time.monotonic())
        while True:
            node = attempts.begin()
            try:
                broker = await self._connect(node, attempts.patience_s(time.monotonic()))
                await self._announce(broker, attempts.patience_s(time.monotonic()))
                attempts.reached(time.monotonic())
                await self._forward(broker)
            except ConnectionLost as lost:
                self._metrics.count("broker_failures")
                level = logging.WARNING if attempts.is_new(str(lost)) else logging.DEBUG
                _log.log(level, "broker lost host=%s port=%d: %s", node.host, node.port, lost)
            except Exception:
                self._metrics.count("broker_failures")
                _log.exception("forwarding stopped and begins again")
            finally:
                self.connected = False
                if self._broker is not None:
                    self._broker.close()
                self._broker = None
            await attempts.pause()

    async def say_goodbye(self) -> None:
        """Publish the offline status while the connection still stands; call before cancelling ``run``."""
        broker = self._broker
        if broker is None or not broker.stands:
            return
        try:
            self._unacknowledged_status = broker.publish(topics.status(self._eui), _status(False), retain=True)
        except ConnectionLost:
            return
        ends_at = time.monotonic() + _GOODBYE_S
        while broker.stands and self._unacknowledged_status is not None and time.monotonic() < ends_at:
            await asyncio.sleep(0.01)

    async def _connect(self, node: MqttSection, patience_s: float) -> Broker:
        broker = Broker(node, self._eui, will=_status(False), in_flight=self._in_flight)
        broker.on_lost = self._lost
        broker.on_acknowledged = self._acknowledged
        broker.on_message = self._heard
        self._broker, self._unacknowledged_status = broker, None
        await broker.open(patience_s)
        return broker

    def _lost(self) -> None:
        self.connected = False
        self._something.set()

    def _acknowledged(self, message_id: int) -> None:
        if message_id == self._unacknowledged_status:
            self._unacknowledged_status = None
        for delivery in self._deliveries:
            delivery.acknowledged(message_id, time.monotonic())
        self._something.set()

    def _heard(self, topic: str, payload: bytes) -> None:
        if topic == topics.down(self._eui):
            self.on_command(payload)
            return
        try:
            epoch, seqs = decode_watermark(payload)
        except RemoteError:
            self._metrics.count("watermarks_malformed")
            return
        if epoch != self.numbering.epoch:
            self._metrics.count("watermarks_unknown_epoch")
            return
        self._watermark = seqs
        self._something.set()

    async def _forward(self, broker: Broker) -> None:
        self._metrics.count("broker_connections")
        _log.info("broker connected host=%s port=%d", broker.host, broker.port)
        held = await asyncio.to_thread(self._held)
        self._restart(held)
        if any(lane.waiting for lane in held):
            self._metrics.count("resends")
        for lane in sorted(LANES, key=lambda lane: -held[lane].delivered):  # what would cost most to send again
            self._say_what_it_continues(broker, lane, held[lane])
        while broker.stands:
            self._something.clear()
            while self._events:
                broker.publish(topics.events(self._eui), self._events.popleft())
            await self._apply_watermark()
            if time.monotonic() >= self._status_due_at:
                self._say_online(broker)
            if await self._publish(broker):
                continue
            if any(delivery.stalled(time.monotonic()) for delivery in self._deliveries):
                raise ConnectionLost("it acknowledges nothing")
            await self._wait()
        raise ConnectionLost("disconnected")

    def _held(self) -> list[Held]:
        return [self._reader.held(lane) for lane in LANES]

    def _restart(self, held: list[Held]) -> None:
        for delivery, lane in zip(self._deliveries, held, strict=True):
            delivery.restart(lane.delivered, time.monotonic())

    def _say_what_it_continues(self, broker: Broker, lane: int, held: Held) -> None:
        """Rows that the cloud has confirmed in an epoch before: if it still has them, they need not be sent again."""
        if self.numbering.continues[lane] is not None and held.delivered >= held.oldest:
            broker.publish(topics.up(self._eui, lane), self._batch(lane, held, held.delivered + 1, []))

    async def _announce(self, broker: Broker, patience_s: float) -> None:
        """Say that we are here, and be connected once the broker has taken it: who asks from then on learns it."""
        self._say_online(broker)
        ends_at = time.monotonic() + patience_s
        while broker.stands and self._unacknowledged_status is not None:
            if time.monotonic() >= ends_at:
                raise ConnectionLost("it does not acknowledge the status")
            self._something.clear()
            await self._woken(ends_at)
        if not broker.stands:
            raise ConnectionLost("disconnected")
        self.connected = True

    def _say_online(self, broker: Broker) -> None:
        """Again and again: a broker that stores it beside a new subscription may show it to that one in neither way."""
        self._status_due_at = time.monotonic() + _STATUS_S
        if self._unacknowledged_status is None:
            payload = _status(True, self.numbering.epoch)
            self._unacknowledged_status = broker.publish(topics.status(self._eui), payload, retain=True)

    async def _woken(self, at: float) -> bool:
        """Wait for something to do, at most until ``at``; returns whether there is."""
        try:
            async with asyncio.timeout(max(0.0, at - time.monotonic())):
                return await self._something.wait()
        except TimeoutError:
            return False

    async def _wait(self) -> None:
        wakes = (delivery.wake_at() for delivery in self._deliveries)
        if await self._woken(min([self._status_due_at, *(at for at in wakes if at is not None)])):
            return
        now = time.monotonic()
        for delivery in self._deliveries:
            due_at = delivery.resend_due_at()
            if due_at is not None and due_at <= now:
                delivery.resend(now)
                self._metrics.count("resends")

    async def _publish(self, broker: Broker) -> bool:
        """Publish one batch if a window allows and there is one; returns whether it did."""
        upcoming = await asyncio.to_thread(self._read)
        if upcoming is None:
            return False
        lane, held, first, records = upcoming
        payload = await asyncio.to_thread(self._batch, lane, held, first, records)
        if not broker.stands:
            return False
        last = first + len(records) - 1
        message_id = broker.publish(topics.up(self._eui, lane), payload)
        self._deliveries[lane].sent(message_id, last, time.monotonic())
        self._sent[lane] = max(self._sent[lane], last)
        self._metrics.count("batches")
        base = self.numbering.bases[lane]
        _log.debug("> up lane=%d seq=%d..%d bytes=%d", lane, first - base, last - base, len(payload))
        return True

    def _read(self) -> _Next | None:
        for lane, delivery in zip(LANES, self._deliveries, strict=True):
            held = self._reader.held(lane)
            delivery.gone(held.oldest - 1)
            wanted = delivery.next_range(held.last)
            records = self._reader.records(lane, *wanted) if wanted else []
            if wanted and records:
                return _Next(lane, held, wanted[0], records[: fit([len(record) for record in records])])
        return None

    def _batch(self, lane: int, held: Held, first: int, records: list[bytes]) -> bytes:
        epoch, bases, continues = self.numbering
        base = bases[lane]
        head = Batch(self._eui, epoch, lane, held.oldest - base, first - base, continues[lane], ())
        return assemble_batch(head, records)

    async def _apply_watermark(self) -> None:
        seqs, self._watermark = self._watermark, None
        if seqs is None:
            return
        epoch, bases, _ = self.numbering
        self._told |= {lane for lane, seq in enumerate(seqs) if seq is not None}  # if null again, it was forgotten
        rows = {lane: bases[lane] + (seqs[lane] or 0) for lane in self._told}
        if any(row > self._sent[lane] for lane, row in rows.items()):
            await self._begin_anew(seqs)
            return
        moved = {lane: row for lane, row in rows.items() if row != self._deliveries[lane].committed}
        if moved:
            try:
                await self._writer.run(lambda: self._confirm(epoch, bases, moved))
            except StoreError as error:  # the rows stay; the next watermark delivers them too
                _log.warning("%s", error)
                return
        held = await asyncio.to_thread(self._held)
        self._metrics.count("watermarks")
        for lane, row in rows.items():
            self._follow(lane, max(row, held[lane].oldest - 1))

    def _confirm(self, epoch: int, bases: tuple[int, int, int], rows: dict[int, int]) -> None:
        for lane, row in rows.items():
            self._ledger.confirm(lane, row, epoch, row - bases[lane])

    def _follow(self, lane: int, row: int) -> None:
        delivery = self._deliveries[lane]
        before = delivery.committed
        if not delivery.watermark(row, time.monotonic()):
            self._metrics.count("watermarks_backwards")
            base = self.numbering.bases[lane]
            _log.warning("the cloud's watermark of lane %d went back from %d to %d", lane, before - base, row - base)

    async def _begin_anew(self, seqs: tuple[int | None, ...]) -> None:
        """A watermark that cannot have come from us may not take what it has never seen."""
        self._metrics.count("watermarks_ahead")
        try:
            await self._writer.run(self._ledger.begin_epoch)
        except StoreError as error:
            _log.warning("%s", error)
            return
        held = await asyncio.to_thread(self._held)
        self._number(held)
        self._restart(held)
        _log.warning("the cloud has seqs=%s, which were never sent; epoch=%d began", seqs, self.numbering.epoch)


def _status(online: bool, epoch: int | None = None) -> str:
    return json.dumps({"online": online} | ({} if epoch is None else {"epoch": epoch}))
