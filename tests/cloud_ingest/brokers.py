# SPDX-License-Identifier: EUPL-1.2
"""Real brokers on loopback for tests of this folder: nats-server and Mosquitto."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulators.ports import free_port

BIN = Path(sys.executable).parent
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 300.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Nats:
    """One server with an MQTT listener, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.mqtt_port = folder, free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "nats.conf").write_text(
            f'server_name: "test"\nlisten: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{folder}/broker", max_mem: 64M, max_file: 256M, sync_interval: always }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.mqtt_port}", ack_wait: "1s" }}\n'
        )

    @property
    def server(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "nats.log").open("ab") as log:
            command = [str(BIN / "nats-server"), "-c", str(self.folder / "nats.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(lambda: answers(self.port) and answers(self.mqtt_port), "the broker")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """It says nothing any more; its kernel goes on taking connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def wipe(self) -> None:
        """Stopped, it loses everything."""
        (self.folder / "broker").rename(self.folder / f"lost-{time.monotonic_ns()}")


class Mosquitto:
    """Without persistence: killed, it has lost everything."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._file = folder / "mosquitto.conf"
        limits = "max_queued_messages 100000\nmax_inflight_messages 100\n"  # as in our mosquitto.conf
        self._file.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{limits}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None, "'./setup.sh brokers' installs it"
        log = subprocess.DEVNULL
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._file)], stdout=log, stderr=log)
        wait_for(lambda: answers(self.port), "the broker")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
