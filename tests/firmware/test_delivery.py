# SPDX-License-Identifier: EUPL-1.2
"""What the gateway is known to have: gaps are found, filled oldest first, and never forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.delivery import Delivery


class TestGaps:
    def test_at_first_nothing_is_known_and_nothing_is_wanted(self):
        assert not Delivery().wants()
        assert Delivery().top_s() == 0

    def test_reports_that_join_up_leave_no_gap(self):
        delivery = Delivery()

        delivery.arrived(0, 100, 300)
        delivery.arrived(200, 300, 500)

        assert delivery.known_s == 500
        assert not delivery.wants()

    def test_what_lies_between_two_reports_is_wanted_and_then_known(self):
        delivery = Delivery(known_s=100)

        delivery.arrived(800, 900, 1000)
        assert delivery.gap() == (100, 900)
        assert delivery.top_s() == 1000
        delivery.filled(500)
        assert delivery.gap() == (500, 900)
        delivery.filled(800)
        delivery.closed()

        assert delivery.known_s == 1000
        assert not delivery.wants()

    def test_a_newer_report_lengthens_the_island_and_one_that_leaves_a_gap_replaces_it(self):
        delivery = Delivery(known_s=100)
        delivery.arrived(800, 900, 1000)

        delivery.arrived(1000, 1100, 1200)
        assert (delivery.gap(), delivery.top_s()) == ((100, 900), 1200)
        delivery.arrived(1900, 2000, 2100)

        assert delivery.gap() == (100, 2000)

    def test_a_report_that_reaches_back_before_the_island_makes_the_gap_smaller(self):
        delivery = Delivery(known_s=100)
        delivery.arrived(800, 900, 1000)

        delivery.arrived(400, 500, 1100)

        assert delivery.gap() == (100, 500)

    def test_a_report_that_covers_all_leaves_no_island(self):
        delivery = Delivery(known_s=100)
        delivery.arrived(800, 900, 1000)

        delivery.arrived(90, 110, 1200)

        assert (delivery.known_s, delivery.island_from_s) == (1200, 0)
        assert not delivery.wants()

    def test_a_request_for_nothing_hides_no_gap(self):
        delivery = Delivery(known_s=100)
        delivery.arrived(800, 900, 1000)

        delivery.again(0, 0)

        assert delivery.gap() == (100, 900)

    def test_what_the_network_asks_for_goes_first(self):
        delivery = Delivery(known_s=10_000)

        delivery.again(300, 500)
        assert delivery.gap() == (299, 501)
        delivery.filled(500)

        assert not delivery.wants()
        assert delivery.known_s == 10_000

    @given(
        reports=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 8), st.booleans()), max_size=40),
        lost_fills=st.lists(st.booleans(), max_size=200),
    )
    def test_known_means_that_every_sample_up_to_it_has_arrived(self, reports, lost_fills):
        delivery, newest, arrived, fills = Delivery(), 0, set(), iter(lost_fills)
        for more, length, heard in reports:
            newest += more
            oldest = max(1, newest - length + 1)
            if heard:
                arrived |= set(range(oldest, newest + 1))
                delivery.arrived(oldest - 1, oldest, newest)
            while delivery.wants():
                after, before = delivery.gap()
                missing = list(range(after + 1, before))[:5]
                if next(fills, False):
                    break
                if not missing:
                    delivery.closed()
                    continue
                arrived |= set(missing)
                delivery.filled(missing[-1])
                if missing[-1] == before - 1:
                    delivery.closed()

            assert set(range(1, delivery.known_s + 1)) <= arrived
            assert Delivery.unpack(delivery.pack()).pack() == delivery.pack()
