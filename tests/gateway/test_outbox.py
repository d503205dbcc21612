# SPDX-License-Identifier: EUPL-1.2
"""The outbox: three lanes, what goes when there is no room, and what stays after the cloud has it."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.lorawan.errors import FieldRange
from decoders.records import (
    ALARM,
    DIAGNOSTIC,
    READING,
    Dropped,
    Event,
    Tombstone,
)
from decoders.uplink import Continues
from gateway.eviction import Dropping, joined
from gateway.outbox import Limits, Outbox
from tests.gateway.outbox_world import Alone, Rows, memory_outbox, uplink

T = 1_795_334_400
NODE, OTHER = "70b3d57ed1000001", "70b3d57ed1000002"


@pytest.fixture
def outbox() -> Alone:
    return memory_outbox()


def fill(outbox: Outbox, lane: int, uplinks: int, first: int = 0) -> None:
    for f_cnt in range(first, first + uplinks):
        outbox.append_record(lane, uplink(NODE if f_cnt % 2 else OTHER, f_cnt))


def tombstones(outbox: Outbox) -> list[Tombstone]:
    return [record for record in Rows(outbox).records(ALARM).values() if isinstance(record, Tombstone)]


class TestLanes:
    """decoders/README.md: each lane is counted by itself."""

    def test_every_lane_counts_from_one(self, outbox):
        rows = [outbox.append_record(lane, uplink(NODE, 1)) for lane in (2, 1, 1, 0, 2, 1)]

        assert rows == [1, 1, 2, 1, 2, 3]

    def test_what_happened_goes_into_the_alarm_lane(self, outbox):
        outbox.append_event("node_down", T + 0.5, dev_eui=NODE, time_quality="saved", detail={"silent_s": 7200})

        assert Rows(outbox).records(ALARM) == {1: Event("node_down", NODE, T + 0.5, "saved", {"silent_s": 7200.0})}

    def test_what_could_not_be_sent_is_refused_and_takes_no_number(self, outbox):
        with pytest.raises(FieldRange):
            outbox.append_event("Node down", T)

        assert outbox.append_event("node_down", T) == 1

    def test_bytes_are_those_of_the_rows(self, outbox):
        fill(outbox, READING, 10)
        outbox.confirm(READING, 4, 9, 4)

        rows = Rows(outbox).sizes(READING)
        lane = outbox.lanes()[READING]
        assert (lane.bytes, lane.delivered_bytes) == (sum(rows.values()), sum(rows[row] for row in (1, 2, 3, 4)))


class TestHorizon:
    """What the cloud has stays for a while: it may be restored from a backup."""

    def test_delivered_rows_stay_up_to_the_horizon_and_the_oldest_go(self, outbox):
        fill(outbox, READING, 100)
        size = max(Rows(outbox).sizes(READING).values())
        outbox.limits = Limits(1 << 30, size * 10)

        outbox.confirm(READING, 60, 9, 60)

        rows = Rows(outbox).records(READING)
        assert list(rows) == list(range(min(rows), 101))
        assert 45 <= min(rows) <= 51

    def test_a_watermark_that_goes_back_makes_them_undelivered_again(self, outbox):
        fill(outbox, READING, 10)
        outbox.confirm(READING, 8, 9, 8)
        outbox.confirm(READING, 3, 9, 3)

        lane = outbox.lanes()[READING]
        sizes = Rows(outbox).sizes(READING)
        assert (lane.first_seq, lane.delivered_seq, lane.last_seq) == (1, 3, 10)
        assert lane.delivered_bytes == sizes[1] + sizes[2] + sizes[3]

    def test_no_watermark_reaches_beyond_what_is_held(self, outbox):
        outbox.limits = Limits(1 << 30, 0)
        fill(outbox, READING, 10)
        outbox.confirm(READING, 5, 9, 5)

        outbox.confirm(READING, 2, 9, 2)
        low = outbox.lanes()[READING]
        outbox.confirm(READING, 99, 9, 99)
        high = outbox.lanes()[READING]

        assert (low.first_seq, low.delivered_seq, low.delivered_bytes) == (6, 5, 0)
        assert (high.first_seq, high.delivered_seq, high.bytes) == (11, 10, 0)

    def test_an_epoch_says_what_it_continues(self, outbox):
        fill(outbox, READING, 10)
        first = outbox.begin_epoch()
        outbox.confirm(READING, 8, first.epoch, 8)

        second = outbox.begin_epoch()

        assert second.epoch != first.epoch
        assert second.bases == (0, 0, 0)
        assert second.continues == (None, Continues(8, first.epoch, 8), None)

    def test_an_epoch_says_so_too_when_nothing_is_left_of_it(self, outbox):
        outbox.limits = Limits(1 << 30, 0)
        first = outbox.begin_epoch()
        fill(outbox, READING, 10)
        outbox.confirm(READING, 8, first.epoch, 8)

        second = outbox.begin_epoch()

        assert second.bases == (0, 8, 0)
        assert second.continues == (None, Continues(0, first.epoch, 8), None)

    def test_and_when_what_came_after_it_was_dropped(self, outbox):
        outbox.limits = Limits(3000, 0)
        first = outbox.begin_epoch()
        fill(outbox, READING, 10)
        outbox.confirm(READING, 8, first.epoch, 8)
        fill(outbox, READING, 100, first=10)

        second = outbox.begin_epoch()

        assert second.bases[READING] > 10
        assert second.continues[READING] == Continues(0, first.epoch, 8)

    def test_the_cloud_s_number_is_that_of_the_newest_row_that_counts_as_delivered(self, outbox):
        """A cloud that has lost what is not held any more cannot be sent it again."""
        outbox.limits = Limits(1 << 30, 0)
        first = outbox.begin_epoch()
        fill(outbox, READING, 10)
        outbox.confirm(READING, 5, first.epoch, 5)

        outbox.confirm(READING, 2, first.epoch, 2)

        assert outbox.begin_epoch().continues[READING] == Continues(0, first.epoch, 5)


class TestFull:
    """What goes when there is no room: what the cloud has, then the oldest of the highest lane over its room."""

    def test_it_never_holds_more_than_its_cap(self, outbox):
        outbox.limits = Limits(50_000, 10_000)

        for f_cnt in range(2000):
            outbox.append_record(READING, uplink(NODE, f_cnt))
            assert sum(lane.bytes for lane in outbox.lanes()) <= 50_000

    def test_what_the_cloud_has_goes_first_and_needs_no_tombstone(self, outbox):
        outbox.limits = Limits(14_000, 1 << 20)
        fill(outbox, READING, 200)
        outbox.confirm(READING, 150, 9, 150)

        fill(outbox, READING, 100, first=200)

        assert tombstones(outbox) == []
        assert outbox.lanes()[READING].first_seq > 1

    def test_a_single_row_that_the_cloud_has_goes_before_any_that_it_has_not(self, outbox):
        fill(outbox, READING, 2)
        outbox.confirm(READING, 1, 9, 1)
        outbox.limits = Limits(sum(Rows(outbox).sizes(READING).values()) + 10, 1 << 20)

        fill(outbox, READING, 1, first=2)

        assert (outbox.lanes()[READING].first_seq, tombstones(outbox)) == (2, [])

    def test_a_group_pushes_out_no_more_than_it_takes_and_a_little(self, outbox):
        outbox.limits = Limits(20_000, 0)
        fill(outbox, READING, 500)
        held = Rows(outbox).sizes(READING)

        outbox.transactions.run([lambda: fill(outbox, READING, 100, first=500)], lambda _results: None)

        first = outbox.lanes()[READING].first_seq
        gone = sum(size for row, size in held.items() if row < first)
        taken = sum(size for row, size in Rows(outbox).sizes(READING).items() if row > max(held))
        assert 0 < gone <= taken + 2 * 20_000 // 16  # room is made by sixteenths

    def test_an_uplink_that_is_there_many_times_is_one_and_the_rest_are_others(self, outbox):
        outbox.limits = Limits(20_000, 0)

        for _ in range(1000):
            outbox.append_record(READING, uplink(NODE, 7))

        [stone] = joined(tombstones(outbox))
        assert (stone.dropped, stone.others) == ((Dropped(NODE, 7, 7, 7, 1),), stone.last_seq - 1)
        assert stone.last_seq == outbox.lanes()[READING].first_seq - 1

    def test_tombstones_do_not_crowd_out_what_they_are_about(self, outbox):
        outbox.limits = Limits(50_000, 0)

        for f_cnt in range(1500):  # of ever new devices, each of them named
            outbox.append_record(READING, uplink(f"70b3d57e{f_cnt:08x}", f_cnt))

        alarms, readings, _ = outbox.lanes()
        assert alarms.bytes <= 50_000 / 8 + 50_000 / 16
        assert readings.bytes >= 50_000 / 2

    def test_tombstones_of_more_devices_than_one_may_name_are_joined_too(self, outbox):
        outbox.limits = Limits(400_000, 0)

        for first in range(0, 40_000, 100):
            works = [
                partial(outbox.append_record, READING, uplink(f"{n % 2000:016x}", n // 2000))
                for n in range(first, first + 100)
            ]
            outbox.transactions.run(works, lambda _results: None)

        stones = [stone for stone in tombstones(outbox) if stone.lane == READING]
        assert 0 < outbox.lanes()[ALARM].last_seq < 200
        assert outbox.lanes()[ALARM].bytes < 400_000 / 8 + 400_000 / 16
        assert sum(stone.last_seq - stone.first_seq + 1 for stone in stones) == outbox.lanes()[READING].first_seq - 1

    def test_however_many_there_are_a_few_are_joined_at_a_time(self, outbox, monkeypatch):
        """Each may take 12 KB: half of the lane of a full gateway took 22 s and 760 MB."""
        monkeypatch.setattr("gateway.outbox._CHUNK_BYTES", 1000)
        monkeypatch.setattr("gateway.outbox._JOINED_BYTES", 1000)
        monkeypatch.setattr("gateway.outbox._MORE", 2)
        monkeypatch.setattr("gateway.eviction.MAX_DROPPED", 3)
        outbox.limits = Limits(60_000, 0)
        steps = []

        for n in range(4000):
            before = outbox.lanes()[ALARM]
            outbox.append_record(READING, uplink(f"{n % 9:016x}", n // 9))
            alarms = outbox.lanes()[ALARM]
            steps.append(alarms.first_seq - before.first_seq)
            assert alarms.bytes < 1.3 * 60_000 / 8

        # The smallest takes 43 bytes and more, by its epoch: 2000 bytes are at most 47; half the lane would be 59.
        assert 10 < max(steps) <= 48

    def test_diagnostics_go_before_readings_but_keep_their_reserve(self, outbox):
        outbox.limits = Limits(40_000, 0)
        fill(outbox, DIAGNOSTIC, 100)

        fill(outbox, READING, 1000)

        alarms, readings, diagnostics = outbox.lanes()
        assert 0 < diagnostics.bytes <= 40_000 / 16
        assert {stone.lane for stone in tombstones(outbox)} == {READING, DIAGNOSTIC}
        assert readings.bytes > 30_000
        assert alarms.bytes < 40_000 / 8

    def test_alarms_stay_when_readings_overflow(self, outbox):
        outbox.limits = Limits(40_000, 0)
        for n in range(20):
            outbox.append_event("node_down", T + n, dev_eui=NODE)

        fill(outbox, READING, 1000)

        kinds = [record.kind for record in Rows(outbox).records(ALARM).values() if isinstance(record, Event)]
        assert kinds == ["node_down"] * 20

    def test_a_tombstone_names_exactly_what_is_gone(self, outbox):
        outbox.limits = Limits(30_000, 0)
        epoch = outbox.begin_epoch().epoch

        fill(outbox, READING, 600)

        held = Rows(outbox).records(READING)
        gone = set(range(1, 601)) - held.keys()
        stones = tombstones(outbox)
        assert {row for stone in stones for row in range(stone.first_seq, stone.last_seq + 1)} == gone
        assert {(stone.epoch, stone.lane, stone.others) for stone in stones} == {(epoch, READING, 0)}
        for node in (NODE, OTHER):
            counters = {row - 1 for row in gone if (NODE if (row - 1) % 2 else OTHER) == node}
            rows = [row for stone in stones for row in stone.dropped if row.dev_eui == node]
            assert sum(row.uplinks for row in rows) == len(counters)
            assert min(row.first_f_cnt for row in rows) == min(counters)
            assert max(row.last_f_cnt for row in rows) == max(counters)

    def test_its_times_are_those_of_what_is_gone(self, outbox):
        outbox.limits = Limits(30_000, 0)

        fill(outbox, READING, 600)

        first = tombstones(outbox)[0]
        assert first.first_at == T
        assert first.last_at == T + first.last_seq - 1

    def test_rows_and_tombstones_come_or_go_together(self, outbox):
        outbox.limits = Limits(30_000, 0)
        fill(outbox, READING, 150)
        before = Rows(outbox).everything()

        def fill_and_fail() -> None:
            fill(outbox, READING, 100, first=150)
            raise RuntimeError

        outbox.transactions.run([fill_and_fail], lambda results: None)

        assert Rows(outbox).everything() == before

    def test_numbers_of_a_tombstone_count_in_its_own_epoch(self, outbox):
        fill(outbox, READING, 100)
        outbox.confirm(READING, 40, 9, 40)
        outbox.limits = Limits(1 << 30, 0)
        outbox.confirm(READING, 40, 9, 40)
        epoch = outbox.begin_epoch().epoch
        outbox.limits = Limits(3_000, 0)

        fill(outbox, READING, 1, first=100)

        assert [(stone.epoch, stone.first_seq) for stone in tombstones(outbox)][:1] == [(epoch, 1)]

    def test_a_row_that_nobody_can_read_is_counted_as_well(self, outbox):
        fill(outbox, READING, 50)
        outbox._db.execute("UPDATE outbox_1 SET record = zeroblob(length(record)) WHERE seq = 3")
        outbox.limits = Limits(2_000, 0)

        fill(outbox, READING, 1, first=50)

        assert sum(stone.others for stone in tombstones(outbox)) == 1

    def test_while_the_disk_is_short_the_oldest_makes_room_for_the_new(self, outbox):
        fill(outbox, READING, 2000)
        (pages,) = outbox._db.execute("PRAGMA page_count").fetchone()
        outbox._db.execute(f"PRAGMA max_page_count = {pages}")
        outbox.disk_short(True)

        fill(outbox, READING, 2000, first=2000)

        rows = Rows(outbox).records(READING)
        assert max(rows) == 4000
        assert len(rows) > 800
        assert tombstones(outbox)


class TestTombstones:
    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), max_size=12))
    @settings(max_examples=50)
    def test_joined_they_say_the_same(self, pieces):
        """Pieces of some epochs, neighbours or with gaps, in any order: the same numbers and counts."""
        stones, at = [], dict.fromkeys(range(4), 1)
        for epoch, uplinks in pieces:
            first = at[epoch] + (uplinks % 3 == 0)
            last = first + uplinks - 1
            at[epoch] = last + 1
            row = Dropped(NODE if uplinks % 2 else OTHER, 7, first, last, uplinks)
            stones.append(Tombstone(epoch, READING, first, last, T + first, T + last, 0, (row,)))

        result = joined(reversed(stones))

        assert numbers(result) == numbers(stones)
        assert uplinks_of(result) == uplinks_of(stones)
        assert len(result) <= len(stones)

    def test_of_too_many_devices_those_with_most_uplinks_are_named_and_the_rest_is_counted(self, monkeypatch):
        monkeypatch.setattr("gateway.eviction.MAX_DROPPED", 2)
        few, many, more = Dropped(NODE, 1, 0, 0, 1), Dropped(OTHER, 1, 0, 4, 5), Dropped(OTHER, 2, 7, 9, 3)
        first = Tombstone(1, READING, 1, 7, T, T + 1, 1, (few, many))
        second = Tombstone(1, READING, 8, 10, T, T + 2, 0, (more,))

        assert joined([second, first]) == [Tombstone(1, READING, 1, 10, T, T + 2, 2, (many, more))]

    def test_one_that_spans_another_stands_for_both(self):
        row = Dropped(NODE, 1, 0, 9, 10)
        small = Tombstone(1, READING, 1, 10, T, T, 0, (row,))
        large = Tombstone(1, READING, 1, 20, T, T, 10, (row,))

        assert joined([small, large]) == [large]

    def test_it_names_at_most_a_thousand_devices(self):
        dropping = Dropping(1, READING, 1)

        taken = [dropping.take(uplink(f"{n:016x}", 1)) for n in range(1001)]

        assert taken == [True] * 1000 + [False]
        assert [len(stone.dropped) for stone in dropping.tombstones()] == [1000]

    def test_tombstones_that_have_to_go_live_on_in_newer_ones(self, outbox):
        outbox.limits = Limits(20_000, 0)
        epoch = outbox.begin_epoch().epoch

        for n in range(3000):
            outbox.append_record(READING, uplink(f"70b3d57ed1{n % 150:06x}", n))

        stones = [stone for stone in tombstones(outbox) if stone.lane == READING]
        held = Rows(outbox).records(READING)
        assert numbers(stones) == {(epoch, READING, row) for row in range(1, min(held))}
        assert sum(uplinks_of(stones).values()) == min(held) - 1
        assert outbox.lanes()[ALARM].first_seq > 1


def numbers(stones: list[Tombstone]) -> set[tuple[int, int, int]]:
    return {(s.epoch, s.lane, seq) for s in stones for seq in range(s.first_seq, s.last_seq + 1)}


def uplinks_of(stones: list[Tombstone]) -> dict[tuple[int, str], int]:
    total: dict[tuple[int, str], int] = {}
    for stone in stones:
        for row in stone.dropped:
            total[stone.epoch, row.dev_eui] = total.get((stone.epoch, row.dev_eui), 0) + row.uplinks
    return total
