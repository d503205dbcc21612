# SPDX-License-Identifier: EUPL-1.2
"""What a gateway sends the cloud: batches of records (records.py), compressed; and the cloud's watermark.

A batch is zlib (RFC 1950) around one CBOR array; README.md has the table:

    [2, gateway_eui, epoch, lane, oldest_seq, first_seq, continues, [record, ...]]
    continues = [seq, epoch, seq in that epoch] or null
"""

import json
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import cbor2

from decoders import quick_batch
from decoders.cbor_fields import MAX_INT, MalformedBatch, UnknownVersion, array, eui, integer, loads
from decoders.eui import is_eui
from decoders.lorawan.errors import FieldRange
from decoders.records import LANES, Record, encode_record, unpack

VERSION = 2
MAX_BATCH_BYTES = 2 << 20  # uncompressed; 500 of the longest uplinks have about half of it
HEAD_BYTES = 128  # more than everything of a batch but its records
_MAX_WATERMARK_BYTES = 256
_LEVEL = 6  # of zlib: level 9 takes 0.5 % less and twice the time


class Continues(NamedTuple):
    """Up to ``seq`` of this epoch are the records that ``epoch`` counted up to ``epoch_seq`` in the same lane.

    The cloud once said it had these: if its store still knows that, it need not be sent them again.
    """

    seq: int
    epoch: int
    epoch_seq: int


class Batch(NamedTuple):
    """Records of one lane from ``first_seq`` on; ``oldest_seq`` the lowest that the gateway has in this ``epoch``."""

    gateway_eui: str
    epoch: int
    lane: int
    oldest_seq: int
    first_seq: int
    continues: Continues | None
    records: tuple[Record, ...]


class Watermark(NamedTuple):
    """Everything up to ``seqs[lane]`` of ``epoch`` is durable in the cloud's store; None: it knows of no such lane."""

    epoch: int
    seqs: tuple[int | None, int | None, int | None]


def encode_batch(batch: Batch) -> bytes:
    """The compressed batch; raises FieldRange for what ``decode_batch`` would refuse."""
    return assemble_batch(batch._replace(records=()), [encode_record(record) for record in batch.records])


def assemble_batch(head: Batch, records: Sequence[bytes]) -> bytes:
    """A batch with the head of ``head`` and records already encoded; raises FieldRange."""
    if not is_eui(head.gateway_eui):
        raise FieldRange("gateway_eui", head.gateway_eui)
    fields = [
        VERSION,
        bytes.fromhex(head.gateway_eui),
        *head[1:5],
        None if head.continues is None else list(head.continues),
    ]
    try:
        _head([*fields, [None] * len(records)])
    except MalformedBatch as refused:
        raise FieldRange("batch", refused) from refused
    # RFC 8949 "Specification of the CBOR Encoding": major type 4 in the upper three bits, then the number of items
    parts = [b"\x88", *(cbor2.dumps(field) for field in fields), b"\x9a", len(records).to_bytes(4, "big"), *records]
    plain = b"".join(parts)
    if len(plain) > MAX_BATCH_BYTES:
        raise FieldRange("batch length", len(plain))
    return zlib.compress(plain, _LEVEL)


def fit(sizes: Sequence[int]) -> int:
    """How many records of these encoded sizes, from the first on, go into one batch."""
    total = HEAD_BYTES
    for index, size in enumerate(sizes):
        total += size
        if total > MAX_BATCH_BYTES:
            return index
    return len(sizes)


def decode_batch(data: bytes) -> Batch:
    """Read a batch, every field checked; raises MalformedBatch, of which UnknownVersion is one."""
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(data, MAX_BATCH_BYTES)
        if inflate.unconsumed_tail:
            raise MalformedBatch(f"longer than {MAX_BATCH_BYTES} bytes")
    except zlib.error as error:
        raise MalformedBatch(f"not zlib: {error}") from error
    if not inflate.eof or inflate.unused_data:
        raise MalformedBatch("truncated" if not inflate.eof else "bytes after the end")
    quick = quick_batch.read(plain)
    if quick is not None:
        return _head([*quick.fields, list(quick.messages)])._replace(records=quick.messages)
    fields = loads(plain)
    head = _head(fields)
    return head._replace(records=tuple(unpack(record) for record in fields[-1]))


def _head(fields: object) -> Batch:
    if type(fields) is not list or not fields or type(fields[0]) is not int:
        raise MalformedBatch("batch must be an array that begins with its version")
    if fields[0] != VERSION:
        raise UnknownVersion(f"batch of version {fields[0]}; this program reads version {VERSION}")
    _, gateway, epoch, lane, oldest_seq, first_seq, continues, records = array("batch", fields, 8)
    array("records", records)
    integer("first_seq", first_seq, MAX_INT - len(records), 1)
    integer("oldest_seq", oldest_seq, first_seq, 1)
    return Batch(
        eui("gateway_eui", gateway),
        integer("epoch", epoch),
        integer("lane", lane, LANES[-1]),
        oldest_seq,
        first_seq,
        None if continues is None else _continues(continues),
        (),
    )


def _continues(fields: object) -> Continues:
    seq, epoch, epoch_seq = array("continues", fields, 3)
    return Continues(integer("seq", seq), integer("epoch", epoch), integer("epoch_seq", epoch_seq))


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
    if type(fields) is not dict or fields.keys() != {"epoch", "seqs"}:
        raise MalformedBatch("watermark must be an object of epoch and seqs")
    alarm, reading, diagnostic = (
        None if seq is None else integer("seq", seq) for seq in array("seqs", fields["seqs"], len(LANES))
    )
    return Watermark(integer("epoch", fields["epoch"]), (alarm, reading, diagnostic))
