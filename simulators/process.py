# SPDX-License-Identifier: EUPL-1.2
"""The bench's end of a worker process: start, orders, messages, answers, death.

WorkerError
    WorkerSilent     no message within the guard time: the firmware loops without ever calling machine or time
    WorkerDied       the process ended: MicroPython itself crashed, or somebody killed it
"""

import functools
import importlib.util
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

from simulators.firmware_build import SHIM_ROM
from simulators.micropython import _ops

_WORKER = Path(__file__).with_name("worker.py")
_RUNS = 1000  # after so many wakes a worker is replaced: each leaves about 8 kB behind
_PACKET_BYTES = 65_536  # the longest: a flash block
_CONSOLE_BYTES = 1 << 20  # the console is emptied when it is longer


@functools.cache
def micropython_folder() -> str:
    """Where MicroPython as a module is; the worker starts without site-packages, which takes half the time."""
    spec = importlib.util.find_spec("micropython_run")
    assert spec is not None
    assert spec.origin is not None
    return os.path.dirname(spec.origin)


class WorkerError(Exception):
    """Something is wrong with the process itself, not with the firmware's behaviour."""

    def __init__(self, problem: str, console: str) -> None:
        super().__init__(f"{problem}; end of its console:\n{console[-2000:]}")
        self.console = console


class WorkerSilent(WorkerError):
    pass


class WorkerDied(WorkerError):
    pass


class Worker:
    """One node's process, started when first needed. ``shim`` is the folder of the replaced modules; ``rom`` the image
    of a ROM file system that stands in the processor's address space, if any.

    ``typed``: somebody is at its stdin. The kernel kills the process when the thread that started it ends, so one
    thread runs a node for its whole life.
    """

    def __init__(
        self, name: str, shim: Path, rom: Path | None, flash_descriptor: int, guard_s: float, typed: bool = False
    ) -> None:
        self._name = name
        self._shim = shim
        self._images = [shim / SHIM_ROM] if rom is None else [shim / SHIM_ROM, rom]
        self._flash_descriptor = flash_descriptor
        self._guard_s = guard_s
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._console = os.memfd_create("console")
        self._said_to = 0  # how much of it ``said`` has returned
        # what ``type`` puts in comes out of the node's stdin; most have none: descriptors are scarce in a city
        self._stdin: tuple[int, ...] = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if typed else ()
        self._packet = memoryview(bytearray(_PACKET_BYTES))
        self._runs = 0
        self._busy = False
        self._awaits_exit = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        whole_s = int(self._guard_s)
        guard = struct.pack("ll", whole_s, int((self._guard_s - whole_s) * 1_000_000))
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, guard)
        # MicroPython converts dates by the time zone of its process; a board has none.
        environment = {"MICROPYPATH": f"{self._shim}:.frozen", "TZ": "UTC0"}
        numbers = (theirs.fileno(), self._flash_descriptor, os.getpid(), _ops.EXITED)
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(_WORKER),
                    *(str(word) for word in (micropython_folder(), *numbers, *self._images)),
                ],
                cwd=self._shim,
                env=os.environ | environment,
                stdin=self._stdin[0] if self._stdin else subprocess.DEVNULL,
                stdout=self._console,
                stderr=self._console,
                start_new_session=True,  # Ctrl-C is for the bench; it ends its workers
                pass_fds=(theirs.fileno(), self._flash_descriptor),
            )
        self._link = ours
        self._runs = 0

    def run(self, options: list[str], arguments: list[str]) -> None:
        """Enter MicroPython with a fresh heap."""
        if self._awaits_exit:
            self._wait_exit()
        if self._runs >= _RUNS:
            self.stop()
        if self._process is None:
            self._start()
        if os.fstat(self._console).st_size > _CONSOLE_BYTES:
            os.ftruncate(self._console, 0)
            os.lseek(self._console, 0, os.SEEK_SET)
            self._said_to = 0
        self._drop_typed()
        assert self._link is not None
        self._link.send("\n".join((*options, "", *arguments)).encode())
        self._runs += 1
        self._busy = True

    def receive(self) -> memoryview:
        """The next packet of the node; waits for it. What is returned is good until the next call."""
        assert self._link is not None
        try:
            length = self._link.recv_into(self._packet)
        except BlockingIOError:
            raise WorkerSilent(f"{self._name} has not answered for {self._guard_s:g} s", self.console()) from None
        except ConnectionResetError:
            length = 0
        if not length:
            assert self._process is not None
            raise WorkerDied(f"{self._name}'s process ended with {self._process.wait()}", self.console())
        return self._packet[:length]

    def send(self, packet: bytes) -> None:
        assert self._link is not None
        try:  # noqa: SIM105  # suppress() costs a microsecond more, hundreds of times a wake
            self._link.send(packet)
        except BrokenPipeError:  # the next receive tells more
            pass

    def leaving(self) -> None:
        """The node has said its last word; the interpreter is about to end."""
        self._busy = False
        self._awaits_exit = True

    def _wait_exit(self) -> None:
        """Take the note of the interpreter's end. Firmware that catches SystemExit for ever does not stop us."""
        self._awaits_exit = False
        try:
            self.receive()
        except WorkerSilent:
            self.stop()

    def abort(self) -> None:
        """Stop what runs at once, as a power failure does: nothing in the firmware can catch it."""
        if self._busy:
            self.stop()

    def stop(self) -> None:
        """End the process."""
        self._busy = self._awaits_exit = False
        if self._process is not None:
            self._process.kill()  # before its link goes, so that the firmware sees nothing of it
            self._process.wait()
            self._process = None
        if self._link is not None:
            self._link.close()
            self._link = None

    def console(self) -> str:
        """What the firmware has printed."""
        return os.pread(self._console, _CONSOLE_BYTES * 2, 0).decode(errors="replace")

    def said(self) -> bytes:
        """What it has printed since this was asked last."""
        data = os.pread(self._console, _CONSOLE_BYTES, self._said_to)
        self._said_to += len(data)
        return data

    def type(self, data: bytes) -> None:
        """Let the firmware's next reads of ``sys.stdin`` find ``data``."""
        os.write(self._stdin[1], data)

    def _drop_typed(self) -> None:
        """A board that boots finds nothing of what it did not read before."""
        if not self._stdin:
            return
        try:  # noqa: SIM105  # hundreds of times a second
            os.read(self._stdin[0], _PACKET_BYTES)
        except BlockingIOError:
            pass

    def close(self) -> None:
        self.stop()
        if self._console >= 0:
            for descriptor in (self._console, *self._stdin):
                os.close(descriptor)
            self._console = -1
