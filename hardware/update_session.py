# SPDX-License-Identifier: EUPL-1.2
"""The technician's side of an update over the console (decoders/console_frame.py): bytes and times in, bytes out.

UpdateFailed             the text says what, and what to do
    NotABundle           field
    NoAnswer             no node has answered a call
    FellSilent           held, size: the node has stopped answering
    OtherProtocol        the node speaks a version that this tool does not know
    Refused              reason: the node's, or what it would say (firmware/update.py)
"""

import hashlib
import struct
from dataclasses import dataclass
from enum import Enum

from decoders import console_frame as frames
from decoders.bundle import HEAD_SIZE, SIGNATURE_SIZE, Header, MalformedBundle, header_size, parse_header
from hardware.errors import BenchError

CALL_EVERY_S = 0.2  # a node listens for 3 s after a reset (firmware/app.py)
REPEAT_EVERY_S = 1.0  # longer than a block of flash takes to erase
SILENT_S = 15.0  # checking a signature takes a node seconds
INSTALL_S = 120.0


class UpdateFailed(BenchError):
    """Root of the tree."""


class NotABundle(UpdateFailed):
    def __init__(self, field: str) -> None:
        super().__init__(f"this is no bundle, or a part of one ({field}); make one with: stadtfunk node bundle")
        self.field = field


class NoAnswer(UpdateFailed):
    def __init__(self, waited_s: float) -> None:
        super().__init__(f"no node has answered within {waited_s:g} s: press its reset button while this waits")


class FellSilent(UpdateFailed):
    def __init__(self, held: int, size: int) -> None:
        done = "" if not size else f" at {100 * held // size} %"
        super().__init__(f"the node has stopped answering{done}: run this again, it goes on from there")
        self.held = held
        self.size = size


class OtherProtocol(UpdateFailed):
    def __init__(self, protocol: int) -> None:
        super().__init__(f"the node speaks protocol {protocol}, this tool {frames.PROTOCOL}: install a newer stadtfunk")


_REASONS = {
    "no_key": "it has no key for updates: write update_key.bin to it first (docs/update.md)",
    "bad_signature": "the bundle is signed with another key than the node's, or was changed since",
    "malformed": "it cannot read the bundle: make it anew",
    "damaged": "the bundle's contents are not those that were signed: make it anew, or run this again",
    "no_room": "its flash is full",
    "no_memory": "its memory is too short for this bundle",
    "flash": "its flash failed: run this again",
}


class Refused(UpdateFailed):
    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(f"the node refuses: {text or _REASONS.get(reason, reason)}")
        self.reason = reason


@dataclass(frozen=True)
class Info:
    """What a node says of itself. ``trial``: the version on trial, 0 if none is."""

    board: str
    version: int
    trial: int


class Stage(Enum):
    """Where a conversation is."""

    CALLING = "calling"
    OFFERING = "offering"
    SENDING = "sending"
    ENDING = "ending"
    INSTALLING = "installing"
    DONE = "done"


class Session:
    """One conversation. ``bundle`` None: only ask who is there.

    Call ``poll`` often and send what it returns; give ``receive`` what comes. Both raise UpdateFailed. Once ``stage``
    is DONE and ``poll`` has been sent, ``info``, ``resumed_at`` and ``installed`` (a version; None if the node had it
    already) tell how it went.
    """

    farewell = frames.serialize(frames.BYE)

    def __init__(self, bundle: bytes | None, now_s: float, timeout_s: float = 60.0) -> None:
        self._bundle = bundle or b""
        self.header = None if bundle is None else read_header(bundle)
        self.stage = Stage.CALLING
        self.info: Info | None = None
        self.held = 0
        self.resumed_at = 0
        self.installed: int | None = None
        self._piece = 0
        self._reader = frames.FrameReader()
        self._timeout_s = timeout_s
        self._heard_s = now_s
        self._message = frames.serialize(frames.HELLO, bytes([frames.PROTOCOL]))
        self._every_s = CALL_EVERY_S
        self._next_s = now_s

    @property
    def size(self) -> int:
        return len(self._bundle)

    @property
    def is_calling(self) -> bool:
        return self.stage is Stage.CALLING

    @property
    def is_done(self) -> bool:
        return self.stage is Stage.DONE

    def poll(self, now_s: float) -> bytes:
        """What to send now, often nothing."""
        patience_s = {Stage.CALLING: self._timeout_s, Stage.INSTALLING: INSTALL_S}.get(self.stage, SILENT_S)
        if self.stage is not Stage.DONE and now_s - self._heard_s > patience_s:
            raise NoAnswer(self._timeout_s) if self.stage is Stage.CALLING else FellSilent(self.held, self.size)
        if now_s < self._next_s or not self._message:
            return b""
        self._next_s = now_s + self._every_s
        message = self._message
        if self.stage is Stage.DONE:
            self._message = b""
        return message

    def receive(self, data: bytes, now_s: float) -> None:
        """Take what the node has said, between whatever else is on the line."""
        for kind, content in self._reader.feed(data):
            if kind == frames.INFO and len(content) == struct.calcsize(frames.INFO_LAYOUT):
                if self.stage is Stage.CALLING:
                    self._heard_s = now_s
                    self._meet(now_s, *struct.unpack(frames.INFO_LAYOUT, content))
            elif kind == frames.HELD and len(content) == struct.calcsize(frames.OFFSET_LAYOUT):
                self._heard_s = now_s
                self._go_on(now_s, *struct.unpack(frames.OFFSET_LAYOUT, content))
            elif kind == frames.WORKING and self.stage is Stage.ENDING:
                self._heard_s = now_s
                self.stage = Stage.INSTALLING
            elif kind == frames.INSTALLED and len(content) == 4 and self.stage in (Stage.ENDING, Stage.INSTALLING):
                self.installed = struct.unpack("<I", content)[0]
                self._say(Stage.DONE, frames.serialize(frames.BYE), now_s)
            elif kind == frames.REFUSED and self.stage not in (Stage.CALLING, Stage.DONE):
                self._refuse(content.decode("ascii", "replace"))

    def _say(self, stage: Stage, message: bytes, now_s: float) -> None:
        self.stage = stage
        self._message = message
        self._every_s = REPEAT_EVERY_S
        self._next_s = now_s

    def _meet(self, now_s: float, protocol: int, piece: int, version: int, trial: int, board: bytes) -> None:
        if protocol != frames.PROTOCOL or not 0 < piece <= frames.LARGEST_PIECE:
            raise OtherProtocol(protocol)
        self._piece = piece
        self.info = Info(board.rstrip(b"\0").decode("ascii", "replace"), version, trial)
        header = self.header
        if header is None or header.version in (version, trial):
            self._say(Stage.DONE, frames.serialize(frames.BYE), now_s)
            return
        if header.board != self.info.board:
            self._refuse("other_board")
        if header.version < version:
            self._refuse("not_newer")
        identity = hashlib.sha256(self._bundle).digest()[: frames.ID_SIZE]
        offer = struct.pack(frames.BEGIN_LAYOUT, self.size, identity)
        self._say(Stage.OFFERING, frames.serialize(frames.BEGIN, offer), now_s)

    def _go_on(self, now_s: float, held: int) -> None:
        """The node has the first ``held`` bytes. One that says so again has got our last words twice."""
        if self.stage is Stage.OFFERING:
            self.resumed_at = held
        elif self.stage is not Stage.SENDING or held <= self.held:
            return
        self.held = held
        if held >= self.size:
            self._say(Stage.ENDING, frames.serialize(frames.END), now_s)
        else:
            piece = struct.pack(frames.OFFSET_LAYOUT, held) + self._bundle[held : held + self._piece]
            self._say(Stage.SENDING, frames.serialize(frames.DATA, piece), now_s)

    def _refuse(self, reason: str) -> None:
        header, info = self.header, self.info
        text = ""
        if header is not None and info is not None:
            if reason == "other_board":
                text = f"the bundle is for {header.board}, this is a {info.board}"
            elif reason == "not_newer":
                text = f"the bundle is version {header.version}, the node has {info.version} already"
        raise Refused(reason, text)


def read_header(bundle: bytes) -> Header:
    """The header of a bundle that is whole; raises NotABundle."""
    try:
        size = header_size(bundle[:HEAD_SIZE])
        header = parse_header(bundle[:size])
    except MalformedBundle as error:
        raise NotABundle(error.field) from None
    if len(bundle) != size + SIGNATURE_SIZE + header.contents_size():
        raise NotABundle("size")
    return header
