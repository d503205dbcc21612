# SPDX-License-Identifier: EUPL-1.2
"""A town whose broker is the three-node cluster as it is shipped: configuration, certificates and rights are what the
operator's commands make, only moved to other ports. Its nodes are 127.0.0.1 to 127.0.0.3.
"""

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from simulators.load_town import LoadTown
from simulators.ports import free_port
from simulators.town import GATEWAY_EUI, TownError

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
_STREAM = "$MQTT_msgs"


class NodePorts(NamedTuple):
    """``monitor``: where the server tells about itself over HTTP, which the shipped configuration does not open."""

    nats: int
    mqtt: int
    route: int
    monitor: int


class Leaders(NamedTuple):
    """Which node leads the cluster's metadata, and which the stream of MQTT messages."""

    meta: int
    stream: int


class ClusterTown(LoadTown):
    """The broker's nodes are parts ``node-0`` to ``node-2``."""

    def __init__(self, folder: Path, *, nodes: int = 2) -> None:
        super().__init__(folder, nodes=nodes)
        self._ports = [NodePorts(*(free_port() for _ in NodePorts._fields)) for _ in HOSTS]
        self._run("ingest", "certificates", "init")
        self._run("ingest", "certificates", "broker", *HOSTS)
        self._run("ingest", "certificates", "ingest")
        self._run("ingest", "certificates", "gateway", GATEWAY_EUI)
        self._run("ingest", "broker-cluster", *HOSTS)
        for number in range(len(HOSTS)):
            self._move(number)
        servers = [f"tls://{host}:{ports.nats}" for host, ports in zip(HOSTS, self._ports, strict=True)]
        self._rewrite(
            "gateway.toml",
            f'[gateway]\neui = "{GATEWAY_EUI}"\n[gwmp]\nport = {self.gwmp_port}\n[page]\nport = {self.page_port}\n'
            "[network]\ntime_tolerance_s = 0\n[downlinks]\nvirtual_time = true\n"
            f'[log]\nlevel = "debug"\n{self._mqtt(GATEWAY_EUI)}',
        )
        self._rewrite(
            "ingest.toml",
            f"{self._mqtt('ingest')}tls = true\n"
            f"[jetstream]\nservers = {json.dumps(servers)}\nreplicas = {len(HOSTS)}\nmax_mb = 64\n"
            f'[http]\nport = {self.http_port}\n[time]\nsource = "observations"\n',
        )

    def _mqtt(self, party: str) -> str:
        """How ``party`` finds the cluster, and who it is; both sides name that in the same way."""
        others = [f"{host}:{ports.mqtt}" for host, ports in zip(HOSTS[1:], self._ports[1:], strict=True)]
        return (
            f'[mqtt]\nhost = "{HOSTS[0]}"\nport = {self._ports[0].mqtt}\ncluster = {json.dumps(others)}\n'
            'keepalive_s = 5\nca_file = "certificates/ca.pem"\n'
            f'cert_file = "certificates/{party}.pem"\nkey_file = "certificates/{party}.key"\n'
        )

    def _move(self, number: int) -> None:
        """Let a node listen on its own address and ports."""
        path = self.folder / "certificates" / f"nats-{HOSTS[number]}.conf"
        text, own = path.read_text("utf-8"), self._ports[number]
        for port, moved in ((4222, own.nats), (8883, own.mqtt), (6222, own.route)):
            text = text.replace(f"0.0.0.0:{port}", f"{HOSTS[number]}:{moved}")
        for host, ports in zip(HOSTS, self._ports, strict=True):
            text = text.replace(f"@{host}:6222", f"@{host}:{ports.route}")
        path.write_text(text + f'http: "127.0.0.1:{own.monitor}"\n', "utf-8")

    def start_broker(self) -> None:
        for number in range(len(HOSTS)):
            self.start_node(number)
        self._wait("node-0", lambda: all(self.is_healthy(number) for number in range(len(HOSTS))))
        self._wait("node-0", self._has_stream)

    def _has_stream(self) -> bool:
        try:
            self._run("ingest", "broker-setup", "--config", "ingest.toml")
        except TownError:
            return False
        return True

    def start_node(self, number: int) -> None:
        server = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        assert server is not None
        in_folder = ["env", "-C", "certificates"]  # as the configuration wants it
        self._start(f"node-{number}", [*in_folder, server, "-c", f"nats-{HOSTS[number]}.conf"])

    def hang(self, number: int) -> None:
        """It says nothing any more, as a machine that hangs or is cut off; its kernel goes on taking connections."""
        self._processes[f"node-{number}"].send_signal(signal.SIGSTOP)

    def is_healthy(self, number: int) -> bool:
        """It has caught up with everything."""
        found = self.get(f"http://127.0.0.1:{self._ports[number].monitor}/healthz")
        return isinstance(found, dict) and found.get("status") == "ok"

    def leaders(self) -> Leaders | None:
        """None while one of them is not known."""
        found = self.get(f"http://127.0.0.1:{self._ports[0].monitor}/jsz?accounts=1&streams=1")
        names = [f"{host}-4222" for host in HOSTS]  # as the shipped configuration has it
        try:
            streams = [stream for account in found["account_details"] for stream in account["stream_detail"]]
            leader = next(stream["cluster"]["leader"] for stream in streams if stream["name"] == _STREAM)
            return Leaders(names.index(found["meta_cluster"]["leader"]), names.index(leader))
        except (KeyError, TypeError, ValueError, StopIteration):
            return None

    def stop(self) -> None:
        super().stop()
        for number in range(len(HOSTS)):
            if self.alive(f"node-{number}"):
                self.kill(f"node-{number}")
