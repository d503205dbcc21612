# SPDX-License-Identifier: EUPL-1.2
"""Installs a bundle (decoders/bundle.py) that lies on flash into the folder of the application that is not active.

In this order: the header is read and its signature checked before anything else is looked at; board and version; then
the other folder is given up (firmware/starter.py), emptied and written, each file is read back and compared with its
SHA-256; only then the record is written that starts a trial. Until that record the node starts what it started before.

UpdateRefused        reason: no_key, malformed, bad_signature, other_board, not_newer, damaged
"""

import hashlib
import os

from decoders.bundle import HEAD_SIZE, SIGNATURE_SIZE, MalformedBundle, header_size, parse_header
from firmware.errors import NodeFault

if False:  # types only
    from collections.abc import Callable
    from typing import BinaryIO

    from decoders.bundle import Header
    from firmware.hal import Board
    from firmware.starter import Start

KEY_FILE = "/update_key.bin"
BUNDLE_FILE = "/update.sfb"
_CHUNK = 512
_DIRECTORY = 0x4000


class UpdateRefused(NodeFault):
    """The bundle is not installed; the node goes on as before."""

    def __init__(self, reason: str) -> None:
        super().__init__("update refused: " + reason)
        self.reason = reason


def take(board: "Board", start: "Start | None") -> None:
    """Install the bundle that somebody has put on flash, and boot into it; or say why not, drop it and go on."""
    if start is None:
        from firmware.starter import Start

        start = Start(board.folder)
    try:
        version = install(board.folder, board.table.NAME, start)
    except (OSError, UpdateRefused) as fault:
        print(fault if isinstance(fault, UpdateRefused) else "update failed: " + repr(fault))
        os.remove(board.folder + BUNDLE_FILE)
    else:
        print("update: trying version", version)
        board.deep_sleep(1000)


def install(root: str, board: str, start: "Start", done: "Callable[[], None] | None" = None) -> int:
    """Install ``root``/update.sfb for a node whose table is ``board``; return the version that the next boot tries.

    ``done`` is called after each file. Raises UpdateRefused, and OSError if there is no bundle or no room.
    """
    with open(root + BUNDLE_FILE, "rb") as bundle:
        header = check(bundle, root, board, start)
        folder = start.begin()
        _empty(folder)
        _make(folder)
        for file in header.files:
            _make_parents(folder, file.name)
            path = folder + "/" + file.name
            _copy(bundle, path, file.length)
            if _sha256(path) != file.sha256:
                raise UpdateRefused("damaged")
            if done is not None:
                done()
        start.commit(header.version)
    os.remove(root + BUNDLE_FILE)  # done with: after a failed trial it shall not be tried by itself again
    return header.version


def check(bundle: "BinaryIO", root: str, board: str, start: "Start") -> "Header":
    """The header of a bundle that this node may install, as far as the header tells; raises UpdateRefused."""
    header = read_header(bundle, _key(root))
    if header.board != board:
        raise UpdateRefused("other_board")
    if header.version <= start.version():
        raise UpdateRefused("not_newer")
    return header


def _key(root: str) -> bytes:
    try:
        with open(root + KEY_FILE, "rb") as file:
            key: bytes = file.read()
            return key
    except OSError:
        raise UpdateRefused("no_key") from None


def read_header(bundle: "BinaryIO", key: bytes) -> "Header":
    """The header of a bundle, if its signature is right; raises UpdateRefused."""
    try:
        head = bundle.read(HEAD_SIZE)
        data = head + bundle.read(header_size(head) - HEAD_SIZE)
        header = parse_header(data)
    except MalformedBundle:
        raise UpdateRefused("malformed") from None
    from firmware.p256 import verify

    if not verify(key, hashlib.sha256(data).digest(), bundle.read(SIGNATURE_SIZE)):
        raise UpdateRefused("bad_signature")
    return header


def _copy(bundle: "BinaryIO", path: str, length: int) -> None:
    with open(path, "wb") as target:
        while length:
            data = bundle.read(min(length, _CHUNK))
            if not data:
                raise UpdateRefused("damaged")
            target.write(data)
            length -= len(data)


def _sha256(path: str) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            data = file.read(_CHUNK)
            if not data:
                found: bytes = digest.digest()
                return found
            digest.update(data)


def _make(folder: str) -> None:
    try:
        os.mkdir(folder)
    except OSError:
        pass  # it is there


def _make_parents(folder: str, name: str) -> None:
    for part in name.split("/")[:-1]:
        folder += "/" + part
        _make(folder)


def _empty(folder: str) -> None:
    """Remove everything in ``folder``."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        path = folder + "/" + name
        if os.stat(path)[0] & _DIRECTORY:
            _empty(path)
            os.rmdir(path)
        else:
            os.remove(path)
