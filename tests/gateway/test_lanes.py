# SPDX-License-Identifier: EUPL-1.2
"""What is known of a lane and the rows at its end, before either is in its table."""

from collections.abc import Callable

from decoders.records import READING
from gateway.outbox import Limits
from tests.gateway.outbox_world import Alone, Rows, memory_outbox, uplink

NODE = "70b3d57ed1000001"


class TestDraft:
    def test_what_is_known_has_the_new_rows_before_the_table_has_them(self):
        outbox = memory_outbox()

        with outbox.transactions.one():
            outbox.append_packed(READING, bytes(84))
            lane = outbox.lanes()[READING]
            in_the_table = outbox._db.execute("SELECT count(*) FROM outbox_1").fetchone()

        assert (lane.first_seq, lane.last_seq, lane.bytes) == (1, 1, 100)
        assert in_the_table == (0,)

    def test_a_change_counts_new_rows_once(self):
        outbox = memory_outbox()

        with outbox.transactions.one():
            outbox.append_packed(READING, bytes(84))
            outbox._lanes.change(outbox.lanes()[READING]._replace(confirmed_epoch=9, confirmed_seq=0))
            outbox.append_packed(READING, bytes(34))
            total = outbox._lanes.bytes

        lane = outbox.lanes()[READING]
        assert (lane.last_seq, lane.bytes, lane.confirmed_epoch, total) == (2, 150, 9, 150)

    def test_its_table_has_all_rows_for_whoever_reads_it(self):
        outbox = memory_outbox()

        with outbox.transactions.one():
            outbox.append_packed(READING, b"one")
            rows = outbox._db.execute(f"SELECT * FROM {outbox._lanes.table(READING)}").fetchall()

        assert rows == [(1, b"one")]


class TestRoom:
    def test_records_whose_works_failed_push_nothing_out(self):
        outbox = memory_outbox()
        outbox.limits = Limits(3000, 0)

        outbox.transactions.run([*(failing(outbox) for _ in range(20)), lambda: fill(outbox, 20)], lambda _: None)

        assert outbox.lanes()[READING].first_seq == 1
        assert outbox.lanes()[0].last_seq == 0

    def test_while_the_disk_is_short_a_group_takes_the_pages_of_the_oldest_in_one_transaction(self):
        outbox, works = memory_outbox(), [lambda: outbox.append_packed(READING, bytes(3000))] * 100
        for _ in range(5):
            outbox.transactions.run(works, lambda _: None)
        (pages,) = outbox._db.execute("PRAGMA page_count").fetchone()
        outbox._db.execute(f"PRAGMA max_page_count = {pages}")
        outbox.disk_short(True)
        before = outbox.transactions.commits
        results: list[object] = []

        outbox.transactions.run(works, results.extend)

        assert results == list(range(501, 601))
        assert outbox.transactions.commits == before + 1
        assert max(Rows(outbox).sizes(READING)) == 600


def fill(outbox: Alone, records: int) -> None:
    for f_cnt in range(records):
        outbox.append_record(READING, uplink(NODE, f_cnt))


def failing(outbox: Alone) -> Callable[[], None]:
    def work() -> None:
        fill(outbox, 5)
        raise RuntimeError

    return work
