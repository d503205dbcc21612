# SPDX-License-Identifier: EUPL-1.2
"""What the board does between reset and ``main``: mount the flash and run (runs on MicroPython).

sys.argv: link, flash (file descriptors), time_us, cpu_us, wired GPIOs, ticks' zero, RTC us, RTC drift ppm, unique id,
reset cause, random seed, flash blocks, block size, firmware's folder, main, GC pause us, name of the port, address and
length of the replaced modules, and of the firmware if that is in ROM
"""

import random
import sys
import time

import _ops
import _simlink
import machine
import vfs

# Winbond W25Q64JV, "AC Electrical Characteristics": tPP 0.4 ms, tSE 45 ms (typical); a cached read is a few us.
_READ_US = 10
_PROGRAM_US = 400
_ERASE_US = 45_000


class _Flash:
    """The bench's NOR flash as a block device: read from shared memory, written by requests; allocates nothing."""

    def __init__(self, descriptor: int, blocks: int, block_size: int) -> None:
        self._file = open(descriptor, "r+b")  # noqa: SIM115
        self._blocks = blocks
        self._size = block_size

    # After the last word littlefs may still close files, in finalisers; nothing of that reaches the flash.

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        _simlink.spend(_READ_US)
        self._file.seek(block * self._size + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        if not _simlink.gone:
            _simlink.spend(_PROGRAM_US)
            _simlink.program(block * self._size + offset, buffer)

    def ioctl(self, op: int, argument: int) -> int:
        if op == 4:
            return self._blocks
        if op == 5:
            return self._size
        if op == 6 and not _simlink.gone:
            _simlink.spend(_ERASE_US)
            _simlink.request(_ops.FLASH_ERASE, 0, argument)
        return 0


def _mount(flash: _Flash) -> None:
    try:
        _mount_as_it_is(flash)
    except OSError:
        block = bytearray(16)
        for n in (0, 1):
            flash.readblocks(n, block, 0)
            if block[8:] == b"littlefs":
                raise  # formatted once and broken since: the board would stop here, too
        vfs.VfsLfs2.mkfs(flash)  # type: ignore[arg-type]  # as below
        _mount_as_it_is(flash)


def _mount_as_it_is(flash: _Flash) -> None:
    # No file times: the unix port would take them from the wall clock. The stubs call file systems block devices.
    vfs.mount(vfs.VfsLfs2(flash, mtime=False), "/data")  # type: ignore[abstract,arg-type]


def _run() -> None:
    try:
        sys.modules["utime"] = time  # older names reach the same
        sys.modules["umachine"] = machine
        random.seed(int(sys.argv[11]))
        if int(sys.argv[16]):
            import _simgc

            sys.modules["gc"] = _simgc
        _mount(_Flash(int(sys.argv[2]), int(sys.argv[12]), int(sys.argv[13])))
        sys.path[:] = ("/shim", sys.argv[14], ".frozen")
        __import__(sys.argv[15])
    except SystemExit:
        if not _simlink.gone:
            _simlink.leave(_ops.SOFT_RESET)
        raise
    except BaseException as e:
        sys.print_exception(e)
        _simlink.leave(_ops.CRASHED)
    _simlink.leave(_ops.RETURNED)


_run()
