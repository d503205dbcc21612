# SPDX-License-Identifier: EUPL-1.2
"""The node's identity and settings as provisioning writes them, once, to ``/data/identity.bin``.

Little endian: "SF" version(1) options(1) DevEUI(8) JoinEUI(8) AppKey(16) interval_s(4) CRC-32(4) = 44 bytes; EUIs most
significant byte first. The CRC covers everything before it. Options: bit 0 confirmed uplinks, bit 1 ADR off, bits 4 to
7 the profile (0: tree, as all nodes were at first). Version 2
is for activation by personalization: DevAddr(4) NwkSKey(16) AppSKey(16) before the CRC, 80 bytes; its AppKey is unused.
An Identity has no ``repr``: a key is never printed.

NodeFault (firmware/errors.py)
    IdentityInvalid      field
"""

import binascii
import struct

from firmware.errors import IdentityInvalid

MAGIC = b"SF"
VERSION = 1
ABP_VERSION = 2
FORMAT = "<2sBB8s8s16sI"
_HEAD = struct.calcsize(FORMAT)
_SIZE = _HEAD + 4
SESSION = "<I16s16s"
_ABP_SIZE = _SIZE + struct.calcsize(SESSION)
CONFIRMED = 1
ADR_OFF = 2
PROFILES = ("tree", "air", "traffic")
PROFILE_SHIFT = 4
_SHORTEST_INTERVAL_S = 60
_LONGEST_INTERVAL_S = 16 * 3600  # the age of an older sample in a message is 16 bits of seconds


class Identity:
    """Who this node is. EUIs are lower-case hex, most significant byte first; ``app_key`` is 16 bytes.

    ``session``: (DevAddr, NwkSKey, AppSKey) of a node that does not join, else None.
    """

    __slots__ = ("adr", "app_key", "confirmed", "dev_eui", "interval_s", "join_eui", "profile", "session")

    def __init__(self, dev_eui: str, join_eui: str, app_key: bytes, interval_s: int) -> None:
        self.dev_eui = dev_eui
        self.join_eui = join_eui
        self.app_key = app_key
        self.interval_s = interval_s
        self.confirmed = False
        self.adr = True
        self.profile = PROFILES[0]
        self.session: "tuple[int, bytes, bytes] | None" = None


def parse_identity(data: bytes) -> Identity:
    """Read ``identity.bin``; raises IdentityInvalid."""
    if len(data) not in (_SIZE, _ABP_SIZE):
        raise IdentityInvalid("length")
    magic, version, options, dev_eui, join_eui, app_key, interval_s = struct.unpack(FORMAT, data[:_HEAD])
    if magic != MAGIC or version != (VERSION if len(data) == _SIZE else ABP_VERSION):
        raise IdentityInvalid("version")
    if binascii.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise IdentityInvalid("crc")
    profile = options >> PROFILE_SHIFT
    if options & 0x0F & ~(CONFIRMED | ADR_OFF) or profile >= len(PROFILES):
        raise IdentityInvalid("options")
    if not _SHORTEST_INTERVAL_S <= interval_s <= _LONGEST_INTERVAL_S:
        raise IdentityInvalid("interval_s")
    identity = Identity(dev_eui.hex(), join_eui.hex(), app_key, interval_s)
    identity.confirmed = bool(options & CONFIRMED)
    identity.adr = not options & ADR_OFF
    identity.profile = PROFILES[profile]
    if version == ABP_VERSION:
        identity.session = struct.unpack(SESSION, data[_HEAD:-4])
    return identity
