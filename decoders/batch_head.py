# SPDX-License-Identifier: EUPL-1.2
"""The head of a batch by itself, read in a few careful steps: for one whose records end whoever decodes them."""

import zlib
from typing import NamedTuple

from decoders.cbor_scan import UnexpectedCbor, argument_at
from decoders.records import LANES
from decoders.uplink import HEAD_BYTES, VERSION

_UNSIGNED, _BYTES, _ARRAY = 0, 2, 4  # major types, RFC 8949 "Specification of the CBOR Encoding"
_NULL = 0xF6


class Head(NamedTuple):
    """Whose batch it says it is, and how many ``records`` from ``first_seq`` on it says it holds."""

    gateway_eui: str
    epoch: int
    lane: int
    oldest_seq: int
    first_seq: int
    records: int


def read_head(data: bytes) -> Head | None:
    """The head of a compressed batch; None if it has none that could be believed."""
    try:
        plain = zlib.decompressobj().decompress(data, HEAD_BYTES)
        return _head(plain)
    except (zlib.error, UnexpectedCbor):
        return None


def _head(plain: bytes) -> Head | None:
    fields, at = _fields(plain, 1, (_UNSIGNED, _BYTES))
    version, eui_length = fields
    gateway_eui = plain[at : at + 8].hex()
    (epoch, lane, oldest_seq, first_seq), at = _fields(plain, at + 8, (_UNSIGNED,) * 4)
    if plain[at : at + 1] == bytes([_NULL]):
        at += 1
    else:
        _, at = _fields(plain, at, (_ARRAY, _UNSIGNED, _UNSIGNED, _UNSIGNED))
    (count,), at = _fields(plain, at, (_ARRAY,))
    is_ours = plain[0] == 0x88 and version == VERSION and eui_length == 8 and lane in LANES
    if not is_ours or not 1 <= oldest_seq <= first_seq or first_seq + count >= 1 << 63 or epoch >= 1 << 63:
        return None
    return Head(gateway_eui, epoch, lane, oldest_seq, first_seq, count)


def _fields(plain: bytes, at: int, majors: tuple[int, ...]) -> tuple[list[int], int]:
    """The arguments of the next heads of items, which must be of these major types; and where they end."""
    found = []
    for wanted in majors:
        major, argument, at = argument_at(plain, at)
        if major != wanted:
            raise UnexpectedCbor(f"major type {major} instead of {wanted}")
        found.append(argument)
    return found, at
