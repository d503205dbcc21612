# SPDX-License-Identifier: EUPL-1.2
"""Doubts in the store: the same whatever order readings come in, and in however many turns they are judged."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest import judge, station_judge, suspects
from cloud_ingest.station_judge import Memory
from cloud_ingest.store import SqliteStore
from decoders.senml import Reading
from tests.cloud_ingest.world import (
    COUNTER,
    HOUR,
    SNIFFER,
    START,
    UP,
    batch,
    observations,
    opened,
    sample,
    small_city,
    uplink,
    with_stations,
)

CITY = small_city(**with_stations())
DAY = 86400
MIGRATIONS = Path(station_judge.__file__).with_name("migrations")


@pytest.fixture
def world(tmp_path):
    store, ingest = opened(tmp_path / "store.db", CITY)
    yield store, ingest
    store.close()


def air(hour: float, dust: float | str, humidity: float | str | None = None) -> list[Reading]:
    """A sample of the air node; ``dust`` in ug/m3 or a fault. Its climate moves with every hour."""
    at = START + int(hour * HOUR)
    value, fault = (None, dust) if isinstance(dust, str) else (dust, None)
    damp = round(60.0 + hour % 7, 1) if humidity is None else humidity
    return [
        Reading("pm2_5", "ug/m3", at, value, fault),
        Reading("pm10", "ug/m3", at, None if value is None else value + 5.0, fault),
        Reading("relative_humidity", "%", at, *((None, damp) if isinstance(damp, str) else (damp, None))),
        Reading("air_temperature", "Cel", at, round(10 + hour % 24 / 10, 1), None),
    ]


def told(ingest: Any, readings: list[Reading], seq: int, dev_eui: str = SNIFFER) -> None:
    """Received at one time, long after they were sampled."""
    ingest.apply(UP, batch(uplink(seq, dev_eui, seq, readings, START + 100 * DAY)))


def judged(store: SqliteStore, memory: Memory | None = None, hours: float = 24 * 365) -> None:
    """All that is marked, as the writer does it; by one who remembers nothing, unless told."""
    while waiting := judge.marked(store):
        judge.judge_marked(store, CITY, waiting[0], START + hours * HOUR, {} if memory is None else memory)


def doubts(store: SqliteStore, but: str = "flat") -> list[tuple[Any, ...]]:
    """(quantity, reason, first hour, last hour); ``but`` those of this reason."""
    return store.db.execute(
        "SELECT d.quantity, s.reason, (s.first_at - ?) / 3600, (s.last_at - ?) / 3600 FROM suspects s "
        "JOIN datastreams d ON d.id = s.datastream WHERE s.reason <> ? ORDER BY s.reason, d.quantity, s.first_at",
        (START, START, but),
    ).fetchall()


class TestStretches:
    def test_a_flat_line_is_doubted_from_its_first_to_its_last_reading(self, world):
        store, ingest = world
        for hour in range(40):
            told(ingest, air(hour, 8.0 if 5 <= hour <= 30 else 8.0 + hour), hour + 1)

        judged(store)

        assert doubts(store) == [("pm10", "stuck", 5, 30), ("pm2_5", "stuck", 5, 30)]

    def test_it_grows_with_every_reading_that_goes_on_with_it(self, world):
        store, ingest = world
        for hour in range(27):
            told(ingest, air(hour, 8.0), hour + 1)
            judged(store)
            expected = [("pm10", "stuck", 0, hour), ("pm2_5", "stuck", 0, hour)] if hour >= 24 else []
            assert doubts(store) == expected

    def test_its_beginning_is_kept_for_longer_than_we_look_back(self, world):
        store, ingest = world
        for hour in range(100):
            told(ingest, air(hour, 8.0), hour + 1)
            judged(store)

        assert doubts(store) == [("pm10", "stuck", 0, 99), ("pm2_5", "stuck", 0, 99)]

    def test_a_late_reading_splits_a_long_line_and_what_is_left_is_judged_by_its_own_length(self, world):
        store, ingest = world
        for hour in range(100):
            told(ingest, air(hour, 8.0), hour + 1)
        judged(store)

        told(ingest, air(90.5, 9.0), 200)
        judged(store)

        assert doubts(store) == [("pm10", "stuck", 0, 90), ("pm2_5", "stuck", 0, 90)]

    def test_humid_days_are_one_stretch_and_a_dry_hour_between_makes_two(self, world):
        store, ingest = world
        for hour in range(120):
            told(ingest, air(hour, 8.0 + hour % 2, 50.0 if hour in (7, 70) else 97.0), hour + 1)
            judged(store)

        assert doubts(store) == [
            (dust, "humid", *hours) for dust in ("pm10", "pm2_5") for hours in ((0, 6), (8, 69), (71, 119))
        ]

    def test_humid_air_days_later_is_another_stretch(self, world):
        store, ingest = world
        for hour in range(100):
            told(ingest, air(hour, 8.0 + hour % 2, 97.0 if hour in (0, 60) else 50.0), hour + 1)
            judged(store)

        assert doubts(store) == [(dust, "humid", hour, hour) for dust in ("pm10", "pm2_5") for hour in (0, 60)]

    def test_a_late_reading_that_moves_takes_the_doubt_away(self, world):
        store, ingest = world
        for hour in range(30):
            told(ingest, air(hour, 8.0), hour + 1)
        judged(store)
        assert doubts(store)

        told(ingest, air(14.5, 9.0), 99)
        judged(store)

        assert doubts(store) == []

    def test_readings_that_fill_a_gap_a_week_later_bring_the_doubt(self, world):
        store, ingest = world
        for hour in (*range(10), *range(30, 200)):
            told(ingest, air(hour, 8.0 if hour < 40 else 8.0 + hour), hour + 1)
        judged(store)
        assert doubts(store) == []

        for hour in range(10, 30):
            told(ingest, air(hour, 8.0), 300 + hour)
        judged(store)

        assert doubts(store) == [("pm10", "stuck", 0, 39), ("pm2_5", "stuck", 0, 39)]

    def test_faults_are_no_values_that_stand_still(self, world):
        store, ingest = world
        for hour in range(60):
            told(ingest, air(hour, "no_answer"), hour + 1)

        judged(store)

        assert doubts(store) == []

    def test_humid_air_is_a_doubt_of_dust_alone(self, world):
        store, ingest = world
        for hour, humidity in enumerate([80.0, 95.0, 99.0, 85.0]):
            told(ingest, air(hour, 8.0 + hour, humidity), hour + 1)

        judged(store)

        assert doubts(store) == [("pm10", "humid", 1, 2), ("pm2_5", "humid", 1, 2)]

    def test_a_counter_that_counts_nobody_for_three_days_is_doubted(self, world):
        store, ingest = world
        for hour in range(73):
            readings = [Reading(name, "1", START + hour * HOUR, 0, None) for name in ("bicycle_count", "vehicle_count")]
            told(ingest, readings, hour + 1, COUNTER)

        judged(store)

        assert doubts(store) == [("bicycle_count", "stuck", 0, 72), ("vehicle_count", "stuck", 0, 72)]

    def test_no_value_is_changed_by_it(self, world):
        store, ingest = world
        for hour in range(30):
            told(ingest, air(hour, 8.0, 99.0), hour + 1)
        before = observations(store)

        judged(store)

        assert doubts(store)
        assert observations(store) == before

    def test_what_lies_ahead_of_now_is_not_judged_yet(self, world):
        store, ingest = world
        told(ingest, air(0, 8.0, 99.0), 1)
        told(ingest, air(9, 8.0, 99.0), 2)

        judged(store, hours=1)

        assert doubts(store) == [("pm10", "humid", 0, 0), ("pm2_5", "humid", 0, 0)]


class TestFlat:
    """One quantity stands still for three days while its instrument goes on."""

    def test_a_hygrometer_that_stays_at_100_percent_beside_a_thermometer_that_moves(self, world):
        store, ingest = world
        for hour in range(80):
            told(ingest, air(hour, 8.0 + hour % 3, 100.0), hour + 1)
            judged(store)
            known = [("relative_humidity", "flat", 0, hour)] if hour >= 72 else []
            assert doubts(store, but="humid") == known

    def test_a_fault_is_no_change_and_a_late_reading_may_be_one(self, world):
        store, ingest = world
        for hour in range(80):
            told(ingest, air(hour, 8.0 + hour % 3, "bad_answer" if hour in (40, 41) else 85.0), hour + 1)
        judged(store)
        assert doubts(store, but="humid") == [("relative_humidity", "flat", 0, 79)]

        told(ingest, air(41.5, 8.0, 84.0), 99)
        judged(store)

        assert doubts(store, but="humid") == []

    @settings(max_examples=10, deadline=None)
    @given(st.permutations(range(120)), st.integers(5, 60), st.booleans())
    def test_any_order_of_arrival_ends_in_the_same_doubts(self, order, every, remembers):
        store, ingest = opened(":memory:", CITY)
        memory: Memory | None = {} if remembers else None

        for seq, n in enumerate(order):
            damp = "no_answer" if n in (25, 26, 90) else 85.0 if 10 <= n < 100 else None
            told(ingest, air(n, 8.0 + n % 3, damp), seq + 1)
            if seq % every == 0:
                judged(store, memory)
        judged(store, memory)

        assert doubts(store, but="humid") == [("relative_humidity", "flat", 10, 99)]
        store.close()


class TestMarks:
    def test_a_station_is_judged_from_its_earliest_new_reading_on(self, world):
        store, ingest = world
        told(ingest, air(50, 8.0), 1)
        told(ingest, air(20, 8.0), 2)
        told(ingest, air(60, 8.0), 3)

        thing = store.thing_of(SNIFFER)

        assert store.db.execute("SELECT * FROM unjudged_stations").fetchall() == [(thing, START + 20 * HOUR)]
        assert judge.marked(store) == [thing]

    def test_what_an_uplink_repeats_of_before_counts_too(self, world):
        store, ingest = world
        told(ingest, [*air(9, 8.0), *air(4, 8.0), *air(6, 8.0)], 1)

        assert store.db.execute("SELECT since FROM unjudged_stations").fetchall() == [(START + 4 * HOUR,)]

    def test_trees_are_judged_with_their_area_and_stations_by_themselves(self, world):
        store, ingest = world
        told(ingest, list(sample(START, 20.0)), 1, CITY.node_at("J-0004").dev_eui)

        assert judge.marked(store) == ["RA-02"]

    def test_a_store_of_before_has_all_its_stations_judged_from_their_first_reading_on(self, tmp_path):
        path = tmp_path / "old.db"
        old = sqlite3.connect(path)
        for file in sorted(MIGRATIONS.glob("000[1-4]_*.sql")):
            old.executescript(file.read_text())
        row = "(site, kind, area, name, description, properties, lon, lat) VALUES (?, ?, ?, '', '', '{}', 0, 0)"
        old.executemany(f"INSERT INTO things {row}", [("J-0001", "tree", "RA-01"), ("L-01", "air", "")])
        old.executescript("INSERT INTO probes VALUES (1, '{\"raw\": 20.0}'); PRAGMA user_version = 4;")
        old.close()

        store, _ = opened(path, CITY)

        assert store.db.execute("SELECT * FROM unjudged_stations").fetchall() == [(2, 0)]
        assert store.db.execute("SELECT count(*) FROM probes").fetchone() == (0,)
        store.close()

    def test_what_comes_late_of_a_node_that_has_moved_is_judged_where_it_stood(self, tmp_path):
        changes = with_stations()
        moved = {**changes["nodes"][-1], "station": "V-01", "since": "2026-07-02T00:00:00Z"}
        nodes = [node for node in changes["nodes"] if node["dev_eui"] != COUNTER]
        city = small_city(stations=changes["stations"], nodes=[*nodes, moved])
        store, ingest = opened(tmp_path / "moved.db", city)
        for hour in (30, 3):
            told(ingest, air(hour, 8.0, 99.0), hour)
            while waiting := judge.marked(store):
                judge.judge_marked(store, city, waiting[0], START + 100 * DAY, {})

        sites = store.db.execute(
            "SELECT t.site, count(*) FROM suspects s JOIN datastreams d ON d.id = s.datastream "
            "JOIN things t ON t.id = d.thing GROUP BY 1 ORDER BY 1"
        )

        assert sites.fetchall() == [("L-01", 2), ("V-01", 2)]
        store.close()

    def test_a_long_history_takes_several_turns(self, world):
        store, ingest = world
        for n in range(109):
            told(ingest, air(20 * n, 8.0, 99.0), n + 1)
        [thing] = judge.marked(store)

        turns = 1
        while not judge.judge_marked(store, CITY, thing, START + 100 * DAY, {}):
            turns += 1

        assert turns == 4  # 90 days, 30 at once, and one to see that there is no more
        assert judge.marked(store) == []
        assert len(doubts(store)) == 2 * 109

    def test_a_station_that_is_no_more_in_the_registry_is_forgotten(self, world):
        store, ingest = world
        told(ingest, air(0, 8.0, 99.0), 1)

        judge.judge_marked(store, small_city(), judge.marked(store)[0], START + HOUR, {})

        assert judge.marked(store) == []


def _series() -> Iterator[tuple[float, float | str, float]]:
    """Hours with a value: moving, flat for long, a fault in it, humid at times, flat again across a silence."""
    for hour in range(40):
        yield (
            hour,
            "bad_answer" if hour == 20 else 8.0 if 4 <= hour < 32 else 8.0 + hour,
            95.0 if hour % 9 < 3 else 70.0,
        )
    for hour in range(50, 80):
        yield hour, 7.0, 70.0


SERIES = list(_series())
AT_ONCE = [
    ("pm10", "humid", 0, 2), ("pm10", "humid", 9, 11), ("pm10", "humid", 18, 19), ("pm10", "humid", 27, 29),
    ("pm10", "humid", 36, 38), ("pm2_5", "humid", 0, 2), ("pm2_5", "humid", 9, 11), ("pm2_5", "humid", 18, 19),
    ("pm2_5", "humid", 27, 29), ("pm2_5", "humid", 36, 38),
    ("pm10", "stuck", 4, 31), ("pm10", "stuck", 50, 79), ("pm2_5", "stuck", 4, 31), ("pm2_5", "stuck", 50, 79),
]  # fmt: skip


class TestMemory:
    """What was found after the newest samples is kept, and thrown away as far as something older came."""

    def test_an_uplink_that_repeats_the_last_samples_needs_no_look_further_back(self, world):
        store, ingest = world
        memory: Memory = {}
        for hour in range(60):
            told(ingest, air(hour, 8.0), hour + 1)
            judged(store, memory)
        store.db.execute("UPDATE observations SET result = result + 1 WHERE at < ?", (START + 50 * HOUR,))

        told(ingest, [*air(60, 8.0), *air(59, 8.0), *air(58, 8.0)], 99)
        judged(store, memory)

        assert doubts(store) == [("pm10", "stuck", 0, 60), ("pm2_5", "stuck", 0, 60)]

    def test_what_comes_of_a_sample_in_a_second_uplink_is_judged_with_the_first(self, world):
        store, ingest = world
        memory: Memory = {}
        dust, more = air(5, 8.0, 99.0)[:2], air(5, 8.0, 99.0)[2:]
        told(ingest, air(4, 8.0, 70.0), 1)
        told(ingest, dust, 2)
        judged(store, memory)

        told(ingest, more, 3)
        judged(store, memory)

        assert doubts(store) == [("pm10", "humid", 5, 5), ("pm2_5", "humid", 5, 5)]

    def test_a_line_goes_on_after_a_fault(self, world):
        store, ingest = world
        memory: Memory = {}
        for hour in range(83):
            told(ingest, air(hour, 8.0 + hour % 3, "no_answer" if hour == 81 else 85.0), hour + 1)
            judged(store, memory)
            if hour == 81:
                assert doubts(store) == []
                assert doubts(store, but="") == [("relative_humidity", "flat", 0, 80)]

        assert doubts(store, but="") == [("relative_humidity", "flat", 0, 82)]

    def test_a_judgement_that_failed_half_way_is_made_again(self, world):
        store, ingest = world
        memory: Memory = {}
        for hour in range(30):
            told(ingest, air(hour, 8.0), hour + 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(suspects, "rewrite", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                judged(store, memory)

        judged(store, memory)

        assert doubts(store) == [("pm10", "stuck", 0, 29), ("pm2_5", "stuck", 0, 29)]


class TestOrder:
    @settings(max_examples=25, deadline=None)
    @given(
        st.permutations(range(len(SERIES))), st.integers(1, 40), st.sampled_from([HOUR * 7, DAY * 30]), st.booleans()
    )
    def test_any_order_of_arrival_judged_at_any_times_ends_in_the_same_doubts(self, order, every, span_s, remembers):
        store, ingest = opened(":memory:", CITY)
        memory: Memory | None = {} if remembers else None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(station_judge, "SPAN_S", span_s)

            for seq, n in enumerate(order):
                told(ingest, air(*SERIES[n]), seq + 1)
                if seq % every == 0:
                    judged(store, memory)
            judged(store, memory)

        assert doubts(store) == AT_ONCE
        store.close()
