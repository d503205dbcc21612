# SPDX-License-Identifier: EUPL-1.2
"""One SQLite file for devices, sessions and the outbox: WAL, synchronous=FULL.

``open_store`` migrates the file and returns a Store. Its ``ledger`` is the writing side, joined from the parts that own
the SQL: devices.py, sessions.py, outbox.py, estimates.py, kept_payloads.py, boots.py, downlink_queue.py. Call it in a
transaction only, either ``with store.transaction()`` (a command) or in a GroupCommit of ``store.transactions`` (the
service). ``Store.reader`` reads beside a running writer (reader.py).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.boots import Boots
from gateway.database import connect, create_file, make_durable, migrate
from gateway.devices import Device, Devices
from gateway.downlink_queue import DownlinkQueue
from gateway.errors import StoreError
from gateway.kept_payloads import KeptPayloads, Payload, Waiting
from gateway.keys import Keyring, load_key_file
from gateway.lanes import Lanes
from gateway.reader import OutboxReader
from gateway.sessions import Session, Sessions
from gateway.transactions import Draft, Transactions

__all__ = ["Device", "Ledger", "Payload", "Session", "Store", "Waiting", "open_store"]

_KEY_CHECK = b"this key opens it"


class Ledger(Devices, Sessions, KeptPayloads, Boots):
    """What a transaction may read and write. Values in, values out; the caller commits."""

    def __init__(self, connection: sqlite3.Connection, keyring: Keyring) -> None:
        self._db = connection
        self._keyring = keyring
        self._lanes = Lanes(connection)
        self.downlinks = DownlinkQueue(connection)

    @property
    def draft(self) -> Draft:
        """What the transaction has to write at its end."""
        return self._lanes


class Store:
    """An open, migrated database with its keyring."""

    def __init__(self, path: Path, connection: sqlite3.Connection, keyring: Keyring) -> None:
        self.path = path
        self.connection = connection
        self.ledger = Ledger(connection, keyring)
        self.transactions = Transactions(connection, self.ledger.draft)

    @contextmanager
    def transaction(self) -> Iterator[Ledger]:
        """One transaction for a command; raises StoreError when it cannot be stored."""
        with self.transactions.one():
            yield self.ledger

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
        raise StoreError(f"{database} cannot be opened ({getattr(error, 'strerror', None) or error})") from error
    try:
        make_durable(connection)
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
    store = Store(database, connection, keyring)
    store.ledger.begin_epoch()
    return store


def _begin(connection: sqlite3.Connection, keyring: Keyring) -> None:
    check = keyring.seal(_KEY_CHECK, dev_eui="", column="gateway.key_check")
    connection.execute("INSERT INTO gateway (id, key_check, last_dev_addr) VALUES (1, ?, -1)", (check,))
