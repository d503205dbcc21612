# SPDX-License-Identifier: EUPL-1.2
"""The bound of the drain: bare SQLite stores the very rows, in as many transactions, as durably."""

import sqlite3
from contextlib import closing

import pytest

from cloud_ingest import database
from simulators.bench_drain import drain, store_bare
from simulators.load_town import LoadTown
from simulators.town import TownError

ROWS = [(1, at, 20.0 + at, None, at + 0.5, None) for at in range(10)]


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "stadtfunk.db"
    with closing(database.connect(path)) as opened:
        opened.execute("PRAGMA foreign_keys = OFF")
        opened.executemany("INSERT INTO observations VALUES (?, ?, ?, ?, ?, ?)", ROWS)
    return path


class TestBound:
    @pytest.mark.parametrize("transactions", [1, 3, 10])
    def test_it_stores_all_rows_with_the_same_table_and_durability(self, store, tmp_path, transactions):
        took = store_bare(store, tmp_path / "bare.db", transactions)

        assert took.wall_s > 0
        with closing(sqlite3.connect(tmp_path / "bare.db")) as bare, closing(sqlite3.connect(store)) as source:
            schema = "SELECT sql FROM sqlite_master WHERE tbl_name = 'observations' ORDER BY name"
            assert bare.execute("SELECT * FROM observations").fetchall() == ROWS
            assert bare.execute(schema).fetchall() == source.execute(schema).fetchall()
            assert bare.execute("PRAGMA journal_mode").fetchone() == ("wal",)


class TestDrain:
    def test_all_that_was_held_is_in_the_store_and_its_cost_is_told(self, tmp_path):
        rows = {row.metric: row for row in drain(tmp_path / "town", 300)}

        assert rows["drain_missing"].value == 0
        assert rows["drain_to_the_store"].value > 0
        assert rows["drain_cpu_ingest"].baseline is not None
        assert 1 < rows["wire_per_reading"].value < 100

    def test_an_outbox_that_cannot_be_filled_is_said(self, tmp_path):
        town = LoadTown(tmp_path / "town")
        (town.folder / "gateway.sqlite3").mkdir()

        with pytest.raises(TownError, match="outbox: "):
            town.fill_outbox(10)
        town.stop()
