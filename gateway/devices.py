# SPDX-License-Identifier: EUPL-1.2
"""The registry: which devices this gateway serves, their keys and nonces, and what they say about themselves."""

import sqlite3
from typing import NamedTuple

from gateway.errors import NoSuchDevice
from gateway.keys import Keyring


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


class Devices:
    """The devices' part of the ledger."""

    _db: sqlite3.Connection
    _keyring: Keyring

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
        """Let a device whose memory was erased join again; raises NoSuchDevice.

        JoinNonce goes on rising: a node that does remember its last one takes no lower one.
        """
        changed = self._db.execute("UPDATE devices SET dev_nonce = -1 WHERE dev_eui = ?", (dev_eui,)).rowcount
        if not changed:
            raise NoSuchDevice(dev_eui)
        self._db.execute("DELETE FROM sessions WHERE dev_eui = ?", (dev_eui,))

    def remove(self, dev_eui: str) -> None:
        """Forget a device and its sessions; what it has sent goes on to the cloud. Raises NoSuchDevice."""
        if not self._db.execute("DELETE FROM devices WHERE dev_eui = ?", (dev_eui,)).rowcount:
            raise NoSuchDevice(dev_eui)

    def set_interval(self, dev_eui: str, interval_s: float | None) -> None:
        """How often it is expected to send; None: learned. Raises NoSuchDevice."""
        row = (interval_s, dev_eui)
        if not self._db.execute("UPDATE devices SET interval_s = ? WHERE dev_eui = ?", row).rowcount:
            raise NoSuchDevice(dev_eui)

    def set_class(self, dev_eui: str, device_class: str) -> None:
        """A or C; raises NoSuchDevice."""
        row = (device_class == "C", dev_eui)
        if not self._db.execute("UPDATE devices SET class_c = ? WHERE dev_eui = ?", row).rowcount:
            raise NoSuchDevice(dev_eui)

    def keep_status(self, dev_eui: str, battery: int, margin_db: int, at: float) -> None:
        """What a node says about itself."""
        self._db.execute(
            "UPDATE devices SET battery = ?, margin_db = ?, status_at = ? WHERE dev_eui = ?",
            (battery, margin_db, at, dev_eui),
        )

    def status_of(self, dev_eui: str) -> tuple[int | None, int | None, float | None, bool]:
        """(battery, margin in dB, when it said so, whether it is of class C) of a device that is there."""
        row = self._db.execute(
            "SELECT battery, margin_db, status_at, class_c FROM devices WHERE dev_eui = ?", (dev_eui,)
        ).fetchone()
        return row[0], row[1], row[2], bool(row[3])
