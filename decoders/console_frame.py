# SPDX-License-Identifier: EUPL-1.2
"""Frames on a node's console, and what is said in them when it is updated, by a technician's tool and by the node (M).

The console is a terminal that others print to as well. So a frame is a line of printable characters: "~", base64 of the
content, line feed. None of them is Ctrl-C to MicroPython, none is changed on the way, and what is no frame is passed
over. It is never longer than what MicroPython's console keeps while nobody reads (260 characters on an ESP32), so
nothing is lost while the node writes flash, as long as only one is on its way.

Content, little endian: type(1) length(1) data CRC-32(4); the CRC covers all before it.

| type | from | data |
|---|---|---|
| HELLO | tool | protocol(1) |
| INFO | node | protocol(1) largest piece(1) version(4) version on trial, or 0(4) board(16, padded with zeros) |
| BEGIN | tool | size of the bundle(4) the first 8 bytes of its SHA-256(8) |
| DATA | tool | offset(4) piece |
| HELD | node | how many bytes from the start it has(4): the answer to BEGIN and to each DATA |
| END | tool | nothing: all has been sent |
| WORKING | node | nothing: it is whole and is now installed |
| INSTALLED | node | version(4): the next boot tries it |
| REFUSED | node | reason, a word: the conversation is over |
| BYE | tool | nothing: go on with what you were doing |

The tool speaks, the node answers; what is not answered is said again. Every message may come twice.
"""

import binascii
import struct

PROTOCOL = 1
MARK = b"~"
HELLO = 1
INFO = 2
BEGIN = 3
DATA = 4
HELD = 5
END = 6
WORKING = 7
INSTALLED = 8
REFUSED = 9
BYE = 10
INFO_LAYOUT = "<BBII16s"
BEGIN_LAYOUT = "<I8s"
OFFSET_LAYOUT = "<I"
ID_SIZE = 8
LARGEST_PIECE = 172
LONGEST_LINE = 246  # with mark and line feed
_HEAD = "<BB"
_LEAST = 6


def serialize(kind: int, data: bytes = b"") -> bytes:
    """One frame with up to 176 bytes of data."""
    content = struct.pack(_HEAD, kind, len(data)) + data
    return MARK + binascii.b2a_base64(content + struct.pack("<I", binascii.crc32(content)))


class FrameReader:
    """Finds frames in whatever comes. ``damaged``: frames that had begun and were not whole."""

    def __init__(self) -> None:
        self.damaged = 0
        self._line: bytearray | None = None

    def feed(self, data: bytes) -> "list[tuple[int, bytes]]":
        """(type, data) of each frame that ends in ``data``."""
        frames = []
        for byte in data:
            if byte == MARK[0]:
                self.damaged += self._line is not None
                self._line = bytearray()
            elif self._line is None:
                continue
            elif byte == 10:
                frame = _parse(bytes(self._line))
                self._line = None
                if frame is None:
                    self.damaged += 1
                else:
                    frames.append(frame)
            elif len(self._line) < LONGEST_LINE:
                self._line.append(byte)
            else:
                self.damaged += 1
                self._line = None
        return frames


def _parse(line: bytes) -> "tuple[int, bytes] | None":
    try:
        content = binascii.a2b_base64(line)
    except ValueError:
        return None
    if len(content) < _LEAST or len(content) != _LEAST + content[1]:
        return None
    if struct.unpack("<I", content[-4:])[0] != binascii.crc32(content[:-4]):
        return None
    return content[0], bytes(content[2:-4])
