# SPDX-License-Identifier: EUPL-1.2
"""Reads the database beside its running writer: the outbox, and what there is to count."""

from pathlib import Path
from typing import NamedTuple

from decoders.records import LANES, READING, Event, UplinkMessage, decode_record, encode_record
from gateway.database import connect
from gateway.packing import unpack


class Held(NamedTuple):
    """A lane of the outbox: rows ``oldest`` to ``last`` without gaps, of which the cloud has those up to ``delivered``.

    Nothing when ``oldest`` is ``last`` + 1.
    """

    oldest: int
    last: int
    delivered: int

    @property
    def waiting(self) -> int:
        """How many rows the cloud does not have yet."""
        return self.last - self.delivered


class OutboxReader:
    """A reading connection of its own; one caller at a time, in any thread."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._db.execute("PRAGMA query_only = ON")

    def held(self, lane: int = READING) -> Held:
        """One consistent look at a lane; takes as long however much it holds."""
        row = self._db.execute(
            "SELECT first_seq, last_seq, delivered_seq FROM lanes WHERE lane = ?", (lane,)
        ).fetchone()
        return Held(*row)

    def waiting_records(self) -> int:
        """How many records the cloud does not have yet."""
        return sum(self.held(lane).waiting for lane in LANES)

    def outbox_bytes(self) -> int:
        """What the outbox takes on the disk, near enough."""
        return int(self._db.execute("SELECT sum(bytes) FROM lanes").fetchone()[0])

    def records(self, lane: int, first: int, most: int) -> list[bytes]:
        """Up to ``most`` records as they are sent, from row ``first`` on; none if that row is not there (any more)."""
        rows = self._db.execute(
            f"SELECT seq, record FROM outbox_{lane} WHERE seq >= ? ORDER BY seq LIMIT ?", (first, most)
        ).fetchall()
        if rows and rows[0][0] != first:
            return []
        return [_sendable(lane, seq, stored) for seq, stored in rows]

    def messages(self, first: int, most: int, lane: int = READING) -> tuple[UplinkMessage, ...]:
        """Up to ``most`` uplinks of a lane from row ``first`` on."""
        records = (decode_record(data) for data in self.records(lane, first, most))
        return tuple(record for record in records if isinstance(record, UplinkMessage))

    def waiting(self) -> int:
        """Uplinks that wait for a time."""
        return int(self._db.execute("SELECT count(*) FROM waiting").fetchone()[0])

    def waiting_dropped(self) -> int:
        """Uplinks ever dropped because too many waited."""
        return int(self._db.execute("SELECT coalesce(max(waiting_dropped), 0) FROM gateway").fetchone()[0])

    def undated(self) -> bool:
        """Whether something waits for a time, or for a better one."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM waiting) OR EXISTS (SELECT 1 FROM estimated)"
        ).fetchone()  # fmt: skip
        return bool(row[0])

    def class_c(self) -> frozenset[str]:
        """The devices that listen all the time."""
        return frozenset(row[0] for row in self._db.execute("SELECT dev_eui FROM devices WHERE class_c"))

    def expired(self, now: float | None) -> bool:
        """Whether a downlink has waited too long."""
        row = self._db.execute("SELECT 1 FROM downlinks WHERE expires_at <= ? LIMIT 1", (now or 0.0,)).fetchone()
        return row is not None

    def counts(self) -> dict[str, int]:
        """Rows of the small tables."""
        tables = {
            "devices": "devices",
            "sessions": "sessions",
            "quarantine": "quarantine",
            "downlinks_waiting": "downlinks",
        }
        return {name: self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for name, table in tables.items()}

    def close(self) -> None:
        self._db.close()


def _sendable(lane: int, seq: int, stored: bytes) -> bytes:
    """A row that a failing card has changed must not hold up those behind it: its place says so."""
    try:
        return unpack(stored)
    except ValueError:
        return encode_record(Event("record_unreadable", None, 0.0, "unset", {"lane": lane, "row": seq}))
