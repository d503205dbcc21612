# SPDX-License-Identifier: EUPL-1.2
"""The update bundle: a signed list of files, then the files. What the node and its tools agree on (M).

Little endian. Header: "SFB" format(1) header length(2) files(2) version(4) board(16, padded with zeros), then for each
file, in the order of their names: length of the name(1) length(4) SHA-256(32) name. After the header the signature(64):
ECDSA P-256 over the header's SHA-256, r then s, big endian. Then the contents, in the same order, as they are.

All that decides is at the front, so that a receiver can refuse before it has stored anything, and every part is at a
known place, so that a bundle can be taken in pieces (LoRa Alliance TS004 "Fragmented Data Block Transport"). A name is
a compiled module of ``firmware`` or ``decoders``; nothing else can be written, wherever that might be.

RemoteError (lorawan/errors.py)
    MalformedBundle      field
"""

import struct
from collections import namedtuple

from decoders.lorawan.errors import RemoteError

MAGIC = b"SFB"
FORMAT = 1
SIGNATURE_SIZE = 64
LARGEST = 192 * 1024
_HEAD = "<3sBHHI16s"
HEAD_SIZE = struct.calcsize(_HEAD)
_FILE = "<BI32s"
_FILE_SIZE = struct.calcsize(_FILE)
LARGEST_HEADER = 8192
_LONGEST_NAME = 64
_LARGEST_FILE = 64 * 1024
_FOLDERS = ("decoders", "firmware")
_SUFFIX = ".mpy"
_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789_/"


class MalformedBundle(RemoteError):
    """It breaks the format in this field."""

    def __init__(self, field: str) -> None:
        super().__init__("bundle: " + field)
        self.field = field


class File(namedtuple("File", ("name", "length", "sha256"))):
    """One module. ``name``: its path below the application's folder."""

    name: str
    length: int
    sha256: bytes


class Header(namedtuple("Header", ("version", "board", "files"))):
    """What is signed. ``board``: the table it was built for; ``files``: tuple of File."""

    version: int
    board: str
    files: "tuple[File, ...]"

    def contents_size(self) -> int:
        """Bytes of all files."""
        return sum([file.length for file in self.files])

    def serialize(self) -> bytes:
        """The bytes that are signed; raises MalformedBundle for what a node would refuse."""
        files = b"".join([struct.pack(_FILE, len(f.name), f.length, f.sha256) + f.name.encode() for f in self.files])
        board = self.board.encode()
        head = struct.pack(_HEAD, MAGIC, FORMAT, HEAD_SIZE + len(files), len(self.files), self.version, board)
        data = head + files
        if parse_header(data) != self:
            raise MalformedBundle("board")
        return data


def header_size(head: bytes) -> int:
    """Length of the header, without the signature, from its first HEAD_SIZE bytes; raises MalformedBundle."""
    if len(head) < HEAD_SIZE:
        raise MalformedBundle("length")
    magic, number, size = struct.unpack(_HEAD, head[:HEAD_SIZE])[:3]
    if magic != MAGIC:
        raise MalformedBundle("magic")
    if number != FORMAT:
        raise MalformedBundle("format")
    if not HEAD_SIZE <= size <= LARGEST_HEADER:
        raise MalformedBundle("header length")
    return int(size)


def parse_header(data: bytes) -> Header:
    """Read the header, all of it and nothing more; raises MalformedBundle."""
    if header_size(data) != len(data):
        raise MalformedBundle("header length")
    _, _, _, count, version, board = struct.unpack(_HEAD, data[:HEAD_SIZE])
    name = board.rstrip(b"\0")
    if not name or [letter for letter in name if letter not in _LETTERS]:
        raise MalformedBundle("board")
    at = HEAD_SIZE
    files = []
    for _ in range(count):
        if at + _FILE_SIZE > len(data):
            raise MalformedBundle("files")
        size, length, sha256 = struct.unpack(_FILE, data[at : at + _FILE_SIZE])
        at += _FILE_SIZE
        files.append(File(_name(data[at : at + size], size), length, sha256))
        at += size
        if length > _LARGEST_FILE:
            raise MalformedBundle("file length")
        if len(files) > 1 and files[-2].name >= files[-1].name:
            raise MalformedBundle("order")  # a name twice is out of order, too
    if at != len(data) or not files:
        raise MalformedBundle("files")
    header = Header(version, name.decode(), tuple(files))
    if len(data) + SIGNATURE_SIZE + header.contents_size() > LARGEST:
        raise MalformedBundle("size")
    return header


def _name(data: bytes, size: int) -> str:
    """The name of a file, if it is one that a module of ours can have."""
    stem = data[: -len(_SUFFIX)]
    if len(data) != size or size > _LONGEST_NAME or data[-len(_SUFFIX) :] != _SUFFIX.encode():
        raise MalformedBundle("name")
    if [letter for letter in stem if letter not in _LETTERS] or b"//" in stem or stem[-1:] in (b"/", b""):
        raise MalformedBundle("name")
    name = data.decode()
    if "/" not in name or name.split("/")[0] not in _FOLDERS:
        raise MalformedBundle("name")
    return name
