# SPDX-License-Identifier: EUPL-1.2
"""The node's identity and settings as provisioning writes them, once, to ``/data/identity.bin``.

Little endian: "SF" version(1) reserved(1) DevEUI(8) JoinEUI(8) AppKey(16) interval_s(4) CRC-32(4) = 44 bytes; EUIs most
significant byte first. The CRC covers everything before it. An Identity has no ``repr``: a key is never printed.

NodeFault (firmware/errors.py)
    IdentityInvalid      field
"""

import binascii
import struct

from firmware.errors import IdentityInvalid

_MAGIC = b"SF"
_VERSION = 1
_FORMAT = "<2sBB8s8s16sI"
_SIZE = struct.calcsize(_FORMAT) + 4
SHORTEST_INTERVAL_S = 60
LONGEST_INTERVAL_S = 16 * 3600  # the age of an older sample in a message is 16 bits of seconds


class Identity:
    """Who this node is. EUIs are lower-case hex, most significant byte first; ``app_key`` is 16 bytes."""

    __slots__ = ("app_key", "dev_eui", "interval_s", "join_eui")

    def __init__(self, dev_eui: str, join_eui: str, app_key: bytes, interval_s: int) -> None:
        self.dev_eui = dev_eui
        self.join_eui = join_eui
        self.app_key = app_key
        self.interval_s = interval_s


def pack_identity(dev_eui: str, join_eui: str, app_key: bytes, interval_s: int = 3600) -> bytes:
    """The bytes of ``identity.bin``; raises IdentityInvalid for a value the node would refuse."""
    head = struct.pack(
        _FORMAT, _MAGIC, _VERSION, 0, _eui(dev_eui, "dev_eui"), _eui(join_eui, "join_eui"), bytes(app_key), interval_s
    )
    data = head + struct.pack("<I", binascii.crc32(head))
    identity = parse_identity(data)
    if identity.app_key != app_key:
        raise IdentityInvalid("app_key")
    return data


def parse_identity(data: bytes) -> Identity:
    """Read ``identity.bin``; raises IdentityInvalid."""
    if len(data) != _SIZE:
        raise IdentityInvalid("length")
    magic, version, _, dev_eui, join_eui, app_key, interval_s = struct.unpack(_FORMAT, data[:-4])
    if magic != _MAGIC or version != _VERSION:
        raise IdentityInvalid("version")
    if binascii.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise IdentityInvalid("crc")
    if not SHORTEST_INTERVAL_S <= interval_s <= LONGEST_INTERVAL_S:
        raise IdentityInvalid("interval_s")
    return Identity(dev_eui.hex(), join_eui.hex(), app_key, interval_s)


def _eui(text: str, field: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise IdentityInvalid(field) from None
    if len(data) != 8:
        raise IdentityInvalid(field)
    return data
