# SPDX-License-Identifier: EUPL-1.2
"""What gateways dropped, and of that what is missing: a gateway cannot know what had arrived and was not confirmed."""

import re

import pytest

from cloud_ingest.gaps import gaps
from decoders.records import ALARM, READING, Dropped, Event, Record, Tombstone, UplinkKey
from decoders.uplink import Batch, encode_batch
from tests.cloud_ingest.serving import served
from tests.cloud_ingest.world import GATEWAY, HOUR, NODES, START, UP, opened, sample, uplink


def lane(number: int, *records: Record, first_seq: int = 1, oldest_seq: int = 1, epoch: int = 1) -> bytes:
    return encode_batch(Batch(GATEWAY, epoch, number, min(oldest_seq, first_seq), first_seq, None, records))


def message(f_cnt: int):
    return uplink(1, NODES[0], f_cnt, sample(START + f_cnt * HOUR, 20.0))[1]


def tombstone(
    first_seq: int, last_seq: int, f_cnts: tuple[int, int], uplinks: int, *, epoch: int = 1, others: int = 0
) -> Tombstone:
    dropped = (Dropped(NODES[0], 1, *f_cnts, uplinks),)
    return Tombstone(epoch, READING, first_seq, last_seq, START, START + 60.0, others, dropped)


@pytest.fixture
def world(tmp_path):
    store, ingest = opened(tmp_path / "stadtfunk.db")
    yield store, ingest
    store.close()


class TestDropped:
    def test_what_had_arrived_in_an_epoch_before_is_not_missing(self, world):
        store, ingest = world
        ingest.apply(UP, lane(READING, *map(message, range(4))))  # whose watermark the gateway never heard
        ingest.apply(UP, lane(ALARM, tombstone(1, 4, (0, 3), 4, epoch=2), epoch=2))

        ingest.apply(UP, lane(READING, message(4), first_seq=5, oldest_seq=5, epoch=2))

        assert gaps(store) == []

    @pytest.mark.parametrize("first", ["tombstone", "uplinks"])
    def test_of_what_arrived_in_part_the_rest_is_missing_whichever_came_first(self, world, first):
        store, ingest = world
        told = [lane(ALARM, tombstone(1, 4, (0, 3), 4, epoch=2), epoch=2), lane(READING, message(0), message(2))]

        for payload in told if first == "tombstone" else told[::-1]:
            ingest.apply(UP, payload)

        assert [(gap.epoch, gap.missing) for gap in gaps(store)] == [(2, 2)]

    def test_what_is_no_uplink_has_no_key_and_stays_missing(self, world):
        store, ingest = world
        ingest.apply(UP, lane(READING, message(0), message(1)))

        ingest.apply(UP, lane(ALARM, tombstone(1, 3, (0, 1), 2, epoch=2, others=1), epoch=2))

        assert [gap.missing for gap in gaps(store)] == [1]

    def test_counters_between_those_dropped_are_not_taken_for_them(self, world):
        store, ingest = world
        ingest.apply(UP, lane(READING, message(1), message(2)))

        ingest.apply(UP, lane(ALARM, tombstone(1, 2, (0, 3), 2, epoch=2), epoch=2))  # 0 and 3

        assert [gap.missing for gap in gaps(store)] == [2]

    def test_another_session_s_counters_are_not_taken_for_them(self, world):
        store, ingest = world
        other = message(0)._replace(key=UplinkKey(NODES[0], 2, 0))
        ingest.apply(UP, lane(READING, other))

        ingest.apply(UP, lane(ALARM, tombstone(1, 1, (0, 0), 1, epoch=2), epoch=2))

        assert [gap.missing for gap in gaps(store)] == [1]


class TestFigures:
    """README.md, "GET /api/status" and "What is counted"."""

    def test_what_is_in_the_store_is_lost_in_no_figure(self, tmp_path):
        with served(tmp_path) as city:
            city.feed(UP, lane(READING, *map(message, range(4))))
            city.feed(UP, lane(ALARM, tombstone(1, 4, (0, 3), 4, epoch=2), epoch=2))
            city.feed(UP, lane(READING, message(4), first_seq=5, oldest_seq=5, epoch=2))
            status, metrics = city.get("/api/status"), city.ask("/metrics").text

        assert status["uplinks_lost_at_gateways"] == 0
        assert re.findall(r"^stadtfunk_records_dropped_by_gateways (\d+)$", metrics, re.MULTILINE) == ["0"]

    def test_what_was_dropped_and_what_is_unexplained_is_lost_once(self, tmp_path):
        with served(tmp_path) as city:
            city.feed(UP, lane(READING, message(0)))
            city.feed(UP, lane(ALARM, tombstone(2, 5, (1, 4), 4)))
            city.feed(UP, lane(READING, message(9), first_seq=8, oldest_seq=8))  # 6 and 7: nobody knows
            status, metrics = city.get("/api/status"), city.ask("/metrics").text

        assert status["uplinks_lost_at_gateways"] == 6
        assert re.findall(r"^stadtfunk_records_dropped_by_gateways (\d+)$", metrics, re.MULTILINE) == ["4"]

    def test_events_of_gateways_are_no_uplinks(self, tmp_path):
        with served(tmp_path) as city:
            city.feed(UP, lane(READING, message(0)))
            city.feed(UP, lane(ALARM, Event("node_down", NODES[0], START, "ntp", {}), first_seq=5, oldest_seq=5))
            status = city.get("/api/status")

        assert (status["gaps"], status["uplinks_lost_at_gateways"]) == (1, 0)
