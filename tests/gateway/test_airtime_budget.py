# SPDX-License-Identifier: EUPL-1.2
"""What a concentrator may send. Budgets by hand from ETSI EN 300 220-2 V3.1.1 annex B: 1 % of an hour is 36 s."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.airtime_budget import AirtimeBudget, Booking
from gateway.radio import Priority

S = 1_000_000
HOUR = 3600 * S
RX1, RX1_OTHER, L_BAND, RX2, N_BAND = 868_100_000, 868_500_000, 867_100_000, 869_525_000, 868_800_000


def frame(start_s, seconds, frequency_hz=RX1):
    return Booking(round(start_s * S), round((start_s + seconds) * S), frequency_hz)


def booked(*bookings, blocking=False):
    budget = AirtimeBudget(blocking=blocking)
    for booking in bookings:
        budget.book(booking)
    return budget


class TestOneTransmitter:
    """A concentrator has one transmitter."""

    @pytest.mark.parametrize("frequency_hz", [RX1, L_BAND, RX2])
    def test_two_frames_at_once_are_none_on_any_frequency(self, frequency_hz):
        budget = booked(frame(10, 1))

        assert budget.obstacle(frame(10.9, 0.1, frequency_hz), Priority.JOIN_ACCEPT) == "overlap"
        assert budget.obstacle(frame(9.5, 2, frequency_hz), Priority.JOIN_ACCEPT) == "overlap"

    def test_frames_keep_the_forwarder_s_distance(self):
        budget = booked(frame(10, 1))

        assert budget.obstacle(frame(11.044, 0.1), Priority.ACK) == "overlap"  # jitqueue.c: 42.5 ms
        assert budget.obstacle(frame(11.046, 0.1), Priority.ACK) == ""
        assert budget.obstacle(frame(9.86, 0.1), Priority.ACK) == "overlap"
        assert budget.obstacle(frame(9.854, 0.1), Priority.ACK) == ""

    def test_what_was_not_sent_takes_no_place(self):
        budget = booked(frame(10, 1))

        budget.release(frame(10, 1))

        assert budget.obstacle(frame(10.5, 1), Priority.ACK) == ""


class TestDutyCycle:
    """ETSI EN 300 220-2 V3.1.1: over any hour, by sub-band."""

    def test_an_hour_takes_36_seconds_in_the_band_of_the_join_channels(self):
        budget = booked(*(frame(100 * n, 1.0) for n in range(35)))

        assert budget.obstacle(frame(3550, 1.0), Priority.JOIN_ACCEPT) == ""
        assert budget.obstacle(frame(3550, 1.01), Priority.JOIN_ACCEPT) == "duty_cycle"

    def test_the_hour_slides_it_does_not_begin_anew(self):
        budget = booked(*(frame(3500 + 2 * n, 1.0) for n in range(36)))  # 3500 to 3571 s

        assert budget.obstacle(frame(3700, 0.1), Priority.JOIN_ACCEPT) == "duty_cycle"
        assert budget.obstacle(frame(7099.8, 0.1), Priority.JOIN_ACCEPT) == "duty_cycle"
        assert budget.obstacle(frame(7100.0, 0.1), Priority.JOIN_ACCEPT) == ""  # as much of the first has left the hour

    def test_a_frame_before_one_that_is_planned_counts_in_that_one_s_hour(self):
        budget = booked(*(frame(100 * n, 1.0) for n in range(34)), frame(3600, 2.0))

        # the hour that ends at 3602 s has lost the first frame: 33 s, 2 s and this
        assert budget.obstacle(frame(3550, 1.0), Priority.JOIN_ACCEPT) == ""
        assert budget.obstacle(frame(3550, 1.1), Priority.JOIN_ACCEPT) == "duty_cycle"

    def test_a_frame_counts_for_what_of_it_lies_in_the_hour(self):
        budget = booked(frame(0, 1.0), *(frame(100 * n, 1.0) for n in range(1, 36)))

        # half of the first frame lies in the hour that ends at 3600.5 s
        assert budget.obstacle(frame(3600.0, 0.5), Priority.JOIN_ACCEPT) == ""
        assert budget.obstacle(frame(3599.99, 0.51), Priority.JOIN_ACCEPT) == "duty_cycle"

    def test_sub_bands_have_budgets_of_their_own(self):
        budget = booked(*(frame(100 * n, 1.0) for n in range(36)))

        assert budget.obstacle(frame(3590, 1.0, RX1_OTHER), Priority.JOIN_ACCEPT) == "duty_cycle"
        assert budget.obstacle(frame(3590, 1.0, L_BAND), Priority.JOIN_ACCEPT) == ""
        assert budget.obstacle(frame(3590, 1.0, RX2), Priority.JOIN_ACCEPT) == ""
        assert budget.obstacle(frame(3590, 3.7, N_BAND), Priority.JOIN_ACCEPT) == "duty_cycle"  # 0.1 %: 3.6 s

    @pytest.mark.parametrize(
        ("used_s", "refused", "accepted"),
        [
            (26, Priority.APPLICATION, Priority.MAC),  # 75 % of 36 s are 27 s
            (32, Priority.MAC, Priority.ACK),  # 90 %: 32.4 s
            (34, Priority.ACK, Priority.JOIN_ACCEPT),  # 95 %: 34.2 s
        ],
    )
    def test_what_matters_less_leaves_something_for_what_matters_more(self, used_s, refused, accepted):
        budget = booked(*(frame(50 * n, 1.0) for n in range(used_s)))

        assert budget.obstacle(frame(3000, 1.3), refused) == "duty_cycle"
        assert budget.obstacle(frame(3000, 0.05 if accepted is Priority.ACK else 1.3), accepted) == ""

    def test_the_share_is_of_what_is_left(self):
        budget = booked(*(frame(100 * n, 1.0) for n in range(26)))

        assert budget.share(frame(3000, 1.0)) == pytest.approx(1 / 10)
        assert budget.share(frame(3000, 3.6, RX2)) == pytest.approx(1 / 100)

    FRAMES = st.lists(
        st.tuples(
            st.integers(0, 3 * HOUR // 1000), st.integers(50, 2500), st.sampled_from([RX1, L_BAND, RX2, N_BAND]),
            st.sampled_from(Priority),
        ),
        max_size=120,
    )  # fmt: skip

    @settings(max_examples=60, deadline=None)
    @given(FRAMES, st.booleans())
    def test_no_hour_ever_holds_more_than_its_share_and_no_two_frames_overlap(self, wanted, blocking):
        budget, sent = AirtimeBudget(blocking=blocking), []
        for start_ms, milliseconds, frequency_hz, priority in wanted:
            booking = Booking(start_ms * 1000, (start_ms + milliseconds) * 1000, frequency_hz)
            if not budget.obstacle(booking, priority):
                budget.book(booking)
                sent.append(booking)

        for frequency_hz, most_us in ((RX1, 36 * S), (L_BAND, 36 * S), (RX2, 360 * S), (N_BAND, 3_600_000)):
            here = [booking for booking in sent if booking.frequency_hz == frequency_hz]
            edges = {booking.start_us for booking in here} | {booking.end_us - HOUR for booking in here}
            for since in edges:
                until = since + HOUR
                on_air = sum(max(0, min(b.end_us, until) - max(b.start_us, since)) for b in here)
                assert on_air <= most_us
        sent.sort()
        assert all(one.end_us < other.start_us for one, other in pairwise(sent))

    def test_what_is_over_for_an_hour_is_forgotten(self):
        budget = booked(*(frame(2 * n, 1.0) for n in range(36)))

        budget.forget(round(3700 * S))
        before = budget.used_us(round(3700 * S))
        budget.forget(round(8000 * S))

        assert before == {868_000_000: 0}
        assert budget.obstacle(frame(8000, 36), Priority.JOIN_ACCEPT) == ""


class TestStationBlocking:
    """lorabasics/basicstation, src/s2e.c: the band is blocked from the start for airtime times 10, 100 or 1000."""

    @pytest.mark.parametrize(
        ("first_hz", "second_hz", "blocked_s"),
        [
            (L_BAND, 867_900_000, 100.0),  # 0.1 %, although ETSI allows 1 %
            (L_BAND, N_BAND, 100.0),  # one band for all that is not 868.0 to 868.6, 869.4 to 869.65 or 869.7 to 870
            (RX1, RX1_OTHER, 10.0),
            (RX1, 869_850_000, 10.0),
            (RX2, RX2, 1.0),
        ],
    )
    def test_the_whole_band_is_blocked_after_one_frame(self, first_hz, second_hz, blocked_s):
        budget = booked(frame(10, 0.1, first_hz), blocking=True)

        assert budget.obstacle(frame(10 + blocked_s - 0.01, 0.1, second_hz), Priority.JOIN_ACCEPT) == "blocked"
        assert budget.obstacle(frame(10 + blocked_s, 0.1, second_hz), Priority.JOIN_ACCEPT) == ""

    def test_a_frame_that_would_block_a_planned_one_has_no_place(self):
        budget = booked(frame(15, 0.2, RX1), blocking=True)

        assert budget.obstacle(frame(11, 0.1, RX1_OTHER), Priority.ACK) == "blocked"
        assert budget.obstacle(frame(11, 0.03, RX1_OTHER), Priority.ACK) == ""

    def test_other_bands_stay_free(self):
        budget = booked(frame(10, 1.0, L_BAND), blocking=True)

        assert budget.obstacle(frame(12, 1.0, RX1), Priority.ACK) == ""
        assert budget.obstacle(frame(12, 1.0, RX2), Priority.ACK) == ""

    def test_a_packet_forwarder_blocks_nothing(self):
        budget = booked(frame(10, 1.0, L_BAND))

        assert budget.obstacle(frame(12, 1.0, L_BAND), Priority.ACK) == ""
