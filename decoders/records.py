# SPDX-License-Identifier: EUPL-1.2
"""What a gateway has to tell: uplinks, events and tombstones. Each is one CBOR array, the same wherever it is sent.

    uplink    = [0, session, f_cnt, received_ms, time_quality, profile, pack]                  pack: senml.py
    event     = [1, kind, dev_eui or null, at_ms, time_quality, detail]
    tombstone = [2, epoch, lane, first_seq, last_seq, first_ms, last_ms, others, [dropped, ...]]
    dropped   = [dev_eui, session, first_f_cnt, last_f_cnt, uplinks]

A record's place (epoch, lane, seq) is not in it, so that a gateway sends on the very bytes that it has stored.
"""

import re
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import cbor2

from decoders.cbor_fields import (
    MAX_INT,
    NAME,
    MalformedBatch,
    array,
    eui,
    integer,
    loads,
    milliseconds,
    milliseconds_of,
    number,
    shortest,
    text,
)
from decoders.cbor_items import head, item_of_text
from decoders.lorawan.errors import FieldRange
from decoders.senml import Reading, encode_pack, from_pack

# The lower the more urgent; each is numbered by itself.
ALARM, READING, DIAGNOSTIC = LANES = (0, 1, 2)

MAX_RECORD_BYTES = 1 << 16
MAX_DROPPED = 1000  # devices (with their sessions) of one tombstone
MAX_F_CNT = (1 << 32) - 1
_UPLINK, _EVENT, _TOMBSTONE = range(3)
_DETAIL_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,500}")

# Where the time of a record is from: nobody knew it, a clock that went on from what was saved at the last stop, our
# clock set over the network, or a concentrator's GPS.
TimeQuality = Literal["unset", "saved", "ntp", "concentrator"]
TIME_QUALITIES: tuple[TimeQuality, ...] = get_args(TimeQuality)


class UplinkKey(NamedTuple):
    """Names one uplink for ever: ``session`` is the number its gateway drew at the join, ``f_cnt`` has all 32 bits."""

    dev_eui: str
    session: int
    f_cnt: int


class UplinkMessage(NamedTuple):
    """What one uplink said. ``received_at``: Unix s, on the wire to the millisecond."""

    key: UplinkKey
    received_at: float
    profile: str
    readings: tuple[Reading, ...]
    time_quality: TimeQuality = "ntp"


class Event(NamedTuple):
    """Something happened to the gateway (``dev_eui`` None) or to a node. ``at``: Unix s, on the wire to the ms."""

    kind: str
    dev_eui: str | None
    at: float
    time_quality: TimeQuality
    detail: dict[str, str | float]


class Dropped(NamedTuple):
    """So many ``uplinks`` of one session are gone, all with counters from ``first_f_cnt`` to ``last_f_cnt``."""

    dev_eui: str
    session: int
    first_f_cnt: int
    last_f_cnt: int
    uplinks: int


class Tombstone(NamedTuple):
    """A full gateway dropped ``first_seq`` to ``last_seq`` of a lane, undelivered, in what was then its ``epoch``.

    ``others``: how many of them were no uplinks, or not of the devices named. Received or happened from ``first_at`` to
    ``last_at``, Unix s. A later tombstone of the same epoch and lane that spans this one's numbers stands for both.
    """

    epoch: int
    lane: int
    first_seq: int
    last_seq: int
    first_at: float
    last_at: float
    others: int
    dropped: tuple[Dropped, ...]


Record = UplinkMessage | Event | Tombstone


def encode_record(record: Record) -> bytes:
    """The record's CBOR; raises FieldRange for what ``decode_record`` would refuse."""
    if isinstance(record, UplinkMessage):
        return _encode_uplink(record)
    try:
        data = cbor2.dumps(_pack(record))
        decode_record(data)
    except (MalformedBatch, ValueError, TypeError, OverflowError) as refused:
        raise FieldRange("record", refused) from refused
    return data


def _encode_uplink(message: UplinkMessage) -> bytes:
    (dev_eui, session, f_cnt), received_at, profile, readings, time_quality = message
    try:
        received_ms = milliseconds_of("received_at", received_at)
        integer("session", session)
        integer("f_cnt", f_cnt, MAX_F_CNT)
        data = b"".join(
            (
                b"\x87\x00",
                head(0, session),
                head(0, f_cnt),
                head(0, received_ms),
                head(0, TIME_QUALITIES.index(time_quality)),
                _profile(profile),
                encode_pack(dev_eui, readings),
            )
        )
    except (MalformedBatch, ValueError, TypeError, OverflowError) as refused:
        raise FieldRange("record", refused) from refused
    if len(data) > MAX_RECORD_BYTES:
        raise FieldRange("record length", len(data))
    return data


@lru_cache(64)
def _profile(profile: str) -> bytes:
    return item_of_text(text("profile", profile, NAME))


def decode_record(data: bytes) -> Record:
    """Read one record, every field checked; raises MalformedBatch."""
    if len(data) > MAX_RECORD_BYTES:
        raise MalformedBatch(f"record longer than {MAX_RECORD_BYTES} bytes")
    return unpack(loads(data))


def unpack(fields: Any) -> Record:
    """The record that these fields are; raises MalformedBatch."""
    if type(fields) is not list or not fields:
        raise MalformedBatch("record must be an array")
    kind = fields[0] if type(fields[0]) is int else None
    if kind == _UPLINK:
        return _unpack_uplink(fields)
    if kind == _EVENT:
        return _unpack_event(fields)
    if kind == _TOMBSTONE:
        return _unpack_tombstone(fields)
    raise MalformedBatch("record of an unknown kind")


def _pack(record: Event | Tombstone) -> list[Any]:
    if isinstance(record, Event):
        dev_eui = None if record.dev_eui is None else bytes.fromhex(record.dev_eui)
        detail = {name: value if type(value) is str else shortest(value) for name, value in record.detail.items()}  # type: ignore[arg-type]
        quality = TIME_QUALITIES.index(record.time_quality)
        return [_EVENT, record.kind, dev_eui, round(record.at * 1000), quality, detail]
    return [
        _TOMBSTONE,
        *record[:4],
        round(record.first_at * 1000),
        round(record.last_at * 1000),
        record.others,
        [[bytes.fromhex(row.dev_eui), *row[1:]] for row in record.dropped],
    ]


def _quality(value: Any) -> TimeQuality:
    return TIME_QUALITIES[integer("time_quality", value, len(TIME_QUALITIES) - 1)]


def _unpack_uplink(fields: list[Any]) -> UplinkMessage:
    _, session, f_cnt, received_ms, quality, profile, pack = array("uplink", fields, 7)
    dev_eui, readings = from_pack(pack)
    return UplinkMessage(
        UplinkKey(dev_eui, integer("session", session), integer("f_cnt", f_cnt, MAX_F_CNT)),
        milliseconds("received_ms", received_ms),
        text("profile", profile, NAME),
        readings,
        _quality(quality),
    )


def _unpack_event(fields: list[Any]) -> Event:
    _, kind, dev_eui, at_ms, quality, detail = array("event", fields, 6)
    if type(detail) is not dict:
        raise MalformedBatch("detail must be a map")
    return Event(
        text("kind", kind, NAME),
        None if dev_eui is None else eui("dev_eui", dev_eui),
        milliseconds("at_ms", at_ms),
        _quality(quality),
        {
            text("name of a detail", name, NAME): (
                text("detail", value, _DETAIL_TEXT) if type(value) is str else number("detail", value)
            )
            for name, value in detail.items()
        },
    )


def _unpack_tombstone(fields: list[Any]) -> Tombstone:
    _, epoch, lane, first_seq, last_seq, first_ms, last_ms, others, dropped = array("tombstone", fields, 9)
    integer("first_seq", first_seq, MAX_INT, 1)
    integer("last_seq", last_seq, MAX_INT, first_seq)
    rows = tuple(_dropped(row) for row in array("dropped", dropped))
    if len(rows) > MAX_DROPPED:
        raise MalformedBatch(f"more than {MAX_DROPPED} devices dropped")
    if integer("others", others) + sum(row.uplinks for row in rows) != last_seq - first_seq + 1:
        raise MalformedBatch("a tombstone must count each number once")
    first_at, last_at = milliseconds("first_ms", first_ms), milliseconds("last_ms", last_ms)
    if last_at < first_at:
        raise MalformedBatch("last_ms must not be before first_ms")
    lane = integer("lane", lane, LANES[-1])
    return Tombstone(integer("epoch", epoch), lane, first_seq, last_seq, first_at, last_at, others, rows)


def _dropped(fields: Any) -> Dropped:
    dev_eui, session, first_f_cnt, last_f_cnt, count = array("dropped", fields, 5)
    integer("first_f_cnt", first_f_cnt, MAX_F_CNT)
    integer("last_f_cnt", last_f_cnt, MAX_F_CNT, first_f_cnt)
    most = last_f_cnt - first_f_cnt + 1
    return Dropped(
        eui("dev_eui", dev_eui),
        integer("session", session),
        first_f_cnt,
        last_f_cnt,
        integer("count", count, most, 1),
    )
