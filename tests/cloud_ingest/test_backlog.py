# SPDX-License-Identifier: EUPL-1.2
"""A backlog in the broker: the ingest was down while gateways drained, and an alarm came last.

What is applied before the alarm is counted in batches by a trigger of the store itself, so a slow machine changes
nothing.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from decoders import topics
from decoders.records import ALARM, READING, Event
from decoders.uplink import Batch, Watermark, encode_batch
from tests.cloud_ingest.brokers import Mosquitto, wait_for
from tests.cloud_ingest.processes import Site
from tests.cloud_ingest.world import GATEWAY, NODES, START, batch, sample, uplink
from tests.gateway.secured_brokers import Party, SecuredBroker, command

GATEWAYS = ["0016c001f1500821", "0016c001f1500822", "0016c001f1500823"]
ALARMING = "0016c001f1500829"
BATCHES = 700  # of each of three gateways
BOUND = 100  # of all of them, before the alarm: none but what comes while its session is slow to say what it has

_NOTES = """
CREATE TABLE seen_before_alarm (uplinks INTEGER);
CREATE TRIGGER note_alarm AFTER INSERT ON gateway_events
BEGIN INSERT INTO seen_before_alarm SELECT count(*) FROM uplinks; END;
CREATE TABLE seen (number INTEGER PRIMARY KEY, dev_eui TEXT, f_cnt INTEGER);
CREATE TRIGGER note_uplink AFTER INSERT ON uplinks
BEGIN INSERT INTO seen (dev_eui, f_cnt) VALUES (new.dev_eui, new.f_cnt); END;
"""


def take_notes(site: Site) -> None:
    """Once the service has run, so that there is a store; and a broker without a stream has our sessions."""
    service = site.service()
    service.terminate()
    service.wait()
    with sqlite3.connect(site.folder / "stadtfunk.db") as store:
        store.executescript(_NOTES)


@pytest.fixture(params=["jetstream", "nats", "mosquitto"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path, jetstream=request.param == "jetstream")
    for file, short in ((tmp_path / "nats.conf", ', ack_wait: "1s"'), (found.config, "ack_wait_s = 1\n")):
        file.write_text(file.read_text().replace(short, ""))  # what is only slow must not come again out of order
    mosquitto = Mosquitto(tmp_path) if request.param == "mosquitto" else None
    if mosquitto is None:
        found.broker()
    else:
        mosquitto.start()
        found.config.write_text(
            found.config.read_text().replace(f"port = {found.mqtt_port}", f"port = {mosquitto.port}")
        )
        found.mqtt_port = mosquitto.port
    yield found
    found.stop()
    if mosquitto is not None:
        mosquitto.stop()


class Fleet:
    """Gateways on one connection, each batch until the broker has it."""

    def __init__(self, port: int) -> None:
        self._open: set[int] = set()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(0)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes) -> None:
        self._last = self._client.publish(topic, payload, qos=1)

    def stop(self) -> None:
        """When the broker has everything."""
        wait_for(lambda: not self._client.want_write() and self._last.is_published(), "the broker to take the backlog")
        self._client.disconnect()
        self._client.loop_stop()


def readings(gateway: int, step: int) -> bytes:
    message = uplink(step + 1, NODES[gateway], step, sample(START + 60 * step, 20.0 + step % 50 / 10))
    return batch(message, gateway_eui=GATEWAYS[gateway])


def alarm() -> bytes:
    event = Event("node_down", NODES[0], START + 0.5, "ntp", {"silent_h": 3.0})
    return encode_batch(Batch(ALARMING, 1, ALARM, 1, 1, None, (event,)))


class TestOlderRights:
    """A broker whose rights are from before lanes had topics: update it first; until then older gateways go on."""

    def test_what_older_gateways_send_is_stored_and_confirmed_and_the_rest_is_said(self, tmp_path: Path) -> None:
        site = Site(tmp_path)
        everything = 'permissions: { publish: ">", subscribe: ">" }'
        rights = 'permissions: { publish: ["stadtfunk.1.*.committed"], subscribe: ["stadtfunk.1.*.up", "$MQTT.sub.>"] }'
        with (tmp_path / "nats.conf").open("a") as configuration:
            configuration.write(
                f'authorization {{ users: [{{ user: "ingest", password: "secret", {rights} }}\n'
                f'  {{ user: "others", password: "others", {everything} }}] }}\nno_auth_user: "others"\n'
            )
        (tmp_path / "password").write_text("secret")
        text = site.config.read_text()
        site.config.write_text(text.replace("[http]", 'username = "ingest"\npassword_file = "password"\n[http]'))
        site.broker()
        try:
            process = site.start(site.command("run"))
            wait_for(lambda: "refuses the subscription of stadtfunk-ingest to" in site.log(process), "what it says")
            site.publish(topics.up(GATEWAY), batch(uplink(1, NODES[0], 0, sample(START, 20.0))))
            wait_for(lambda: site.retained() == [Watermark(1, (None, 1, None))], "the watermark")
        finally:
            site.stop()


class TestBehindABacklog:
    def test_an_alarm_that_came_last_is_applied_before_all_but_a_few_of_thousands(self, site: Site) -> None:
        take_notes(site)
        fleet = Fleet(site.mqtt_port)
        for step in range(BATCHES):
            for gateway, eui in enumerate(GATEWAYS):
                fleet.publish(topics.up(eui, READING), readings(gateway, step))
        fleet.publish(topics.up(ALARMING, ALARM), alarm())
        fleet.stop()

        site.service()

        wait_for(lambda: site.rows("SELECT count(*) FROM uplinks") == [(3 * BATCHES,)], "every reading")
        [(before,)] = site.rows("SELECT uplinks FROM seen_before_alarm")
        print(f"{before} of {3 * BATCHES} batches before the alarm")
        assert before <= BOUND
        for node in NODES:
            counters = [f_cnt for _, f_cnt in site.rows(f"SELECT number, f_cnt FROM seen WHERE dev_eui = '{node}'")]
            assert counters == list(range(BATCHES))  # once, and in the order sent
        assert site.rows(f"SELECT seq FROM watermarks WHERE gateway_eui = '{ALARMING}'") == [(1,)]

    def test_what_an_older_gateway_sends_without_a_lane_is_taken_too(self, site: Site) -> None:
        site.service()
        fleet = Fleet(site.mqtt_port)

        fleet.publish(topics.up(GATEWAYS[0]), readings(0, 0))
        fleet.publish(topics.up(ALARMING), alarm())
        fleet.stop()

        wait_for(lambda: site.rows("SELECT count(*) FROM uplinks") == [(1,)], "the reading")
        wait_for(lambda: site.rows("SELECT kind FROM gateway_events") == [("node_down",)], "the event")


class TestCertificates:
    """Our mosquitto.conf gives every client the id of its certificate, so each session has one of its own."""

    def test_an_alarm_overtakes_a_backlog_there_too(self, tmp_path: Path) -> None:
        broker = SecuredBroker("mosquitto", tmp_path / "certificates")
        for eui in (GATEWAYS[0], ALARMING):
            command("gateway", eui, "--folder", str(broker.folder))
        site = Site(tmp_path)
        files = "".join(
            f'{key} = "{broker.folder}/{file}"\n'
            for key, file in (("ca_file", "ca.pem"), ("cert_file", "ingest.pem"), ("key_file", "ingest.key"))
        )
        address = f'host = "localhost"\nport = {broker.port}\ntls = true\n{files}'
        site.config.write_text(site.config.read_text().replace(f"port = {site.mqtt_port}\n", address))
        site.mqtt_port = broker.port
        broker.start()
        try:
            take_notes(site)
            for eui, lane, payloads in (
                (GATEWAYS[0], READING, [readings(0, step) for step in range(BATCHES)]),
                (ALARMING, ALARM, [alarm()]),
            ):
                with Party(broker, eui, [topics.committed(eui)]) as gateway:
                    for payload in payloads:
                        gateway.publish(topics.up(eui, lane), payload)

            site.service()

            wait_for(lambda: site.rows("SELECT count(*) FROM uplinks") == [(BATCHES,)], "every reading")
            [(before,)] = site.rows("SELECT uplinks FROM seen_before_alarm")
        finally:
            site.stop()
            broker.stop()
        assert before <= BOUND
