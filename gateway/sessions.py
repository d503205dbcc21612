# SPDX-License-Identifier: EUPL-1.2
"""Sessions: the keys and counters that a join began, the DevAddr it took, and what is agreed on with the node."""

import secrets
import sqlite3
from typing import NamedTuple

from gateway.config import DevAddrBlock
from gateway.errors import Refused
from gateway.keys import Keyring
from gateway.replay_window import is_late_first, seen_after

_SESSION_BITS = 53  # exact in JSON's numbers too


class Session(NamedTuple):
    """One session of a device. ``session`` is its name for ever, random; counters are 32 bits, -1: none yet."""

    id: int
    dev_eui: str
    session: int
    dev_addr: int
    nwk_s_key: bytes
    app_s_key: bytes
    f_cnt_up: int
    f_cnt_down: int
    last_digest: bytes
    last_at: float
    seen: int
    link: bytes
    mac: str
    profile: str

    def __repr__(self) -> str:
        return f"Session(dev_eui={self.dev_eui!r}, session={self.session}, f_cnt_up={self.f_cnt_up})"


class Sessions:
    """The sessions' part of the ledger."""

    _db: sqlite3.Connection
    _keyring: Keyring

    def sessions(self, dev_addr: int) -> list[Session]:
        """The sessions with this address, keys opened."""
        rows = self._db.execute(
            "SELECT id, dev_eui, session, dev_addr, nwk_s_key, app_s_key, f_cnt_up, f_cnt_down, last_digest, last_at, "
            "seen, link, mac, profile FROM sessions JOIN devices USING (dev_eui) WHERE dev_addr = ?",
            (dev_addr,),
        ).fetchall()
        return [self._opened(Session(*row)) for row in rows]

    def session_of(self, dev_eui: str) -> Session | None:
        """The session in use: the newest that the device has used."""
        row = self._db.execute(
            "SELECT dev_addr, id FROM sessions WHERE dev_eui = ? AND f_cnt_up >= 0 ORDER BY id DESC", (dev_eui,)
        ).fetchone()
        return next((session for session in self.sessions(row[0]) if session.id == row[1]), None) if row else None

    def allocate_dev_addr(self, block: DevAddrBlock) -> int:
        """The next address of the block that no session holds; raises Refused("no_dev_addr_left")."""
        (last,) = self._db.execute("SELECT last_dev_addr FROM gateway").fetchone()
        offset = last - block.first + 1 if block.first <= last < block.first + block.size else 0
        for step in range(block.size):
            dev_addr = block.first + (offset + step) % block.size
            if not self._db.execute("SELECT 1 FROM sessions WHERE dev_addr = ?", (dev_addr,)).fetchone():
                self._db.execute("UPDATE gateway SET last_dev_addr = ?", (dev_addr,))
                return dev_addr
        raise Refused("no_dev_addr_left")

    def record_join(
        self,
        dev_eui: str,
        dev_nonce: int,
        join_nonce: int,
        dev_addr: int,
        nwk_s_key: bytes,
        app_s_key: bytes,
        mac: str = "{}",
    ) -> None:
        """Keep the new session beside the one in use; a newer join replaces one that was never used.

        Its name is random: counters begin anew when a node is erased or this database is rebuilt, and two uplinks
        of one name would be one to the cloud.
        """
        self._db.execute(
            "UPDATE devices SET dev_nonce = ?, join_nonce = ? WHERE dev_eui = ?", (dev_nonce, join_nonce, dev_eui)
        )
        self._db.execute("DELETE FROM sessions WHERE dev_eui = ? AND f_cnt_up < 0", (dev_eui,))
        session = secrets.randbits(_SESSION_BITS)
        place = {"dev_eui": dev_eui, "session": session}
        self._db.execute(
            "INSERT INTO sessions (dev_eui, session, dev_addr, nwk_s_key, app_s_key, mac, seen) "
            "VALUES (?, ?, ?, ?, ?, ?, 0)",
            (
                dev_eui,
                session,
                dev_addr,
                self._keyring.seal(nwk_s_key, column="sessions.nwk_s_key", **place),  # type: ignore[arg-type]
                self._keyring.seal(app_s_key, column="sessions.app_s_key", **place),  # type: ignore[arg-type]
                mac,
            ),
        )

    def advance_up(self, session: Session, f_cnt: int, digest: bytes, at: float) -> None:
        """Compare and set: raises Refused("replay") unless ``f_cnt`` is above the stored counter.

        The first uplink of a session ends the device's older sessions.
        """
        _, seen = seen_after(session.f_cnt_up, session.seen, f_cnt)
        changed = self._db.execute(
            "UPDATE sessions SET f_cnt_up = ?, seen = ?, last_digest = ?, last_at = ? WHERE id = ? AND f_cnt_up < ?",
            (f_cnt, seen, digest, at, session.id, f_cnt),
        ).rowcount
        if changed != 1:
            raise Refused("replay")
        if session.f_cnt_up < 0:
            self._db.execute("DELETE FROM sessions WHERE dev_eui = ? AND id <> ?", (session.dev_eui, session.id))

    def fill_in(self, session: Session, f_cnt: int) -> None:
        """Use up a counter below the last; raises Refused("replay") unless it is a late first one."""
        if not is_late_first(session.f_cnt_up, session.seen, f_cnt):
            raise Refused("replay")
        _, seen = seen_after(session.f_cnt_up, session.seen, f_cnt)
        self._db.execute("UPDATE sessions SET seen = ? WHERE id = ?", (seen, session.id))

    def keep_control(self, session: Session, link: bytes, mac: str) -> None:
        """What is known of the link, and agreed on with the node."""
        self._db.execute("UPDATE sessions SET link = ?, mac = ? WHERE id = ?", (link, mac, session.id))

    def next_f_cnt_down(self, session: Session) -> int:
        """Use up one downlink counter value."""
        row = self._db.execute(
            "UPDATE sessions SET f_cnt_down = f_cnt_down + 1 WHERE id = ? RETURNING f_cnt_down", (session.id,)
        ).fetchone()
        return int(row[0])

    def _opened(self, row: Session) -> Session:
        place = {"dev_eui": row.dev_eui, "session": row.session}
        return row._replace(
            nwk_s_key=self._keyring.open(row.nwk_s_key, column="sessions.nwk_s_key", **place),  # type: ignore[arg-type]
            app_s_key=self._keyring.open(row.app_s_key, column="sessions.app_s_key", **place),  # type: ignore[arg-type]
        )
