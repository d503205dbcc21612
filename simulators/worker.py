# SPDX-License-Identifier: EUPL-1.2
"""The process in which one node's firmware runs: the real MicroPython, entered anew at every wake.

Started by ``simulators.process`` by path, so it imports nothing of ours. A process start costs 24 ms, entering
MicroPython again (with a fresh heap) 0.05 ms; so the process stays while the node sleeps. It ends with its link.

sys.argv: link, flash (file descriptors), the bench's process id, _ops.EXITED, images of ROM file systems: the replaced
modules and, if it is one, the firmware
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
    link_fd, flash_fd, parent, exited = (int(argument) for argument in sys.argv[1:5])
    # A firmware loop that never asks anything would not notice that the bench was killed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    link = socket.socket(fileno=link_fd)
    roms = []
    for path in sys.argv[5:]:
        with open(path, "rb") as image:
            roms.append(mmap.mmap(image.fileno(), 0, access=mmap.ACCESS_COPY))
    roms_at = [str(word) for rom in roms for word in (ctypes.addressof(ctypes.c_char.from_buffer(rom)), len(rom))]
    while order := link.recv(65_536):
        options, arguments = json.loads(order)
        # Copies, because MicroPython may or may not close what it was given.
        link_copy, flash_copy = os.dup(link_fd), os.dup(flash_fd)
        arguments = [str(link_copy), str(flash_copy), *arguments, *roms_at]
        code = micropython_run.run_main(["micropython", *options, "\n".join(arguments)])
        for descriptor in (link_copy, flash_copy):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        try:
            link.send(struct.pack("<qqq", 0, exited, code))
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
