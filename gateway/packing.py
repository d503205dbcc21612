# SPDX-License-Identifier: EUPL-1.2
"""Records as they lie in the outbox: the CBOR that will be sent, deflated with a dictionary of what all of them hold.

A record alone hardly compresses; with the dictionary one of 12 readings takes 136 bytes in place of 474, and a card
lasts as much longer. Before it come one byte that says which dictionary, and the record's CRC-32. The dictionary is
part of the format: never change it, add another.
"""

import zlib

_PLAIN, _DICTIONARY_1 = b"\x00", b"\x01"
_WINDOW = -12  # raw deflate, 4 KiB: more than dictionary and record, and ten times as fast to set up as 32 KiB
_MEMORY = 5
_MOST = 1 << 17  # bytes of a record, with room to spare

_NAMES_1 = (
    ("vehicle_count_approaching_slow", "1"), ("vehicle_count_receding_fast", "1"), ("bicycle_count", "1"),
    ("people_count", "1"), ("soil_permittivity", "1"), ("voc_index", "1"), ("nox_index", "1"), ("co2", "[ppm]"),
    ("pm1", "ug/m3"), ("pm2_5", "ug/m3"), ("pm4", "ug/m3"), ("pm10", "ug/m3"), ("air_pressure", "hPa"),
    ("relative_humidity", "/100"), ("node_temperature", "Cel"), ("air_temperature", "Cel"),
    ("soil_water_tension", "kPa"), ("surface_temperature", "Cel"), ("battery_voltage", "V"),
    ("soil_temperature", "Cel"), ("soil_moisture", "/100"),
)  # fmt: skip


def _text(words: str) -> bytes:
    """As CBOR writes it: RFC 8949 "Major Types", 3."""
    head = bytes((0x60 + len(words),)) if len(words) < 24 else bytes((0x78, len(words)))
    return head + words.encode()


# What a pack of each quantity looks like: 0 name, 1 unit, 2 a decimal fraction of two digits, 6 seconds before the base
_DICTIONARY = (
    b"".join(b"\xa4\x00" + _text(name) + b"\x01" + _text(unit) + b"\x02\xc4\x82\x21\x19" for name, unit in _NAMES_1)
    + b"\x03\x6ffault:no_answer\x06\x39\x0e\x0f"
    + b"\x03\x64tree\x8a\xa6\x20\x18\x1a\x21\x78\x1durn:dev:mac:70b3d57ed"
)


def pack(record: bytes) -> bytes:
    """The record as it is stored."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, _WINDOW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    packed = deflate.compress(record) + deflate.flush()
    check = zlib.crc32(record).to_bytes(4, "big")
    return _DICTIONARY_1 + check + packed if len(packed) < len(record) else _PLAIN + check + record


def unpack(stored: bytes) -> bytes:
    """The record of what ``pack`` made; raises ValueError for anything that it cannot have made."""
    form, check, body = stored[:1], stored[1:5], stored[5:]
    if form not in (_PLAIN, _DICTIONARY_1):
        raise ValueError("packed in a way that this program does not know")
    record = body if form == _PLAIN else _inflate(body)
    if zlib.crc32(record).to_bytes(4, "big") != check:
        raise ValueError("not as it was written: the check sum differs")
    return record


def _inflate(body: bytes) -> bytes:
    inflate = zlib.decompressobj(_WINDOW, _DICTIONARY)
    try:
        record = inflate.decompress(body, _MOST)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not inflate.eof or inflate.unused_data:
        raise ValueError("cut off, or longer than a record")
    return record
