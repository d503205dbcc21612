# SPDX-License-Identifier: EUPL-1.2
"""The writer's thread on a store that cannot be written for a while."""

import sqlite3
import threading
import time

import pytest

from cloud_ingest import writer as module
from cloud_ingest.writer import Delivery, Writer
from tests.cloud_ingest.world import NODES, UP, moisture_series, opened, small_city


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_RETRY_S", 0.02)
    store, ingest = opened(tmp_path / "store.db")
    writer = Writer(store, small_city(), ingest, store.newest_received_at)
    yield store, writer
    if writer.is_alive():
        writer.stop()
    store.close()


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestHealth:
    def test_a_full_disk_is_said_until_a_write_succeeds_again_and_nothing_is_acknowledged(self, world):
        store, writer = world
        pages = store.db.execute("PRAGMA page_count").fetchone()[0]
        store.db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "database or disk is full"
        done = threading.Event()
        writer.start()
        assert writer.problem is None

        writer.put(Delivery(UP, moisture_series(NODES[0], [20.0] * 300), done.set))
        until(lambda: writer.problem)
        assert writer.problem == "the store refuses to write: database or disk is full"
        assert not done.is_set()
        store.db.execute("PRAGMA max_page_count = 1000000")

        assert done.wait(60)
        until(lambda: writer.problem is None)

    def test_a_judgement_that_cannot_be_written_counts_too(self, world):
        store, writer = world
        store.db.execute("PRAGMA busy_timeout = 10")
        with sqlite3.connect(store.db.execute("PRAGMA database_list").fetchone()[2], isolation_level=None) as lock:
            lock.execute("BEGIN IMMEDIATE")
            writer.start()
            until(lambda: writer.problem)
            assert "locked" in writer.problem
            lock.execute("ROLLBACK")
        lock.close()

        until(lambda: writer.problem is None)

    def test_a_writer_that_failed_says_so(self, world):
        _, writer = world

        writer.failed = RuntimeError("a bug")

        assert writer.problem == "the writer has stopped"
