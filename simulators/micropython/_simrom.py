# SPDX-License-Identifier: EUPL-1.2
"""First thing to run: the replaced modules stand in the worker's memory as a ROM file system (runs on MicroPython).

Their byte code then takes no heap, as the C modules of a real board take none. The firmware may come the same way.
"""

import sys

import uctypes
import vfs

# They came as one, because each is a name that takes room for good; numbers take none.
sys.argv[1:] = sys.argv[1].split("\n")
for at in range(1, len(sys.argv)):
    if at not in (9, 14, 15, 17):
        sys.argv[at] = int(sys.argv[at])  # type: ignore[call-overload]  # so the list says
for at, folder in ((18, "/shim"), (20, "/rom")):
    if at < len(sys.argv):
        rom = uctypes.bytearray_at(int(sys.argv[at]), int(sys.argv[at + 1]))
        vfs.mount(vfs.VfsRom(rom), folder)  # type: ignore[attr-defined]  # not in the stubs
sys.path[:] = ("/shim", ".frozen")
__import__("_simboot")
