# SPDX-License-Identifier: EUPL-1.2
"""An outbox alone, in memory or over any connection, and a look at its rows that does not go through it."""

import sqlite3
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from decoders.records import LANES, Record, UplinkKey, UplinkMessage, decode_record
from decoders.senml import Reading
from gateway.database import migrate
from gateway.lanes import ROW_BYTES, Lanes
from gateway.outbox import Outbox
from gateway.packing import unpack
from gateway.transactions import Transactions

T = 1_795_334_400


class Alone(Outbox):
    """An outbox without the rest of the ledger; what it is asked outside of a transaction has one of its own."""

    def __init__(self, connection: Any) -> None:
        self._db = connection
        self._lanes = Lanes(connection)
        self.transactions = Transactions(connection, self._lanes)
        self.begin_epoch()

    def append_encoded(self, lane: int, record: bytes) -> int:
        with self._one():
            return super().append_encoded(lane, record)

    def confirm(self, lane: int, row: int, epoch: int, seq: int) -> None:
        with self._one():
            super().confirm(lane, row, epoch, seq)

    def _one(self) -> AbstractContextManager[None]:
        return nullcontext() if self._db.in_transaction else self.transactions.one()


def memory_outbox() -> Alone:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    return Alone(connection)


def uplink(dev_eui: str, f_cnt: int) -> UplinkMessage:
    """One uplink of a tree, a second after the one before."""
    readings = (Reading("soil_moisture", "%", T + f_cnt, f_cnt % 5000 / 100, None),)
    return UplinkMessage(UplinkKey(dev_eui, 7, f_cnt), float(T + f_cnt), "tree", readings, "concentrator")


class Rows:
    """What is on the disk, straight from the tables."""

    def __init__(self, outbox: Outbox) -> None:
        self._db = outbox._db

    def records(self, lane: int) -> dict[int, Record]:
        rows = self._db.execute(f"SELECT seq, record FROM outbox_{lane} ORDER BY seq").fetchall()
        return {seq: decode_record(unpack(stored)) for seq, stored in rows}

    def sizes(self, lane: int) -> dict[int, int]:
        rows = self._db.execute(f"SELECT seq, length(record) FROM outbox_{lane} ORDER BY seq").fetchall()
        return {seq: size + ROW_BYTES for seq, size in rows}

    def everything(self) -> list[list[Any]]:
        tables = ["lanes", *(f"outbox_{lane}" for lane in LANES)]
        return [self._db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables]
