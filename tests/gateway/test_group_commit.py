# SPDX-License-Identifier: EUPL-1.2
"""The writer: one fsync for those who arrive together, and nobody fails for another's fault."""

import asyncio
import sqlite3
import threading

import pytest

from gateway.errors import Refused, StoreError, StoreFull
from gateway.group_commit import GroupCommit
from gateway.transactions import Transactions


@pytest.fixture
def connection(tmp_path):
    connection = sqlite3.connect(tmp_path / "a.sqlite3", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
    yield connection
    connection.close()


def stored(connection) -> list[int]:
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    with sqlite3.connect(path) as other:
        return [n for (n,) in other.execute("SELECT n FROM numbers ORDER BY n")]


class TestGroupCommit:
    def test_works_that_wait_share_one_transaction_in_their_order(self, connection):
        async def scenario():
            writer = GroupCommit(Transactions(connection))
            gate, busy = threading.Event(), threading.Event()
            first = writer.run(lambda: busy.set() or gate.wait())
            await asyncio.to_thread(busy.wait)
            rest = [writer.run(lambda n=n: connection.execute("INSERT INTO numbers VALUES (?)", (n,)).lastrowid)
                    for n in (3, 1, 2)]  # fmt: skip
            gate.set()
            await first
            results = [await job for job in rest]
            await writer.close()
            return results, writer.commits

        assert asyncio.run(scenario()) == ([3, 1, 2], 2)

    def test_a_result_is_given_only_when_another_connection_sees_it(self, connection):
        async def scenario():
            writer = GroupCommit(Transactions(connection))
            await writer.run(lambda: connection.execute("INSERT INTO numbers VALUES (7)") and None)
            seen = stored(connection)
            await writer.close()
            return seen

        assert asyncio.run(scenario()) == [7]

    def test_a_work_that_fails_takes_back_its_own_changes_only(self, connection):
        def insert_and_fail():
            connection.execute("INSERT INTO numbers VALUES (2)")
            raise Refused("replay")

        async def scenario():
            writer = GroupCommit(Transactions(connection))
            gate = threading.Event()
            jobs = [
                writer.run(gate.wait),
                writer.run(lambda: connection.execute("INSERT INTO numbers VALUES (1)").lastrowid),
                writer.run(insert_and_fail),
                writer.run(lambda: connection.execute("INSERT INTO numbers VALUES (3)").lastrowid),
            ]
            gate.set()
            outcomes = await asyncio.gather(*jobs, return_exceptions=True)
            await writer.close()
            return outcomes

        _, one, failed, three = asyncio.run(scenario())

        assert (one, three) == (1, 3)
        assert isinstance(failed, Refused)
        assert stored(connection) == [1, 3]

    def test_one_whose_caller_has_gone_leaves_nobody_waiting(self, connection):
        async def scenario():
            writer = GroupCommit(Transactions(connection))
            gate = threading.Event()
            jobs = [writer.run(gate.wait), *(writer.run(lambda n=n: n) for n in (1, 2))]
            jobs[1].cancel()
            gate.set()
            async with asyncio.timeout(60):
                last = await jobs[2]
            await writer.close()
            return last

        assert asyncio.run(scenario()) == 2

    def test_when_the_commit_fails_everybody_hears_it_and_the_next_group_works(self, connection):
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(
            "CREATE TABLE later (n INTEGER REFERENCES numbers (n) DEFERRABLE INITIALLY DEFERRED)"
        )  # a deferred constraint fails at COMMIT, as a full disk may

        async def scenario():
            writer = GroupCommit(Transactions(connection))
            gate = threading.Event()
            jobs = [
                writer.run(gate.wait),
                writer.run(lambda: connection.execute("INSERT INTO numbers VALUES (1)").lastrowid),
                writer.run(lambda: connection.execute("INSERT INTO later VALUES (99)").lastrowid),
            ]
            gate.set()
            outcomes = await asyncio.gather(*jobs, return_exceptions=True)
            after = await writer.run(lambda: connection.execute("INSERT INTO numbers VALUES (5)").lastrowid)
            await writer.close()
            return outcomes[1:], after

        outcomes, after = asyncio.run(scenario())

        assert [type(outcome) for outcome in outcomes] == [StoreError, StoreError]
        assert after == 5
        assert stored(connection) == [5]

    def test_when_the_disk_is_full_nothing_is_reported_as_stored(self, connection):
        async def scenario():
            writer = GroupCommit(Transactions(connection))
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + 3}")
            outcomes = [
                (await asyncio.gather(
                    writer.run(lambda n=n: connection.executemany(
                        "INSERT INTO numbers VALUES (?)", ((n * 1000 + i,) for i in range(1000))).rowcount),
                    return_exceptions=True,
                ))[0]
                for n in range(6)
            ]  # fmt: skip
            connection.execute("PRAGMA max_page_count = 100000")
            after = await writer.run(lambda: connection.execute("INSERT INTO numbers VALUES (99999)").lastrowid)
            await writer.close()
            return outcomes, after

        outcomes, after = asyncio.run(scenario())

        good = [n for n, outcome in enumerate(outcomes) if outcome == 1000]
        assert 0 < len(good) < 6
        assert all(isinstance(outcome, StoreError) for outcome in outcomes if outcome != 1000)
        assert stored(connection) == [n * 1000 + i for n in good for i in range(1000)] + [after]

    def test_one_that_finds_no_room_takes_nobody_with_it(self, connection):
        connection.execute("CREATE TABLE big (b BLOB)")
        connection.execute("INSERT INTO numbers VALUES (1)")

        async def scenario():
            writer = GroupCommit(Transactions(connection))
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + 1}")
            gate, busy = threading.Event(), threading.Event()
            first = writer.run(lambda: busy.set() or gate.wait())
            await asyncio.to_thread(busy.wait)
            delete = writer.run(lambda: connection.execute("DELETE FROM numbers").rowcount)
            insert = writer.run(lambda: connection.execute("INSERT INTO big VALUES (zeroblob(100000))") and None)
            gate.set()
            await first
            outcomes = await asyncio.gather(delete, insert, return_exceptions=True)
            await writer.close()
            return outcomes

        deleted, refused = asyncio.run(scenario())

        assert deleted == 1
        assert isinstance(refused, StoreFull)
        assert stored(connection) == []

    @pytest.mark.parametrize("error", [OSError("no such folder"), sqlite3.OperationalError("disk I/O error")])
    def test_when_what_comes_before_it_fails_everybody_hears_it_and_the_next_group_works(self, connection, error):
        failures = [error]

        def before():
            if failures:
                raise failures.pop()

        async def scenario():
            writer = GroupCommit(Transactions(connection), before=before)
            (first,) = await asyncio.gather(writer.run(lambda: 1), return_exceptions=True)
            second = await writer.run(lambda: 2)
            await writer.close()
            return first, second

        first, second = asyncio.run(scenario())

        assert isinstance(first, StoreError)
        assert second == 2

    def test_what_was_given_before_closing_is_finished(self, connection):
        async def scenario():
            writer = GroupCommit(Transactions(connection))
            gate, busy = threading.Event(), threading.Event()
            writer.run(lambda: busy.set() or gate.wait())
            await asyncio.to_thread(busy.wait)
            for n in range(250):
                writer.run(lambda n=n: connection.execute("INSERT INTO numbers VALUES (?)", (n,)) and None)
            closing = asyncio.ensure_future(writer.close())
            await asyncio.sleep(0)
            gate.set()
            await closing
            with pytest.raises(StoreError):
                writer.run(lambda: None)
            return writer.commits

        commits = asyncio.run(scenario())

        assert stored(connection) == list(range(250))
        assert commits == 1 + 3  # of at most 100 each
