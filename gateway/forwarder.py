# SPDX-License-Identifier: EUPL-1.2
"""The outbox's way to the cloud. Rows are delivered when the cloud's watermark says so, never by a PUBACK, so a broker
may lose everything it has. The outbox is the session.

The lower lane goes first, and each lane has a window of its own: an alarm waits for no backlog (backlog.py).
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable

from decoders import topics
from decoders.records import LANES
from gateway import broker_tls
from gateway.backlog import Backlog
from gateway.broker import Broker, ConnectionLost, password
from gateway.config import MqttSection
from gateway.lanes import Numbering
from gateway.metrics import Metrics
from gateway.reconnect import Attempts

_log = logging.getLogger(__name__)

_GOODBYE_S = 5.0
_MAX_EVENTS = 1000
_STATUS_S = 60.0  # between repetitions of the status
_BESIDES = 1 + len(LANES)  # in flight besides batches: the status, and what is said of each lane at the beginning


class Forwarder:
    """Publishes the outbox of one gateway until cancelled."""

    def __init__(self, settings: MqttSection, gateway_eui: str, backlog: Backlog, metrics: Metrics) -> None:
        """Raises ConfigError for what is wrong with the files that ``settings`` names."""
        self._settings = settings
        self._eui = gateway_eui
        self._metrics = metrics
        broker_tls.context(settings)
        password(settings)
        self._backlog = backlog
        self._something = asyncio.Event()
        self._events: deque[str] = deque(maxlen=_MAX_EVENTS)
        self.on_command: Callable[[bytes], None] = lambda _payload: None
        self._broker: Broker | None = None
        self._unacknowledged_status: int | None = None
        self._status_due_at = 0.0
        self.connected = False  # and the broker has our status for whoever asks

    @property
    def numbering(self) -> Numbering:
        """How the cloud calls our rows."""
        return self._backlog.numbering

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
        broker = Broker(node, self._eui, will=_status(False), in_flight=self._backlog.in_flight + _BESIDES)
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
        self._backlog.acknowledged(message_id)
        self._something.set()

    def _heard(self, topic: str, payload: bytes) -> None:
        if topic == topics.down(self._eui):
            self.on_command(payload)
            return
        if self._backlog.heard(payload):
            self._something.set()

    async def _forward(self, broker: Broker) -> None:
        self._metrics.count("broker_connections")
        _log.info("broker connected host=%s port=%d", broker.host, broker.port)
        for first in await self._backlog.begin():
            broker.publish(topics.up(self._eui, first.lane), first.payload)
        while broker.stands:
            self._something.clear()
            while self._events:
                broker.publish(topics.events(self._eui), self._events.popleft())
            if await self._backlog.follow_watermark() or time.monotonic() >= self._status_due_at:
                self._say_online(broker)
            if await self._publish(broker):
                continue
            if self._backlog.stalled():
                raise ConnectionLost("it acknowledges nothing")
            await self._wait()
        raise ConnectionLost("disconnected")

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
        wake_at = self._backlog.wake_at()
        at = self._status_due_at if wake_at is None else min(self._status_due_at, wake_at)
        if not await self._woken(at):
            self._backlog.resend_what_is_due()

    async def _publish(self, broker: Broker) -> bool:
        """Publish one batch if a window allows and there is one; returns whether it did."""
        batch = await self._backlog.next()
        if batch is None or not broker.stands:
            return False
        self._backlog.sent(batch, broker.publish(topics.up(self._eui, batch.lane), batch.payload))
        return True


def _status(online: bool, epoch: int | None = None) -> str:
    return json.dumps({"online": online} | ({} if epoch is None else {"epoch": epoch}))
