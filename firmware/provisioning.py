# SPDX-License-Identifier: EUPL-1.2
"""Writes what firmware/identity.py reads: for the provisioning tool, not on a node."""

import binascii
import struct

from firmware.errors import IdentityInvalid
from firmware.identity import (
    ABP_VERSION,
    ADR_OFF,
    CONFIRMED,
    FORMAT,
    MAGIC,
    PROFILE_SHIFT,
    PROFILES,
    SESSION,
    VERSION,
    parse_identity,
)


def pack_identity(
    dev_eui: str,
    join_eui: str,
    app_key: bytes,
    interval_s: int = 3600,
    *,
    confirmed: bool = False,
    adr: bool = True,
    profile: str = PROFILES[0],
    session: "tuple[int, bytes, bytes] | None" = None,
) -> bytes:
    """The bytes of ``identity.bin``; raises IdentityInvalid for a value the node would refuse."""
    options = (CONFIRMED if confirmed else 0) | (0 if adr else ADR_OFF)
    if profile not in PROFILES:
        raise IdentityInvalid("profile")
    options |= PROFILES.index(profile) << PROFILE_SHIFT
    version = VERSION if session is None else ABP_VERSION
    eui, join = _eui(dev_eui, "dev_eui"), _eui(join_eui, "join_eui")
    head = struct.pack(FORMAT, MAGIC, version, options, eui, join, bytes(app_key), interval_s)
    if session is not None:
        dev_addr, nwk_s_key, app_s_key = session
        if len(nwk_s_key) != 16 or len(app_s_key) != 16 or not 0 <= dev_addr < 1 << 32:
            raise IdentityInvalid("session")
        head += struct.pack(SESSION, dev_addr, nwk_s_key, app_s_key)
    data = head + struct.pack("<I", binascii.crc32(head))
    identity = parse_identity(data)
    if identity.app_key != app_key:
        raise IdentityInvalid("app_key")
    return data


def _eui(text: str, field: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise IdentityInvalid(field) from None
    if len(data) != 8:
        raise IdentityInvalid(field)
    return data
