# SPDX-License-Identifier: EUPL-1.2
"""The lanes as a transaction will leave them: what is known of each, and the rows at their ends.

Both are a draft (transactions.py): read once in a transaction, changed in memory, and written before COMMIT or before
somebody reads the rows. So fifty records are one INSERT, and what is known of their lane one UPDATE a transaction.

What the cloud calls the rows (``Numbering``) is in memory only, and yet a draft: it counts from the rows at the lanes'
ends, which are these only once they are stored.
"""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from decoders.uplink import Continues

ROW_BYTES = 16  # of the file, besides the record
_AT_ONCE = 50  # rows of one INSERT: one by one takes half as long again


class Lane(NamedTuple):
    """One row of ``lanes`` (migrations/0007_lanes.sql)."""

    lane: int
    first_seq: int
    last_seq: int
    delivered_seq: int
    bytes: int
    delivered_bytes: int
    confirmed_epoch: int | None
    confirmed_seq: int | None


class Numbering(NamedTuple):
    """The cloud's names of rows: row ``bases[lane]`` + 1 is seq 1 of this ``epoch``, and so on."""

    epoch: int
    bases: tuple[int, int, int]
    continues: tuple[Continues | None, Continues | None, Continues | None]


_New = tuple[list[bytes], list[bytes], list[bytes]]


_Mark = tuple[Sequence[Lane], _New, tuple[int, int, int], int, Numbering]


class Lanes:
    """The draft of one connection. Change it in a transaction of ``Transactions`` only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._stored: Sequence[Lane] = ()  # as the table has them
        self._now: Sequence[Lane] = ()  # without the new rows
        self._new: _New = ([], [], [])
        self.bytes = 0  # of all rows, the new ones too
        self.numbering = Numbering(0, (0, 0, 0), (None, None, None))
        self._numbering_before: Numbering | None = None  # the transaction, until it is durable

    def begin(self) -> None:
        self._numbering_before = self.numbering
        self._stored = self._now = self._read()
        self.bytes = sum(lane.bytes for lane in self._now)

    def stored(self) -> None:
        self._numbering_before = None

    def forget(self) -> None:
        if self._numbering_before is not None:
            self.numbering, self._numbering_before = self._numbering_before, None
        self._stored = self._now = ()
        self._new = ([], [], [])
        self.bytes = 0

    def known(self) -> list[Lane]:
        """What is known of each lane."""
        return [
            _with(lane, new) if new else lane for lane, new in zip(self._now or self._read(), self._new, strict=True)
        ]

    def put(self, number: int, stored: bytes) -> int:
        """One more row at the end of a lane; returns its seq."""
        lane, new = self._now[number], self._new[number]
        new.append(stored)
        self.bytes += len(stored) + ROW_BYTES
        return lane.last_seq + len(new)

    def change(self, lane: Lane) -> None:
        """From now on this is known of it."""
        self.write_rows()
        now = list(self._now)
        self.bytes += lane.bytes - now[lane.lane].bytes
        now[lane.lane] = lane
        self._now = now

    def table(self, number: int) -> str:
        """The name of a lane's table, with all of its rows in it."""
        self.write_rows()
        return f"outbox_{number}"

    def write_rows(self) -> None:
        """See that the tables have all rows."""
        if any(self._new):
            for lane, new in zip(self._now, self._new, strict=True):
                self._insert(lane, new)
            self._now, self._new = self.known(), ([], [], [])  # a mark may hold those of before

    def write(self) -> None:
        self.write_rows()
        for lane, stored in zip(self._now, self._stored, strict=True):
            if lane != stored:
                self._db.execute(
                    "UPDATE lanes SET first_seq = ?, last_seq = ?, delivered_seq = ?, bytes = ?, delivered_bytes = ?, "
                    "confirmed_epoch = ?, confirmed_seq = ? WHERE lane = ?",
                    (*lane[1:], lane.lane),
                )

    def mark(self) -> _Mark:
        alarms, readings, diagnostics = self._new
        return self._now, self._new, (len(alarms), len(readings), len(diagnostics)), self.bytes, self.numbering

    def back_to(self, mark: _Mark) -> None:
        self._now, self._new, lengths, self.bytes, self.numbering = mark
        for new, length in zip(self._new, lengths, strict=True):
            del new[length:]

    def _insert(self, lane: Lane, new: list[bytes]) -> None:
        for at in range(0, len(new), _AT_ONCE):
            some = new[at : at + _AT_ONCE]
            places = ", ".join(["(?, ?)"] * len(some))
            rows = enumerate(some, lane.last_seq + 1 + at)
            self._db.execute(f"INSERT INTO outbox_{lane.lane} VALUES {places}", list(chain.from_iterable(rows)))

    def _read(self) -> list[Lane]:
        rows = self._db.execute(
            "SELECT lane, first_seq, last_seq, delivered_seq, bytes, delivered_bytes, confirmed_epoch, confirmed_seq "
            "FROM lanes ORDER BY lane"
        )
        return [Lane(*row) for row in rows.fetchall()]


def _with(lane: Lane, new: list[bytes]) -> Lane:
    size = sum(map(len, new)) + ROW_BYTES * len(new)
    return lane._replace(last_seq=lane.last_seq + len(new), bytes=lane.bytes + size)
