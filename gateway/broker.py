# SPDX-License-Identifier: EUPL-1.2
"""One connection to the broker: MQTT 3.1.1, clean session, a client of its own. Publishes with QoS 1.

It subscribes with QoS 0: watermarks and commands are said again until they show. For QoS 1 a NATS cluster would keep
two replicated logs for each gateway, whose leaders a connection then waits for.

The client's network thread only posts to the event loop, which alone decides. The client keeps no queue: who publishes
sees to it that no more is in flight than was said at the beginning.
"""

import asyncio
import hashlib
import logging
import ssl
import threading
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode

from decoders import topics
from gateway import broker_tls
from gateway.config import MqttSection
from gateway.errors import ConfigError

_log = logging.getLogger(__name__)


class ConnectionLost(Exception):
    """The connection to the broker does not stand; the argument says why."""


class Broker:
    """Create it in the event loop, ``open`` it once, ``close`` it in any case."""

    def __init__(self, settings: MqttSection, gateway_eui: str, *, will: str, in_flight: int) -> None:
        """``will``: what the broker publishes as our status when we are gone. Raises ConfigError."""
        self.on_message: Callable[[str, bytes], None] = lambda _topic, _payload: None
        self.on_acknowledged: Callable[[int], None] = lambda _message_id: None
        self.on_lost: Callable[[], None] = lambda: None
        self.host, self.port = settings.host, settings.port
        self.stands = True  # nothing has ended it
        self._settings = settings
        self._eui = gateway_eui
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=_client_id(settings, gateway_eui),
            clean_session=True,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.max_inflight_messages_set(in_flight)
        self._client.will_set(topics.status(gateway_eui), will, qos=1, retain=True)
        if settings.username:
            self._client.username_pw_set(settings.username, password(settings))

    async def open(self, patience_s: float) -> None:
        """Connect and subscribe within ``patience_s``; raises ConnectionLost."""
        if (tls := self._tls()) is not None:
            self._client.tls_set_context(tls)
        self._set_callbacks()
        threading.Thread(target=self._open, name="broker-connect", daemon=True).start()
        try:
            async with asyncio.timeout(patience_s):
                await self._ready
        except TimeoutError as error:
            raise ConnectionLost("no answer") from error

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> int:
        """Returns the message id that will be acknowledged; raises ConnectionLost."""
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise ConnectionLost(mqtt.error_string(info.rc))
        return info.mid

    def close(self) -> None:
        """Its thread ends by itself."""
        self._closed, self.stands = True, False
        self._client.disconnect()

    def _tls(self) -> ssl.SSLContext | None:
        try:
            return broker_tls.context(self._settings)
        except ConfigError as error:
            raise ConnectionLost(str(error)) from error

    def _open(self) -> None:
        """In a thread of its own: looking up a name or a TLS handshake may take long."""
        try:
            self._client.connect(self._settings.host, self._settings.port, self._settings.keepalive_s)
            if self._closed:  # given up in the meantime
                self._client.disconnect()
            else:
                self._client.loop_start()
        except (OSError, ValueError) as error:
            self._post(self._settle, ConnectionLost(broker_tls.why(self._settings, str(error))))

    def _set_callbacks(self) -> None:
        """All run in the client's thread, under its lock: post, and nothing else."""
        problem = ""  # the last that paho has logged: its own reasons say nothing of TLS

        def on_log(_client: mqtt.Client, _data: Any, level: int, text: str) -> None:
            nonlocal problem
            if level == LogLevel.MQTT_LOG_ERR:
                problem = text

        def on_connect(client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            client.on_log = None
            if reason.is_failure:
                self._post(self._settle, ConnectionLost(f"refused: {reason}"))
            else:
                client.subscribe([(topics.committed(self._eui), 0), (topics.down(self._eui), 0)])

        def on_subscribe(_client: mqtt.Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
            watermark, *commands = (reason.is_failure for reason in reasons)
            if any(commands) and not watermark:
                self._post(_log.warning, "may not subscribe to %s: nobody can send downlinks", topics.down(self._eui))
            self._post(self._settle, ConnectionLost("may not subscribe to the watermark") if watermark else None)

        def on_disconnect(_client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            self._post(self._settle, ConnectionLost(broker_tls.why(self._settings, problem or str(reason))))
            self._post(self._lost)

        def on_publish(_client: mqtt.Client, _data: Any, mid: int, _reason: Any, _properties: Any) -> None:
            self._post(self._acknowledged, mid)

        def on_message(_client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
            self._post(self._heard, message.topic, message.payload)

        self._client.on_log = on_log
        self._client.on_connect = on_connect
        self._client.on_subscribe = on_subscribe
        self._client.on_disconnect = on_disconnect
        self._client.on_publish = on_publish
        self._client.on_message = on_message

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop has closed: the service has stopped
            _log.debug("broker event after the stop")

    def _settle(self, problem: ConnectionLost | None) -> None:
        if self._ready.done():
            return
        if problem is None:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(problem)

    def _lost(self) -> None:
        if not self._closed:
            self.stands = False
            self.on_lost()

    def _acknowledged(self, message_id: int) -> None:
        if not self._closed:
            self.on_acknowledged(message_id)

    def _heard(self, topic: str, payload: bytes) -> None:
        if not self._closed:
            self.on_message(topic, payload)


def _client_id(settings: MqttSection, gateway_eui: str) -> str:
    """The EUI and what nobody else can know. A broker ends the connection of whoever has the id of one that connects,
    and not all ask whose id it is (NATS). The same at every start, so that it ends what is left of ours."""
    path = settings.key_file if settings.cert_file is not None else settings.password_file
    if path is None:
        return gateway_eui
    secret = broker_tls.readable("key_file" if path == settings.key_file else "password_file", path).read_bytes()
    return f"{gateway_eui}-{hashlib.blake2s(secret, digest_size=8, person=b'mqtt id').hexdigest()}"


def password(settings: MqttSection) -> str | None:
    """The broker's password from its file; raises ConfigError."""
    if settings.password_file is None:
        return None
    try:
        return broker_tls.readable("password_file", settings.password_file).read_text("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ConfigError("[mqtt]", f"password_file {settings.password_file} is no text in UTF-8") from error
