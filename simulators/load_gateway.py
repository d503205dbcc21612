# SPDX-License-Identifier: EUPL-1.2
"""A gateway process under load, seen from outside: by its log.

An uplink counts as stored when the gateway's log says that it is accepted, which it does after COMMIT has returned.
"""

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from simulators.town import GATEWAY_EUI

_UPLINK = re.compile(rb"uplink dev_eui=([0-9a-f]{16}) f_cnt=(\d+) ")
_READY = re.compile(rb"gateway ready .*gwmp=[\d.]+:(\d+) .*outbox=(\d+)")
_STATIONS = re.compile(rb"basics stations may connect uri=ws://[\d.]+:(\d+)")


class GatewayFailed(Exception):
    """It stopped, or says nothing. ``reason`` has its last words."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"gateway: {reason}")
        self.reason = reason


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stadtfunk", "gateway", *arguments, "--config", "gateway.toml"]


def write_config(folder: Path, *, virtual_time: bool) -> None:
    """On free ports, without a broker: what is stored stays in the outbox."""
    (folder / "gateway.toml").write_text(
        f'[gateway]\neui = "{GATEWAY_EUI}"\n[gwmp]\nport = 0\n[basics_station]\nenabled = true\nport = 0\n'
        f"[network]\ntime_tolerance_s = {0 if virtual_time else 3600}\n"
        f"[downlinks]\nvirtual_time = {str(virtual_time).lower()}\n"
        "[mqtt]\nport = 9  # discard: nobody listens\n[page]\nport = 0\n"
    )


def import_devices(folder: Path, rows: list[str]) -> None:
    """Register devices; raises GatewayFailed."""
    (folder / "devices.csv").write_text("\n".join(["dev_eui,join_eui,app_key,profile,name", *rows]) + "\n")
    done = subprocess.run(
        command("devices", "import", "devices.csv"), cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise GatewayFailed(done.stderr.strip())


class GatewayUnderLoad:
    """One running process. ``on_stored`` is called for every uplink with (dev_eui, f_cnt, monotonic s)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._last_lines: list[bytes] = []
        self.gwmp_port = self.lns_port = 0
        self.outbox = 0  # records held when it started
        self.start_s = 0.0
        self.on_stored: Callable[[str, int, float], None] = lambda _dev_eui, _f_cnt, _at: None

    async def start(self) -> None:
        """Until its ports are open; raises GatewayFailed."""
        began = time.monotonic()
        self._process = await asyncio.create_subprocess_exec(
            *command("run"), cwd=self.folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait_for(self._ready.wait(), 120)
        except TimeoutError:
            raise GatewayFailed(self.last_words()) from None
        self.start_s = time.monotonic() - began
        if not self.gwmp_port:
            raise GatewayFailed(self.last_words())

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        rest = b""
        while chunk := await self._process.stderr.read(1 << 16):
            at = time.monotonic()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if match := _UPLINK.search(line):
                    self.on_stored(match[1].decode(), int(match[2]), at)
                else:
                    self._other(line)
        self._ready.set()

    def _other(self, line: bytes) -> None:
        if match := _STATIONS.search(line):
            self.lns_port = int(match[1])
        elif match := _READY.search(line):
            self.gwmp_port, self.outbox = int(match[1]), int(match[2])
            self._ready.set()
        self._last_lines = [*self._last_lines[-9:], line]

    def last_words(self) -> str:
        return b"\n".join(self._last_lines).decode(errors="replace") or "says nothing"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Of one that was started."""
        assert self._process is not None
        return self._process.pid

    async def stop(self, number: int = signal.SIGTERM) -> None:
        """By a signal; waits for its end."""
        if self._process is None:
            return
        if self.alive:
            self._process.send_signal(number)
        await self._process.wait()
        if self._reading is not None:
            await self._reading
