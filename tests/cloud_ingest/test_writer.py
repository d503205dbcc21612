# SPDX-License-Identifier: EUPL-1.2
"""The writer's thread on a store that cannot be written for a while."""

import sqlite3
import threading
import time
from types import SimpleNamespace

import pytest

from cloud_ingest import attempts, checks, dead_letters, streams
from cloud_ingest import writer as module
from cloud_ingest.ingest import Ingest
from cloud_ingest.writer import Delivery, Writer
from decoders.uplink import Watermark
from tests.cloud_ingest.world import (
    GATEWAY,
    HOUR,
    NODES,
    START,
    UP,
    batch,
    moisture_series,
    opened,
    sample,
    small_city,
    uplink,
)


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
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestGroups:
    """What waits together is committed together; one message that makes us fail takes no other with it."""

    def test_of_a_batch_that_fails_only_the_uplink_that_does_it_is_set_aside(self, world, mocker):
        store, writer = world
        real = checks.sorted_out
        poison = uplink(2, NODES[0], 666, sample(START, 17.0))

        def fails(city, message):
            assert message.key.f_cnt != 666
            return real(city, message)

        mocker.patch.object(checks, "sorted_out", fails)
        done = threading.Semaphore(0)
        before = uplink(1, NODES[0], 0, sample(START, 20.0))
        after = uplink(3, NODES[0], 2, sample(START + HOUR, 19.0))
        other = uplink(4, NODES[1], 0, sample(START, 18.0))
        for payload in (batch(before, poison, after), batch(other, oldest_seq=1)):
            writer.put(Delivery(UP, payload, done.release))

        writer.start()

        assert all(done.acquire(timeout=60) for _ in range(2))
        writer.stop()  # the store is ours now
        kept = store.db.execute("SELECT dev_eui, f_cnt FROM uplinks ORDER BY 1, 2").fetchall()
        assert kept == [(NODES[0], 0), (NODES[0], 2), (NODES[1], 0)]
        assert streams.watermark(store, GATEWAY, 1) == Watermark(1, (None, 4, None))
        [letter] = dead_letters.letters(store)
        assert letter.reason == "internal_error"
        mocker.stopall()
        assert Ingest(store, small_city()).replay(letter)
        assert store.db.execute("SELECT count(*) FROM attempts").fetchone() == (0,)

    def test_messages_that_wait_are_one_commit(self, world):
        store, writer = world
        done = threading.Semaphore(0)
        watched = sqlite3.connect(store.db.execute("PRAGMA database_list").fetchone()[2], check_same_thread=False)
        counts = set()

        def note():
            counts.add(watched.execute("SELECT count(*) FROM uplinks").fetchone()[0])
            done.release()

        for n in range(20):
            writer.put(Delivery(UP, batch(uplink(n + 1, NODES[0], n, sample(START + n, 20.0)), oldest_seq=1), note))

        writer.start()

        assert all(done.acquire(timeout=60) for _ in range(20))
        watched.close()
        assert counts == {20}  # before the first acknowledgement all of them were durable

    def test_one_that_was_delivered_before_is_tried_alone_and_forgotten_when_it_went_well(self, world):
        store, writer = world
        done = threading.Event()
        writer.put(Delivery(UP, moisture_series(NODES[0], [20.0]), done.set, again=True))

        writer.start()

        assert done.wait(60)
        assert store.db.execute("SELECT count(*) FROM uplinks").fetchone() == (1,)
        assert attempts.suspects(store) == set()

    def test_a_store_that_refuses_it_many_times_is_not_its_fault(self, world, caplog):
        store, writer = world
        pages = store.db.execute("PRAGMA page_count").fetchone()[0]
        store.db.execute(f"PRAGMA max_page_count = {pages}")  # room to note a try, not for all of the message
        done = threading.Event()
        writer.put(Delivery(UP, moisture_series(NODES[0], [20.0] * 300), done.set, again=True))
        writer.start()
        until(lambda: caplog.text.count("store refuses") > attempts.MAX_TRIES)

        store.db.execute("PRAGMA max_page_count = 1000000")

        assert done.wait(60)
        assert dead_letters.letters(store) == []
        assert store.db.execute("SELECT count(*) FROM uplinks").fetchone() == (300,)
        assert attempts.suspects(store) == set()


class TestJudging:
    def test_while_messages_pour_in_judging_takes_an_eighth_of_the_time_however_long_an_area_takes(
        self, world, monkeypatch
    ):
        _, writer = world
        spent = {"storing": 0.0, "judging": 0.0}

        def judge_slowly(*_arguments):
            spent["judging"] += 1.5
            return False  # there is more of it

        def store_slowly(_delivery):
            spent["storing"] += 0.1

        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: sum(spent.values())))
        monkeypatch.setattr(module.judge, "judge_marked", judge_slowly)
        monkeypatch.setattr(writer, "_apply", store_slowly)

        for _ in range(1000):
            writer.put(Delivery(UP, b"", lambda: None))
            writer._turn()

        assert spent["storing"] == pytest.approx(100.0)
        assert 6 <= spent["judging"] <= 15


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

    def test_a_store_that_cannot_be_read_after_a_commit_ends_nothing(self, world, monkeypatch):
        """What is to be told then is told later; the message is stored and acknowledged."""
        monkeypatch.setattr("cloud_ingest.writer._RETRY_S", 0.01)
        _, writer = world
        fails, told, done = [True], threading.Event(), threading.Event()

        def tell():
            if fails:
                fails.pop()
                raise sqlite3.OperationalError("disk I/O error")
            told.set()

        writer.put(Delivery(UP, moisture_series(NODES[0], [20.0]), done.set))
        writer.after_commit(tell)
        writer.start()
        assert done.wait(60)
        until(lambda: not fails)

        writer.put(Delivery(UP, moisture_series(NODES[1], [20.0]), lambda: None))

        assert told.wait(60)
        assert writer.failed is None

    def test_a_writer_that_failed_says_so(self, world):
        _, writer = world

        writer.failed = RuntimeError("a bug")

        assert writer.problem == "the writer has stopped"
