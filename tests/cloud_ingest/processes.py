# SPDX-License-Identifier: EUPL-1.2
"""The real processes of the city's side beside a real broker, and a gateway that does what it must."""

import json
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from paho.mqtt import publish
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from decoders import topics
from decoders.uplink import Watermark, decode_watermark
from simulators.ports import free_port
from tests.cloud_ingest.brokers import Nats, answers, wait_for
from tests.cloud_ingest.world import (
    GATEWAY,
    HOUR,
    NODES,
    START,
    UP,
    batch,
    registry_json,
    sample,
    uplink,
)

RESEND_S = 0.5


# Runs a command in which one message first hangs for ever, then kills the process whenever it is decoded. Only once it
# hangs the writer's patience becomes short: a busy machine may take longer for what does not hang.
POISON = """
import faulthandler, os, pathlib, runpy, signal, sys, time
from cloud_ingest import ingest
real, hung = ingest.decode_batch, pathlib.Path({config!r} + ".hung")
end_after, end_not = faulthandler.dump_traceback_later, faulthandler.cancel_dump_traceback_later
armed = {{}}
def arm(seconds, **options):
    armed.update(options)
    end_after(seconds, **options)
def disarm():
    armed.clear()
    end_not()
faulthandler.dump_traceback_later, faulthandler.cancel_dump_traceback_later = arm, disarm
def decode_batch(data):
    if {marker!r} in data:
        if hung.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        hung.touch()
        if armed:
            end_after(1, **armed)
        while True:
            time.sleep(1)
    return real(data)
ingest.decode_batch = decode_batch
sys.argv = ["stadtfunk", "ingest", {command!r}, "--config", {config!r}]
runpy.run_module("stadtfunk", run_name="__main__")
"""


class Site:
    """A broker and the folder of one service; processes end with the test."""

    def __init__(self, folder: Path, jetstream: bool = False) -> None:
        self.folder, self.nats, self.http_port = folder, Nats(folder), free_port()
        self.mqtt_port = self.nats.mqtt_port
        self.processes: list[subprocess.Popen[bytes]] = []
        (folder / "city.json").write_text(json.dumps(registry_json()))
        self.config = folder / "ingest.toml"
        self.config.write_text(
            f"[mqtt]\nport = {self.mqtt_port}\nreconnect_max_s = 1\n[http]\nport = {self.http_port}\n"
            '[time]\nsource = "observations"\n'
        )
        if jetstream:
            with self.config.open("a") as settings:
                settings.write(f'[jetstream]\nservers = ["{self.nats.server}"]\nmax_mb = 64\nack_wait_s = 1\n')

    def broker(self) -> Nats:
        self.nats.start()
        return self.nats

    def service(self) -> subprocess.Popen[bytes]:
        process = self.start(self.command("run"))
        wait_for(lambda: answers(self.http_port), "the service")
        if answers(self.mqtt_port):
            wait_for(lambda: self.get("/health")["broker"] == "connected", "its connection to the broker")
        return process

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "stadtfunk", "ingest", *words, "--config", str(self.config)]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=120, check=False)

    def get(self, path: str) -> Any:
        return httpx.get(f"http://127.0.0.1:{self.http_port}{path}", timeout=60).json()

    def soil_moistures(self) -> list[tuple[str, int, float]]:
        """(DevEUI, hours since 2026-07-01, %) of what is stored, in this order."""
        return self.rows(
            "SELECT d.dev_eui, (o.at - 1782864000) / 3600, o.result FROM observations o JOIN datastreams d "
            "ON d.id = o.datastream WHERE d.quantity = 'soil_moisture' ORDER BY 1, 2"
        )

    def rows(self, sql: str) -> list[Any]:
        with sqlite3.connect(f"file:{self.folder}/stadtfunk.db?mode=ro", uri=True) as db:
            return db.execute(sql).fetchall()

    def log(self, process: "subprocess.Popen[bytes]") -> str:
        return (self.folder / f"{self.processes.index(process)}.log").read_text()

    def publish(self, topic: str, payload: bytes) -> None:
        publish.single(topic, payload, qos=1, hostname="127.0.0.1", port=self.mqtt_port)

    def retained(self) -> list[Watermark]:
        """What the broker tells a gateway that subscribes now; nothing if it says nothing within a second."""
        heard: list[Watermark] = []
        subscribed = threading.Event()
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _, __, message: heard.append(decode_watermark(message.payload))
        client.on_connect = lambda *_: client.subscribe(topics.committed(GATEWAY), 1)
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", self.mqtt_port)
        wait_for(lambda: client.loop(0.1) or subscribed.is_set(), "the subscription")
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and not heard:
            client.loop(0.1)
        client.disconnect()
        return heard[-1:]

    def worker(self) -> subprocess.Popen[bytes]:
        process = self.start(self.command("worker"))
        wait_for(lambda: "stream connected" in self.log(process), "its connection to the stream")
        return process

    def start_until(self, command: list[str], sql: str) -> int:
        """Start it again whenever it ends, until there are rows; how often it ended."""
        for ended in range(10):
            process = self.start(command)
            wait_for(lambda process=process: process.poll() is not None or self.rows(sql), "its end")
            if self.rows(sql):
                return ended
        raise AssertionError("it ends again and again")

    def stop(self) -> None:
        self.nats.stop()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        log = self.folder / f"{len(self.processes)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file)
        self.processes.append(process)
        return process


class Gateway:
    """What a gateway does with its outbox: sends from the watermark on, again and again, until it is all durable."""

    def __init__(self, port: int, messages: list[Any]) -> None:
        self.watermark = 0
        self.sent = 0
        self.is_monotonic = True  # no watermark was lower than one before it
        self._progress_at = time.monotonic()
        self._messages = messages
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="gateway", clean_session=True)
        self._client.on_connect = lambda client, *_: client.subscribe(topics.committed(GATEWAY), 1)
        self._client.on_message = self._heard
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _heard(self, _: Client, __: Any, message: Any) -> None:
        epoch, (_, seq, _) = decode_watermark(message.payload)
        assert epoch == 1
        self.is_monotonic &= seq >= self.watermark
        if seq != self.watermark:
            self.watermark, self._progress_at = seq, time.monotonic()

    def send(self, count: int, last: int | None = None) -> None:
        """The next ``count`` messages, none after ``last``, in one batch; from the watermark again when that has not
        moved for a while."""
        first = max(self.watermark, self.sent)
        if time.monotonic() - self._progress_at > RESEND_S:
            first, self._progress_at = self.watermark, time.monotonic()
        piece = self._messages[:last][first : first + count]
        if piece:
            payload = batch(*piece, oldest_seq=self.watermark + 1)
            self._client.publish(UP, payload, qos=1)
            self.sent = first + len(piece)

    @property
    def done(self) -> bool:
        return self.watermark == len(self._messages)

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(60)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def uplinks(count: int) -> list[Any]:
    """Each carries its own sample and the two before it, from two nodes in turn."""
    messages = []
    for i in range(count):
        steps = range(i // 2, max(i // 2 - 3, -1), -1)
        readings = [reading for step in steps for reading in sample(START + step * HOUR, 20.0 + step % 50 / 10)]
        messages.append(uplink(i + 1, NODES[i % 2], i // 2, readings))
    return messages
