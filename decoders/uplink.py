# SPDX-License-Identifier: EUPL-1.2
"""What a gateway tells the cloud: batches of readings as SenML in CBOR, compressed; and the cloud's watermark.

A batch is zlib (RFC 1950) around one CBOR array; README.md has the table. EUIs are 8 bytes, times Unix time:

    [gateway_eui, epoch, oldest_seq, first_seq, [message, ...]]
    message = [session, f_cnt, received_ms, profile, pack]

``pack`` is a SenML pack (RFC 8428 "CBOR Representation (application/senml+cbor)"). Its base name is the node's DEV URN,
RFC 9039 "MAC Addresses", and its base time the first reading's.
"""

import json
import re
import zlib
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

import cbor2

from decoders.cbor_scan import UnexpectedCbor, scan
from decoders.lorawan.errors import FieldRange, RemoteError

MAX_BATCH_BYTES = 2 << 20  # uncompressed; 500 of the longest uplinks have about half of it
_MAX_ITEMS = 1 << 20  # of CBOR
_MAX_DEPTH = 8
_MAX_RECORD = 8  # labels of a record; seven are known
_MAX_WATERMARK_BYTES = 256

# RFC 8428 "CBOR Representation (application/senml+cbor)": labels
_BVER, _BN, _BT, _N, _U, _V, _VS, _T = -1, -2, -3, 0, 1, 2, 3, 6
_BASE = frozenset((_BVER, _BN, _BT))
_VERSION = 10 + (1 << 4)  # RFC 9100 "Feature: Secondary Units"
_DECIMAL_FRACTION = 4  # CBOR tag, RFC 8949 "Decimal Fractions and Bigfloats"

# UCUM to SenML where they differ: SenML's own "%" is a ratio of 0..1 (RFC 8428 "SenML Units Registry"), a percentage is
# "/100" (RFC 8798 "New Registry for Secondary Units"). Units that SenML lacks go as UCUM.
_SENML_UNIT = {"%": "/100"}
_UCUM_UNIT = {senml: ucum for ucum, senml in _SENML_UNIT.items()}

_FAULT = "fault:"
_URN = re.compile("urn:dev:mac:([0-9a-f]{16})_")
_EUI = re.compile("[0-9a-f]{16}")
_NAME = re.compile("[a-z][a-z0-9_.]{0,63}")
_UNIT = re.compile("[!-~]{1,32}")
_MAX_INT = (1 << 63) - 1  # what a database column holds
_MAX_F_CNT = (1 << 32) - 1
_FIRST_ABSOLUTE_S = 1 << 28  # RFC 8428 "Time": SenML times below are relative to now
_MAX_TIME_S = 1 << 33


class MalformedBatch(RemoteError):
    """``reason`` says in one line what is wrong with a batch or a watermark."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UplinkKey(NamedTuple):
    """Names one uplink for ever: ``session`` is the number its gateway drew at the join, ``f_cnt`` has all 32 bits."""

    dev_eui: str
    session: int
    f_cnt: int


class Reading(NamedTuple):
    """One quantity at one moment: ``at`` in Unix s, ``unit`` in UCUM; either a value or the name of a fault."""

    quantity: str
    unit: str
    at: int
    value: float | None
    fault: str | None


class UplinkMessage(NamedTuple):
    """What one uplink said. ``received_at``: Unix s, on the wire to the millisecond."""

    seq: int
    key: UplinkKey
    received_at: float
    profile: str
    readings: tuple[Reading, ...]


class Batch(NamedTuple):
    """Messages of consecutive ``seq``; ``oldest_seq`` is the lowest that the gateway still holds in this ``epoch``."""

    gateway_eui: str
    epoch: int
    oldest_seq: int
    messages: tuple[UplinkMessage, ...]


class Watermark(NamedTuple):
    """Everything up to ``seq`` of ``epoch`` is durable in the cloud's store."""

    epoch: int
    seq: int


def encode_batch(batch: Batch) -> bytes:
    """The compressed batch; raises FieldRange for what ``decode_batch`` would refuse."""
    first_seq = batch.messages[0].seq if batch.messages else batch.oldest_seq
    if not _EUI.fullmatch(batch.gateway_eui):
        raise FieldRange("gateway_eui", batch.gateway_eui)
    try:
        packed: list[Any] = [bytes.fromhex(batch.gateway_eui), batch.epoch, batch.oldest_seq, first_seq, []]
        for index, message in enumerate(batch.messages):
            if message.seq != first_seq + index:
                raise FieldRange("seq", message.seq)
            packed[4].append(_pack_message(message))
        plain = cbor2.dumps(packed)
        _batch(_cbor(plain))
    except (MalformedBatch, ValueError, TypeError, OverflowError) as refused:
        raise FieldRange("batch", refused) from refused
    if len(plain) > MAX_BATCH_BYTES:
        raise FieldRange("batch length", len(plain))
    return zlib.compress(plain, 9)


def decode_batch(data: bytes) -> Batch:
    """Read a batch, every field checked; raises MalformedBatch."""
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(data, MAX_BATCH_BYTES)
        if inflate.unconsumed_tail:
            raise MalformedBatch(f"longer than {MAX_BATCH_BYTES} bytes")
    except zlib.error as error:
        raise MalformedBatch(f"not zlib: {error}") from error
    if not inflate.eof or inflate.unused_data:
        raise MalformedBatch("truncated" if not inflate.eof else "bytes after the end")
    return _batch(_cbor(plain))


def encode_watermark(watermark: Watermark) -> bytes:
    """JSON text."""
    return json.dumps(watermark._asdict()).encode()


def decode_watermark(data: bytes) -> Watermark:
    """Read a watermark; raises MalformedBatch."""
    if len(data) > _MAX_WATERMARK_BYTES:
        raise MalformedBatch(f"watermark longer than {_MAX_WATERMARK_BYTES} bytes")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedBatch("watermark is not JSON") from error
    if type(fields) is not dict or fields.keys() != {"epoch", "seq"}:
        raise MalformedBatch("watermark must be an object of epoch and seq")
    return Watermark(_integer("epoch", fields["epoch"], _MAX_INT), _integer("seq", fields["seq"], _MAX_INT))


def _pack_message(message: UplinkMessage) -> list[Any]:
    key = message.key
    if not message.readings:
        raise FieldRange("readings", message.readings)
    base_time = message.readings[0].at
    base: dict[int, Any] = {_BVER: _VERSION, _BN: f"urn:dev:mac:{key.dev_eui}_", _BT: base_time}
    pack = []
    for quantity, unit, at, value, fault in message.readings:
        record = {**base, _N: quantity, _U: _SENML_UNIT.get(unit, unit)}
        base = {}
        if (value is None) == (fault is None):
            raise FieldRange(quantity, value)
        if unit in _UCUM_UNIT:
            raise FieldRange("unit", unit)
        if value is None:
            record[_VS] = f"{_FAULT}{fault}"
        else:
            record[_V] = _shortest(value)
        if at != base_time:
            record[_T] = at - base_time
        pack.append(record)
    return [key.session, key.f_cnt, round(message.received_at * 1000), message.profile, pack]


def _shortest(value: float) -> float | Decimal:
    """The same number in fewer bytes: 12.34 is 6 bytes as a decimal fraction and 9 as a double."""
    if value == int(value) and abs(value) < 1 << 32:
        return int(value)
    decimal = Decimal(repr(float(value)))
    return decimal if len(decimal.as_tuple().digits) <= 9 else float(value)


def _cbor(data: bytes) -> Any:
    try:
        scan(data, max_items=_MAX_ITEMS, max_depth=_MAX_DEPTH, max_map=_MAX_RECORD, tags=(_DECIMAL_FRACTION,))
        return cbor2.loads(
            data,
            max_depth=_MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders={_DECIMAL_FRACTION: _decimal_fraction},
        )
    except (UnexpectedCbor, cbor2.CBORError) as error:
        raise MalformedBatch(f"not CBOR of a batch: {error}".split("\n")[0]) from error


def _decimal_fraction(pair: Any, immutable: bool) -> float:
    if type(pair) is not list or len(pair) != 2:
        raise MalformedBatch("decimal fraction must be a pair")
    exponent, mantissa = pair
    if type(exponent) is not int or type(mantissa) is not int or abs(exponent) > 400 or abs(mantissa) > _MAX_INT:
        raise MalformedBatch("decimal fraction is out of range")
    return float(Decimal(mantissa).scaleb(exponent))


def _batch(fields: Any) -> Batch:
    gateway, epoch, oldest_seq, first_seq, messages = _array("batch", fields, 5)
    if type(gateway) is not bytes or len(gateway) != 8:
        raise MalformedBatch("gateway_eui must be 8 bytes")
    if type(messages) is not list:
        raise MalformedBatch("messages must be an array")
    _integer("epoch", epoch, _MAX_INT)
    _integer("first_seq", first_seq, _MAX_INT - len(messages))
    _integer("oldest_seq", oldest_seq, first_seq)
    return Batch(
        gateway.hex(),
        epoch,
        oldest_seq,
        tuple(_message(seq, message) for seq, message in enumerate(messages, first_seq)),
    )


def _message(seq: int, fields: Any) -> UplinkMessage:
    session, f_cnt, received_ms, profile, pack = _array("message", fields, 5)
    if type(pack) is not list or not pack or type(pack[0]) is not dict:
        raise MalformedBatch("pack must be an array of records")
    if pack[0].get(_BVER) != _VERSION:
        raise MalformedBatch(f"base version must be {_VERSION}")
    urn = pack[0].get(_BN)
    match = _URN.fullmatch(urn) if type(urn) is str else None
    if match is None:
        raise MalformedBatch("base name must be urn:dev:mac:<dev_eui>_")
    base_time = _integer("base time", pack[0].get(_BT), _MAX_TIME_S)
    return UplinkMessage(
        seq,
        UplinkKey(match[1], _integer("session", session, _MAX_INT), _integer("f_cnt", f_cnt, _MAX_F_CNT)),
        _integer("received_ms", received_ms, _MAX_TIME_S * 1000) / 1000,
        _text("profile", profile, _NAME),
        tuple(_reading(record, base_time, _BASE if index == 0 else frozenset()) for index, record in enumerate(pack)),
    )


def _reading(record: Any, base_time: int, base_labels: frozenset[int]) -> Reading:
    if type(record) is not dict:
        raise MalformedBatch("record must be a map")
    labels = record.keys() - base_labels
    if not {_N, _U} <= labels or not labels <= {_N, _U, _V, _VS, _T} or (_V in labels) == (_VS in labels):
        raise MalformedBatch("record must have n, u and either v or vs")
    offset = record.get(_T, 0)
    if type(offset) is not int or not _FIRST_ABSOLUTE_S <= base_time + offset <= _MAX_TIME_S:
        raise MalformedBatch("time of a record is out of range")
    unit = _text("unit", record[_U], _UNIT)
    value = fault = None
    if _V in labels:
        value = _number("value", record[_V])
    else:
        text = record[_VS]
        if type(text) is not str or not text.startswith(_FAULT):
            raise MalformedBatch("text value must be fault:<name>")
        fault = _text("fault", text[len(_FAULT) :], _NAME)
    return Reading(_text("quantity", record[_N], _NAME), _UCUM_UNIT.get(unit, unit), base_time + offset, value, fault)


def _array(name: str, value: Any, length: int) -> list[Any]:
    if type(value) is not list or len(value) != length:
        raise MalformedBatch(f"{name} must be an array of {length}")
    return value


def _integer(name: str, value: Any, maximum: int) -> int:
    if type(value) is not int or not 0 <= value <= maximum:
        raise MalformedBatch(f"{name} must be an integer from 0 to {maximum}")
    return value


def _number(name: str, value: Any) -> float:
    if type(value) not in (int, float) or (type(value) is int and abs(value) > _MAX_INT) or not isfinite(value):
        raise MalformedBatch(f"{name} must be a finite number")
    return float(value)


def _text(name: str, value: Any, pattern: re.Pattern[str]) -> str:
    if type(value) is not str or not pattern.fullmatch(value):
        raise MalformedBatch(f"{name} is not of the form {pattern.pattern}")
    return value
