# SPDX-License-Identifier: EUPL-1.2
"""The outbox: readings on their way to the cloud, in order, until the cloud has them."""

import json
import sqlite3
from collections.abc import Sequence

from decoders.uplink import Reading, UplinkKey


class Outbox:
    """The outbox's part of the ledger."""

    _db: sqlite3.Connection

    def append(self, key: UplinkKey, received_at: float, profile: str, readings: Sequence[Reading]) -> int:
        """Put one uplink into the outbox; returns its seq."""
        row = (key.dev_eui, key.session, key.f_cnt, received_at, profile, json.dumps(readings, separators=(",", ":")))
        cursor = self._db.execute(
            "INSERT INTO outbox (dev_eui, session, f_cnt, received_at, profile, readings) VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def delete_up_to(self, seq: int) -> None:
        """The cloud has these rows: they go."""
        self._db.execute("DELETE FROM outbox WHERE seq <= ?", (seq,))
