# SPDX-License-Identifier: EUPL-1.2
"""Network time from the node's own clock: which answers of the network are believed."""

import struct

import pytest

from firmware.network_time import gps_at, set_clock, time_due, until_grid_s
from firmware.state import Memory
from firmware.timing import WindowBudget

GPS_S = 1_450_000_000
HOUR = 3600
DAY = 24 * HOUR


def told(*answers):
    """The memory after answers of the network: (local s, how far off the truth)."""
    memory = Memory()
    for local_s, off_s in answers:
        set_clock(memory, GPS_S + local_s + off_s, local_s)
    return memory


class TestNetworkThatLosesItsClock:
    @pytest.mark.parametrize("off_s", [-3 * DAY, -2 * HOUR, 2 * HOUR, 3650 * DAY])
    def test_it_is_not_believed_after_two_answers_that_agreed(self, off_s):
        memory = told((0, 0), (HOUR, 0), (6 * HOUR, off_s))

        assert gps_at(memory, 7 * HOUR) == GPS_S + 7 * HOUR
        assert time_due(memory, 6 * HOUR)

    def test_the_next_good_answer_counts(self):
        memory = told((0, 0), (HOUR, 0), (6 * HOUR, -3 * DAY), (7 * HOUR, 3))

        assert gps_at(memory, 7 * HOUR) == GPS_S + 7 * HOUR + 3
        assert not time_due(memory, 7 * HOUR)

    def test_if_it_insists_for_three_days_it_was_ours_that_was_wrong(self):
        memory = told((0, 0), (HOUR, 0), (2 * DAY, 2 * HOUR), (3 * DAY + HOUR, 8 * HOUR))

        assert gps_at(memory, 3 * DAY + HOUR) == GPS_S + 3 * DAY + 9 * HOUR

    def test_a_first_answer_that_was_wrong_is_corrected_by_the_second(self):
        memory = told((0, -3 * DAY), (HOUR, 0))

        assert gps_at(memory, HOUR) == GPS_S + HOUR

    def test_a_clock_six_percent_off_is_not_doubted(self):
        memory = Memory()
        for hours in (0, 1, 2, 3, 7, 23):
            set_clock(memory, GPS_S + hours * HOUR, hours * HOUR * 106 // 100)

            assert gps_at(memory, hours * HOUR * 106 // 100) == GPS_S + hours * HOUR


class TestDrift:
    def test_what_the_windows_know_of_it_is_the_first_guess(self):
        memory = Memory()
        memory.budget = WindowBudget.unpack(struct.pack("<HhHB", 5_000, 1_500, 500, 0))  # 3,000 ppm fast

        set_clock(memory, GPS_S, 0)

        assert gps_at(memory, 10_030) == GPS_S + 10_000

    def test_two_answers_close_together_tell_nothing_of_it(self):
        memory = told((0, 0), (1_700, -20))

        assert memory.drift_ppm == 0
        assert gps_at(memory, 1_700) == GPS_S + 1_680

    @pytest.mark.parametrize(("off_s", "drift_ppm"), [(-700, 60_000), (700, -60_000)])
    def test_it_is_never_more_than_six_percent(self, off_s, drift_ppm):
        """In 2 h; nobody has told the time twice in agreement before."""
        assert told((0, 0), (2 * HOUR, off_s)).drift_ppm == drift_ppm

    def test_the_time_is_asked_for_at_least_once_a_day(self):
        memory = told((0, 0), (HOUR, 0), (5 * HOUR, 0), (21 * HOUR, 0), (45 * HOUR, 0), (3 * DAY, 0))

        assert not time_due(memory, 4 * DAY - 1)
        assert time_due(memory, 4 * DAY)

    def test_a_fast_clock_waits_longer_by_its_own_seconds(self):
        memory = told((0, 0))
        slow_s = until_grid_s(memory, 0, 0, 10_000)
        memory.drift_ppm = 50_000

        assert until_grid_s(memory, 0, 0, 10_000) == slow_s * 105 // 100

    def test_a_network_that_says_the_same_for_three_days_is_believed_in_the_end(self):
        answers = [(0, 0), (HOUR, 0)] + [(day * DAY, 10 * HOUR) for day in (1, 2, 3)]

        assert gps_at(told(*answers), 3 * DAY) == GPS_S + 3 * DAY
        assert gps_at(told(*answers, (3 * DAY + HOUR, 10 * HOUR)), 3 * DAY + HOUR) == GPS_S + 3 * DAY + 11 * HOUR


class TestGrid:
    @pytest.mark.parametrize(("phase_s", "wait_s"), [(0, 10_000), (4_999, 14_999), (5_000, 5_000), (9_999, 9_999)])
    def test_the_next_place_is_at_least_half_an_interval_away(self, phase_s, wait_s):
        assert until_grid_s(told((0, 0)), 0, phase_s, 10_000) == wait_s  # GPS_S is a place of phase 0
