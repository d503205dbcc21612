# SPDX-License-Identifier: EUPL-1.2
"""Many nodes, one clock, one order of things."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulators.clock import Clock
from simulators.kernel import Kernel
from simulators.node_states import State
from simulators.process import WorkerDied, WorkerSilent
from simulators.wires import Wire
from simulators.wiring import Wiring
from tests.simulators.node_bench import S, node, said

# Sleeps, busy loops, flash and random numbers: whatever could make two runs differ.
RESTLESS = """
    import machine, os, random, time
    spi = machine.SPI(1, baudrate=1_000_000)
    memory = machine.RTC().memory() or b"\\0"
    for n in range(20):
        spi.write(bytes([memory[0], n, random.getrandbits(8)]))
        if n % 3:
            time.sleep_us(random.getrandbits(14))
        else:
            until = time.ticks_add(time.ticks_us(), 2000)
            while time.ticks_diff(until, time.ticks_us()) > 0:
                pass
    with open("/data/n", "w") as f:
        f.write(str(memory[0]))
    machine.RTC().memory(bytes([memory[0] + 1]))
    machine.deepsleep(random.getrandbits(12))
    """


class Listener:
    def __init__(self, clock: Clock, index: int, heard: list[tuple[int, int, bytes]]) -> None:
        self._clock, self._index, self._heard = clock, index, heard

    def transfer(self, mosi: bytes) -> bytes:
        self._heard.append((self._clock.now_us, self._index, mosi))
        return mosi


def restless_run(folder: Path, steps: int) -> tuple[list[tuple[int, int, bytes]], list[bytes]]:
    clock = Clock()
    heard: list[tuple[int, int, bytes]] = []
    benches = [
        node(clock, folder, RESTLESS, Wiring(spi={1: Listener(clock, n, heard)}), index=n, seed=n) for n in range(3)
    ]
    with Kernel(clock, benches) as kernel:
        for bench in benches:
            bench.power_on()
        for step in range(1, steps + 1):
            kernel.run_until(12 * S * step // steps)
        images = [bench.flash.image() for bench in benches]
        assert [bench.statistics.crashes for bench in benches] == [[], [], []]
    return heard, images


class TestOrder:
    def test_the_same_start_gives_the_same_run(self, tmp_path: Path) -> None:
        first = restless_run(tmp_path, 1)
        second = restless_run(tmp_path, 1)

        assert first == second
        assert len(first[0]) > 150
        assert {index for _, index, _ in first[0]} == {0, 1, 2}

    def test_it_does_not_matter_in_how_many_pieces_it_runs(self, tmp_path: Path) -> None:
        assert restless_run(tmp_path, 1) == restless_run(tmp_path, 97)

    def test_what_the_nodes_do_is_in_the_order_of_time(self, tmp_path: Path) -> None:
        heard, _ = restless_run(tmp_path, 1)

        assert [at_us for at_us, _, _ in heard] == sorted(at_us for at_us, _, _ in heard)

    @pytest.mark.parametrize("swapped", [False, True])
    def test_one_node_sees_the_edge_that_another_one_makes(self, tmp_path: Path, swapped: bool) -> None:
        clock, line = Clock(), Wire()
        sender = """
            import machine, time
            pin = machine.Pin(4, machine.Pin.OUT, value=0)
            for n in range(5):
                time.sleep_ms(20)
                pin.value(not n & 1)
            """
        receiver = """
            import machine, time
            pin = machine.Pin(4, machine.Pin.IN)
            level = 0
            for n in range(5):
                while pin.value() == level:
                    pass
                level = pin.value()
                print(time.ticks_ms(), level)
            """
        sources = (receiver, sender) if swapped else (sender, receiver)
        benches = [node(clock, tmp_path, text, Wiring(pins={4: line}), index=n) for n, text in enumerate(sources)]
        with Kernel(clock, benches, lookahead_us=0) as kernel:
            for bench in benches:
                bench.power_on()
            kernel.run_until(2 * S)
            printed = said(benches[0 if swapped else 1])

        # boot 300 ms, formatting 91 ms, then an edge every 20 ms
        assert printed == ["411 1", "431 0", "451 1", "471 0", "491 1"]

    def test_at_the_same_microsecond_events_go_first(self, tmp_path: Path) -> None:
        order: list[str] = []
        written_us = 0
        for _ in range(2):  # the first run tells when the node writes
            clock, lamp = Clock(), Wire()
            lamp.watch(lambda level: order.append(f"node at {clock.now_us}") if level else None)  # noqa: B023
            bench = node(clock, tmp_path, "import machine\nmachine.Pin(4, 3, value=1)", Wiring(pins={4: lamp}))
            with Kernel(clock, [bench]) as kernel:
                bench.power_on()
                clock.at(written_us, lambda: order.append("event"))
                kernel.run_until(S)
            written_us = int(order[1].rpartition(" ")[2])

        assert order[2:] == ["event", f"node at {written_us}"]

    def test_pace_is_told_every_advance_of_time(self, tmp_path: Path) -> None:
        clock = Clock()
        paced: list[int] = []
        bench = node(clock, tmp_path, "import time\ntime.sleep(1)\ntime.sleep(1)")
        with Kernel(clock, [bench], pace=paced.append) as kernel:
            bench.power_on()
            kernel.run_until(5 * S)

        assert paced == sorted(set(paced))
        assert paced[0] == 300_000
        assert paced[-1] == 5 * S
        assert clock.now_us == 5 * S


class TestProcesses:
    def test_a_node_that_never_asks_anything_is_reported(self, tmp_path: Path) -> None:
        for guard_s in (0.5, 10.0, 100.0):  # in which a busy machine may not even have begun
            clock = Clock()
            bench = node(clock, tmp_path, "print('hello')\nwhile True:\n    pass", guard_s=guard_s)
            with Kernel(clock, [bench]) as kernel:
                bench.power_on()
                with pytest.raises(WorkerSilent, match=f"node 0 has not answered for {guard_s:g} s") as silent:
                    kernel.run_until(S)
            if "hello" in str(silent.value):
                break

        assert "hello" in str(silent.value)

    def test_a_process_that_dies_is_reported(self, tmp_path: Path) -> None:
        clock = Clock()
        bench = node(clock, tmp_path, "import time\nwhile True:\n    time.sleep(1)")
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(S)
            assert bench.pid is not None
            os.kill(bench.pid, signal.SIGKILL)
            with pytest.raises(WorkerDied, match="ended with -9"):
                kernel.run_until(5 * S)

    def test_closing_ends_every_process(self, tmp_path: Path) -> None:
        clock = Clock()
        bench = node(clock, tmp_path, "import time\nwhile True:\n    time.sleep(1)")
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(S)
            pid = bench.pid
            assert pid is not None

        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert bench.state is State.OFF

    def test_no_process_outlives_a_killed_parent(self, tmp_path: Path) -> None:
        script = f"""
import os, signal
from pathlib import Path
from simulators.clock import Clock
from simulators.kernel import Kernel
from tests.simulators.node_bench import node
clock = Clock()
sources = ("import machine\\nmachine.deepsleep(9000)", "import time\\nwhile True: time.sleep(1)", "while True: pass")
benches = [node(clock, Path({str(tmp_path)!r}), text, index=n) for n, text in enumerate(sources)]
kernel = Kernel(clock, benches[:2])
for bench in benches:
    bench.power_on()
kernel.run_until(1_000_000)
print(*(bench.pid for bench in benches), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path.cwd())

        pids = [int(pid) for pid in done.stdout.split()]
        assert len(pids) == 3, done.stderr
        deadline = time.monotonic() + 60
        while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert left == []


def alive(pid: int) -> bool:
    try:
        # a zombie whose new parent has not looked yet is no more
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


class TestDeepSleepCost:
    def test_a_sleeping_node_keeps_its_process_and_costs_two_packets_a_wake(self, tmp_path: Path) -> None:
        clock = Clock()
        bench = node(clock, tmp_path, "import machine\nmachine.deepsleep(3_600_000)")
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(S)
            pid, requests = bench.pid, bench.statistics.requests
            kernel.run_until(24 * 3600 * S)

            assert bench.pid == pid
            assert bench.statistics.requests == requests
            assert sum(bench.statistics.boots.values()) == 24
