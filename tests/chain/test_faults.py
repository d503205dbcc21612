# SPDX-License-Identifier: EUPL-1.2
"""Power cuts in the middle of the stream, on the real processes: nothing acknowledged is lost, nothing is doubled."""

import os
import random
import socket

import paho.mqtt.client as mqtt
import pytest

from decoders import topics
from decoders.records import READING
from simulators.frame_ledger import Ledger
from simulators.ports import free_port
from simulators.public_readings import get, observations
from simulators.town import GATEWAY_EUI, Town
from tests.chain.public import drained, until

DAYS = 2.0
OUTAGE_FRAMES = 36  # an outage lasts until 12 nodes have spoken about three times


def after_more(town: Town, what: str, count: int) -> None:
    """Wait for ``count`` more frames ``sent`` by the nodes, or ``uplinks`` acknowledged by the gateway."""
    goal = town.progress().get(what, 0) + count
    until(lambda: town.progress().get(what, 0) >= goal or not town.alive("nodes"), f"{count} more {what}")
    assert town.alive("nodes"), "the run was over before the fault could be made"


def outage(town: Town) -> None:
    after_more(town, "sent", OUTAGE_FRAMES)


def refused(town: Town) -> dict[str, int]:
    """What the gateway has counted as refused."""
    return get(f"http://127.0.0.1:{town.page_port}/status")["refused"]


def hostile_datagrams(town: Town) -> None:
    """Noise, and an uplink of nobody, on the gateway's open port."""
    dice, before = random.Random(7), refused(town)["malformed_datagram"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
        for n in range(500):
            noise.sendto(dice.randbytes(dice.randrange(1, 300)), ("127.0.0.1", town.gwmp_port))
            if n % 50 == 49:  # the kernel may keep no more than a hundred or two
                until(lambda n=n: refused(town)["malformed_datagram"] >= before + n - 10, "they are counted")
        unknown = b'{"rxpk":[{"tmst":1,"freq":868.1,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssi":-50,'
        unknown += b'"lsnr":9,"size":12,"data":"QAQDAgEAAQAB////"}]}'
        noise.sendto(b"\x02\x00\x01\x00" + bytes.fromhex(GATEWAY_EUI) + unknown, ("127.0.0.1", town.gwmp_port))


def hostile_message(town: Town) -> None:
    """Something that is no batch, in the gateway's own name."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="hostile")
    client.username_pw_set("gateway", (town.folder / "gateway.password").read_text())
    client.connect("127.0.0.1", town.mqtt_port)
    client.loop_start()
    client.publish(topics.up(GATEWAY_EUI, READING), os.urandom(100), qos=1).wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


@pytest.fixture(scope="module")
def stormy_town(tmp_path_factory):
    """A town whose broker, gateway and ingest are all killed once while the nodes go on sending."""
    town = Town(tmp_path_factory.mktemp("stormy"), http_port=free_port(), seed=3)
    try:
        town.start_services()
        town.start_nodes(speed=None, days=DAYS, frames=town.folder / "frames.jsonl")
        after_more(town, "uplinks", 40)
        hostile_datagrams(town)
        hostile_message(town)

        town.kill("broker")
        outage(town)
        town.start_broker()
        after_more(town, "uplinks", 30)

        town.kill("gateway")
        outage(town)
        town.start_gateway()
        after_more(town, "uplinks", 30)

        town.kill("ingest")
        outage(town)
        town.start_ingest()

        assert town.wait("nodes", 900) == 0
        until(lambda: drained(town), "an empty outbox")
        yield town
    finally:
        town.stop()


class TestKills:
    def test_every_acknowledged_reading_is_public_exactly_once(self, stormy_town):
        ledger = Ledger(stormy_town.folder / "frames.jsonl", stormy_town.city.devices())
        trees = {node["dev_eui"]: node["tree"] for node in stormy_town.city.registry()["nodes"]}
        sent = ledger.readings(stormy_town.city.start_unix_s)
        of_all = ledger.readings(stormy_town.city.start_unix_s, acknowledged=False)
        lost_on_the_way = sum(not uplink.delivered for uplink in ledger.uplinks)

        public = observations(stormy_town.url)

        assert lost_on_the_way > 0, "the gateway was never missed"
        assert len(sent) > 1500
        assert set(public.values()) == {1}
        expected, possible = (
            {(trees[eui], name, at, round(value, 3)) for (eui, name, at), value in readings.items()}
            for readings in (sent, of_all)
        )
        assert expected - set(public) == set()
        # A gateway that is killed between its commit and its answer, or too busy to answer in time, has more than that.
        assert set(public) - possible == set()

    def test_what_was_hostile_is_counted_by_reason(self, stormy_town):
        public = get(stormy_town.url + "/api/status")

        assert public["dead_letters"] == {"malformed_batch": 1}

    def test_the_services_still_answer(self, stormy_town):
        for part in ("broker", "gateway", "ingest"):
            assert stormy_town.alive(part)


class TestHostileDatagrams:
    def test_are_counted_by_reason_and_stop_nothing(self, tmp_path):
        town = Town(tmp_path / "town", http_port=free_port(), nodes=1)
        try:
            town.start_services()

            hostile_datagrams(town)

            until(lambda: refused(town)["unknown_dev_addr"] == 1, "the unknown DevAddr is counted")
            assert refused(town)["malformed_datagram"] >= 490
        finally:
            town.stop()
