# SPDX-License-Identifier: EUPL-1.2
"""First thing to run: the replaced modules stand in the worker's memory as a ROM file system (runs on MicroPython).

Their byte code then takes no heap, as the C modules of a real board take none.
"""

import sys

import uctypes
import vfs

rom = uctypes.bytearray_at(int(sys.argv[-2]), int(sys.argv[-1]))
vfs.mount(vfs.VfsRom(rom), "/shim")  # type: ignore[attr-defined]  # not in the stubs
sys.path[:] = ("/shim", ".frozen")
__import__("_simboot")
