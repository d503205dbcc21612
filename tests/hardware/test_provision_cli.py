# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk node provision`` over a pseudo terminal, with the real MicroPython and its LittleFS at the other end."""

import csv
import json
import os
import stat
import tty

import pytest
from click.testing import CliRunner

from firmware.identity import parse_identity
from gateway.cli import gateway
from gateway.devices_file import read_devices
from hardware.provision_cli import provision
from tests.firmware.heltec_bench import Street
from tests.gateway.nodes import write_config
from tests.hardware.repl_board import ReplBoard, files_of

DEV_EUI, JOIN_EUI, KEY = "70b3d57ed0000001", "70b3d57ed0ffff00", "8f1c3d5e7a9b0c2d4e6f8091a2b3c4d5"
GIVEN = ("--dev-eui", DEV_EUI, "--join-eui", JOIN_EUI)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A board that is only slow, on a busy machine, is neither old nor silent."""
    monkeypatch.setattr("hardware.raw_repl.OLD_S", 60.0)
    monkeypatch.setattr("hardware.raw_repl.SILENT_S", 300.0)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


class Bench:
    """One board, the technician's files, and the command."""

    def __init__(self, folder):
        self.folder = folder
        self.devices = folder / "devices.csv"
        (folder / "key.txt").write_text(f"{KEY}\n")
        self.output = ""
        self._looks = 0

    def run(self, *arguments, application=False, port=None, **board):
        """The command at a board that is switched on with ``board``; return its exit status."""
        chosen = ["--profile", "tree", "--board", "heltec_v3", "--devices", self.devices, "--wait", "600", *arguments]
        chosen += [] if application else ["--no-application"]
        with ReplBoard(self.folder, **board) as plugged:
            self.port = port or plugged.port
            done = CliRunner().invoke(provision, [str(word) for word in ("--port", self.port, *chosen)])
        self.boots = plugged.boots
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        self.output = done.output
        self.stdout = done.stdout
        return done.exit_code

    def given(self, *arguments, **board):
        return self.run(*GIVEN, "--app-key-file", self.folder / "key.txt", *arguments, **board)

    def error(self):
        """Its last line, without the port."""
        return self.output.splitlines()[-1].replace(f"Error: {self.port}: ", "Error: ")

    def files(self):
        self._looks += 1
        return files_of(self.folder / "flash.bin", self.folder / f"look{self._looks}")

    def lines(self):
        return list(csv.DictReader(self.devices.open(encoding="utf-8")))


class TestANewBoard:
    def test_becomes_a_node_that_joins_with_the_key_that_the_gateway_is_given(self, bench):
        assert bench.run("--name", "Löbdergraben 1", application=True) == 0

        files = bench.files()
        (device,) = read_devices(bench.devices)
        assert files["/main.py"] == b'import sys\nsys.path.insert(0, "/lib")\nimport main\n'
        street = Street(
            bench.folder,
            identity=files["/data/identity.bin"],
            firmware=bench.folder / "look1" / "lib",
            app_key=device.app_key,
        )
        street.node.power_on()
        street.run(2 * 3600)
        street.assert_healthy()
        street.kernel.close()
        assert len(street.network.join_requests) == 1
        assert len(street.f_cnts()) >= 3

    def test_has_the_identity_that_its_line_says_and_the_gateway_takes_the_file(self, bench):
        assert bench.run("--name", "Löbdergraben 1", "--interval", "900") == 0
        assert "a reading every 900 s; 1 file written, application as it was" in bench.stdout
        assert bench.output == bench.stdout  # nobody looks at the progress

        identity, (line,) = parse_identity(bench.files()["/data/identity.bin"]), bench.lines()
        assert (identity.dev_eui, identity.join_eui) == (line["dev_eui"], line["join_eui"])
        assert identity.app_key.hex() == line["app_key"]
        assert (identity.profile, identity.interval_s, line["name"]) == ("tree", 900, "Löbdergraben 1")
        config = write_config(bench.folder)
        done = CliRunner().invoke(gateway, ["devices", "import", str(bench.devices), "--config", str(config)])
        assert done.exit_code == 0, done.output

    def test_has_euis_of_nobody_and_a_key_of_its_own(self, bench, tmp_path_factory):
        assert bench.run() == 0
        other = Bench(tmp_path_factory.mktemp("other"))
        other.devices = bench.devices
        assert other.run("--profile", "air") == 0

        first, second = bench.lines()
        for line in (first, second):
            assert int(line["dev_eui"][:2], 16) & 0b11 == 0b10  # IEEE: U/L bit set, I/G bit clear
        assert first["join_eui"] == second["join_eui"]
        assert first["dev_eui"] != second["dev_eui"]
        assert first["app_key"] != second["app_key"]
        assert (first["profile"], second["profile"]) == ("tree", "air")

    def test_has_what_it_was_given_and_its_key_is_told_to_who_asks_only(self, bench):
        assert bench.given("--json") == 0
        result = json.loads(bench.stdout)

        assert KEY not in bench.output
        assert (result["dev_eui"], result["join_eui"], result["application"]) == (DEV_EUI, JOIN_EUI, "as it was")
        assert stat.S_IMODE(bench.devices.stat().st_mode) == 0o600
        assert bench.lines()[0]["app_key"] == KEY
        assert bench.given("--show-key") == 0
        assert f"app_key {KEY}" in bench.output

    def test_with_the_application_flashed_gets_none(self, bench):
        rom = (
            "import os\nif 'rom' not in os.listdir('/'):\n    os.mkdir('/rom')\n    open('/rom/main.mpy', 'w').close()"
        )

        assert bench.run("--json", application=True, more=rom) == 0

        assert json.loads(bench.stdout)["application"] == "in ROM"
        files = bench.files()
        assert files["/main.py"] == b'import sys\nsys.path.insert(0, "/rom")\nimport main\n'
        assert not any(path.startswith("/lib/") for path in files)


class TestAgain:
    def test_the_same_writes_nothing_and_adds_no_line(self, bench):
        assert bench.given() == 0

        assert bench.given("--json") == 0

        assert json.loads(bench.stdout)["files_written"] == 0
        assert len(bench.lines()) == 1

    def test_a_node_whose_application_runs_is_reset_first(self, bench):
        assert bench.given(application=True) == 0

        assert bench.given("--json", application=True) == 0

        assert json.loads(bench.stdout)["files_written"] == 0
        assert bench.boots >= 2

    def test_a_node_is_made_no_other_unless_that_is_said(self, bench):
        assert bench.given() == 0
        before = bench.files()

        assert bench.run() == 1

        assert bench.error() == (
            f"Error: it is the node {DEV_EUI} already; with --replace it forgets that one's session and readings"
        )
        assert bench.files() == before
        assert len(bench.lines()) == 1

    def test_a_node_that_is_replaced_forgets_all_but_who_signs_its_updates(self, bench):
        (bench.folder / "update_key.bin").write_bytes(bytes(range(64)))
        readings = "import os\nif 'data' in os.listdir('/'):\n    os.mkdir('/data/app_a')\n    "
        readings += "for name in ('journal.a', 'app_a/x.mpy'):\n        open('/data/' + name, 'w').close()"
        assert bench.given("--update-key", bench.folder / "update_key.bin") == 0

        assert bench.run("--replace", more=readings) == 0

        files = bench.files()
        assert sorted(files) == ["/data/identity.bin", "/data/update_key.bin"]
        assert files["/data/update_key.bin"] == bytes(range(64))
        assert parse_identity(files["/data/identity.bin"]).dev_eui == bench.lines()[1]["dev_eui"]

    def test_after_a_power_cut_the_rest_is_written(self, bench):
        assert bench.given(application=True, pull_after=60_000) == 1
        assert "/data/identity.bin" not in bench.files()
        assert not bench.devices.exists()

        assert bench.given("--json", application=True) == 0

        files = bench.files()
        written = json.loads(bench.stdout)["files_written"]
        assert 10 < written < len(files) - 10
        assert {path for path in files if path.endswith(".new")} == set()


class TestOneClearLine:
    @pytest.mark.parametrize(
        ("platform", "mpy", "problem"),
        [
            ("rp2", 6, "heltec_v3 is an esp32, this is an rp2: give the right --board"),
            ("esp32", 5, "its MicroPython reads byte code 5, the application is 6: install 1.25 or newer"),
        ],
    )
    def test_a_board_of_another_kind(self, bench, platform, mpy, problem):
        other = f"class I:\n    _mpy = {mpy}\nclass Other:\n    platform = '{platform}'\n    implementation = I\n"
        other += "    modules, path, exit = sys.modules, sys.path, sys.exit\nsys.modules['sys'] = Other"

        assert bench.run(application=True, more=other) == 1

        assert bench.error() == f"Error: {problem}"

    def test_a_full_flash(self, bench):
        fill = "f = open('/full', 'wb')\nfor n in range(210):\n    f.write(bytes(4096))\nf.close()"

        assert bench.run(application=True, more=fill) == 1

        assert bench.error().startswith("Error: its flash has 1")
        assert bench.error().endswith(" kB are needed")

    def test_nobody_there(self, bench):
        master, slave = os.openpty()
        tty.setraw(slave)

        assert bench.run("--wait", "1", port=os.ttyname(slave)) == 1

        os.close(master)
        os.close(slave)
        assert bench.error().startswith("Error: no MicroPython has answered within 1 s: press the board's reset button")

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("name,key\n", "does not begin with dev_eui,join_eui,app_key,profile,name; choose another file"),
            ("dev_eui,join_eui,app_key,profile,name\nx\n", "line 2 has 1 columns instead of 5"),
            (
                f"dev_eui,join_eui,app_key,profile,name\n{DEV_EUI},{JOIN_EUI},{'ab' * 16},tree,\n",
                f"has another line for {DEV_EUI}; remove that line first",
            ),
        ],
    )
    def test_a_file_that_cannot_take_the_line_before_the_node_is_touched(self, bench, text, problem):
        bench.devices.write_text(text)

        assert bench.given(port="/dev/ttyNone") == 1

        assert bench.output == f"Error: {bench.devices}: {problem}\n"
        assert bench.devices.read_text() == text

    @pytest.mark.parametrize("text", ["", "8f1c", "0" * 32, "key: " + KEY])
    def test_a_file_without_a_key(self, bench, text):
        (bench.folder / "key.txt").write_text(text)

        assert bench.given(port="/dev/ttyNone") == 1

        assert bench.error() == f"Error: {bench.folder}/key.txt does not hold a key of 32 hex digits"

    @pytest.mark.parametrize(
        "wrong", [["--dev-eui", "70b3"], ["--join-eui", "0" * 16], ["--board", "uno"], ["--name", "x" * 65]]
    )
    def test_bad_usage_is_exit_status_2(self, bench, wrong):
        assert bench.run(*wrong, port="/dev/ttyNone") == 2
