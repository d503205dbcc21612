# SPDX-License-Identifier: EUPL-1.2
"""A small city's services as the processes they are in the field: broker, gateway, ingest and the simulated nodes.

Everything listens on loopback, keeps its files and logs in one folder and dies with its parent. The demo shows it,
the end-to-end tests kill parts of it.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any
from urllib.error import URLError
from urllib.request import urlopen

from simulators.broker import Account, nats_config
from simulators.city import City, small_jena
from simulators.ports import free_port

GATEWAY_EUI = "02000000ffff0001"  # locally administered (IEEE 802, U/L bit): no maker's number
_PR_SET_PDEATHSIG = 1  # prctl(2)
_READY_S = 120.0
_MARK = "stadtfunk-demo.lock"  # a folder with this file in it is ours to empty


class TownError(Exception):
    """A part of the town cannot run. Facts: ``part``, ``reason``."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part
        self.reason = reason


def check_port(port: int) -> None:
    """Raises TownError if something already listens on ``port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise TownError(f"port {port}", f"cannot be used ({error.strerror}); choose another with --port") from error


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Town:
    """The files and processes of one simulated city. Every run starts from nothing: what an earlier one left in
    ``folder`` is removed. Raises TownError for a folder that holds anything else, or is in use.
    """

    def __init__(
        self, folder: Path, *, http_port: int, nodes: int = 12, air: int = 0, traffic: int = 0, seed: int = 1
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.city: City = small_jena(seed, nodes, air, traffic)
        self.http_port = http_port
        self.gwmp_port = free_port(socket.SOCK_DGRAM)
        self.page_port = free_port()
        self.mqtt_port = free_port()
        self._broker_port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = self._take_folder()
        self._write_files()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def gateway_url(self) -> str:
        """The gateway's own page; its password is in ``folder / "page.token"``."""
        return f"http://127.0.0.1:{self.page_port}"

    def _take_folder(self) -> IO[str]:
        """Make the folder ours and empty; the lock holds until this process ends."""
        try:
            self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            others = [path for path in self.folder.iterdir() if path.name != _MARK]
            if others and not (self.folder / _MARK).exists():
                raise TownError(f"folder {self.folder}", "holds other files, which a demo would remove; choose another")
            lock = (self.folder / _MARK).open("w")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in others:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except BlockingIOError as error:
            raise TownError(
                f"folder {self.folder}", "is in use by another demo; choose another with --folder"
            ) from error
        except OSError as error:
            raise TownError(f"folder {self.folder}", f"cannot be used ({error.strerror})") from error
        return lock

    def _write_files(self) -> None:
        gateway = Account("gateway", secrets.token_urlsafe(24))
        ingest = Account("ingest", secrets.token_urlsafe(24))
        self._write("gateway.password", gateway.password)
        self._write("ingest.password", ingest.password)
        self._write("city.json", json.dumps(self.city.registry(), ensure_ascii=False, indent=1))
        self._write("devices.csv", self.city.devices_csv())
        self._write(
            "nats.conf",
            nats_config(
                store=(self.folder / "broker").resolve(),
                client_port=self._broker_port,
                mqtt_port=self.mqtt_port,
                eui=GATEWAY_EUI,
                gateway=gateway,
                ingest=ingest,
            ),
        )
        self._write(
            "gateway.toml",
            f'[gateway]\neui = "{GATEWAY_EUI}"\n'
            f"[gwmp]\nport = {self.gwmp_port}\n"
            "[network]\ntime_tolerance_s = 0  # the concentrator's virtual present, not this machine's\n"
            "[downlinks]\nvirtual_time = true  # which stands still until an uplink is answered\n"
            f"[page]\nport = {self.page_port}\n"
            f'[mqtt]\nport = {self.mqtt_port}\nusername = "gateway"\npassword_file = "gateway.password"\n'
            "reconnect_max_s = 2\nresend_s = 2\n",
        )
        self._write(
            "ingest.toml",
            f'[mqtt]\nport = {self.mqtt_port}\nusername = "ingest"\npassword_file = "ingest.password"\n'
            f'gateways = ["{GATEWAY_EUI}"]\n'
            f"[http]\nport = {self.http_port}\n"
            "query_timeout_s = 60  # the machine that runs a whole city has no time to spare\n"
            "[time]\nsource = \"observations\"  # the city's virtual present, not this machine's\n",
        )

    def _write(self, name: str, text: str) -> None:
        with open(os.open(self.folder / name, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    def start_services(self) -> None:
        """Start broker, gateway and ingest and wait until each answers; raises TownError."""
        self.start_broker()
        self._run("gateway", "devices", "import", "devices.csv", "--config", "gateway.toml")
        self.start_gateway()
        self.start_ingest()

    def start_broker(self) -> None:
        server = shutil.which("nats-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        if server is None:
            raise TownError("broker", "nats-server is missing; install the extra [simulators]")
        self._start("broker", [server, "-c", "nats.conf"])
        self._wait("broker", self._broker_ready)

    def start_gateway(self) -> None:
        self._start("gateway", self._stadtfunk("gateway", "run", "--config", "gateway.toml"))
        self._wait("gateway", lambda: self.get(f"{self.gateway_url}/status") is not None)

    def start_ingest(self) -> None:
        self._start("ingest", self._stadtfunk("ingest", "run", "--config", "ingest.toml"))
        self._wait("ingest", lambda: self.get(f"{self.url}/health") is not None)

    def start_nodes(
        self, *, speed: float | None, days: float | None = None, frames: Path | None = None, lockstep: bool = False
    ) -> None:
        """Start the simulated city against the gateway; ``speed`` is virtual per real seconds, None for all it can.

        ``lockstep``: it waits for the gateway however long, so that a busy machine changes nothing of what happens.
        """
        options = ["--nodes", str(self.city.nodes), "--seed", str(self.seed), "--gwmp-port", str(self.gwmp_port)]
        for kind in ("air", "traffic"):
            options += [f"--{kind}", str(sum(station.kind == kind for station in self.city.stations))]
        options += ["--speed", "max" if speed is None else str(speed), "--gateway-eui", GATEWAY_EUI, "--json"]
        if lockstep:
            options.append("--lockstep")
        if days is not None:
            options += ["--days", str(days)]
        if frames is not None:
            options += ["--frames", str(frames.resolve())]
        self._start("nodes", self._stadtfunk("simulate", "city", *options))

    def _broker_ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.mqtt_port), timeout=1):
            return True
        return False

    def _stadtfunk(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "stadtfunk", *arguments]

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(self._stadtfunk(*arguments), cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TownError(" ".join(arguments[:2]), done.stderr.strip() or done.stdout.strip())

    def _start(self, part: str, command: list[str]) -> None:
        with (self.folder / f"{part}.log").open("ab") as errors, (self.folder / f"{part}.out").open("ab") as output:
            self._processes[part] = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the demo; it stops the rest in order
                preexec_fn=_die_with_parent,
            )

    def _wait(self, part: str, ready: Any) -> None:
        deadline = time.monotonic() + _READY_S
        while not ready():
            if not self.alive(part):
                raise TownError(part, f"stopped at start: {self.last_line(part)}")
            if time.monotonic() > deadline:
                raise TownError(part, f"does not answer after {_READY_S:.0f} s; see {self.folder / part}.log")
            time.sleep(0.05)

    def get(self, url: str) -> Any:
        """The JSON (or text) at ``url``, None if nothing answers."""
        try:
            with urlopen(url, timeout=5) as response:
                body = response.read().decode()
                return json.loads(body) if "json" in response.headers.get("Content-Type", "") else body
        except (URLError, OSError, ValueError):
            return None

    def progress(self) -> dict[str, Any]:
        """The newest progress line of the simulated nodes; empty before the first."""
        try:
            with (self.folder / "nodes.out").open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - 4096, 0))
                lines = file.read().splitlines()
        except OSError:
            return {}
        for line in reversed(lines):
            with contextlib.suppress(ValueError):  # the first may be cut, the last half written
                return dict(json.loads(line))
        return {}

    def alive(self, part: str) -> bool:
        return part in self._processes and self._processes[part].poll() is None

    def last_line(self, part: str) -> str:
        """What the part said last, for an error message."""
        lines = (self.folder / f"{part}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def kill(self, part: str) -> None:
        """SIGKILL: no chance to tidy up."""
        self._processes[part].kill()
        self._processes[part].wait()

    def wait(self, part: str, timeout_s: float) -> int:
        return self._processes[part].wait(timeout_s)

    def stop(self) -> None:
        """Stop everything, sources first, so that what is under way still arrives."""
        for part in ("nodes", "gateway", "ingest", "broker"):
            process = self._processes.get(part)
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._lock.close()
