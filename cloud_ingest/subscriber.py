# SPDX-License-Identifier: EUPL-1.2
"""The MQTT shell: paho's clients with persistent sessions, QoS 1 and manual acknowledgement.

Each lane comes over a session of its own, because a broker hands over what waits in a session in the order it came: an
alarm behind a backlog of readings would wait for all of it. Lanes share one session where they cannot have their own
(``sessions``).

A message is acknowledged only after its commit, and only on the connection it came over: message ids mean nothing on
the next. Watermarks (publisher.py) are published again at every connection, for a broker that has forgotten them.
"""

import itertools
import logging
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cloud_ingest.config import MqttSettings
from cloud_ingest.errors import ConfigError
from cloud_ingest.lane_names import own_name
from cloud_ingest.publisher import Publisher
from cloud_ingest.store import SqliteStore
from cloud_ingest.writer import Delivery, Writer
from decoders import topics
from decoders.records import LANES, READING

_log = logging.getLogger(__name__)

_HEAD_START_S = 5.0  # of the session of a lower lane, at most, before the next begins to connect


class SessionPlan(NamedTuple):
    """A session: as whom, and for which lanes."""

    settings: MqttSettings
    lanes: tuple[int, ...]


def sessions(settings: MqttSettings) -> list[SessionPlan]:
    """Lanes in sessions of their own, in the order in which to connect; that of the readings has the plain name.

    A broker may give every client the id of its certificate (our mosquitto.conf), so with certificates a further
    session needs one of its own: ``ingest-alarm.pem`` beside ``ingest.pem``. Without it, the lane shares."""
    own = {lane: found for lane in LANES if (found := _own_session(settings, lane)) is not None}
    shared = tuple(lane for lane in LANES if lane == READING or lane not in own)
    return [SessionPlan(own[lane], shared if lane == READING else (lane,)) for lane in own]


def _own_session(settings: MqttSettings, lane: int) -> MqttSettings | None:
    if lane == READING:
        return settings
    if not settings.session_per_lane:
        return None
    own = replace(settings, client_id=own_name(settings.client_id, lane))
    if settings.cert_file is None:
        return own
    certificate, key = (
        None if path is None else path.with_stem(own_name(path.stem, lane))
        for path in (settings.cert_file, settings.key_file)
    )
    absent = [path for path in (certificate, key) if path is not None and not path.exists()]
    if absent:
        _log.info(
            "the %s lane shares the session of the readings: %s does not exist", topics.lane_name(lane), absent[0]
        )
        return None
    return replace(own, cert_file=certificate, key_file=key)


class Subscriber:
    """Brings what the broker delivers to ``writer`` and what is committed back to the broker.

    ``brings`` False: only the latter; puller.py does the former."""

    def __init__(self, settings: MqttSettings, store: SqliteStore, writer: Writer, brings: bool = True) -> None:
        """Raises ConfigError for what is wrong with the files that ``settings`` names."""
        plans = sessions(settings) if brings else [SessionPlan(settings, ())]
        self._sessions = [_Session(plan, writer) for plan in plans]
        self._telling = next(session for session in self._sessions if session.client_id == settings.client_id)
        self._telling.on_ready = self._tell_all
        self._publisher = Publisher(store, self._telling.publish)
        self._writer = writer
        self._stopped = threading.Event()
        self._starting = threading.Thread(target=self._start, name="subscriber")

    @property
    def connected(self) -> bool:
        """The broker has accepted us and our subscriptions, in all sessions."""
        return all(session.ready.is_set() for session in self._sessions)

    def start(self) -> None:
        """Begin to connect; before the writer starts."""
        self._writer.after_commit(self._tell_news)
        self._starting.start()

    def _start(self) -> None:
        for session in self._sessions:
            session.start()
            deadline = time.monotonic() + _HEAD_START_S
            while not session.ready.is_set() and time.monotonic() < deadline:
                if self._stopped.wait(0.02):
                    return

    def stop(self) -> None:
        self._stopped.set()
        self._starting.join()
        for session in self._sessions:
            session.stop()

    def _tell_all(self) -> None:
        self._writer.put(self._publisher.tell_all)

    def _tell_news(self) -> None:
        if self._telling.ready.is_set():  # else all are told at the next connection
            self._publisher.tell_news()


class _Session:
    """One persistent session, connected again and again. ``ready``: the broker has accepted us and our subscription."""

    def __init__(self, plan: SessionPlan, writer: Writer) -> None:
        settings, lanes = plan
        self.client_id = settings.client_id
        self.ready = threading.Event()
        self.on_ready: Callable[[], None] = lambda: None
        self._settings = settings
        self._filters = [topic for lane in lanes for topic in topics.up_filters(lane)]
        others = (topic for lane in LANES if lane not in lanes for topic in topics.up_filters(lane))
        self._others = list(others)  # which an older plan may have left in the session
        self._writer = writer
        self._brokers = itertools.cycle([(settings.host, settings.port), *settings.other_brokers()])
        self._address = next(self._brokers)
        self._connection = 0
        self._unreachable = False
        self._stopped = threading.Event()
        self._client = _client(settings)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def start(self) -> None:
        self._client.connect_async(*self._address, self._settings.keepalive_s)
        self._client.loop_start()

    def stop(self) -> None:
        self._stopped.set()
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain)

    def _on_connect(self, client: Client, _: Any, flags: ConnectFlags, code: ReasonCode, __: Properties | None) -> None:
        if code.is_failure:
            _log.warning("broker refuses %s host=%s port=%d: %s", self.client_id, *self._address, refusal(code))
            return
        self._connection += 1
        self._unreachable = False
        kind = "old" if flags.session_present else "new"
        _log.info("broker connected host=%s port=%d client=%s session=%s", *self._address, self.client_id, kind)
        if flags.session_present and self._others:
            client.unsubscribe(self._others)
        if self._filters:
            client.subscribe([(topic, 1) for topic in self._filters])
        else:
            self._become_ready()

    def _on_subscribe(self, _: Client, __: Any, ___: int, codes: list[ReasonCode], ____: Properties | None) -> None:
        refused = [topic for topic, code in zip(self._filters, codes, strict=False) if code.is_failure]
        if refused:
            _log.warning("broker refuses the subscription of %s to %s", self.client_id, ", ".join(refused))
        if len(refused) < len(self._filters):  # or rights from before lanes had topics would stop older gateways, too
            self._become_ready()

    def _become_ready(self) -> None:
        self.ready.set()
        self.on_ready()

    def _on_disconnect(
        self, _: Client, __: Any, ___: DisconnectFlags, ____: ReasonCode, _____: Properties | None
    ) -> None:
        stood = self.ready.is_set()
        self.ready.clear()
        if not self._stopped.is_set():
            if stood or not self._unreachable:
                _log.warning("broker connection lost host=%s port=%d client=%s", *self._address, self.client_id)
            self._turn_to_next()

    def _on_connect_fail(self, _: Client, __: Any) -> None:
        if not self._unreachable:  # once, not at every attempt
            problem = sys.exception()  # paho calls this while it handles it
            _log.warning("broker cannot be reached host=%s port=%d: %s; trying again", *self._address, problem)
        self._unreachable = True
        self._turn_to_next()

    def _turn_to_next(self) -> None:
        """Of a cluster any node will do."""
        self._address = next(self._brokers)
        self._client.connect_async(*self._address, self._settings.keepalive_s)

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        done = partial(self._done, self._connection, message.mid, message.qos)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = repr(message._topic)
        self._writer.put(Delivery(topic, bytes(message.payload), done, message.dup))

    def _done(self, connection: int, mid: int, qos: int) -> None:
        if connection == self._connection:
            self._client.ack(mid, qos)


def _client(settings: MqttSettings) -> Client:
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=settings.client_id,
        clean_session=False,
        protocol=MQTTProtocolVersion.MQTTv311,
        manual_ack=True,
    )
    # A cluster that has lost a node takes us as soon as it has elected: gateways wait for what we then tell them.
    client.reconnect_delay_set(1, 1 if settings.cluster else settings.reconnect_max_s)
    if settings.username:
        client.username_pw_set(settings.username, password(settings))
    if settings.tls:
        client.tls_set_context(tls_context(settings))
    return client


def tls_context(settings: MqttSettings) -> ssl.SSLContext:
    for key, path in (
        ("ca_file", settings.ca_file),
        ("cert_file", settings.cert_file),
        ("key_file", settings.key_file),
    ):
        if path is not None:
            _text(key, path)
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except ssl.SSLError as error:
        raise ConfigError(f"mqtt.ca_file: {settings.ca_file}", "holds no certificate in PEM form") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if settings.cert_file is not None:
        try:
            # an encrypted key must not make it ask
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
        except ssl.SSLError as error:
            where = f"mqtt.cert_file: {settings.cert_file}"
            raise ConfigError(
                where, "is no certificate in PEM form, or mqtt.key_file is not its key or has a passphrase"
            ) from error
    return context


def password(settings: MqttSettings) -> str | None:
    return None if settings.password_file is None else _text("password_file", settings.password_file).strip()


def _text(key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"mqtt.{key}: {path}", f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"mqtt.{key}: {path}", "is not text in UTF-8") from error


# What a broker of MQTT 3.1.1 may answer (OASIS "Connect Return code values"), in words for who runs us.
_REFUSALS = {
    "Unsupported protocol version": "it does not speak MQTT 3.1.1",
    "Client identifier not valid": "it does not take our mqtt.client_id",
    "Server unavailable": "it is not ready yet",
    "Bad user name or password": "mqtt.username or the password in mqtt.password_file is wrong",
    "Not authorized": "it does not let mqtt.username in; check the name, the password and its rights",
}


def refusal(code: ReasonCode) -> str:
    """Why a broker refuses us, in plain words."""
    return _REFUSALS.get(code.getName(), "it gives no reason that we know; its own log may say more")
