# SPDX-License-Identifier: EUPL-1.2
"""Network time from the node's own clock: which answers of the network are believed."""

import pytest

from firmware.network_time import gps_at, set_clock, time_due
from firmware.state import Memory

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
