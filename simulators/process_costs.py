# SPDX-License-Identifier: EUPL-1.2
"""What the kernel has counted of a process."""

import os
import re
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_ticks(pid: int) -> tuple[int, int]:
    """User and system time of all its threads since its start. man 5 proc_pid_stat: fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def cpu_s(pid: int) -> float:
    """Both together."""
    return sum(cpu_ticks(pid)) / _TICKS


def waited_s(pid: int) -> float:
    """How long its threads were ready and others had the CPU. Linux, Documentation/scheduler/sched-stats.rst."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[1]) for thread in threads) / 1e9


def memory_mb(pid: int) -> float:
    """The most that was resident at once, MiB. man 5 proc_pid_status: VmHWM."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1]) / 1024
