# SPDX-License-Identifier: EUPL-1.2
"""Sensor faults (reference: ISMN, HUSCO, Kings Creek): a probe that is not well is never ok."""

import pytest

from cloud_ingest.quality import Probe, Reading, Snapshot, observe, sort_key, state

HOUR = 3600
PROBE = Probe(interval_s=HOUR, depth_cm=20)


def moisture(hour, value):
    return Reading(
        hour * HOUR, False, None if isinstance(value, str) else value, value if isinstance(value, str) else None
    )


def temperature(hour, value):
    return Reading(hour * HOUR, True, value, None)


def seen(*readings, probe=PROBE):
    snapshot = Snapshot()
    for reading in readings:
        snapshot = observe(snapshot, reading, probe)
    return snapshot


class TestSilent:
    @pytest.mark.parametrize(("now_h", "expected"), [(3, "ok"), (3.01, "silent")])
    def test_after_three_intervals_without_a_reading(self, now_h, expected):
        assert state(seen(moisture(0, 20.0)), PROBE, now_h * HOUR) == expected

    def test_when_it_was_never_heard(self):
        assert state(Snapshot(), PROBE, 0) == "silent"


class TestFault:
    def test_when_the_newest_reading_is_one(self):
        assert state(seen(moisture(0, 20.0), moisture(1, "no_answer")), PROBE, HOUR) == "fault"

    def test_not_when_a_value_came_after_it(self):
        assert state(seen(moisture(0, "no_answer"), moisture(1, 20.0)), PROBE, HOUR) == "ok"

    def test_the_last_good_value_is_held(self):
        assert seen(moisture(0, 20.0), moisture(1, "no_answer")).value == 20.0


class TestFrozen:
    @pytest.mark.parametrize(("degrees", "expected"), [(0.99, "frozen"), (1.0, "ok"), (-3.0, "frozen")])
    def test_below_one_degree(self, degrees, expected):
        assert state(seen(temperature(0, degrees), moisture(0, 20.0)), PROBE, 0) == expected

    def test_when_the_node_itself_says_so(self):
        frost = seen(moisture(0, 22.6), moisture(1, "frozen"))

        assert state(frost, PROBE, HOUR) == "frozen"
        assert frost.value == 22.6

    def test_the_value_before_the_frost_is_held(self):
        frost = seen(temperature(0, 5.0), moisture(0, 22.6), temperature(1, 0.2), moisture(1, 20.5))

        assert frost.value == 22.6

    def test_the_temperature_of_a_sample_is_heard_before_its_moisture(self):
        sample = [moisture(1, 20.5), temperature(1, 0.2)]

        assert seen(moisture(0, 22.6), *sorted(sample, key=sort_key)).value == 22.6

    def test_a_temperature_from_long_ago_says_nothing(self):
        assert state(seen(temperature(0, -1.0), moisture(9, 20.0)), PROBE, 9 * HOUR) == "ok"


class TestStuck:
    @pytest.mark.parametrize(
        ("depth_cm", "hours", "expected"),
        [(10, 47, "ok"), (10, 48, "stuck"), (40, 119, "ok"), (40, 120, "stuck"), (80, 335, "ok"), (80, 336, "stuck")],
    )
    def test_a_flat_line_counts_later_in_the_deep(self, depth_cm, hours, expected):
        probe = Probe(HOUR, depth_cm)
        flat = seen(*(moisture(hour, 20.0) for hour in range(hours + 1)), probe=probe)

        assert state(flat, probe, hours * HOUR) == expected

    def test_the_smallest_change_ends_it(self):
        flat = seen(*(moisture(hour, 20.0) for hour in range(60)), moisture(60, 20.01))

        assert state(flat, PROBE, 60 * HOUR) == "ok"

    def test_two_equal_values_across_a_long_silence_are_no_flat_line(self):
        assert state(seen(moisture(0, 20.0), moisture(60, 20.0)), PROBE, 60 * HOUR) == "ok"


def test_a_reading_that_lies_ahead_of_now_is_not_well():
    snapshot = Snapshot(at=1_000_000, value=20.0, value_at=1_000_000)

    assert [state(snapshot, Probe(3600, 20), 1_000_000 + ahead) for ahead in (-301, -300, 0)] == ["silent", "ok", "ok"]
