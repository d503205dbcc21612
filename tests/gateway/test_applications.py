# SPDX-License-Identifier: EUPL-1.2
"""Applications over a real broker: commands in, downlinks on the air, events back; nodes that listen all the time."""

import asyncio
import json
import threading
import time

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from decoders import topics
from decoders.downlink import DownlinkCommand, encode_command
from decoders.lorawan.frame import ACK, CONFIRMED_DOWN
from gateway import mac_control
from tests.gateway.nodes import GATEWAY_EUI, Node
from tests.gateway.radio_world import GWMP, STATION, world
from tests.gateway.running import Broker, by_command, eventually


class Application:
    """What asks for downlinks over the broker, and keeps the events."""

    def __init__(self, broker):
        self.events = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="application", protocol=mqtt.MQTTv311)
        self._client.on_message = lambda _client, _data, message: self.events.append(json.loads(message.payload))
        self._client.on_connect = lambda client, *_: client.subscribe(topics.events(GATEWAY_EUI), qos=1)
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert subscribed.wait(60)

    def ask(self, payload):
        self._client.publish(topics.down(GATEWAY_EUI), payload, qos=1)

    def states(self, name="one"):
        return [event["state"] for event in self.events if event["id"] == name]

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def application(broker):
    application = Application(broker)
    yield application
    application.close()


def over(broker):
    return {"mqtt": {"port": broker.port}}


def named(name="one", confirmed=False):
    return encode_command(DownlinkCommand(name, Node().dev_eui, 21, b"\x01\x02", confirmed, time.time() + 30 * 86_400))


class TestOverMqtt:
    @pytest.mark.parametrize("kind", [GWMP, STATION])
    def test_a_command_reaches_the_node_and_its_acknowledgement_the_application(self, broker, application, kind):
        with world(**over(broker)) as made:
            made.concentrator(kind)
            node = made.nodes[0]
            made.join(node)
            eventually(lambda: made.gateway.status()["broker_connected"])
            application.ask(named(confirmed=True))
            eventually(lambda: application.states() == ["queued"])

            made.send(node.uplink())
            (down,) = made.wait(30)
            frame = node.open_downlink(down.phy_payload, 0)
            assert frame.decrypt(node.nwk_s_key, node.app_s_key, 0) == b"\x01\x02"
            eventually(lambda: application.states() == ["queued", "sent"])
            made.send(node.uplink(f_ctrl=ACK))
            made.wait(30)

            eventually(lambda: application.states() == ["queued", "sent", "acknowledged"])

    def test_a_command_that_comes_again_later_is_answered_with_its_end_and_not_sent_again(self, broker, application):
        with world(**over(broker)) as made:
            made.concentrator(GWMP)
            node = made.nodes[0]
            made.join(node)
            eventually(lambda: made.gateway.status()["broker_connected"])
            application.ask(named("once"))
            eventually(lambda: application.states("once") == ["queued"])
            made.send(node.uplink())
            assert len(made.wait(30)) == 1
            eventually(lambda: application.states("once") == ["queued", "sent"])

            application.ask(named("once"))
            eventually(lambda: application.states("once") == ["queued", "sent", "sent"])
            made.send(node.uplink())

            assert made.wait(30) == []
            assert made.gateway.metrics.counters["commands"] == 1

    def test_a_command_that_is_none_is_refused_with_a_reason(self, broker, application):
        with world(**over(broker)) as made:
            eventually(lambda: made.gateway.status()["broker_connected"])
            application.ask('{"id": "bad", "f_port": 0}')
            application.ask(
                encode_command(DownlinkCommand("stranger", Node(99).dev_eui, 21, b"", False, time.time() + 86_400))
            )
            application.ask("nonsense")

            eventually(lambda: made.gateway.metrics.counters["commands_refused"] == 3)
            eventually(lambda: len(application.events) == 2)
            assert application.states("bad") == ["refused"]
            assert application.events[1]["reason"] == "unknown_dev_eui"

    @pytest.mark.parametrize("kind", [GWMP, STATION])
    def test_a_class_c_node_gets_it_at_once(self, broker, application, kind):
        with world(**over(broker)) as made:
            concentrator = made.concentrator(kind)
            node = made.nodes[0]
            with by_command(made.config) as ledger:
                ledger.set_class(node.dev_eui, "C")
            eventually(lambda: node.dev_eui in made.gateway._applications.class_c)
            made.join(node)
            made.send(node.uplink())
            made.wait(30)
            eventually(lambda: made.gateway.status()["broker_connected"])

            for n, name in enumerate(("one", "two")):
                application.ask(named(name))
                eventually(lambda: made.gateway.metrics.counters["downlinks"] == 2 + n)  # noqa: B023
                eventually(lambda: concentrator.poll() or concentrator.counters.asked == 2 + n)  # noqa: B023
                (down,) = made.wait(5)
                made.send(node.uplink())  # so that the gateway knows how late it is
                made.wait(60)

                assert (down.frequency_hz, down.sf) == (869_525_000, 12)
                frame = node.open_downlink(down.phy_payload, n)
                assert frame.decrypt(node.nwk_s_key, node.app_s_key, n) == b"\x01\x02"


class TestClassC:
    """TS001-1.0.4 "Class C"."""

    @pytest.fixture
    def network(self):
        return {}

    @pytest.fixture
    def listening(self, broker, application, network):
        """A gateway with a node that listens all the time."""
        with world(nodes=2, network=network, **over(broker)) as made:
            made.it = made.concentrator(GWMP)
            made.node, made.other = made.nodes
            with by_command(made.config) as ledger:
                ledger.set_class(made.node.dev_eui, "C")
            eventually(lambda: made.node.dev_eui in made.gateway._applications.class_c)
            made.join(made.node)
            made.send(made.node.uplink())
            made.wait(30)
            made.join(made.other)
            eventually(lambda: made.gateway.status()["broker_connected"])
            yield made

    def retry(self, made, at_s):
        """As if it were that late."""
        applications, loop = made.gateway._applications, made.gateway._loop
        asyncio.run_coroutine_threadsafe(applications.retry(at_s), loop).result(60)

    def due_s(self, made):
        """When the only one that waits for its acknowledgement is to be sent again."""
        (wait,) = eventually(lambda: list(made.gateway._applications._waits.values()))
        return wait.at_s

    def down(self, made, asked):
        """The one that the concentrator is asked to send next, the ``asked``th of all."""
        eventually(lambda: made.gateway.metrics.counters["downlinks"] == asked)
        eventually(lambda: made.it.poll() or made.it.counters.asked == asked)
        (down,) = made.wait(5)
        made.send(made.other.uplink())  # so that the gateway knows how late it is
        made.wait(60)
        return down

    def test_a_confirmed_one_is_sent_again_without_an_uplink_and_then_given_up(self, listening, application):
        made, node = listening, listening.node
        application.ask(named("valve", confirmed=True))
        for n in range(3):
            began_s = time.monotonic()
            frame = node.open_downlink(self.down(made, 3 + n).phy_payload, n)
            assert (frame.m_type, frame.fhdr.f_cnt) == (CONFIRMED_DOWN, n)
            assert frame.decrypt(node.nwk_s_key, node.app_s_key, n) == b"\x01\x02"
            eventually(lambda: application.states("valve") == ["queued"] + ["sent"] * (n + 1))  # noqa: B023
            due_s = self.due_s(made)
            assert began_s + 14 * 2**n <= due_s <= time.monotonic() + 14 * 2**n * 1.25
            self.retry(made, due_s - 0.01)
            assert application.states("valve")[-1] == "sent"
            self.retry(made, due_s)

        eventually(lambda: application.states("valve") == ["queued", "sent", "sent", "sent", "failed"])

    def test_an_acknowledgement_ends_it(self, listening, application):
        made, node = listening, listening.node
        application.ask(named("pump", confirmed=True))
        self.down(made, 3)
        eventually(lambda: application.states("pump") == ["queued", "sent"])
        made.send(node.uplink(f_ctrl=ACK))
        made.wait(30)
        eventually(lambda: application.states("pump") == ["queued", "sent", "acknowledged"])

        self.retry(made, time.monotonic() + 1000)

        assert made.gateway._applications._waits == {}
        assert made.it.counters.asked == 3

    @pytest.mark.parametrize("network", [{"rx2_data_rate": 3}])
    def test_it_goes_at_the_data_rate_that_the_join_accept_gave(self, listening, application, network):
        application.ask(named("rate"))

        down = self.down(listening, 3)

        assert (down.frequency_hz, down.sf) == (869_525_000, 9)

    def test_it_goes_where_the_node_has_agreed_to_listen(self):
        agreed = mac_control.State(rx2=(869_525_000, 3))
        asked = agreed._replace(pending=(b"\x06", bytes.fromhex("0500d2ad84"), bytes.fromhex("0805")))

        assert [mac_control.rx2_of(agreed, n) for n in range(3)] == [(869_525_000, 3)] * 3
        assert [mac_control.rx2_of(asked, n) for n in range(4)] == [(869_525_000, 3), (869_525_000, 0)] * 2
