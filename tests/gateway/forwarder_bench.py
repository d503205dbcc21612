# SPDX-License-Identifier: EUPL-1.2
"""A database, filled by hand, and the service that forwards what is in it."""

import shutil
import sqlite3

from decoders.records import READING, UplinkKey, UplinkMessage
from decoders.senml import Reading
from gateway.config import load
from gateway.store import open_store
from tests.gateway.nodes import write_config
from tests.gateway.running import GatewayThread

READINGS = (Reading("soil_moisture", "%", 1_770_964_782, 23.45, None),)


class Bench:
    """A database, and a configuration that points to a broker."""

    def __init__(self, folder, port, **mqtt):
        settings = {"port": port, "resend_s": 0.3, "reconnect_max_s": 0.2, "batch_messages": 10} | mqtt
        self.config = load(write_config(folder, mqtt=settings))
        self.store = open_store(self.config.gateway.database, self.config.gateway.key_file)
        self._open_beside()
        self._f_cnt = 0

    def _open_beside(self):
        """Connections of our own: the store's belongs to the service while that runs."""
        self.filler = open_store(self.config.gateway.database, self.config.gateway.key_file)
        self._reader = self.store.reader()

    def append(self, count):
        with self.filler.transaction() as ledger:
            for _ in range(count):
                self._f_cnt += 1
                ledger.append_record(
                    READING,
                    UplinkMessage(UplinkKey("70b3d57ed1000001", 0, self._f_cnt), 1_770_964_782.5, "tree", READINGS),
                )

    def restore(self, backup):
        """The card died: the database is what it was at the backup."""
        self.close()
        shutil.copy(backup, self.config.gateway.database)
        self.store = open_store(self.config.gateway.database, self.config.gateway.key_file)
        self._open_beside()

    def back_up(self, backup):
        with sqlite3.connect(backup) as target:
            self.store.connection.backup(target)
        target.close()

    def service(self):
        return GatewayThread(self.config, self.store)

    def held(self):
        """The first and the last row that the cloud does not have."""
        held = self._reader.held()
        return (held.delivered + 1, held.last)

    def empty(self):
        return not self._reader.waiting_records()

    def close(self):
        self._reader.close()
        self.filler.close()
        self.store.close()
