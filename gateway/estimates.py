# SPDX-License-Identifier: EUPL-1.2
"""Records of the outbox whose time is an estimate: what to date them by when somebody knows better.

What the cloud has by then stays as it is, flagged as uncertain there.
"""

from typing import NamedTuple

from decoders.lorawan.errors import RemoteError
from decoders.lorawan.gps_time import gps_from_unix, unix_from_gps
from decoders.records import Event, Record, TimeQuality, UplinkMessage, decode_record, encode_record
from gateway.outbox import Outbox
from gateway.packing import pack, unpack


class Estimated(NamedTuple):
    """A row of a lane whose time is ``boot_s`` seconds after a boot."""

    lane: int
    row: int
    boot_s: float


class Estimates(Outbox):
    """The estimates' part of the ledger."""

    def estimate(self, lane: int, row: int, boot_id: str, boot_s: float) -> None:
        """Remember that this row is to be dated better; those that the cloud has by now are forgotten."""
        self._db.execute(
            "DELETE FROM estimated WHERE lane = ? AND row <= ?", (lane, self.lanes()[lane].delivered_seq)
        )  # fmt: skip
        self._db.execute("INSERT INTO estimated VALUES (?, ?, ?, ?)", (lane, row, boot_id, boot_s))

    def estimated(self, boot_id: str, most: int = 100) -> list[Estimated]:
        """Some of those of a boot, the oldest first."""
        rows = self._db.execute(
            "SELECT lane, row, boot_s FROM estimated WHERE boot_id = ? ORDER BY boot_s LIMIT ?", (boot_id, most)
        ).fetchall()
        return [Estimated(*row) for row in rows]

    def date(self, one: Estimated, unix_less_boot_s: float, quality: TimeQuality) -> bool:
        """Give a row its time, and forget the estimate; False: it is gone, or the cloud has it."""
        self._db.execute("DELETE FROM estimated WHERE lane = ? AND row = ?", (one.lane, one.row))
        table, lane = self._lanes.table(one.lane), self.lanes()[one.lane]
        row = self._db.execute(
            f"SELECT record FROM {table} WHERE seq = ? AND seq > ?", (one.row, lane.delivered_seq)
        ).fetchone()
        if row is None:
            return False
        try:
            record = decode_record(unpack(row[0]))
        except (ValueError, RemoteError):  # a card that has rotted; the forwarder says so
            return False
        stored = pack(encode_record(dated(record, one.boot_s + unix_less_boot_s, quality)))
        self._db.execute(f"UPDATE {table} SET record = ? WHERE seq = ?", (stored, one.row))
        self._lanes.change(lane._replace(bytes=lane.bytes + len(stored) - len(row[0])))
        return True


def dated(record: Record, unix_s: float, quality: TimeQuality) -> Record:
    """The record as received, or happened, at ``unix_s``; its readings, counted from then, move along."""
    if isinstance(record, Event):
        return record._replace(at=unix_s, time_quality=quality)
    if not isinstance(record, UplinkMessage):
        return record
    moved_s = _gps_s(unix_s) - _gps_s(record.received_at)
    readings = (
        one._replace(at=unix_from_gps(int(gps_from_unix(one.at)) + moved_s)) for one in record.readings
    )  # fmt: skip
    return record._replace(received_at=unix_s, time_quality=quality, readings=tuple(readings))


def _gps_s(unix_s: float) -> int:
    return round(gps_from_unix(unix_s) * 1000) // 1000
