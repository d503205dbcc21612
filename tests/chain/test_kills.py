# SPDX-License-Identifier: EUPL-1.2
"""200 SIGKILLs of the real gateway, broker and ingest, in random order, while uplinks flow."""

import sqlite3

from simulators.kills import PARTS, run
from simulators.ledger_load import Ledger, read_ledger
from simulators.load_town import verdict

KILLS = 200


class TestKills:
    def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(self, tmp_path):
        done = run(tmp_path / "town", KILLS, seed=4)

        assert done.kills.total() == KILLS
        assert set(done.kills) == set(PARTS)
        assert done.verdict.acknowledged > 10 * KILLS
        assert done.verdict.is_clean, done.verdict


class TestVerdict:
    """It sees what it is there for."""

    @staticmethod
    def store(folder, uplinks, applied, readings):
        path = folder / "store.db"
        with sqlite3.connect(path) as database:
            database.executescript(
                "CREATE TABLE uplinks (dev_eui, session, f_cnt); CREATE TABLE counters (name, reason, value);"
                "CREATE TABLE datastreams (id, dev_eui, quantity); CREATE TABLE observations (datastream, at, flag);"
                "CREATE TABLE gaps (first_seq, last_seq); CREATE TABLE dead_letters (id);"
                "INSERT INTO datastreams VALUES (1, 'a', 'soil_moisture'), (2, 'a', 'soil_temperature'),"
                "(3, 'a', 'surface_temperature')"
            )
            database.executemany("INSERT INTO uplinks VALUES ('a', ?, ?)", uplinks)
            database.execute("INSERT INTO counters VALUES ('uplinks', 'applied', ?)", (applied,))
            database.executemany("INSERT INTO observations VALUES (?, ?, NULL)", readings)
        return path

    def test_what_is_missing_doubled_or_unsent_is_counted(self, tmp_path):
        # GPS 1_455_000_000 s is Unix 1_770_964_782 s
        ledger = Ledger({("a", n): 1_455_000_000 + n for n in range(3)}, {("a", 0), ("a", 1)})
        readings = [(stream, 1_770_964_782) for stream in (1, 2, 3)]

        found = verdict(ledger, self.store(tmp_path, [(7, 0), (8, 0), (7, 9)], 3, readings))

        assert (found.acknowledged, found.stored, found.lost, found.doubled, found.unsent) == (2, 3, 1, 1, 1)
        assert found.readings_missing == 3
        assert not found.is_clean

    def test_a_ledger_may_end_in_the_middle_of_a_line(self, tmp_path):
        path = tmp_path / "ledger"
        path.write_text('["sent",[["a",1,5]]]\n["acknowledged",[["a",1,5]]]\n["sent",[["a",2')

        assert read_ledger(path) == Ledger({("a", 1): 5}, {("a", 1)})
