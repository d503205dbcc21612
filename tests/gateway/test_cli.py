# SPDX-License-Identifier: EUPL-1.2
"""The commands: what they print, and what they say when something is wrong."""

import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import click
from click.testing import CliRunner

from gateway.cli import gateway
from gateway.command import open_database
from gateway.config import load
from gateway.errors import PortTaken
from gateway.liveness_table import LivenessTable
from gateway.metrics import COUNTERS, FAILURES, GAUGES, NODE_GAUGES, REFUSALS
from simulators.ports import free_port
from tests.gateway.nodes import write_config
from tests.gateway.running import BIN, GatewayProcess

README = (Path(__file__).parents[2] / "gateway" / "README.md").read_text("utf-8")


class TestRun:
    def test_a_busy_port_is_one_line_and_status_1(self, tmp_path):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            tcp.bind(("127.0.0.1", 0))
            tcp.listen()
            for section, port in (("gwmp", udp.getsockname()[1]), ("page", tcp.getsockname()[1])):
                path = write_config(tmp_path, **{section: {"port": port}})

                result = subprocess.run(
                    [BIN / "stadtfunk", "gateway", "run", "--config", path], capture_output=True, text=True, timeout=60
                )

                assert result.returncode == 1
                assert re.fullmatch(
                    rf"Error: .*: cannot listen on 127\.0\.0\.1:{port} \(address already in use\); .*\n", result.stderr
                )

    def test_a_second_service_on_the_same_database_is_one_line_and_the_first_goes_on(self, run, tmp_path):
        with GatewayProcess(write_config(tmp_path)) as first:
            second = run("run")

            assert (second.exit_code, second.output.count("\n")) == (1, 1)
            assert second.output.endswith("gateway.sqlite3 is in use: another gateway runs with it\n")
            assert first.end() == 0

        with GatewayProcess(write_config(tmp_path)) as killed:
            killed.end(signal.SIGKILL)
        with GatewayProcess(write_config(tmp_path)):
            pass

    def test_a_host_that_is_not_ours_is_no_other_program_s_fault(self, tmp_path):
        host = "192.0.2.1"  # RFC 5737: nobody's
        for section in ("gwmp", "page"):
            path = write_config(tmp_path, **{section: {"host": host, "port": free_port()}})

            result = subprocess.run(
                [BIN / "stadtfunk", "gateway", "run", "--config", path], capture_output=True, text=True, timeout=60
            )

            assert result.returncode == 1
            assert re.fullmatch(
                rf"Error: .*: cannot listen on {re.escape(host)}:\d+ \(.*\); "
                rf"host in \[{section}\] must be an address of this machine\n",
                result.stderr,
            )

    def test_a_name_that_nobody_knows_says_so(self):
        error = PortTaken("GWMP (UDP)", "gwmp", "nowhere", 1700, socket.gaierror(-2, "Name or service not known"))

        assert str(error) == (
            "GWMP (UDP): cannot listen on nowhere:1700 (Name or service not known); "
            "host in [gwmp] must be an address of this machine"
        )

    def test_a_token_that_others_can_read_is_one_line(self, run, config):
        token = config.parent / "page.token"
        token.write_text("0123456789abcdef")
        token.chmod(0o644)

        result = run("run")

        assert result.exit_code == 1
        assert result.output.endswith(f"{token}: can be read by others (mode 0644); run: chmod 600 {token}\n")

    def test_a_mistake_in_the_configuration_is_one_line(self, run, config):
        config.write_text("[gateway]\neui = 1\n")

        result = run("run")

        assert result.exit_code == 1
        assert result.output == f"Error: {config}: eui in [gateway] must be a text in quotes, not 1\n"


class TestStations:
    def test_a_concentrator_that_was_taken_down_is_forgotten_once(self, run, config):
        store = open_database(load(config))
        with store.transaction():
            LivenessTable(store.connection).watch_concentrators(["0016c001ff10b001"])
        store.close()

        first, second = (run("stations", "forget", "0016c001ff10b001") for _ in range(2))

        assert (first.exit_code, first.output) == (0, "forgotten\n")
        assert (second.exit_code, second.output) == (1, "Error: concentrator '0016c001ff10b001' is not known here\n")

    def test_a_tokens_file_that_is_not_there_says_what_makes_it(self, run, config, tmp_path):
        eui, section = '[gateway]\neui = "0016c001ff10a001"\n', "[basics_station]\nenabled = true\nport = 0\n"
        config.write_text(f'{eui}{section}tokens_file = "tokens"\n[gwmp]\nport = 0\n[page]\nport = 0\n')

        assert run("run").output == (
            f"Error: [basics_station]: tokens_file {tmp_path / 'tokens'} cannot be read (No such file or directory); "
            "'stadtfunk gateway stations token' makes it\n"
        )

    def test_a_tokens_file_that_cannot_be_written_is_one_line(self, run, config, tmp_path):
        (tmp_path / "no-text").write_bytes(b"\xff\xfe")
        for name, problem in (("nowhere/tokens", "No such file or directory"), ("no-text", "it is no text")):
            config.write_text(f'[gateway]\neui = "0016c001ff10a001"\n[basics_station]\ntokens_file = "{name}"\n')

            done = run("stations", "token", "0016c001ff10b001")

            assert done.exit_code == 1
            assert done.output.endswith(f"{name} cannot be written ({problem})\n")
            assert done.output.count("\n") == 1


class TestStatus:
    def test_it_prints_what_the_running_service_counts(self, tmp_path):
        path = write_config(tmp_path, page={"port": free_port()})
        with GatewayProcess(path):
            plain = CliRunner().invoke(gateway, ["status", "--config", str(path)])
            as_json = CliRunner().invoke(gateway, ["status", "--json", "--config", str(path)])

        assert "gateway_eui 0016c001ff10a001\n" in plain.output
        assert "outbox_held 0\n" in plain.output
        assert "lane alarm waiting=0 kept=0\n" in plain.output
        assert json.loads(as_json.output)["counters"]["uplinks"] == 0

    def test_without_a_service_it_is_one_line(self, tmp_path):
        path = write_config(tmp_path, page={"port": free_port()})

        result = CliRunner().invoke(gateway, ["status", "--config", str(path)])

        assert result.exit_code == 1
        assert re.fullmatch(
            r"Error: no gateway answers at http://[0-9.:]*/status \(Connection refused\); is it running\?\n",
            result.output,
        )


class TestReadme:
    def test_it_names_every_command(self):
        def names(command: click.Command, path: str):
            if isinstance(command, click.Group):
                for name, inner in command.commands.items():
                    yield from names(inner, f"{path} {name}")
            else:
                yield path

        for name in names(gateway, "stadtfunk gateway"):
            assert name in README

    def test_it_lists_every_counter_and_no_other(self):
        section = README.split("## Counters")[1]
        of_all, of_nodes = section.split("`stadtfunk_gateway_node_<name>")

        rows, node_rows = (re.findall(r"^\| `(\w+)` \| (.*) \|$", part, re.MULTILINE) for part in (of_all, of_nodes))

        assert dict(rows) == REFUSALS | COUNTERS | FAILURES | GAUGES
        assert dict(node_rows) == NODE_GAUGES
