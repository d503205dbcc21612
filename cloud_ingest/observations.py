# SPDX-License-Identifier: EUPL-1.2
"""Readings on their way into their table, in a transaction of the store: each (series, moment) once, the better of two.

What is new is written many rows at a time, so nothing is in the table before ``flush``. An uplink repeats what the two
before it said; what was seen lately is therefore kept in mind, and the table asked only about the rest.
"""

import operator
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

_REMEMBERED = 50_000
_INSERT = "INSERT INTO observations VALUES (?, ?, ?, ?, ?, ?)"
_UPDATE = (
    "UPDATE observations SET result = ?, flag = ?, received_at = ?, time_quality = ? WHERE datastream = ? AND at = ?"
)
_LATEST = (
    "INSERT INTO latest VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (datastream) DO UPDATE SET at = excluded.at, "
    "result = excluded.result, flag = excluded.flag, received_at = excluded.received_at, "
    "time_quality = excluded.time_quality WHERE excluded.at >= latest.at"
)


class Observation(NamedTuple):
    """One reading of a series: a value when ``flag`` is None, else the reason why not.

    ``time_quality``: None, or why its gateway was not sure of the time ('saved', 'unset')."""

    datastream: int
    at: int
    result: float | None
    flag: str | None
    received_at: float
    time_quality: str | None = None

    @property
    def rank(self) -> tuple[bool, bool, float, float, str, str]:
        """Of two with the same key the lower stays: values first, then sure times, then what was received first."""
        is_unsure = self.time_quality is not None
        return (
            self.flag is not None,
            is_unsure,
            self.received_at,
            self.result or 0.0,
            self.flag or "",
            self.time_quality or "",
        )


def insert_until_known(db: sqlite3.Connection, sql: str, rows: Sequence[Any]) -> int:
    """Insert rows in order until one is refused (its key is there already); returns how many were inserted."""
    left = iter(rows)
    try:
        db.executemany(sql, left)
    except sqlite3.IntegrityError:
        return len(rows) - operator.length_hint(left) - 1
    return len(rows)


class Observations:
    """The writing side of the tables ``observations`` and ``latest``; ``counts`` are the transaction's counters."""

    def __init__(self, db: sqlite3.Connection, counts: Counter[tuple[str, str]]) -> None:
        self._db = db
        self._counts = counts
        self._fresh: list[Observation] = []  # not yet in the table, as far as we know
        self._newest: dict[int, Observation] = {}  # of each series, among what this transaction has written
        self._seen: dict[tuple[int, int], Observation] = {}  # what is stored, or will be, or something better by now

    def append(self, observations: Iterable[Observation]) -> None:
        """Store what is new or better than what is there, at the next ``flush``, counting the rest."""
        seen = self._seen
        for one in observations:
            place = one[:2]
            known = seen.get(place)
            if known is None:
                seen[place] = one
                self._fresh.append(one)
            else:
                self._again(place, known, one)
        if len(seen) > _REMEMBERED:
            for place in list(islice(seen, _REMEMBERED // 2)):
                del seen[place]

    def flush(self) -> None:
        """Write what is new; raises sqlite3.IntegrityError for what may not be in the table."""
        fresh, self._fresh = self._fresh, []
        while fresh:
            inserted = insert_until_known(self._db, _INSERT, fresh)
            self._written(fresh[:inserted])
            if inserted < len(fresh):
                self._against_stored(fresh[inserted])
            fresh = fresh[inserted + 1 :]

    def write_latest(self) -> None:
        """What each series has newest, after ``flush``."""
        self._db.executemany(_LATEST, self._newest.values())
        self._newest.clear()

    def forget(self) -> None:
        """What was appended or is remembered may not be there: a transaction, or a part of one, was undone."""
        self._fresh.clear()
        self._newest.clear()
        self._seen.clear()

    def _written(self, rows: Sequence[Observation]) -> None:
        newest = self._newest
        faults = 0
        for row in rows:
            last = newest.get(row[0])
            if last is None or row[1] >= last[1]:
                newest[row[0]] = row
            faults += row[3] is not None
        self._counts["readings", "faults"] += faults
        self._counts["readings", "values"] += len(rows) - faults

    def _again(self, place: tuple[int, int], known: Observation, one: Observation) -> None:
        """One more of a moment of which ``known`` is stored, or something better."""
        if one[2:4] == known[2:4] and one.time_quality == known.time_quality and one.received_at >= known.received_at:
            self._counts["readings", "duplicates"] += 1  # the usual case: it only came later
        elif one.rank < known.rank:
            self.flush()
            self._against_stored(one)
        else:
            self._count_again(known, one)

    def _against_stored(self, one: Observation) -> None:
        """The better of ``one`` and what the table has of its moment stays; another process may have written that."""
        place = one[:2]
        row = self._db.execute(
            "SELECT * FROM observations WHERE datastream = ? AND at = ?", place
        ).fetchone()  # fmt: skip
        if row is None:  # it was refused for another reason, which is said now
            self._db.execute(_INSERT, one)
            self._written([one])
            return
        stored = Observation(*row)
        self._count_again(stored, one)
        self._seen[place] = stored
        if one.rank < stored.rank:
            self._db.execute(_UPDATE, (*one[2:], *place))
            became_value = stored.flag is not None and one.flag is None
            self._counts["readings", "values"] += became_value
            self._counts["readings", "superseded_faults"] += became_value
            self._seen[place] = one
            last = self._newest.get(one.datastream)
            if last is None or one.at >= last.at:
                self._newest[one.datastream] = one

    def _count_again(self, known: Observation, one: Observation) -> None:
        self._counts["readings", "duplicates"] += 1
        self._counts["readings", "conflicts"] += (
            known.flag is None and one.flag is None and known.result != one.result
        )  # fmt: skip
