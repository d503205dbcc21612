# SPDX-License-Identifier: EUPL-1.2
"""Brokers with TLS as we ship their configuration and certificates: nats-server, Mosquitto, a cluster; and clients."""

import shutil
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner, Result
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cloud_ingest.cli import ingest
from cloud_ingest.cluster import Node as ClusterNode
from cloud_ingest.cluster import configuration
from simulators.ports import free_port
from tests.gateway.nodes import GATEWAY_EUI
from tests.gateway.running import BIN, eventually


def command(*words: str) -> Result:
    done = CliRunner().invoke(ingest, ["certificates", *words])
    assert done.exit_code == 0, done.output
    return done


class SecuredBroker:
    """A broker as ``certificates init`` sets it up in ``folder``, on free ports."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder, self.port = kind, folder, free_port()
        command("init", "--folder", str(folder))
        command("broker", "localhost", "--folder", str(folder))
        command("ingest", "--folder", str(folder))
        (folder / "broker").mkdir()
        self.name = {"nats": "nats.conf", "mosquitto": "mosquitto.conf"}[kind]
        text = (folder / self.name).read_text()
        if kind == "nats":
            text = text.replace("0.0.0.0:8883", f"127.0.0.1:{self.port}").replace("4222", str(free_port()))
        else:  # as root it would become a user who may not read the test's files
            text = text.replace("listener 8883", f"listener {self.port} 127.0.0.1") + "\nuser root\n"
        (folder / self.name).write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = {
            "nats": BIN / "nats-server",
            "mosquitto": shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin"),
        }
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program[self.kind], "-c", self.name], cwd=self.folder, stdout=log, stderr=log
            )
        eventually(self._listens)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "broker.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def reload(self) -> None:
        """Take on the users of new gateways."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None


class Place(NamedTuple):
    """Where a broker is, and where its certificates are."""

    folder: Path
    port: int


class Party:
    """An MQTT client with a certificate; ``heard`` is what it got, ``granted`` what it may read."""

    def __init__(
        self, broker: SecuredBroker | Place, name: str, subscribe: list[str], within_s: float = 60, client_id: str = ""
    ) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.granted: list[bool] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id or name, protocol=mqtt.MQTTv311)
        context = ssl.create_default_context(cafile=broker.folder / "ca.pem")
        context.load_cert_chain(broker.folder / f"{name}.pem", broker.folder / f"{name}.key")
        self._client.tls_set_context(context)
        self._client.on_message = lambda _client, _data, message: self.heard.append((message.topic, message.payload))
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in subscribe])
        self._client.on_subscribe = self._subscribed
        self._ready = threading.Event()
        self._client.connect("localhost", broker.port)
        self._client.loop_start()
        if not self._ready.wait(within_s):
            self.__exit__()
            raise AssertionError("no subscription")

    def _subscribed(self, _client: mqtt.Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        self.granted = [not reason.is_failure for reason in reasons]
        self._ready.set()

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(60)

    def __enter__(self) -> "Party":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Cluster:
    """Three nodes with the configuration and the certificates as shipped."""

    def __init__(self, folder: Path) -> None:
        command("init", "--folder", str(folder))
        command("broker", "localhost", "--folder", str(folder))
        command("ingest", "--folder", str(folder))
        command("gateway", GATEWAY_EUI, "--folder", str(folder))
        self.folder = folder
        self._nodes = [ClusterNode("localhost", free_port(), free_port(), free_port()) for _ in range(3)]
        self.ports = [node.mqtt_port for node in self._nodes]
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Cluster":
        for number, node in enumerate(self._nodes):
            file = self.folder / f"node-{number}.conf"
            file.write_text(configuration(node, self._nodes, "secret", listen="127.0.0.1"))
            with (self.folder / f"node-{number}.log").open("wb") as log:
                self._processes.append(
                    subprocess.Popen([BIN / "nats-server", "-c", file.name], cwd=self.folder, stdout=log, stderr=log)
                )
        return self

    def at(self, number: int) -> "Place":
        return Place(self.folder, self.ports[number])

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait(60)
