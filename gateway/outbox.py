# SPDX-License-Identifier: EUPL-1.2
"""The outbox: records on their way to the cloud, in three lanes, until the cloud has them and for a while after.

Rows are counted when they come and go, never all at once. Sizes are what rows take on the disk, near enough. All of it
runs in the transaction of whoever calls, which writes what is new here at its end (lanes.py).

When there is no room, rows go in this order: those that the cloud has; then the oldest of the highest lane that has
more than the room reserved for it. What goes undelivered leaves a tombstone in the same transaction.
"""

import secrets
import sqlite3
from typing import NamedTuple

from decoders.lorawan.errors import RemoteError
from decoders.records import (
    ALARM,
    LANES,
    Event,
    Record,
    TimeQuality,
    decode_record,
    encode_record,
)
from decoders.uplink import Continues
from gateway.eviction import Dropping
from gateway.lanes import ROW_BYTES, Lane, Lanes, Numbering
from gateway.packing import pack, unpack

_RESERVED = (1 / 8, 1 / 2, 1 / 16)  # of the room: what a lane may fill before it has to give way
_CHUNK_BYTES = 1 << 18  # dropped at once: a tombstone costs about as much for many rows as for few
_COARSE_BYTES = 1 << 22  # the same while tombstones have filled their room: 0.4 s
_JOINED_BYTES = 1 << 20  # of tombstones, at once: 90 of the largest, which takes 0.4 s, too
_MORE = 8  # times as much, where few of them are neighbours
_FREE_PAGES = 16  # of the file, for what else the transaction writes
_KEPT_BYTES = 1 << 16  # so little is not given up for want of disk: rather is the next refused
_EPOCH_BITS = 32


class Limits(NamedTuple):
    """``cap_bytes`` of all rows; ``horizon_bytes``: how much of each lane stays after the cloud has it."""

    cap_bytes: int = 1 << 30
    horizon_bytes: int = 4 << 20


class Outbox:
    """The outbox's part of the ledger."""

    _db: sqlite3.Connection
    _lanes: Lanes
    limits = Limits()
    _short = False
    _more = 1  # times _JOINED_BYTES, at the next time

    @property
    def numbering(self) -> Numbering:
        """What the cloud calls the rows now."""
        return self._lanes.numbering

    def begin_epoch(self) -> Numbering:
        """Name the numbering anew, if the transaction is stored; the rows held are numbered from 1."""
        lanes = self.lanes()
        alarm, reading, diagnostic = (lane.first_seq - 1 for lane in lanes)
        continues = tuple(_continues(lane) for lane in lanes)
        self._lanes.numbering = Numbering(
            secrets.randbits(_EPOCH_BITS),
            (alarm, reading, diagnostic),
            continues,  # type: ignore[arg-type]
        )
        return self._lanes.numbering

    def append_event(
        self,
        kind: str,
        at: float,
        *,
        dev_eui: str | None = None,
        time_quality: TimeQuality = "ntp",
        detail: dict[str, str | float] | None = None,
    ) -> int:
        """Put what happened to a node, or to the gateway itself, into the alarm lane; returns its row."""
        return self.append_record(ALARM, Event(kind, dev_eui, at, time_quality, detail or {}))

    def append_record(self, lane: int, record: Record) -> int:
        """Put a record into a lane; returns its row. Raises FieldRange for what could not be sent."""
        return self.append_encoded(lane, encode_record(record))

    def append_encoded(self, lane: int, record: bytes) -> int:
        """Put a record into a lane, as ``encode_record`` has made it; returns its row."""
        return self.append_packed(lane, pack(record))

    def append_packed(self, lane: int, stored: bytes) -> int:
        """Put a record into a lane, as ``pack`` has made it; returns its row."""
        size = len(stored) + ROW_BYTES
        if self._short or self._lanes.bytes + size > self.limits.cap_bytes:
            self._make_room(size)
        return self._lanes.put(lane, stored)

    def confirm(self, lane: int, row: int, epoch: int, seq: int) -> None:
        """The cloud has everything up to ``row``, which it calls ``seq`` of ``epoch``, and nothing after it."""
        now = self.lanes()[lane]
        seq_less_row = seq - row
        row = min(max(row, now.first_seq - 1), now.last_seq)
        seq = row + seq_less_row
        low, high = sorted((row, now.delivered_seq))
        (size,) = self._db.execute(
            f"SELECT coalesce(sum(length(record) + {ROW_BYTES}), 0) FROM {self._lanes.table(lane)} "
            "WHERE seq > ? AND seq <= ?",
            (low, high),
        ).fetchone()
        delivered_bytes = now.delivered_bytes + (size if row > now.delivered_seq else -size)
        now = now._replace(
            delivered_seq=row, delivered_bytes=delivered_bytes, confirmed_epoch=epoch, confirmed_seq=seq
        )  # fmt: skip
        self._lanes.change(now)
        if delivered_bytes > self.limits.horizon_bytes:
            self._forget(now, delivered_bytes - self.limits.horizon_bytes)

    def disk_short(self, short: bool) -> None:
        """While the disk is short, the file may not grow: what is new takes the pages of the oldest."""
        self._short = short

    def lanes(self) -> list[Lane]:
        """What is known of each lane."""
        return self._lanes.known()

    def _make_room(self, size: int) -> None:
        while (missing := self._missing(size)) > 0:
            before = self._lanes.bytes
            self._evict(missing, min(self.limits.cap_bytes, before))
            if self._lanes.bytes >= before:  # nothing is left but what says what is gone
                break

    def _missing(self, size: int) -> int:
        """How many bytes to free before ``size`` more come."""
        held, cap = self._lanes.bytes, self.limits.cap_bytes
        if held + size > cap:
            return max(held + size - cap, min(_CHUNK_BYTES, cap // 16))
        if self._short and (held > _KEPT_BYTES or any(lane.delivered_bytes for lane in self.lanes())):
            self._lanes.write_rows()  # into pages that are free by now
            (free_pages,) = self._db.execute("PRAGMA freelist_count").fetchone()
            return 0 if free_pages >= _FREE_PAGES else min(_CHUNK_BYTES, max(held // 8, _KEPT_BYTES // 8))
        return 0

    def _evict(self, size: int, limit: int) -> None:
        lanes = self.lanes()[::-1]
        for lane in lanes:
            if lane.delivered_seq >= lane.first_seq:
                self._forget(lane, size)
                return
        full = [lane for lane in lanes if lane.bytes > limit * _RESERVED[lane.lane]]
        are_many = lanes[-1] in full  # tombstones may not crowd out what they are about
        coarsely = max(size, min(limit // 16, _COARSE_BYTES))
        for lane in full or [lane for lane in lanes if lane.bytes]:
            self._drop(lane, coarsely if are_many else size, names_all=not are_many)
            break
        alarms = self.lanes()[ALARM]
        if alarms.bytes > limit * _RESERVED[ALARM]:
            joining = max(size, min(alarms.bytes // 2, _JOINED_BYTES * self._more))
            self._drop(alarms, joining)
            won = alarms.bytes - self.lanes()[ALARM].bytes
            self._more = 1 if won > joining // 4 else min(2 * self._more, _MORE)

    def _forget(self, lane: Lane, size: int) -> None:
        """Delete at least ``size`` bytes of the oldest that the cloud has, or all of these."""
        freed, last = 0, lane.first_seq - 1
        table = self._lanes.table(lane.lane)
        sizes = self._db.execute(
            f"SELECT length(record) + {ROW_BYTES} FROM {table} WHERE seq <= ? ORDER BY seq", (lane.delivered_seq,)
        )
        while freed < size and (row := sizes.fetchone()) is not None:
            freed += row[0]
            last += 1
        sizes.close()
        self._db.execute(f"DELETE FROM {table} WHERE seq <= ?", (last,))
        bytes_left, delivered_bytes = lane.bytes - freed, lane.delivered_bytes - freed
        self._lanes.change(lane._replace(first_seq=last + 1, bytes=bytes_left, delivered_bytes=delivered_bytes))

    def _drop(self, lane: Lane, size: int, *, names_all: bool = True) -> None:
        """Delete about ``size`` bytes of the oldest that the cloud does not have, and say so in the alarm lane."""
        table = self._lanes.table(lane.lane)
        rows = self._db.execute(f"SELECT seq, record FROM {table} ORDER BY seq")
        base = self.numbering.bases[lane.lane]
        dropping = Dropping(self.numbering.epoch, lane.lane, lane.first_seq - base, names_all)
        freed, last = 0, lane.first_seq - 1
        for seq, stored in rows:
            if freed >= size or not dropping.take(_readable(stored)):
                break
            freed += len(stored) + ROW_BYTES
            last = seq
        rows.close()
        self._db.execute(f"DELETE FROM {table} WHERE seq <= ?", (last,))
        bytes_left = lane.bytes - freed
        self._lanes.change(lane._replace(first_seq=last + 1, delivered_seq=last, bytes=bytes_left, delivered_bytes=0))
        for tombstone in dropping.tombstones():
            self._lanes.put(ALARM, pack(encode_record(tombstone)))


def _continues(lane: Lane) -> Continues | None:
    """Also where nothing is held of what the cloud has: a cloud that has lost it learns that it is gone."""
    if lane.confirmed_epoch is None or lane.confirmed_seq is None:
        return None
    return Continues(lane.delivered_seq - lane.first_seq + 1, lane.confirmed_epoch, lane.confirmed_seq)


def _readable(stored: bytes) -> Record | None:
    try:
        return decode_record(unpack(stored))
    except (ValueError, RemoteError):  # a card that has rotted
        return None


assert tuple(range(len(_RESERVED))) == LANES
