# SPDX-License-Identifier: EUPL-1.2
"""What every part of a batch is read and checked with: CBOR whose structure was scanned first, and typed fields."""

import re
from decimal import Decimal
from math import isfinite
from typing import Any

import cbor2

from decoders.cbor_scan import UnexpectedCbor, scan
from decoders.lorawan.errors import RemoteError

MAX_INT = (1 << 63) - 1  # what a database column holds
MAX_TIME_S = 1 << 33
NAME = re.compile("[a-z][a-z0-9_.]{0,63}")

_MAX_ITEMS = 1 << 20  # of CBOR
_MAX_DEPTH = 8
_MAX_MAP = 8  # a record of SenML has at most seven labels, an event as many details as that allows
_DECIMAL_FRACTION = 4  # CBOR tag, RFC 8949 "Decimal Fractions and Bigfloats"


class MalformedBatch(RemoteError):
    """``reason`` says in one line what is wrong with a batch, a record or a watermark."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownVersion(MalformedBatch):
    """A batch of another version of this format: not wrong, but not for this program."""


def loads(data: bytes) -> Any:
    """The one item that is ``data``; no tag but 4 (as a float); raises MalformedBatch."""
    try:
        scan(data, max_items=_MAX_ITEMS, max_depth=_MAX_DEPTH, max_map=_MAX_MAP, tags=(_DECIMAL_FRACTION,))
        return cbor2.loads(
            data,
            max_depth=_MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders={_DECIMAL_FRACTION: _decimal_fraction},
        )
    except (UnexpectedCbor, cbor2.CBORError) as error:
        raise MalformedBatch(f"not CBOR of a batch: {error}".split("\n")[0]) from error


def shortest(value: float) -> float | Decimal:
    """The same number in fewer bytes: 12.34 is 6 bytes as a decimal fraction and 9 as a double."""
    if value == int(value) and abs(value) < 1 << 32:
        return int(value)
    decimal = Decimal(repr(float(value)))
    return decimal if len(decimal.as_tuple().digits) <= 9 else float(value)


def _decimal_fraction(pair: Any, immutable: bool) -> float:
    if type(pair) is not list or len(pair) != 2:
        raise MalformedBatch("decimal fraction must be a pair")
    exponent, mantissa = pair
    if type(exponent) is not int or type(mantissa) is not int or abs(exponent) > 400 or abs(mantissa) > MAX_INT:
        raise MalformedBatch("decimal fraction is out of range")
    return float(Decimal(mantissa).scaleb(exponent))


def array(name: str, value: Any, length: int | None = None) -> list[Any]:
    if type(value) is not list or (length is not None and len(value) != length):
        raise MalformedBatch(f"{name} must be an array" + ("" if length is None else f" of {length}"))
    return value


def integer(name: str, value: Any, maximum: int = MAX_INT, minimum: int = 0) -> int:
    if type(value) is not int or not minimum <= value <= maximum:
        raise MalformedBatch(f"{name} must be an integer from {minimum} to {maximum}")
    return value


def number(name: str, value: Any) -> float:
    if type(value) not in (int, float, Decimal) or (type(value) is int and abs(value) > MAX_INT) or not isfinite(value):
        raise MalformedBatch(f"{name} must be a finite number")
    return float(value)


def milliseconds(name: str, value: Any) -> float:
    """Unix ms on the wire, Unix s here."""
    return integer(name, value, MAX_TIME_S * 1000) / 1000


def milliseconds_of(name: str, unix_s: float) -> int:
    """The other way round."""
    return integer(name, round(unix_s * 1000), MAX_TIME_S * 1000)


def text(name: str, value: Any, pattern: re.Pattern[str]) -> str:
    if type(value) is not str or not pattern.fullmatch(value):
        raise MalformedBatch(f"{name} is not of the form {pattern.pattern}")
    return value


def eui(name: str, value: Any) -> str:
    """8 bytes on the wire, hex here."""
    if type(value) is not bytes or len(value) != 8:
        raise MalformedBatch(f"{name} must be 8 bytes")
    return value.hex()
