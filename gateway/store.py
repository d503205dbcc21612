# SPDX-License-Identifier: EUPL-1.2
"""Devices, sessions and the outbox in one SQLite file: WAL, synchronous=FULL.

All SQL of the gateway is here, in outbox.py and in downlink_queue.py.

``open_store`` migrates the file and returns a Store. Its ``ledger`` is the writing side: call it in a transaction only,
either ``with store.transaction()`` (a command) or in a GroupCommit of ``store.connection`` (the service).
``Store.reader`` reads beside a running writer (outbox.py).
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from decoders.uplink import Reading, UplinkKey
from gateway.config import DevAddrBlock
from gateway.database import connect, create_file, migrate
from gateway.downlink_queue import DownlinkQueue
from gateway.errors import DevicesError, Refused, StoreError, shown
from gateway.keys import Keyring, load_key_file
from gateway.outbox import OutboxReader
from gateway.replay_window import is_late_first, seen_after

_KEY_CHECK = b"this key opens it"
_SESSION_BITS = 53  # exact in JSON's numbers too
_QUARANTINE_ROWS = 10_000  # a node gone mad must not fill the card


class Device(NamedTuple):
    """One device of the registry. ``dev_nonce`` -1: none yet. ``repr`` hides the key."""

    dev_eui: str
    join_eui: str
    app_key: bytes
    profile: str
    name: str
    dev_nonce: int = -1
    join_nonce: int = 0

    def __repr__(self) -> str:
        return f"Device(dev_eui={self.dev_eui!r}, profile={self.profile!r}, name={self.name!r})"


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


class Ledger:
    """What a transaction may read and write. Values in, values out; the caller commits."""

    def __init__(self, connection: sqlite3.Connection, keyring: Keyring) -> None:
        self._db = connection
        self._keyring = keyring
        self.downlinks = DownlinkQueue(connection)

    def device(self, dev_eui: str) -> Device | None:
        """The device, its key opened."""
        row = self._db.execute(
            "SELECT dev_eui, join_eui, app_key, profile, name, dev_nonce, join_nonce FROM devices WHERE dev_eui = ?",
            (dev_eui,),
        ).fetchone()
        if row is None:
            return None
        return Device(*row)._replace(app_key=self._keyring.open(row[2], dev_eui=dev_eui, column="devices.app_key"))

    def devices(self) -> list[tuple[str, str, str, int]]:
        """(dev_eui, profile, name, last dev_nonce) of all, by DevEUI; no keys."""
        return self._db.execute("SELECT dev_eui, profile, name, dev_nonce FROM devices ORDER BY dev_eui").fetchall()

    def set_class(self, dev_eui: str, device_class: str) -> None:
        """A or C; raises DevicesError."""
        row = (device_class == "C", dev_eui)
        if not self._db.execute("UPDATE devices SET class_c = ? WHERE dev_eui = ?", row).rowcount:
            raise DevicesError([f"dev_eui {shown(dev_eui)} is no device of this gateway"])

    def session_of(self, dev_eui: str) -> Session | None:
        """The session in use: the newest that the device has used."""
        row = self._db.execute(
            "SELECT dev_addr, id FROM sessions WHERE dev_eui = ? AND f_cnt_up >= 0 ORDER BY id DESC", (dev_eui,)
        ).fetchone()
        return next((session for session in self.sessions(row[0]) if session.id == row[1]), None) if row else None

    def status_of(self, dev_eui: str) -> tuple[int | None, int | None, float | None, bool]:
        """(battery, margin in dB, when it said so, whether it is of class C) of a device that is there."""
        row = self._db.execute(
            "SELECT battery, margin_db, status_at, class_c FROM devices WHERE dev_eui = ?", (dev_eui,)
        ).fetchone()
        return row[0], row[1], row[2], bool(row[3])

    def put_device(self, device: Device) -> str:
        """Store a device; returns added, changed or unchanged.

        Nonces and sessions of a known device stay, except under a new key: then it has been flashed anew.
        """
        known = self.device(device.dev_eui)
        if known is not None and known[:5] == device[:5]:
            return "unchanged"
        sealed = self._keyring.seal(device.app_key, dev_eui=device.dev_eui, column="devices.app_key")
        self._db.execute(
            "INSERT INTO devices (dev_eui, join_eui, app_key, profile, name) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (dev_eui) DO UPDATE SET join_eui = excluded.join_eui, app_key = excluded.app_key, "
            "profile = excluded.profile, name = excluded.name",
            (device.dev_eui, device.join_eui, sealed, device.profile, device.name),
        )
        if known is not None and known.app_key != device.app_key:
            self.rearm(device.dev_eui)
        return "added" if known is None else "changed"

    def rearm(self, dev_eui: str) -> None:
        """Let a device whose memory was erased join again; raises DevicesError.

        JoinNonce goes on rising: a node that does remember its last one takes no lower one.
        """
        changed = self._db.execute("UPDATE devices SET dev_nonce = -1 WHERE dev_eui = ?", (dev_eui,)).rowcount
        if not changed:
            raise DevicesError([f"dev_eui {shown(dev_eui)} is no device of this gateway"])
        self._db.execute("DELETE FROM sessions WHERE dev_eui = ?", (dev_eui,))

    def remove(self, dev_eui: str) -> None:
        """Forget a device and its sessions; what it has sent goes on to the cloud. Raises DevicesError."""
        if not self._db.execute("DELETE FROM devices WHERE dev_eui = ?", (dev_eui,)).rowcount:
            raise DevicesError([f"dev_eui {shown(dev_eui)} is no device of this gateway"])

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

    def sessions(self, dev_addr: int) -> list[Session]:
        """The sessions with this address, keys opened."""
        rows = self._db.execute(
            "SELECT id, dev_eui, session, dev_addr, nwk_s_key, app_s_key, f_cnt_up, f_cnt_down, last_digest, last_at, "
            "seen, link, mac, profile FROM sessions JOIN devices USING (dev_eui) WHERE dev_addr = ?",
            (dev_addr,),
        ).fetchall()
        return [self._opened(Session(*row)) for row in rows]

    def _opened(self, row: Session) -> Session:
        place = {"dev_eui": row.dev_eui, "session": row.session}
        return row._replace(
            nwk_s_key=self._keyring.open(row.nwk_s_key, column="sessions.nwk_s_key", **place),  # type: ignore[arg-type]
            app_s_key=self._keyring.open(row.app_s_key, column="sessions.app_s_key", **place),  # type: ignore[arg-type]
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

    def keep_status(self, dev_eui: str, battery: int, margin_db: int, at: float) -> None:
        """What a node says about itself."""
        self._db.execute(
            "UPDATE devices SET battery = ?, margin_db = ?, status_at = ? WHERE dev_eui = ?",
            (battery, margin_db, at, dev_eui),
        )

    def next_f_cnt_down(self, session: Session) -> int:
        """Use up one downlink counter value."""
        row = self._db.execute(
            "UPDATE sessions SET f_cnt_down = f_cnt_down + 1 WHERE id = ? RETURNING f_cnt_down", (session.id,)
        ).fetchone()
        return int(row[0])

    def append(self, key: UplinkKey, received_at: float, profile: str, readings: Sequence[Reading]) -> int:
        """Put one uplink into the outbox; returns its seq."""
        row = (key.dev_eui, key.session, key.f_cnt, received_at, profile, json.dumps(readings, separators=(",", ":")))
        cursor = self._db.execute(
            "INSERT INTO outbox (dev_eui, session, f_cnt, received_at, profile, readings) VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

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

    def delete_up_to(self, seq: int) -> None:
        """The cloud has these rows: they go."""
        self._db.execute("DELETE FROM outbox WHERE seq <= ?", (seq,))


class Store:
    """An open, migrated database with its keyring."""

    def __init__(self, path: Path, connection: sqlite3.Connection, keyring: Keyring) -> None:
        self.path = path
        self.connection = connection
        self.ledger = Ledger(connection, keyring)

    @contextmanager
    def transaction(self) -> Iterator[Ledger]:
        """One transaction for a command; raises StoreError when it cannot be stored."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.ledger
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error

    def reader(self) -> OutboxReader:
        return OutboxReader(self.path)

    def close(self) -> None:
        self.connection.close()


def open_store(database: Path, key_file: Path) -> Store:
    """Open or create the database and its key file; raises StoreError, KeyFileError."""
    try:
        create_file(database)
        connection = connect(database)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{database} cannot be opened ({error})") from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection)
        row = connection.execute("SELECT key_check FROM gateway").fetchone()
        keyring = Keyring(load_key_file(key_file, create=row is None))
        if row is None:
            _begin(connection, keyring)
        elif keyring.open(row[0], dev_eui="", column="gateway.key_check") != _KEY_CHECK:
            raise StoreError(f"{database} was encrypted with another key file than {key_file}")
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"{database} cannot be used ({error})") from error
    except BaseException:
        connection.close()
        raise
    return Store(database, connection, keyring)


def _begin(connection: sqlite3.Connection, keyring: Keyring) -> None:
    check = keyring.seal(_KEY_CHECK, dev_eui="", column="gateway.key_check")
    connection.execute("INSERT INTO gateway (id, key_check, last_dev_addr) VALUES (1, ?, -1)", (check,))
