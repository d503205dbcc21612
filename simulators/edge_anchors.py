# SPDX-License-Identifier: EUPL-1.2
"""What others do with the same task: ThingsBoard Gateway's SQLite storage, and a Mosquitto bridge with persistence.

Both are the real programs: ThingsBoard's storage class alone, from PyPI into a virtual environment of its own, and
Debian's mosquitto. Each is asked how fast it accepts, and what is left of what it accepted after a SIGKILL.
"""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from simulators.ports import free_port

THINGSBOARD = "thingsboard-gateway==3.8.5"
PAYLOAD_BYTES = 180
_WINDOW = 100
_PATIENCE_S = 120.0

# Runs in ThingsBoard's own environment. accept: put as fast as it takes, or --rate a second; read: what is there.
_THINGSBOARD_CHILD = """
import json, logging, sys, threading, time
from thingsboard_gateway.storage.sqlite.sqlite_event_storage import SQLiteEventStorage
folder, what, count, rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
log = logging.getLogger("storage")
log.trace = log.debug
settings = {"data_file_path": folder, "max_read_records_count": 1000, "size_limit": 1024, "max_db_amount": 10}
storage = SQLiteEventStorage(settings, log, threading.Event())
began = time.perf_counter()
if what == "accept":
    for number in range(count):
        if rate and (ahead_s := number / rate - (time.perf_counter() - began)) > 0:
            time.sleep(ahead_s)
        if storage.put("%08d" % number + "x" * 172) and rate:
            sys.stdout.write("accepted %d\\n" % number)
            sys.stdout.flush()
    accepted_s = time.perf_counter() - began
    while storage.write_queue.qsize():
        time.sleep(0.001)
    print(json.dumps({"accepted_s": accepted_s, "stored_s": time.perf_counter() - began}), flush=True)
else:
    numbers = []
    while pack := storage.get_event_pack():
        numbers += [int(event[:8]) for event in pack]
        storage.event_pack_processing_done()
    print(json.dumps({"numbers": numbers, "s": time.perf_counter() - began}), flush=True)
storage.stop()
"""


class AnchorMissing(Exception):
    """An anchor cannot be had here; the argument says why."""


class Rates(NamedTuple):
    """Records a second: ``accepted`` by its own word, ``stored`` on the disk or passed on."""

    accepted: float
    stored: float


class Loss(NamedTuple):
    """Of so many kills: records accepted, and how many of them were gone afterwards."""

    kills: int
    accepted: int
    lost: int


class Thingsboard:
    """The storage class in an environment of its own below ``folder``, made when it is not there."""

    def __init__(self, folder: Path) -> None:
        self._python = folder / "venv" / "bin" / "python"
        self._child = folder / "child.py"
        if not (folder / "ready").exists():
            try:
                subprocess.run(
                    [sys.executable, "-m", "venv", "--clear", folder / "venv"], check=True, capture_output=True
                )
                subprocess.run(
                    [self._python, "-m", "pip", "install", "--quiet", "--no-deps", THINGSBOARD],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
            except subprocess.CalledProcessError as error:
                raise AnchorMissing(f"{THINGSBOARD} cannot be installed: {str(error.stderr).strip()[-200:]}") from error
            (folder / "ready").touch()
        self._child.write_text(_THINGSBOARD_CHILD)

    def rates(self, folder: Path, records: int) -> Rates:
        """As fast as it takes them: until all are accepted, and until all are in its database."""
        report = json.loads(self._run(folder, "accept", records, 0.0))
        return Rates(records / report["accepted_s"], records / report["stored_s"])

    def loss(self, folder: Path, kills: int, rate: float, seed: int = 1) -> Loss:
        """Killed ``kills`` times at a random moment of ``rate`` events a second."""
        dice, accepted, lost = Random(seed), 0, 0
        for number in range(kills):
            place = folder / str(number)
            place.mkdir(parents=True)
            child = subprocess.Popen(
                [self._python, self._child, f"{place}/", "accept", "1000000", str(rate)], stdout=subprocess.PIPE
            )
            heard = _kill_while_it_reports(child, dice.uniform(0.8, 1.6))
            said = {int(line.split()[1]) for line in heard if line.startswith("accepted ") and line.endswith("\n")}
            there = set(json.loads(self._run(place, "read", 0, 0.0))["numbers"])
            accepted += len(said)
            lost += len(said - there)
        return Loss(kills, accepted, lost)

    def _run(self, folder: Path, what: str, records: int, rate: float) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [self._python, self._child, f"{folder}/", what, str(records), str(rate)],
            capture_output=True, text=True, check=True, timeout=_PATIENCE_S,
        )  # fmt: skip
        return done.stdout.splitlines()[-1]


def _kill_while_it_reports(child: "subprocess.Popen[bytes]", after_s: float) -> list[str]:
    """SIGKILL it ``after_s`` after its first word; returns all that it said before."""
    lines: list[str] = []
    first = threading.Event()
    assert child.stdout is not None
    output = child.stdout

    def read() -> None:
        for line in output:
            lines.append(line.decode())
            first.set()

    reader = threading.Thread(target=read)
    reader.start()
    first.wait(_PATIENCE_S)
    time.sleep(after_s)
    child.kill()
    child.wait()
    reader.join()
    return lines


class Mosquitto:
    """One mosquitto process with its files in ``folder``."""

    def __init__(self, folder: Path, *lines: str) -> None:
        found = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if found is None:
            raise AnchorMissing("mosquitto is missing; ./setup.sh brokers installs it from Debian")
        folder.mkdir(parents=True)
        self.port = free_port()
        self._command = [found, "-c", str(folder / "mosquitto.conf")]
        (folder / "mosquitto.conf").write_text(
            "\n".join([f"listener {self.port} 127.0.0.1", "allow_anonymous true", "user root", *lines,
                       "persistence true", f"persistence_location {folder}/", f"log_dest file {folder}/log"]) + "\n"
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        ends_at = time.monotonic() + _PATIENCE_S
        while time.monotonic() < ends_at:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.01)
        raise AnchorMissing("mosquitto does not start")

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_PATIENCE_S)
            self._process = None


SAFE = ("autosave_on_changes true", "autosave_interval 1")


@contextlib.contextmanager
def bridge(folder: Path, *settings: str) -> Iterator[tuple[Mosquitto, Mosquitto]]:
    """An edge broker that passes everything on to another; neither is started."""
    far = Mosquitto(folder / "far", "max_queued_messages 0")
    edge = Mosquitto(
        folder / "edge", "max_queued_messages 0", *settings, "connection up", f"address 127.0.0.1:{far.port}",
        "topic # out 1", "cleansession false", "restart_timeout 1",
    )  # fmt: skip
    try:
        yield edge, far
    finally:
        edge.stop(signal.SIGKILL)
        far.stop(signal.SIGKILL)


class _Listener:
    """Subscribes at the far broker; ``numbers`` is what came, repetitions included."""

    def __init__(self, port: int) -> None:
        self.numbers: list[int] = []
        ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="listener", protocol=mqtt.MQTTv311)
        self._client.on_message = lambda _client, _data, message: self.numbers.append(int(message.payload[:8]))
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        ready.wait(_PATIENCE_S)

    def wait_for(self, count: int, patience_s: float) -> None:
        """Until so many have come, or nothing has come for ``patience_s``."""
        seen, since = len(self.numbers), time.monotonic()
        while len(self.numbers) < count and time.monotonic() - since < patience_s:
            if len(self.numbers) > seen:
                seen, since = len(self.numbers), time.monotonic()
            time.sleep(0.01)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def publish(port: int, count: int) -> float:
    """QoS 1, a window of 100, until all are acknowledged; returns how long that took."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="sensor", protocol=mqtt.MQTTv311)
    client.max_inflight_messages_set(_WINDOW)
    room = threading.Semaphore(_WINDOW)
    client.on_publish = lambda *_: room.release()
    client.connect("127.0.0.1", port)
    client.loop_start()
    began = time.perf_counter()
    for number in range(count):
        room.acquire()
        client.publish("up", b"%08d" % number + bytes(PAYLOAD_BYTES - 8), qos=1)
    for _ in range(_WINDOW):
        room.acquire()
    took_s = time.perf_counter() - began
    client.disconnect()
    client.loop_stop()
    return took_s


def bridge_rates(folder: Path, count: int, *settings: str) -> Rates:
    """Acknowledged a second, and arrived at the far broker a second."""
    with bridge(folder, *settings) as (edge, far):
        far.start()
        listener = _Listener(far.port)
        edge.start()
        time.sleep(1.0)  # for the bridge to connect
        began = time.perf_counter()
        took_s = publish(edge.port, count)
        listener.wait_for(count, 10.0)
        arrived_s = time.perf_counter() - began
        listener.close()
        return Rates(count / took_s, len(set(listener.numbers)) / arrived_s)


def bridge_loss(folder: Path, count: int, *settings: str) -> Loss:
    """The far broker is away, the edge broker acknowledges ``count`` and is killed; then both come back."""
    with bridge(folder, *settings) as (edge, far):
        edge.start()
        publish(edge.port, count)
        edge.stop(signal.SIGKILL)
        far.start()
        listener = _Listener(far.port)
        edge.start()
        listener.wait_for(count, 8.0)
        listener.close()
        return Loss(1, count, count - len(set(listener.numbers)))
