# SPDX-License-Identifier: EUPL-1.2
"""Alerts in the store: opened once, whatever came late, twice or after a restart."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest.judge import judge
from decoders.senml import Reading
from tests.cloud_ingest.world import (
    HOUR,
    NODES,
    START,
    UP,
    batch,
    moisture_series,
    opened,
    registry_json,
    sample,
    small_city,
    uplink,
)

CITY = small_city()


@pytest.fixture
def world(tmp_path):
    store, ingest = opened(tmp_path / "store.db", CITY)
    yield store, ingest
    store.close()


def judged(store, area="RA-02", hours_after_newest=0):
    now = store.newest_received_at() + hours_after_newest * HOUR
    judge(store, CITY, CITY.areas[area], now)
    return store.db.execute(
        "SELECT value, threshold, litres, trees, (dry_since - ?) / 3600, (opened_at - ?) / 3600, "
        "(closed_at - ?) / 3600 FROM alerts WHERE area = ? ORDER BY id",
        (START, START, START, area),
    ).fetchall()


class TestAlert:
    def test_a_dry_area_opens_one_with_its_cause(self, world):
        store, ingest = world
        ingest.apply(UP, moisture_series(NODES[2], [20.0, 13.5, 13.0, 12.5]))

        assert judged(store) == [(12.5, 14.0, 100, '["J-0004"]', 1, 3, None)]

    def test_litres_are_for_every_tree_of_the_area_with_or_without_a_sensor(self, world):
        store, ingest = world
        ingest.apply(UP, moisture_series(NODES[0], [13.5, 13.0, 12.5]))

        assert judged(store, "RA-01")[0][2:4] == (300, '["J-0001", "J-0002", "J-0003"]')

    def test_judging_again_or_after_a_restart_opens_no_second_one(self, tmp_path):
        store, ingest = opened(tmp_path / "again.db", CITY)
        ingest.apply(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5, 12.0]))
        first = judged(store)
        store.close()

        store, ingest = opened(tmp_path / "again.db", CITY)
        ingest.apply(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5, 12.0, 11.5]))

        assert judged(store) == judged(store) == first
        store.close()

    def test_it_closes_when_the_soil_is_moist_again_and_may_open_anew(self, world):
        store, ingest = world
        ingest.apply(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5, 25.0]))
        assert judged(store)[0][-1] is None

        ingest.apply(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5, 25.0, 24.0, 23.0]))
        assert judged(store) == [(12.5, 14.0, 100, '["J-0004"]', 0, 2, 5)]

        ingest.apply(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5, 25.0, 24.0, 23.0, 13.0, 12.0, 11.0]))
        assert [row[5:] for row in judged(store)] == [(2, 5), (8, None)]

    def test_an_episode_that_ended_within_a_backlog_opens_nothing(self, world):
        store, ingest = world
        ingest.apply(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5, 25.0, 24.0, 23.0]))

        assert judged(store) == []

    def test_old_dry_readings_that_come_late_open_nothing_when_it_is_moist_now(self, world):
        store, ingest = world
        values = [20.0, 13.5, 13.0, 12.5, 25.0, 24.0, 23.0]
        new, old = (moisture_series(NODES[2], part, first_seq=1) for part in (values, values[:4]))
        ingest.apply(UP, new)
        assert judged(store) == []

        ingest.apply(UP, old)

        assert judged(store) == []

    def test_late_readings_fill_the_run_that_leads_to_one(self, world):
        store, ingest = world
        complete = moisture_series(NODES[2], [20.0, 13.5, 13.0, 12.5])
        with_hole = moisture_series(NODES[2], [20.0])
        ingest.apply(UP, with_hole)
        assert judged(store) == []

        ingest.apply(UP, complete)

        assert judged(store)[0][4:] == (1, 3, None)

    def test_readings_older_than_the_newest_one_by_hours_still_count(self, world):
        store, ingest = world
        ingest.apply(UP, batch(uplink(1, NODES[2], 0, sample(START, 20.0))))
        ingest.apply(UP, batch(uplink(2, NODES[2], 9, sample(START + 10 * HOUR, 12.0))))
        assert judged(store) == []

        late = (uplink(3 + i, NODES[2], 1 + i, sample(START + (8 + i) * HOUR, 13.0 - i)) for i in range(2))
        ingest.apply(UP, batch(*late))

        assert judged(store)[0][4:] == (8, 10, None)

    def test_a_late_reading_from_before_the_last_change_undoes_nothing(self, world):
        store, ingest = world
        ingest.apply(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5]))
        judged(store)
        ingest.apply(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5, 25.0, 24.0, 23.0, 16.0]))
        closed = judged(store)
        assert closed[0][5:] == (2, 5)

        ingest.apply(UP, batch(uplink(20, NODES[2], 99, sample(START + 4 * HOUR + 60, 15.0))))

        assert judged(store) == closed

    def test_what_was_dry_days_ago_and_is_unknown_now_opens_nothing_until_it_is_heard_again(self, world):
        store, ingest = world
        ingest.apply(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5]))
        assert judged(store, hours_after_newest=24) == []

        assert len(judged(store)) == 1

    @pytest.mark.parametrize("values", [[3.0], [13.5, "no_answer", 13.4], ["no_answer"] * 5])
    def test_noise_and_faults_open_nothing(self, world, values):
        store, ingest = world
        ingest.apply(UP, moisture_series(NODES[2], [20.0, *values, "no_answer"]))

        assert judged(store) == []


class TestOrder:
    """The open alert is that of the series in order of time, in whatever order it came."""

    VALUES = (25.0,) * 3 + (10.0,) * 5

    @staticmethod
    def told(store, ingest, order):
        for hour, value in order:
            ingest.apply(UP, batch(uplink(hour + 1, NODES[2], hour, sample(START + hour * HOUR, value))))
            judged(store)
        return judged(store)

    @settings(max_examples=30, deadline=None)
    @given(st.permutations(list(enumerate(VALUES))))
    def test_any_order_of_arrival_ends_in_the_same_open_alert(self, order):
        store, ingest = opened(":memory:", CITY)

        found = self.told(store, ingest, order)

        open_ones = [alert for alert in found if alert[-1] is None]
        assert open_ones == [(10.0, 14.0, 100, '["J-0004"]', 3, 5, None)]
        store.close()

    def test_rain_that_comes_late_ends_the_alert_and_what_dried_since_is_a_new_one(self, world):
        store, ingest = world
        dry = [(hour, 10.0) for hour in (*range(3), *range(7, 11))]
        rain = [(hour, 25.0) for hour in range(3, 7)]

        found = self.told(store, ingest, [*dry, *rain])

        assert [alert[-3:] for alert in found] == [(0, 2, 5), (7, 9, None)]

    def test_a_dry_time_that_ended_before_the_alert_does_not_become_it(self, world):
        store, ingest = world
        values = [10.0, 10.0, 10.0, 25.0, 25.0, 25.0, 10.0, 10.0, 10.0]
        ingest.apply(UP, moisture_series(NODES[2], values))

        assert judged(store) == judged(store) == [(10.0, 14.0, 100, '["J-0004"]', 6, 8, None)]


class TestStuck:
    """What of a probe stood still for too long is written down, from its first to its last reading."""

    @staticmethod
    def doubts(store):
        return store.db.execute(
            "SELECT d.quantity, s.reason, (s.first_at - ?) / 3600, (s.last_at - ?) / 3600 FROM suspects s "
            "JOIN datastreams d ON d.id = s.datastream ORDER BY 3",
            (START, START),
        ).fetchall()

    def test_it_has_a_beginning_and_an_end(self, world):
        store, ingest = world
        ingest.apply(UP, moisture_series(NODES[2], [22.0, *[20.0] * 60, 21.0]))

        judged(store)

        assert self.doubts(store) == [("soil_moisture", "stuck", 1, 60)]

    def test_its_beginning_is_kept_for_longer_than_we_look_back(self, world):
        store, ingest = world
        for hour in range(0, 672, 4):
            stuck, well = sample(START + hour * HOUR, 20.0), sample(START + hour * HOUR, 20.0 + hour / 100)
            again = sample(START + (hour + 2) * HOUR, 20.0)
            numbers = 3 * hour + 1
            uplinks = [(NODES[0], stuck), (NODES[1], well), (NODES[0], again)]
            ingest.apply(
                UP, batch(*(uplink(numbers + i, one, numbers + i, said) for i, (one, said) in enumerate(uplinks)))
            )
            judged(store, "RA-01")

        assert self.doubts(store) == [("soil_moisture", "stuck", 0, 670)]

    def test_a_late_reading_that_moves_takes_it_back(self, world):
        store, ingest = world
        ingest.apply(UP, moisture_series(NODES[2], [20.0] * 60))
        judged(store)
        assert self.doubts(store) == [("soil_moisture", "stuck", 0, 59)]

        ingest.apply(UP, batch(uplink(99, NODES[2], 99, sample(START + 30 * HOUR + 600, 23.0))))
        judged(store)

        assert self.doubts(store) == []

    def test_frozen_soil_stands_still_and_is_not_stuck(self, world):
        store, ingest = world
        frost = (uplink(n + 1, NODES[2], n, sample(START + n * HOUR, 20.0, temperature=0.2)) for n in range(60))
        ingest.apply(UP, batch(*frost))

        judged(store)

        assert self.doubts(store) == []


class TestFuture:
    """A reading of the year 2100 in the store, as an older version may have let in."""

    @pytest.fixture
    def poisoned(self, world):
        store, ingest = world
        far = 4_102_444_800
        ingest.apply(UP, batch(uplink(100, NODES[2], 99, sample(far, 30.0), far + 2)))
        judge(store, CITY, CITY.areas["RA-02"], far + 2)
        return store, ingest

    def test_it_hides_no_drought(self, poisoned):
        store, ingest = poisoned
        ingest.apply(UP, moisture_series(NODES[2], [20.0, 13.5, 13.0, 12.5]))

        judge(store, CITY, CITY.areas["RA-02"], START + 4 * HOUR)

        assert store.db.execute("SELECT value, opened_at FROM alerts").fetchall() == [(12.5, START + 3 * HOUR)]
        assert store.db.execute("SELECT until FROM judged").fetchone()[0] <= START + 4 * HOUR + 300

    def test_it_leaves_no_dead_probe_ok(self, poisoned):
        store, ingest = poisoned
        ingest.apply(UP, moisture_series(NODES[2], [20.0]))

        judge(store, CITY, CITY.areas["RA-02"], START + 60)

        snapshot = json.loads(store.db.execute("SELECT snapshot FROM probes").fetchone()[0])
        assert snapshot["at"] == START


class TestTension:
    """A rule on soil water tension: the other way round, dry is high."""

    def test_opens_above_act_and_closes_below_clear(self, tmp_path):
        rule = {"quantity": "soil_water_tension", "act": 80.0, "clear": 33.0, "debounce_s": HOUR}
        city = small_city(reference_areas=[{**area, "rule": rule} for area in registry_json()["reference_areas"]])
        store, ingest = opened(tmp_path / "store.db", city)
        kilopascal = [20.0, 79.0, 81.0, 90.0, 34.0, 32.0, 20.0]
        for n, value in enumerate(kilopascal):
            reading = Reading("soil_water_tension", "kPa", START + n * HOUR, value, None)
            ingest.apply(UP, batch(uplink(n + 1, NODES[2], n, [reading])))
            judge(store, city, city.areas["RA-02"], store.newest_received_at())

        opened_at = store.db.execute(
            "SELECT value, threshold, (dry_since - ?) / 3600, (opened_at - ?) / 3600, (closed_at - ?) / 3600 "
            "FROM alerts",
            (START, START, START),
        ).fetchall()

        assert opened_at == [(90.0, 80.0, 2, 3, 6)]
        store.close()
