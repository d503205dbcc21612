# SPDX-License-Identifier: EUPL-1.2
"""The few CBOR items of a pack as bytes: RFC 8949 "Specification of the CBOR Encoding", shortest form."""

import struct
from math import isfinite

from decoders.cbor_fields import MAX_INT
from decoders.lorawan.errors import FieldRange

_MAX_DIGITS = 9  # of a decimal fraction: with more, a double is as short
_TENTHS, _HUNDREDTHS = b"\xc4\x82\x20", b"\xc4\x82\x21"  # tag 4, [-1 and [-2, and the mantissa comes


def head(major: int, argument: int) -> bytes:
    """The first bytes of an item of a major type: its argument is a value, a length or a count."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    if argument < 1 << 8:
        return bytes((major << 5 | 24, argument))
    if argument < 1 << 16:
        return bytes((major << 5 | 25,)) + argument.to_bytes(2, "big")
    if argument < 1 << 32:
        return bytes((major << 5 | 26,)) + argument.to_bytes(4, "big")
    return bytes((major << 5 | 27,)) + argument.to_bytes(8, "big")


def item_of_integer(value: int) -> bytes:
    return head(0, value) if value >= 0 else head(1, -1 - value)


def item_of_text(text: str) -> bytes:
    data = text.encode()
    return head(3, len(data)) + data


def item_of_number(value: float) -> bytes:
    """An integer, a decimal fraction (tag 4, RFC 8949 "Decimal Fractions and Bigfloats") or a double.

    Whichever is short; all of them come back as the same double. Raises FieldRange for what is no finite number.
    """
    if type(value) is float and -1e6 < value < 1e6:  # what sensors measure has at most two decimals
        hundredths = round(value * 100)
        if hundredths / 100 == value:
            if hundredths % 10:
                return _HUNDREDTHS + item_of_integer(hundredths)
            tenths = hundredths // 10
            return _TENTHS + item_of_integer(tenths) if tenths % 10 else item_of_integer(tenths // 10)
    if type(value) not in (int, float) or (type(value) is int and abs(value) > MAX_INT) or not isfinite(value):
        raise FieldRange("value", value)
    if value == int(value) and abs(value) < 1 << 32:
        return item_of_integer(int(value))
    whole, _, fraction = repr(float(value)).partition(".")
    if "e" not in fraction and "e" not in whole:
        mantissa = int(whole + fraction)
        if abs(mantissa) < 10**_MAX_DIGITS:
            return b"\xc4\x82" + head(1, len(fraction) - 1) + item_of_integer(mantissa)
    return b"\xfb" + struct.pack(">d", value)
