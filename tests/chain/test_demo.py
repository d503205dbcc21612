# SPDX-License-Identifier: EUPL-1.2
"""The demo as a newcomer runs it."""

import os
import signal
import socket
import subprocess
import sys

from simulators.ports import free_port
from tests.chain.public import until


def demo(folder, *options, **settings):
    return subprocess.Popen(
        [sys.executable, "-m", "stadtfunk", "demo", "--folder", str(folder / "demo"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        **settings,
    )


def descendants(pid):
    """Every process under ``pid``, from /proc."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found, queue = set(), [pid]
    while queue:
        above = queue.pop()
        children = {child for child, parent in parents.items() if parent == above} - found
        found |= children
        queue += children
    return found


def running(pids):
    """Those that still run (a zombie does not)."""
    alive = set()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rsplit(")", 1)[1].split()[0] != "Z":
                    alive.add(pid)
        except OSError:
            pass
    return alive


class TestDemo:
    def test_exits_0_once_an_alert_is_public_and_a_second_run_works(self, tmp_path):
        for stations in ((), ("--air", "0", "--traffic", "0")):
            options = ("--until-alert", "--speed", "max", "--port", str(free_port()), "--nodes", "4", *stations)
            started = demo(tmp_path, *options)

            out, err = started.communicate(timeout=600)

            assert started.returncode == 0, err
            assert "first alert after" in out
            assert "Löbdergraben, " in out
            assert err == ""

    def test_ctrl_c_stops_every_process(self, tmp_path):
        port = free_port()
        started = demo(tmp_path, "--port", str(port), "--nodes", "2")
        until(lambda: (tmp_path / "demo" / "nodes.out").exists(), "the nodes start")
        until(lambda: len(descendants(started.pid)) >= 6, "all processes run")
        everything = descendants(started.pid)

        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=120)

        assert started.returncode == 0
        assert out.endswith("stopped.\n")
        assert err == ""
        until(lambda: not running(everything), "every process ends")

    def test_a_killed_demo_leaves_nothing_behind(self, tmp_path):
        started = demo(tmp_path, "--port", str(free_port()), "--nodes", "2")
        until(lambda: len(descendants(started.pid)) >= 6, "all processes run")
        everything = descendants(started.pid)

        started.kill()
        started.wait()

        until(lambda: not running(everything), "every process ends")

    def test_a_busy_port_is_one_clear_line(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]

            started = demo(tmp_path, "--port", str(port))
            out, err = started.communicate(timeout=120)

        assert started.returncode == 1
        assert err == f"Error: port {port}: cannot be used (Address already in use); choose another with --port\n"
        assert out == ""

    def test_a_folder_with_anything_else_in_it_is_left_alone(self, tmp_path):
        (tmp_path / "demo").mkdir()
        (tmp_path / "demo" / "thesis.txt").write_text("mine")

        started = demo(tmp_path, "--port", str(free_port()))
        _, err = started.communicate(timeout=120)

        assert started.returncode == 1
        folder = tmp_path / "demo"
        assert err == f"Error: folder {folder}: holds other files, which a demo would remove; choose another\n"
        assert [path.name for path in folder.iterdir()] == ["thesis.txt"]

    def test_a_folder_that_another_demo_uses_is_refused(self, tmp_path):
        first = demo(tmp_path, "--port", str(free_port()), "--nodes", "1")
        until(lambda: (tmp_path / "demo" / "nodes.out").exists(), "the nodes start")

        second = demo(tmp_path, "--port", str(free_port()), "--nodes", "1")
        _, err = second.communicate(timeout=120)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=120)

        assert second.returncode == 1
        assert err == f"Error: folder {tmp_path / 'demo'}: is in use by another demo; choose another with --folder\n"

    def test_a_speed_that_is_none_is_refused(self, tmp_path):
        started = demo(tmp_path, "--speed", "fast")
        _, err = started.communicate(timeout=120)

        assert started.returncode == 2
        assert "'fast' is neither a number above 0 nor 'max'" in err
