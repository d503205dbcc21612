# SPDX-License-Identifier: EUPL-1.2
"""A concentrator's counter: 32 bits by GWMP, session and 48 bits by Basics Station; wraps, resets, late frames."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.concentrator_clock import ConcentratorClock

S = 1_000_000
WRAP = 1 << 32
MINUTE = 60 * S


class TestWrap:
    def test_the_line_goes_on_when_32_bits_are_full(self):
        clock = ConcentratorClock()
        clock.place(WRAP - 1 * S, None, 100 * S)

        assert clock.place(2 * S, None, 103 * S) == 3 * S

    def test_a_silence_longer_than_a_wrap_is_told_by_our_clock(self):
        clock = ConcentratorClock()
        clock.place(0, None, 0)

        # 3 hours are 2 wraps of 71.58 minutes and 36.83 minutes
        assert clock.place(3 * 60 * MINUTE - 2 * WRAP, None, 3 * 60 * MINUTE + 40_000) == 3 * 60 * MINUTE

    def test_in_virtual_time_it_is_told_by_the_concentrator_s_gps_time(self):
        clock = ConcentratorClock(held=True)
        clock.place(0, 1_455_000_000_000, 0)

        assert clock.place(24 * 60 * MINUTE % WRAP, 1_455_086_400_000, 3_000) == 24 * 60 * MINUTE

    @given(
        st.lists(st.tuples(st.integers(1, 80 * MINUTE), st.integers(0, 5 * S)), max_size=40), st.integers(0, WRAP - 1)
    )
    def test_any_steps_between_frames_are_followed_exactly_in_spite_of_late_arrivals(self, steps, start):
        clock = ConcentratorClock()
        clock.place(start, None, 0)
        at = 0

        for step, late in steps:
            at += step
            assert clock.place((start + at) % WRAP, None, at + late) == at


class TestReset:
    """A concentrator that starts anew begins its counter anew; the line never goes back, so no budget is forgotten."""

    def test_a_counter_that_begins_anew_goes_on_by_what_has_passed(self):
        clock = ConcentratorClock()
        clock.place(3000 * S, None, 10_000 * S)

        assert clock.place(5 * S, None, 10_060 * S) == 60 * S
        assert clock.resets == 1
        assert clock.place(6 * S, None, 10_061 * S) == 61 * S

    def test_with_gps_a_jump_of_seconds_is_enough(self):
        clock = ConcentratorClock()
        clock.place(3000 * S, 1_455_000_000_000, 0)

        assert clock.place(3005 * S, 1_455_000_060_000, 60 * S) == 60 * S
        assert clock.resets == 1

    def test_another_session_of_a_station_is_a_reset(self):
        clock = ConcentratorClock(xtime=True)
        clock.place(7 << 48 | 1000 * S, None, 0)

        assert clock.place(9 << 48 | 1010 * S, None, 4 * S) == 4 * S
        assert clock.resets == 1

    def test_a_station_s_counter_does_not_wrap_at_32_bits(self):
        clock = ConcentratorClock(xtime=True)
        clock.place(7 << 48 | WRAP - S, None, 0)

        assert clock.place(7 << 48 | WRAP + S, None, 2 * S) == 2 * S
        assert clock.resets == 0

    def test_a_gps_time_that_jumps_ahead_with_the_counter_wins_nobody_an_hour(self):
        clock = ConcentratorClock()
        clock.place(0, 1_455_000_000_000, 0)

        assert clock.place(3600 * S, 1_455_003_600_000, 1 * S) == 1 * S

    @given(st.lists(st.tuples(st.integers(0, WRAP - 1), st.none() | st.integers(10**12, 2 * 10**12)), max_size=30))
    def test_whatever_a_counter_shows_the_present_never_goes_back(self, shown):
        clock, now = ConcentratorClock(), 0
        present = 0
        for tmst, gps_ms in shown:
            now += S
            clock.place(tmst, gps_ms, now)
            assert clock.at(now) >= present
            present = clock.at(now)


class TestPresent:
    def test_it_goes_on_with_our_clock(self):
        clock = ConcentratorClock()
        clock.place(3000 * S, None, 10 * S)

        assert clock.at(14 * S) == 4 * S
        assert clock.when(4 * S) == 14 * S

    def test_a_frame_that_came_late_does_not_set_it_back(self):
        clock = ConcentratorClock()
        clock.place(3000 * S, None, 10 * S)

        clock.place(3010 * S, None, 25 * S)  # 5 s late

        assert clock.at(25 * S) == 15 * S - 1500  # and 100 ppm for how far the two may have drifted

    def test_a_copy_that_overtook_another_is_placed_before_it(self):
        clock = ConcentratorClock()
        clock.place(3000 * S, None, 10 * S)
        clock.place(3002 * S, None, 12 * S)

        assert clock.place(3001 * S, None, 12 * S + 1) == 1 * S

    def test_a_late_copy_does_not_set_virtual_time_back(self):
        clock = ConcentratorClock(held=True)
        for seconds in (3000, 3002, 3001):
            clock.place(seconds * S, None, (seconds - 2990) * S)

        assert clock.at(0) == 2 * S

    def test_virtual_time_stands_still_between_two_frames(self):
        clock = ConcentratorClock(held=True)
        clock.place(3000 * S, 1_455_000_000_000, 10 * S)

        assert clock.at(9999 * S) == 0
