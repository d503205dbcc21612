# SPDX-License-Identifier: EUPL-1.2
"""Reads the database beside its running writer: the outbox, and what there is to count."""

import json
from pathlib import Path
from typing import NamedTuple

from decoders.uplink import Reading, UplinkKey, UplinkMessage
from gateway.database import connect


class Held(NamedTuple):
    """What the outbox holds: rows ``oldest``..``last`` without gaps; nothing when ``oldest`` is ``last`` + 1."""

    oldest: int
    last: int


class OutboxReader:
    """A reading connection of its own; one caller at a time, in any thread."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._db.execute("PRAGMA query_only = ON")

    def held(self) -> Held:
        """One consistent look at the ends of the outbox."""
        oldest, last = self._db.execute(
            "SELECT (SELECT min(seq) FROM outbox), coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0)"
        ).fetchone()
        return Held(last + 1 if oldest is None else oldest, last)

    def messages(self, first: int, most: int) -> tuple[UplinkMessage, ...]:
        """Up to ``most`` messages from seq ``first`` on."""
        rows = self._db.execute(
            "SELECT dev_eui, session, f_cnt, received_at, profile, readings FROM outbox WHERE seq >= ? "
            "ORDER BY seq LIMIT ?",
            (first, most),
        )
        return tuple(
            UplinkMessage(UplinkKey(*row[:3]), row[3], row[4], tuple(Reading(*item) for item in json.loads(row[5])))
            for row in rows
        )

    def waiting(self) -> int:
        """Uplinks that wait for a time."""
        return int(self._db.execute("SELECT count(*) FROM waiting").fetchone()[0])

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
