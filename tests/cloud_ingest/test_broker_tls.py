# SPDX-License-Identifier: EUPL-1.2
"""The shipped nats.conf and cluster configuration with their certificates, on the real nats-server."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloud_ingest import cli, jetstream
from cloud_ingest.config import Config, JetStreamSettings, MqttSettings
from cloud_ingest.errors import BrokerError, ConfigError
from cloud_ingest.puller import Puller
from simulators.ports import free_port
from tests.cloud_ingest.brokers import BIN, answers, wait_for
from tests.cloud_ingest.world import GATEWAY

SETTINGS = JetStreamSettings(max_mb=16)


def ingest(*words: str) -> str:
    done = CliRunner().invoke(cli.ingest, list(words))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for words in (("init",), ("broker", "localhost", "b.example", "c.example"), ("ingest",), ("gateway", GATEWAY)):
        ingest("certificates", *words, "--folder", str(tmp_path))
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    port, mqtt_port = free_port(), free_port()
    text = (folder / "nats.conf").read_text().replace("0.0.0.0:8883", f"127.0.0.1:{mqtt_port}")
    (folder / "nats.conf").write_text(text.replace("127.0.0.1:4222", f"127.0.0.1:{port}"))
    with (folder / "nats.log").open("wb") as log:
        process = subprocess.Popen([BIN / "nats-server", "-c", "nats.conf"], cwd=folder, stdout=log, stderr=log)
    wait_for(lambda: answers(port), "the broker")
    yield f"tls://localhost:{port}"
    process.kill()
    process.wait()


def as_party(folder: Path, name: str) -> MqttSettings:
    files = {"ca_file": "ca.pem", "cert_file": f"{name}.pem", "key_file": f"{name}.key"}
    return MqttSettings(tls=True, **{key: folder / file for key, file in files.items()})


class TestSetUp:
    @pytest.mark.parametrize(
        ("name", "out", "err"),
        [
            ("ingest", "stream $MQTT_msgs is set up now\n", ""),
            (GATEWAY, "", "Error: SERVER: cannot be used (nats: 'Authorization Violation')\n"),
        ],
    )
    def test_over_tls_it_says_what_has_come_of_it_and_nothing_else(
        self, folder: Path, server: str, name: str, out: str, err: str
    ) -> None:
        files = "".join(
            f'{key} = "{folder}/{file}"\n'
            for key, file in (("ca_file", "ca.pem"), ("cert_file", f"{name}.pem"), ("key_file", f"{name}.key"))
        )
        config = folder / "ingest.toml"
        config.write_text(f'[mqtt]\ntls = true\n{files}[jetstream]\nservers = ["{server}"]\nmax_mb = 16\n')
        command = [sys.executable, "-m", "stadtfunk", "ingest", "broker-setup", "--config", str(config)]

        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert (done.stdout, done.stderr) == (out, err.replace("SERVER", server))


class TestIdentities:
    def test_the_ingest_may_use_its_stream_and_nothing_else_of_jetstream(self, folder: Path, server: str) -> None:
        async def main() -> None:
            client = await jetstream.connect(as_party(folder, "ingest"), server)
            assert await jetstream.ensure(client, SETTINGS)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.jetstream().account_info(), 1)
            await client.close()

        asyncio.run(main())

    @pytest.mark.parametrize("name", [GATEWAY, "broker"])
    def test_others_do_not_even_get_in_there(self, folder: Path, server: str, name: str) -> None:
        with pytest.raises(BrokerError, match="cannot be used"):
            asyncio.run(jetstream.connect(as_party(folder, name), server))


class TestWithoutTls:
    @pytest.mark.parametrize(
        ("tls", "scheme"), [(True, "nats"), (True, "tls"), (False, "tls")], ids=["tls", "both", "tls://"]
    )
    def test_who_stands_between_and_says_that_there_is_none_gets_no_password(
        self, tmp_path: Path, tls: bool, scheme: str
    ) -> None:
        (tmp_path / "password").write_text("s3cret")
        mqtt = MqttSettings(username="ingest", password_file=tmp_path / "password", tls=tls)
        got = bytearray()

        async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'INFO {"server_id":"x","version":"2.15.1","max_payload":1048576,"auth_required":true}\r\n')
            while data := await reader.read(4096):
                got.extend(data)
                writer.write(b"PONG\r\n")
            writer.close()

        async def main() -> None:
            port = free_port()
            async with await asyncio.start_server(between, "127.0.0.1", port):
                client = await jetstream.connect(mqtt, f"{scheme}://127.0.0.1:{port}")
                await client.close()

        with pytest.raises(BrokerError, match=r"cannot be used \(it offers no TLS\)"):
            asyncio.run(main())
        assert got == b""


class TestFiles:
    def test_one_that_cannot_be_used_is_said_at_the_start(self, tmp_path: Path) -> None:
        config = Config(mqtt=MqttSettings(tls=True, ca_file=tmp_path / "ca.pem"))

        with pytest.raises(ConfigError, match=r"mqtt\.ca_file: .*cannot be read"):
            Puller(config, None)


class TestCluster:
    def test_each_file_is_one_that_nats_server_takes_and_only_its_owner_reads(self, folder: Path) -> None:
        hosts = ("localhost", "b.example", "c.example")
        ingest("broker-cluster", *hosts, "--folder", str(folder))

        for host in hosts:
            path = folder / f"nats-{host}.conf"
            checked = subprocess.run(
                [BIN / "nats-server", "-t", "-c", path.name], cwd=folder, capture_output=True, text=True, check=False
            )
            assert checked.returncode == 0, checked.stderr
            assert path.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("hosts", ["", "a b", "a a b", "a b c d"])
    def test_others_than_three_nodes_of_different_names_are_refused(self, folder: Path, hosts: str) -> None:
        done = CliRunner().invoke(cli.ingest, ["broker-cluster", *hosts.split(), "--folder", str(folder)])

        assert done.exit_code == 2
        assert "name three different hosts" in done.output
        assert "broker-cluster --help" in done.output
