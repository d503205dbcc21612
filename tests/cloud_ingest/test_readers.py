# SPDX-License-Identifier: EUPL-1.2
"""Reading beside the writer."""

import asyncio
import sqlite3
import threading
from contextlib import suppress

import pytest

from cloud_ingest.api.readers import Busy, Readers
from tests.cloud_ingest.world import NODES, UP, moisture_series, opened

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


@pytest.fixture
def world(tmp_path):
    store, ingest = opened(tmp_path / "store.db")
    yield store, ingest, tmp_path / "store.db"
    store.close()


def run(path, timeout_s, story, connections=2):
    async def told():
        readers = Readers(path, timeout_s, connections)
        await readers.open()
        try:
            return await story(readers)
        finally:
            await readers.close()

    return asyncio.run(told())


async def patiently(readers, ask):
    """What ``ask`` makes of a snapshot, however often a loaded machine makes it Busy before."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Busy):
                async with readers.snapshot() as snapshot:
                    return await ask(snapshot)


def things(snapshot):
    return snapshot.row("SELECT count(*) FROM things")


class TestSnapshot:
    def test_an_endless_question_is_interrupted_and_its_connection_serves_again(self, world):
        async def story(readers):
            for _ in range(6):  # more than there are connections
                with pytest.raises(Busy):
                    async with readers.snapshot() as db:
                        await db.rows(ENDLESS)
            return await patiently(readers, things)

        assert run(world[2], 0.1, story) == (4,)

    @pytest.mark.parametrize(
        ("late", "timeout_s"), [("before_begin", 0.5), ("before_the_question", 0.5), ("before_the_end", 60)]
    )
    def test_a_request_given_up_while_its_thread_is_late_leaves_nothing_behind(self, world, late, timeout_s):
        released = threading.Event()

        async def make_late(db):
            """The connection's thread gets to what is asked of it from now on only once it is released."""
            asked = asyncio.ensure_future(db.execute_fetchall("SELECT late()"))
            await asyncio.sleep(0)
            return asked

        async def prepare(snapshot):
            await snapshot._db.create_function("late", 0, lambda: not released.wait(60))
            return snapshot._db

        async def give_up(readers, db):
            held = await make_late(db) if late == "before_begin" else None
            while True:
                with suppress(Busy):
                    async with readers.snapshot() as snapshot:
                        if late == "before_begin":
                            pytest.fail("BEGIN was answered by a thread that is late")
                        held = await make_late(db)
                        if late == "before_the_question":
                            await snapshot.rows(ENDLESS)
                if held is not None:  # else a loaded machine was late with BEGIN
                    return held

        async def story(readers):
            db = await patiently(readers, prepare)
            held = await give_up(readers, db)
            released.set()
            await asyncio.wait([held])
            return [await patiently(readers, things) for _ in range(2)]

        assert run(world[2], timeout_s, story, connections=1) == [(4,), (4,)]

    def test_a_connection_that_cannot_be_cleared_is_replaced(self, world):
        def no_rollback(action, argument, *_):
            refused = action == sqlite3.SQLITE_TRANSACTION and argument == "ROLLBACK"
            return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

        async def story(readers):
            async with readers.snapshot() as snapshot:
                await snapshot._db.set_authorizer(no_rollback)
            async with asyncio.timeout(60), readers.snapshot() as snapshot:
                return await snapshot.row("SELECT count(*) FROM things")

        assert run(world[2], 60, story, connections=1) == (4,)

    def test_so_many_run_at_once_so_many_wait_and_the_rest_is_told_at_once(self, world):
        async def ask(readers):
            async with readers.snapshot() as db:
                await db.rows(ENDLESS)

        async def story(readers):
            asked = [asyncio.ensure_future(ask(readers)) for _ in range(40)]
            await asyncio.sleep(0)
            told = [task for task in asked if task.done()]
            await asyncio.gather(*asked, return_exceptions=True)
            return [str(task.exception()) for task in told], {type(task.exception()) for task in asked}

        told, kinds = run(world[2], 0.2, story)

        assert told == ["too many queries at once; try again later"] * 6
        assert kinds == {Busy}

    def test_everything_in_one_answer_is_of_one_moment(self, world):
        _, ingest, path = world

        async def story(readers):
            count = "SELECT count(*) FROM observations"
            async with readers.snapshot() as db:
                before = await db.row(count)
                ingest.apply(UP, moisture_series(NODES[0], [20.0]))
                during = await db.row(count)
            async with readers.snapshot() as db:
                return before, during, await db.row(count)

        assert run(path, 60, story) == ((0,), (0,), (2,))

    def test_nothing_can_be_written(self, world):
        async def story(readers):
            async with readers.snapshot() as db:
                await db.rows("DELETE FROM things")

        with pytest.raises(Exception, match="readonly"):
            run(world[2], 60, story)
