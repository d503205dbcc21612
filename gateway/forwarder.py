# SPDX-License-Identifier: EUPL-1.2
"""The outbox's way to the cloud: MQTT 3.1.1, QoS 1, clean session. Rows go when the cloud's watermark says so, never on
PUBACK, so a broker may lose everything it has. The broker's client keeps no queue: the outbox is the session.

The cloud knows rows by (epoch, seq). An epoch is one start of this process, and numbers what the start found from 1: a
watermark that was meant for another life of this database, before a restore or a rebuild, deletes nothing.

Each connection has a client of its own; its network thread only posts to the event loop, which alone decides.
"""

import asyncio
import json
import logging
import random
import secrets
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode

from decoders import topics
from decoders.lorawan.errors import RemoteError
from decoders.uplink import READING, Batch, UplinkMessage, decode_watermark, encode_batch
from gateway import broker_tls
from gateway.config import MqttSection
from gateway.delivery import Delivery
from gateway.errors import ConfigError, StoreError
from gateway.group_commit import GroupCommit
from gateway.metrics import Metrics
from gateway.reader import Held, OutboxReader
from gateway.store import Ledger

_log = logging.getLogger(__name__)

_FIRST_RECONNECT_S = 0.25
_GOODBYE_S = 5.0
_CONNECT_S = 20.0
_MAX_EVENTS = 1000
_STATUS_S = 60.0  # between repetitions of the status
_CLOCK_LOOK_S = 1.0
_CLOCK_STEP_S = 60.0  # our clock was set, not only kept in step
_STEADY_S = 10.0  # a connection that stood this long was a good one


class Numbering(NamedTuple):
    """The cloud's name of a row: row ``base`` + 1 is seq 1 of this ``epoch``, and so on."""

    epoch: int
    base: int


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
        self._settings = settings
        self._eui = gateway_eui
        self._reader = reader
        self._writer = writer
        self._ledger = ledger
        self._metrics = metrics
        broker_tls.context(settings)  # says now what is wrong with its files
        self._password = _password(settings)
        self._delivery = Delivery(settings.batch_messages, settings.window_batches, settings.resend_s)
        self._loop = asyncio.get_running_loop()
        self._something = asyncio.Event()
        self._watermark: int | None = None  # the latest seq of our epoch, not yet applied
        self._seen = 0  # the last watermark applied
        self._sent = 0  # the newest row published in this epoch
        self._events: deque[str] = deque(maxlen=_MAX_EVENTS)
        self.on_command: Callable[[bytes], None] = lambda _payload: None
        self.numbering = self._begin_epoch(reader.held())
        self._client: mqtt.Client | None = None
        self._stands = False  # nothing has ended the present client's connection
        self._unacknowledged_status: int | None = None
        self._status_due_at = 0.0
        self.connected = False  # and the broker has our status for whoever asks

    def _begin_epoch(self, held: Held) -> Numbering:
        self._watermark = None
        self._seen = 0
        self._sent = held.oldest - 1
        self._status_due_at = time.monotonic()
        self.numbering = Numbering(secrets.randbits(32), held.oldest - 1)
        return self.numbering

    def publish_event(self, event: str) -> None:
        """Publish it on ``topics.events``, or when there is a connection again; the oldest of too many are lost."""
        self._events.append(event)
        self._something.set()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._something.set()

    async def run(self) -> None:
        """Connect, forward, and connect again, with growing and jittered pauses, until cancelled."""
        failures, said = 0, set[str]()
        while True:
            began_s, clock_offset_s = time.monotonic(), _clock_offset_s()
            try:
                await self._connect()
                await self._forward()
            except _ConnectionLost as lost:
                self._metrics.count("broker_failures")
                level = logging.DEBUG if str(lost) in said else logging.WARNING
                said.add(str(lost))
                _log.log(level, "broker lost host=%s port=%d: %s", self._settings.host, self._settings.port, lost)
            except Exception:
                self._metrics.count("broker_failures")
                _log.exception("forwarding stopped and begins again")
            finally:
                self._stands = self.connected = False
                self._drop_client()
            if time.monotonic() - began_s > _STEADY_S:
                failures, said = 0, set()
            pause_s = min(self._settings.reconnect_max_s, _FIRST_RECONNECT_S * 2 ** min(failures, 20))
            failures += 1
            await _pause(pause_s * random.uniform(0.5, 1.0), clock_offset_s)

    async def say_goodbye(self) -> None:
        """Publish the offline status while the connection still stands; call before cancelling ``run``."""
        client = self._client
        if client is None or not self._stands:
            return
        info = client.publish(topics.status(self._eui), _status(False), qos=1, retain=True)
        ends = self._loop.time() + _GOODBYE_S
        while info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and not info.is_published() and self._loop.time() < ends:
            await asyncio.sleep(0.01)

    async def _connect(self) -> None:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._eui,  # as its certificate is named
            clean_session=True,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(self._settings.window_batches + 1)  # the status is one more
        client.will_set(topics.status(self._eui), _status(False), qos=1, retain=True)
        if self._settings.username:
            client.username_pw_set(self._settings.username, self._password)
        if (tls := self._tls()) is not None:
            client.tls_set_context(tls)
        ready: asyncio.Future[None] = self._loop.create_future()
        self._client, self._stands, self._unacknowledged_status = client, True, None
        self._set_callbacks(client, ready)
        threading.Thread(target=self._open, args=(client, ready), name="broker-connect", daemon=True).start()
        try:
            async with asyncio.timeout(_CONNECT_S):
                await ready
        except TimeoutError as error:
            raise _ConnectionLost("no answer") from error

    def _tls(self) -> ssl.SSLContext | None:
        try:
            return broker_tls.context(self._settings)
        except ConfigError as error:
            raise _ConnectionLost(str(error)) from error

    def _open(self, client: mqtt.Client, ready: "asyncio.Future[None]") -> None:
        """In a thread of its own: looking up a name or a TLS handshake may take long."""
        try:
            client.connect(self._settings.host, self._settings.port, self._settings.keepalive_s)
            if client is self._client:
                client.loop_start()
            else:  # given up in the meantime
                client.disconnect()
        except (OSError, ValueError) as error:
            self._post(_settle, ready, _ConnectionLost(broker_tls.why(self._settings, str(error))))

    def _set_callbacks(self, client: mqtt.Client, ready: "asyncio.Future[None]") -> None:
        """All run in the client's thread, under its lock: post, and nothing else."""
        problem = ""  # the last that paho has logged: its own reasons say nothing of TLS

        def on_log(_client: mqtt.Client, _data: Any, level: int, text: str) -> None:
            nonlocal problem
            if level == LogLevel.MQTT_LOG_ERR:
                problem = text

        def on_connect(_client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            client.on_log = None
            if reason.is_failure:
                self._post(_settle, ready, _ConnectionLost(f"refused: {reason}"))
            else:
                client.subscribe([(topics.committed(self._eui), 1), (topics.down(self._eui), 1)])

        def on_subscribe(_client: mqtt.Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
            watermark, *commands = (reason.is_failure for reason in reasons)
            if any(commands) and not watermark:
                self._post(_log.warning, "may not subscribe to %s: nobody can send downlinks", topics.down(self._eui))
            self._post(_settle, ready, _ConnectionLost("may not subscribe to the watermark") if watermark else None)

        def on_disconnect(_client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            self._post(_settle, ready, _ConnectionLost(broker_tls.why(self._settings, problem or str(reason))))
            self._post(self._lost, client)

        def on_publish(_client: mqtt.Client, _data: Any, mid: int, _reason: Any, _properties: Any) -> None:
            self._post(self._acknowledged, client, mid)

        def on_message(_client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
            self._post(self._heard, client, message.topic, message.payload)

        client.on_log = on_log
        client.on_connect = on_connect
        client.on_subscribe = on_subscribe
        client.on_disconnect = on_disconnect
        client.on_publish = on_publish
        client.on_message = on_message

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop has closed: the service has stopped
            _log.debug("broker event after the stop")

    def _lost(self, client: mqtt.Client) -> None:
        if client is self._client:
            self._stands = self.connected = False
            self._something.set()

    def _acknowledged(self, client: mqtt.Client, message_id: int) -> None:
        if client is self._client:
            if message_id == self._unacknowledged_status:
                self._unacknowledged_status = None
            self._delivery.acknowledged(message_id, time.monotonic())
            self._something.set()

    def _heard(self, client: mqtt.Client, topic: str, payload: bytes) -> None:
        if client is not self._client:
            return
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
        self._watermark = seqs[READING]
        self._something.set()

    async def _forward(self) -> None:
        client = self._client
        assert client is not None
        await self._announce(client)
        self._metrics.count("broker_connections")
        _log.info("broker connected host=%s port=%d", self._settings.host, self._settings.port)
        held = await asyncio.to_thread(self._reader.held)
        self._delivery.restart(held.oldest - 1, time.monotonic())
        if held.oldest <= held.last:
            self._metrics.count("resends")
        while self._stands:
            self._something.clear()
            while self._events:
                client.publish(topics.events(self._eui), self._events.popleft(), qos=1)
            await self._apply_watermark()
            if time.monotonic() >= self._status_due_at:
                self._say_online(client)
            if await self._publish(client):
                continue
            if self._delivery.stalled(time.monotonic()):
                raise _ConnectionLost("it acknowledges nothing")
            await self._wait()
        raise _ConnectionLost("disconnected")

    async def _announce(self, client: mqtt.Client) -> None:
        """Say that we are here, and be connected once the broker has taken it: who asks from then on learns it."""
        self._say_online(client)
        ends_at = time.monotonic() + _CONNECT_S
        while self._stands and self._unacknowledged_status is not None:
            if time.monotonic() >= ends_at:
                raise _ConnectionLost("it does not acknowledge the status")
            self._something.clear()
            await self._woken(ends_at)
        if not self._stands:
            raise _ConnectionLost("disconnected")
        self.connected = True

    def _say_online(self, client: mqtt.Client) -> None:
        """Again and again: a broker that stores it beside a new subscription may show it to that one in neither way."""
        self._status_due_at = time.monotonic() + _STATUS_S
        if self._unacknowledged_status is None:
            payload = _status(True, self.numbering.epoch)
            self._unacknowledged_status = client.publish(topics.status(self._eui), payload, qos=1, retain=True).mid

    async def _woken(self, at: float) -> bool:
        """Wait for something to do, at most until ``at``; returns whether there is."""
        try:
            async with asyncio.timeout(max(0.0, at - time.monotonic())):
                return await self._something.wait()
        except TimeoutError:
            return False

    async def _wait(self) -> None:
        wake_at = self._delivery.wake_at()
        if not await self._woken(self._status_due_at if wake_at is None else min(wake_at, self._status_due_at)):
            now, due_at = time.monotonic(), self._delivery.resend_due_at()
            if due_at is not None and due_at <= now:
                self._delivery.resend(now)
                self._metrics.count("resends")

    async def _publish(self, client: mqtt.Client) -> bool:
        """Publish one batch if the window allows and there is one; returns whether it did."""
        held, first, messages = await asyncio.to_thread(self._read)
        if not messages:
            return False
        epoch, base = self.numbering
        batch = Batch(self._eui, epoch, READING, held.oldest - base, first - base, None, messages)
        payload = await asyncio.to_thread(encode_batch, batch)
        if not self._stands:
            return False
        info = client.publish(topics.up(self._eui), payload, qos=1)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise _ConnectionLost(mqtt.error_string(info.rc))
        last = first + len(messages) - 1
        self._delivery.sent(info.mid, last, time.monotonic())
        self._sent = max(self._sent, last)
        self._metrics.count("batches")
        _log.debug("> up seq=%d..%d bytes=%d", batch.first_seq, last - base, len(payload))
        return True

    def _read(self) -> tuple[Held, int, tuple[UplinkMessage, ...]]:
        held = self._reader.held()
        wanted = self._delivery.next_range(held.last)
        return (held, wanted[0], self._reader.messages(*wanted)) if wanted else (held, 0, ())

    async def _apply_watermark(self) -> None:
        seq, self._watermark = self._watermark, None
        if seq is None:
            return
        row = self.numbering.base + seq
        if row > self._sent:  # it cannot have come from us, and may not take what it has never seen
            held = await asyncio.to_thread(self._reader.held)
            self._metrics.count("watermarks_ahead")
            epoch, _ = self._begin_epoch(held)
            _log.warning("the cloud has seq=%d, which was never sent; epoch=%d began", seq, epoch)
            self._delivery.restart(held.oldest - 1, time.monotonic())
            return
        try:
            await self._writer.run(lambda: self._ledger.delete_up_to(row))
        except StoreError as error:  # the rows stay; the next watermark deletes them too
            _log.warning("%s", error)
            return
        held = await asyncio.to_thread(self._reader.held)
        self._metrics.count("watermarks")
        self._note_direction(seq)
        self._delivery.watermark(max(row, held.oldest - 1), time.monotonic())

    def _note_direction(self, seq: int) -> None:
        if seq < self._seen:
            self._metrics.count("watermarks_backwards")
            _log.warning("the cloud's watermark went back from seq=%d to seq=%d", self._seen, seq)
        self._seen = seq

    def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()  # its thread ends by itself


class _ConnectionLost(Exception):
    """The connection to the broker does not stand; the argument says why."""


def _clock_offset_s() -> float:
    return time.time() - time.monotonic()


async def _pause(pause_s: float, clock_offset_s: float) -> None:
    """Wait, but no longer than until our clock is set: a certificate that was not valid yet may be so now."""
    ends_at = time.monotonic() + pause_s
    while (left_s := ends_at - time.monotonic()) > 0 and abs(_clock_offset_s() - clock_offset_s) < _CLOCK_STEP_S:
        await asyncio.sleep(min(left_s, _CLOCK_LOOK_S))


def _settle(ready: "asyncio.Future[None]", problem: _ConnectionLost | None) -> None:
    if ready.done():
        return
    if problem is None:
        ready.set_result(None)
    else:
        ready.set_exception(problem)


def _status(online: bool, epoch: int | None = None) -> str:
    return json.dumps({"online": online} | ({} if epoch is None else {"epoch": epoch}))


def _password(settings: MqttSection) -> str | None:
    if settings.password_file is None:
        return None
    try:
        return broker_tls.readable("password_file", settings.password_file).read_text("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ConfigError("[mqtt]", f"password_file {settings.password_file} is no text in UTF-8") from error
