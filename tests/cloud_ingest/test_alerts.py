# SPDX-License-Identifier: EUPL-1.2
"""Thresholds with hysteresis and debounce, for moisture and for tension."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.alerts import Sample, Watch, area_samples, follow, urgency
from cloud_ingest.city import Rule
from cloud_ingest.quality import Probe, Reading, sort_key

HOUR = 3600
MOISTURE = Rule("soil_moisture", act=14.0, clear=18.0, debounce_s=2 * HOUR)
TENSION = Rule("soil_water_tension", act=80.0, clear=33.0, debounce_s=2 * HOUR)


def hourly(*values):
    return [Sample(hour * HOUR, value) for hour, value in enumerate(values)]


class TestMoisture:
    def test_an_area_becomes_dry_after_two_hours_below_the_threshold(self):
        watch = follow(MOISTURE, Watch(False), hourly(15.0, 13.9, 13.8, 13.7))

        assert watch == Watch(True, changed=Sample(3 * HOUR, 13.7), dry_since=1 * HOUR)

    @pytest.mark.parametrize(
        "values", [(13.9, 13.8), (14.0, 14.0, 14.0, 14.0), (13.9, 13.8, 14.1, 13.7, 13.6), (15.0, 3.0, 15.0)]
    )
    def test_not_by_noise_nor_at_the_threshold_itself(self, values):
        assert not follow(MOISTURE, Watch(False), hourly(*values)).dry

    def test_it_stays_dry_between_the_two_thresholds(self):
        assert follow(MOISTURE, Watch(True), hourly(15.0, 16.0, 17.0, 18.0, 18.0, 18.0)).dry

    def test_it_is_fine_after_two_hours_above_the_upper_one(self):
        watch = follow(MOISTURE, Watch(True), hourly(18.1, 25.0, 24.0))

        assert watch == Watch(False, changed=Sample(2 * HOUR, 24.0))

    def test_one_sample_is_never_enough_even_without_debounce(self):
        rule = Rule("soil_moisture", 14.0, 18.0, debounce_s=0)

        assert not follow(rule, Watch(False), hourly(3.0)).dry
        assert follow(rule, Watch(False), hourly(3.0, 3.0)).dry


class TestTension:
    def test_it_is_the_other_way_round(self):
        assert follow(TENSION, Watch(False), hourly(80.1, 90.0, 95.0)).dry
        assert follow(TENSION, Watch(True), hourly(40.0, 40.0, 40.0)).dry
        assert not follow(TENSION, Watch(True), hourly(32.9, 20.0, 10.0)).dry


class TestAreaValue:
    def test_it_is_the_median_of_the_probes_that_are_well(self):
        probes = dict.fromkeys(("a", "b", "c"), Probe(HOUR, 20))
        readings = {
            "a": [Reading(0, False, 10.0, None)],
            "b": [Reading(0, False, 30.0, None)],
            "c": [
                Reading(0, False, 12.0, None),
                Reading(HOUR, False, None, "no_answer"),
                Reading(7 * HOUR, False, 5.0, None),
            ],
        }

        samples = list(area_samples(probes, readings))

        assert samples == [Sample(0, 12.0), Sample(7 * HOUR, 5.0)]

    def test_a_frozen_probe_adds_nothing(self):
        readings = {"a": [Reading(0, True, 0.5, None), Reading(0, False, 3.0, None)]}

        assert list(area_samples({"a": Probe(HOUR, 20)}, readings)) == []

    @given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([5.0, 16.0, 20.0, None])), max_size=20), st.randoms())
    def test_the_order_of_arrival_does_not_matter(self, points, random):
        readings = [Reading(at * HOUR, False, v, None if v else "no_answer") for at, v in dict(points).items()]
        shuffled = sorted(random.sample(readings, len(readings)), key=sort_key)
        probes = {"a": Probe(HOUR, 20)}

        one = follow(MOISTURE, Watch(False), area_samples(probes, {"a": sorted(readings, key=sort_key)}))
        other = follow(MOISTURE, Watch(False), area_samples(probes, {"a": shuffled}))

        assert one == other


def test_urgency_is_the_share_past_the_threshold():
    assert urgency(MOISTURE, 7.0) == 0.5
    assert urgency(TENSION, 120.0) == 0.5
