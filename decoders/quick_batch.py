# SPDX-License-Identifier: EUPL-1.2
"""Batches of uplinks as gateways write them (records.py, senml.py), read without a tree of items in between.

Each reading is one step of a regular expression over the bytes; a general decoder and the checks after it take four
times as long. Nothing is refused here: for all that is not of the usual form, or out of range, the answer is None, and
the careful way (uplink.py) says what it is, or what is wrong with it.
"""

import re
import struct
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

from decoders.cbor_fields import MAX_INT, MAX_TIME_S, NAME, MalformedBatch, loads, text
from decoders.records import MAX_F_CNT, TIME_QUALITIES, UplinkKey, UplinkMessage
from decoders.senml import FIRST_ABSOLUTE_S, Reading, fault_of, quantity_and_unit

_MOST_BYTES = 1 << 20  # so there are no more items than ``loads`` takes
_TENS = tuple(10.0**power for power in range(1, 23))  # doubles, exactly, so an integer of 32 bits by one is the nearest

# RFC 8949 "Specification of the CBOR Encoding": unsigned integers, integers of up to 32 bits, heads of texts and arrays
_UINT = rb"([\x00-\x17]|\x18.|\x19..|\x1a.{4}|\x1b.{8})"
_INT = rb"([\x00-\x17\x20-\x37]|[\x18\x38].|[\x19\x39]..|[\x1a\x3a].{4})"
_TEXT = rb"(?:[\x60-\x77]|\x78.)"
_ARRAY = rb"([\x80-\x97]|\x98.|\x99..|\x9a.{4})"
_NAME = _TEXT + rb"[a-z][a-z0-9_.]{0,63}"


def _form(*parts: bytes) -> re.Pattern[bytes]:
    return re.compile(b"".join(parts), re.DOTALL)


_MEASURED = (
    rb"(\x00" + _NAME + rb"\x01" + _TEXT + rb"[!-~]{1,32})"
    rb"(?:\x02(?:\xc4\x82([\x20-\x35])" + _INT + rb"|" + _INT + rb"|\xfb(.{8}))|\x03(" + _TEXT
    + rb"fault:[a-z][a-z0-9_.]{0,63}))"
)  # fmt: skip
_HEAD = _form(rb"\x88\x02\x48(.{8})", 4 * _UINT, rb"(?:\xf6|\x83", 3 * _UINT, rb")", _ARRAY)
_UPLINK = _form(
    rb"\x87\x00", 3 * _UINT, rb"([\x00-\x03])(", _NAME, rb")", _ARRAY,
    rb"\xa6\x20\x18\x1a\x21\x78\x1durn:dev:mac:([0-9a-f]{16})_\x22", _UINT,
)  # fmt: skip
_FIRST = _form(_MEASURED)
_OTHER = _form(rb"([\xa3\xa4])", _MEASURED, rb"(?:\x06", _INT, rb")?")


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
    for index in range(count):
        match = (_OTHER if index else _FIRST).match(plain, at)
        if match is None:
            return None
        groups = match.groups()
        moment = base_time
        if index:
            labels, *groups, offset = groups  # type: ignore[assignment]
            if (offset is None) != (labels == b"\xa3"):
                return None
            moment += 0 if offset is None else _integer(offset)
        names, exponent, mantissa, whole, double, words = groups
        named = _named(names)
        if named is None or not FIRST_ABSOLUTE_S <= moment <= MAX_TIME_S:
            return None
        fault = None
        value: float | None
        if exponent is not None:
            value = _integer(mantissa) / _TENS[exponent[0] - 0x20]
        elif whole is not None:
            value = float(_integer(whole))
        elif double is not None:
            (value,) = struct.unpack(">d", double)
            if not isfinite(value):
                return None
        else:
            value, fault = None, _fault(words)
            if fault is None:
                return None
        readings.append(Reading(*named, moment, value, fault))
        at = match.end()
    return (tuple(readings), at) if readings else None


def _integer(item: bytes) -> int:
    """Of major type 0 or 1."""
    first = item[0]
    argument = first & 0x1F if len(item) == 1 else int.from_bytes(item[1:], "big")
    return -1 - argument if first & 0x20 else argument


@lru_cache(1024)
def _named(items: bytes) -> tuple[str, str] | None:
    try:
        return quantity_and_unit(loads(b"\xa2" + items))
    except MalformedBatch:
        return None


@lru_cache(256)
def _fault(item: bytes) -> str | None:
    try:
        return fault_of(loads(item))
    except MalformedBatch:
        return None


@lru_cache(256)
def _profile(item: bytes) -> str | None:
    try:
        return text("profile", loads(item), NAME)
    except MalformedBatch:
        return None
