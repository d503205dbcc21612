# SPDX-License-Identifier: EUPL-1.2
"""docs/operate.md, followed word by word: its files, its commands, on other ports."""

import json
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path
from urllib.request import urlopen

import pytest

from simulators.ports import free_port
from tests.chain.public import until

PAGE = (Path(__file__).parent.parent / "docs" / "operate.md").read_text("utf-8")
FILES = ("nats.conf", "gateway.toml", "devices.csv", "city.json", "ingest.toml")


def file(name):
    """The first block after the file's name at the beginning of a line."""
    return re.search(rf"^`{re.escape(name)}`.*?```\w+\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)[1]


def commands(program):
    return re.findall(rf"^\.venv/bin/({program} .*)$", PAGE, re.MULTILINE)


@pytest.fixture
def folder(tmp_path):
    ports = {name: str(free_port()) for name in ("4222", "1883", "8080", "8081")}
    ports["1700"] = str(free_port(socket.SOCK_DGRAM))
    for name in FILES:
        text = file(name)
        for part in ("gateway", "ingest"):
            text = text.replace(f"THE CONTENTS OF {part}.password", f"{part} secret")
        (tmp_path / name).write_text(text)
    (tmp_path / "nats.conf").write_text(
        (tmp_path / "nats.conf").read_text().replace("4222", ports["4222"]).replace("1883", ports["1883"])
    )
    with (tmp_path / "gateway.toml").open("a") as settings:  # its last section is [mqtt]
        settings.write(f"port = {ports['1883']}\n[gwmp]\nport = {ports['1700']}\n[page]\nport = {ports['8081']}\n")
    with (tmp_path / "ingest.toml").open("a") as settings:
        settings.write(f"port = {ports['1883']}\n[http]\nport = {ports['8080']}\n")
    for part in ("gateway", "ingest"):
        (tmp_path / f"{part}.password").write_text(f"{part} secret\n")
        (tmp_path / f"{part}.password").chmod(0o600)
    return tmp_path, ports


@pytest.fixture
def start(folder):
    running = []

    def start(command):
        program, *arguments = command.split()
        path = [sys.executable, "-m", "stadtfunk"]
        if program != "stadtfunk":
            path = [shutil.which(program, path=str(Path(sys.executable).parent))]
        running.append(subprocess.Popen([*path, *arguments], cwd=folder[0], stderr=subprocess.DEVNULL))
        return running[-1]

    yield start
    for process in reversed(running):
        process.terminate()
        process.wait(60)


def answers(url):
    try:
        with urlopen(url, timeout=60) as response:
            return json.load(response)
    except OSError:
        return None


class TestOperate:
    def test_the_page_followed_word_by_word_gives_a_running_city(self, folder, start):
        _, ports = folder
        import_devices, run_gateway = commands("stadtfunk gateway")[:2]
        start(*commands("nats-server"))
        assert start(import_devices).wait(300) == 0

        start(run_gateway)
        start(*commands("stadtfunk ingest"))

        gateway = f"http://127.0.0.1:{ports['8081']}/status"
        cloud = f"http://127.0.0.1:{ports['8080']}/api/status"
        until(lambda: (answers(gateway) or {}).get("broker_connected"), "the gateway reaches the broker")
        until(lambda: (answers(cloud) or {}).get("broker") == "connected", "the ingest reaches the broker")
        assert answers(gateway)["devices"] == 1
        assert answers(cloud)["nodes"] == {"registered": 1, "seen": 0}

    def test_the_lock_files_of_the_page_bring_what_gateway_and_ingest_need(self):
        root = Path(__file__).parent.parent
        extras = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
        files = re.findall(r"-r (requirements-\w+\.lock)", PAGE)

        pinned = {line.split("==")[0] for name in files for line in (root / name).read_text().splitlines()}

        assert {re.split("[><=]", package)[0] for package in extras["gateway"] + extras["cloud"]} <= pinned

    def test_the_unit_starts_what_the_page_starts_by_hand(self):
        unit = ConfigParser()
        unit.optionxform = str
        unit.read_string(file("/etc/systemd/system/stadtfunk-gateway.service"))
        service = unit["Service"]

        command = service["ExecStart"].removeprefix(f"{service['WorkingDirectory']}/.venv/bin/")
        assert command in commands("stadtfunk gateway")

    def test_every_file_of_the_page_is_tried(self):
        named = re.findall(r"^`([\w.]+)`.*?\n\n?```(?!sh)", PAGE, re.MULTILINE)

        assert set(named) <= set(FILES)
