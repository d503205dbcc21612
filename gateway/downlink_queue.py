# SPDX-License-Identifier: EUPL-1.2
"""Downlinks of applications that wait for their node, in the gateway's database. All calls within a transaction.

A row is *queued*; *given* while a frame that carries it is on its way to a concentrator; gone when that was sent, or,
if it must be confirmed, *sent* until the next uplink says whether it arrived, or the time is over in which a class C
node must say so. A crash between sending and recording it sends it once more.

The id of a command is known while it waits, and long after its end: the same command again is not queued again.
"""

import sqlite3
from typing import NamedTuple

from decoders.downlink import DownlinkCommand, DownlinkEvent
from gateway.errors import Refused

MOST_PER_DEVICE = 50
_MOST_KNOWN = 10_000  # commands that have ended: about 1.5 MB
_REASONS = {"failed": "not_acknowledged"}


class QueuedDownlink(NamedTuple):
    """The next one of a node."""

    id: int
    f_port: int
    frm_payload: bytes
    confirmed: bool
    tries: int = 0


class DownlinkQueue:
    """Commands in, the next one of a node out."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def put(self, command: DownlinkCommand, now: float | None) -> bool:
        """Queue it; False if it waits already, or has ended. Raises Refused.

        That is for id_taken, unknown_dev_eui, expired or queue_full.
        """
        known = self._db.execute(
            "SELECT dev_eui, f_port, frm_payload, confirmed FROM commands WHERE command_id = ?", (command.id,)
        ).fetchone()
        if known is not None:
            if known != (command.dev_eui, command.f_port, command.frm_payload, command.confirmed):
                raise Refused("id_taken")
            return False
        if now is not None and command.expires_at <= now:
            raise Refused("expired")
        if not self._db.execute("SELECT 1 FROM devices WHERE dev_eui = ?", (command.dev_eui,)).fetchone():
            raise Refused("unknown_dev_eui")
        (held,) = self._db.execute("SELECT count(*) FROM downlinks WHERE dev_eui = ?", (command.dev_eui,)).fetchone()
        if held >= MOST_PER_DEVICE:
            raise Refused("queue_full")
        self._db.execute(
            "INSERT INTO downlinks (command_id, dev_eui, f_port, frm_payload, confirmed, expires_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            tuple(command),
        )
        number = self._db.execute(
            "INSERT INTO commands (command_id, dev_eui, f_port, frm_payload, confirmed) VALUES (?, ?, ?, ?, ?)",
            command[:5],
        ).lastrowid
        assert number is not None
        self._db.execute("DELETE FROM commands WHERE number <= ? AND ended <> ''", (number - _MOST_KNOWN,))
        return True

    def result(self, command_id: str) -> DownlinkEvent | None:
        """How a command has ended; None: not yet, or it is not known any more."""
        row = self._db.execute(
            "SELECT dev_eui, ended FROM commands WHERE command_id = ? AND ended <> ''", (command_id,)
        ).fetchone()
        if row is None:
            return None
        dev_eui, ended = row
        return DownlinkEvent(command_id, dev_eui, ended, _REASONS.get(ended, ""))

    def next(self, dev_eui: str, now: float | None) -> tuple[QueuedDownlink | None, bool]:
        """(the one to send now, whether more wait). One at a time: none while the last is not settled."""
        rows = self._db.execute(
            "SELECT id, f_port, frm_payload, confirmed, state, tries FROM downlinks "
            "WHERE dev_eui = ? AND (expires_at > ? OR state <> 'queued') ORDER BY id",
            (dev_eui, now or 0.0),
        ).fetchall()
        if not rows or any(row[4] != "queued" for row in rows):
            return None, False
        item, f_port, frm_payload, confirmed, _, tries = rows[0]
        return QueuedDownlink(item, f_port, frm_payload, bool(confirmed), tries), len(rows) > 1

    def give(self, item: int, session: int) -> None:
        """A frame of ``session`` carries it."""
        self._db.execute("UPDATE downlinks SET state = 'given', session = ? WHERE id = ?", (session, item))

    def settle(self, item: int, sent: bool) -> DownlinkEvent | None:
        """That frame was sent, or not and it waits again."""
        row = self._db.execute(
            "SELECT command_id, dev_eui, confirmed FROM downlinks WHERE id = ? AND state = 'given'", (item,)
        ).fetchone()
        if row is None:
            return None
        if not sent:
            self._db.execute("UPDATE downlinks SET state = 'queued' WHERE id = ?", (item,))
            return None
        command_id, dev_eui, confirmed = row
        if not confirmed:
            return self._end(item, command_id, dev_eui, "sent")
        self._db.execute("UPDATE downlinks SET state = 'sent', tries = tries + 1 WHERE id = ?", (item,))
        return DownlinkEvent(command_id, dev_eui, "sent")

    def heard(self, dev_eui: str, session: int, ack: bool, most_tries: int) -> DownlinkEvent | None:
        """A new uplink settles a confirmed downlink: acknowledged, to be sent again, or failed.

        TS001-1.0.4 "Message acknowledge bit and acknowledgement procedure (ACK in FCtrl)".
        """
        row = self._db.execute(
            "SELECT id, command_id, tries, session FROM downlinks WHERE dev_eui = ? AND state = 'sent'", (dev_eui,)
        ).fetchone()
        if row is None:
            return None
        item, command_id, tries, sent_in = row
        if ack and sent_in == session:
            return self._end(item, command_id, dev_eui, "acknowledged")
        return self._not_acknowledged(item, command_id, dev_eui, tries, most_tries)

    def unanswered(self, item: int, most_tries: int) -> DownlinkEvent | None:
        """A node that listens all the time has had long enough to acknowledge it: send it again, or give it up."""
        row = self._db.execute(
            "SELECT command_id, dev_eui, tries FROM downlinks WHERE id = ? AND state = 'sent'", (item,)
        ).fetchone()
        if row is None:
            return None
        command_id, dev_eui, tries = row
        return self._not_acknowledged(item, command_id, dev_eui, tries, most_tries)

    def awaiting(self, dev_eui: str) -> tuple[int, int] | None:
        """(the one that was sent and is not yet acknowledged, how often it was sent)."""
        row: tuple[int, int] | None = self._db.execute(
            "SELECT id, tries FROM downlinks WHERE dev_eui = ? AND state = 'sent'", (dev_eui,)
        ).fetchone()
        return row

    def _not_acknowledged(
        self, item: int, command_id: str, dev_eui: str, tries: int, most_tries: int
    ) -> DownlinkEvent | None:  # fmt: skip
        if tries >= most_tries:
            return self._end(item, command_id, dev_eui, "failed")
        self._db.execute("UPDATE downlinks SET state = 'queued' WHERE id = ?", (item,))
        return None

    def _end(self, item: int, command_id: str, dev_eui: str, state: str) -> DownlinkEvent:
        self._db.execute("DELETE FROM downlinks WHERE id = ?", (item,))
        self._db.execute("UPDATE commands SET ended = ? WHERE command_id = ?", (state, command_id))
        return DownlinkEvent(command_id, dev_eui, state, _REASONS.get(state, ""))

    def expire(self, now: float) -> list[DownlinkEvent]:
        """Drop those whose time is over and that are not on their way."""
        rows = self._db.execute(
            "SELECT id, command_id, dev_eui FROM downlinks WHERE expires_at <= ? AND state <> 'given' ORDER BY id",
            (now,),
        ).fetchall()
        return [self._end(item, command_id, dev_eui, "expired") for item, command_id, dev_eui in rows]

    def cancel(self, command_id: str) -> bool:
        """Drop one that waits, and its name; whether there was one."""
        if not self._db.execute("DELETE FROM downlinks WHERE command_id = ?", (command_id,)).rowcount:
            return False
        self._db.execute("DELETE FROM commands WHERE command_id = ?", (command_id,))
        return True

    def recover(self) -> None:
        """At a start: nobody knows what became of those given before it, so they wait again."""
        self._db.execute("UPDATE downlinks SET state = 'queued' WHERE state = 'given'")

    def held(self) -> int:
        """How many there are."""
        return int(self._db.execute("SELECT count(*) FROM downlinks").fetchone()[0])
