# SPDX-License-Identifier: EUPL-1.2
"""How long a board computes in a wake: what the real MicroPython computes in a run, told by a yardstick.

Virtual time knows hardware only, so computing is measured: the processor time that the node's process takes for a
wake, without the system calls and the modules that are the bench's. How often a loop of common operations, run on the
same machine, fits into it hardly depends on that machine. What the loop takes on a board is reckoned from published
benchmarks of MicroPython; nothing was measured on a board of ours.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from simulators.node import NodeBench
from simulators.node_states import Moment, Port
from simulators.process import micropython_folder
from simulators.process_costs import cpu_ticks

# 2,000 rounds of calls, attributes, lists, dicts and bytes, the quickest of 20 tries, us
_YARDSTICK = """
import time
class Sum:
    def __init__(self):
        self.value = 0
    def add(self, number):
        self.value = (self.value + number) & 0xffff
        return self.value >> 1
def work():
    total, table, numbers, seen = Sum(), {}, [0] * 50, 0
    for n in range(2000):
        seen += total.add(n)
        numbers[n % 50] = seen & 255
        if numbers[n * 7 % 50] > 100:
            table[n & 15] = numbers[n % 50]
        else:
            seen -= 1
        pair = bytes((n & 255, seen & 255))
        seen ^= pair[0]
def timed():
    began = time.ticks_us()
    work()
    return time.ticks_diff(time.ticks_us(), began)
print(min([timed() for _ in range(20)]))
"""
_RUN = "import sys; sys.path.append(sys.argv[1]); import micropython_run as m; m.run_main(['m', '-c', sys.argv[2]])"
# The rest of that time is the bench's, who runs byte code where a board has C: of 6.2 ms 0.3 before main, 1,500 reads
# of flash 0.75, 190 messages 0.75, calls into machine and time 0.35, loading these modules 0.25 (2026-11-22)
_FIRMWARE = 0.6
# What the yardstick takes there, ms. tests/perf_bench of micropython/micropython, on the unix port of a PC that takes
# 0.97 ms, against the scores that its authors give: an ESP32 at 160 MHz is 141 times as slow (geometric mean of 11
# tests, 102 to 186; pystone 277,000 and 1,802 a second; commit 549448e8, since which the VM is in RAM), an RP2040 at
# 125 MHz 174 times (18 tests, 121 to 245, imports 217; commit 79edaddf). At one clock an ESP32-S3 is 1.15 times as fast
# as an ESP32 (scruss.com/blog/tag/benchmark: 8.9 s at 240 MHz, 15.4 s at 160).
_YARDSTICK_MS = {Port.ESP32: (120, 85, 160), Port.RP2: (170, 120, 240)}  # then the quickest and slowest test
_SOURCE = (
    "time reckoned: MicroPython's here, by a yardstick that takes {yardstick} ms on an {port} (from published "
    "benchmarks: {least} to {most}; simulators/computing.py)"
)


class Computing(NamedTuple):
    """``seconds`` in each wake, and where that comes from."""

    seconds: float
    source: str


def given(seconds: float) -> Computing:
    """Somebody knows better."""
    return Computing(seconds, "time as given by --computing-s")


def yardstick_ms() -> float:
    """What the yardstick takes on this machine, now."""
    command = [sys.executable, "-I", "-S", "-c", _RUN, micropython_folder(), _YARDSTICK]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1000


class ComputingMeter:
    """Follows the process of ``bench`` from now on, wake by wake."""

    def __init__(self, bench: NodeBench, port: Port) -> None:
        self._bench = bench
        self._port = port
        self._told = bench.notice
        self._last: tuple[int | None, float] = (None, 0.0)
        self._wakes_ms: list[float] = []
        self._began = self._ticks()
        bench.notice = self._notice

    def _notice(self, moment: Moment) -> None:
        self._told(moment)
        if moment is (Moment.ASLEEP if self._port is Port.ESP32 else Moment.RESET):  # an RP2 sleeps, then resets
            pid = self._bench.pid
            # proc(5), schedstat: nanoseconds on a processor
            spent_ms = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
            if self._last[0] == pid:
                self._wakes_ms.append(spent_ms - self._last[1])
            self._last = pid, spent_ms

    def _ticks(self) -> tuple[int, int]:
        """Processor time of the process in user mode and in the kernel."""
        return (0, 0) if self._bench.pid is None else cpu_ticks(self._bench.pid)

    def found(self) -> Computing:
        """What a board takes for the quickest wake so far (the others were disturbed), to a tenth of a second.

        No wake: it never sleeps, and is awake in any case.
        """
        if not self._wakes_ms:
            return Computing(0.0, "it never sleeps")
        user, kernel = self._ticks()
        if user >= self._began[0]:  # else it is another process
            user, kernel = user - self._began[0], kernel - self._began[1]
        share = user / (user + kernel) if user else 1.0
        there_ms, least, most = _YARDSTICK_MS[self._port]
        seconds = min(self._wakes_ms) * share * _FIRMWARE / yardstick_ms() * there_ms / 1000
        source = _SOURCE.format(port=self._port.value, yardstick=there_ms, least=least, most=most)
        return Computing(round(seconds, 1), source)
