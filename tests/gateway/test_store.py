# SPDX-License-Identifier: EUPL-1.2
"""The database: counters, numbering, sessions, migrations."""

import sqlite3
import time

import pytest

from decoders.records import READING, UplinkKey, UplinkMessage
from decoders.senml import Reading
from gateway.config import DevAddrBlock
from gateway.errors import Refused, StoreError
from gateway.store import open_store
from tests.gateway.nodes import Node, new_store

READINGS = (
    Reading("soil_moisture", "%", 1_770_964_782, 23.45, None),
    Reading("soil_temperature", "Cel", 1_770_964_782, None, "no_answer"),
)


def append_and_fail(ledger, f_cnt: int, session=None) -> None:
    """What a work looks like that fails half-way."""
    if session is not None:
        ledger.advance_up(session, f_cnt, b"digest", 1.0)
    append(ledger, f_cnt)
    raise RuntimeError


def append(ledger, f_cnt: int) -> int:
    return ledger.append_record(
        READING, UplinkMessage(UplinkKey("70b3d57ed1000001", 0, f_cnt), 1_770_964_782.5, "tree", READINGS)
    )


class TestOutbox:
    def test_what_goes_in_comes_out(self, store):
        with store.transaction() as ledger:
            append(ledger, 7)

        (message,) = store.reader().messages(1, 10)

        assert message.key == UplinkKey("70b3d57ed1000001", 0, 7)
        assert (message.received_at, message.profile, message.readings) == (1_770_964_782.5, "tree", READINGS)

    def test_numbers_rise_without_gaps_over_rollbacks_and_an_empty_outbox(self, store):
        with store.transaction() as ledger:
            append(ledger, 0)
        with pytest.raises(RuntimeError), store.transaction() as ledger:
            append_and_fail(ledger, 1)
        with store.transaction() as ledger:
            append(ledger, 1)
        reader = store.reader()
        with store.transaction() as ledger:
            ledger.confirm(1, 2, 9, 2)
        empty = reader.held()
        with store.transaction() as ledger:
            after = append(ledger, 2)

        assert (empty.delivered, empty.last) == (2, 2)
        assert after == 3


class TestSessions:
    @pytest.fixture
    def session(self, store, node):
        with store.transaction() as ledger:
            ledger.record_join(node.dev_eui, 0, 1, 0x01000000, bytes(16), bytes(16))
            return ledger.sessions(0x01000000)[0]

    def test_the_counter_moves_forward_only(self, store, session):
        with store.transaction() as ledger:
            ledger.advance_up(session, 5, b"digest", 1.0)

        for f_cnt in (5, 4, 0):
            with pytest.raises(Refused) as refused, store.transaction() as ledger:
                ledger.advance_up(session, f_cnt, b"digest", 1.0)
            assert refused.value.reason == "replay"

    def test_the_counter_and_the_reading_are_stored_together_or_not_at_all(self, store, session):
        with pytest.raises(RuntimeError), store.transaction() as ledger:
            append_and_fail(ledger, 0, session)

        assert store.ledger.sessions(0x01000000)[0].f_cnt_up == -1
        assert store.reader().held().last == 0

    def test_the_old_session_stays_until_the_new_one_is_used(self, store, session, node):
        with store.transaction() as ledger:
            ledger.advance_up(session, 0, b"", 1.0)
            ledger.record_join(node.dev_eui, 1, 2, 0x01000001, bytes(16), bytes(16))
        both = [len(store.ledger.sessions(dev_addr)) for dev_addr in (0x01000000, 0x01000001)]
        with store.transaction() as ledger:
            ledger.advance_up(ledger.sessions(0x01000001)[0], 0, b"", 2.0)

        assert both == [1, 1]
        assert store.ledger.sessions(0x01000000) == []

    def test_a_join_that_was_never_used_gives_way_to_the_next(self, store, session, node):
        with store.transaction() as ledger:
            ledger.record_join(node.dev_eui, 1, 2, 0x01000001, bytes(16), bytes(16))

        assert store.ledger.sessions(0x01000000) == []

    def test_a_new_app_key_lets_a_flashed_node_begin_at_dev_nonce_0_and_ends_its_old_session(
        self, store, session, node
    ):
        node.app_key = bytes(16)
        with store.transaction() as ledger:
            outcome = ledger.put_device(node.device())

        device = store.ledger.device(node.dev_eui)
        assert (outcome, device.dev_nonce, device.join_nonce) == ("changed", -1, 1)
        assert store.ledger.sessions(0x01000000) == []

    def test_another_name_ends_nothing(self, store, session, node):
        with store.transaction() as ledger:
            ledger.put_device(node.device()._replace(name="Linde"))

        assert store.ledger.device(node.dev_eui).dev_nonce == 0
        assert len(store.ledger.sessions(0x01000000)) == 1

    def test_downlink_counters_are_used_once(self, store, session):
        with store.transaction() as ledger:
            used = [ledger.next_f_cnt_down(session) for _ in range(3)]

        assert used == [0, 1, 2]


class TestDevAddr:
    def test_addresses_are_given_in_order_then_again_when_free(self, store, node):
        given = []
        with store.transaction() as ledger:
            for dev_nonce in range(6):
                given.append(ledger.allocate_dev_addr(DevAddrBlock(0x01000000, 4)))
                ledger.record_join(node.dev_eui, dev_nonce, dev_nonce + 1, given[-1], bytes(16), bytes(16))

        assert given == [0x01000000, 0x01000001, 0x01000002, 0x01000003, 0x01000000, 0x01000001]

    def test_a_full_block_is_refused(self, tmp_path):
        nodes = [Node(number) for number in range(1, 4)]
        _, store = new_store(tmp_path, nodes)
        with store.transaction() as ledger:
            for node in nodes[:2]:
                dev_addr = ledger.allocate_dev_addr(DevAddrBlock(0x01000000, 2))
                ledger.record_join(node.dev_eui, 0, 1, dev_addr, bytes(16), bytes(16))

        with pytest.raises(Refused) as refused, store.transaction() as ledger:
            ledger.allocate_dev_addr(DevAddrBlock(0x01000000, 2))

        assert refused.value.reason == "no_dev_addr_left"
        store.close()


class TestFile:
    def test_only_the_owner_may_read_it(self, tmp_path):
        config, store = new_store(tmp_path, [])

        assert config.gateway.database.stat().st_mode & 0o777 == 0o600
        store.close()

    def test_a_file_that_others_could_read_is_closed_to_them(self, tmp_path, caplog):
        config, store = new_store(tmp_path, [Node()])
        for path in tmp_path.glob("gateway.sqlite3*"):  # the log files too
            path.chmod(0o644)
        other = open_store(config.gateway.database, config.gateway.key_file)

        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("gateway.sqlite3*")}
        other.close()
        store.close()

        assert modes == dict.fromkeys(("gateway.sqlite3", "gateway.sqlite3-wal", "gateway.sqlite3-shm"), 0o600)
        assert "gateway.sqlite3 could be read by others (mode 0644); its mode is 0600 now" in caplog.text

    def test_a_wrong_path_closes_no_folder_and_no_stranger_s_file(self, tmp_path):
        (tmp_path / "folder").mkdir(mode=0o755)
        (tmp_path / "page.html").write_text("<!doctype html>" * 40)
        (tmp_path / "page.html").chmod(0o644)

        for name in ("folder", "page.html"):
            with pytest.raises(StoreError):
                open_store(tmp_path / name, tmp_path / "a.key")

        assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755
        assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o644

    def test_every_commit_is_synced(self, store):
        assert store.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store.connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL

    def test_a_file_that_is_no_database_is_one_line(self, tmp_path):
        (tmp_path / "a.sqlite3").write_bytes(b"not a database, but long enough to be read as one" * 40)

        with pytest.raises(StoreError, match=r"a\.sqlite3 cannot be used"):
            open_store(tmp_path / "a.sqlite3", tmp_path / "a.key")

    def test_a_newer_version_s_file_is_refused(self, tmp_path):
        config, store = new_store(tmp_path, [])
        store.connection.execute("INSERT INTO migrations VALUES (999, '0999_future.sql')")
        store.close()

        with pytest.raises(StoreError, match="newer version"):
            open_store(config.gateway.database, config.gateway.key_file)

    def test_a_migration_that_fails_leaves_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setattr("gateway.database._statements", lambda script: ["CREATE TABLE a (b)", "CREATE TABLE a (b)"])

        with pytest.raises(StoreError):
            open_store(tmp_path / "a.sqlite3", tmp_path / "a.key")

        connection = sqlite3.connect(tmp_path / "a.sqlite3")
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'a'").fetchall() == []
        assert connection.execute("SELECT * FROM migrations").fetchall() == []
        connection.close()

    def test_opening_does_not_depend_on_the_backlog(self, tmp_path):
        config, store = new_store(tmp_path, [])
        with store.transaction() as ledger:
            append(ledger, 0)
        store.connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO outbox_1 "
            "SELECT i, (SELECT record FROM outbox_1) FROM n"
        )
        store.connection.execute("UPDATE lanes SET last_seq = 200000, bytes = bytes * 200000 WHERE lane = 1")
        store.close()
        began = time.thread_time()  # not of the wall: the machine may have other work

        store = open_store(config.gateway.database, config.gateway.key_file)
        reader = store.reader()
        held = reader.held()
        first = reader.messages(held.oldest, 100)

        assert time.thread_time() - began < 0.5
        assert (held.oldest, held.last, len(first)) == (1, 200_000, 100)
        store.close()
