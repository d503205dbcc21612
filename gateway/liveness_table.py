# SPDX-License-Identifier: EUPL-1.2
"""What is kept of silences: tables ``node_liveness`` and ``concentrators``. Writing calls belong in a transaction."""

import json
import sqlite3
from collections.abc import Iterable, Mapping

from gateway.errors import DevicesError, shown
from gateway.liveness import NodeRecord
from gateway.silence import CONCENTRATOR, Change


class LivenessTable:
    """Over any connection to the gateway's database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    # --- reading

    def registry_version(self) -> int:
        """Rises when a device is added, changed or removed, and when a concentrator is forgotten."""
        return int(self._db.execute("SELECT version FROM registry").fetchone()[0])

    def intervals(self) -> dict[str, float | None]:
        """Every device, with the interval in s that is set for it, if one is."""
        return dict(self._db.execute("SELECT dev_eui, interval_s FROM devices").fetchall())

    def nodes(self) -> dict[str, NodeRecord]:
        """Every node that has been heard. One whose session has gone on since it was kept was heard meanwhile."""
        rows = self._db.execute(
            "SELECT dev_eui, state, silent_s, learned_s, l.session, l.f_cnt, received, missed, heard_by, "
            "s.session, s.f_cnt_up FROM (SELECT * FROM sessions WHERE f_cnt_up >= 0) AS s "
            "FULL JOIN node_liveness AS l USING (dev_eui) ORDER BY s.id"
        )
        found = {}
        for dev_eui, state, silent_s, learned_s, session, f_cnt, received, missed, heard_by, present, newest in rows:
            if state is None:  # never kept
                found[dev_eui] = NodeRecord(session=present, f_cnt=newest)
                continue
            record = NodeRecord(
                state, silent_s, learned_s, session, f_cnt, received, missed, tuple(json.loads(heard_by))
            )  # fmt: skip
            if present is not None and (present, newest) != (session, f_cnt):
                record = record._replace(silent_s=0.0, session=present, f_cnt=newest)
            found[dev_eui] = record
        return found

    def concentrators(self) -> dict[str, str]:
        """The state of those that are watched."""
        return dict(self._db.execute("SELECT eui, state FROM concentrators").fetchall())

    # --- writing

    def keep(self, records: Mapping[str, NodeRecord]) -> None:
        """Of devices that are still registered."""
        for dev_eui, record in records.items():
            row = record._replace(heard_by=json.dumps(record.heard_by))  # type: ignore[arg-type]
            self._db.execute(
                "INSERT OR REPLACE INTO node_liveness SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? "
                "WHERE EXISTS (SELECT 1 FROM devices WHERE dev_eui = ?)",
                (dev_eui, *row, dev_eui),
            )

    def change(self, change: Change, record: NodeRecord | None) -> None:
        """One has another state; ``record`` is that of the node."""
        if change.kind == CONCENTRATOR:
            self._db.execute("UPDATE concentrators SET state = ? WHERE eui = ?", (change.state, change.eui))
        elif record is not None:
            self.keep({change.eui: record._replace(state=change.state)})

    def watch_concentrators(self, euis: Iterable[str]) -> None:
        """They have brought frames of ours."""
        self._db.executemany(
            "INSERT OR IGNORE INTO concentrators (eui, state) VALUES (?, 'ok')", [(eui,) for eui in euis]
        )

    def forget_concentrator(self, eui: str) -> None:
        """It was taken down; raises DevicesError."""
        if not self._db.execute("DELETE FROM concentrators WHERE eui = ?", (eui,)).rowcount:
            raise DevicesError([f"concentrator {shown(eui)} is not known here"])
