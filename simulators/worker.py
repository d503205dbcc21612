# SPDX-License-Identifier: EUPL-1.2
"""The process in which one node's firmware runs: the real MicroPython, entered anew at every wake.

Started by ``simulators.process`` by path, so it imports nothing of ours. A process start costs 24 ms, entering
MicroPython again (with a fresh heap) 0.05 ms; so the process stays while the node sleeps. It ends with its link.

sys.argv: image of the replaced modules, link, flash (file descriptors), the bench's process id, _ops.EXITED
"""

import contextlib
import ctypes
import json
import mmap
import os
import signal
import socket
import struct
import sys

import micropython_run  # type: ignore[import-not-found]

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    link_fd, flash_fd, parent, exited = (int(argument) for argument in sys.argv[2:])
    # A firmware loop that never asks anything would not notice that the bench was killed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    link = socket.socket(fileno=link_fd)
    with open(sys.argv[1], "rb") as image:
        rom = mmap.mmap(image.fileno(), 0, access=mmap.ACCESS_COPY)
    rom_at = [str(ctypes.addressof(ctypes.c_char.from_buffer(rom))), str(len(rom))]
    while order := link.recv(65_536):
        options, arguments = json.loads(order)
        # Copies, because MicroPython may or may not close what it was given.
        link_copy, flash_copy = os.dup(link_fd), os.dup(flash_fd)
        arguments = [str(link_copy), str(flash_copy), *arguments, *rom_at]
        code = micropython_run.run_main(["micropython", *options, *arguments])
        for descriptor in (link_copy, flash_copy):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        try:
            link.send(struct.pack("<qqq", 0, exited, code))
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
