# SPDX-License-Identifier: EUPL-1.2
"""TLS between gateway and broker, with the real nats-server and the real Mosquitto and the configurations we ship."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from cloud_ingest.certificates import Authority
from gateway import reconnect
from gateway.broker_tls import why
from gateway.cli import gateway
from gateway.command import open_database
from gateway.config import MqttSection, load
from simulators.ports import free_port
from tests.gateway.nodes import GATEWAY_EUI, Concentrator, Node, write_config
from tests.gateway.running import BIN, GatewayProcess, eventually, join
from tests.gateway.secured_brokers import Cluster, Party, SecuredBroker, command

OTHER_EUI = "0016c001ff10a002"
UP = f"stadtfunk/1/{GATEWAY_EUI}/up/reading"
UPS = ["up", "up/alarm", "up/reading", "up/diagnostic"]
FAKETIME = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketimeMT.so.1")


@pytest.fixture(params=["nats", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecuredBroker]:
    made = SecuredBroker(request.param, tmp_path / "certificates")
    yield made
    made.stop()


def gateway_toml(folder: Path, broker: SecuredBroker, **mqtt_keys: Any) -> tuple[Path, Node]:
    """A gateway's files, its certificate where ``certificates gateway`` writes it; and its only node."""
    keys = {"ca_file": "ca.pem", "cert_file": f"{GATEWAY_EUI}.pem", "key_file": f"{GATEWAY_EUI}.key"}
    files = {key: str(broker.folder / name) for key, name in keys.items()}
    path = write_config(
        folder,
        mqtt={"host": "localhost", "port": broker.port, "reconnect_max_s": 0.5} | files | mqtt_keys,
    )
    node = Node()
    store = open_database(load(path))
    with store.transaction() as ledger:
        ledger.put_device(node.device())
    store.close()
    return path, node


def status(running: GatewayProcess) -> dict[str, Any]:
    with urlopen(f"http://127.0.0.1:{running.page_port}/status", timeout=60) as answer:
        return dict(json.load(answer))


def logged(running: GatewayProcess, pattern: str) -> list[str]:
    """All that it has logged once ``pattern`` is in it, which may be read here a moment after it was written."""
    log = list(running.log)
    return log if any(re.search(pattern, line) for line in log) else []


def send(running: GatewayProcess, node: Node) -> None:
    """Join and send one uplink; returns once it is accepted."""
    with Concentrator(running.gwmp_port) as concentrator:
        concentrator.pull()
        join(concentrator, node)
        token = concentrator.push(node.uplink(), tmst_us=40_000_000)
        while concentrator.receive() != (1, token, None):
            pass


def one_tree(dev_eui: str) -> dict[str, Any]:
    """The smallest city.json that knows the node."""
    name, place = {"de": "Linde", "en": "Lime"}, {"lon": 11.5881, "lat": 50.9274}
    corners = [[11.58, 50.92], [11.59, 50.92], [11.59, 50.93], [11.58, 50.92]]
    rule = {"quantity": "soil_moisture", "act": 16.0, "clear": 18.0}
    return {
        "name": name, "center": [11.586, 50.927], "zoom": 13,
        "reference_areas": [{"id": "RA-01", "name": name, "polygon": corners, "rule": rule, "litres_per_tree": 75}],
        "trees": [{"id": "J-1", "name": name, "latin": "Tilia", "planted": 2024, "area": "RA-01"} | place],
        "nodes": [{"dev_eui": dev_eui, "tree": "J-1", "interval_s": 3600}],
    }  # fmt: skip


def start_ingest(folder: Path, broker: SecuredBroker, dev_eui: str, ca_file: Path) -> "subprocess.Popen[bytes]":
    """The real service, its log in ingest.log."""
    (folder / "city.json").write_text(json.dumps(one_tree(dev_eui)))
    (folder / "ingest.toml").write_text(
        f'[mqtt]\nhost = "localhost"\nport = {broker.port}\ntls = true\nca_file = "{ca_file}"\n'
        f'cert_file = "{broker.folder}/ingest.pem"\nkey_file = "{broker.folder}/ingest.key"\n'
        f"[http]\nport = {free_port()}\n"
    )
    with (folder / "ingest.log").open("wb") as log:
        command = [BIN / "stadtfunk", "ingest", "run", "--config", "ingest.toml"]
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log)


class TestIdentity:
    """Who connects is who the certificate says."""

    def test_a_gateway_gets_through_with_a_key_that_never_left_it(self, tmp_path, broker):
        path, node = gateway_toml(tmp_path, broker, key_file="own.key")
        asked = CliRunner().invoke(gateway, ["certificate-request", "--config", str(path)])
        (tmp_path / "gateway.csr").write_text(asked.output)
        command("gateway", GATEWAY_EUI, "--request", str(tmp_path / "gateway.csr"), "--folder", str(broker.folder))
        broker.start()

        with Party(broker, "ingest", ["stadtfunk/1/+/up/reading"]) as cloud, GatewayProcess(path) as running:
            send(running, node)
            eventually(lambda: cloud.heard)
            connected = status(running)["broker_connected"]

        assert cloud.heard[0][0] == UP
        assert connected == 1
        assert not (broker.folder / f"{GATEWAY_EUI}.key").exists()
        assert (tmp_path / "own.key").stat().st_mode & 0o777 == 0o600

    def test_the_real_ingest_takes_and_tells_under_its_own_identity(self, tmp_path, broker):
        path, node = gateway_toml(tmp_path, broker)
        command("gateway", GATEWAY_EUI, "--folder", str(broker.folder))
        broker.start()
        running_ingest = start_ingest(tmp_path, broker, node.dev_eui, broker.folder / "ca.pem")
        try:
            with GatewayProcess(path) as running:
                send(running, node)
                eventually(lambda: status(running)["outbox_held"] == 0 and status(running)["counters"]["watermarks"])
        finally:
            running_ingest.terminate()
            running_ingest.wait(60)

    def test_nobody_ends_a_gateway_s_connection_under_the_name_that_everybody_knows(self, tmp_path, broker):
        """MQTT 3.1.1 "CONNECT Actions": a server disconnects who has the client id of one that connects."""
        path, node = gateway_toml(tmp_path, broker)
        for eui in (GATEWAY_EUI, OTHER_EUI):
            command("gateway", eui, "--folder", str(broker.folder))
        broker.start()

        with Party(broker, "ingest", ["stadtfunk/1/+/up/reading"]) as cloud, GatewayProcess(path) as running:
            eventually(lambda: status(running)["broker_connected"])
            with Party(broker, OTHER_EUI, [f"stadtfunk/1/{OTHER_EUI}/committed"], client_id=GATEWAY_EUI) as thief:
                thief.publish(f"stadtfunk/1/{OTHER_EUI}/status", b"here I am")
                send(running, node)
                eventually(lambda: cloud.heard)
                counters = status(running)["counters"]

        assert (counters["broker_connections"], counters["broker_failures"]) == (1, 0)

    def test_a_session_of_the_ingest_for_one_lane_hears_that_lane_alone(self, broker):
        command("gateway", GATEWAY_EUI, "--folder", str(broker.folder))
        broker.start()
        every = [f"stadtfunk/1/+/{up}" for up in UPS]

        with (
            Party(broker, "ingest-alarm", every) as alarms,
            Party(broker, "ingest-diagnostic", every) as diagnostics,
            Party(broker, GATEWAY_EUI, [f"stadtfunk/1/{GATEWAY_EUI}/committed"]) as gate,
        ):
            for up in UPS:
                gate.publish(f"stadtfunk/1/{GATEWAY_EUI}/{up}", b"own")
            eventually(lambda: alarms.heard and diagnostics.heard)

        assert {topic for topic, _ in alarms.heard} == {f"stadtfunk/1/{GATEWAY_EUI}/up/alarm"}
        assert {topic for topic, _ in diagnostics.heard} == {f"stadtfunk/1/{GATEWAY_EUI}/up/diagnostic"}

    def test_nobody_speaks_or_hears_in_the_name_of_another(self, broker):
        for eui in (GATEWAY_EUI, OTHER_EUI):
            command("gateway", eui, "--folder", str(broker.folder))
        broker.start()
        own, foreign = (f"stadtfunk/1/{eui}/committed" for eui in (GATEWAY_EUI, OTHER_EUI))
        channels = [*UPS, "status", "events"]

        with (
            Party(broker, "ingest", [f"stadtfunk/1/+/{channel}" for channel in channels]) as cloud,
            Party(broker, GATEWAY_EUI, [own, foreign, *(f"stadtfunk/1/+/{up}" for up in UPS), "#"]) as gate,
            Party(broker, OTHER_EUI, [foreign]) as other,
        ):
            for channel in channels:
                gate.publish(f"stadtfunk/1/{OTHER_EUI}/{channel}", b"forged")
                gate.publish(f"stadtfunk/1/{GATEWAY_EUI}/{channel}", b"own")
            gate.publish(foreign, b"forged")
            cloud.publish(foreign, b"for the other")
            cloud.publish(own, b"for this one")
            eventually(lambda: len(cloud.heard) >= len(channels) and len(other.heard) >= 1 and len(gate.heard) >= 1)
            cloud.publish(own, b"the last")
            eventually(lambda: (own, b"the last") in gate.heard)

        assert {payload for _, payload in cloud.heard} == {b"own"}
        assert {topic for topic, _ in cloud.heard} == {f"stadtfunk/1/{GATEWAY_EUI}/{channel}" for channel in channels}
        assert other.heard == [(foreign, b"for the other")]
        assert {topic for topic, _ in gate.heard} == {own}

    def test_the_longest_batch_passes(self, broker):
        command("gateway", GATEWAY_EUI, "--folder", str(broker.folder))
        broker.start()
        longest = bytes(
            (2 << 20) + 2048
        )  # decoders/README.md "The uplink message": 2 MiB before zlib, which may add some

        with (
            Party(broker, "ingest", ["stadtfunk/1/+/up/reading"]) as cloud,
            Party(broker, GATEWAY_EUI, [f"stadtfunk/1/{GATEWAY_EUI}/committed"]) as gate,
        ):
            gate.publish(UP, longest)
            eventually(lambda: cloud.heard)

        assert cloud.heard == [(UP, longest)]

    def test_no_message_passes_that_is_longer_than_any_batch(self, broker):
        command("gateway", GATEWAY_EUI, "--folder", str(broker.folder))
        broker.start()
        hung_up = threading.Event()

        with (
            Party(broker, "ingest", ["stadtfunk/1/+/up/reading"]) as cloud,
            Party(broker, GATEWAY_EUI, [f"stadtfunk/1/{GATEWAY_EUI}/committed"]) as gate,
        ):
            gate._client.on_disconnect = lambda *_: hung_up.set()
            gate._client.publish(UP, bytes(3 << 20), qos=1)
            assert hung_up.wait(60)

        assert cloud.heard == []

    def test_a_gateway_made_while_the_broker_runs_may_connect_after_a_reload(self, tmp_path, broker):
        broker.start()
        path, node = gateway_toml(tmp_path, broker)
        command("gateway", GATEWAY_EUI, "--folder", str(broker.folder))
        broker.reload()

        with Party(broker, "ingest", ["stadtfunk/1/+/up/reading"]) as cloud, GatewayProcess(path) as running:
            send(running, node)

            eventually(lambda: cloud.heard)


def foreign(folder: Path) -> Authority:
    """Another authority, which nobody here believes."""
    other = Authority(folder / "foreign")
    other.init()
    return other


def then(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def steal(folder: Path, source: Path, name: str) -> None:
    for suffix in (".pem", ".key"):
        shutil.copy(source / f"{name}{suffix}", folder / f"{name}{suffix}")


def foreign_gateway(folder: Path) -> None:
    foreign(folder.parent).issue_gateway(GATEWAY_EUI)
    steal(folder, folder.parent / "foreign", GATEWAY_EUI)


def foreign_broker(folder: Path) -> None:
    foreign(folder.parent).issue_broker(["localhost"])
    steal(folder, folder.parent / "foreign", "broker")


# What is wrong: how it comes about, and what the gateway says; a broker may only hang up instead of saying why.
WRONG: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "gateway of a foreign authority": (foreign_gateway, ("does not know the authority of our certificate", "hung up")),
    "expired gateway": (
        lambda folder: Authority(folder, then(-100)).issue_gateway(GATEWAY_EUI, days=30),
        ("our certificate .* is good from .* to .*; our clock says",),
    ),
    "gateway not yet valid": (
        lambda folder: Authority(folder, then(30)).issue_gateway(GATEWAY_EUI),
        ("our certificate .* is good from .* to .*; our clock says",),
    ),
    "broker of a foreign authority": (foreign_broker, ("its certificate is of another authority than ca_file",)),
    "expired broker": (
        lambda folder: Authority(folder, then(-100)).issue_broker(["localhost"], 30),
        ("its certificate has expired; our clock says",),
    ),
    "broker not yet valid": (
        lambda folder: Authority(folder, then(30)).issue_broker(["localhost"]),
        ("its certificate is not valid yet; our clock says",),
    ),
    "broker of another name": (
        lambda folder: Authority(folder).issue_broker(["elsewhere.example"]),
        ("its certificate is not for localhost",),
    ),
}


class TestRefused:
    """Nothing is lost: the gateway says what is wrong once, accepts, keeps, and connects when it is put right."""

    @pytest.mark.parametrize(
        ("broker", "wrong"),
        # What is wrong with the broker is found out by the gateway, whatever broker it is.
        [(kind, wrong) for kind in ("nats", "mosquitto") for wrong in WRONG if kind == "nats" or "gateway" in wrong],
        indirect=["broker"],
    )
    def test_it_says_why_once_keeps_and_comes_back(self, tmp_path, broker, wrong):
        make, says = WRONG[wrong]
        command("gateway", GATEWAY_EUI, "--folder", str(broker.folder))
        make(broker.folder)
        path, node = gateway_toml(tmp_path, broker)
        broker.start()

        with GatewayProcess(path) as running:
            send(running, node)
            eventually(lambda: status(running)["counters"]["broker_failures"] >= 3)
            before = status(running)
            log = eventually(lambda: logged(running, "broker lost"))
            broker.stop()
            command("broker", "localhost", "--folder", str(broker.folder))
            command("gateway", GATEWAY_EUI, "--folder", str(broker.folder))
            broker.start()
            with Party(broker, "ingest", ["stadtfunk/1/+/up/reading"]) as cloud:
                eventually(lambda: cloud.heard)

        lines = [line for line in log if "broker lost" in line]
        assert (before["broker_connected"], before["outbox_held"]) == (0, 1)
        assert 1 <= len({line.split(": ", 1)[1] for line in lines}) == len(lines) <= 2, lines  # or it hung up first
        assert all(any(re.search(part, line) for part in says) for line in lines), lines
        assert "Traceback" not in "".join(log)

    def test_the_ingest_says_why_it_believes_no_broker(self, tmp_path):
        broker = SecuredBroker("nats", tmp_path / "certificates")
        foreign(tmp_path)
        broker.start()
        running = start_ingest(tmp_path, broker, "70b3d57ed1000001", tmp_path / "foreign" / "ca.pem")
        try:
            log = eventually(lambda: re.search("broker cannot be reached.*", (tmp_path / "ingest.log").read_text()))
        finally:
            running.terminate()
            running.wait(60)
            broker.stop()

        assert "certificate verify failed" in log[0]

    def test_without_a_certificate_nobody_gets_in(self, tmp_path, broker):
        path, _ = gateway_toml(tmp_path, broker)
        path.write_text(re.sub("^(cert|key)_file = .*$", "", path.read_text(), flags=re.MULTILINE))
        broker.start()

        with GatewayProcess(path) as running:
            eventually(lambda: status(running)["counters"]["broker_failures"] >= 3)
            log = eventually(lambda: logged(running, "broker lost"))

        lines = [line for line in log if "broker lost" in line]
        assert 1 <= len(lines) <= 2, lines
        for line in lines:
            assert re.search("it wants a certificate of ours; give cert_file and key_file|it hung up", line), lines

    def test_a_stolen_gateway_is_shut_out(self, tmp_path, broker):
        command("gateway", GATEWAY_EUI, "--folder", str(broker.folder))
        for suffix in (".pem", ".key"):
            shutil.copy(broker.folder / f"{GATEWAY_EUI}{suffix}", tmp_path / f"stolen{suffix}")
        stolen = {"cert_file": str(tmp_path / "stolen.pem"), "key_file": str(tmp_path / "stolen.key")}
        path, _ = gateway_toml(tmp_path, broker, **stolen)
        broker.start()
        with GatewayProcess(path) as running:
            eventually(lambda: status(running)["broker_connected"])
            command("revoke", GATEWAY_EUI, "--folder", str(broker.folder))
            broker.stop()
            broker.start()
            eventually(lambda: logged(running, "Not authorized|is revoked|hung up during TLS"))
            failures = status(running)["counters"]["broker_failures"]
            eventually(lambda: status(running)["counters"]["broker_failures"] >= failures + 3)
            connected = status(running)["broker_connected"]

        assert connected == 0


class TestCluster:
    def test_identities_hold_on_every_node(self, tmp_path):
        with Cluster(tmp_path / "certificates") as cluster:
            heard = eventually(lambda: self.heard_over(cluster), 300)

        assert heard == {(UP, b"own")}

    @staticmethod
    def heard_over(cluster: Cluster) -> set[tuple[str, bytes]] | None:
        """What the ingest gets on one node of what a gateway sends on another; None while they are not ready."""
        try:
            with (
                Party(cluster.at(2), "ingest", ["stadtfunk/1/+/up/reading"], 20) as cloud,
                Party(cluster.at(0), GATEWAY_EUI, [f"stadtfunk/1/{GATEWAY_EUI}/committed"], 20) as gate,
            ):
                gate.publish(f"stadtfunk/1/{OTHER_EUI}/up/reading", b"forged")
                gate.publish(UP, b"own")
                eventually(lambda: cloud.heard, 30)
                return set(cloud.heard)
        except (OSError, AssertionError):
            return None


class TestClock:
    """A gateway without a clock of its own: 1970 until somebody tells it the time."""

    @pytest.mark.skipif(not FAKETIME.exists(), reason="needs Debian's libfaketime: ./setup.sh brokers")
    def test_tls_comes_about_as_soon_as_the_time_is_set(self, tmp_path, broker, monkeypatch):
        path, node = gateway_toml(tmp_path, broker, reconnect_max_s=3600.0)
        command("gateway", GATEWAY_EUI, "--folder", str(broker.folder))
        broker.start()
        clock = tmp_path / "clock"
        clock.write_text("@1970-01-01 00:01:00\n")
        for name, value in {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }.items():
            monkeypatch.setenv(name, value)

        with GatewayProcess(path) as running:
            monkeypatch.delenv("LD_PRELOAD")
            eventually(lambda: status(running)["counters"]["broker_failures"] >= 4)
            send(running, node)
            lines = [line for line in eventually(lambda: logged(running, "broker lost")) if "broker lost" in line]
            now = tmp_path / "now"
            now.write_text("+0\n")
            now.replace(clock)  # never half written: it is read all the time
            with Party(broker, "ingest", ["stadtfunk/1/+/up/reading"]) as cloud:
                eventually(lambda: cloud.heard)

        assert len(lines) == 1, lines
        assert "its certificate is not valid yet; our clock says 1970-01-01" in lines[0]

    def test_a_long_pause_ends_when_the_clock_is_set(self, monkeypatch):
        offsets = iter([-1.7e9, -1.7e9, 0.0])
        monkeypatch.setattr(reconnect, "_clock_offset_s", lambda: next(offsets))
        monkeypatch.setattr(reconnect, "_CLOCK_LOOK_S", 0.001)

        asyncio.run(asyncio.wait_for(reconnect.wait(3600.0, -1.7e9), 60))

        assert next(offsets, None) is None


class TestWords:
    """What nobody has seen here is told as it came."""

    @pytest.mark.parametrize(
        ("problem", "says"),
        [
            ("[Errno 111] Connection refused", "[Errno 111] Connection refused"),
            ("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version (_ssl.c:1)", "it has no TLS 1.3"),
            ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "it speaks no TLS on this port"),
        ],
    )
    def test_in_plain_words(self, problem, says):
        assert why(MqttSection(ca_file=Path("ca.pem")), problem) == says

    def test_without_tls_nothing_is_put_into_other_words(self):
        assert why(MqttSection(), "certificate required") == "certificate required"
