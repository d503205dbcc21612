# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk node update`` over a pseudo terminal, with the real MicroPython at its other end, in real time."""

import fcntl
import json
import os
import threading
import time
import tty

import pytest
from click.testing import CliRunner

from hardware.update_cli import update
from tests.firmware.console_rig import CONSOLE, Desk, S, small_bundle
from tests.firmware.update_rig import KEY, written

_STEP_US = 5_000


class Plugged:
    """A node on a pseudo terminal, from the first byte that the tool sends: somebody presses reset then.

    ``pull_after``: the cable is pulled when the tool has sent so many bytes.
    """

    def __init__(self, folder, image, pull_after=None):
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._made = (folder, image)
        self._pull_after = pull_after
        self._stop = threading.Event()
        self.said = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exception):
        self._stop.set()
        self._thread.join()
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)

    def _typed(self):
        try:
            return os.read(self._master, 4096)
        except BlockingIOError:
            return b""

    def _run(self):
        desk = Desk(*self._made)
        desk.console.byte_received = lambda byte, _settings: os.write(self._master, bytes([byte]))
        passed = 0
        with desk.kernel:
            due_s = None  # for the next step: what a busy machine is late is not caught up with
            while not self._stop.is_set():
                typed = self._typed()
                passed += len(typed)
                if typed and due_s is None:
                    desk.reset()
                    due_s = time.monotonic()
                desk.console.answer(typed, CONSOLE)
                if self._pull_after is not None and passed > self._pull_after:
                    desk.console.device = None
                    os.close(self._slave)
                    os.close(self._master)
                    self._master = self._slave = -1
                    break
                if due_s is None:
                    time.sleep(0.01)
                    continue
                desk.kernel.run_until(desk.clock.now_us + _STEP_US)
                due_s = max(due_s + _STEP_US / S, time.monotonic())
                time.sleep(max(0.0, due_s - time.monotonic()))
            if due_s is not None:
                desk.kernel.run_until(desk.clock.now_us + 20 * S)
            self.said = desk.said()


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A node that is only slow, on a busy machine, has not fallen silent."""
    monkeypatch.setattr("hardware.update_session.SILENT_S", 300.0)
    monkeypatch.setattr("hardware.update_session.INSTALL_S", 600.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def image(folder):
    return written(folder, {"/data/update_key.bin": KEY}, blocks=64)


@pytest.fixture
def bundle_file(folder):
    path = folder / "bundle.sfb"
    path.write_bytes(small_bundle(folder, padding=2_000))
    return path


def run(*arguments):
    return CliRunner().invoke(update, [str(argument) for argument in arguments])


class TestOverThePort:
    def test_a_node_is_updated_and_the_result_is_json(self, folder, image, bundle_file):
        with Plugged(folder, image) as node:
            done = run("--port", node.port, "--json", bundle_file)

        assert done.exit_code == 0, done.output
        result = json.loads(done.stdout)
        assert result.pop("seconds") > 0
        assert result == {
            "board": "bench",
            "version": 1,
            "on_trial": 2,
            "installed": 2,
            "bundle_version": 2,
            "bytes": bundle_file.stat().st_size,
            "resumed_at": 0,
        }
        assert node.said[0] == "version 2 on trial"

    def test_a_pulled_cable_is_one_line(self, folder, image, bundle_file):
        with Plugged(folder, image, pull_after=2_000) as node:
            done = run("--port", node.port, bundle_file)

        assert done.exit_code == 1
        assert " %: plug the cable in and run this again, it goes on from there" in done.output.splitlines()[-1]

    def test_a_bundle_for_another_board_is_one_line(self, folder, image, tmp_path):
        other = tmp_path / "other.sfb"
        other.write_bytes(small_bundle(folder, board="heltec_v3"))
        with Plugged(folder, image) as node:
            done = run("--port", node.port, other)

        assert done.exit_code == 1
        assert done.output.splitlines()[-1] == (
            f"Error: {node.port}: the node refuses: the bundle is for heltec_v3, this is a bench"
        )

    def test_a_node_that_says_nothing_is_one_line(self, bundle_file):
        master, slave = os.openpty()
        tty.setraw(slave)
        port = os.ttyname(slave)

        done = run("--port", port, "--wait", "1", bundle_file)

        os.close(master)
        os.close(slave)
        assert done.exit_code == 1
        assert done.output.splitlines()[-1] == (
            f"Error: {port}: no node has answered within 1 s: press its reset button while this waits"
        )


class TestBeforeAnythingIsSent:
    def test_a_port_that_is_not_there_is_said(self, bundle_file):
        done = run("--port", "/dev/ttyNone", "--wait", "1", bundle_file)

        assert done.exit_code == 1
        assert "Error: there is no port /dev/ttyNone; " in done.output

    @pytest.mark.parametrize("name", ["/dev/null", "/tmp", "/etc/hostname"])
    def test_what_is_no_serial_port_is_said_at_once(self, bundle_file, name):
        done = run("--port", name, "--wait", "3600", bundle_file)

        assert done.exit_code == 1
        assert done.output.splitlines()[-1].startswith(f"Error: {name} is not a serial port; ")

    def test_a_port_that_somebody_else_uses_is_said(self, bundle_file):
        master, slave = os.openpty()
        fcntl.flock(slave, fcntl.LOCK_EX)

        done = run("--port", os.ttyname(slave), "--wait", "1", bundle_file)

        assert done.exit_code == 1
        assert done.output.splitlines()[-1].endswith("is used by another program; end that first")
        os.close(master)
        os.close(slave)

    @pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n"])
    def test_a_file_that_is_no_bundle_is_said(self, tmp_path, content):
        path = tmp_path / "file"
        path.write_bytes(content)

        done = run("--port", "/dev/ttyNone", path)

        assert (done.exit_code, done.output.startswith(f"Error: {path}: this is no bundle")) == (1, True)

    def test_a_file_that_is_not_there_is_said(self, tmp_path):
        done = run("--port", "/dev/ttyNone", tmp_path / "none.sfb")

        assert done.output == f"Error: {tmp_path / 'none.sfb'}: No such file or directory\n"
