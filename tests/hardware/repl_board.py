# SPDX-License-Identifier: EUPL-1.2
"""A fresh board on a pseudo terminal: the real MicroPython at its prompt, a LittleFS of its own, resets, Ctrl-C.

``machine`` alone is ours there: reset, deepsleep and what an application asks for before it gives up on this "board".
"""

import fcntl
import os
import select
import subprocess
import sys
import termios
import threading
import tty
from pathlib import Path

BLOCKS, BLOCK_SIZE = 256, 4096
BOOTED = "rst:0x1"  # from now on it hears Ctrl-C
RESET = 86  # how the process ends when the board resets

# What the board does from reset to main.py or the prompt: ports/esp32/modules/_boot.py, and main.c after it
BOOT = """
import sys, vfs, time
class Flash:
    def __init__(self, path):
        self.f = open(path, "r+b")
    def readblocks(self, n, b, at=0):
        self.f.seek(n * {size} + at); self.f.readinto(b)
    def writeblocks(self, n, b, at=0):
        self.f.seek(n * {size} + at); self.f.write(b); self.f.flush()
    def ioctl(self, op, argument):
        return {{4: {blocks}, 5: {size}}}.get(op, 0)
_flash = Flash("{flash}")
try:
    _fs = vfs.VfsLfs2(_flash, mtime=False)
except OSError:
    vfs.VfsLfs2.mkfs(_flash)
    _fs = vfs.VfsLfs2(_flash, mtime=False)
vfs.umount("/")
vfs.mount(_fs, "/")
class Machine:
    def reset(self):
        sys.exit({reset})
    def deepsleep(self, ms=None):
        while True:
            time.sleep_ms(20)
sys.modules["machine"] = Machine()
{more}
print("{booted}")
sys.path[:] = ["", "/lib", ".frozen"]
try:
    with open("/main.py") as _main:
        _main = _main.read()
except OSError:
    _main = ""
try:
    exec(_main)
except KeyboardInterrupt:
    print("KeyboardInterrupt")
del _main
"""


class ReplBoard:
    """``port`` is the tool's end of the cable. ``boots`` counts resets; ``more`` runs before main.py at each of them.

    ``pull_after``: the cable is pulled, and with it the supply, when the tool has sent so many bytes.
    """

    def __init__(self, folder: Path, more: str = "", pull_after: int | None = None) -> None:
        self.flash = folder / "flash.bin"
        if not self.flash.exists():
            self.flash.write_bytes(b"\xff" * BLOCKS * BLOCK_SIZE)
        self._boot = folder / "boot.py"
        self._boot.write_text(
            BOOT.format(flash=self.flash, size=BLOCK_SIZE, blocks=BLOCKS, reset=RESET, booted=BOOTED, more=more)
        )
        self._pull_after = pull_after
        self.boots = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._ends = [self._master, self._slave]
        self.port = os.ttyname(self._slave)

    def __enter__(self) -> "ReplBoard":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._unplug()

    def _unplug(self) -> None:
        while self._ends:
            os.close(self._ends.pop())

    def _run(self) -> None:
        passed = 0
        while not self._stop.is_set():
            self.boots += 1
            ours, theirs = os.openpty()
            process = _started(self._boot, theirs)
            os.close(theirs)
            said, is_up = b"", False
            while not self._stop.is_set():
                ready, _, _ = select.select([ours, self._master], [], [], 0.1)
                try:
                    if ours in ready:
                        heard = os.read(ours, 4096)
                        said = (said + heard)[-1000:]
                        os.write(self._master, heard)
                    if self._master in ready:
                        typed = os.read(self._master, 4096)
                        passed += len(typed)
                        if BOOTED.encode() in said or is_up:
                            is_up = True
                            os.write(ours, typed)
                except OSError:  # the board's side is gone: it has ended
                    break
                if self._pull_after is not None and passed > self._pull_after:
                    self._stop.set()
                    self._unplug()
            process.kill()
            process.wait()
            os.close(ours)


def _started(boot: Path, terminal: int) -> "subprocess.Popen[bytes]":
    """MicroPython with ``terminal`` as its console, on which Ctrl-C interrupts what runs."""

    def own_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    tty.setraw(terminal)
    settings = termios.tcgetattr(terminal)
    settings[3] |= termios.ISIG
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
    return subprocess.Popen(
        [*micropython(), "-X", "heapsize=1M", "-i", str(boot)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=own_terminal,
        env={**os.environ, "MICROPYPATH": ".frozen"},
    )


def micropython() -> list[str]:
    """The command that is MicroPython."""
    return [str(Path(sys.executable).with_name("micropython"))]


def files_of(flash: Path, folder: Path) -> dict[str, bytes]:
    """What is in the board's file system, by path; ``folder`` is for the copies."""
    program = (
        BOOT.partition('vfs.umount("/")')[0].format(flash=flash, size=BLOCK_SIZE, blocks=BLOCKS)
        + f"""
import os
vfs.mount(_fs, "/board")
def copy(at):
    for name, kind, *_ in os.ilistdir("/board" + at):
        path = at + "/" + name
        if kind & 0x4000:
            os.mkdir("{folder}" + path)
            copy(path)
        else:
            with open("/board" + path, "rb") as f, open("{folder}" + path, "wb") as g:
                g.write(f.read())
copy("")
"""
    )
    folder.mkdir()
    subprocess.run([*micropython(), "-c", program], check=True, timeout=60)
    return {f"/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
