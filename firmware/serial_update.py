# SPDX-License-Identifier: EUPL-1.2
"""Takes a bundle over the console from a technician's tool (decoders/console_frame.py), and installs it.

``app`` listens for a moment after a reset, never after deep sleep, and calls this when a frame begins. What has come
is kept in ``/update-<id>``, on flash for good every 4 kB, so that a pulled cable or a power cut costs that at most: the
same bundle goes on from there, another one takes its place. As soon as header and signature are there they decide
(firmware/update.py), before the rest is sent. A conversation ends in a deep sleep of a second: nothing of it is left.
"""

import binascii
import gc
import hashlib
import os
import struct
import sys

from decoders import console_frame as frames
from decoders.bundle import HEAD_SIZE, LARGEST, SIGNATURE_SIZE, MalformedBundle, header_size
from firmware import update
from firmware.update import UpdateRefused

if False:  # types only
    from collections.abc import Callable
    from typing import BinaryIO

    from firmware.hal import Board
    from firmware.starter import Start

_FIRST_MS = 1_000  # for the frame that has begun to end
_SILENCE_MS = 10_000  # the cable was pulled
_LINGER_MS = 2_000  # for a tool that has not heard how it ended
_LONGEST_MS = 1_800_000
_KEPT = 4_096  # bytes after which what has come is made safe: a block of flash
_LEAST_PIECE = 32
_HEAP_PARTS = 16  # a piece is in memory some four times over, once as text
_PART = "update-"
_NO_ROOM = 28  # errno.ENOSPC
_BREAK = 3  # Ctrl-C


class Conversation:
    """What the node answers, and what it keeps. ``verdict``: its last word, once there is one.

    ``root``: where the bundle goes; ``board``: the name of the node's table; ``piece``: bytes it takes at a time.
    """

    def __init__(self, root: str, board: str, start: "Start", piece: int) -> None:
        self._root = root
        self._board = board
        self._start = start
        self._piece = min(max(piece, _LEAST_PIECE), frames.LARGEST_PIECE)
        self._path = ""
        self._id = b""
        self._size = 0
        self._held = 0
        self._judge_at = HEAD_SIZE  # when so much is there the header can be looked at; 0: it is good
        self._file: "BinaryIO | None" = None
        self.verdict = b""
        self.whole = False  # all is there, to be installed

    def answer(self, kind: int, data: bytes) -> bytes:
        """What to say to a message; nothing to one that is none."""
        if self.verdict:
            return self.verdict
        try:
            if kind == frames.HELLO:
                start = self._start
                name = self._board.encode()
                return frames.serialize(
                    frames.INFO,
                    struct.pack(
                        frames.INFO_LAYOUT, frames.PROTOCOL, self._piece, start.version(), start.version(True), name
                    ),
                )
            if kind == frames.BEGIN and len(data) == struct.calcsize(frames.BEGIN_LAYOUT):
                self._begin(*struct.unpack(frames.BEGIN_LAYOUT, data))
            elif kind == frames.DATA and len(data) > 4 and self._file is not None:
                self._take(struct.unpack(frames.OFFSET_LAYOUT, data[:4])[0], data[4:])
            elif kind == frames.END and self._file is not None:
                if self._held == self._size:
                    self._finish()
                    return frames.serialize(frames.WORKING)
            else:
                return b""
            return frames.serialize(frames.HELD, struct.pack(frames.OFFSET_LAYOUT, self._held))
        except (MemoryError, OSError, UpdateRefused) as fault:
            return self._refuse(fault)

    def install(self, done: "Callable[[], None]") -> bytes:
        """After WORKING: install what has come, ``done`` after each file; say how that went."""
        try:
            version = update.install(self._root, self._board, self._start, done)
        except (MemoryError, OSError, UpdateRefused) as fault:
            os.remove(self._path)
            return self._refuse(fault)
        self.verdict = frames.serialize(frames.INSTALLED, struct.pack("<I", version))
        return self.verdict

    def close(self) -> None:
        """What has come so far is safe."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _refuse(self, fault: Exception) -> bytes:
        self.close()
        if isinstance(fault, UpdateRefused):
            reason = fault.reason
            self._remove_others("")
        elif isinstance(fault, MemoryError):
            reason = "no_memory"
        else:
            reason = "no_room" if fault.args[:1] == (_NO_ROOM,) else "flash"
        self.verdict = frames.serialize(frames.REFUSED, reason.encode())
        return self.verdict

    def _remove_others(self, name: str) -> None:
        for other in os.listdir(self._root):
            if other.startswith(_PART) and other != name:
                os.remove(self._root + "/" + other)

    def _begin(self, size: int, id: bytes) -> None:
        """A bundle comes; go on where it ended last time."""
        if self._file is not None and (size, id) == (self._size, self._id):
            return
        if not HEAD_SIZE < size <= LARGEST:
            raise UpdateRefused("malformed")
        self.close()
        name = _PART + binascii.hexlify(id).decode()
        self._remove_others(name)
        self._path = self._root + "/" + name
        self._size, self._id, self._judge_at = size, id, HEAD_SIZE
        self._file = open(self._path, "ab")  # noqa: SIM115  # stays open over many messages
        self._held = os.stat(self._path)[6]
        if self._held > size:
            raise UpdateRefused("damaged")
        self._judge()

    def _take(self, offset: int, piece: bytes) -> None:
        """A piece that is not the next one came before, or one before it was lost: the answer says which is next."""
        file = self._file
        if file is None or offset != self._held or len(piece) > self._size - offset:
            return
        file.write(piece)
        self._held += len(piece)
        if offset // _KEPT != self._held // _KEPT:
            file.flush()
        self._judge()

    def _judge(self) -> None:
        """Look at the header as soon as it is there."""
        while self._judge_at and self._held >= self._judge_at:
            self.close()
            gc.collect()
            with open(self._path, "rb") as bundle:
                try:
                    need = header_size(bundle.read(HEAD_SIZE)) + SIGNATURE_SIZE
                except MalformedBundle:
                    raise UpdateRefused("malformed") from None
                if need == self._judge_at:
                    bundle.seek(0)
                    update.check(bundle, self._root, self._board, self._start)
                    need = 0
            self._judge_at = need
            self._file = open(self._path, "ab")  # noqa: SIM115  # as above

    def _finish(self) -> None:
        """All is there: call it what ``update`` looks for."""
        self.close()
        digest = hashlib.sha256()
        with open(self._path, "rb") as file:
            while data := file.read(512):
                digest.update(data)
        if digest.digest()[: frames.ID_SIZE] != self._id:
            raise UpdateRefused("damaged")
        path = self._root + update.BUNDLE_FILE
        os.rename(self._path, path)
        self._path = path
        self.whole = True


def talk(board: "Board", start: "Start | None") -> None:
    """A frame has begun on the console: hear what its sender wants, then boot. Does not return."""
    import select

    import micropython

    if start is None:
        from firmware.starter import Start

        start = Start(board.folder)
    gc.collect()
    conversation = Conversation(board.folder, board.table.NAME, start, gc.mem_free() // _HEAP_PARTS)
    reader = frames.FrameReader()
    reader.feed(frames.MARK)
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    clock = board.clock
    began_ms = heard_ms = clock.ticks_ms()
    patience_ms = _FIRST_MS
    met = False
    micropython.kbd_intr(-1)  # noise on the line shall not end in the REPL
    try:
        while True:
            now_ms = clock.ticks_ms()
            left_ms = patience_ms - clock.ticks_diff(now_ms, heard_ms)
            if left_ms <= 0 or clock.ticks_diff(now_ms, began_ms) > _LONGEST_MS or not poll.poll(left_ms):
                break
            said = reader.feed(sys.stdin.buffer.read(1) or b"")
            if not said:
                continue
            kind, data = said[0]
            if kind == frames.BYE:
                if met:
                    break
                continue  # it was meant for the boot before
            if not met:
                board.watchdog_start()
            met = True
            board.watchdog_feed()
            answer = conversation.answer(kind, data)
            sys.stdout.write(answer.decode())
            if conversation.whole and not conversation.verdict:
                sys.stdout.write(conversation.install(board.watchdog_feed).decode())
            heard_ms = clock.ticks_ms()
            patience_ms = _LINGER_MS if conversation.verdict else _SILENCE_MS
    except Exception as error:
        getattr(sys, "print_exception", print)(error)
    conversation.close()
    micropython.kbd_intr(_BREAK)
    board.deep_sleep(1000)
