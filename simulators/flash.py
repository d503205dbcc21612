# SPDX-License-Identifier: EUPL-1.2
"""A node's NOR flash: programming only clears bits, erasing sets a block to ones, and power may fail in between."""

import mmap
import os


class PowerLost(Exception):
    """The supply failed in the middle of a flash operation."""


class Flash:
    """Flash that outlives power cycles. Its bytes are shared memory, which the node's process reads directly.

    ``erases`` counts by block. With ``cut_at`` set, the operation of that number (``operations`` counts from 0) is
    torn: half of it happens, then ``PowerLost`` is raised, once.
    """

    def __init__(self, blocks: int = 32, block_size: int = 4096) -> None:
        self.blocks = blocks
        self.block_size = block_size
        self.erases = [0] * blocks
        self.operations = 0
        self.cut_at: int | None = None
        self.descriptor = os.memfd_create("flash")
        os.ftruncate(self.descriptor, blocks * block_size)
        self._bytes = mmap.mmap(self.descriptor, blocks * block_size)
        self._bytes[:] = b"\xff" * (blocks * block_size)

    def program(self, address: int, data: bytes) -> None:
        torn = self._torn()
        for n, byte in enumerate(data[: len(data) // 2] if torn else data, address):
            self._bytes[n] &= byte
        if torn:
            raise PowerLost

    def erase(self, block: int) -> None:
        torn = self._torn()
        self.erases[block] += 1
        size = self.block_size // 2 if torn else self.block_size
        self._bytes[block * self.block_size : block * self.block_size + size] = b"\xff" * size
        if torn:
            raise PowerLost

    def _torn(self) -> bool:
        number, self.operations = self.operations, self.operations + 1
        if number != self.cut_at:
            return False
        self.cut_at = None
        return True

    def image(self) -> bytes:
        """All bytes as they are now."""
        return self._bytes[:]

    def restore(self, image: bytes) -> None:
        """Load an image, as from a programmer."""
        self._bytes[:] = image

    def close(self) -> None:
        if self.descriptor >= 0:
            self._bytes.close()
            os.close(self.descriptor)
            self.descriptor = -1
