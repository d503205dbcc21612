# SPDX-License-Identifier: EUPL-1.2
"""Every sample of at least 14 days at 15 minutes, on flash, for uplinks that carry older ones and for back-fill.

Files ``h0000``, ``h0001``, ... in the board's folder, the newest open to append: a head, then records of one length.
LittleFS shows what was appended when the file is closed, whole; the CRC of each record finds the rest: a record that is
damaged costs itself. A full file is followed by the next, and the oldest one goes. Little endian:

    head     magic "H1", flags(1), mask(4): which fields a record has
    record   time(4), raws of these fields (2 each), CRC-32's lower half (2)

Flag LOCAL: times are those of the node's clock, because network time was not known yet. ``stamp`` gives them their GPS
time: the file is written anew and takes the old one's place by one rename, so that no sample is there twice.
"""

import binascii
import os
import struct

if False:  # types only
    from collections.abc import Iterator, Sequence

    from decoders.payload import Raw

KEPT_SAMPLES = 1344  # 14 days at 15 minutes
_MAGIC = b"H1"
_HEAD = "<2sBI"
_HEAD_SIZE = struct.calcsize(_HEAD)
_LOCAL = 1
_FILE_SIZE = 4096  # a block of flash: appending copies the last one
_SHORT_FILES = 14  # besides the full ones: a restart a day, for as long as samples are kept
_TEMPORARY = "/h.new"
_END = 1 << 32


class History:
    """``folder`` must exist. All times of ``append`` go up. Whatever is damaged is skipped."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.lost = 0  # samples given up since this was made: damaged, or never to have a time

    # --- writing ---

    def append(self, time_s: int, mask: int, raws: "list[int]", local: bool = False) -> None:
        """It is on flash when this returns. Raises OSError."""
        flags = _LOCAL if local else 0
        record = _record(time_s, raws)
        numbers = self._numbers()
        if numbers:
            name = self._name(numbers[-1])
            if self._head(name) == (flags, mask):
                size = os.stat(name)[6]
                rest = (size - _HEAD_SIZE) % len(record)
                if not rest and size + len(record) <= _FILE_SIZE:
                    with open(name, "ab") as file:
                        file.write(record)
                    return
        number = (numbers[-1] + 1 if numbers else 0) & 0xFFFF
        with open(self._name(number), "wb") as file:
            file.write(struct.pack(_HEAD, _MAGIC, flags, mask) + record)
        self._trim(numbers, len(record))

    def _trim(self, numbers: "list[int]", record_size: int) -> None:
        """Remove the oldest files once the newer of ``numbers`` hold enough; each restart leaves a short one."""
        most = KEPT_SAMPLES // ((_FILE_SIZE - _HEAD_SIZE) // record_size) + 1 + _SHORT_FILES
        held = 0
        for count, number in enumerate(reversed(numbers)):
            name = self._name(number)
            if held >= KEPT_SAMPLES * record_size or count >= most:
                os.remove(name)
            else:
                held += os.stat(name)[6] - _HEAD_SIZE

    def stamp(self, gps_less_local_s: int, after_s: int) -> int:
        """Give samples with local times their GPS times, later than ``after_s``; return how many. Raises OSError."""
        count = 0
        for number in self._numbers():
            name = self._name(number)
            head = self._head(name)
            if head is None or not head[0] & _LOCAL:
                continue
            data = struct.pack(_HEAD, _MAGIC, 0, head[1])
            for time_s, raws in self._read(name, head[1]):
                after_s = max(time_s + gps_less_local_s, after_s + 1)
                data += _record(after_s, raws)
                count += 1
            with open(self._folder + _TEMPORARY, "wb") as file:
                file.write(data)
            os.rename(self._folder + _TEMPORARY, name)
        return count

    def drop_local(self) -> int:
        """Give up samples with local times: that clock is gone, or they have been sent. Returns how many."""
        count = 0
        for number in self._numbers():
            name = self._name(number)
            head = self._head(name)
            if head is not None and head[0] & _LOCAL:
                count += len(list(self._read(name, head[1])))
                os.remove(name)
        return count

    # --- reading ---

    def newest(self, most: int, local: bool = False) -> "tuple[int, list[Raw]]":
        """(mask, at most ``most`` samples that have these fields, newest first)."""
        return self.between(0, _END, most, local)

    def between(
        self, after_s: int, before_s: int, most: int, local: bool = False, oldest: bool = False
    ) -> "tuple[int, list[Raw]]":
        """The same of those later than ``after_s`` and earlier than ``before_s``: the newest, or the ``oldest``."""
        found: "list[Raw]" = []
        mask = 0
        numbers = self._numbers()
        if not oldest:
            numbers.reverse()
        for number in numbers:
            name = self._name(number)
            head = self._head(name)
            if head is None or bool(head[0] & _LOCAL) != local or (found and head[1] != mask):
                if found:
                    break
                continue
            room = most - len(found)
            last = 0 if oldest or before_s < _END else room
            while True:
                samples: "list[Raw]" = []
                lost = self.lost
                for sample in self._read(name, head[1], last):
                    if after_s < sample[0] < before_s:
                        samples.append(sample)
                        if len(samples) > room:
                            del samples[0]
                        if oldest and len(samples) == room:
                            break
                if not last or self.lost == lost:
                    break
                last = 0  # one of the last is damaged: from the start, so that none before it is left out
            if samples:
                mask = head[1]
                found = found + samples if oldest else samples + found
                if len(found) == most:
                    break
        found.reverse()
        return mask, found

    # --- files ---

    def _name(self, number: int) -> str:
        return self._folder + "/h{:04x}".format(number)

    def _numbers(self) -> "list[int]":
        """Of the files, oldest first; they wrap round."""
        numbers = []
        for name in os.listdir(self._folder):
            if len(name) == 5 and name[0] == "h" and name != _TEMPORARY[1:]:
                try:
                    numbers.append(int(name[1:], 16))
                except ValueError:
                    pass
        numbers.sort()
        if numbers and numbers[-1] - numbers[0] > 0x8000:
            numbers.sort(key=lambda number: (number + 0x8000) & 0xFFFF)
        return numbers

    @staticmethod
    def _head(name: str) -> "tuple[int, int] | None":
        """(flags, mask); None if that is no history."""
        with open(name, "rb") as file:
            data = file.read(_HEAD_SIZE)
        if len(data) != _HEAD_SIZE or data[:2] != _MAGIC:
            return None
        _, flags, mask = struct.unpack(_HEAD, data)
        return flags, mask

    def _read(self, name: str, mask: int, last: int = 0) -> "Iterator[Raw]":
        """The samples of a file, oldest first; only the ``last`` ones if that is not 0."""
        form = "<I{}HH".format(_fields(mask))
        size = struct.calcsize(form)
        with open(name, "rb") as file:
            count = (os.stat(name)[6] - _HEAD_SIZE) // size
            file.seek(_HEAD_SIZE + (size * max(0, count - last) if last else 0))
            while True:
                data = file.read(size)
                if len(data) < size:
                    return  # of a record that is not whole
                if binascii.crc32(data[:-2]) & 0xFFFF != data[-2] | data[-1] << 8:
                    self.lost += 1
                    continue
                fields = struct.unpack(form, data)
                yield fields[0], fields[1:-1]


def _record(time_s: int, raws: "Sequence[int]") -> bytes:
    data = struct.pack("<I{}H".format(len(raws)), time_s, *raws)
    return data + struct.pack("<H", binascii.crc32(data) & 0xFFFF)


def _fields(mask: int) -> int:
    count = 0
    while mask:
        count += mask & 1
        mask >>= 1
    return count
