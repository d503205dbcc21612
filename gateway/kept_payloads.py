# SPDX-License-Identifier: EUPL-1.2
"""Payloads kept raw: those that no decoder reads, and those that wait until somebody knows the time.

Both are bounded. What is dropped of those that wait is counted and told, for it is nowhere else.
"""

from typing import NamedTuple

from decoders.records import ALARM, Event, TimeQuality, UplinkKey
from gateway.estimates import Estimates

_QUARANTINE_ROWS = 10_000  # a node gone mad must not fill the card
_WAITING_ROWS = 100_000  # about 10 MB: a day of 1.2 uplinks a second
_WAITING_ROW_BYTES = 80  # of the file, besides the payload
_DETAIL_CHARACTERS = 200
_DROPPED_AT_ONCE = 1000  # so many share one event


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


class Quarantined(NamedTuple):
    """A payload in quarantine: why, what the decoder said of it, and when it was received (0: nobody knew)."""

    id: int
    payload: Payload
    received_at: float
    time_quality: TimeQuality
    problem: str
    detail: str


class KeptPayloads(Estimates):
    """The raw payloads' part of the ledger."""

    waiting_rows = _WAITING_ROWS

    def quarantine(
        self, payload: Payload, received_at: float, time_quality: TimeQuality, problem: str, detail: str = ""
    ) -> None:
        """Keep a payload that no decoder reads; the oldest go when there are too many."""
        cursor = self._db.execute(
            "INSERT INTO quarantine (dev_eui, session, f_cnt, f_port, profile, received_at, time_quality, frm_payload, "
            "problem, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*payload.key, payload.f_port, payload.profile, received_at, time_quality, payload.frm_payload, problem,
             detail[:_DETAIL_CHARACTERS]),
        )  # fmt: skip
        assert cursor.lastrowid is not None
        self._db.execute("DELETE FROM quarantine WHERE id <= ?", (cursor.lastrowid - _QUARANTINE_ROWS,))

    def quarantined(self, problem: str | None = None, after_id: int = 0, most: int = 100) -> list[Quarantined]:
        """Some of them, oldest first; of one ``problem`` only, if given."""
        rows = self._db.execute(
            "SELECT id, dev_eui, session, f_cnt, f_port, profile, frm_payload, received_at, time_quality, problem, "
            "detail FROM quarantine WHERE id > ? AND (? IS NULL OR problem = ?) ORDER BY id LIMIT ?",
            (after_id, problem, problem, most),
        ).fetchall()
        return [Quarantined(row[0], Payload(UplinkKey(*row[1:4]), *row[4:7]), *row[7:]) for row in rows]

    def end_quarantine(self, number: int) -> None:
        """It has been decoded."""
        self._db.execute("DELETE FROM quarantine WHERE id = ?", (number,))

    def stay_quarantined(self, number: int, problem: str, detail: str) -> None:
        """It could not be decoded this time either."""
        self._db.execute(
            "UPDATE quarantine SET problem = ?, detail = ? WHERE id = ?",
            (problem, detail[:_DETAIL_CHARACTERS], number),
        )

    def wait_for_time(self, payload: Payload, boot_id: str, boot_s: float) -> None:
        """Keep a payload until somebody knows the time; the oldest go when there are too many."""
        self._make_room(len(payload.frm_payload) + _WAITING_ROW_BYTES)
        cursor = self._db.execute(
            "INSERT INTO waiting (dev_eui, session, f_cnt, f_port, profile, boot_id, boot_s, frm_payload) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*payload.key, payload.f_port, payload.profile, boot_id, boot_s, payload.frm_payload),
        )
        (first,) = self._db.execute("SELECT min(id) FROM waiting").fetchone()
        assert cursor.lastrowid is not None
        if cursor.lastrowid - first >= self.waiting_rows:  # so many, or there are holes
            (rows,) = self._db.execute("SELECT count(*) FROM waiting").fetchone()
            if rows > self.waiting_rows:
                self._drop_waiting(boot_id, boot_s)

    def _drop_waiting(self, boot_id: str, boot_s: float) -> None:
        dropped = self._db.execute(
            "DELETE FROM waiting WHERE id IN (SELECT id FROM waiting ORDER BY id LIMIT ?)",
            (min(_DROPPED_AT_ONCE, self.waiting_rows),),
        ).rowcount
        self._db.execute("UPDATE gateway SET waiting_dropped = waiting_dropped + ?", (dropped,))
        row = self.append_record(ALARM, Event("undated_uplinks_dropped", None, boot_s, "unset", {"uplinks": dropped}))
        self.estimate(ALARM, row, boot_id, boot_s)

    def waiting(self, boot_id: str, most: int = 100) -> list[Waiting]:
        """The oldest of a boot that wait."""
        rows = self._db.execute(
            "SELECT id, boot_id, boot_s, dev_eui, session, f_cnt, f_port, profile, frm_payload FROM waiting "
            "WHERE boot_id = ? ORDER BY id LIMIT ?",
            (boot_id, most),
        )
        return [Waiting(row[0], row[1], row[2], Payload(UplinkKey(*row[3:6]), *row[6:])) for row in rows]

    def end_waiting(self, boot_id: str, last_id: int) -> None:
        """Those of a boot up to this one have been taken up."""
        self._db.execute("DELETE FROM waiting WHERE boot_id = ? AND id <= ?", (boot_id, last_id))
