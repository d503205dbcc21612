# SPDX-License-Identifier: EUPL-1.2
"""What to send next and what the cloud has, over a real database and its writer, without a connection."""

import asyncio

import pytest

from decoders.records import ALARM, DIAGNOSTIC, READING
from decoders.uplink import Watermark, decode_batch, encode_watermark
from gateway.backlog import Backlog
from gateway.config import load
from gateway.group_commit import GroupCommit
from gateway.metrics import Metrics
from gateway.outbox import Limits
from gateway.store import open_store
from tests.gateway.nodes import GATEWAY_EUI, write_config
from tests.gateway.outbox_world import uplink

NODE = "70b3d57ed1000001"


class World:
    """A backlog and what it lies on; made in the event loop of ``run``."""

    def __init__(self, folder):
        self.config = load(write_config(folder, mqtt={"batch_messages": 10, "window_batches": 8, "resend_s": 5.0}))
        self.store = open_store(self.config.gateway.database, self.config.gateway.key_file)
        self.metrics = Metrics()

    def append(self, lane, f_cnts):
        with self.store.transaction() as ledger:
            for f_cnt in f_cnts:
                ledger.append_record(lane, uplink(NODE, f_cnt))

    def run(self, scenario):
        """The result of ``scenario(backlog)``."""

        async def main():
            writer, reader = GroupCommit(self.store.transactions), self.store.reader()
            backlog = Backlog(self.config.mqtt, GATEWAY_EUI, reader, writer, self.store.ledger, self.metrics)
            try:
                return await scenario(backlog)
            finally:
                await writer.close()
                reader.close()

        return asyncio.run(main())


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.store.close()


async def all_of(backlog, first_id=1):
    """Send what may be sent; (lane, first f_cnt, last f_cnt) of each batch."""
    sent = []
    while batch := await backlog.next():
        backlog.sent(batch, first_id + len(sent))
        records = decode_batch(batch.payload).records
        sent.append((batch.lane, records[0].key.f_cnt, records[-1].key.f_cnt))
    return sent


def told(backlog, *seqs):
    return encode_watermark(Watermark(backlog.numbering.epoch, seqs))


class TestNext:
    def test_the_lower_lane_goes_first_each_within_its_window(self, world):
        world.append(DIAGNOSTIC, range(300, 305))
        world.append(READING, range(100, 195))
        world.append(ALARM, range(25))

        async def scenario(backlog):
            await backlog.begin()
            return await all_of(backlog)

        assert world.run(scenario) == [
            (ALARM, 0, 9),
            (ALARM, 10, 19),  # a quarter of the window
            *[(READING, first, first + 9) for first in range(100, 180, 10)],
            (DIAGNOSTIC, 300, 304),
        ]

    def test_a_batch_says_whose_it_is_and_where_it_belongs(self, world):
        world.append(READING, range(5))

        async def scenario(backlog):
            await backlog.begin()
            return backlog.numbering.epoch, decode_batch((await backlog.next()).payload)

        epoch, batch = world.run(scenario)

        assert batch[:6] == (GATEWAY_EUI, epoch, READING, 1, 1, None)

    def test_what_an_epoch_before_had_confirmed_is_said_and_not_sent(self, world):
        world.append(READING, range(20))

        async def before(backlog):
            await backlog.begin()
            await all_of(backlog)
            backlog.heard(told(backlog, None, 12, None))
            await backlog.follow_watermark()
            return backlog.numbering.epoch

        async def after(backlog):
            said = await backlog.begin()
            return [decode_batch(batch.payload) for batch in said], await all_of(backlog)

        epoch = world.run(before)
        [first], sent = world.run(after)

        assert (first.lane, first.first_seq, first.records, first.continues) == (READING, 13, (), (12, epoch, 12))
        assert sent == [(READING, 12, 19)]


class TestReader:
    def test_rows_that_went_before_they_were_read_are_not_taken_for_others(self, world):
        """Between two looks at the lane: what is read would be sent under the numbers of what is gone."""
        world.store.ledger.limits = Limits(4000, 0)
        world.append(READING, range(100))
        oldest = world.store.reader().held(READING).oldest

        assert oldest > 1
        assert world.store.reader().records(READING, 1, 10) == []
        assert len(world.store.reader().records(READING, oldest, 10)) == 10


class TestWatermark:
    def test_what_the_cloud_has_is_delivered_and_opens_the_window(self, world):
        world.append(READING, range(100))

        async def scenario(backlog):
            await backlog.begin()
            await all_of(backlog)
            for message_id in range(1, 9):
                backlog.acknowledged(message_id)
            backlog.heard(told(backlog, None, 15, None))
            is_new_epoch = await backlog.follow_watermark()
            return is_new_epoch, await all_of(backlog, 20)

        assert world.run(scenario) == (False, [(READING, 80, 89), (READING, 90, 94)])
        assert world.store.reader().held(READING) == (1, 100, 15)

    def test_one_above_all_that_was_sent_delivers_nothing_and_begins_a_new_epoch(self, world):
        world.append(READING, range(100))

        async def scenario(backlog):
            await backlog.begin()
            await all_of(backlog)  # 80 of them
            epoch = backlog.numbering.epoch
            backlog.heard(told(backlog, None, 81, None))
            return await backlog.follow_watermark(), backlog.numbering.epoch != epoch, await all_of(backlog, 20)

        is_new, differs, sent = world.run(scenario)

        assert (is_new, differs, sent[0]) == (True, True, (READING, 0, 9))
        assert world.store.reader().held(READING).delivered == 0

    def test_one_of_the_epoch_before_that_comes_while_a_new_one_begins_delivers_nothing(self, world):
        world.append(READING, range(30))

        async def scenario(backlog):
            await backlog.begin()
            await all_of(backlog)
            of_before = told(backlog, None, 20, None)
            backlog.heard(told(backlog, None, 31, None))
            beginning = asyncio.create_task(backlog.follow_watermark())
            await asyncio.sleep(0)
            backlog.heard(of_before)
            await beginning
            await all_of(backlog, 20)
            return await backlog.follow_watermark()

        assert world.run(scenario) is False
        assert world.store.reader().held(READING).delivered == 0

    def test_one_that_goes_back_is_followed(self, world):
        world.append(READING, range(30))

        async def scenario(backlog):
            await backlog.begin()
            await all_of(backlog)
            for seq in (20, 5):
                backlog.heard(told(backlog, None, seq, None))
                await backlog.follow_watermark()
            return await all_of(backlog, 20)

        assert world.run(scenario)[0] == (READING, 5, 14)
        assert world.metrics.counters["watermarks_backwards"] == 1

    def test_what_is_none_or_of_another_epoch_means_nothing(self, world):
        world.append(READING, range(5))

        async def scenario(backlog):
            await backlog.begin()
            await all_of(backlog)
            other = encode_watermark(Watermark(backlog.numbering.epoch ^ 1, (None, 3, None)))
            heard = [backlog.heard(payload) for payload in (b"{}", other)]
            await backlog.follow_watermark()
            return heard

        assert world.run(scenario) == [False, False]
        assert world.store.reader().held(READING).delivered == 0
