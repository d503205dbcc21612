# SPDX-License-Identifier: EUPL-1.2
"""The process in which one node's firmware runs: the real MicroPython, entered anew at every wake.

Started by ``simulators.process`` by path, so it imports nothing of ours, and as little else as it can: a process start
costs 15 ms, entering MicroPython again (with a fresh heap) 0.05 ms; so the process stays while the node sleeps. It ends
with its link.

sys.argv: folder of the module micropython_run, link, flash (file descriptors), the bench's process id, _ops.EXITED,
images of ROM file systems: the replaced modules and, if it is one, the firmware

An order is MicroPython's options, a line each, an empty line, and the arguments, a line each.
"""

import ctypes
import mmap
import os
import sys

sys.path.append(sys.argv[1])
import micropython_run  # type: ignore[import-not-found]

_PR_SET_PDEATHSIG = 1  # prctl(2)
_SIGKILL = 9


def main() -> None:
    link_fd, flash_fd, parent, exited = (int(argument) for argument in sys.argv[2:6])
    # A firmware loop that never asks anything would not notice that the bench was killed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        return
    roms = []
    for path in sys.argv[6:]:
        with open(path, "rb") as image:
            roms.append(mmap.mmap(image.fileno(), 0, access=mmap.ACCESS_COPY))
    roms_at = [str(word) for rom in roms for word in (ctypes.addressof(ctypes.c_char.from_buffer(rom)), len(rom))]
    while order := os.read(link_fd, 65_536).decode():  # keeps packets apart
        options, _, arguments = order.partition("\n\n")
        # Copies, because MicroPython may or may not close what it was given.
        link_copy, flash_copy = os.dup(link_fd), os.dup(flash_fd)
        words = [str(link_copy), str(flash_copy), *arguments.split("\n"), *roms_at]
        code = micropython_run.run_main(["micropython", *options.split("\n"), "\n".join(words)])
        for descriptor in (link_copy, flash_copy):
            try:  # noqa: SIM105  # to import contextlib takes longer
                os.close(descriptor)
            except OSError:
                pass
        try:
            os.write(link_fd, b"".join(word.to_bytes(8, sys.byteorder, signed=True) for word in (0, exited, code)))
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
