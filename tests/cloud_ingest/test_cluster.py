# SPDX-License-Identifier: EUPL-1.2
"""The three-node cluster as we ship it, on loopback: nodes are killed, what was acknowledged is there once.

The publisher here sends a batch again only if it got no PUBACK for it, so the broker alone has to keep the rest.
For how long nothing goes on is measured by `stadtfunk bench cluster`.
"""

import asyncio
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nats.errors
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from cloud_ingest import jetstream
from cloud_ingest.cluster import Node, configuration
from cloud_ingest.config import MqttSettings
from cloud_ingest.errors import BrokerError
from decoders.uplink import Watermark
from simulators.ports import free_port
from tests.cloud_ingest.brokers import BIN, answers, wait_for
from tests.cloud_ingest.processes import Site, uplinks
from tests.cloud_ingest.world import UP, batch

WINDOW = 20
PER_BATCH = 5
CONNECT_S = 1.5


class Cluster:
    """Three servers with the shipped configuration, without TLS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes = [Node("127.0.0.1", free_port(), free_port(), free_port()) for _ in range(3)]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for number, node in enumerate(self.nodes):
            text = configuration(node, self.nodes, "secret", tls=False, listen="127.0.0.1")
            (folder / f"node-{number}.conf").write_text(text)

    def start(self, number: int) -> None:
        with (self.folder / f"node-{number}.log").open("ab") as log:
            command = [BIN / "nats-server", "-c", self.folder / f"node-{number}.conf"]
            self._processes[number] = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        wait_for(lambda: answers(self.nodes[number].mqtt_port), "the node")

    def kill(self, number: int) -> None:
        process = self._processes.pop(number)
        process.kill()
        process.wait()

    def leader(self) -> int:
        """Which node leads the stream of MQTT messages."""

        async def ask() -> str:
            client = await jetstream.connect(MqttSettings(), f"nats://127.0.0.1:{self.nodes[0].port}")
            found = await client.jetstream().stream_info(jetstream.STREAM)
            await client.close()
            assert found.cluster is not None
            return str(found.cluster.leader)

        def known() -> list[int]:
            with suppress(BrokerError, nats.errors.Error, TimeoutError):  # a busy machine elects once more
                leader = asyncio.run(ask())
                return [number for number, node in enumerate(self.nodes) if f"{node.host}-{node.port}" == leader]
            return []

        return int(wait_for(known, "a leader")[0])

    def stop(self) -> None:
        for number in list(self._processes):
            self.kill(number)


class Publisher:
    """Sends ``payloads`` with a window, each until it is acknowledged; goes to the next node when it loses one.

    paho's callbacks hold its locks, so they only leave notes."""

    def __init__(self, ports: list[int], payloads: list[bytes]) -> None:
        self.ports, self.payloads = ports, payloads
        self.at = 0  # index of the node it is connected to
        self.acknowledged: set[int] = set()
        self._sending: dict[int, int] = {}  # message id -> index of payload
        self._patience_s = CONNECT_S
        self._client: Client | None = None
        self._notes: deque[tuple[Client, int | None]] = deque()  # message id of a PUBACK, or None: disconnected

    def send_until(self, count: int) -> None:
        """Until ``count`` payloads are acknowledged."""
        wait_for(lambda: self._turn(count), f"{count} acknowledgements")

    def _turn(self, count: int) -> bool:
        while self._notes:
            client, mid = self._notes.popleft()
            if client is self._client:
                self._note(mid)
        if self._client is None:
            self._connect()
            return False
        waiting = set(self._sending.values()) | self.acknowledged
        for index in [index for index in range(count) if index not in waiting][: WINDOW - len(self._sending)]:
            self._sending[self._client.publish(UP, self.payloads[index], qos=1).mid] = index
        return len(self.acknowledged) >= count

    def _note(self, mid: int | None) -> None:
        if mid is None:
            self.stop()
        elif mid in self._sending:
            self.acknowledged.add(self._sending.pop(mid))

    def _connect(self) -> None:
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_publish = lambda client, _, mid, *__: self._notes.append((client, mid))
        client.on_disconnect = lambda client, *_: self._notes.append((client, None))
        connected = threading.Event()
        client.on_connect = lambda _, __, ___, code, ____: None if code.is_failure else connected.set()
        try:
            client.connect("127.0.0.1", self.ports[self.at], keepalive=5)
        except OSError:
            self.at = (self.at + 1) % len(self.ports)
            return
        client.loop_start()
        if connected.wait(self._patience_s):
            self._client, self._patience_s = client, CONNECT_S
        else:
            self._patience_s *= 1.5  # it may be the machine
            client.disconnect()
            client.loop_stop()
            self.at = (self.at + 1) % len(self.ports)

    def stop(self) -> None:
        client, self._client = self._client, None
        self._sending.clear()
        if client is not None:
            client.disconnect()
            client.loop_stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    for number in range(3):
        found.start(number)
    yield found
    found.stop()


@pytest.fixture
def site(tmp_path: Path, cluster: Cluster) -> Iterator[Site]:
    found = Site(tmp_path)
    first, *others = [node.mqtt_port for node in cluster.nodes]
    text = found.config.read_text().replace(f"port = {found.mqtt_port}", f"port = {first}")
    further = ", ".join(f'"127.0.0.1:{port}"' for port in others)
    servers = ", ".join(f'"nats://127.0.0.1:{node.port}"' for node in cluster.nodes)
    text = text.replace("[http]", f"cluster = [{further}]\n[http]")
    found.config.write_text(text + f"[jetstream]\nservers = [{servers}]\nreplicas = 3\nmax_mb = 64\nack_wait_s = 2\n")
    found.mqtt_port = first
    wait_for(lambda: found.run("broker-setup").returncode == 0, "the stream")
    yield found
    found.stop()


def through(site: Site, cluster: Cluster, number: int) -> None:
    """Let the service begin at this node with its MQTT connection."""
    ports = [node.mqtt_port for node in cluster.nodes]
    text = site.config.read_text()
    if number:
        text = text.replace(f":{ports[number]}", f":{ports[0]}").replace(
            f"port = {ports[0]}", f"port = {ports[number]}"
        )
    site.config.write_text(text)


def everything_once(site: Site, count: int) -> None:
    wait_for(lambda: site.rows("SELECT count(*) FROM uplinks") == [(count,)], "every uplink")
    assert site.rows("SELECT reason FROM dead_letters") == []
    assert site.rows("SELECT seq FROM watermarks") == [(count,)]
    expected = len({(i % 2, step) for i in range(count) for step in range(i // 2, max(i // 2 - 3, -1), -1)})
    assert site.rows("SELECT count(*) FROM observations") == [(expected * 2,)]


class TestAnyNode:
    def test_the_leader_in_use_is_killed_and_nothing_acknowledged_is_lost(self, cluster: Cluster, site: Site) -> None:
        messages = uplinks(600)
        payloads = [batch(*messages[i : i + PER_BATCH], oldest_seq=1) for i in range(0, 600, PER_BATCH)]
        leader = cluster.leader()
        through(site, cluster, leader)
        site.service()
        publisher = Publisher([node.mqtt_port for node in cluster.nodes], payloads)
        try:
            publisher.at = leader
            publisher.send_until(40)
            cluster.kill(publisher.at)
            publisher.send_until(120)
        finally:
            publisher.stop()

        everything_once(site, 600)
        wait_for(lambda: site.get("/health")["broker"] == "connected", "the service at another node")
        site.mqtt_port = cluster.nodes[leader - 1].mqtt_port
        wait_for(lambda: site.retained() == [Watermark(1, (None, 600, None))], "the watermark at another node")


class TestAllNodes:
    def test_all_are_killed_and_nothing_acknowledged_is_lost_or_seen_twice(self, cluster: Cluster, site: Site) -> None:
        messages = uplinks(600)
        payloads = [batch(*messages[i : i + PER_BATCH], oldest_seq=1) for i in range(0, 600, PER_BATCH)]
        publisher = Publisher([node.mqtt_port for node in cluster.nodes], payloads)
        try:
            publisher.send_until(60)
            for number in range(3):
                cluster.kill(number)
            for number in range(3):
                cluster.start(number)
            publisher.send_until(120)
        finally:
            publisher.stop()

        site.service()
        everything_once(site, 600)
