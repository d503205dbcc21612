# SPDX-License-Identifier: EUPL-1.2
"""What we rely on of nats-server and is nowhere promised, held to the real one; and the stream that we make there."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy
from paho.mqtt import publish

from cloud_ingest import jetstream
from cloud_ingest.config import JetStreamSettings, MqttSettings
from cloud_ingest.errors import BrokerError
from tests.cloud_ingest.brokers import BIN, Nats
from tests.cloud_ingest.world import GATEWAY, UP

SETTINGS = JetStreamSettings(max_mb=16, max_age_h=1)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Nats]:
    found = Nats(tmp_path)
    found.start()
    yield found
    found.stop()


def on(broker: Nats, work: Callable[[Client], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        client = await jetstream.connect(MqttSettings(), broker.server)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(main())


async def pulled(client: Client, at_most: int, consumer: str = SETTINGS.consumer) -> list[Any]:
    subscription = await client.jetstream().pull_subscribe_bind(consumer, jetstream.STREAM)
    return list(await subscription.fetch(at_most, timeout=60))


async def stream(client: Client) -> Any:
    return await client.jetstream().stream_info(jetstream.STREAM)


class TestServer:
    """nats-server 2.15.1: what its documentation does not promise. After an update of it, look here first."""

    def test_its_version_is_the_one_this_was_found_out_with(self) -> None:
        said = subprocess.run([BIN / "nats-server", "--version"], capture_output=True, text=True, check=True).stdout

        assert said.strip() == "nats-server: v2.15.1"

    def test_it_takes_the_stream_that_is_there_and_keeps_each_acknowledged_publish_in_it(self, broker: Nats) -> None:
        on(broker, lambda client: jetstream.ensure(client, SETTINGS))

        publish.single(UP, b"\x00 a batch \xff", qos=1, hostname="127.0.0.1", port=broker.mqtt_port)

        [message] = on(broker, lambda client: pulled(client, 1))
        assert message.subject == "$MQTT.msgs.stadtfunk.1.0016c001f1500812.up.reading"
        assert message.headers == {"Nmqtt-Pub": "1"}
        assert message.data == b"\x00 a batch \xff"
        assert message.metadata.num_delivered == 1
        assert on(broker, stream).config.retention == RetentionPolicy.LIMITS

    def test_a_consumer_with_filters_gets_what_is_published_on_its_topics_and_nothing_else(self, broker: Nats) -> None:
        on(broker, lambda client: jetstream.ensure(client, SETTINGS))

        for channel in ("up", "up/reading", "up/diagnostic", "up/alarm"):
            topic = f"stadtfunk/1/{GATEWAY}/{channel}"
            publish.single(topic, channel.encode(), qos=1, hostname="127.0.0.1", port=broker.mqtt_port)

        found = {}
        for consumer in ("stadtfunk-ingest-alarm", "stadtfunk-ingest", "stadtfunk-ingest-diagnostic"):
            messages = on(broker, lambda client, consumer=consumer: pulled(client, 4, consumer))
            found[consumer] = [message.data for message in messages]
        assert found == {
            "stadtfunk-ingest-alarm": [b"up/alarm"],
            "stadtfunk-ingest": [b"up", b"up/reading"],
            "stadtfunk-ingest-diagnostic": [b"up/diagnostic"],
        }

    def test_a_consumer_that_is_given_another_filter_keeps_its_place(self, broker: Nats) -> None:
        """One of a version before lanes had topics: nothing that it has acknowledged comes again."""
        older = ConsumerConfig(
            durable_name=SETTINGS.consumer,
            filter_subject="$MQTT.msgs.stadtfunk.1.*.up",
            ack_policy=AckPolicy.EXPLICIT,
        )
        old_topic = f"stadtfunk/1/{GATEWAY}/up"

        async def work_of_the_older(client: Client) -> None:
            await client.jetstream().add_consumer(jetstream.STREAM, older)
            for message in await pulled(client, 2):
                await message.ack_sync()

        on(broker, lambda client: client.jetstream().add_stream(name=jetstream.STREAM, subjects=["$MQTT.msgs.>"]))
        for payload in (b"first", b"second", b"third"):
            publish.single(old_topic, payload, qos=1, hostname="127.0.0.1", port=broker.mqtt_port)
        on(broker, work_of_the_older)

        on(broker, lambda client: jetstream.ensure(client, SETTINGS))
        publish.single(UP, b"fourth", qos=1, hostname="127.0.0.1", port=broker.mqtt_port)

        assert [message.data for message in on(broker, lambda client: pulled(client, 2))] == [b"third", b"fourth"]

    def test_by_itself_it_makes_one_that_keeps_nothing(self, broker: Nats) -> None:
        publish.single(UP, b"a batch", qos=1, hostname="127.0.0.1", port=broker.mqtt_port)

        found = on(broker, stream)

        assert (found.config.retention, found.state.messages) == (RetentionPolicy.INTEREST, 0)


class TestSetUp:
    def test_a_stream_that_a_gateway_was_there_before_is_put_right(self, broker: Nats) -> None:
        publish.single(UP, b"lost to the stream", qos=1, hostname="127.0.0.1", port=broker.mqtt_port)

        changed = on(broker, lambda client: jetstream.ensure(client, SETTINGS))
        publish.single(UP, b"kept", qos=1, hostname="127.0.0.1", port=broker.mqtt_port)

        config = on(broker, stream).config
        assert changed
        assert (config.retention, config.max_bytes, config.max_age) == (RetentionPolicy.LIMITS, 16 << 20, 3600)
        assert [message.data for message in on(broker, lambda client: pulled(client, 1))] == [b"kept"]

    def test_doing_it_again_changes_nothing_and_new_limits_do(self, broker: Nats) -> None:
        assert on(broker, lambda client: jetstream.ensure(client, SETTINGS))
        assert not on(broker, lambda client: jetstream.ensure(client, SETTINGS))

        larger = JetStreamSettings(max_mb=32, max_age_h=1, ack_wait_s=7, max_in_hand=20)

        assert on(broker, lambda client: jetstream.ensure(client, larger))
        assert on(broker, stream).config.max_bytes == 32 << 20
        consumer = on(broker, lambda client: client.jetstream().consumer_info(jetstream.STREAM, SETTINGS.consumer))
        assert (consumer.config.ack_wait, consumer.config.max_ack_pending) == (7, 20)

    def test_a_server_that_is_not_there_is_one_clear_line(self, broker: Nats) -> None:
        broker.stop()

        with pytest.raises(BrokerError, match=f"{broker.server}: cannot be used"):
            on(broker, stream)


class TestNames:
    """NATS documentation, "MQTT": levels are tokens, `/` is `.`, `+` is `*`."""

    def test_a_topic_and_its_subject(self) -> None:
        assert jetstream.subject_of("stadtfunk/1/+/up") == "$MQTT.msgs.stadtfunk.1.*.up"
        assert jetstream.topic_of("$MQTT.msgs.stadtfunk.1.0016c001f1500812.up.reading") == UP
