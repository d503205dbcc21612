# SPDX-License-Identifier: EUPL-1.2
"""Real parts for the gateway's tests: the service in a thread or a process, a real broker, and a small cloud."""

import asyncio
import base64
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from decoders import topics
from decoders.records import LANES, READING, Record, UplinkKey, UplinkMessage
from decoders.uplink import Watermark, decode_batch, encode_watermark
from gateway.command import open_database
from gateway.config import Config
from gateway.reception_time import Boot
from gateway.service import Gateway
from gateway.store import Ledger, Store
from simulators.ports import free_port
from tests.gateway.nodes import GATEWAY_EUI, Concentrator, Node

BIN = Path(sys.executable).parent


def eventually(condition: Callable[[], Any], within_s: float = 300.0) -> Any:
    """Wait until ``condition`` holds and return its value; fails with its last value otherwise."""
    ends = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < ends, f"still {value!r} after {within_s} s"
        time.sleep(0.005)
    return value


@contextmanager
def by_command(config: Config) -> Iterator[Ledger]:
    """A transaction as a command's process makes it beside the running service: over a connection of its own."""
    store = open_database(config)
    try:
        with store.transaction() as ledger:
            yield ledger
    finally:
        store.close()


class GatewayThread:
    """The service, in an event loop of its own."""

    def __init__(
        self,
        config: Config,
        store: Store,
        clock: Callable[[], float] = time.time,
        boot: Boot | None = None,
        is_synchronized: Callable[[], bool] = lambda: True,
    ) -> None:
        self._config, self._store, self._clock, self._boot = config, store, clock, boot
        self._is_synchronized = is_synchronized
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.gateway: Any = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.gateway = Gateway(self._config, self._store, self._clock, self._boot, self._is_synchronized)
        try:
            await self.gateway.start()
            self._ready.set()
            await self._stop.wait()
        finally:
            self._ready.set()
            await self.gateway.stop()

    def __enter__(self) -> Any:
        self._thread.start()
        assert self._ready.wait(300)
        return self.gateway

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(300)
        assert not self._thread.is_alive()


class GatewayProcess:
    """``stadtfunk gateway run``, to be killed."""

    def __init__(self, config: Path) -> None:
        self.process = subprocess.Popen(
            [BIN / "stadtfunk", "gateway", "run", "--config", config], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.log: list[str] = []
        for line in self.process.stderr:
            self.log.append(line)
            if ready := re.search(r"gateway ready .*gwmp=[\d.]+:(\d+) page=[\d.]+:(\d+)", line):
                self.gwmp_port, self.page_port = int(ready[1]), int(ready[2])
                break
        else:
            self.process.wait(300)
            raise AssertionError("".join(self.log))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def __enter__(self) -> "GatewayProcess":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no process behind, whatever the test found."""
        if self.process.poll() is None:
            self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; returns the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(300)
        self._reader.join(300)
        return status


class Broker:
    """nats-server with its MQTT listener, as the demo runs it."""

    def __init__(self, folder: Path, *, secured: bool = False) -> None:
        """``secured``: mutual TLS with the certificates in ``folder``, and a password."""
        self._data = folder / "broker"
        tls = f'cert_file: "{folder}/broker.pem", key_file: "{folder}/broker.key", ca_file: "{folder}/ca.pem"'
        self.port = free_port()
        self._config = folder / "broker.conf"
        self._config.write_text(
            f"server_name: test\nlisten: 127.0.0.1:{free_port()}\n"
            f'jetstream {{ store_dir: "{self._data}", sync_interval: always }}\n'
            f"mqtt {{ listen: 127.0.0.1:{self.port} {f', tls {{ {tls}, verify: true }}' if secured else ''} }}\n"
            + ('authorization { user: gateway, password: "correct horse" }\n' if secured else "")
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [BIN / "nats-server", "-c", self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def wipe(self) -> None:
        shutil.rmtree(self._data)

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class StallingBroker:
    """A broker whose storage stalls: it takes everything and answers pings, acknowledges batches only while well.

    ``takes_status``: whether it acknowledges the status; ``hangs_up``: whether it closes right after SUBACK.
    """

    def __init__(self) -> None:
        self.well = False
        self.takes_status = True
        self.hangs_up = False
        self.statuses: list[bytes] = []
        self.connections = 0
        self.batches_acknowledged = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._client = client
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """MQTT 3.1.1 as far as a gateway uses it."""
        with client, client.makefile("rwb") as stream:
            while head := stream.read(1):
                length = shift = 0
                while True:
                    byte = stream.read(1)[0]
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if not byte & 0x80:
                        break
                body = stream.read(length)
                stream.write(self._answer(head[0] >> 4, body))
                stream.flush()
                if self.hangs_up and head[0] >> 4 == 8:
                    return

    def _answer(self, kind: int, body: bytes) -> bytes:
        if kind == 1:
            return b"\x20\x02\x00\x00"  # CONNACK
        if kind == 8:
            return b"\x90\x03" + body[:2] + b"\x01"  # SUBACK
        if kind == 12:
            return b"\xd0\x00"  # PINGRESP
        if kind != 3:
            return b""
        end = 2 + int.from_bytes(body[:2], "big")
        is_batch = topics.up_lane_of(body[2:end].decode()) is not None
        if not is_batch:
            self.statuses.append(body[end + 2 :])
        if not (self.well if is_batch else self.takes_status):
            return b""
        self.batches_acknowledged += is_batch
        return b"\x40\x02" + body[end : end + 2]  # PUBACK

    def hang_up(self) -> None:
        with suppress(OSError):  # it has ended by itself
            self._client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()


class Cloud:
    """Takes batches and, while ``committing``, answers with watermarks; keeps what it has over reconnects."""

    def __init__(self, port: int, *, committing: bool = True, tls: Path | None = None, password: str = "") -> None:
        self.committing = committing
        self.records: dict[int, dict[int, Record]] = {lane: {} for lane in LANES}  # of the present epoch, by seq
        self.keys: set[UplinkKey] = set()  # of all epochs
        self.batches: list[tuple[int, int]] = []  # of readings
        self.arrivals: list[tuple[int, float]] = []  # lane and monotonic time of each record
        self.statuses: list[bytes] = []
        self.epoch = 0
        self._committed: dict[tuple[int, int], int] = {}  # by epoch and lane
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="cloud", protocol=mqtt.MQTTv311)
        self._client.reconnect_delay_set(0.1, 0.2)  # type: ignore[arg-type]
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(f"{topics.UP_FILTER}/#", 1), (topics.STATUS_FILTER, 1)]  # one for all lanes: a broker keeps its order
        )
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        if tls is not None:
            self._client.tls_set(tls, tls.with_name("cloud.pem"), tls.with_name("cloud.key"))  # type: ignore[arg-type]
            self._client.username_pw_set("gateway", password)
        self._client.connect("localhost" if tls else "127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self) -> "Cloud":
        assert self._subscribed.wait(300)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("/status"):
            self.statuses.append(message.payload)
            return
        batch = decode_batch(message.payload)
        assert message.topic == topics.up(GATEWAY_EUI, batch.lane)
        assert batch.gateway_eui == GATEWAY_EUI
        if batch.epoch != self.epoch:
            self.epoch, self.records = batch.epoch, {lane: {} for lane in LANES}
        if batch.lane == READING and batch.records:
            self.batches.append((batch.first_seq, batch.first_seq + len(batch.records) - 1))
        for seq, item in enumerate(batch.records, batch.first_seq):
            assert self.records[batch.lane].setdefault(seq, item) == item
            self.arrivals.append((batch.lane, time.monotonic()))
            if isinstance(item, UplinkMessage):
                self.keys.add(item.key)
        known = self._committed.setdefault((self.epoch, batch.lane), 0)
        if batch.continues is not None:
            seq, epoch, epoch_seq = batch.continues
            if self._committed.get((epoch, batch.lane), 0) >= epoch_seq:
                known = max(known, seq)
        self._committed[self.epoch, batch.lane] = max(known, batch.oldest_seq - 1)
        if self.committing:
            self.commit()

    @property
    def messages(self) -> dict[int, Any]:
        """The readings of the present epoch, by seq."""
        return self.records[READING]

    def commit(self) -> None:
        """Publish the watermark of what is there without a gap."""
        for (epoch, lane), seq in self._committed.items():
            while epoch == self.epoch and seq + 1 in self.records[lane]:
                seq += 1
            self._committed[epoch, lane] = seq
        alarm, reading, diagnostic = (self._committed.get((self.epoch, lane)) for lane in LANES)
        self.publish_raw(encode_watermark(Watermark(self.epoch, (alarm, reading, diagnostic))))

    def publish_watermark(self, epoch: int, seq: int) -> None:
        """One of the readings only."""
        self.publish_raw(encode_watermark(Watermark(epoch, (None, seq, None))))

    def publish_raw(self, payload: bytes | str) -> None:
        self._client.publish(topics.committed(GATEWAY_EUI), payload, qos=1, retain=True)


def join(concentrator: Concentrator, node: Node, **fields: Any) -> None:
    """Join over the air interface of the tests: PULL_RESP comes first, then PUSH_ACK."""
    token = concentrator.push(node.join_request(), **fields)
    kind, _, body = concentrator.receive()
    assert kind == 3
    assert body is not None
    node.joined(base64.b64decode(body["txpk"]["data"]))
    assert concentrator.receive() == (1, token, None)


def send(concentrator: Concentrator, *phy_payloads: bytes, **fields: Any) -> None:
    """Send frames that get no answer, and wait for the PUSH_ACK."""
    token = concentrator.push(*phy_payloads, **fields)
    assert concentrator.receive() == (1, token, None)
