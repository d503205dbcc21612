# SPDX-License-Identifier: EUPL-1.2
"""Batches of uplinks as gateways write them (records.py, senml.py), read without a tree of items in between.

Each reading is one step of a regular expression over the bytes; a general decoder and the checks after it take four
times as long. Nothing is refused here: for all that is not of the usual form, or out of range, the answer is None, and
the careful way (uplink.py) says what it is, or what is wrong with it.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from decoders.cbor_fields import MAX_INT, MAX_TIME_S, NAME, MalformedBatch, loads, text
from decoders.eui import EUI
from decoders.records import MAX_F_CNT, TIME_QUALITIES, UplinkKey, UplinkMessage
from decoders.senml import FIRST_ABSOLUTE_S, Reading, measured

_MOST_BYTES = 1 << 20  # so there are no more items than ``loads`` takes

# RFC 8949 "Specification of the CBOR Encoding": unsigned integers, integers of up to 32 bits, heads of texts and arrays
_UINT = rb"([\x00-\x17]|\x18.|\x19..|\x1a.{4}|\x1b.{8})"
_INT = rb"(?:[\x00-\x17\x20-\x37]|[\x18\x38].|[\x19\x39]..|[\x1a\x3a].{4})"
_TEXT = rb"(?:[\x60-\x77]|\x78.)"
_ARRAY = rb"([\x80-\x97]|\x98.|\x99..|\x9a.{4})"
_NAME = _TEXT + rb"[a-z][a-z0-9_.]{0,63}"


def _form(*parts: bytes) -> re.Pattern[bytes]:
    return re.compile(b"".join(parts), re.DOTALL)


_NAMES = rb"\x00" + _NAME + rb"\x01" + _TEXT + rb"[!-~]{1,32}"
_VALUE = rb"\x02(?:\xc4\x82[\x20-\x37]" + _INT + rb"|" + _INT + rb"|\xfb.{8})"
_WORDS = rb"\x03" + _TEXT + rb"fault:[a-z][a-z0-9_.]{0,63}"
_MEASURED = rb"(" + _NAMES + rb"(?:" + _VALUE + rb"|" + _WORDS + rb"))"
_HEAD = _form(rb"\x88\x02\x48(.{8})", 4 * _UINT, rb"(?:\xf6|\x83", 3 * _UINT, rb")", _ARRAY)
_UPLINK = _form(
    rb"\x87\x00", 3 * _UINT, rb"([\x00-\x03])(", _NAME, rb")", _ARRAY,
    rb"\xa6\x20\x18\x1a\x21\x78\x1durn:dev:mac:(", EUI.encode(), rb")_\x22", _UINT,
)  # fmt: skip
_FIRST = _form(_MEASURED)
_OTHER = _form(rb"([\xa3\xa4])", _MEASURED, rb"(?:\x06(", _INT, rb"))?")


class Plain(NamedTuple):
    """``fields`` as uplink.py has them, but for the records; not yet checked."""

    fields: list[Any]
    messages: tuple[UplinkMessage, ...]


def read(plain: bytes) -> Plain | None:
    """What a batch says, inflated; None if it must be read carefully."""
    head = _HEAD.match(plain) if len(plain) <= _MOST_BYTES else None
    if head is None:
        return None
    eui, epoch, lane, oldest, first, *continues, count = head.groups()
    at = head.end()
    messages = []
    for _ in range(_integer(count)):
        found = _uplink(plain, at)
        if found is None:
            return None
        message, at = found
        messages.append(message)
    if at != len(plain):
        return None
    numbers = [_integer(item) for item in (epoch, lane, oldest, first)]
    told = None if continues[0] is None else [_integer(item) for item in continues]
    return Plain([2, eui, *numbers, told], tuple(messages))


def _uplink(plain: bytes, at: int) -> tuple[UplinkMessage, int] | None:
    """The uplink that begins there, and where it ends."""
    match = _UPLINK.match(plain, at)
    if match is None:
        return None
    session, f_cnt, received_ms, quality, profile, count, dev_eui, base = match.groups()
    base_time, received = _integer(base), _integer(received_ms)
    name = _profile(profile)
    key = UplinkKey(dev_eui.decode(), _integer(session), _integer(f_cnt))
    if name is None or key.session > MAX_INT or key.f_cnt > MAX_F_CNT or received > MAX_TIME_S * 1000:
        return None
    readings = _readings(plain, match.end(), _integer(count), base_time)
    if readings is None:
        return None
    return UplinkMessage(key, received / 1000, name, readings[0], TIME_QUALITIES[quality[0]]), readings[1]


def _readings(plain: bytes, at: int, count: int, base_time: int) -> tuple[tuple[Reading, ...], int] | None:
    readings = []
    match = _FIRST.match(plain, at) if count else None
    if match is None:
        return None
    labels, items, offset = b"\xa3", match[1], None
    while True:
        found = _measured(items)
        moment = base_time if offset is None else base_time + _integer(offset)
        if found is None or (offset is None) != (labels == b"\xa3") or not FIRST_ABSOLUTE_S <= moment <= MAX_TIME_S:
            return None
        quantity, unit, value, fault = found
        readings.append(Reading(quantity, unit, moment, value, fault))
        if len(readings) == count:
            return tuple(readings), match.end()
        match = _OTHER.match(plain, match.end())
        if match is None:
            return None
        labels, items, offset = match.groups()


def _integer(item: bytes) -> int:
    """Of major type 0 or 1."""
    first = item[0]
    argument = first & 0x1F if len(item) == 1 else int.from_bytes(item[1:], "big")
    return -1 - argument if first & 0x20 else argument


@lru_cache(1 << 14)
def _measured(items: bytes) -> tuple[str, str, float | None, str | None] | None:
    """Nodes measure in steps, so the same come again and again."""
    try:
        return measured(loads(b"\xa3" + items))
    except MalformedBatch:
        return None


@lru_cache(256)
def _profile(item: bytes) -> str | None:
    try:
        return text("profile", loads(item), NAME)
    except MalformedBatch:
        return None
