# SPDX-License-Identifier: EUPL-1.2
"""The stream in which nats-server keeps what gateways publish over MQTT, and the durable consumers that workers share:
one for each lane, so that an alarm waits behind no reading.

nats-server 2.15.1 stores every QoS 1 publish in the stream ``$MQTT_msgs``, the topic ``a/b`` under the subject
``$MQTT.msgs.a.b`` with the header ``Nmqtt-Pub: 1``. By itself it makes that stream with *interest* retention, which
keeps nothing without an MQTT subscriber; it takes one that is there already. So we make it, with *limits* retention:
then a PUBACK means that the message is in the stream we read (on a cluster: on most of its nodes). The server's
documentation does not promise this: tests/cloud_ingest/test_jetstream.py pins it.
"""

import asyncio
import ssl
from dataclasses import replace
from typing import Any
from urllib.parse import ParseResult

import nats.errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from cloud_ingest.config import Config, JetStreamSettings, MqttSettings
from cloud_ingest.errors import BrokerError
from cloud_ingest.lane_names import own_name
from cloud_ingest.subscriber import password, tls_context
from decoders import topics
from decoders.records import LANES

STREAM = "$MQTT_msgs"
_PREFIX = "$MQTT.msgs."
_CONNECT_S = 5


def subject_of(topic: str) -> str:
    """Where the stream has what was published to an MQTT topic (or what a filter matches)."""
    return _PREFIX + topic.replace("/", ".").replace("+", "*")


def topic_of(subject: str) -> str:
    """The MQTT topic of a message in the stream. A topic with dots in a level would look the same; ours have none."""
    return subject.removeprefix(_PREFIX).replace(".", "/")


def consumer_of(settings: JetStreamSettings, lane: int) -> str:
    """The durable consumer of a lane."""
    return own_name(settings.consumer, lane)


def identity(mqtt: MqttSettings) -> dict[str, Any]:
    """Who we are to the server, as nats-py takes it; raises ConfigError for a file that cannot be used."""
    return {
        "user": mqtt.username or None,
        "password": password(mqtt) if mqtt.username else None,
        "tls": tls_context(mqtt) if mqtt.tls else None,
    }


async def connect(mqtt: MqttSettings, server: str) -> Client:
    """A connection to one server, which does not reconnect; raises BrokerError or ConfigError."""
    said: list[str] = []

    async def note(error: Exception) -> None:
        said.append(str(error))

    who = identity(mqtt)
    client = Client()
    client._transport = _Transport(mqtt.tls or server.startswith("tls://"))
    try:
        await client.connect(
            server,
            **who,
            allow_reconnect=False,
            max_reconnect_attempts=1,  # counts for the first connection, too
            reconnect_time_wait=0,
            connect_timeout=_CONNECT_S,
            error_cb=note,
            name=mqtt.client_id,
        )
    except (TimeoutError, nats.errors.Error, OSError) as error:
        reason = next((text for text in [*said, str(error)] if text), type(error).__name__)
        raise BrokerError(server, f"cannot be used ({reason})") from error
    return client


class _Transport(TcpTransport):
    """One that ``encrypts`` or says nothing, and tells its stream when it turns to TLS.

    nats-py 2.16 turns to TLS if the server asks for it, so whoever stands between could have our password in clear. It
    does not tell the stream (its issue 574), and asyncio complains of that whenever such a connection ends.
    """

    def __init__(self, encrypts: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._may_write = not encrypts

    def write(self, payload: bytes) -> None:
        self._refuse_in_clear()
        super().write(payload)  # type: ignore[no-untyped-call]

    def writelines(self, payload: list[bytes]) -> None:
        self._refuse_in_clear()
        super().writelines(payload)  # type: ignore[no-untyped-call]

    def _refuse_in_clear(self) -> None:
        if not self._may_write:
            raise nats.errors.Error("it offers no TLS")

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        assert self._io_writer is not None
        transport = self._io_writer.transport
        protocol = transport.get_protocol()
        assert isinstance(protocol, asyncio.StreamReaderProtocol)
        protocol.connection_made(transport)
        self._may_write = True

    def __bool__(self) -> bool:
        return True  # so that the client takes it for its own


async def ensure(client: Client, settings: JetStreamSettings) -> bool:
    """Make stream and consumers what the settings say, whatever is there; True if the stream was not so before.

    Raises nats' errors while the cluster has no leader, or if it does not let us."""
    jetstream = client.jetstream()
    wanted = StreamConfig(
        name=STREAM,
        subjects=[_PREFIX + ">"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        num_replicas=settings.replicas,
        max_bytes=settings.max_mb << 20,
        max_age=settings.max_age_h * 3600.0,
    )
    try:
        found = (await jetstream.stream_info(STREAM)).config
    except NotFoundError:
        await jetstream.add_stream(wanted)
        is_changed = True
    else:
        fields = ("retention", "discard", "num_replicas", "max_bytes", "max_age")
        changes = {name: getattr(wanted, name) for name in fields if getattr(found, name) != getattr(wanted, name)}
        is_changed = bool(changes)
        if changes:
            await jetstream.update_stream(replace(found, **changes))
    for lane in LANES:
        await _ensure_consumer(jetstream, settings, lane)
    return is_changed


async def _ensure_consumer(jetstream: JetStreamContext, settings: JetStreamSettings, lane: int) -> None:
    await jetstream.add_consumer(
        STREAM,
        ConsumerConfig(
            durable_name=consumer_of(settings, lane),
            filter_subjects=[subject_of(topic) for topic in topics.up_filters(lane)],
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=settings.ack_wait_s,
            max_deliver=-1,  # a message that kills its worker is counted by us (attempts.py)
            max_ack_pending=settings.max_in_hand,
        ),
    )


def set_up(config: Config) -> bool:
    """Do what ``ensure`` does, on the first server that answers; raises BrokerError."""
    return asyncio.run(_set_up(config))


async def _set_up(config: Config) -> bool:
    problem: BrokerError | None = None
    for server in config.jetstream.servers:
        try:
            client = await connect(config.mqtt, server)
        except BrokerError as error:
            problem = error
            continue
        try:
            return await ensure(client, config.jetstream)
        except (TimeoutError, nats.errors.Error) as error:
            reason = client.last_error or error
            raise BrokerError(server, f"does not let us make the stream {STREAM} ({reason!r})") from error
        finally:
            await client.close()
    raise problem or BrokerError("jetstream.servers", "is empty; name at least one, such as nats://127.0.0.1:4222")
