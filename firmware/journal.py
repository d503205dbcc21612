# SPDX-License-Identifier: EUPL-1.2
"""The newest of a node's records on flash, in two slots written by turns: a torn or damaged slot costs one record.

``damaged`` says that one may have been lost so: what ``load`` returned is perhaps the record before.

Slot: version(1) sequence(4) record CRC-32(4), little endian; the CRC covers all before it.
"""

import binascii
import struct

_VERSION = 1
_HEAD = "<BI"
_HEAD_SIZE = struct.calcsize(_HEAD)
_SLOTS = (".a", ".b")
_NOT_THERE = 2  # ENOENT


class Journal:
    """``folder``: where the two files live, it must exist; ``name`` is what they are called."""

    def __init__(self, folder: str, name: str = "/state") -> None:
        self._path = folder + name
        self._sequence = 0
        self._slot = 1  # of the newest record, so that the first one goes to slot 0
        self.damaged = False

    def load(self) -> "bytes | None":
        """The newest record that is whole; None if there is none."""
        newest = None
        self._sequence = 0
        self.damaged = False
        for number in range(len(_SLOTS)):
            sequence, record = self._read(number)
            if sequence < 0:
                self.damaged = True
            if sequence > self._sequence:
                self._sequence, self._slot, newest = sequence, number, record
        return newest

    def append(self, record: bytes) -> None:
        """Write ``record`` over the older slot; it is on flash when this returns. Raises OSError."""
        slot = 1 - self._slot
        data = struct.pack(_HEAD, _VERSION, self._sequence + 1) + record
        with open(self._path + _SLOTS[slot], "wb") as file:
            file.write(data + struct.pack("<I", binascii.crc32(data)))
        self._slot = slot
        self._sequence += 1

    def _read(self, number: int) -> "tuple[int, bytes | None]":
        """(sequence, record); sequence 0 if the slot was never written, -1 if what it holds is not whole."""
        try:
            with open(self._path + _SLOTS[number], "rb") as file:
                data = file.read()
        except OSError as error:
            return 0 if error.args[0] == _NOT_THERE else -1, None
        if len(data) < _HEAD_SIZE + 4:
            return -1, None
        version, sequence = struct.unpack(_HEAD, data[:_HEAD_SIZE])
        if version != _VERSION or binascii.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
            return -1, None
        return sequence, data[_HEAD_SIZE:-4]
