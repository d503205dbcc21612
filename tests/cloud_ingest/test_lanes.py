# SPDX-License-Identifier: EUPL-1.2
"""Lanes of a gateway, and what they bring beside uplinks: events, tombstones, and doubts about the time."""

import json
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest import cli, streams
from cloud_ingest.gaps import Gap, gaps
from cloud_ingest.store import SqliteStore
from decoders.records import ALARM, DIAGNOSTIC, READING, Dropped, Event, Record, Tombstone
from decoders.uplink import Batch, Continues, Watermark, encode_batch
from tests.cloud_ingest.serving import served
from tests.cloud_ingest.world import GATEWAY, HOUR, NODES, START, UP, batch, observations, opened, sample, uplink

DOWN = Event("node_down", NODES[0], START + 0.5, "ntp", {"silent_h": 3.0})
FULL = Event("disk_short", None, START + 9.0, "saved", {"free_mb": 12.0})


def lane(number: int, *records: Record, first_seq: int = 1, oldest_seq: int = 1, **changes: Any) -> bytes:
    return encode_batch(
        Batch(GATEWAY, 1, number, min(oldest_seq, first_seq), first_seq, None, records)._replace(**changes)
    )


def message(step: int, **changes: Any) -> Any:
    return uplink(1, NODES[0], step, sample(START + step * HOUR, 20.0))[1]._replace(**changes)


@pytest.fixture
def world(tmp_path):
    store, ingest = opened(tmp_path / "stadtfunk.db")
    yield store, ingest
    store.close()


class TestLanes:
    def test_each_has_its_own_numbers_and_its_own_place_in_the_watermark(self, world):
        _, ingest = world

        ingest.apply(UP, lane(DIAGNOSTIC, message(0), message(1), message(2)))
        ingest.apply(UP, lane(READING, message(3), first_seq=2))
        applied = ingest.apply(UP, lane(ALARM, DOWN))

        assert applied.watermark == Watermark(1, (1, 0, 3))

    def test_one_of_which_nothing_has_come_is_null_and_not_nought(self, world):
        """decoders/README.md, "The uplink message": nought would have its gateway send again what it keeps."""
        _, ingest = world

        before = ingest.apply(UP, lane(READING, message(0)))
        after = ingest.apply(UP, lane(ALARM, first_seq=3, epoch=1, oldest_seq=1))

        assert before.watermark == Watermark(1, (None, 1, None))
        assert after.watermark == Watermark(1, (0, 1, None))

    def test_an_epoch_that_continues_another_takes_over_what_that_one_had(self, world):
        _, ingest = world
        ingest.apply(UP, lane(READING, message(0), message(1), message(2)))

        applied = ingest.apply(UP, lane(READING, message(3), first_seq=4, epoch=2, continues=Continues(3, 1, 3)))

        assert applied.watermark == Watermark(2, (None, 4, None))

    def test_it_takes_over_nothing_that_the_store_does_not_have(self, world):
        store, ingest = world
        ingest.apply(UP, lane(READING, message(0), message(1)))  # a store from a backup: it once had three

        early = ingest.apply(UP, lane(READING, message(3), first_seq=4, epoch=2, continues=Continues(3, 1, 3)))
        late = ingest.apply(UP, lane(READING, message(2), first_seq=3))

        assert early.watermark == Watermark(2, (None, 0, None))
        assert late.watermark == Watermark(1, (None, 3, None))
        assert streams.watermark(store, GATEWAY, 2) == Watermark(2, (None, 4, None))

    def test_what_it_has_no_more_of_the_one_before_is_a_gap_there(self, world):
        """A store from a backup; the gateway has been started anew since, and has nothing below what both have."""
        store, ingest = world
        ingest.apply(UP, lane(READING, message(0), message(1)))

        ingest.apply(UP, lane(READING, message(9), first_seq=4, epoch=2, continues=Continues(3, 1, 9)))

        assert [(gap.epoch, gap.first_seq, gap.last_seq) for gap in gaps(store)] == [(1, 3, 6)]
        assert streams.watermark(store, GATEWAY, 2) == Watermark(2, (None, 0, None))

    def test_also_if_they_have_nothing_in_common_any_more(self, world):
        store, ingest = world
        ingest.apply(UP, lane(READING, message(0), message(1)))

        ingest.apply(UP, lane(READING, message(9), epoch=2, continues=Continues(0, 1, 9)))

        assert [(gap.epoch, gap.first_seq, gap.last_seq) for gap in gaps(store)] == [(1, 3, 9)]
        assert streams.watermark(store, GATEWAY, 2) == Watermark(2, (None, 1, None))

    def test_what_both_had_is_no_gap_even_if_the_gateway_has_dropped_it_before_it_said_so(self, world):
        store, ingest = world
        ingest.apply(UP, lane(READING, message(0), message(1), message(2)))

        batch = lane(READING, message(4), first_seq=5, oldest_seq=3, epoch=2, continues=Continues(3, 1, 3))
        ingest.apply(UP, batch)

        assert gaps(store) == []
        assert streams.watermark(store, GATEWAY, 2) == Watermark(2, (None, 3, None))

    def test_of_what_both_had_nothing_is_taken_over_while_a_part_is_a_gap(self, world):
        store, ingest = world
        ingest.apply(UP, lane(READING, message(0)))
        ingest.apply(UP, lane(READING, message(4), first_seq=5, oldest_seq=5))

        ingest.apply(UP, lane(READING, first_seq=6, epoch=2, continues=Continues(5, 1, 5)))

        assert streams.watermark(store, GATEWAY, 2) == Watermark(2, (None, 0, None))

    def test_it_goes_on_over_several_epochs(self, world):
        store, ingest = world
        ingest.apply(UP, lane(READING, first_seq=3, epoch=3, continues=Continues(2, 2, 2)))
        ingest.apply(UP, lane(READING, first_seq=3, epoch=2, continues=Continues(2, 1, 2)))

        ingest.apply(UP, lane(READING, message(0), message(1)))

        assert streams.watermark(store, GATEWAY, 3) == Watermark(3, (None, 2, None))


class TestEvents:
    def test_each_is_kept_once_however_often_and_under_whatever_number_it_comes(self, world):
        store, ingest = world

        ingest.apply(UP, lane(ALARM, DOWN, FULL))
        ingest.apply(UP, lane(ALARM, FULL, DOWN, epoch=2))

        rows = store.db.execute("SELECT kind, dev_eui, at, time_quality, detail FROM gateway_events ORDER BY at")
        assert rows.fetchall() == [
            ("node_down", NODES[0], START + 0.5, "ntp", '{"silent_h": 3.0}'),
            ("disk_short", "", START + 9.0, "saved", '{"free_mb": 12.0}'),
        ]

    def test_the_operator_reads_them_and_the_public_only_their_number(self, tmp_path):
        with served(tmp_path) as city:
            city.feed(UP, lane(ALARM, DOWN, FULL))
            public = [city.ask(path).text for path in ("/metrics", "/api/status", "/api/crew", "/v1.1/Things")]
        (tmp_path / "ingest.toml").write_text('[store]\npath = "store.db"\n')

        shown = CliRunner().invoke(cli.ingest, ["events", "--config", str(tmp_path / "ingest.toml")]).output

        assert shown.splitlines() == [
            f"2026-07-01T00:00:00Z {GATEWAY} node_down {NODES[0]} silent_h=3.0",
            f"2026-07-01T00:00:09Z (time saved) {GATEWAY} disk_short free_mb=12.0",
        ]
        assert 'stadtfunk_ingest_total{what="gateway_events",outcome="node_down"} 1' in public[0]
        assert not any(NODES[0] in text or GATEWAY in text for text in public)


def tombstone(first_seq: int, last_seq: int, epoch: int = 1) -> Tombstone:
    count = last_seq - first_seq + 1
    dropped = (Dropped(NODES[0], 7, 100 + first_seq, 100 + last_seq, count),)
    return Tombstone(epoch, READING, first_seq, last_seq, START, START + 60.0, 0, dropped)


class TestTombstones:
    def test_what_a_gateway_dropped_is_named_and_the_rest_of_a_gap_is_unexplained(self, world):
        store, ingest = world
        ingest.apply(UP, lane(READING, message(0)))
        ingest.apply(UP, lane(READING, message(1), first_seq=10, oldest_seq=10))

        ingest.apply(UP, lane(ALARM, tombstone(3, 6)))

        assert gaps(store) == [
            Gap(GATEWAY, 1, READING, 2, 2, 1, False, None, None, []),
            Gap(GATEWAY, 1, READING, 3, 6, 4, True, START, START + 60.0, [[NODES[0], 7, 103, 106, 4]]),
            Gap(GATEWAY, 1, READING, 7, 9, 3, False, None, None, []),
        ]
        assert gaps(store, "0000000000000000") == []

    def test_what_came_nevertheless_is_not_missing(self, world):
        store, ingest = world
        ingest.apply(UP, lane(ALARM, tombstone(1, 2)))

        ingest.apply(UP, lane(READING, message(0)))

        assert [gap.missing for gap in gaps(store)] == [1]

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_one_that_spans_another_stands_for_both(self, world, order):
        store, ingest = world
        told = [lane(ALARM, tombstone(3, 6)), lane(ALARM, tombstone(3, 9), first_seq=2)]

        for i in order:
            ingest.apply(UP, told[i])

        assert [(gap.first_seq, gap.last_seq) for gap in gaps(store)] == [(3, 9)]

    def test_the_operator_reads_it(self, world, tmp_path):
        _, ingest = world
        ingest.apply(UP, lane(ALARM, tombstone(3, 6)))
        ingest.apply(UP, lane(READING, message(1), first_seq=2, oldest_seq=2))
        (tmp_path / "ingest.toml").write_text("")

        def printed(*words: str) -> str:
            return CliRunner().invoke(cli.ingest, ["gaps", *words, "--config", str(tmp_path / "ingest.toml")]).output

        assert printed().splitlines() == [
            f"unexplained {GATEWAY} epoch 1 readings 1..1: 1 missing",
            f"dropped {GATEWAY} epoch 1 readings 3..6: 4 missing, from 2026-07-01T00:00:00Z to 2026-07-01T00:01:00Z",
            f"  {NODES[0]} session 7 f_cnt 103..106: 4 uplinks",
            "5 records missing",
        ]
        assert [gap["named"] for gap in json.loads(printed("--gateway", GATEWAY, "--json"))] == [False, True]
        assert printed("--gateway", "0016c001ff10a0ff") == "Error: nothing has come of a gateway 0016c001ff10a0ff\n"


class TestTimeQuality:
    @pytest.mark.parametrize("quality", ["saved", "unset"])
    def test_an_uncertain_time_is_told_to_the_public(self, tmp_path, quality):
        with served(tmp_path) as city:
            city.feed(UP, lane(READING, message(0), message(1, time_quality=quality)))
            values = city.get("/v1.1/Observations?$orderby=phenomenonTime&$filter=Datastream/id eq 1")["value"]
            latest = city.get("/api/trees")["features"][0]["properties"]["latest"]["soil_moisture"]
            series = city.get("/api/trees/J-0001/series?quantity=soil_moisture")

        assert [value.get("resultQuality") for value in values] == [None, {"time": "uncertain"}]
        assert latest["time_uncertain"] is True
        assert series["times_uncertain"] == 1

    def test_a_fault_of_uncertain_time_is_both(self, tmp_path):
        with served(tmp_path) as city:
            fault = uplink(1, NODES[0], 0, sample(START, "no_answer"))[1]._replace(time_quality="saved")
            city.feed(UP, lane(READING, fault))
            [value, _] = city.get("/v1.1/Observations")["value"]

        assert value["resultQuality"] == {"flag": "no_answer", "time": "uncertain"}

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_the_same_reading_with_a_sure_time_stays(self, world, order):
        store, ingest = world
        received = [message(0, time_quality="saved"), message(0, key=message(1).key, received_at=START + 900.0)]

        for i in order:
            ingest.apply(UP, lane(READING, received[i], first_seq=i + 1))

        assert store.db.execute("SELECT DISTINCT time_quality, received_at FROM observations").fetchall() == [
            (None, START + 900.0)
        ]


RECORDS = st.sampled_from([*(message(step) for step in range(6)), DOWN, FULL, tombstone(3, 6), tombstone(3, 9)])
BATCHES = st.lists(
    st.builds(
        lambda number, first, records, epoch, oldest, continues: lane(
            number, *records, first_seq=first, oldest_seq=oldest, epoch=epoch, continues=continues
        ),
        st.sampled_from((ALARM, READING, DIAGNOSTIC)),
        st.integers(1, 6),
        st.lists(RECORDS, max_size=3),
        st.integers(1, 3),
        st.integers(1, 6),
        st.none() | st.builds(Continues, st.integers(1, 4), st.integers(1, 3), st.integers(1, 4)),
    ),
    min_size=1,
    max_size=6,
)
TABLES = {
    "applied": "*",
    "gaps": "*",
    "watermarks": "*",
    "continued": "*",
    "dropped": "*",
    "uplinks": "*",
    "gateway_events": "gateway_eui, kind, dev_eui, at, time_quality, detail",
}


def tables(store: SqliteStore) -> list[Any]:
    found = [sorted(store.db.execute(f"SELECT {columns} FROM {table}")) for table, columns in TABLES.items()]
    return [observations(store), *found]


class TestAnyOrder:
    @settings(max_examples=60, deadline=None)
    @given(BATCHES, st.randoms(), st.integers(1, 4))
    def test_batches_in_any_order_any_number_of_times_and_grouped_in_any_way_make_the_same_tables(
        self, batches, random, group
    ):
        shuffled = random.sample([*batches, *batches[:3]], len(batches) + len(batches[:3]))
        (one, ingest), (other, ingest_grouped) = opened(":memory:"), opened(":memory:")

        for payload in batches:
            ingest.apply(UP, payload)
        for i in range(0, len(shuffled), group):
            ingest_grouped.apply_all([ingest_grouped.read(UP, payload) for payload in shuffled[i : i + group]])

        assert tables(one) == tables(other)
        one.close()
        other.close()


class TestRestored:
    def test_a_store_from_yesterdays_backup_ends_with_everything_once(self, tmp_path):
        messages = [uplink(n + 1, NODES[n % 3], n, sample(START + n * HOUR, 20.0)) for n in range(40)]
        store, ingest = opened(tmp_path / "today.db")
        ingest.apply(UP, batch(*messages[:15]))
        with_backup = SqliteStore(tmp_path / "yesterday.db")
        store.db.backup(with_backup.db)
        with_backup.close()
        ingest.apply(UP, batch(*messages[15:30]))
        assert streams.watermark(store, GATEWAY, 1) == Watermark(1, (None, 30, None))
        store.close()

        restored, ingest = opened(tmp_path / "yesterday.db")
        gone_back = ingest.apply(UP, batch(*messages[30:], oldest_seq=11))  # the horizon begins at 11
        again = ingest.apply(UP, batch(*messages[10:30], oldest_seq=11))

        assert gone_back.watermark == Watermark(1, (None, 15, None))
        assert again.watermark == Watermark(1, (None, 40, None))
        moist = [row[:1] + row[2:4] for row in observations(restored) if row[1] == "soil_moisture"]
        assert moist == sorted((NODES[n % 3], START + n * HOUR, 20.0) for n in range(40))
        assert gaps(restored) == []
        restored.close()

    def test_what_is_beyond_the_horizon_is_a_gap_that_everybody_can_see(self, tmp_path):
        restored, ingest = opened(tmp_path / "yesterday.db")

        ingest.apply(
            UP, batch(*(uplink(n, NODES[0], n, sample(START + n * HOUR, 20.0)) for n in (9, 10)), oldest_seq=9)
        )

        assert [(gap.first_seq, gap.last_seq, gap.named) for gap in gaps(restored)] == [(1, 8, False)]
        restored.close()
