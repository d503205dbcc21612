# SPDX-License-Identifier: EUPL-1.2
"""Payloads kept raw: those that no decoder reads, and those that wait until somebody knows the time."""

import sqlite3
from typing import NamedTuple

from decoders.uplink import UplinkKey

_QUARANTINE_ROWS = 10_000  # a node gone mad must not fill the card


class Payload(NamedTuple):
    """The plain payload of one uplink, not yet decoded."""

    key: UplinkKey
    f_port: int
    profile: str
    frm_payload: bytes


class Waiting(NamedTuple):
    """An uplink received ``boot_s`` seconds after the boot ``boot_id``, and nobody knew when that was."""

    id: int
    boot_id: str
    boot_s: float
    payload: Payload


class KeptPayloads:
    """The raw payloads' part of the ledger."""

    _db: sqlite3.Connection

    def quarantine(self, key: UplinkKey, f_port: int, received_at: float, frm_payload: bytes, problem: str) -> None:
        """Keep a payload that no decoder reads; the oldest go when there are too many."""
        cursor = self._db.execute(
            "INSERT INTO quarantine (dev_eui, session, f_cnt, f_port, received_at, frm_payload, problem) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*key, f_port, received_at, frm_payload, problem),
        )
        assert cursor.lastrowid is not None
        self._db.execute("DELETE FROM quarantine WHERE id <= ?", (cursor.lastrowid - _QUARANTINE_ROWS,))

    def wait_for_time(self, payload: Payload, boot_id: str, boot_s: float) -> None:
        """Keep a payload until somebody knows the time."""
        self._db.execute(
            "INSERT INTO waiting (dev_eui, session, f_cnt, f_port, profile, boot_id, boot_s, frm_payload) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*payload.key, payload.f_port, payload.profile, boot_id, boot_s, payload.frm_payload),
        )

    def waiting(self, most: int = 100) -> list[Waiting]:
        """The oldest that wait."""
        rows = self._db.execute(
            "SELECT id, boot_id, boot_s, dev_eui, session, f_cnt, f_port, profile, frm_payload FROM waiting "
            "ORDER BY id LIMIT ?",
            (most,),
        )
        return [Waiting(row[0], row[1], row[2], Payload(UplinkKey(*row[3:6]), *row[6:])) for row in rows]

    def end_waiting(self, last_id: int) -> None:
        """They have been taken up."""
        self._db.execute("DELETE FROM waiting WHERE id <= ?", (last_id,))
