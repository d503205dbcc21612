# SPDX-License-Identifier: EUPL-1.2
"""Reading beside the writer."""

import asyncio
import time

import pytest

from cloud_ingest.api.readers import Busy, Readers
from tests.cloud_ingest.world import NODES, UP, moisture_series, opened

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


@pytest.fixture
def world(tmp_path):
    store, ingest = opened(tmp_path / "store.db")
    yield store, ingest, tmp_path / "store.db"
    store.close()


def run(path, timeout_s, story):
    async def told():
        readers = Readers(path, timeout_s, connections=2)
        await readers.open()
        try:
            return await story(readers)
        finally:
            await readers.close()

    return asyncio.run(told())


class TestSnapshot:
    def test_an_endless_question_is_interrupted_and_its_connection_serves_again(self, world):
        async def story(readers):
            for _ in range(6):  # more than there are connections
                with pytest.raises(Busy):
                    async with readers.snapshot() as db:
                        await db.rows(ENDLESS)
            async with readers.snapshot() as db:
                return await db.row("SELECT count(*) FROM things")

        began = time.monotonic()

        assert run(world[2], 0.1, story) == (4,)
        assert time.monotonic() - began < 10

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

        assert run(path, 5, story) == ((0,), (0,), (2,))

    def test_nothing_can_be_written(self, world):
        async def story(readers):
            async with readers.snapshot() as db:
                await db.rows("DELETE FROM things")

        with pytest.raises(Exception, match="readonly"):
            run(world[2], 5, story)
